use super::*;

fn said(stderr: &str) -> (String, Option<usize>) {
    match stopped(stderr) {
        Some(PsqlError::Stopped { message, line, .. }) => (message, line),
        other => panic!("{other:?}"),
    }
}

/// The same where no row was read.
fn named(stderr: &str) -> (String, Option<usize>) {
    match stopped(stderr) {
        Some(PsqlError::Stopped { named: Some(named), line, .. }) => (named, line),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_error_is_found_with_its_line() {
    let stderr = "psql:<stdin>:3: NOTICE:  00000: relation exists, skipping\n\
                  psql:<stdin>:12: ERROR:  42P07: relation \"t\" already exists\n\
                  DETAIL:  It does.\nLOCATION:  f, heap.c:1\n";
    let shown = "relation \"t\" already exists\nDETAIL:  It does. (SQLSTATE 42P07)";
    assert_eq!(named(stderr), (shown.to_owned(), Some(11)));
    assert_eq!(said(stderr), ("relation \"…\" (SQLSTATE 42P07)".to_owned(), Some(11)));
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
        assert!(message.contains("\nCONTEXT:  COPY t, ") && !message.contains("Jane"), "{message}");
        assert!(message.ends_with("(SQLSTATE 22P02)") && line == Some(11), "{message}");
    }
    let refused = "psql:<stdin>:12: FEHLER:  42P07: Relation »t« existiert bereits\n";
    assert_eq!(named(refused).0, "Relation »t« existiert bereits (SQLSTATE 42P07)");
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
    // An INSERT is its rows, and what it names may be theirs.
    let place = "LINE 1: INSERT INTO t VALUES (jane);\n                    ^\n";
    let (message, named) = of(place, "parserOpenTable, parse_relation.c");
    assert!(!message.contains("jane") && named.as_deref() == Some(whole), "{message}");
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
