//! Cuts the text of a dump into members that are each complete in themselves.
//!
//! Outside COPY the text is read statement by statement (see `lexer.rs`).
//! Inside COPY, text format escapes everything but the row ends: a row ends at a
//! newline, and the data end at a line that is exactly `\.`. A COPY that has
//! grown past the member size is closed at a row's end and opened again with
//! the same statement in the next member. A single row larger than a member is
//! handed on in several pieces, so that memory never depends on the data.

use memchr::{memchr, memchr_iter, memmem, memrchr};

use super::{copy, copy::CopyHeader, lexer::Lexer};
use crate::postgres::Section;

/// What ends the data of a COPY, on a line of its own.
pub const END_OF_DATA: &[u8] = b"\\.\n";

/// What `pg_dump` writes when it has said everything.
pub(super) const COMPLETE: &[u8] = b"-- PostgreSQL database dump complete\n";

/// How much of a section's end is kept to look for [`COMPLETE`]: the line, the
/// `\unrestrict` command that newer versions put after it, and room to spare.
pub(super) const TAIL: usize = 512;

/// How much of a statement is shown in a message, in bytes.
const SHOWN: usize = 100;

/// What a member holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Statements of a section; for [`Section::Data`], all that is not a COPY.
    Statements(Section),
    /// Rows of the table that the last [`Sink::table`] named.
    Rows,
}

/// Receives the members, in order.
pub trait Sink {
    /// A table's data begin; the members that follow with [`Content::Rows`] are its own.
    fn table(&mut self, header: CopyHeader);

    /// A piece of a member's text. The last piece of a member has `end`, the
    /// number of rows that the whole member holds (0 for statements).
    ///
    /// Returns an empty buffer to fill, perhaps one that was used before.
    fn piece(&mut self, content: &Content, text: Vec<u8>, end: Option<u64>) -> Vec<u8>;
}

/// A dump's text that cannot be trusted to be whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The end is missing.
    #[error("the {} section of the dump is cut short: {what}", .section.name())]
    Incomplete {
        /// Which section.
        section: Section,
        /// What was missing at its end.
        what: String,
    },
    /// A byte that no dump holds.
    #[error("the {} section of the dump holds a NUL byte, which is no SQL text", .0.name())]
    Nul(Section),
}

/// Splits one section.
#[derive(Debug)]
pub struct Splitter {
    section: Section,
    member_size: usize,
    /// Text of the open member that has not been handed on.
    buffer: Vec<u8>,
    /// Whether pieces of the open member were handed on before.
    pieces_before: bool,
    state: State,
    tail: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Statements {
        lexer: Lexer,
        /// Where in the buffer the statement begins that is being read.
        start: usize,
    },
    Rows {
        /// `COPY … FROM stdin;` and a newline, without comments.
        statement: Vec<u8>,
        /// Name for messages.
        table: String,
        /// Where in the buffer the rows begin.
        rows_start: usize,
        /// Up to where the buffer was searched for the end of the data.
        searched: usize,
    },
}

impl Splitter {
    /// A splitter of one section that begins a new member after `member_size`
    /// bytes of text. `buffer` is an empty buffer to begin with.
    #[must_use]
    pub fn new(section: Section, member_size: usize, buffer: Vec<u8>) -> Self {
        Self {
            section,
            member_size,
            buffer,
            pieces_before: false,
            state: State::Statements { lexer: Lexer::default(), start: 0 },
            tail: Vec::with_capacity(2 * TAIL),
        }
    }

