//! Whether the text of a member is what the manifest says: one whole COPY of
//! its table, or whole statements. The text comes in pieces of any size.

use memchr::{memchr_iter, memmem};

use super::finding::Problem;
use crate::{
    archive::{
        copy::{self, CopyHeader},
        lexer::Lexer,
        manifest::{Manifest, Table},
        map::Holds,
        split::{COMPLETE, TAIL},
    },
    postgres::Section,
};

/// The longest COPY statement that is looked for, in bytes: a table has at most
/// 1600 columns, with names of 63 bytes.
const LONGEST_COPY: usize = 1024 * 1024;

/// The longest word or number outside quotes that is waited for, in bytes: a
/// name has 63 of them at most, and a number 150,000 digits.
const LONGEST_TOKEN: usize = 1024 * 1024;

/// What a member's text turned out to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Its rows; none where it holds statements.
    pub(super) rows: u64,
    /// The end of its text, where it holds statements.
    pub(super) tail: Vec<u8>,
}

/// Checks the text of one member.
pub(super) enum TextCheck<'m> {
    Rows(Rows<'m>),
    Statements(Statements),
}

impl<'m> TextCheck<'m> {
    pub(super) fn of(holds: Holds, manifest: &'m Manifest) -> Self {
        match holds {
            Holds::Statements { section, .. } => Self::Statements(Statements::of(section)),
            Holds::Rows { table, .. } => Self::Rows(Rows::of(&manifest.tables[table])),
        }
    }

    pub(super) fn push(&mut self, text: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Rows(rows) => rows.push(text),
            Self::Statements(statements) => statements.push(text),
        }
    }

    pub(super) fn finish(self) -> Result<Held, Problem> {
        match self {
            Self::Rows(rows) => rows.finish(),
            Self::Statements(statements) => statements.finish(),
        }
    }
}

fn wrong(detail: &str) -> Problem {
    Problem::Text { detail: detail.to_owned() }
}

/// `COPY schema.table (columns) FROM stdin;`, whole rows, `\.`, and nothing else.
pub(super) struct Rows<'m> {
    table: &'m Table,
    /// What there is of the statement, while it is not whole.
    statement: Vec<u8>,
    stage: Stage,
    /// Lines so far, the one that ends the data included.
    lines: u64,
    /// The last bytes, in which the end of the data may have begun.
    last: Vec<u8>,
}

#[derive(PartialEq)]
enum Stage {
    Statement,
    Rows,
    Ended,
}

/// The line that ends the data, with the newline before it.
const END: &[u8] = b"\n\\.\n";

impl<'m> Rows<'m> {
    fn of(table: &'m Table) -> Self {
        let (statement, last) = (Vec::new(), Vec::with_capacity(2 * END.len()));
        Self { table, statement, stage: Stage::Statement, lines: 0, last }
    }

    fn push(&mut self, text: &[u8]) -> Result<(), Problem> {
        match self.stage {
            Stage::Statement => {
                // A text that is there whole is not copied.
                if self.statement.is_empty()
                    && let Some(length) = self.statement_of(text)?
                {
                    return self.rows(&text[length..]);
                }
                self.statement.extend_from_slice(text);
                let held = std::mem::take(&mut self.statement);
                if let Some(length) = self.statement_of(&held)? {
                    return self.rows(&held[length..]);
                }
                self.statement = held;
                Ok(())
            }
            Stage::Rows => self.rows(text),
            Stage::Ended if text.is_empty() => Ok(()),
            Stage::Ended => Err(wrong("something follows the end of its data")),
        }
    }

    /// The length of the COPY statement with its newline, once it is there.
    fn statement_of(&mut self, text: &[u8]) -> Result<Option<usize>, Problem> {
        let looked_at = &text[..text.len().min(LONGEST_COPY)];
        let end = Lexer::default().end_of_statement(looked_at).filter(|&end| end < text.len());
        let Some(end) = end else {
            return if looked_at.len() < LONGEST_COPY {
                Ok(None)
            } else {
                Err(wrong("it does not begin with a COPY statement"))
            };
        };
        let Some(header) = copy::parse(copy::skip_comments(&text[..end])) else {
            return Err(wrong("it does not begin with a COPY statement"));
        };
        let Table { schema, name, columns, .. } = self.table;
        let expected =
            CopyHeader { schema: schema.clone(), table: name.clone(), columns: columns.clone() };
        if header != expected {
            return Err(Problem::Copy { expected: shown(&expected), found: shown(&header) });
        }
        if text[end] != b'\n' {
            return Err(wrong("its COPY statement is not followed by a new line"));
        }
        self.stage = Stage::Rows;
        self.last.push(b'\n');
        Ok(Some(end + 1))
    }

