//! A section's text, cut into statements.

use bytes::Bytes;

use super::{
    kind::Kind,
    statement::Statement,
    tokens::{Cursor, TokenKind, tokens},
};
use crate::archive::lexer::Lexer;

/// Commands of psql that dumps hold. They guard psql against the dump's own
/// text; here it is guarded with a key of ours, which no archive knows.
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
    /// A backslash where `psql` takes one for a command.
    #[error(
        "the archive holds a backslash outside quotes, where psql would take it for a command, \
         in {0:?}; no dump of one database does, and nothing of it is run"
    )]
    Backslash(String),
    /// A setting by which strings are read otherwise than here.
    #[error(
        "the archive sets standard_conforming_strings to something else than on ({0:?}), which \
         no dump does: where its strings end could not be told"
    )]
    Strings(String),
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
        judge(&statement, &lexer)?;
        if statement.kind != Kind::Command {
            statements.push(statement);
        }
    }
    if lexer.is_between_statements() {
        Ok(statements)
    } else {
        let rest = String::from_utf8_lossy(&text[start..]).trim().chars().take(80).collect();
        Err(ScriptError::Unfinished(rest))
    }
}

/// Refuses what no dump holds and what could make `psql` do anything but send
/// the statement to the server. `lexer` has just read it.
pub(super) fn judge(statement: &Statement, lexer: &Lexer) -> Result<(), ScriptError> {
    if lexer.strayed() {
        return Err(ScriptError::Backslash(statement.beginning()));
    }
    match statement.kind {
        Kind::Command if !is_harmless(&statement.text) => {
            Err(ScriptError::Command(statement.beginning()))
        }
        Kind::Setting if changes_strings(&statement.text) => {
            Err(ScriptError::Strings(statement.beginning()))
        }
        _ => Ok(()),
    }
}

/// Whether a setting lets strings end elsewhere than where they end by default.
fn changes_strings(setting: &[u8]) -> bool {
    const NAME: &str = "standard_conforming_strings";
    let tokens = tokens(setting);
    let mut cursor = Cursor::new(&tokens);
    if cursor.words("set") {
        let _ = cursor.words("session") || cursor.words("local");
        let ours = cursor.identifier().is_some_and(|name| name.eq_ignore_ascii_case(NAME));
        let _ = cursor.symbol(b'=') || cursor.words("to");
        return ours && !cursor.words("on");
    }
    // Called as a function: dumps set this one otherwise.
    let texts = tokens.iter().filter_map(|token| match &token.kind {
        TokenKind::Text(text) => Some(text),
        _ => None,
    });
    texts.into_iter().any(|text| text.eq_ignore_ascii_case(NAME))
}

fn is_harmless(command: &[u8]) -> bool {
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
    fn a_backslash_outside_quotes_is_refused_wherever_it_stands() {
        for text in [
            "SELECT 1\n\\! touch x\n;",
            "SELECT 1 \\gexec\n;",
            "CREATE FUNCTION a.f() RETURNS int BEGIN ATOMIC SELECT 1 \\! x\n; END;",
        ] {
            assert!(matches!(kinds(text), Err(ScriptError::Backslash(_))), "{text}");
        }
        let quoted = "SELECT '\\! x', E'\\\\', \"\\\", $a$\\! x$a$ /* \\! x */ -- \\! x\n;";
        assert_eq!(kinds(quoted), Ok(vec![Kind::Other]));
    }

    #[test]
    fn strings_that_end_elsewhere_are_refused() {
        for text in [
            "SET standard_conforming_strings = off;",
            "SET Standard_Conforming_Strings TO 'off';",
            "SET SESSION \"standard_conforming_strings\" = 0;",
            "SET LOCAL standard_conforming_strings TO DEFAULT;",
            "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);",
        ] {
            assert!(matches!(kinds(text), Err(ScriptError::Strings(_))), "{text}");
        }
        let usual = "SET standard_conforming_strings = on;\n\
                     SELECT pg_catalog.set_config('search_path', '', false);";
        assert_eq!(kinds(usual), Ok(vec![Kind::Setting, Kind::Setting]));
    }

    #[test]
    fn a_script_that_does_not_end_is_refused() {
        assert!(matches!(kinds("CREATE TABLE a.t ("), Err(ScriptError::Unfinished(_))));
    }
}
