//! Which statements belong to a few tables or schemas.
//!
//! A table that the target has is only filled. One that it lacks is made, with
//! everything that its definition mentions, as far as the archive makes it and
//! the target lacks it: types, functions, sequences, the tables it inherits
//! from. What would tie it to something that is not there is left out, and said.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    kind::Kind,
    options::Options,
    statement::{Statement, name_of},
};
use crate::archive::{Manifest, TableName};

/// What a partial restore takes from the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Tables whose rows are wanted and that the target has.
    pub filled: BTreeSet<TableName>,
    /// Relations that are made.
    pub made: BTreeSet<TableName>,
    /// Tables among them that are made only because others need them.
    pub without_rows: BTreeSet<TableName>,
    /// Sequences whose value is set.
    pub sequences: BTreeSet<TableName>,
    /// Statements of the pre-data section, by their place.
    pub pre_data: BTreeSet<usize>,
    /// Statements of the post-data section, by their place.
    pub post_data: BTreeSet<usize>,
    /// What would belong to it but is left out, and why.
    pub left_out: Vec<(String, String)>,
}

/// What was asked for is not in the archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotThere {
    /// No such table.
    #[error("the archive holds no table {}{}", name_of(.0), suggestion(.1.as_ref()))]
    Table(TableName, Option<String>),
    /// No such schema.
    #[error("the archive holds nothing of a schema {0:?}")]
    Schema(String),
}

fn suggestion(similar: Option<&String>) -> String {
    similar.map_or(String::new(), |name| format!("; did you mean {name}?"))
}

/// The two sections of definitions, and what stands on the target.
pub(super) struct Question<'a> {
    /// The backup.
    pub manifest: &'a Manifest,
    /// Its pre-data statements.
    pub pre_data: &'a [Statement],
    /// Its post-data statements.
    pub post_data: &'a [Statement],
    /// Relations, functions and types of the target.
    pub there: &'a HashSet<TableName>,
    /// Schemas of the target.
    pub schemas: &'a HashSet<String>,
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("id", &self.manifest.id).finish_non_exhaustive()
    }
}

/// Chooses what the options ask for.
///
/// # Errors
/// When the archive does not hold it.
pub(super) fn choose(question: &Question<'_>, options: &Options) -> Result<Chosen, NotThere> {
    let mut choice = Choice::new(question);
    let wanted = choice.wanted(options)?;
    for name in &wanted {
        let has_rows = choice.rows.contains(name);
        if question.there.contains(name) {
            if has_rows {
                choice.chosen.filled.insert(name.clone());
            }
        } else {
            choice.need(name);
        }
    }
    choice.follow();
    choice.chosen.without_rows = choice
        .chosen
        .made
        .iter()
        .filter(|name| choice.rows.contains(name) && !wanted.contains(name))
        .cloned()
        .collect();
    choice.tie();
    Ok(choice.chosen)
}

struct Choice<'a> {
    question: &'a Question<'a>,
    /// Pre-data statements by the name that they make or belong to.
    about: HashMap<&'a TableName, Vec<usize>>,
    /// Names that pre-data makes.
    makes: HashSet<&'a TableName>,
    /// Tables whose rows the archive holds.
    rows: HashSet<TableName>,
    /// Names whose statements were taken and not yet followed.
    open: Vec<TableName>,
    needed: HashSet<TableName>,
    /// Rules, triggers and foreign keys that are left out, by their table: what
    /// is said about them later is left out too.
    gone: HashSet<(TableName, String)>,
    chosen: Chosen,
}

/// Whether a statement makes something that others can mention.
fn makes(statement: &Statement) -> Option<&TableName> {
    let kind = matches!(
        statement.kind,
        Kind::Table
            | Kind::ForeignTable
            | Kind::View
            | Kind::MaterializedView
            | Kind::Sequence
            | Kind::Type
            | Kind::Routine
            | Kind::Collation
            | Kind::Operator
            | Kind::OperatorClass
            | Kind::TextSearch
    );
    statement.object.as_ref().filter(|object| kind && !object.schema.is_empty())
}

fn is_relation(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView | Kind::Sequence
    )
}

impl<'a> Choice<'a> {
    fn new(question: &'a Question<'a>) -> Self {
        let mut about: HashMap<&TableName, Vec<usize>> = HashMap::new();
        let mut made = HashSet::new();
        for (at, statement) in question.pre_data.iter().enumerate() {
            let names = [statement.object.as_ref(), statement.relation.as_ref()];
            let names: BTreeSet<&TableName> =
                names.into_iter().flatten().filter(|name| !name.schema.is_empty()).collect();
            for name in names {
                about.entry(name).or_default().push(at);
            }
            made.extend(makes(statement));
        }
        let rows = question
            .manifest
            .tables
            .iter()
            .map(|table| TableName { schema: table.schema.clone(), name: table.name.clone() })
            .collect();
        let (open, chosen) = (Vec::new(), Chosen::default());
        let (needed, gone) = (HashSet::new(), HashSet::new());
        Self { question, about, makes: made, rows, open, needed, gone, chosen }
    }

