//! A section's text, cut into statements.

use bytes::Bytes;

use super::{kind::Kind, statement::Statement};
use crate::archive::lexer::Lexer;

/// Commands of psql that dumps hold. They guard psql against the dump's own
/// text; what is sent to it here holds no command at all, which is the stronger guard.
const HARMLESS: [&[u8]; 2] = [b"\\restrict", b"\\unrestrict"];

/// A section that is no dump's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A psql command that could do anything.
    #[error(
        "the archive holds the psql command {0:?}, which no dump of one database holds; \
         it is not run"
    )]
    Command(String),
    /// A statement does not end.
    #[error("the archive's statements end in the middle of one: {0:?}")]
    Unfinished(String),
}

/// Cuts a section's text into its statements, without psql commands.
///
/// # Errors
/// When it holds a psql command other than `\restrict`, or does not end.
pub(super) fn cut(text: &Bytes) -> Result<Vec<Statement>, ScriptError> {
    let mut statements = Vec::new();
    let mut lexer = Lexer::default();
    let mut start = 0;
    while let Some(length) = lexer.end_of_statement(&text[start..]) {
        let statement = Statement::read(&text.slice(start..start + length));
        start += length;
        if statement.kind != Kind::Command {
            statements.push(statement);
        } else if !is_harmless(&statement.text) {
            return Err(ScriptError::Command(statement.beginning()));
        }
    }
    if lexer.is_between_statements() {
        Ok(statements)
    } else {
        let rest = String::from_utf8_lossy(&text[start..]).trim().chars().take(80).collect();
        Err(ScriptError::Unfinished(rest))
    }
}

pub(super) fn is_harmless(command: &[u8]) -> bool {
    let end = command.iter().position(u8::is_ascii_whitespace).unwrap_or(command.len());
    HARMLESS.contains(&&command[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &'static str) -> Result<Vec<Kind>, ScriptError> {
        let cut = cut(&Bytes::from_static(text.as_bytes()))?;
        Ok(cut.iter().map(|statement| statement.kind).collect())
    }

    #[test]
    fn a_script_is_cut_into_its_statements() {
        let text = "--\n-- x\n--\n\n\\restrict abc\n\nSET row_security = off;\n\
                    CREATE FUNCTION a.f() RETURNS int LANGUAGE sql AS $$ select 1; $$;\n\
                    CREATE TABLE a.t (x text DEFAULT '\n\\! true\n');\n\n\
                    -- PostgreSQL database dump complete\n\\unrestrict abc\n\n";
        assert_eq!(kinds(text), Ok(vec![Kind::Setting, Kind::Routine, Kind::Table]));
    }

    #[test]
    fn a_command_that_no_dump_holds_is_refused() {
        for text in ["\\! rm -rf /\n", "-- Name: x\n\\connect other\nSELECT 1;", "\\restrictx\n"] {
            assert!(matches!(kinds(text), Err(ScriptError::Command(_))), "{text}");
        }
    }

    #[test]
    fn a_script_that_does_not_end_is_refused() {
        assert!(matches!(kinds("CREATE TABLE a.t ("), Err(ScriptError::Unfinished(_))));
    }
}
