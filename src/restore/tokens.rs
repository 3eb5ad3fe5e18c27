//! Reads a statement word by word, as far as restoring needs to know it.
//!
//! The statement was cut by the archive's own lexer, so that its quotes and
//! comments are known to end. Nothing here decides where a statement ends.

use std::ops::Range;

use memchr::{memchr, memmem};

use crate::archive::TableName;

/// A piece of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Where it stands in the statement, in bytes.
    pub(super) range: Range<usize>,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word without quotes: a keyword or a plain name.
    Word(String),
    /// A name in double quotes, as it is stored.
    Quoted(String),
    /// A string in single quotes, as it is stored, as far as its escapes are plain.
    Text(String),
    /// One other byte.
    Symbol(u8),
}

/// Cuts a statement into its tokens; white space and comments are passed over.
pub(super) fn tokens(sql: &[u8]) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < sql.len() {
        let rest = &sql[at..];
        let (kind, length) = match rest[0] {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => (None, 1),
            b'-' if rest.starts_with(b"--") => {
                (None, memchr(b'\n', rest).map_or(rest.len(), |end| end + 1))
            }
            b'/' if rest.starts_with(b"/*") => (None, block_comment(rest)),
            b'"' => {
                let (name, length) = closed(rest, b'"', false);
                (Some(TokenKind::Quoted(name)), length)
            }
            b'\'' => {
                let (text, length) = closed(rest, b'\'', false);
                (Some(TokenKind::Text(text)), length)
            }
            b'E' | b'e' if rest.get(1) == Some(&b'\'') => {
                let (text, length) = closed(&rest[1..], b'\'', true);
                (Some(TokenKind::Text(text)), length + 1)
            }
            b'$' => match dollar(rest) {
                Some(length) => (Some(TokenKind::Text(String::new())), length),
                None => (Some(TokenKind::Symbol(b'$')), 1),
            },
            byte if is_word_start(byte) => {
                let length = rest.iter().position(|&b| !is_word(b)).unwrap_or(rest.len());
                let word = String::from_utf8_lossy(&rest[..length]).into_owned();
                (Some(TokenKind::Word(word)), length)
            }
            // A number takes its letters with it.
            byte if byte.is_ascii_digit() => {
                (None, rest.iter().position(|&b| !is_word(b)).unwrap_or(rest.len()))
            }
            byte => (Some(TokenKind::Symbol(byte)), 1),
        };
        if let Some(kind) = kind {
            found.push(Token { kind, range: at..at + length });
        }
        at += length;
    }
    found
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

/// What stands between two quotes, and the length with them.
fn closed(rest: &[u8], quote: u8, escapes: bool) -> (String, usize) {
    let mut text = Vec::new();
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' if escapes && at + 1 < rest.len() => {
                text.push(rest[at + 1]);
                at += 2;
            }
            byte if byte == quote && rest.get(at + 1) == Some(&quote) => {
                text.push(quote);
                at += 2;
            }
            byte if byte == quote => {
                at += 1;
                break;
            }
            byte => {
                text.push(byte);
                at += 1;
            }
        }
    }
    (String::from_utf8_lossy(&text).into_owned(), at)
}

/// The length of a dollar-quoted string.
fn dollar(rest: &[u8]) -> Option<usize> {
    let tag = rest[1..].iter().position(|&b| b == b'$' || !is_word(b))?;
    if rest[1 + tag] != b'$' || rest[1].is_ascii_digit() {
        return None;
    }
    let delimiter = &rest[..tag + 2];
    let end = memmem::find(&rest[delimiter.len()..], delimiter);
    Some(end.map_or(rest.len(), |end| end + 2 * delimiter.len()))
}

