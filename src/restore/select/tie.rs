//! Adds what ties the chosen things to each other and to what is there.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Choice, Question, is_relation};
use crate::{
    archive::TableName,
    postgres::ExtensionFact,
    restore::{
        kind::Kind,
        makers,
        statement::{Statement, name_of},
        ties::{Found, Ties},
    },
};

impl Choice<'_> {
    /// Adds what ties the chosen things to each other and to the target.
    pub(super) fn tie(&mut self) {
        let (pre_data, post_data) = (self.question.pre_data, self.question.post_data);
        self.settings();
        for (at, statement) in pre_data.iter().enumerate() {
            match statement.kind {
                Kind::AttachTable | Kind::SequenceOwner if self.is_ours(statement) => {
                    self.take_or_leave(at, statement, true);
                }
                _ => {}
            }
        }
        let indexes = indexes(post_data);
        for (at, statement) in post_data.iter().enumerate() {
            let on = |name: &Option<TableName>| {
                name.as_ref().and_then(|n| indexes.get(n)).is_some_and(|t| self.is_made(t))
            };
            let ours = match statement.kind {
                Kind::Setting => true,
                Kind::AttachIndex => on(&statement.object) && on(&statement.other),
                _ if statement.relation.is_none() => on(&statement.object),
                _ => self.is_ours(statement),
            };
            if ours && statement.relation.is_none() {
                self.chosen.post_data.insert(at);
            } else if ours {
                self.take_or_leave(at, statement, false);
            }
        }
        self.sequences();
        self.schemas();
        self.extensions(&indexes);
        self.comments();
    }

    /// The settings that the section begins with, and of the later ones those
    /// that hold for a chosen table, with the access method they may name.
    fn settings(&mut self) {
        let mut begun = false;
        let mut last: HashMap<&str, usize> = HashMap::new();
        let mut taken = BTreeSet::new();
        for (at, statement) in self.question.pre_data.iter().enumerate() {
            let name = statement.object.as_ref().map_or("", |object| object.name.as_str());
            match statement.kind {
                Kind::Setting if begun => drop(last.insert(name, at)),
                Kind::Setting => drop(taken.insert(at)),
                kind => {
                    begun = true;
                    if is_relation(kind) && self.chosen.pre_data.contains(&at) {
                        taken.extend(last.values());
                    }
                }
            }
        }
        self.chosen.pre_data.extend(&taken);
        self.schemaless(&taken, Kind::AccessMethod);
        let foreign = self.of_kind(Kind::ForeignTable);
        self.schemaless(&foreign, Kind::Server);
        self.schemaless(&self.of_kind(Kind::Server), Kind::ForeignDataWrapper);
        self.follow();
    }

    fn of_kind(&self, kind: Kind) -> BTreeSet<usize> {
        let chosen = self.chosen.pre_data.iter().copied();
        chosen.filter(|&at| self.question.pre_data[at].kind == kind).collect()
    }

    /// Takes the objects of a kind without a schema that these statements name.
    fn schemaless(&mut self, named_by: &BTreeSet<usize>, kind: Kind) {
        let words: HashSet<String> =
            named_by.iter().flat_map(|&at| self.question.pre_data[at].words()).collect();
        for (at, statement) in self.question.pre_data.iter().enumerate() {
            if statement.kind == kind
                && statement.object.as_ref().is_some_and(|object| words.contains(&object.name))
            {
                self.chosen.pre_data.insert(at);
                for mention in statement.mentions() {
                    self.need(&mention);
                }
            }
        }
    }

    fn is_made(&self, name: &TableName) -> bool {
        self.chosen.made.contains(name)
    }

    /// Whether a statement belongs to something that is made.
    fn is_ours(&self, statement: &Statement) -> bool {
        let made = |name: &Option<TableName>| name.as_ref().is_some_and(|name| self.is_made(name));
        made(&statement.relation)
            || (statement.kind == Kind::SequenceOwner && made(&statement.object))
    }

    fn take_or_leave(&mut self, at: usize, statement: &Statement, pre_data: bool) {
        let missing = statement.mentions().into_iter().find(|name| {
            let known = self.makes.contains(name) || self.rows.contains(name);
            known && !self.needed.contains(name) && !self.is_there(name)
        });
        let gone = statement.relation.as_ref().and_then(|relation| {
            let words = statement.words();
            self.gone.iter().find(|(of, name)| of == relation && words.contains(name))
        });
        if let Some((_, name)) = gone {
            let reason = format!("{name} is left out");
            self.chosen.left_out.push((statement.to_string(), reason));
            return;
        }
        if let (Kind::AlterTable, Some(trigger), Some(relation)) =
            (statement.kind, &statement.object, &statement.relation)
            && !self.has_trigger(relation, trigger)
        {
            let reason = "its trigger is that of the table whose partition it was".to_owned();
            self.chosen.left_out.push((statement.to_string(), reason));
            return;
        }
        let reason = match (missing, statement.kind) {
            (_, Kind::PublicationMember) => {
                Some("publications belong to the whole database".into())
            }
            (Some(name), _) if self.question.unfinished.contains(&name) => {
                let name = name_of(&name);
                Some(format!("{name} is not whole in the target; add --table {name} --clean"))
            }
            (Some(name), _) => Some(format!("the target has no {}", name_of(&name))),
            (None, _) => None,
        };
        match reason {
            Some(reason) => {
                let named = matches!(statement.kind, Kind::Rule | Kind::Trigger | Kind::ForeignKey);
                if let (true, Some(relation), Some(object)) =
                    (named, &statement.relation, &statement.object)
                {
                    self.gone.insert((relation.clone(), object.name.clone()));
                }
                self.chosen.left_out.push((statement.to_string(), reason));
            }
            None if pre_data => drop(self.chosen.pre_data.insert(at)),
            None => drop(self.chosen.post_data.insert(at)),
        }
    }

    /// Whether a table will have a trigger: its own, or one of the table that it
    /// becomes a partition of.
    fn has_trigger(&self, relation: &TableName, trigger: &TableName) -> bool {
        let own = self.question.post_data.iter().any(|statement| {
            statement.kind == Kind::Trigger
                && statement.relation.as_ref() == Some(relation)
                && statement.object.as_ref() == Some(trigger)
        });
        let attached = self.chosen.pre_data.iter().any(|&at| {
            let statement = &self.question.pre_data[at];
            statement.kind == Kind::AttachTable && statement.relation.as_ref() == Some(relation)
        });
        own || attached
    }

    fn sequences(&mut self) {
        for &at in &self.chosen.pre_data {
            let statement = &self.question.pre_data[at];
            let sequence = match statement.kind {
                Kind::Sequence => &statement.object,
                Kind::Identity => &statement.other,
                _ => continue,
            };
            self.chosen.sequences.extend(sequence.clone());
        }
    }

    fn schemas(&mut self) {
        let needed: HashSet<&String> = self
            .chosen
            .pre_data
            .iter()
            .map(|&at| &self.question.pre_data[at])
            .flat_map(|statement| [&statement.object, &statement.relation])
            .flatten()
            .map(|name| &name.schema)
            .collect();
        let schemas: Vec<usize> = (0..self.question.pre_data.len())
            .filter(|&at| {
                let statement = &self.question.pre_data[at];
                let name = statement.object.as_ref().map(|object| &object.name);
                statement.kind == Kind::Schema
                    && name
                        .is_some_and(|n| needed.contains(n) && !self.question.schemas.contains(n))
            })
            .collect();
        self.chosen.pre_data.extend(schemas);
    }

    /// What is said of schemas that are made.
    fn comments(&mut self) {
        let of_kind = self.of_kind(Kind::Schema);
        let pre_data = self.question.pre_data;
        let made: HashSet<_> = of_kind.iter().map(|&at| &pre_data[at].object).collect();
        let said = (0..pre_data.len()).filter(|&at| {
            let statement = &pre_data[at];
            statement.kind == Kind::Comment
                && statement.text.starts_with(b"COMMENT ON SCHEMA ")
                && made.contains(&statement.object)
        });
        self.chosen.pre_data.extend(said);
    }

    /// An extension is needed when something chosen stands on it, before the rows or
    /// after them, when it is known to make a table whose rows are wanted, or when
    /// another that is needed wants it. Those that may only be needed are apart.
    fn extensions(&mut self, indexes: &HashMap<TableName, TableName>) {
        let Question { manifest, pre_data, post_data, .. } = *self.question;
        let known = &manifest.source.extensions;
        let ties = Ties::new(known, pre_data);
        let is_made = |name: &TableName| {
            self.about.contains_key(name)
                || self.rows.contains(name)
                || indexes.contains_key(name)
                || self.question.there.contains(name)
        };
        let before = self.chosen.pre_data.iter().map(|&at| &pre_data[at]);
        let after = self.chosen.post_data.iter().map(|&at| &post_data[at]);
        let mut found = Found::default();
        for statement in before.chain(after) {
            found.extend(ties.of(statement, is_made));
        }
        let of_extensions = self.chosen.of_extensions.iter();
        found.sure.extend(
            of_extensions.flat_map(|table| makers::of(&table.schema, known).chosen().to_vec()),
        );
        let Found { sure, guessed } = found;
        let offered = self.question.extensions;
        let (needed, may_be) = (with_required(sure, offered), with_required(guessed, offered));
        let named = |kind: Kind, name: &str| {
            let mut all = pre_data.iter();
            all.position(|s| s.kind == kind && s.object.as_ref().is_some_and(|o| o.name == name))
        };
        for extension in needed.union(&may_be) {
            let Some(at) = named(Kind::Extension, extension) else { continue };
            let home = known.iter().find(|known| known.name == *extension);
            let home = home.filter(|home| !self.question.schemas.contains(&home.schema));
            let schema = home.and_then(|home| named(Kind::Schema, &home.schema));
            if needed.contains(extension) {
                self.chosen.pre_data.insert(at);
                self.chosen.pre_data.extend(schema);
            } else {
                self.chosen.guessed.insert(at, schema);
            }
        }
    }
}

/// These, and all that they require, as far as the target tells.
fn with_required<'a>(wanted: BTreeSet<&'a str>, known: &'a [ExtensionFact]) -> BTreeSet<&'a str> {
    let mut all = wanted;
    let mut open: Vec<&str> = all.iter().copied().collect();
    while let Some(name) = open.pop() {
        let fact = known.iter().find(|extension| extension.name == name);
        let required = fact.map_or(&[][..], |extension| &extension.requires[..]);
        open.extend(required.iter().map(String::as_str).filter(|name| all.insert(name)));
    }
    all
}

/// Indexes, constraints and statistics by the table that they belong to.
fn indexes(post_data: &[Statement]) -> HashMap<TableName, TableName> {
    let mut indexes = HashMap::new();
    for statement in post_data {
        if let (Kind::Index | Kind::Key | Kind::Statistics, Some(object), Some(relation)) =
            (statement.kind, &statement.object, &statement.relation)
        {
            let schema = if statement.kind == Kind::Statistics { object } else { relation };
            let schema = schema.schema.clone();
            indexes.insert(TableName { schema, name: object.name.clone() }, relation.clone());
        }
    }
    indexes
}
