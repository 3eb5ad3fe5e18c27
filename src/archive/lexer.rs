//! Finds where SQL statements end, in the text that `pg_dump` writes.
//!
//! The rules are those of `psql`'s own lexer (PostgreSQL source,
//! `src/fe_utils/psqlscan.l`): quotes, escape strings, dollar quotes, nested
//! comments, parentheses, and the `BEGIN ATOMIC … END` bodies of SQL functions
//! may all hold a semicolon that ends nothing. A line that starts with a
//! backslash where a statement could start is a `psql` command of its own.

use memchr::{memchr, memchr2};

/// A lexer that has read a statement up to some point and goes on when more
/// text arrives. It works on the bytes of one statement, given from the
/// statement's first byte at each call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lexer {
    /// Bytes of the statement that are understood.
    position: usize,
    state: State,
    parens: u32,
    /// Depth of `BEGIN ATOMIC` and of the `CASE`s inside it.
    atomic: u32,
    /// The statement's first words, as far as they decide how it is read.
    words: Words,
    /// Whether a token has been seen, so that a backslash no longer starts a command.
    begun: bool,
    /// Where the first token stands, of this statement or the one that just ended.
    first: usize,
    /// Whether a backslash stood outside quotes and comments within a statement,
    /// which `psql` takes for a command wherever it stands.
    strayed: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    /// `'…'`, where `''` closes and opens again.
    Quoted,
    /// `E'…'`, where a backslash takes the next byte with it.
    Escaped,
    /// `"…"`
    Identifier,
    /// `-- …`
    LineComment,
    /// `/* … */`, with its depth.
    BlockComment(u32),
    /// `$tag$ … $tag$`, with the whole delimiter.
    Dollar(Vec<u8>),
    /// `\command …`
    Command,
}

/// Which words a statement began with: `CREATE [OR REPLACE] FUNCTION` is the
/// only one in which `BEGIN` opens a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Words {
    #[default]
    None,
    Create,
    CreateOr,
    CreateOrReplace,
    Routine,
    Other,
}

impl Lexer {
    /// Reads on in `statement`, which begins with what earlier calls were given.
    /// Returns the statement's length, with its semicolon or newline, once its
    /// end is there; the lexer is then ready for the next statement.
    pub(crate) fn end_of_statement(&mut self, statement: &[u8]) -> Option<usize> {
        while self.position < statement.len() {
            let rest = &statement[self.position..];
            let step = match &self.state {
                State::Plain => self.plain(statement),
                State::Quoted => self.until(b'\'', rest),
                State::Identifier => self.until(b'"', rest),
                State::LineComment => self.until(b'\n', rest),
                State::Escaped => self.escaped(rest),
                State::BlockComment(depth) => {
                    let depth = *depth;
                    self.block_comment(rest, depth)
                }
                State::Dollar(delimiter) => {
                    let found = memchr::memmem::find(rest, delimiter);
                    let (length, keep) = (delimiter.len(), delimiter.len() - 1);
                    match found {
                        Some(at) => {
                            self.state = State::Plain;
                            Step::Over(at + length)
                        }
                        // The delimiter may be cut by the end of what is here.
                        None => Step::Wait(rest.len().saturating_sub(keep)),
                    }
                }
                State::Command => match memchr(b'\n', rest) {
                    Some(at) => Step::End(at + 1),
                    None => Step::Wait(rest.len()),
                },
            };
            match step {
                Step::Over(length) => self.position += length,
                Step::Wait(length) => {
                    self.position += length;
                    return None;
                }
                Step::End(length) => {
                    let end = self.position + length;
                    *self = Self { strayed: self.strayed, first: self.first, ..Self::default() };
                    return Some(end);
                }
            }
        }
        None
    }

    /// Takes what is understood as gone: the next call gives the statement from
    /// there on. Returns how many bytes that are, so that whoever reads a
    /// statement of any length need not keep it.
    pub(crate) fn forget(&mut self) -> usize {
        self.first = self.first.saturating_sub(self.position);
        std::mem::take(&mut self.position)
    }

    /// Where the statement's first token stands in what was given, white space
    /// and comments before it: of the one that just ended, or of this one once
    /// it [has begun](Self::has_begun). 0 where it was forgotten.
    pub(crate) fn first_token(&self) -> usize {
        self.first
    }

    /// Whether more than white space and comments was read of this statement.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether nothing but white space and comments has been read since the last statement.
    pub(crate) fn is_between_statements(&self) -> bool {
        !self.begun && matches!(self.state, State::Plain | State::LineComment)
    }

    /// Whether any statement so far held a backslash outside quotes and comments.
    pub(crate) fn strayed(&self) -> bool {
        self.strayed
    }

    fn until(&mut self, close: u8, rest: &[u8]) -> Step {
        match memchr(close, rest) {
            Some(at) => {
                self.state = State::Plain;
                Step::Over(at + 1)
            }
            None => Step::Wait(rest.len()),
        }
    }

