//! What `psql` said when it stopped, without any row.
//!
//! Everything that it says while it reads the script begins with the place in
//! it; what follows in further lines may be a value, and so may look like
//! anything. Only what stands where `psql` puts it is read, and what cannot be
//! read is not said.

use super::{super::said::Said, PsqlError};

/// What stands before all that is said of a script.
const PLACE: &str = "psql:<stdin>:";

/// How an error of the server begins, where it speaks English.
const OF_THE_SERVER: [&str; 3] = ["ERROR:", "FATAL:", "PANIC:"];
/// How one of `psql` itself does, which is told to speak it; up to version 14, the
/// gravest are `fatal`.
const OWN: [&str; 2] = ["error:", "fatal:"];
/// And how what is no error.
const NOTICES: [&str; 5] = ["NOTICE:", "WARNING:", "INFO:", "LOG:", "DEBUG:"];
/// Classes of what is no error: success, warning, no data.
const OF_NOTICES: [&str; 3] = ["00", "01", "02"];
/// The longest word for how grave something is, in any language, in characters.
const LONGEST_WORD: usize = 24;

/// Something that was said of the script.
struct Told<'a> {
    line: usize,
    /// Its first line, behind the place.
    text: &'a str,
    /// Its other lines.
    more: Vec<&'a str>,
}

/// What something is that was said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An error of the server.
    Server,
    /// An error of `psql` itself.
    Own,
    /// No error.
    Notice,
}

impl Told<'_> {
    fn kind(&self) -> Option<Kind> {
        let begins = |words: &[&str]| words.iter().any(|word| self.text.starts_with(word));
        match () {
            () if begins(&OF_THE_SERVER) => Some(Kind::Server),
            () if begins(&OWN) => Some(Kind::Own),
            () if begins(&NOTICES) => Some(Kind::Notice),
            () => self.kind_in_any_language(),
        }
    }

    /// `FEHLER:  42P07: …`: how grave it is, the server says in its own language.
    fn kind_in_any_language(&self) -> Option<Kind> {
        let (word, rest) = self.text.split_once(":  ")?;
        let (code, _) = rest.split_once(": ")?;
        let is_word = word.chars().all(|c| c.is_alphabetic() || c == ' ')
            && (1..=LONGEST_WORD).contains(&word.chars().count());
        if !is_word || !is_code(code) {
            return None;
        }
        let is_notice = OF_NOTICES.iter().any(|class| code.starts_with(class));
        Some(if is_notice { Kind::Notice } else { Kind::Server })
    }
}

/// Reads the error of `psql:<stdin>:12: ERROR:  …`.
pub(super) fn stopped(stderr: &str) -> Option<PsqlError> {
    let told = told(stderr);
    if told.is_empty() {
        let message = own_words(stderr).strip_prefix("psql: ")?.trim().to_owned();
        let is_error = OWN.iter().any(|word| message.starts_with(word));
        let code = lost(&message);
        let (named, line, of_code) = (None, None, false);
        let stopped = PsqlError::Stopped { message, named, line, code, of_code };
        return is_error.then_some(stopped);
    }
    // It stops at the first error, so what stands before a notice is none.
    let is_notice = |told: &Told<'_>| told.kind() == Some(Kind::Notice);
    let notice = told.iter().rposition(is_notice).map_or(0, |at| at + 1);
    let mut errors = told[notice..].iter().filter(|told| told.kind().is_some());
    let error = errors.next()?;
    // Several are of one statement, or one of them is part of a value.
    if errors.any(|other| other.line != error.line) {
        return None;
    }
    // The first line is ours.
    let line = Some(error.line.saturating_sub(1));
    if error.kind() == Some(Kind::Server) {
        let (_, text) = error.text.split_once(':')?;
        return without_rows(text.trim_start(), &error.more, line);
    }
    let (message, code) = (error.text.to_owned(), lost(error.text));
    Some(PsqlError::Stopped { message, named: None, line, code, of_code: false })
}

/// The class of an error of `psql` itself: the empty one, where it has lost the server.
fn lost(own: &str) -> Option<String> {
    own.contains("connection to server").then(String::new)
}

