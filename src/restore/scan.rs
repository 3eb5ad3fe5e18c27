//! Reads a whole dump as one stream: its statements, and how many rows stand
//! between them. Memory is bounded by the longest statement; rows may be longer.

use bytes::{Buf as _, BytesMut};
use memchr::{memchr_iter, memmem};

use super::{
    kind::Kind,
    script::{self, ScriptError},
    statement::Statement,
};
use crate::archive::{
    END_OF_DATA, TableName,
    copy::{self, skip_comments},
    lexer::Lexer,
};

/// The comment in which `pg_dump` says what it dumped.
const SERVER: &[u8] = b"-- Dumped from database version ";

/// How `pg_dump`'s own text begins, and how it ends. What else made a dump may
/// have taken its comments away.
const OWN: &[u8] = b"-- PostgreSQL database dump\n";
const COMPLETE: &[u8] = b"-- PostgreSQL database dump complete";

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// A statement, and the line of the script on which it ends.
    Statement {
        /// It.
        statement: Statement,
        /// The line, from 1.
        line: usize,
    },
    /// All rows of one COPY.
    Rows {
        /// Its table.
        table: TableName,
        /// How many.
        rows: u64,
        /// The line on which they end.
        line: usize,
    },
}

/// Reads a dump piece by piece.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    buffer: BytesMut,
    lexer: Lexer,
    /// Newlines read.
    lines: usize,
    rows: Option<(TableName, u64)>,
    /// Whether the buffer begins where a row does.
    row_begins: bool,
    server: Option<String>,
    /// What was read and may be sent on, where it shall be: without the psql
    /// commands, line for line.
    passed: Option<Vec<u8>>,
    refused: Option<ScriptError>,
    /// Whether it began as `pg_dump`'s own text; unknown before its first statement.
    own: Option<bool>,
    /// Whether nothing but psql commands followed the comment that ends it.
    complete: bool,
}

impl Scanner {
    /// One that keeps what it has read for [`Scanner::passed`].
    pub(super) fn passing() -> Self {
        Self { passed: Some(Vec::new()), ..Self::default() }
    }