    fn escaped(&mut self, rest: &[u8]) -> Step {
        match memchr2(b'\'', b'\\', rest) {
            Some(at) if rest[at] == b'\'' => {
                self.state = State::Plain;
                Step::Over(at + 1)
            }
            Some(at) if at + 1 < rest.len() => Step::Over(at + 2),
            Some(at) => Step::Wait(at),
            None => Step::Wait(rest.len()),
        }
    }

    fn block_comment(&mut self, rest: &[u8], depth: u32) -> Step {
        match memchr2(b'*', b'/', rest) {
            None => Step::Wait(rest.len()),
            Some(at) if at + 1 >= rest.len() => Step::Wait(at),
            Some(at) => {
                let (depth, length) = match &rest[at..at + 2] {
                    b"/*" => (depth + 1, 2),
                    b"*/" => (depth - 1, 2),
                    _ => (depth, 1),
                };
                self.state = if depth == 0 { State::Plain } else { State::BlockComment(depth) };
                Step::Over(at + length)
            }
        }
    }

    /// One token outside quotes and comments.
    fn plain(&mut self, statement: &[u8]) -> Step {
        let rest = &statement[self.position..];
        let next = rest.get(1).copied();
        match rest[0] {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0x0b => Step::Over(1),
            b'-' | b'/' if next.is_none() => Step::Wait(0),
            b'-' if next == Some(b'-') => {
                self.state = State::LineComment;
                Step::Over(2)
            }
            b'/' if next == Some(b'*') => {
                self.state = State::BlockComment(1);
                Step::Over(2)
            }
            b'\\' if !self.begun => {
                self.begin();
                self.state = State::Command;
                Step::Over(1)
            }
            byte => {
                self.begin();
                self.strayed |= byte == b'\\';
                self.token(byte, rest)
            }
        }
    }

    fn begin(&mut self) {
        if !self.begun {
            (self.begun, self.first) = (true, self.position);
        }
    }

    fn token(&mut self, byte: u8, rest: &[u8]) -> Step {
        match byte {
            b';' if self.parens == 0 && self.atomic == 0 => Step::End(1),
            b'\'' => {
                self.state = State::Quoted;
                Step::Over(1)
            }
            b'"' => {
                self.words = self.words.then(b"\"");
                self.state = State::Identifier;
                Step::Over(1)
            }
            b'(' => {
                self.parens += 1;
                Step::Over(1)
            }
            b')' => {
                self.parens = self.parens.saturating_sub(1);
                Step::Over(1)
            }
            b'$' => self.dollar(rest),
            byte if is_word_start(byte) => {
                let length = rest.iter().position(|&b| !is_word(b));
                // A word at the end of what is here may go on.
                let Some(length) = length else { return Step::Wait(0) };
                self.word(&rest[..length], rest[length])
            }
            // A number takes its letters and dollars with it, so that `1$a$`
            // does not look like a quote.
            byte if byte.is_ascii_digit() => match rest.iter().position(|&b| !is_word(b)) {
                Some(length) => Step::Over(length),
                None => Step::Wait(0),
            },
            _ => Step::Over(1),
        }
    }

    fn word(&mut self, word: &[u8], next: u8) -> Step {
        if next == b'\'' && word.eq_ignore_ascii_case(b"e") {
            self.state = State::Escaped;
            return Step::Over(word.len() + 1);
        }
        self.words = self.words.then(word);
        if self.words == Words::Routine && self.parens == 0 {
            let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
            if is("begin") || (self.atomic > 0 && is("case")) {
                self.atomic += 1;
            } else if is("end") {
                self.atomic = self.atomic.saturating_sub(1);
            }
        }
        Step::Over(word.len())
    }

    fn dollar(&mut self, rest: &[u8]) -> Step {
        let tag = rest[1..].iter().position(|&b| b == b'$' || !is_word(b));
        match tag {
            None => Step::Wait(0),
            Some(at) if rest[1 + at] == b'$' && !rest[1].is_ascii_digit() => {
                let delimiter = &rest[..at + 2];
                self.state = State::Dollar(delimiter.to_vec());
                Step::Over(delimiter.len())
            }
            Some(_) => Step::Over(1),
        }
    }
}

impl Words {
    fn then(self, word: &[u8]) -> Self {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
        match self {
            Self::None if is("create") => Self::Create,
            Self::Create if is("or") => Self::CreateOr,
            Self::CreateOr if is("replace") => Self::CreateOrReplace,
            Self::Create | Self::CreateOrReplace if is("function") || is("procedure") => {
                Self::Routine
            }
            Self::Routine => Self::Routine,
            _ => Self::Other,
        }
    }
}

/// How far the lexer got.
enum Step {
    /// This many bytes are understood; go on.
    Over(usize),
    /// This many bytes are understood, and more text is needed for the next.
    Wait(usize),
    /// The statement ends after this many bytes.
    End(usize),
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}