/// What `psql` said by itself before it began with the script. A server's notices
/// and warnings may be those of a function, which speaks of rows.
pub(super) fn own_words(stderr: &str) -> String {
    let before = stderr.lines().take_while(|line| !line.starts_with(PLACE));
    let own: Vec<&str> = before.skip_while(|line| !line.starts_with("psql: ")).collect();
    own.join("\n")
}

fn told(stderr: &str) -> Vec<Told<'_>> {
    let mut found: Vec<Told<'_>> = Vec::new();
    for line in stderr.lines() {
        let placed = line.strip_prefix(PLACE).and_then(|rest| {
            let (number, text) = rest.split_once(": ")?;
            Some((number.parse().ok()?, text))
        });
        match (placed, found.last_mut()) {
            (Some((line, text)), _) => found.push(Told { line, text, more: Vec::new() }),
            (None, Some(told)) => told.more.push(line),
            (None, None) => {}
        }
    }
    found
}

/// What the server said, as `psql` shows it: `42P07: relation …`, and lines that
/// begin with the name of a field. Its class is told where the server itself has
/// said it. Nothing where it is not shown like that.
fn without_rows(text: &str, more: &[&str], line: Option<usize>) -> Option<PsqlError> {
    let (code, message) = text.split_once(": ").filter(|(code, _)| is_code(code))?;
    // By where the names stand among all names; the message has none.
    let mut fields: Vec<(Option<usize>, String)> = vec![(None, message.to_owned())];
    for line in more {
        match (field(line), fields.last_mut()) {
            (Some((at, rest)), _) => fields.push((Some(at), rest.to_owned())),
            (None, Some((_, field))) => {
                field.push('\n');
                field.push_str(line);
            }
            (None, None) => {}
        }
    }
    // The server shows each once, in this order. Where a value has lines that look
    // like them, nobody can tell which are its own.
    let is_mixed = !fields.is_sorted_by(|(one, _), (next, _)| one < next);
    let field = |wanted: &str| {
        let has_name = |at: &Option<usize>| at.is_some_and(|at| FIELDS[at] == wanted);
        let found = fields.iter().filter(|_| !is_mixed).find(|(at, _)| has_name(at));
        found.map(|(_, text)| text.as_str())
    };
    let said = Said {
        code,
        message: &fields[0].1,
        detail: field("DETAIL:"),
        hint: field("HINT:"),
        context: field("CONTEXT:"),
        query: if is_mixed { Some("") } else { field("QUERY:") },
        sure: field("LOCATION:").is_some_and(|at| READERS.iter().any(|file| at.contains(file))),
        placed: field("LINE ").is_some(),
    };
    let (message, of_code) = (said.without_rows(), said.is_of_code());
    if said.is_raised() {
        // Its class is what that code took, and only tells what it did not find.
        let code = said.is_of_a_name().then(|| code.to_owned());
        return Some(PsqlError::Stopped { message, named: None, line, code, of_code });
    }
    let with_code = |message: String| format!("{message} (SQLSTATE {code})");
    let (message, named) = (with_code(message), said.with_names().map(with_code));
    Some(PsqlError::Stopped { message, named, line, code: Some(code.to_owned()), of_code })
}

/// Where in the server an error is raised that is of reading code, and so of no value:
/// its parser, and that of PL/pgSQL. A value whose lines look like parts of an error
/// stands before the place where that error was raised, and never in its stead.
const READERS: [&str; 2] = [", parse_", ", pl_"];

/// How the parts of an error begin, in their order. `LINE` shows the statement,
/// with its values.
const FIELDS: [&str; 11] = [
    "LINE ",
    "DETAIL:",
    "HINT:",
    "QUERY:",
    "CONTEXT:",
    "SCHEMA NAME:",
    "TABLE NAME:",
    "COLUMN NAME:",
    "DATATYPE NAME:",
    "CONSTRAINT NAME:",
    "LOCATION:",
];

/// Which part begins with a line, and how it goes on.
fn field(line: &str) -> Option<(usize, &str)> {
    FIELDS.iter().enumerate().find_map(|(at, name)| {
        let rest = line.strip_prefix(name)?;
        let is_field = at > 0 || rest.starts_with(|c: char| c.is_ascii_digit());
        is_field.then(|| (at, rest.trim_start()))
    })
}

