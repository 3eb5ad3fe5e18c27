//! A script for `psql`, with which statement stands on which of its lines.

use std::collections::VecDeque;

use super::{failure::Failure, noted::Noted, statement::Statement};
use crate::postgres::PsqlError;

/// How many statements are remembered: far more than `psql` reads ahead.
const REMEMBERED: usize = 20_000;

/// Counts the lines of what is sent.
#[derive(Debug, Default)]
pub(super) struct ScriptLog {
    lines: usize,
    /// The last line of each statement, and what it is.
    statements: VecDeque<(usize, Noted)>,
}

impl ScriptLog {
    /// Notes a statement that is sent, and adds it to `script`.
    pub(super) fn add(&mut self, statement: &Statement, script: &mut Vec<u8>) {
        self.add_text(&statement.text, statement.into(), script);
    }

    /// Notes statements of our own.
    pub(super) fn add_own(&mut self, sql: &str, script: &mut Vec<u8>) {
        self.add_text(sql.as_bytes(), Noted::own("a setting of the session"), script);
    }

    /// Notes the last line of what somebody else sends.
    pub(super) fn note(&mut self, line: usize, noted: Noted) {
        self.statements.push_back((line, noted));
        if self.statements.len() > REMEMBERED {
            self.statements.pop_front();
        }
    }

    fn add_text(&mut self, text: &[u8], noted: Noted, script: &mut Vec<u8>) {
        script.extend_from_slice(text);
        script.push(b'\n');
        // psql says the line on which a statement ended.
        self.lines += memchr::memchr_iter(b'\n', text).count() + 1;
        self.note(self.lines, noted);
    }

    /// What `psql` stopped at.
    pub(super) fn failure(&self, error: &PsqlError) -> Failure {
        let found =
            line_of(error).and_then(|line| self.statements.iter().find(|(last, _)| *last >= line));
        Failure::of_psql(found.map(|(_, noted)| noted), error)
    }
}

/// The line at which `psql` stopped, where it said so.
pub(super) fn line_of(error: &PsqlError) -> Option<usize> {
    match error {
        PsqlError::Stopped { line, .. } => *line,
        PsqlError::Tls(_) | PsqlError::Process(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{super::blame::Blame, *};

    #[test]
    fn an_error_s_line_leads_to_its_statement() {
        let (mut log, mut script) = (ScriptLog::default(), Vec::new());
        log.add_own("SET x = 1;", &mut script);
        for sql in ["CREATE TABLE a.one (\n    x int\n);", "CREATE TABLE a.two ();"] {
            log.add(&Statement::read(&Bytes::from_static(sql.as_bytes())), &mut script);
        }
        for (line, at) in [(2, "table a.one"), (4, "table a.one"), (5, "table a.two")] {
            let (message, named, line) = ("no".into(), None, Some(line));
            let error = PsqlError::Stopped { message, named, line, code: None, of_code: false };
            let failure = log.failure(&error);
            assert_eq!(failure.at.as_deref(), Some(at), "{line:?}");
            assert_eq!(failure.blame, Blame::Definition, "{line:?}");
        }
        assert_eq!(
            script,
            b"SET x = 1;\nCREATE TABLE a.one (\n    x int\n);\nCREATE TABLE a.two ();\n"
        );
    }
}
