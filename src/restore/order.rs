//! In which order the post-data statements may run, and which of them at once.
//!
//! `pg_dump` writes them so that each comes after what it needs. Building an
//! index needs only its table and its rows, so that all indexes may be built at
//! once; foreign keys need the keys that they point at; what else there is
//! stays in its order. An index that mentions something that post-data itself
//! makes stays in its order too.

use std::collections::HashSet;

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
    // A table whose keys are not all built at once must be waited for.
    let mut waiting: HashSet<TableName> = HashSet::new();
    let mut in_order = false;
    for statement in post_data {
        // A setting after the first statement is for those that follow it.
        if statement.kind == Kind::Setting && !in_order {
            waves.settings.push(statement);
            continue;
        }
        in_order = true;
        let free = || {
            statement.relation.as_ref().is_none_or(|relation| !late.contains(relation))
                && statement.mentions().iter().all(|name| !late.contains(name))
        };
        match statement.kind {
            Kind::Index | Kind::Key if free() => waves.indexes.push(statement),
            Kind::Index | Kind::Key => {
                waiting.extend(statement.relation.clone());
                waves.ordered.push(statement);
            }
            Kind::AttachIndex if waiting.is_empty() => waves.attach.push(statement),
            Kind::ForeignKey
                if free() && statement.other.as_ref().is_some_and(|o| !waiting.contains(o)) =>
            {
                waves.foreign_keys.push(statement);
            }
            _ => waves.ordered.push(statement),
        }
    }
    waves
}

/// What post-data makes that something else may stand on.
fn late(post_data: &[Statement]) -> HashSet<TableName> {
    const MAKES: [Kind; 7] = [
        Kind::View,
        Kind::MaterializedView,
        Kind::Table,
        Kind::Routine,
        Kind::Type,
        Kind::OperatorClass,
        Kind::Sequence,
    ];
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
        assert!(waves.attach.is_empty());
        assert_eq!(waves.ordered.len(), 4);
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
