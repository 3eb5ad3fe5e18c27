//! What the server had taken of a legacy archive when `psql` stopped.
//!
//! `psql` reads behind what is sent to it, so that what was sent says nothing of
//! what is there. It says itself where it stopped, and whatever ends before that
//! line is done.

use super::super::{
    kind::Kind,
    statement::Statement,
    stopped::Loaded,
    tokens::{Cursor, tokens},
};

/// The line of what is done when its transaction is, which no line ends yet.
const OPEN: usize = usize::MAX;

/// The rows that were sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Of each COPY, the line with which they are there, and how many.
    copies: Vec<(usize, u64)>,
    /// Where the first COPY of a transaction that is open is, among all.
    transaction: Option<usize>,
}

impl Sent {
    /// Notes a statement, which may begin a transaction or end one.
    pub(super) fn statement(&mut self, statement: &Statement, line: usize) {
        if !matches!(statement.kind, Kind::Transaction | Kind::Other) {
            return;
        }
        let tokens = tokens(&statement.text);
        let mut cursor = Cursor::new(&tokens);
        if cursor.words("begin") || cursor.words("start transaction") {
            self.transaction.get_or_insert(self.copies.len());
        } else if cursor.words("commit") || cursor.words("end") {
            for (ends, _) in self.copies.iter_mut().skip(self.transaction.take().unwrap_or(OPEN)) {
                *ends = line;
            }
        } else if cursor.words("rollback") || cursor.words("abort") {
            self.transaction = None;
        }
    }

    /// Notes the rows of one COPY, and the line on which they end.
    pub(super) fn rows(&mut self, rows: u64, line: usize) {
        self.copies.push((if self.transaction.is_some() { OPEN } else { line }, rows));
    }

    /// What was there when `psql` stopped at a line.
    pub(super) fn before(&self, line: usize) -> Loaded {
        let done = self.copies.iter().filter(|(ends, _)| *ends < line);
        done.fold(Loaded::default(), |loaded, (_, rows)| Loaded {
            tables: loaded.tables + 1,
            rows: loaded.rows + rows,
        })
    }

    /// What is there when it has come to its end.
    pub(super) fn all(&self) -> Loaded {
        self.before(OPEN)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn statement(sql: &'static str) -> Statement {
        Statement::read(&Bytes::from_static(sql.as_bytes()))
    }

    #[test]
    fn only_what_ends_before_the_line_at_which_psql_stopped_was_loaded() {
        let mut sent = Sent::default();
        sent.statement(&statement("ALTER TABLE a.t OWNER TO nobody;"), 3);
        sent.rows(10, 15);
        sent.rows(5, 22);
        let loaded = |line| {
            let Loaded { tables, rows } = sent.before(line);
            (tables, rows)
        };
        assert_eq!(loaded(3), (0, 0));
        assert_eq!(loaded(15), (0, 0), "its own rows were refused");
        assert_eq!(loaded(16), (1, 10));
        assert_eq!(loaded(22), (1, 10));
        assert_eq!(loaded(30), (2, 15));
        assert_eq!(sent.all(), Loaded { tables: 2, rows: 15 });
    }

    #[test]
    fn what_a_transaction_holds_is_loaded_when_it_ends() {
        for (begin, end, there) in [
            ("BEGIN;", "COMMIT;", 15),
            ("START TRANSACTION;", "END;", 15),
            ("begin;", "rollback;", 3),
        ] {
            let mut sent = Sent::default();
            sent.rows(3, 5);
            sent.statement(&statement(begin), 6);
            sent.rows(12, 10);
            assert_eq!(sent.before(12).rows, 3, "{begin}");
            sent.statement(&statement(end), 14);
            assert_eq!((sent.before(14).rows, sent.before(15).rows), (3, there), "{end}");
            sent.rows(1, 20);
            assert_eq!(sent.all().rows, there + 1, "{end}");
        }
    }
}
