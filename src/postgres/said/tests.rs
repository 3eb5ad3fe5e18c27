use super::*;

fn said(code: &str, message: &str, detail: &str, context: &str) -> String {
    let (detail, context) = (Some(detail), Some(context));
    Said { code, message, detail, context, ..Said::default() }.without_rows()
}

#[test]
fn rows_are_left_out_and_names_stay() {
    let copied = "COPY donation, line 3: \"7\\tJane Doe\\t5000\"";
    for (code, message, detail, context, shown) in [
        (
            "23514",
            "new row for relation \"donation\" violates check constraint \"cents\"",
            "Failing row contains (7, Jane Doe, 5000).",
            copied,
            "new row for relation \"donation\" violates check constraint \"cents\"\n\
             CONTEXT:  COPY donation, line 3",
        ),
        (
            "23505",
            "duplicate key value violates unique constraint \"email\"",
            "Key (lower(email))=(jane) already exists.@example.org) already exists.",
            "COPY donor, line 12",
            "duplicate key value violates unique constraint \"email\"\n\
             DETAIL:  Key (lower(email))=(…) already exists.\n\
             CONTEXT:  COPY donor, line 12",
        ),
        (
            "23503",
            "insert or update on table \"donor\" violates foreign key constraint \"fk\"",
            "Key (church, name)=(7, Jane) is not present in table \"church\".",
            "",
            "insert or update on table \"donor\" violates foreign key constraint \"fk\"\n\
             DETAIL:  Key (church, name)=(…) is not present in table \"church\".",
        ),
        (
            "23P01",
            "conflicting key value violates exclusion constraint \"at\"",
            "Key (at)=([1,3)) conflicts with existing key (at)=([2,5)).",
            "",
            "conflicting key value violates exclusion constraint \"at\"\n\
             DETAIL:  Key (at)=(…) conflicts with another.",
        ),
        (
            "22P02",
            "invalid input syntax for type integer: \"Jane \"J\" Doe\"",
            "Token \"Jane\" is invalid.",
            "JSON data, line 1: {\"a\": Jane\nCOPY donor, line 3, column id: \"Jane\nDoe\"",
            "invalid input syntax for type integer: \"…\"\n\
             CONTEXT:  COPY donor, line 3, column id",
        ),
        (
            "22003",
            "value \"5000000000\" is out of range for type integer",
            "",
            "",
            "value \"…\" is out of range for type integer",
        ),
        (
            "22P02",
            "ungültige Eingabesyntax für Typ integer: „Jane“",
            "",
            "",
            "ungültige Eingabesyntax für Typ integer: \"…\"",
        ),
        (
            "22P02",
            "invalid input syntax for type integer: \"Jane Doe",
            "",
            "COPY Jane",
            "invalid input syntax for type integer: \"…\"",
        ),
        (
            "22P04",
            "missing data for column \"name\"",
            "",
            copied,
            "missing data for column \"name\"\nCONTEXT:  COPY donation, line 3",
        ),
        (
            "42P07",
            "relation \"t\" already exists",
            "It does.",
            "SQL statement \"INSERT INTO t VALUES ('Jane')\"\n\
             PL/pgSQL function f() line 3 at RAISE",
            "relation \"…\"\nCONTEXT:  PL/pgSQL function f() line 3 at RAISE",
        ),
    ] {
        let said = said(code, message, detail, context);
        let said = said.replace("\nDETAIL:  \n", "\n");
        assert_eq!(said.trim_end_matches("\nDETAIL:  "), shown);
        assert!(!said.contains("Jane") && !said.contains("5000"), "{said}");
    }
}

