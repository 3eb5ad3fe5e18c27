//! In which order the post-data statements may run, and which of them at once.
//!
//! `pg_dump` writes them so that each comes after what it needs. Building an
//! index needs only its table and its rows, so that all indexes may be built at
//! once; foreign keys need the keys that they point at; what else there is
//! stays in its order. An index that mentions something that post-data itself
//! makes stays in its order too.

use std::collections::{HashMap, HashSet};

use super::{kind::Kind, statement::Statement};
use crate::archive::TableName;

/// Post-data statements by when they run. Every one is in exactly one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waves {
    /// Settings, for every session.
    pub settings: Vec<Statement>,
    /// Indexes and keys, at once.
    pub indexes: Vec<Statement>,
    /// What joins indexes of partitions to those of their tables, in order.
    pub attach: Vec<Statement>,
    /// Foreign keys, at once where they do not share a table.
    pub foreign_keys: Vec<Statement>,
    /// The rest, in order.
    pub ordered: Vec<Statement>,
}

/// Sorts the statements of a post-data section.
#[must_use]
pub(super) fn waves(post_data: Vec<Statement>) -> Waves {
    let late = late(&post_data);
    let mut waves = Waves::default();
    let waiting = Waiting::of(&post_data, &late);
    let mut in_order = false;
    for statement in post_data {
        // A setting after the first statement is for those that follow it.
        if statement.kind == Kind::Setting && !in_order {
            waves.settings.push(statement);
            continue;
        }
        in_order = true;
        let free = || is_free(&statement, &late);
        match statement.kind {
            Kind::Index | Kind::Key if free() => waves.indexes.push(statement),
            Kind::AttachIndex if !waiting.attaches(&statement) => waves.attach.push(statement),
            Kind::ForeignKey
                if free()
                    && statement.other.as_ref().is_some_and(|o| !waiting.tables.contains(o)) =>
            {
                waves.foreign_keys.push(statement);
            }
            _ => waves.ordered.push(statement),
        }
    }
    refresh_unhidden(&mut waves.ordered);
    waves
}

/// Lets materialized views read their tables before policies hide rows from
/// whoever restores, unless something that they may need comes later.
fn refresh_unhidden(ordered: &mut Vec<Statement>) {
    let hides = |statement: &Statement| statement.kind == Kind::RowSecurity;
    let Some(first) = ordered.iter().position(hides) else { return };
    let makes = |s: &Statement| MAKES.contains(&s.kind) || s.kind == Kind::Rule;
    if ordered[first..].iter().any(makes) {
        return;
    }
    let (refreshes, rest): (Vec<Statement>, Vec<Statement>) =
        ordered.drain(first..).partition(|statement| statement.kind == Kind::Refresh);
    ordered.extend(refreshes.into_iter().chain(rest));
}

/// Whether a statement stands on nothing that post-data itself makes.
fn is_free(statement: &Statement, late: &HashSet<TableName>) -> bool {
    statement.relation.as_ref().is_none_or(|relation| !late.contains(relation))
        && statement.mentions().iter().all(|name| !late.contains(name))
}

/// Indexes that are not built at once, and the tables whose keys they are or
/// will be a part of: what points at these must wait.
#[derive(Debug, Default)]
struct Waiting {
    indexes: HashSet<TableName>,
    tables: HashSet<TableName>,
}

impl Waiting {
    fn of(post_data: &[Statement], late: &HashSet<TableName>) -> Self {
        let mut of_table: HashMap<TableName, &TableName> = HashMap::new();
        let mut indexes = HashSet::new();
        for statement in post_data.iter().filter(|s| matches!(s.kind, Kind::Index | Kind::Key)) {
            let (Some(object), Some(table)) = (&statement.object, &statement.relation) else {
                continue;
            };
            // A key's index has its name, and its table's schema.
            let index = TableName { schema: table.schema.clone(), name: object.name.clone() };
            if !is_free(statement, late) {
                indexes.insert(index.clone());
            }
            of_table.insert(index, table);
        }
        let mut waiting = Self { indexes, tables: HashSet::new() };
        // An index is whole when all its partitions are, and those of them.
        let attached: Vec<&Statement> =
            post_data.iter().filter(|s| s.kind == Kind::AttachIndex).collect();
        while attached
            .iter()
            .filter(|statement| waiting.attaches(statement))
            .filter_map(|statement| statement.object.clone())
            .collect::<Vec<_>>()
            .into_iter()
            .any(|whole| waiting.indexes.insert(whole))
        {}
        waiting.tables =
            waiting.indexes.iter().filter_map(|i| of_table.get(i).copied()).cloned().collect();
        waiting
    }