    /// The names that were asked for, with the partitions of tables among them.
    fn wanted(&self, options: &Options) -> Result<BTreeSet<TableName>, NotThere> {
        let mut wanted = BTreeSet::new();
        for table in &options.tables {
            if !self.rows.contains(table) && !self.makes.contains(table) {
                return Err(NotThere::Table(table.clone(), self.similar(table)));
            }
            wanted.insert(table.clone());
        }
        for schema in &options.schemas {
            let before = wanted.len();
            let names = self.rows.iter().chain(self.makes.iter().copied());
            wanted.extend(names.filter(|name| name.schema == *schema).cloned());
            if wanted.len() == before {
                return Err(NotThere::Schema(schema.clone()));
            }
        }
        loop {
            let before = wanted.len();
            for statement in self.question.pre_data {
                if let (Kind::AttachTable, Some(child), Some(parent)) =
                    (statement.kind, &statement.relation, &statement.other)
                    && wanted.contains(parent)
                {
                    wanted.insert(child.clone());
                }
            }
            if wanted.len() == before {
                return Ok(wanted);
            }
        }
    }

    fn similar(&self, table: &TableName) -> Option<String> {
        let wanted = table.to_string().to_lowercase();
        let near = self.rows.iter().map(|name| {
            (strsim::jaro_winkler(&wanted, &name.to_string().to_lowercase()), name_of(name))
        });
        near.filter(|(score, _)| *score > 0.85).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n)
    }

    /// Something must be there: it is made unless the target has it.
    fn need(&mut self, name: &TableName) {
        if !self.question.there.contains(name)
            && self.makes.contains(name)
            && self.needed.insert(name.clone())
        {
            self.open.push(name.clone());
        }
    }

    /// Takes the statements of everything needed, and of what they mention.
    fn follow(&mut self) {
        loop {
            while let Some(name) = self.open.pop() {
                for at in self.about.get(&name).cloned().unwrap_or_default() {
                    let statement = &self.question.pre_data[at];
                    if matches!(statement.kind, Kind::AttachTable | Kind::SequenceOwner) {
                        // These tie two things together, and come last.
                        if statement.kind == Kind::SequenceOwner
                            && statement.relation.as_ref() == Some(&name)
                            && let Some(sequence) = &statement.object
                        {
                            self.need(sequence);
                        }
                        continue;
                    }
                    self.chosen.pre_data.insert(at);
                    if is_relation(statement.kind) {
                        self.chosen.made.insert(name.clone());
                    }
                    for mention in statement.mentions() {
                        self.need(&mention);
                    }
                }
            }
            // A trigger's function, an index's operator class and the like.
            for statement in self.question.post_data {
                let ours =
                    statement.relation.as_ref().is_some_and(|r| self.chosen.made.contains(r));
                if ours && statement.kind != Kind::ForeignKey {
                    for mention in statement.mentions() {
                        let is_other_table = self.about.get(&mention).is_some_and(|all| {
                            all.iter().any(|&at| is_relation(self.question.pre_data[at].kind))
                        });
                        if !is_other_table {
                            self.need(&mention);
                        }
                    }
                }
            }
            if self.open.is_empty() {
                return;
            }
        }
    }

    /// Adds what ties the chosen things to each other and to the target.
    fn tie(&mut self) {
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
        self.extensions();
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
            known && !self.needed.contains(name) && !self.question.there.contains(name)
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

    /// An extension is needed when something in its schema is mentioned that
    /// the archive itself does not make.
    fn extensions(&mut self) {
        let mentioned: HashSet<String> = self
            .chosen
            .pre_data
            .iter()
            .flat_map(|&at| self.question.pre_data[at].mentions())
            .filter(|name| !self.makes.contains(name))
            .map(|name| name.schema)
            .collect();
        let needed: Vec<usize> = (0..self.question.pre_data.len())
            .filter(|&at| {
                let statement = &self.question.pre_data[at];
                let name = statement.object.as_ref().map(|object| &object.name);
                statement.kind == Kind::Extension
                    && self
                        .question
                        .manifest
                        .source
                        .extensions
                        .iter()
                        .any(|e| Some(&e.name) == name && mentioned.contains(&e.schema))
            })
            .collect();
        let mut schemas = HashSet::new();
        for at in needed {
            self.chosen.pre_data.insert(at);
            let name = self.question.pre_data[at].object.as_ref().map(|object| &object.name);
            let all = &self.question.manifest.source.extensions;
            schemas.extend(all.iter().filter(|e| Some(&e.name) == name).map(|e| &e.schema));
        }
        for (at, statement) in self.question.pre_data.iter().enumerate() {
            let name = statement.object.as_ref().map(|object| &object.name);
            if statement.kind == Kind::Schema
                && name.is_some_and(|n| schemas.contains(n) && !self.question.schemas.contains(n))
            {
                self.chosen.pre_data.insert(at);
            }
        }
    }
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