#[test]
fn a_value_is_left_out_whatever_class_its_type_gives_the_error() {
    let copied = "COPY donation, line 3: \"7\\tJane Doe\\t5000\"";
    for (code, message, detail, context, shown) in [
        (
            "42601",
            "syntax error in tsvector: \"Jane 'Doe card 4242\"",
            "of Jane",
            "COPY donor, line 3, column words: \"Jane 'Doe card 4242\"",
            "syntax error in tsvector: \"…\"\nCONTEXT:  COPY donor, line 3, column words",
        ),
        (
            "XX000",
            "parse error - invalid geometry \"Jane\"",
            "\"Jane\" <-- parse error",
            "COPY donor, line 3, column place: \"Jane\"",
            "parse error - invalid geometry \"…\"\nCONTEXT:  COPY donor, line 3, column place",
        ),
        (
            "42601",
            "syntax error in tsvector: \"Jane 'Doe\"",
            "",
            "",
            "syntax error in tsvector: \"…\"",
        ),
        (
            "42601",
            "syntax error in tsquery: \"Jane at home\"",
            "",
            "",
            "syntax error in tsquery: \"…\"",
        ),
        (
            "54000",
            "word is too long in tsquery: \"Jane\"",
            "of Jane",
            copied,
            "word is too long in tsquery: \"…\"\nCONTEXT:  COPY donation, line 3",
        ),
        ("3D000", "database \"jane\" does not exist", "", "", "database \"…\" does not exist"),
        ("58P01", "could not open file \"jane\": no", "", "", "could not open file \"…\""),
        (
            "08001",
            "could not establish connection",
            "of Jane",
            "",
            "could not establish connection",
        ),
        (
            "53100",
            "could not extend file \"base/5/7\": No space left on device",
            "",
            copied,
            "could not extend file \"base/5/7\": No space left on device\n\
             CONTEXT:  COPY donation, line 3",
        ),
    ] {
        let said = said(code, message, detail, context);
        assert_eq!(said.replace("\nDETAIL:  \n", "\n").trim_end_matches("\nDETAIL:  "), shown);
    }
}

/// The commonest reason why a restore stops there: the search path is empty.
#[test]
fn a_name_that_stands_in_the_code_itself_is_said() {
    let function = "SQL function \"has\" during inlining\nCOPY gift, line 1: \"7\tJane\"";
    let block = "PL/pgSQL function has(integer) line 1 at RETURN\nCOPY gift, line 1: \"Jane\"";
    let said = |code, message, context| Said {
        code,
        message,
        hint: Some("No function matches."),
        context: Some(context),
        query: Some("EXISTS (SELECT FROM church)"),
        sure: true,
        ..Said::default()
    };
    for (code, message) in [
        ("42P01", "relation \"church\" does not exist"),
        ("42883", "function has_church(integer) does not exist"),
        ("42704", "type \"church\" does not exist"),
        ("42703", "column \"church\" does not exist"),
        ("3F000", "schema \"church\" does not exist"),
    ] {
        for context in [function, block] {
            let shown = said(code, message, context).without_rows();
            let place = context.lines().next().unwrap();
            let whole = format!(
                "{message}\nHINT:  No function matches.\nCONTEXT:  {place}\nCOPY gift, line 1"
            );
            assert_eq!(shown, whole);
        }
    }
    // Not where a value may look like it, nor any other error.
    let of = |code| said(code, "relation \"jane\" does not exist", block);
    let unsure = Said { sure: false, ..of("42P01") };
    let text = format!("{block}\nPL/pgSQL function g() line 2 at EXECUTE");
    let dynamic = Said { context: Some(&text), ..of("42P01") };
    let of_a_value = Said { query: None, ..of("42P01") };
    for said in [of("22P02"), of("42601"), unsure, dynamic, of_a_value] {
        assert!(!said.without_rows().contains("jane"), "{said:?}");
    }
}

/// `name::regclass` and its like, and types of extensions.
#[test]
fn a_value_that_was_read_as_a_name_is_said_where_no_row_was_read() {
    for (code, message, shown) in [
        ("42P01", "relation \"jane\" does not exist", "relation \"…\" does not exist"),
        ("42704", "type \"jane\" does not exist", "type \"…\" does not exist"),
        ("3F000", "schema \"jane\" does not exist", "schema \"…\" does not exist"),
        ("42883", "operator does not exist: jane", "operator does not exist: …"),
        ("42725", "more than one function named \"jane\"", "more than one function named \"…\""),
        (
            "0A000",
            "cross-database references are not implemented: \"jane.a.b\"",
            "cross-database references are not implemented: \"…\"",
        ),
        ("XX000", "parse error - invalid geometry: jane", "parse error - invalid geometry: …"),
    ] {
        let said = Said { code, message, sure: true, ..Said::default() };
        assert_eq!(said.without_rows(), shown);
        assert_eq!(said.with_names().as_deref(), Some(message));
        // Where code of the database reads it, there is no place in the statement.
        let context = Some("PL/pgSQL function f(text) line 1 at RETURN");
        let said = Said { context, hint: Some("jane"), ..said }.without_rows();
        assert!(!said.contains("jane") && said.ends_with("at RETURN"), "{said}");
        let placed = Said { code, message, placed: true, ..Said::default() };
        assert_eq!(placed.without_rows(), message);
        assert_eq!(placed.with_names(), None);
    }
    let dotted = "improper relation name (too many dotted names): jane.a.b.c";
    let said = Said { code: "42601", message: dotted, ..Said::default() };
    assert_eq!(said.without_rows(), "improper relation name (too many dotted names): …");
    let message = "invalid input value for color: jane";
    let said = Said { code: "22P02", message, ..Said::default() };
    assert!(!said.without_rows().contains("jane") && said.with_names().is_none());
    // The name of a type is read as a statement is, and that has places of its own.
    let context = Some("invalid type name \"jane doe\"");
    let message = "syntax error at or near \"doe\"";
    let said = Said { code: "42601", message, context, placed: true, ..Said::default() };
    assert_eq!(said.without_rows(), "syntax error at or near \"…\"");
    assert_eq!(said.with_names(), None);
}

