//! Which rows go where: into tables that are made, into tables that are there,
//! or nowhere.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    super::{
        damage, fill_order,
        judge::Class,
        kind::Kind,
        makers::{self, Makers},
        plan::{Contents, Expected, Fill, Hold, Rest, Skipped, name},
        platform::Platform,
        select::Chosen,
        statement::{Statement, name_of},
    },
    Planner,
};
use crate::{
    archive::{TableName, manifest::Table},
    figures::counted,
    postgres::{RelationFact, Section, TargetFacts, quote},
};

/// Where the rows of a table go.
enum Place {
    /// Into a table that is made.
    New,
    /// Into one that is there.
    There,
    /// They were not asked for.
    Nowhere,
}

impl Planner<'_> {
    pub(super) fn data(&mut self, chosen: Option<&Chosen>, platform: &Platform) {
        let contents = self.contents;
        let facts = self.target.facts;
        let made: HashSet<&TableName> = contents
            .pre_data
            .iter()
            .filter(|statement| statement.kind == Kind::Table)
            .filter_map(|statement| statement.object.as_ref())
            .collect();
        let mut fill = Vec::new();
        for (at, table) in contents.manifest.tables.iter().enumerate() {
            let own = name(table);
            let managed = platform.managed.contains(&table.schema);
            match self.place(&own, managed, chosen) {
                Place::Nowhere => {}
                Place::New | Place::There if self.is_damaged(at, table) => {}
                Place::New => {
                    // Only an extension makes a table that the archive does not.
                    let at_least = !made.contains(&own);
                    if at_least && !self.has_home(table) {
                        continue;
                    }
                    self.plan.load.push(at);
                    let rows = table.rows;
                    self.plan.proof.push(Expected { table: own, rows, at_least });
                }
                Place::There => {
                    if let Some(hold) = self.there(table, managed) {
                        let found = self.found(table);
                        let triggered = found.is_some_and(|found| found.triggered);
                        // An extension may have rows of its own there.
                        let at_least = found.is_some_and(|found| found.member);
                        let config = found.and_then(|found| found.config.clone());
                        let empty_first = self.options.clean;
                        fill.push((Fill { table: at, empty_first, config, hold }, triggered));
                        let rows = table.rows;
                        self.plan.proof.push(Expected { table: own, rows, at_least });
                    }
                }
            }
        }
        self.leave_orphans(&mut fill);
        // Bare tables, as `--section pre-data` makes them, are loaded like new ones.
        let bare = chosen.is_none()
            && !self.options.wants(Section::PreData)
            && !self.options.clean
            && fill.iter().all(|(_, triggered)| !triggered);
        if bare {
            self.plan.load.extend(fill.into_iter().map(|(fill, _)| fill.table));
        } else {
            let tables = &contents.manifest.tables;
            let fill = fill.into_iter().map(|(fill, _)| fill).collect();
            self.plan.fill = fill_order::order(fill, |fill| name(&tables[fill.table]), facts);
        }
        self.plan.load.sort_by_key(|&at| std::cmp::Reverse(contents.manifest.tables[at].bytes));
        self.plan.rest = match chosen {
            None => Rest::All { managed: platform.managed.clone() },
            Some(chosen) => sequences(chosen, facts, platform),
        };
        self.leave_damaged_rest();
        self.analyze();
    }

    /// Whether rows of a table cannot be read. Who asked for that very table gets
    /// nothing; where it is one of many, the others come without it.
    fn is_damaged(&mut self, at: usize, table: &Table) -> bool {
        let bad = self.contents.damage.as_ref().map_or(&[][..], |damage| damage.of_table(at));
        if bad.is_empty() {
            return false;
        }
        let (own, what) = (name(table), damage::named(bad));
        if self.options.tables.contains(&own) {
            let own = name_of(&own);
            self.plan.refusals.push(format!(
                "rows of {own} cannot be restored: {what}; --to - writes those of its other \
                 members"
            ));
            return true;
        }
        if self.options.clean && self.target.occupied.contains(&own) {
            self.plan.refusals.push(format!(
                "--clean would remove the rows that {} has in the target, and the archive cannot \
                 bring them back ({what}); restore into another database",
                name_of(&own)
            ));
        }
        self.skip(table, &what, table.rows > 0);
        true
    }

    /// Values of sequences and large objects that cannot be read.
    fn leave_damaged_rest(&mut self) {
        let bad = self.contents.damage.as_ref().map_or(&[][..], |damage| damage.of_rest());
        let what = match &self.plan.rest {
            _ if bad.is_empty() => return,
            Rest::Sequences { named, of_extensions }
                if named.is_empty() && of_extensions.is_empty() =>
            {
                None
            }
            Rest::Sequences { .. } => Some("the values of sequences"),
            Rest::Nothing => None,
            Rest::All { .. } => Some("the values of sequences and the large objects"),
        };
        self.plan.rest = Rest::Nothing;
        if let Some(what) = what {
            self.plan.skipped.push(Skipped {
                what: what.to_owned(),
                reason: format!("{}; set the sequences by hand, with setval", damage::named(bad)),
                class: Class::DataLoss,
            });
        }
    }

    /// Rows that point at a table whose own rows do not come, and that has none:
    /// where the role cannot hold the foreign key off, they would stop the restore.
    fn leave_orphans(&mut self, fill: &mut Vec<(Fill, bool)>) {
        let contents = self.contents;
        let tables = &contents.manifest.tables;
        loop {
            let orphaned = fill.iter().enumerate().find_map(|(nth, (fill, _))| {
                let table = &tables[fill.table];
                let checked = fill.hold != Hold::Replica && table.rows > 0;
                let parent = checked.then(|| self.rowless_parent(&name(table))).flatten()?;
                Some((nth, parent))
            });
            let Some((nth, parent)) = orphaned else { return };
            let table = &tables[fill.remove(nth).0.table];
            let own = name(table);
            self.plan.proof.retain(|expected| expected.table != own);
            let reason = format!("they point at {}, whose rows do not come", name_of(&parent));
            self.skip(table, &reason, true);
        }
    }

    /// Where the rows of a table go.
    fn place(&self, table: &TableName, managed: bool, chosen: Option<&Chosen>) -> Place {
        match chosen {
            None if managed || !self.options.wants(Section::PreData) => Place::There,
            None => Place::New,
            Some(chosen) if chosen.filled.contains(table) => Place::There,
            Some(chosen) if chosen.without_rows.contains(table) => Place::Nowhere,
            // Nobody makes it where the platform keeps the definitions.
            Some(chosen) if managed && chosen.made.contains(table) => Place::There,
            Some(chosen) if chosen.made.contains(table) => Place::New,
            Some(chosen) if chosen.of_extensions.contains(table) => {
                let makes = !managed && self.options.wants(Section::PreData);
                if makes { Place::New } else { Place::There }
            }
            Some(_) => Place::Nowhere,
        }
    }

    fn found(&self, table: &Table) -> Option<&RelationFact> {
        let mut relations = self.target.facts.relations.iter();
        relations.find(|r| r.schema == table.schema && r.name == table.name)
    }

    /// Whether a table that the archive does not make will be there and open.
    fn has_home(&mut self, table: &Table) -> bool {
        let (found, lost) = (self.found(table), table.rows > 0);
        if found.is_some_and(|found| !found.inserts || !found.selects || found.hides) {
            self.skip(table, "the role may not insert into it and read it", lost);
            return false;
        }
        if found.is_some() {
            return true;
        }
        let makers = makers::of(&table.schema, &self.contents.manifest.source.extensions);
        let made = self.plan.pre_data.iter().filter(|made| made.kind == Kind::Extension);
        let mut made = made.filter_map(|made| made.object.as_ref()).map(|made| made.name.as_str());
        let comes = match &makers {
            Makers::Of(names) => made.any(|made| names.contains(&made)),
            // Whether it was one of them is seen when they are there.
            Makers::AnyOf(_) => made.next().is_some(),
        };
        if !comes {
            let reason = self.without_maker(&makers);
            self.skip(table, &reason, lost);
        }
        comes
    }

    /// Why a table that an extension makes is not there, and what helps.
    fn without_maker(&self, makers: &Makers<'_>) -> String {
        let facts = self.target.facts;
        let is_there =
            |name: &&str| facts.extensions.iter().any(|e| e.installed && e.name == *name);
        if let Makers::Of(names) = makers
            && names.iter().all(is_there)
        {
            return format!("the target's {} makes no such table", names.join(", "));
        }
        let reason = "the extension that makes the table is not there";
        makers.advice().map_or_else(|| reason.to_owned(), |advice| format!("{reason}: {advice}"))
    }

    /// Why a table is not there that should be.
    fn without_table(&self, table: &Table) -> String {
        let (pre_data, own) = (&self.contents.pre_data, name(table));
        let is_own = |s: &Statement| s.kind == Kind::Table && s.object.as_ref() == Some(&own);
        let mut reason = "the target has no such table".to_owned();
        if !pre_data.is_empty() && !pre_data.iter().any(is_own) {
            let makers = makers::of(&table.schema, &self.contents.manifest.source.extensions);
            reason = format!("{reason}; {}", self.without_maker(&makers));
        }
        reason
    }

    /// How rows are put into a table that is there; `None` where they are not.
    fn there(&mut self, table: &Table, managed: bool) -> Option<Hold> {
        let facts = self.target.facts;
        let own = name(table);
        if managed && Platform::keeps(&table.name) {
            self.skip(table, "the platform notes its own changes there", false);
            return None;
        }
        let Some(found) = self.found(table).cloned() else {
            match self.kept_parent(&own).filter(|_| managed) {
                Some(parent) => {
                    let parent = name_of(&parent);
                    let reason = format!("the platform makes the partitions of {parent} itself");
                    self.skip(table, &reason, false);
                }
                None => self.cannot(table, managed, &self.without_table(table)),
            }
            return None;
        };
        let columns = table.columns.iter().filter(|column| !found.columns.contains(column));
        let lacks: Vec<&str> = columns.map(String::as_str).collect();
        if !lacks.is_empty() {
            let reason = format!("the target's table has no column {}", lacks.join(", "));
            self.cannot(table, managed, &reason);
            return None;
        }
        let of_both = |columns: &[String], held: bool| {
            let columns = columns.iter().filter(|column| table.columns.contains(column) == held);
            columns.map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let generated = of_both(&found.generated, true);
        if !generated.is_empty() {
            let reason = format!("the target's table generates {generated} itself");
            self.cannot(table, managed, &reason);
            return None;
        }
        let required = of_both(&found.required, false);
        if !required.is_empty() && table.rows > 0 {
            let reason = format!(
                "the target's table wants a value in {required}, which the archive does not hold"
            );
            self.cannot(table, managed, &reason);
            return None;
        }
        if !found.inserts {
            self.cannot(table, managed, "the role may not insert into it");
            return None;
        }
        if !found.selects {
            let reason = "the role may not read it, and so neither see whether it is empty nor \
                          count its rows (to mend it: GRANT SELECT)";
            self.cannot(table, managed, reason);
            return None;
        }
        if managed && table.rows == 0 && !self.options.clean {
            return None;
        }
        if self.options.clean && !found.deletes && !found.truncates {
            self.cannot(table, managed, "the role may not remove the rows that are there");
            return None;
        }
        if found.hides {
            let (own, role) = (name_of(&own), quote(&facts.role));
            self.plan.refusals.push(format!(
                "row-level security of {own} hides its rows from role {role}, which could neither \
                 fill it nor count them (to mend it: ALTER ROLE {role} BYPASSRLS, or, where {role} \
                 owns it, ALTER TABLE {own} NO FORCE ROW LEVEL SECURITY)"
            ));
            return None;
        }
        let hold = match (facts.holds_triggers, found.owned) {
            (true, _) if managed => Hold::Replica,
            (_, true) => Hold::Disable,
            (true, false) => Hold::Replica,
            (false, false) => Hold::No,
        };
        if hold == Hold::No && found.triggered {
            self.plan.warnings.push(format!(
                "the triggers of {} fire: the role may not hold them off",
                name_of(&own)
            ));
        }
        Some(hold)
    }

    /// The partitioned table of the target whose partition the archive makes a
    /// table.
    fn kept_parent(&self, table: &TableName) -> Option<TableName> {
        let attached = self.contents.pre_data.iter().find(|statement| {
            statement.kind == Kind::AttachTable && statement.relation.as_ref() == Some(table)
        });
        let parent = attached?.other.as_ref()?;
        let mut relations = self.target.facts.relations.iter();
        relations
            .any(|r| r.kind == 'p' && r.schema == parent.schema && r.name == parent.name)
            .then(|| parent.clone())
    }

    /// Rows that cannot be put where they belong.
    fn cannot(&mut self, table: &Table, managed: bool, reason: &str) {
        if managed {
            self.skip(table, reason, table.rows > 0);
        } else {
            let name = name_of(&name(table));
            self.plan.refusals.push(format!("rows of {name} cannot be restored: {reason}"));
        }
    }

    fn skip(&mut self, table: &Table, reason: &str, lost: bool) {
        if lost {
            self.rowless.insert(name(table), reason.to_owned());
        }
        self.plan.skipped.push(Skipped {
            what: format!("{} of {}", counted(table.rows, "row"), name_of(&name(table))),
            reason: reason.to_owned(),
            class: if lost { Class::DataLoss } else { Class::PlatformDifference },
        });
    }

    /// Partitions are analysed with their table, and the largest come first.
    fn analyze(&mut self) {
        let contents = self.contents;
        let parents: HashMap<&TableName, &TableName> = contents
            .pre_data
            .iter()
            .filter(|statement| statement.kind == Kind::AttachTable)
            .filter_map(|statement| Some((statement.relation.as_ref()?, statement.other.as_ref()?)))
            .collect();
        let partial = self.options.is_partial();
        let mut sizes: BTreeMap<TableName, u64> = BTreeMap::new();
        let fill = self.plan.fill.iter().map(|fill| fill.table);
        for at in self.plan.load.iter().copied().chain(fill) {
            let table = &contents.manifest.tables[at];
            let own = name(table);
            let mut top = &own;
            // No archive of ours goes round in circles, and none shall hang us.
            let mut above = HashSet::new();
            while let Some(parent) = parents.get(top).filter(|_| !partial)
                && above.insert(top)
            {
                top = parent;
            }
            *sizes.entry(top.clone()).or_default() += table.bytes;
        }
        let mut tables: Vec<(TableName, u64)> = sizes.into_iter().collect();
        tables.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        self.plan.analyze = tables.into_iter().map(|(table, _)| table).collect();
    }

    /// What is read of the archive.
    pub(super) fn measure(&mut self) {
        let manifest = &self.contents.manifest;
        let sections = &manifest.sections;
        let fill = self.plan.fill.iter().map(|fill| fill.table);
        let tables: Vec<usize> = self.plan.load.iter().copied().chain(fill).collect();
        self.plan.rows = tables.iter().map(|&at| manifest.tables[at].rows).sum();
        let rows = tables.iter().flat_map(|&at| &manifest.tables[at].members);
        let rest = match self.plan.rest {
            Rest::Nothing => &[][..],
            Rest::All { .. } | Rest::Sequences { .. } => &sections.data[..],
        };
        let members = sections.pre_data.iter().chain(&sections.post_data).chain(rest).chain(rows);
        (self.plan.members, self.plan.bytes) =
            members.fold((0, 0), |(count, bytes), member| (count + 1, bytes + member.length));
    }
}