fn is_code(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stderr: &str) -> (String, Option<usize>) {
        match stopped(stderr) {
            Some(PsqlError::Stopped { message, line, .. }) => (message, line),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_error_is_found_with_its_line() {
        let stderr = "psql:<stdin>:3: NOTICE:  00000: relation exists, skipping\n\
                      psql:<stdin>:12: ERROR:  42P07: relation \"t\" already exists\n\
                      DETAIL:  It does.\nLOCATION:  f, heap.c:1\n";
        let shown = "relation \"t\" already exists\nDETAIL:  It does. (SQLSTATE 42P07)";
        assert_eq!(said(stderr), (shown.to_owned(), Some(11)));
    }

    #[test]
    fn an_error_is_found_in_whatever_language_the_server_speaks() {
        for (word, own, context) in [
            ("FEHLER", "ungültige Eingabesyntax für Typ integer: »Jane«", "Zeile 2, Spalte a"),
            ("ERREUR", "syntaxe en entrée invalide pour le type integer : « Jane »", "ligne 2"),
            ("ОШИБКА", "неверный синтаксис для типа integer: \"Jane\"", "строка 2, столбец a"),
            ("エラー", "\"integer\"型の入力構文が不正です: \"Jane\"", "行 2, 列 a"),
        ] {
            let stderr = format!(
                "psql:<stdin>:3: HINWEIS:  00000: Jane\npsql:<stdin>:4: CẢNH BÁO:  01000: Jane\n\
                 psql:<stdin>:12: {word}:  22P02: {own}\nCONTEXT:  COPY t, {context}: \"Jane\"\n\
                 LOCATION:  x\n"
            );
            let (message, line) = said(&stderr);
            assert!(
                message.contains("\nCONTEXT:  COPY t, ") && !message.contains("Jane"),
                "{message}"
            );
            assert!(message.ends_with("(SQLSTATE 22P02)") && line == Some(11), "{message}");
        }
        let refused = "psql:<stdin>:12: FEHLER:  42P07: Relation »t« existiert bereits\n";
        assert_eq!(said(refused).0, "Relation »t« existiert bereits (SQLSTATE 42P07)");
        // What has no class, or more than a word before it, is nothing that can be read.
        for text in ["FEHLER:  Jane: Doe", "HINWEIS:  00000: Jane", "Jane_1:  42P07: Doe"] {
            assert!(stopped(&format!("psql:<stdin>:9: {text}\n")).is_none(), "{text}");
        }
    }

    #[test]
    fn an_error_s_class_tells_a_server_that_went_away_from_one_that_refused() {
        let code = |stderr: &str| match stopped(stderr) {
            Some(PsqlError::Stopped { code, .. }) => code,
            other => panic!("{other:?}"),
        };
        let at = |said: &str| code(&format!("psql:<stdin>:9: {said}\nLOCATION:  x\n"));
        assert_eq!(at("ERROR:  42501: permission denied").as_deref(), Some("42501"));
        assert_eq!(at("FATAL:  57P01: terminating connection").as_deref(), Some("57P01"));
        assert_eq!(at("error: connection to server was lost").as_deref(), Some(""));
        assert_eq!(code("psql: error: connection to server failed: no\n").as_deref(), Some(""));
        assert_eq!(at("ERROR:  P0001: donor Jane"), None, "the dump's own code says so");
        assert_eq!(at("error: invalid command"), None);
    }

    #[test]
    fn rows_of_a_script_are_not_said() {
        let stderr = "psql:<stdin>:9: ERROR:  22P02: invalid input syntax for type integer: \"Jane\"\n\
                      LINE 1: INSERT INTO t VALUES ('Jane', 'Doe');\n                              ^\n\
                      CONTEXT:  COPY t, line 2, column a: \"Jane\"\nTABLE NAME:  t\nLOCATION:  x\n";
        assert_eq!(
            said(stderr).0,
            "invalid input syntax for type integer: \"…\"\nCONTEXT:  COPY t, line 2, column a \
             (SQLSTATE 22P02)"
        );
    }

    #[test]
    fn a_row_that_looks_like_an_error_is_not_said() {
        let shown = "new row for relation \"t\" violates check constraint \"c\"\n\
                     CONTEXT:  COPY t, line 1 (SQLSTATE 23514)";
        for row in [
            "Jane Doe card 4242: error: declined for jane@example.org",
            "Jane: ERROR: 42P01: jane@example.org",
            "Jane\nERROR:  42P01: Jane\npsql: error: Jane\npsql:<stdin>: error: Jane",
            "Jane\npsql:<stdin>:9: error: Jane",
        ] {
            let stderr = format!(
                "psql:<stdin>:9: ERROR:  23514: new row for relation \"t\" violates check \
                 constraint \"c\"\nDETAIL:  Failing row contains ({row}).\nCONTEXT:  COPY t, line \
                 1: \"Jane\"\nSCHEMA NAME:  public\nTABLE NAME:  t\nCONSTRAINT NAME:  c\n\
                 LOCATION:  ExecConstraints, execMain.c:2023\n"
            );
            let (message, line) = said(&stderr);
            assert!(shown.starts_with(message.trim_end_matches(" (SQLSTATE 23514)")), "{message}");
            assert_eq!(line, Some(8));
        }
        // Where nobody can tell which is the error, none is said.
        for stderr in [
            "psql:<stdin>:9: ERROR:  23514: no\nDETAIL:  (a\npsql:<stdin>:3: error: Jane\n",
            "psql:<stdin>:9: ERROR:  23514: no\nDETAIL:  (a\npsql:<stdin>:3: NOTICE:  Jane\nJane\n",
            "psql:<stdin>:9: ERROR:  Jane\n",
            "psql:<stdin>:9: ERROR:  Jane: Doe\n",
            "psql:<stdin>:9: FATAL:  Jane\n",
            "Jane Doe of 12 Elm Street: error: no\nJane\nCONTEXT:  COPY t, line 1: \"Jane\"\n",
        ] {
            assert!(stopped(stderr).is_none(), "{stderr}");
            assert_eq!(own_words(stderr), "");
        }
    }

    #[test]
    fn a_value_whose_end_is_cut_off_or_looks_like_a_field_is_not_said() {
        for (value, shown) in [
            ("Jane Doe\n…\nDoe, Jane\"\nCONTEXT:  COPY t, line 1, column a: \"Jane\"", "22P02"),
            ("Jane Doe\n…\n", "22P02"),
            ("Jane \"J\" Doe\nLINE up, Jane\"\n", "22P02"),
            ("Jane \"J\" Doe\nLINE 3: Jane\"\n", "22P02"),
            ("Jane\nHINT:  Jane\n\"\nLOCATION:  x", "22P02"),
            ("Jane\nLOCATION:  Jane\n\"\nCONTEXT:  COPY Jane\nLOCATION:  x", "raised"),
            ("Jane\nCONTEXT:  COPY Jane\nCONTEXT:  COPY t, line 1: \"Jane\"", "raised"),
        ] {
            let stderr = format!(
                "psql:<stdin>:9: ERROR:  22P02: invalid input syntax for type integer: \"{value}\n"
            );
            let (message, _) = said(&stderr);
            assert!(!message.contains("Jane") && !message.contains("Doe"), "{message}");
            assert!(message.contains(shown), "{message}");
        }
    }

    #[test]
    fn what_a_function_does_not_find_is_said_where_no_value_can_look_like_it() {
        let of = |value: &str, location: &str| {
            let stderr = format!(
                "psql:<stdin>:9: ERROR:  42P01: relation \"{value}\" does not exist\n\
                 LINE 1: EXISTS (SELECT FROM church)\n                            ^\n\
                 QUERY:  EXISTS (SELECT FROM church)\n\
                 CONTEXT:  PL/pgSQL function has(integer) line 1 at RETURN\n\
                 COPY gift, line 1: \"7\tJane\"\nLOCATION:  {location}:1449\n"
            );
            match stopped(&stderr) {
                Some(PsqlError::Stopped { message, code, of_code, .. }) => (message, code, of_code),
                other => panic!("{other:?}"),
            }
        };
        let (message, code, of_code) = of("church", "parserOpenTable, parse_relation.c");
        assert_eq!(
            message,
            "relation \"church\" does not exist\nCONTEXT:  PL/pgSQL function has(integer) line 1 at \
             RETURN\nCOPY gift, line 1 (SQLSTATE 42P01)"
        );
        assert_eq!((code.as_deref(), of_code), (Some("42P01"), true));
        let cast = "RangeVarGetRelidExtended, namespace.c";
        let (message, code, of_code) = of("Jane", cast);
        assert!(!message.contains("Jane"), "{message}");
        assert_eq!((code.as_deref(), of_code), (Some("42P01"), true));
    }

    #[test]
    fn what_may_be_a_value_or_the_statement_s_own_is_said_both_ways() {
        let of = |line: &str, location: &str| {
            let stderr = format!(
                "psql:<stdin>:9: ERROR:  42P01: relation \"jane\" does not exist\n{line}\
                 LOCATION:  {location}:448\n"
            );
            match stopped(&stderr) {
                Some(PsqlError::Stopped { message, named, .. }) => (message, named),
                other => panic!("{other:?}"),
            }
        };
        let whole = "relation \"jane\" does not exist (SQLSTATE 42P01)";
        let (message, named) = of("", "RangeVarGetRelidExtended, namespace.c");
        assert_eq!(message, "relation \"…\" does not exist (SQLSTATE 42P01)");
        assert_eq!(named.as_deref(), Some(whole));
        let place = "LINE 1: SELECT FROM jane;\n                    ^\n";
        assert_eq!(of(place, "parserOpenTable, parse_relation.c"), (whole.to_owned(), None));
    }

    #[test]
    fn what_a_function_raises_is_not_said() {
        let stderr = "psql:<stdin>:8: WARNING:  01000: donor Jane is odd\nLOCATION:  x\n\
                      psql:<stdin>:9: ERROR:  P0001: donor Jane\nDoe has no church\n\
                      DETAIL:  Jane\nHINT:  Jane\n\
                      CONTEXT:  PL/pgSQL function f() line 3 at RAISE\nLOCATION:  x\n";
        assert_eq!(
            said(stderr).0,
            "code of the database raised an error (SQLSTATE P0001); what it says may hold a row \
             and is left out\nCONTEXT:  PL/pgSQL function f() line 3 at RAISE"
        );
        let dynamic = "psql:<stdin>:9: ERROR:  42703: column \"jane_4242\" does not exist\n\
                       LINE 1: SELECT jane_4242\n               ^\nHINT:  Jane\n\
                       QUERY:  SELECT jane_4242\nCONTEXT:  PL/pgSQL function f() line 3 at RETURN\n";
        let message = said(dynamic).0;
        assert!(!message.contains("jane") && message.contains("42703"), "{message}");
        let killed = "psql:<stdin>:8: WARNING:  01000: donor Jane\nJane\npsql: error: Jane\n";
        assert!(stopped(killed).is_none());
        assert_eq!(own_words(killed), "");
    }

    #[test]
    fn what_psql_says_by_itself_is_said() {
        let stderr = "psql: error: connection to server on socket failed: no such file\n\
                      \tIs the server running?\n";
        let (message, line) = said(stderr);
        assert!(message.contains("connection to server"), "{message}");
        assert!(message.ends_with("Is the server running?"), "{message}");
        assert_eq!(line, None);
        let lost = "psql:<stdin>:9: FATAL:  57P01: terminating connection due to administrator \
                    command\nLOCATION:  ProcessInterrupts, postgres.c:3259\n\
                    server closed the connection unexpectedly\n\tThis probably means\n\
                    psql:<stdin>:9: error: connection to server was lost\n";
        let shown = "terminating connection due to administrator command (SQLSTATE 57P01)";
        assert_eq!(said(lost), (shown.to_owned(), Some(8)));
        for word in ["error", "fatal"] {
            let gone = format!(
                "psql:<stdin>:9: server closed the connection unexpectedly\n\tThis means\n\
                 psql:<stdin>:9: {word}: connection to server was lost\n"
            );
            assert_eq!(said(&gone).0, format!("{word}: connection to server was lost"));
        }
        assert!(stopped("nothing of the kind").is_none());
        assert_eq!(own_words("psql: out of memory\n"), "psql: out of memory");
    }
}