    fn rows(&mut self, text: &[u8]) -> Result<(), Problem> {
        self.lines += memchr_iter(b'\n', text).count() as u64;
        // The end may have begun before this piece.
        let before = self.last.len();
        self.last.extend_from_slice(&text[..text.len().min(END.len() - 1)]);
        let end = match memmem::find(&self.last, END) {
            Some(at) => Some((at + END.len()).saturating_sub(before)),
            None => memmem::find(text, END).map(|at| at + END.len()),
        };
        self.last.truncate(before);
        match end {
            Some(end) if end < text.len() => Err(wrong("something follows the end of its data")),
            Some(_) => {
                self.stage = Stage::Ended;
                Ok(())
            }
            None => {
                keep_last(&mut self.last, text, END.len() - 1);
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<Held, Problem> {
        match self.stage {
            Stage::Statement => Err(wrong("it does not begin with a COPY statement")),
            Stage::Rows => Err(wrong("its data do not end with \"\\.\" on a line of its own")),
            Stage::Ended => Ok(Held { rows: self.lines - 1, tail: Vec::new() }),
        }
    }
}

fn shown(header: &CopyHeader) -> String {
    let CopyHeader { schema, table, columns } = header;
    told(&format!("rows of {schema}.{table} ({})", columns.join(", ")))
}

/// The most of an archive's own text that a finding repeats, in characters: all
/// findings together have to stay below what is read of a verdict.
const TOLD: usize = 500;

/// A text of the archive as a finding repeats it.
pub(crate) fn told(text: &str) -> String {
    match text.char_indices().nth(TOLD) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Keeps the last `length` bytes of what was kept and of `text`.
fn keep_last(kept: &mut Vec<u8>, text: &[u8], length: usize) {
    let newest = &text[text.len().saturating_sub(length)..];
    let excess = (kept.len() + newest.len()).saturating_sub(length).min(kept.len());
    kept.drain(..excess);
    kept.extend_from_slice(newest);
}

/// Statements that end where the text does.
///
/// A statement may be of any length, in a sound dump and more so in a damaged
/// one. What is kept of it is what can still decide something: its beginning,
/// by which a COPY is known, and the token that is not whole yet.
pub(super) struct Statements {
    section: Section,
    lexer: Lexer,
    /// Text that the lexer has not understood yet.
    rest: Vec<u8>,
    /// How the statement begins that is being read, in the data section.
    beginning: Vec<u8>,
    tail: Vec<u8>,
}

impl Statements {
    fn of(section: Section) -> Self {
        let (rest, beginning, tail) = (Vec::new(), Vec::new(), Vec::with_capacity(2 * TAIL));
        Self { section, lexer: Lexer::default(), rest, beginning, tail }
    }

    fn push(&mut self, text: &[u8]) -> Result<(), Problem> {
        keep_last(&mut self.tail, text, TAIL);
        if self.rest.is_empty() {
            let read = self.read(text)?;
            self.rest.extend_from_slice(&text[read..]);
        } else {
            let mut rest = std::mem::take(&mut self.rest);
            rest.extend_from_slice(text);
            let read = self.read(&rest)?;
            rest.drain(..read);
            // A buffer that once held a large piece does not stay large.
            rest.shrink_to(LONGEST_TOKEN);
            self.rest = rest;
        }
        if self.rest.len() > LONGEST_TOKEN {
            return Err(wrong("it holds a longer word than any dump does"));
        }
        Ok(())
    }

    /// Reads as far as it can; returns how many bytes need not be given again.
    fn read(&mut self, text: &[u8]) -> Result<usize, Problem> {
        let mut start = 0;
        while let Some(length) = self.lexer.end_of_statement(&text[start..]) {
            let statement = &text[start + self.lexer.first_token()..start + length];
            self.begins(statement);
            if let Some(header) = copy::parse(&self.beginning) {
                let found = shown(&header);
                return Err(Problem::Copy { expected: "no rows".to_owned(), found });
            }
            self.beginning.clear();
            start += length;
        }
        let first = self.lexer.first_token();
        let understood = self.lexer.forget();
        if self.lexer.has_begun() {
            self.begins(&text[start + first..start + understood]);
        }
        Ok(start + understood)
    }

    /// Keeps the next bytes of a statement, as far as a COPY goes.
    fn begins(&mut self, statement: &[u8]) {
        if self.section == Section::Data {
            let room = LONGEST_COPY - self.beginning.len();
            self.beginning.extend_from_slice(&statement[..statement.len().min(room)]);
        }
    }

    fn finish(self) -> Result<Held, Problem> {
        if self.lexer.is_between_statements() {
            Ok(Held { rows: 0, tail: self.tail })
        } else {
            Err(wrong("it ends inside a statement"))
        }
    }
}

/// Whether the end of a section's text is the one that `pg_dump` writes.
pub(super) fn is_complete(tail: &[u8]) -> bool {
    memmem::find(tail, COMPLETE).is_some()
}

/// Appends `text` to what is kept of a section's end.
pub(super) fn keep_tail(kept: &mut Vec<u8>, text: &[u8]) {
    keep_last(kept, text, TAIL);
}

#[cfg(test)]
mod tests;