    /// Takes the next bytes of the section, cut anywhere.
    ///
    /// # Errors
    /// When the text cannot be a dump.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), SplitError> {
        if memchr(0, bytes).is_some() {
            return Err(SplitError::Nul(self.section));
        }
        self.remember_tail(bytes);
        self.buffer.extend_from_slice(bytes);
        loop {
            let goes_on = match self.state {
                State::Statements { .. } => self.statements(sink),
                State::Rows { .. } => self.rows(sink),
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// The section's text is at its end.
    ///
    /// # Errors
    /// When it ends in the middle of a table or a statement, or does not say
    /// that it is complete.
    pub fn finish(mut self, sink: &mut impl Sink) -> Result<Vec<u8>, SplitError> {
        let section = self.section;
        let incomplete = |what: String| Err(SplitError::Incomplete { section, what });
        match &self.state {
            State::Rows { table, .. } => {
                return incomplete(format!("it ends inside the rows of {table}"));
            }
            State::Statements { lexer, start } if !lexer.is_between_statements() => {
                let what = match section {
                    // It may hold a large object's bytes.
                    Section::Data => "it ends inside a statement".to_owned(),
                    _ => format!(
                        "it ends inside the statement that begins {:?}",
                        beginning(&self.buffer[*start..])
                    ),
                };
                return incomplete(what);
            }
            State::Statements { .. } => {}
        }
        if memmem::find(&self.tail, COMPLETE).is_none() {
            return incomplete("its closing line \"dump complete\" is missing".to_owned());
        }
        self.flush_statements(self.buffer.len(), sink);
        Ok(self.buffer)
    }

    fn remember_tail(&mut self, bytes: &[u8]) {
        let newest = &bytes[bytes.len().saturating_sub(TAIL)..];
        let keep = TAIL - newest.len();
        let excess = self.tail.len().saturating_sub(keep);
        self.tail.drain(..excess);
        self.tail.extend_from_slice(newest);
    }

    /// Reads statements as far as the buffer goes; true when rows follow.
    fn statements(&mut self, sink: &mut impl Sink) -> bool {
        let State::Statements { lexer, start } = &mut self.state else { return false };
        while let Some(length) = lexer.end_of_statement(&self.buffer[*start..]) {
            let end = *start + length;
            if self.section == Section::Data
                && let Some(header) = copy::parse(copy::skip_comments(&self.buffer[*start..end]))
            {
                let start = *start;
                // The rows begin on the next line, which may not be here yet:
                // then the statement is read again when it is.
                let Some(newline) = memchr(b'\n', &self.buffer[end..]) else { return false };
                let rows_start = end + newline + 1 - start;
                self.flush_statements(start, sink);
                let mut statement = copy::skip_comments(&self.buffer[..rows_start]).to_vec();
                statement.truncate(statement.trim_ascii_end().len());
                statement.push(b'\n');
                let table = format!("{}.{}", header.schema, header.table);
                sink.table(header);
                self.state = State::Rows { statement, table, rows_start, searched: rows_start };
                return true;
            }
            *start = end;
            if end >= self.member_size {
                self.flush_statements(end, sink);
                // The state was set to the start of the buffer by the flush.
                return true;
            }
        }
        false
    }

    /// Ends the member of statements after `end` bytes of the buffer, and
    /// begins the next with what is left.
    fn flush_statements(&mut self, end: usize, sink: &mut impl Sink) {
        if end > 0 {
            let rest = self.buffer[end..].to_vec();
            self.buffer.truncate(end);
            let text = std::mem::take(&mut self.buffer);
            self.buffer = sink.piece(&Content::Statements(self.section), text, Some(0));
            self.buffer.extend_from_slice(&rest);
        }
        self.state = State::Statements { lexer: Lexer::default(), start: 0 };
    }

    /// Hands on rows where there are enough; true when it may be done again,
    /// and when the table's data ended and statements follow.
    fn rows(&mut self, sink: &mut impl Sink) -> bool {
        let State::Rows { statement, rows_start, searched, .. } = &mut self.state else {
            return false;
        };
        // The newline before the end of data may be the COPY statement's own,
        // or one that was searched already.
        let from = searched.saturating_sub(END_OF_DATA.len()).max(rows_start.saturating_sub(1));
        if let Some(at) = memmem::find(&self.buffer[from..], b"\n\\.\n") {
            let end = from + at + 1;
            let rows = count_rows(&self.buffer[*rows_start..end]);
            self.hand_on(end + END_OF_DATA.len(), b"", Some(rows), sink);
            self.state = State::Statements { lexer: Lexer::default(), start: 0 };
            return true;
        }
        *searched = self.buffer.len();
        if !self.pieces_before && self.buffer.len() < self.member_size {
            return false;
        }
        // Whatever may be the beginning of the end stays in the buffer.
        let settled = self.buffer.len().saturating_sub(END_OF_DATA.len()).max(*rows_start);
        if let Some(newline) = memrchr(b'\n', &self.buffer[*rows_start..settled]) {
            let cut = *rows_start + newline + 1;
            let rows = count_rows(&self.buffer[*rows_start..cut]);
            *rows_start = statement.len();
            let statement = statement.clone();
            self.hand_on(cut, &statement, Some(rows), sink);
        } else if self.buffer.len() >= self.member_size && settled > *rows_start {
            // One row fills the member: hand on what is settled of it.
            *rows_start = 0;
            self.hand_on(settled, b"", None, sink);
        } else {
            return false;
        }
        if let State::Rows { searched, .. } = &mut self.state {
            *searched = self.buffer.len();
        }
        true
    }

    /// Hands on the first `end` bytes of the buffer, closing the COPY where a
    /// new one is opened with `reopen` for the rest.
    fn hand_on(&mut self, end: usize, reopen: &[u8], rows: Option<u64>, sink: &mut impl Sink) {
        let rest = self.buffer[end..].to_vec();
        self.buffer.truncate(end);
        if !reopen.is_empty() {
            self.buffer.extend_from_slice(END_OF_DATA);
        }
        let text = std::mem::take(&mut self.buffer);
        self.buffer = sink.piece(&Content::Rows, text, rows);
        self.buffer.extend_from_slice(reopen);
        self.buffer.extend_from_slice(&rest);
        self.pieces_before = rows.is_none();
    }
}

/// The first line of a statement, as far as it fits into a message.
fn beginning(statement: &[u8]) -> String {
    let statement = copy::skip_comments(statement);
    let line = statement.split(|&byte| byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(&line[..line.len().min(SHOWN)]).into_owned()
}

fn count_rows(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests;