/// What removes the rows that a dump brings of tables that extensions made:
/// extensions stay, and their own rows with them.
pub(super) fn emptied(contents: &Contents, facts: &TargetFacts) -> Vec<String> {
    let held: HashSet<TableName> = contents.manifest.tables.iter().map(name).collect();
    let own = |r: &RelationFact| TableName { schema: r.schema.clone(), name: r.name.clone() };
    let tables = facts.relations.iter().filter(|r| r.member && held.contains(&own(r)));
    let delete = |r: &RelationFact| {
        let condition = r.config.as_ref()?;
        Some(format!("DELETE FROM ONLY {} {condition}", name_of(&own(r))).trim_end().to_owned())
    };
    tables.filter_map(delete).collect()
}

/// Sequences whose value belongs to what is restored.
fn sequences(chosen: &Chosen, facts: &TargetFacts, platform: &Platform) -> Rest {
    let filled = facts.relations.iter().filter(|relation| {
        let name = TableName { schema: relation.schema.clone(), name: relation.name.clone() };
        chosen.filled.contains(&name)
    });
    let of_filled = filled
        .flat_map(|relation| &relation.sequences)
        .filter_map(|s| super::super::tokens::qualified(s));
    // Those of a managed schema are not made, whatever was chosen.
    let made = chosen.sequences.iter().filter(|s| !platform.managed.contains(&s.schema));
    let named = made.cloned().chain(of_filled).collect();
    let of_extensions = chosen.of_extensions.iter().map(|table| &table.schema);
    let of_extensions = of_extensions.filter(|schema| !platform.managed.contains(*schema));
    Rest::Sequences { named, of_extensions: of_extensions.cloned().collect() }
}
