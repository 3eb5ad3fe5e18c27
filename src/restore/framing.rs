//! Takes the rows out of a data member: what stands between its COPY statement
//! and its `\.`.

use crate::archive::{
    END_OF_DATA,
    copy::{self, CopyHeader},
    lexer::Lexer,
};

/// Longer than any COPY statement, in bytes.
const LONGEST: usize = 1 << 20;

/// A data member whose text is not one COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FramingError {
    /// It does not begin with a COPY statement.
    #[error("does not begin with a COPY statement")]
    Begin,
    /// It does not end with the end of data.
    #[error("does not end with the end of its data")]
    End,
}

/// Reads a member piece by piece.
#[derive(Debug, Default)]
pub(super) struct Framing {
    /// What there is of the statement, until its end is there.
    before: Vec<u8>,
    lexer: Lexer,
    /// Where in `before` the statement ends.
    end: Option<usize>,
    begun: bool,
    /// The last bytes, which may be the end of data.
    held: Vec<u8>,
}

/// A COPY statement, and the table that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// The statement, without comments before it.
    pub(super) statement: String,
    /// What it names.
    pub(super) header: CopyHeader,
}

impl Framing {
    /// Looks for the statement in the first pieces; once it is there, returns it
    /// with the rows that follow it in this piece.
    pub(super) fn begin<'a>(
        &mut self,
        piece: &'a [u8],
    ) -> Result<Option<(Begun, &'a [u8])>, FramingError> {
        let had = self.before.len();
        self.before.extend_from_slice(&piece[..piece.len().min(LONGEST)]);
        if self.end.is_none() {
            self.end = self.lexer.end_of_statement(&self.before);
        }
        // The rows begin on the next line, whose newline may not be here yet.
        let Some(end) = self.end.filter(|end| *end < self.before.len()) else {
            let too_long = self.before.len() >= LONGEST;
            return if too_long { Err(FramingError::Begin) } else { Ok(None) };
        };
        let statement = copy::skip_comments(&self.before[..end]);
        let header = copy::parse(statement).ok_or(FramingError::Begin)?;
        let statement = std::str::from_utf8(statement).map_err(|_| FramingError::Begin)?.to_owned();
        if self.before[end] != b'\n' {
            return Err(FramingError::Begin);
        }
        let rows = end + 1 - had;
        self.begun = true;
        self.before = Vec::new();
        Ok(Some((Begun { statement, header }, &piece[rows..])))
    }

    /// What of these rows, and of those held back, may be sent.
    pub(super) fn rows<'a>(&mut self, piece: &'a [u8]) -> (Vec<u8>, &'a [u8]) {
        let keep = END_OF_DATA.len();
        if piece.len() >= keep {
            let (now, later) = piece.split_at(piece.len() - keep);
            return (std::mem::replace(&mut self.held, later.to_vec()), now);
        }
        self.held.extend_from_slice(piece);
        let excess = self.held.len().saturating_sub(keep);
        (self.held.drain(..excess).collect(), &[])
    }

    /// The member is at its end.
    pub(super) fn finish(self) -> Result<(), FramingError> {
        if !self.begun {
            return Err(FramingError::Begin);
        }
        if self.held == END_OF_DATA { Ok(()) } else { Err(FramingError::End) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statement and the rows of a member that comes in pieces.
    fn read(text: &[u8], size: usize) -> Result<(String, Vec<u8>), FramingError> {
        let mut framing = Framing::default();
        let (mut statement, mut rows) = (None, Vec::new());
        for piece in text.chunks(size) {
            let mut piece = piece;
            if statement.is_none() {
                let Some((begun, rest)) = framing.begin(piece)? else { continue };
                statement = Some(begun.statement);
                piece = rest;
            }
            let (held, now) = framing.rows(piece);
            rows.extend(held);
            rows.extend_from_slice(now);
        }
        framing.finish()?;
        Ok((statement.unwrap_or_default(), rows))
    }

    #[test]
    fn the_rows_are_what_stands_between_wherever_it_is_cut() {
        let text = b"--\n-- Data for Name: t\n--\n\nCOPY a.\"x FROM stdin;\n\\.\n\" (b) FROM stdin;\n1\n\\\\.\n2\n\\.\n";
        let statement = "COPY a.\"x FROM stdin;\n\\.\n\" (b) FROM stdin;";
        for size in [1, 2, 3, 5, 7, 1000] {
            match read(text, size) {
                Ok(found) => {
                    assert_eq!(found, (statement.to_owned(), b"1\n\\\\.\n2\n".to_vec()), "{size}");
                }
                Err(error) => panic!("{size}: {error}"),
            }
        }
    }

    #[test]
    fn no_rows_at_all_are_no_rows() {
        let (_, rows) = read(b"COPY a.b (c) FROM stdin;\n\\.\n", 1000).unwrap();
        assert!(rows.is_empty());
    }

    #[test]
    fn what_is_no_whole_copy_is_refused() {
        for (text, error) in [
            (&b"SELECT 1;\n1\n\\.\n"[..], FramingError::Begin),
            (b"COPY a.b (c) FROM stdin;\n1\n", FramingError::End),
            (b"COPY a.b (c) FROM stdin;\n\\.\n\n", FramingError::End),
            (b"COPY a.b (c) FROM", FramingError::Begin),
        ] {
            assert_eq!(read(text, 1000), Err(error));
        }
    }
}