    /// What was read since the last call and may be sent to `psql`, a newline
    /// in the place of each of its commands.
    pub(super) fn passed(&mut self) -> Vec<u8> {
        self.passed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Why what comes next may not be sent to `psql`.
    pub(super) fn refused(&mut self) -> Result<(), ScriptError> {
        self.refused.take().map_or(Ok(()), Err)
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// What could be read of it.
    pub(super) fn next(&mut self) -> Option<Scanned> {
        if self.rows.is_some() {
            return self.rows();
        }
        let length = self.lexer.end_of_statement(&self.buffer)?;
        let copied = copy::parse(skip_comments(&self.buffer[..length]));
        if copied.is_some() && self.buffer.get(length).is_none() {
            // The newline before the rows is not here yet; the lexer begins anew.
            return None;
        }
        let text = self.buffer.split_to(length).freeze();
        let statement = Statement::read(&text);
        if let Err(error) = script::judge(&statement, &self.lexer) {
            self.refused = Some(error);
            return None;
        }
        // Rows that begin on the line of their COPY are read otherwise by psql.
        if copied.is_some() && !self.buffer.starts_with(b"\n") {
            self.refused = Some(ScriptError::Unfinished(statement.beginning()));
            return None;
        }
        self.own.get_or_insert_with(|| memmem::find(&text, OWN).is_some());
        let ends = memmem::find(&text, COMPLETE).is_some();
        self.complete = statement.kind == Kind::Command && (self.complete || ends);
        if let Some(passed) = &mut self.passed {
            if statement.kind == Kind::Command {
                passed.extend_from_slice(&text[..text.len() - statement.text.len()]);
                passed.push(b'\n');
            } else {
                passed.extend_from_slice(&text);
            }
            passed.extend(copied.as_ref().map(|_| b'\n'));
        }
        self.lines += memchr_iter(b'\n', &text).count();
        // A command ends with its newline, which belongs to its own line.
        let line = self.lines + usize::from(!text.ends_with(b"\n"));
        if let Some(header) = copied {
            self.buffer.advance(1);
            self.lines += 1;
            self.rows = Some((TableName { schema: header.schema, name: header.table }, 0));
            self.row_begins = true;
        }
        if self.server.is_none()
            && let Some(at) = memmem::find(&text, SERVER)
        {
            let rest = &text[at + SERVER.len()..];
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            self.server = Some(String::from_utf8_lossy(&rest[..end]).into_owned());
        }
        Some(Scanned::Statement { statement, line })
    }

    fn rows(&mut self) -> Option<Scanned> {
        let (_, rows) = self.rows.as_mut()?;
        let end = if self.row_begins && self.buffer.starts_with(END_OF_DATA) {
            Some(0)
        } else {
            memmem::find(&self.buffer, b"\n\\.\n").map(|at| at + 1)
        };
        if let Some(end) = end {
            let found = memchr_iter(b'\n', &self.buffer[..end]).count();
            *rows += found as u64;
            self.lines += found + 1;
            self.take(end + END_OF_DATA.len());
            let line = self.lines;
            return self.rows.take().map(|(table, rows)| Scanned::Rows { table, rows, line });
        }
        // What may be the end stays, and nothing else: a row may be as long as
        // a server's memory, and must not be looked at again with every piece.
        let settled = self.buffer.len().saturating_sub(END_OF_DATA.len());
        if let Some(last) = settled.checked_sub(1) {
            let found = memchr_iter(b'\n', &self.buffer[..settled]).count();
            *rows += found as u64;
            self.lines += found;
            self.row_begins = self.buffer[last] == b'\n';
            self.take(settled);
        }
        None
    }

    /// Goes on behind this many bytes of rows.
    fn take(&mut self, length: usize) {
        if let Some(passed) = &mut self.passed {
            passed.extend_from_slice(&self.buffer[..length]);
        }
        self.buffer.advance(length);
    }

    /// The version of the server that was dumped.
    pub(super) fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// The dump is at its end; whether it says so itself.
    pub(super) fn finish(self) -> Result<bool, String> {
        if let Some((table, _)) = self.rows {
            return Err(format!("it ends inside the rows of {table}"));
        }
        if !self.lexer.is_between_statements() {
            return Err("it ends inside a statement".to_owned());
        }
        let complete = self.complete || memmem::find(&self.buffer, COMPLETE).is_some();
        if self.own == Some(true) && !complete {
            return Err("it does not say at its end that it is complete".to_owned());
        }
        Ok(complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "--\n-- PostgreSQL database dump\n--\n\\restrict x\n\n\
        -- Dumped from database version 15.3 (Debian)\n\nSET row_security = off;\n\n\
        CREATE TABLE a.t (\n    x int\n);\n\n\
        COPY a.t (x) FROM stdin;\n1\n\\\\.\n3\n\\.\n\n\nCOPY a.u (x) FROM stdin;\n\\.\n\n\
        CREATE INDEX i ON a.t USING btree (x);\n\n--\n-- PostgreSQL database dump complete\n--\n\n";

    fn scan(size: usize) -> (Vec<String>, Scanner) {
        let (mut scanner, mut said) = (Scanner::default(), Vec::new());
        for piece in DUMP.as_bytes().chunks(size) {
            scanner.push(piece);
            while let Some(scanned) = scanner.next() {
                said.push(match scanned {
                    Scanned::Statement { statement, line } => format!("{line}: {statement}"),
                    Scanned::Rows { table, rows, line } => {
                        format!("{line}: {rows} rows of {table}")
                    }
                });
            }
        }
        (said, scanner)
    }

    #[test]
    fn statements_and_rows_are_read_wherever_the_stream_is_cut() {
        for size in [1, 2, 3, 7, 50, 10_000] {
            let (said, scanner) = scan(size);
            assert_eq!(
                said,
                [
                    "4: psql command \\restrict x",
                    "8: setting row_security",
                    "12: table a.t",
                    "14: statement COPY a.t (x) FROM stdin;",
                    "18: 3 rows of a.t",
                    "21: statement COPY a.u (x) FROM stdin;",
                    "22: 0 rows of a.u",
                    "24: index a.i of a.t",
                ],
                "{size}"
            );
            assert_eq!(scanner.server(), Some("15.3 (Debian)"));
            assert_eq!(scanner.finish(), Ok(true));
        }
    }

    /// However long a row is, each of its bytes is looked at once.
    #[test]
    fn nothing_of_a_row_is_kept_that_cannot_be_its_end() {
        let mut scanner = Scanner::passing();
        let mut passed = Vec::new();
        let mut text = b"COPY a.t (x) FROM stdin;\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 1 << 20));
        text.extend(b"\\.\n\\.x\n.\n\\.\n");
        let mut said = Vec::new();
        for piece in text.chunks(1 << 14) {
            scanner.push(piece);
            while let Some(scanned) = scanner.next() {
                said.push(scanned);
            }
            assert!(scanner.buffer.len() <= END_OF_DATA.len(), "{}", scanner.buffer.len());
            passed.extend(scanner.passed());
        }
        assert!(matches!(said[1], Scanned::Rows { rows: 3, line: 5, .. }), "{:?}", said[1]);
        assert!(passed == text, "not what was read");
    }

    #[test]
    fn a_dump_that_is_cut_short_is_told_from_a_whole_one() {
        for (end, what) in [
            ("3\n\\.", "rows of a.t"),
            ("CREATE INDEX i", "inside a statement"),
            ("\nCREATE INDEX i", "does not say at its end"),
            ("\n\nCREATE TABLE a.t", "does not say at its end"),
        ] {
            let at = DUMP.find(end).unwrap() + 1;
            let mut scanner = Scanner::default();
            scanner.push(&DUMP.as_bytes()[..at]);
            while scanner.next().is_some() {}
            let said = scanner.finish().unwrap_err();
            assert!(said.contains(what), "{said}");
        }
        let mut bare = Scanner::default();
        bare.push(b"SET x = 1;\nSELECT 1;\n");
        while bare.next().is_some() {}
        assert_eq!(bare.finish(), Ok(false));
    }
}
