use proptest::prelude::*;

use super::*;
use crate::archive::manifest::Member;

fn table(columns: &[&str]) -> Table {
    Table {
        schema: "public".to_owned(),
        name: "donation".to_owned(),
        columns: columns.iter().map(ToString::to_string).collect(),
        rows: 0,
        bytes: 0,
        members: vec![Member { offset: 0, length: 20, uncompressed: 0, rows: 0 }],
    }
}

/// Checks a text that comes in pieces of so many bytes.
fn in_pieces(mut check: TextCheck<'_>, text: &str, size: usize) -> Result<Held, Problem> {
    for piece in text.as_bytes().chunks(size) {
        check.push(piece)?;
    }
    check.finish()
}

fn rows(text: &str) -> Result<u64, Problem> {
    let table = table(&["id", "a b"]);
    let check = |size| in_pieces(TextCheck::Rows(Rows::of(&table)), text, size);
    let whole = check(usize::MAX);
    for size in [1, 2, 3, 5, 17] {
        assert_eq!(check(size), whole, "{size} {text:?}");
    }
    whole.map(|held| held.rows)
}

fn statements(section: Section, text: &str) -> Result<Vec<u8>, Problem> {
    let check = |size| in_pieces(TextCheck::Statements(Statements::of(section)), text, size);
    let whole = check(usize::MAX);
    for size in [1, 2, 7] {
        assert_eq!(check(size), whole, "{size} {text:?}");
    }
    whole.map(|held| held.tail)
}

const COPY: &str = "COPY public.donation (id, \"a b\") FROM stdin;\n";

#[test]
fn a_whole_copy_is_counted() {
    assert_eq!(rows(&format!("{COPY}\\.\n")), Ok(0));
    assert_eq!(rows(&format!("{COPY}\n\\.\n")), Ok(1));
    assert_eq!(rows(&format!("{COPY}1\tx\n2\t\\\\.\n3\ta\\.\n\\.\n")), Ok(3));
    assert_eq!(rows(&format!("--\n-- Data; for \"Name\n--\n\n{COPY}1\tx\n\\.\n")), Ok(1));
}

#[test]
fn what_is_no_whole_copy_says_why() {
    let detail = |text: &str| match rows(text) {
        Err(Problem::Text { detail }) => detail,
        other => panic!("{text:?}: {other:?}"),
    };
    let not_ended = "its data do not end with \"\\.\" on a line of its own";
    assert_eq!(detail(&format!("{COPY}1\tx\n")), not_ended);
    assert_eq!(detail(&format!("{COPY}1\tx\\.\n")), not_ended);
    assert_eq!(detail(&format!("{COPY}1\tx\n\\.")), not_ended);
    let follows = "something follows the end of its data";
    assert_eq!(detail(&format!("{COPY}1\tx\n\\.\n\n")), follows);
    assert_eq!(detail(&format!("{COPY}\\.\n{COPY}\\.\n")), follows);
    let none = "it does not begin with a COPY statement";
    assert_eq!(detail(""), none);
    assert_eq!(detail("SELECT 1;\n"), none);
    assert_eq!(detail("1\tx\n\\.\n"), none);
    assert_eq!(
        detail("COPY public.donation (id, \"a b\") FROM stdin; \n\\.\n"),
        "its COPY statement is not followed by a new line"
    );
}

#[test]
fn another_table_or_other_columns_are_named() {
    let expected = "rows of public.donation (id, a b)".to_owned();
    for (statement, found) in [
        ("COPY public.donor (id, \"a b\") FROM stdin;\n", "rows of public.donor (id, a b)"),
        ("COPY audit.donation (id, \"a b\") FROM stdin;\n", "rows of audit.donation (id, a b)"),
        ("COPY public.donation (\"a b\", id) FROM stdin;\n", "rows of public.donation (a b, id)"),
        ("COPY public.donation FROM stdin;\n", "rows of public.donation ()"),
    ] {
        let problem = Problem::Copy { expected: expected.clone(), found: found.to_owned() };
        assert_eq!(rows(&format!("{statement}1\tx\n\\.\n")), Err(problem));
    }
}

#[test]
fn a_text_that_never_begins_a_copy_is_not_held_for_ever() {
    let endless = format!("COPY \"{}", "x".repeat(2 * LONGEST_COPY));
    let table = table(&[]);
    for size in [usize::MAX, 100_000] {
        in_pieces(TextCheck::Rows(Rows::of(&table)), &endless, size).unwrap_err();
    }
}

#[test]
fn statements_are_whole() {
    let whole = "SET x = 1;\nCREATE FUNCTION f() AS $$ ; $$;\n\n-- the end\n";
    assert_eq!(statements(Section::PreData, whole), Ok(whole.as_bytes().to_vec()));
    assert_eq!(statements(Section::Data, "\n"), Ok(b"\n".to_vec()));
    let inside = Err(wrong("it ends inside a statement"));
    assert_eq!(statements(Section::PostData, "SET x = 1;\nSET y = "), inside);
    assert_eq!(statements(Section::PostData, "SELECT 'x;\n"), inside);
}