#[test]
fn what_a_definition_names_stays_whatever_the_class_and_no_value_passes_for_it() {
    for message in [
        "could not create locale \"de_DE.utf8\": No such file or directory",
        "invalid value for parameter \"lc_time\": \"de_DE.utf8\"",
        "security label provider \"pgsodium\" is not loaded",
    ] {
        let without = |context| Said { code: "22023", message, context, ..Said::default() };
        assert_eq!(without(None).without_rows(), message);
        for context in ["PL/pgSQL function f() line 3 at PERFORM", "COPY t, line 3, column a"] {
            let said = without(Some(context)).without_rows();
            assert!(said.contains("\"…\""), "{said}");
        }
    }
}

#[test]
fn what_code_of_the_database_says_is_left_out_and_where_it_stands_stays() {
    let raised = "PL/pgSQL function has_church(text) line 3 at RAISE\n\
                  COPY donor, line 3: \"7\\tJane Doe\"";
    for (code, context) in [
        // RAISE, its neighbours, a code of one's own, and codes of the server
        // that a function took.
        ("P0001", raised),
        ("P0002", ""),
        ("P0003", ""),
        ("P0004", "PL/pgSQL function f() line 1 at ASSERT"),
        ("DN001", ""),
        ("38000", "Traceback (most recent call last):\n  PL/Python function \"f\", line 2"),
        ("23514", raised),
        ("42501", raised),
        ("XX000", "PL/Perl function \"f\"\nCOPY donor, line 3: \"Jane\""),
        ("", raised),
        ("42703", "PL/pgSQL function f(text) line 3 at EXECUTE"),
        ("42601", "PL/pgSQL function f(text) line 3 at FOR over EXECUTE statement\nCOPY t"),
        ("42P01", "PL/pgSQL function f(text) line 3 at RETURN QUERY"),
        ("3F000", "SQL statement \"x\"\nPL/pgSQL-Funktion f(text) Zeile 3 bei EXECUTE"),
    ] {
        let hint = Some("ask Jane Doe");
        let said = Said {
            code,
            message: "donor Jane Doe has no church",
            detail: Some("Key (name)=(x) is of Jane Doe"),
            hint,
            context: Some(context),
            ..Said::default()
        };
        let said = said.without_rows();
        assert!(!said.contains("Jane"), "{code}: {said}");
        let shown = if code.is_empty() { "unknown" } else { code };
        let begins = format!("code of the database raised an error (SQLSTATE {shown}); ");
        assert!(said.starts_with(&begins), "{said}");
        if context == raised {
            assert!(said.ends_with("at RAISE\nCOPY donor, line 3"), "{said}");
        }
    }
    // Of a statement that code ran, and that it may have put together of a row.
    let name = Said {
        code: "42703",
        message: "column \"jane_doe_card_4242\" does not exist",
        context: Some("PL/pgSQL function f(text) line 3 at RETURN"),
        query: Some("SELECT jane_doe_card_4242"),
        sure: true,
        ..Said::default()
    };
    assert!(!name.without_rows().contains("jane"));
    // What the server says of itself stays.
    for (code, message) in [
        ("42501", "permission denied for table donor"),
        ("XX001", "could not read block 7 in file \"base/1/2\""),
        ("57014", "canceling statement due to statement timeout"),
        ("2F005", "control reached end of function without RETURN"),
    ] {
        let context = "PL/pgSQL function f() line 3 at SQL statement";
        let said = said(code, message, "", context);
        assert!(said.starts_with(message), "{said}");
    }
}
