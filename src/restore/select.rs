//! Which statements belong to a few tables or schemas.
//!
//! A table that the target has is only filled. One that it lacks is made, with
//! everything that its definition mentions, as far as the archive makes it and
//! the target lacks it: types, functions, sequences, the tables it inherits
//! from. What would tie it to something that is not there is left out, and said.

mod tie;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    guess::Guess,
    kind::Kind,
    options::Options,
    statement::{Statement, name_of},
};
use crate::{
    archive::{Manifest, TableName},
    postgres::ExtensionFact,
};

/// What a partial restore takes from the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Tables whose rows are wanted and that the target has.
    pub filled: BTreeSet<TableName>,
    /// Relations that are made.
    pub made: BTreeSet<TableName>,
    /// Tables among them that are made only because others need them.
    pub without_rows: BTreeSet<TableName>,
    /// Tables whose rows are wanted, that the target lacks, and that only an
    /// extension makes.
    pub of_extensions: BTreeSet<TableName>,
    /// Sequences whose value is set.
    pub sequences: BTreeSet<TableName>,
    /// Statements of the pre-data section, by their place.
    pub pre_data: BTreeSet<usize>,
    /// Statements that make extensions that it may need, with those that make their
    /// schemas, where the target lacks these; by their places in the pre-data section.
    pub guessed: BTreeMap<usize, Option<usize>>,
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
    /// Relations of the target that are as good as not there: they are not whole.
    pub unfinished: &'a BTreeSet<TableName>,
    /// Schemas of the target.
    pub schemas: &'a HashSet<String>,
    /// Extensions that the target has or could have, where there is a target.
    pub extensions: &'a [ExtensionFact],
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
        if choice.is_there(name) {
            if has_rows {
                choice.chosen.filled.insert(name.clone());
            }
        } else if has_rows && !choice.makes.contains(name) {
            choice.chosen.of_extensions.insert(name.clone());
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

impl Chosen {
    /// What creates the extensions that it may need, by the place in the pre-data section.
    pub(super) fn guess(&self, at: usize, pre_data: &[Statement]) -> Option<Guess> {
        let schema = self.guessed.get(&at)?.filter(|schema| !self.pre_data.contains(schema));
        Some(Guess::new(&pre_data[at], schema.map(|schema| &pre_data[schema])))
    }
}

struct Choice<'a> {
    question: &'a Question<'a>,
    /// Pre-data statements by the name that they make or belong to.
    about: HashMap<&'a TableName, Vec<usize>>,
    /// Names that pre-data makes.
    makes: HashSet<&'a TableName>,
    /// Range types by their multiranges, which come and go with them.
    ranges: HashMap<&'a TableName, &'a TableName>,
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

/// What a statement makes that others can mention.
fn makes(statement: &Statement) -> impl Iterator<Item = &TableName> {
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
    let brought = statement.other.as_ref().filter(|_| statement.kind == Kind::Type);
    let made = statement.object.as_ref().filter(|_| kind);
    made.into_iter().chain(brought).filter(|name| !name.schema.is_empty())
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
        let (mut made, mut ranges) = (HashSet::new(), HashMap::new());
        for (at, statement) in question.pre_data.iter().enumerate() {
            let names = [statement.object.as_ref(), statement.relation.as_ref()];
            let names: BTreeSet<&TableName> = names
                .into_iter()
                .flatten()
                .filter(|name| !name.schema.is_empty())
                .chain(makes(statement))
                .collect();
            for name in names {
                about.entry(name).or_default().push(at);
            }
            made.extend(makes(statement));
            if statement.kind == Kind::Type {
                ranges.extend(statement.other.as_ref().zip(statement.object.as_ref()));
            }
        }
        let rows = question
            .manifest
            .tables
            .iter()
            .map(|table| TableName { schema: table.schema.clone(), name: table.name.clone() })
            .collect();
        let (open, chosen) = (Vec::new(), Chosen::default());
        let (needed, gone) = (HashSet::new(), HashSet::new());
        Self { question, about, makes: made, ranges, rows, open, needed, gone, chosen }
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

    /// Whether the target has it. A multirange is there with its range.
    fn is_there(&self, name: &TableName) -> bool {
        let there = self.question.there;
        there.contains(name) || self.ranges.get(name).is_some_and(|range| there.contains(*range))
    }

    /// Something must be there: it is made unless the target has it.
    fn need(&mut self, name: &TableName) {
        if !self.is_there(name) && self.makes.contains(name) && self.needed.insert(name.clone()) {
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
}
