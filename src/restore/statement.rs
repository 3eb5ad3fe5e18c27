//! What a statement of a dump makes or changes.
//!
//! It is the statement that is read, not `pg_dump`'s comment above it: a name
//! with a newline in it can write any comment it likes. What is not understood
//! is [`Kind::Other`], and stays where it stands.

mod parse;

use std::fmt;

use bytes::Bytes;

use self::parse::plain;
use super::{
    kind::Kind,
    tokens::{Cursor, TokenKind, mentions, tokens},
};
use crate::{
    archive::{TableName, copy::skip_comments},
    postgres::quote,
};

/// With what a statement begins that is not understood and defines something.
const DEFINING: [&[u8]; 7] =
    [b"create", b"alter", b"comment", b"security", b"grant", b"revoke", b"set"];

/// One statement of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without the comments before it.
    pub text: Bytes,
    /// What it is about.
    pub kind: Kind,
    /// What it makes or changes; the schema is empty for what has none.
    pub object: Option<TableName>,
    /// The table, view or materialized view that it is or belongs to.
    pub relation: Option<TableName>,
    /// The other table of a foreign key or an ATTACH, the function of a trigger, the
    /// multirange of a range type.
    pub other: Option<TableName>,
    /// Roles that it names.
    pub roles: Vec<String>,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.noun())?;
        if let Some(object) = &self.object {
            write!(f, " {}", name_of(object))?;
        } else if self.kind == Kind::LargeObjectData {
            return Ok(());
        } else if self.relation.is_none() {
            return write!(f, " {}", self.beginning());
        }
        match &self.relation {
            Some(relation) if self.object.as_ref() != Some(relation) => {
                write!(f, " of {}", name_of(relation))
            }
            _ => Ok(()),
        }
    }
}

/// A name as SQL writes it.
pub(super) fn name_of(name: &TableName) -> String {
    if name.schema.is_empty() {
        quote(&name.name)
    } else {
        format!("{}.{}", quote(&name.schema), quote(&name.name))
    }
}

/// A table that SQL names so, as an expression of the server: its number.
pub(super) fn oid_of(table: &str) -> String {
    let literal = table.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{literal}'::pg_catalog.regclass::pg_catalog.oid")
}

impl Statement {
    /// Reads a statement, with or without comments before it.
    #[must_use]
    pub fn read(text: &Bytes) -> Self {
        let bare = skip_comments(text);
        let text = text.slice_ref(bare);
        let mut statement = Self {
            text: text.clone(),
            kind: Kind::Other,
            object: None,
            relation: None,
            other: None,
            roles: Vec::new(),
        };
        if bare.starts_with(b"\\") {
            statement.kind = Kind::Command;
            return statement;
        }
        // Only its beginning matters, and a function's body or a large object
        // may be long; mentions are looked for where they are needed.
        let tokens = tokens(bare);
        let mut cursor = Cursor::new(&tokens);
        let understood = if cursor.words("create") {
            statement.create(cursor)
        } else if cursor.words("alter") {
            statement.alter(cursor)
        } else if cursor.words("comment on") {
            statement.comment(cursor)
        } else if cursor.words("select pg_catalog") {
            statement.call(cursor)
        } else if cursor.words("refresh materialized view") {
            statement.of_relation(Kind::Refresh, cursor.name())
        } else if cursor.words("set") {
            statement.object(Kind::Setting, cursor.identifier().map(plain))
        } else {
            let ends = cursor.words("begin") || cursor.words("commit");
            statement.kind = if ends { Kind::Transaction } else { Kind::Other };
            Some(())
        };
        if understood.is_none() {
            statement.kind = Kind::Other;
        }
        statement
    }

    /// The kind of what it defines; `None` where it speaks of rows alone, or may: an
    /// `INSERT`, say.
    #[must_use]
    pub fn defines(&self) -> Option<Kind> {
        let defines = match self.kind {
            Kind::Transaction
            | Kind::Command
            | Kind::LargeObject
            | Kind::LargeObjectData
            | Kind::SequenceValue => false,
            Kind::Other => {
                let end = self.text.iter().position(|byte| !byte.is_ascii_alphabetic());
                let word = self.text[..end.unwrap_or(self.text.len())].to_ascii_lowercase();
                DEFINING.contains(&&word[..])
            }
            _ => true,
        };
        defines.then_some(self.kind)
    }

    /// The schema in which it creates an extension.
    #[must_use]
    pub fn home_of_extension(&self) -> Option<String> {
        let creates = self.kind == Kind::Extension && self.text.starts_with(b"CREATE ");
        let tokens = if creates { tokens(&self.text) } else { Vec::new() };
        let mut sql = Cursor::new(&tokens);
        sql.skip_to("with schema").then(|| sql.identifier()).flatten()
    }

    /// Whether it enables row-level security and does not force it upon the owner.
    #[must_use]
    pub fn enables_row_security(&self) -> bool {
        self.kind == Kind::RowSecurity
            && self.text.trim_ascii_end().ends_with(b" ENABLE ROW LEVEL SECURITY;")
    }

    /// The constraint that it adds without looking at the rows that are there: its
    /// table or domain, and its name.
    #[must_use]
    pub fn adds_unvalidated(&self) -> Option<(TableName, String)> {
        let may = matches!(self.kind, Kind::Constraint | Kind::ForeignKey | Kind::Type);
        let tokens = if may { tokens(&self.text) } else { Vec::new() };
        let mut sql = Cursor::new(&tokens);
        sql.words("alter").then_some(())?;
        (sql.words("table") || sql.words("foreign table") || sql.words("domain")).then_some(())?;
        let _ = sql.words("only");
        let of = sql.name()?;
        sql.words("add constraint").then_some(())?;
        let name = sql.identifier()?;
        sql.skip_to("not valid").then_some((of, name))
    }

    /// Every qualified name that it mentions.
    #[must_use]
    pub fn mentions(&self) -> Vec<TableName> {
        mentions(&tokens(&self.text))
    }

    /// Every plain or quoted word of it.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let words = tokens(&self.text).into_iter().filter_map(|token| match token.kind {
            TokenKind::Word(word) | TokenKind::Quoted(word) => Some(word),
            _ => None,
        });
        words.collect()
    }

    /// The first words, for a message; of an `INSERT` none of its values.
    #[must_use]
    pub fn beginning(&self) -> String {
        let text = String::from_utf8_lossy(&self.text);
        let words = text.split_whitespace().take(6);
        let words: Vec<&str> =
            words.take_while(|word| !word.to_ascii_lowercase().starts_with("values")).collect();
        words.join(" ").chars().take(60).collect()
    }
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