/// Reads tokens from the left.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    tokens: &'a [Token],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Self {
        Self { tokens }
    }

    /// The tokens that are left.
    pub(super) fn rest(&self) -> &'a [Token] {
        self.tokens
    }

    /// Takes these words, in this order, or none of them.
    pub(super) fn words(&mut self, words: &str) -> bool {
        let mut tokens = self.tokens;
        for wanted in words.split(' ') {
            match tokens.split_first() {
                Some((Token { kind: TokenKind::Word(word), .. }, rest))
                    if word.eq_ignore_ascii_case(wanted) =>
                {
                    tokens = rest;
                }
                _ => return false,
            }
        }
        self.tokens = tokens;
        true
    }

    /// Takes a symbol.
    pub(super) fn symbol(&mut self, symbol: u8) -> bool {
        match self.tokens.split_first() {
            Some((Token { kind: TokenKind::Symbol(found), .. }, rest)) if *found == symbol => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes one name.
    pub(super) fn identifier(&mut self) -> Option<String> {
        let (token, rest) = self.tokens.split_first()?;
        let (TokenKind::Word(name) | TokenKind::Quoted(name)) = &token.kind else { return None };
        self.tokens = rest;
        Some(name.clone())
    }

    /// Takes `schema.name`, or a name alone, whose schema is then empty.
    pub(super) fn name(&mut self) -> Option<TableName> {
        let first = self.identifier()?;
        if self.symbol(b'.') {
            return Some(TableName { schema: first, name: self.identifier()? });
        }
        Some(TableName { schema: String::new(), name: first })
    }

    /// Takes `schema.<#`, the name of an operator.
    pub(super) fn operator(&mut self) -> Option<TableName> {
        let mut there = self.clone();
        let schema = there.identifier()?;
        there.symbol(b'.').then_some(())?;
        let mut name = String::new();
        let mut end = None;
        while let Some((Token { kind: TokenKind::Symbol(symbol), range }, rest)) =
            there.tokens.split_first()
        {
            // An operator is one word.
            let adjoins = end.is_none_or(|end| end == range.start);
            if !adjoins || !b"+-*/<>=~!@#%^&|`?".contains(symbol) {
                break;
            }
            name.push(char::from(*symbol));
            end = Some(range.end);
            there.tokens = rest;
        }
        if name.is_empty() {
            return None;
        }
        *self = there;
        Some(TableName { schema, name })
    }

    /// Takes a string.
    pub(super) fn text(&mut self) -> Option<String> {
        match self.tokens.split_first() {
            Some((Token { kind: TokenKind::Text(text), .. }, rest)) => {
                self.tokens = rest;
                Some(text.clone())
            }
            _ => None,
        }
    }

    /// Goes on to just after the first of these words that no parenthesis
    /// holds; stays where there is none.
    pub(super) fn skip_to(&mut self, words: &str) -> bool {
        let mut depth = 0_u32;
        for at in 0..self.tokens.len() {
            match self.tokens[at].kind {
                TokenKind::Symbol(b'(') => depth += 1,
                TokenKind::Symbol(b')') => depth = depth.saturating_sub(1),
                _ if depth == 0 => {
                    let mut there = Self { tokens: &self.tokens[at..] };
                    if there.words(words) {
                        *self = there;
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }
}

/// What stands in dollar quotes: the bodies of functions.
pub(super) fn bodies<'a>(sql: &'a [u8], tokens: &[Token]) -> Vec<&'a [u8]> {
    let quoted = tokens.iter().filter(|token| matches!(token.kind, TokenKind::Text(_)));
    let quoted = quoted.map(|token| &sql[token.range.clone()]).filter(|text| text[0] == b'$');
    quoted
        .filter_map(|text| {
            let delimiter = 2 + memchr(b'$', &text[1..])?;
            text.get(delimiter..text.len().checked_sub(delimiter)?)
        })
        .collect()
}

/// Every `schema.name` that a statement mentions, in strings too, where
/// `nextval` names its sequence. Bodies of functions are not looked into.
pub(super) fn mentions(tokens: &[Token]) -> Vec<TableName> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        match &tokens[at].kind {
            TokenKind::Word(_) | TokenKind::Quoted(_) => {
                let mut cursor = Cursor::new(&tokens[at..]);
                if let Some(name) = cursor.operator() {
                    found.push(name);
                } else if let Some(name) = cursor.name().filter(|name| !name.schema.is_empty()) {
                    found.push(name);
                }
            }
            TokenKind::Text(text) => found.extend(qualified(text)),
            TokenKind::Symbol(_) => {}
        }
    }
    found
}

/// Reads a text that is `schema.name` and nothing else.
pub(super) fn qualified(text: &str) -> Option<TableName> {
    let tokens = tokens(text.as_bytes());
    let mut cursor = Cursor::new(&tokens);
    let name = cursor.name()?;
    // A space inside would not be seen otherwise.
    let tight = tokens.windows(2).all(|pair| pair[0].range.end == pair[1].range.start);
    (cursor.rest().is_empty() && tight && !name.schema.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(schema: &str, name: &str) -> TableName {
        TableName { schema: schema.into(), name: name.into() }
    }

    #[test]
    fn names_are_read_as_they_are_stored() {
        let sql = br#"CREATE TABLE "we""ird
".x$1 (a int)"#;
        let tokens = tokens(sql);
        let mut cursor = Cursor::new(&tokens);
        assert!(cursor.words("create table"));
        assert_eq!(cursor.name(), Some(name("we\"ird\n", "x$1")));
        assert!(cursor.symbol(b'('));
    }

    #[test]
    fn what_is_quoted_or_a_comment_is_no_word() {
        let sql = b"ALTER -- TABLE no.no\n /* no.no /* a */ */ TABLE a.b SET x = $t$ no.no $t$ || E'\\' no.no'";
        assert_eq!(mentions(&tokens(sql)), [name("a", "b")]);
    }

    #[test]
    fn a_sequence_is_found_in_its_string() {
        let sql = br#"ALTER TABLE ONLY a."T t" ALTER COLUMN id SET DEFAULT nextval('"S s".seq''x'::regclass)"#;
        assert_eq!(mentions(&tokens(sql)), [name("a", "T t")]);
        let sql = br#"DEFAULT nextval('"S s"."seq''x"'::regclass)"#;
        assert_eq!(mentions(&tokens(sql)), [name("S s", "seq'x")]);
        assert_eq!(qualified("a. b"), None);
        assert_eq!(qualified("a.b.c"), None);
    }

    #[test]
    fn a_body_is_what_its_quotes_hold() {
        for (sql, wanted) in [
            (&b"AS $_$ SELECT $1 $_$; SELECT 'x' || $$y$$"[..], &[&b" SELECT $1 "[..], b"y"][..]),
            (b"AS $$", &[]),
            (b"AS $a$x", &[]),
        ] {
            assert_eq!(bodies(sql, &tokens(sql)), wanted, "{}", String::from_utf8_lossy(sql));
        }
    }

    #[test]
    fn operators_are_names_too() {
        let sql = b"OPERATOR 1 a.<=#(integer,integer), COMMUTATOR = OPERATOR(a.>#)";
        assert_eq!(mentions(&tokens(sql)), [name("a", "<=#"), name("a", ">#")]);
    }

    #[test]
    fn words_in_parentheses_are_passed_over() {
        let sql = b"ADD CONSTRAINT c FOREIGN KEY (references) REFERENCES a.b(id)";
        let tokens = tokens(sql);
        let mut cursor = Cursor::new(&tokens);
        assert!(cursor.skip_to("references"));
        assert_eq!(cursor.name(), Some(name("a", "b")));
    }
}