    /// Whether an ATTACH has an index that is not there yet.
    fn attaches(&self, statement: &Statement) -> bool {
        [&statement.object, &statement.other]
            .into_iter()
            .flatten()
            .any(|index| self.indexes.contains(index))
    }
}

/// Kinds of things that others may stand on.
const MAKES: [Kind; 7] = [
    Kind::View,
    Kind::MaterializedView,
    Kind::Table,
    Kind::Routine,
    Kind::Type,
    Kind::OperatorClass,
    Kind::Sequence,
];

/// What post-data makes that something else may stand on.
fn late(post_data: &[Statement]) -> HashSet<TableName> {
    post_data
        .iter()
        .filter(|statement| MAKES.contains(&statement.kind))
        .filter_map(|statement| statement.object.clone())
        .collect()
}

/// How a statement locks its tables while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    /// The tables.
    pub tables: Vec<TableName>,
    /// Whether no other statement of the wave may have them meanwhile.
    pub alone: bool,
}

/// The lock of an index, a key or a foreign key.
#[must_use]
pub(super) fn lock(statement: &Statement) -> Lock {
    let tables = statement.relation.iter().chain(&statement.other).cloned().collect();
    Lock { tables, alone: statement.kind != Kind::Index }
}

impl Lock {
    /// Whether both may run at once.
    #[must_use]
    pub(super) fn allows(&self, other: &Self) -> bool {
        (!self.alone && !other.alone)
            || self.tables.iter().all(|table| !other.tables.contains(table))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn read(sql: &str) -> Vec<Statement> {
        sql.split_inclusive(';')
            .filter(|sql| !sql.trim().is_empty())
            .map(|sql| Statement::read(&Bytes::from(sql.to_owned())))
            .collect()
    }

    fn said(statements: &[Statement]) -> Vec<String> {
        statements.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn indexes_come_first_then_foreign_keys_then_the_rest_in_order() {
        let waves = waves(read(
            "SET row_security = off;
             ALTER TABLE ONLY a.t ADD CONSTRAINT t_pkey PRIMARY KEY (id);
             CREATE INDEX i ON a.p USING btree (x);
             ALTER INDEX a.pp ATTACH PARTITION a.i;
             CREATE TRIGGER g AFTER INSERT ON a.t FOR EACH ROW EXECUTE FUNCTION a.f();
             ALTER TABLE ONLY a.u ADD CONSTRAINT u_fk FOREIGN KEY (t) REFERENCES a.t(id);
             ALTER TABLE a.t ENABLE ROW LEVEL SECURITY;",
        ));
        assert_eq!(said(&waves.settings), ["setting row_security"]);
        assert_eq!(said(&waves.indexes), ["constraint t_pkey of a.t", "index a.i of a.p"]);
        assert_eq!(said(&waves.attach), ["partition of index a.pp"]);
        assert_eq!(said(&waves.foreign_keys), ["foreign key u_fk of a.u"]);
        assert_eq!(said(&waves.ordered), ["trigger g of a.t", "row-level security of a.t"]);
    }

    #[test]
    fn what_stands_on_post_data_keeps_its_place() {
        let waves = waves(read(
            "CREATE MATERIALIZED VIEW a.m AS SELECT 1 WITH NO DATA;
             CREATE UNIQUE INDEX mi ON a.m USING btree (x);
             CREATE INDEX i ON a.t USING btree (x);
             ALTER INDEX a.x ATTACH PARTITION a.y;
             ALTER TABLE ONLY a.u ADD CONSTRAINT fk FOREIGN KEY (t) REFERENCES a.m(id);
             ALTER TABLE ONLY a.u ADD CONSTRAINT fk2 FOREIGN KEY (t) REFERENCES a.t(id);",
        ));
        assert_eq!(said(&waves.indexes), ["index a.i of a.t"]);
        assert_eq!(said(&waves.foreign_keys), ["foreign key fk2 of a.u"]);
        assert_eq!(said(&waves.attach), ["partition of index a.x"]);
        assert_eq!(waves.ordered.len(), 3);
    }

    /// A foreign key needs the whole key of a partitioned table, wherever else
    /// an index waits.
    #[test]
    fn partitions_of_keys_wait_only_for_their_own() {
        let waves = waves(read(
            "CREATE MATERIALIZED VIEW a.m AS SELECT 1 WITH NO DATA;
             ALTER TABLE ONLY a.p ADD CONSTRAINT p_pkey PRIMARY KEY (id);
             ALTER TABLE ONLY a.p1 ADD CONSTRAINT p1_pkey PRIMARY KEY (id);
             CREATE INDEX mi ON a.m USING btree (x);
             ALTER INDEX a.p_pkey ATTACH PARTITION a.p1_pkey;
             ALTER TABLE ONLY a.u ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES a.p(id);",
        ));
        assert_eq!(said(&waves.attach), ["partition of index a.p_pkey"]);
        assert_eq!(said(&waves.foreign_keys), ["foreign key fk of a.u"]);
        // One that does wait holds up what points at its table.
        let waves = super::waves(read(
            "CREATE FUNCTION a.f() RETURNS int;
             ALTER TABLE ONLY a.p ADD CONSTRAINT p_pkey PRIMARY KEY (id);
             CREATE UNIQUE INDEX p1_pkey ON a.p1 USING btree (id) WHERE a.f() = 1;
             ALTER INDEX a.p_pkey ATTACH PARTITION a.p1_pkey;
             ALTER TABLE ONLY a.u ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES a.p(id);",
        ));
        assert!(waves.attach.is_empty() && waves.foreign_keys.is_empty());
        assert_eq!(
            said(&waves.ordered)[1..],
            ["index a.p1_pkey of a.p1", "partition of index a.p_pkey", "foreign key fk of a.u"]
        );
    }

    #[test]
    fn materialized_views_are_filled_before_policies_hide_rows() {
        let sql = "CREATE INDEX mi ON a.m USING btree (x);
             ALTER TABLE a.t ENABLE ROW LEVEL SECURITY;
             CREATE POLICY p ON a.t USING (true);
             REFRESH MATERIALIZED VIEW a.m;";
        let ordered = said(&super::waves(read(sql)).ordered);
        assert_eq!(
            ordered,
            ["rows of materialized view a.m", "row-level security of a.t", "policy p of a.t"]
        );
        // One that may need something that comes later stays where it is.
        let later = sql.replace("REFRESH", "CREATE VIEW a.v AS SELECT 1; REFRESH");
        assert_eq!(said(&super::waves(read(&later)).ordered).len(), 4);
        assert!(said(&super::waves(read(&later)).ordered)[3].starts_with("rows of"));
    }

    #[test]
    fn only_indexes_share_a_table() {
        let locks: Vec<Lock> = read(
            "CREATE INDEX i ON a.t USING btree (x);
             CREATE INDEX j ON a.t USING btree (y);
             ALTER TABLE ONLY a.t ADD CONSTRAINT k PRIMARY KEY (id);
             ALTER TABLE ONLY a.u ADD CONSTRAINT fk FOREIGN KEY (t) REFERENCES a.v(id);
             ALTER TABLE ONLY a.w ADD CONSTRAINT fk FOREIGN KEY (t) REFERENCES a.v(id);",
        )
        .iter()
        .map(lock)
        .collect();
        assert!(locks[0].allows(&locks[1]));
        assert!(!locks[0].allows(&locks[2]) && !locks[2].allows(&locks[1]));
        assert!(!locks[3].allows(&locks[4]) && locks[3].allows(&locks[2]));
    }
}
