//! What a restore will do: the words for it. `planner.rs` makes it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    damage::Damage, guess::Guess, identity::Asked, judge::Class, marks::Marks, order::Waves,
    platform::Platform, statement::Statement,
};
use crate::{
    archive::{Manifest, TableName, manifest::Table},
    postgres::TargetFacts,
};

/// What an archive holds beside its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// The manifest.
    pub manifest: Manifest,
    /// Statements of the pre-data section.
    pub pre_data: Vec<Statement>,
    /// Statements of the post-data section.
    pub post_data: Vec<Statement>,
    /// Of an archive that is known to be damaged, what cannot be read of it.
    pub damage: Option<Damage>,
    /// Relations that said in the source that a restore into it had not finished them, as
    /// SQL writes them.
    pub unfinished: Vec<String>,
}

/// Everything that a restore will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the target is hosted on.
    pub platform: Platform,
    /// Why it is refused; nothing is done where there is a reason.
    pub refusals: Vec<String>,
    /// Which of these reasons are extensions that the target's server does not have.
    pub unmakeable: Vec<String>,
    /// What should be known.
    pub warnings: Vec<String>,
    /// What is skipped.
    pub skipped: Vec<Skipped>,
    /// What a partial restore leaves out of what belongs to its tables, and why.
    pub left_out: Vec<(String, String)>,
    /// Roles that are created.
    pub roles: Vec<String>,
    /// What an earlier part has made and not finished, and this one makes anew.
    pub anew: BTreeSet<TableName>,
    /// Statements that drop what will be created.
    pub drops: Vec<String>,
    /// Names that may go when these drop.
    pub may_go: BTreeSet<TableName>,
    /// Memberships of publications that are made again.
    pub rejoins: BTreeSet<(String, TableName)>,
    /// Foreign keys of tables that stay and that are made again, by table and name.
    pub keys: BTreeSet<(TableName, String)>,
    /// Statements of the pre-data section, settings included.
    pub pre_data: Vec<Statement>,
    /// Extensions among them that are created where that can be.
    pub guesses: Vec<Guess>,
    /// Tables loaded by many sessions, as places in the manifest.
    pub load: Vec<usize>,
    /// Tables that exist, filled in one transaction, in this order.
    pub fill: Vec<Fill>,
    /// What is taken of the data section beside rows.
    pub rest: Rest,
    /// The post-data section.
    pub post_data: Waves,
    /// Foreign keys of tables that are there and are not filled for that: they went when a
    /// table that is made was dropped.
    pub regained: Vec<Statement>,
    /// Statements that are tried at the end.
    pub attempts: Vec<(Statement, Class)>,
    /// Rights on what is made, given in the end for the platform's sake.
    pub grants: Vec<String>,
    /// What says of the relations of a part that they are not whole, until they are.
    pub marks: Marks,
    /// Tables whose rows are counted at the end.
    pub proof: Vec<Expected>,
    /// Tables for ANALYZE, largest first.
    pub analyze: Vec<TableName>,
    /// Members that are read.
    pub members: usize,
    /// Their size in the archive, in bytes.
    pub bytes: u64,
    /// Rows that are loaded.
    pub rows: u64,
    /// Tables whose rows do not come although the archive holds some.
    pub rowless: BTreeSet<TableName>,
}

impl Plan {
    /// What will be lost: a restore that loses something ends with exit code 1.
    pub fn lost(&self) -> impl Iterator<Item = &Skipped> {
        self.skipped.iter().filter(|skipped| skipped.class == Class::DataLoss)
    }
}

/// Something that is not restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// What.
    pub what: String,
    /// Why.
    pub reason: String,
    /// What that means.
    pub class: Class,
}

/// A table that the target has and that is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Its place in the manifest.
    pub table: usize,
    /// Whether its rows are removed first.
    pub empty_first: bool,
    /// Where an extension made it: the clause that tells which rows are not its own.
    pub config: Option<String>,
    /// How its triggers are held off.
    pub hold: Hold,
}

/// How triggers are held off while rows are put into a table that has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The session says that it replicates: foreign keys are not checked either.
    Replica,
    /// The table's own triggers are disabled in the transaction; foreign keys are checked.
    Disable,
    /// They fire: the role may do neither.
    No,
}

/// What is taken of the data section beside rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything; the values of sequences that the archive does not make are only tried.
    All {
        /// The managed schemas.
        managed: BTreeSet<String>,
    },
    /// The values of some sequences.
    Sequences {
        /// These.
        named: BTreeSet<TableName>,
        /// And those of these schemas that the archive does not make: an extension does.
        of_extensions: BTreeSet<String>,
    },
}

/// How many rows a table must have in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The table.
    pub table: TableName,
    /// Its rows in the archive.
    pub rows: u64,
    /// Whether it may have more: an extension that made it put some there.
    pub at_least: bool,
}

/// A table's name.
#[must_use]
pub(super) fn name(table: &Table) -> TableName {
    TableName { schema: table.schema.clone(), name: table.name.clone() }
}

/// What the plan is made from, beside the archive.
#[derive(Clone, Debug)]
pub(super) struct Target<'a> {
    /// The target's facts.
    pub facts: &'a TargetFacts,
    /// Those of its tables that hold rows, or may do so, of the archive's and of
    /// those that point at them.
    pub occupied: &'a BTreeSet<TableName>,
    /// What else the guards ask.
    pub asked: Asked,
}