#[test]
fn rows_among_statements_are_another_members() {
    let text = "SET x = 1;\nCOPY public.t (id) FROM stdin;\n1\n\\.\n";
    let found = "rows of public.t (id)".to_owned();
    let problem = Problem::Copy { expected: "no rows".to_owned(), found };
    assert_eq!(statements(Section::Data, text), Err(problem));
}

#[test]
fn rows_are_known_behind_comments_of_any_length_and_kind() {
    let copy = "COPY public.t (id) FROM stdin;\n1\n\\.\n";
    let found = "rows of public.t (id)".to_owned();
    let problem = Err(Problem::Copy { expected: "no rows".to_owned(), found });
    for comment in ["-- a; 'b\n", "\n \n--\n-- x\n--\n\n", "/* ; -- \n */"] {
        assert_eq!(statements(Section::Data, &format!("{comment}{copy}")), problem, "{comment:?}");
    }
    let comments = format!("-- {}\n", "x".repeat(90)).repeat(20_000);
    for size in [usize::MAX, 64 * 1024] {
        let check = TextCheck::Statements(Statements::of(Section::Data));
        assert_eq!(in_pieces(check, &format!("{comments}{copy}"), size).map(|h| h.tail), problem);
    }
}

/// What a damaged or hostile archive makes of a statement's end.
#[test]
fn a_statement_that_never_ends_is_read_and_not_held() {
    const PIECE: usize = 64 * 1024;
    for (begins, goes_on, pieces) in [
        ("SELECT 'x", "y", 5000),
        ("SELECT E'x", "y\\'", 1000),
        ("SELECT \"x", "y;\n", 5000),
        ("CREATE FUNCTION f() AS $body$", " ; $bod \n", 5000),
        ("-- x", "y;", 5000),
        ("/* x", "y; ", 5000),
        ("\\restrict", "y; ", 5000),
        ("SELECT (", "yy + ", 100),
        ("", " \n", 100),
        ("", "-- x\n", 100),
    ] {
        let piece = goes_on.repeat(PIECE / goes_on.len());
        for section in [Section::PreData, Section::Data] {
            let mut check = Statements::of(section);
            check.push(begins.as_bytes()).unwrap();
            let mut most = 0;
            for _ in 0..pieces {
                check.push(piece.as_bytes()).unwrap();
                let Statements { rest, beginning, tail, .. } = &check;
                most = most.max(rest.capacity() + beginning.capacity() + tail.capacity());
            }
            // What a COPY may be long, and a piece.
            assert!(most <= 2 * LONGEST_COPY + 2 * PIECE, "{begins:?}: {most}");
        }
    }
}

#[test]
fn a_word_that_never_ends_is_no_dump() {
    let longer = wrong("it holds a longer word than any dump does");
    for begins in ["SELECT x", "SELECT 1", "SELECT $x", "SELECT \u{e9}"] {
        for section in [Section::PreData, Section::Data] {
            let mut check = Statements::of(section);
            let mut pushed = check.push(begins.as_bytes());
            for _ in 0..300 {
                pushed = pushed.and_then(|()| check.push("abcd".repeat(16 * 1024).as_bytes()));
                assert!(check.rest.capacity() <= 4 * LONGEST_TOKEN);
            }
            assert_eq!(pushed, Err(longer.clone()), "{begins:?}");
        }
    }
}

#[test]
fn the_closing_line_is_found_at_the_end_alone() {
    let end = "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";
    let tail = |text: &str| statements(Section::PreData, text).unwrap();
    assert!(is_complete(&tail(&format!("SET x = 1;\n{end}"))));
    assert!(!is_complete(&tail("SET x = 1;\n")));
    assert!(!is_complete(&tail(&format!("{end}SELECT '{}';\n", "x".repeat(600)))));
}

proptest! {
    #[test]
    fn rows_are_counted_however_they_come(
        rows in prop::collection::vec("[\\\\.a-z\t]{0,6}", 0..20), size in 1_usize..40
    ) {
        let rows: Vec<String> = rows.into_iter().filter(|row| row != "\\.").collect();
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let table = table(&["id", "a b"]);
        let text = format!("{COPY}{text}\\.\n");
        let held = in_pieces(TextCheck::Rows(Rows::of(&table)), &text, size);
        prop_assert_eq!(held, Ok(Held { rows: rows.len() as u64, tail: vec![] }));
    }
}

#[test]
fn a_finding_repeats_only_so_much_of_an_archive() {
    assert_eq!(told("short"), "short");
    assert_eq!(told(&"ü".repeat(TOLD)), "ü".repeat(TOLD));
    assert_eq!(told(&"ü".repeat(9 * TOLD)), "ü".repeat(TOLD) + "…");
}
