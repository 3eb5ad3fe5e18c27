use proptest::prelude::*;

use super::*;

/// What a splitter handed on.
#[derive(Debug, Default)]
struct Collected {
    tables: Vec<CopyHeader>,
    members: Vec<Member>,
    open: bool,
    largest_piece: usize,
}

#[derive(Debug, PartialEq)]
struct Member {
    table: Option<usize>,
    text: Vec<u8>,
    rows: u64,
}

impl Sink for Collected {
    fn table(&mut self, header: CopyHeader) {
        assert!(!self.open, "a table begins inside a member");
        self.tables.push(header);
    }

    fn piece(&mut self, content: &Content, text: Vec<u8>, end: Option<u64>) -> Vec<u8> {
        assert!(!text.is_empty());
        self.largest_piece = self.largest_piece.max(text.len());
        if self.open {
            self.members.last_mut().unwrap().text.extend(text);
        } else {
            let table = (*content == Content::Rows).then(|| self.tables.len() - 1);
            self.members.push(Member { table, text, rows: 0 });
        }
        self.open = end.is_none();
        self.members.last_mut().unwrap().rows = end.unwrap_or(0);
        Vec::new()
    }
}

const HEAD: &str = "--\n-- PostgreSQL database dump\n--\n\n\\restrict k3y\n\nSET x = 'a;b';\n";
const FOOT: &str = "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict k3y\n\n";

fn split(
    section: Section,
    text: &[u8],
    member_size: usize,
    chunk: usize,
) -> Result<Collected, SplitError> {
    let mut collected = Collected::default();
    let mut splitter = Splitter::new(section, member_size, Vec::new());
    for bytes in text.chunks(chunk) {
        splitter.push(bytes, &mut collected)?;
    }
    splitter.finish(&mut collected)?;
    assert!(!collected.open, "the last member never ended");
    Ok(collected)
}

/// A table's rows put together again from its members, checking each.
fn rows_of(collected: &Collected, table: usize) -> Vec<u8> {
    let mut rows = Vec::new();
    for member in collected.members.iter().filter(|member| member.table == Some(table)) {
        let sql = copy::skip_comments(&member.text);
        let header = memchr::memmem::find(sql, b"FROM stdin;\n").unwrap() + 12;
        assert_eq!(
            copy::parse(sql[..header].trim_ascii_end()).as_ref(),
            Some(&collected.tables[table])
        );
        let data = sql[header..].strip_suffix(END_OF_DATA).expect("the COPY is closed");
        assert_eq!(count_rows(data), member.rows);
        assert!(data.is_empty() || data.ends_with(b"\n"), "a row is cut");
        assert!(!data.starts_with(END_OF_DATA) && memmem::find(data, b"\n\\.\n").is_none());
        rows.extend_from_slice(data);
    }
    rows
}

#[test]
fn a_table_larger_than_a_member_is_closed_at_a_row_and_opened_again() {
    let rows: String = (0..1000).map(|row| format!("{row}\tname {row}\n")).collect();
    let text = format!(
        "{HEAD}\n--\n-- Data for Name: t\n--\n\nCOPY public.t (a, b) FROM stdin;\n{rows}\\.\n\n\nSELECT 1;\n{FOOT}"
    );
    let collected = split(Section::Data, text.as_bytes(), 1000, 100).unwrap();
    assert_eq!(collected.tables.len(), 1);
    let members: Vec<&Member> =
        collected.members.iter().filter(|member| member.table.is_some()).collect();
    assert!(members.len() > 10 && members.iter().all(|member| member.text.len() < 1400));
    assert_eq!(rows_of(&collected, 0), rows.as_bytes());
    assert!(
        members[0].text.starts_with(b"\n\n--\n-- Data for") || members[0].text.starts_with(b"\n--")
    );
    assert!(members[1].text.starts_with(b"COPY public.t (a, b) FROM stdin;\n"));
}

#[test]
fn an_empty_table_is_one_member_with_no_rows() {
    let text = format!("{HEAD}COPY a.b (c) FROM stdin;\n\\.\n\n{FOOT}");
    for chunk in 1..60 {
        let collected = split(Section::Data, text.as_bytes(), 64, chunk).unwrap();
        let members: Vec<_> = collected.members.iter().filter(|m| m.table.is_some()).collect();
        assert_eq!(members.len(), 1, "chunk {chunk}");
        assert_eq!(members[0].rows, 0);
    }
}

#[test]
fn rows_of_a_table_without_columns_are_counted() {
    let text = format!("{HEAD}COPY a.zero  FROM stdin;\n\n\n\n\\.\n{FOOT}");
    let collected = split(Section::Data, text.as_bytes(), 1 << 20, 7).unwrap();
    assert_eq!(collected.members.iter().map(|member| member.rows).sum::<u64>(), 3);
}

#[test]
fn a_row_larger_than_a_member_is_handed_on_in_pieces_of_bounded_size() {
    let giant = "x".repeat(100_000);
    let text = format!("{HEAD}COPY a.b (c) FROM stdin;\n1\n{giant}\n2\n\\.\n{FOOT}");
    for chunk in [1, 999, 1024, 200_000] {
        let collected = split(Section::Data, text.as_bytes(), 1024, chunk).unwrap();
        assert_eq!(rows_of(&collected, 0), format!("1\n{giant}\n2\n").as_bytes());
        if chunk <= 1024 {
            assert!(collected.largest_piece < 1024 + 1024 + 64, "{}", collected.largest_piece);
        }
    }
}

#[test]
fn text_that_looks_like_copy_is_not_data_outside_the_data_section() {
    let text = format!("{HEAD}COPY a.b (c) FROM stdin;\n{FOOT}");
    let collected = split(Section::PreData, text.as_bytes(), 1 << 20, 5).unwrap();
    assert_eq!(collected.tables, []);
    assert_eq!(collected.members[0].text, text.as_bytes());
}

#[test]
fn statements_are_never_cut() {
    let statements = [
        "CREATE TABLE \"a;\"\"b\n;\" (x text DEFAULT 'it''s; \\');\n",
        "COMMENT ON TABLE x IS E'a\\'; \\\\';\n",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $_$ BEGIN; $$;$$ $_X$; END; $_$;\n",
        "CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;\n",
        "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO x VALUES (1); END;\n",
        "/* a; /* nested; */ ' */ SELECT 1;\n",
        "-- it's; a comment\nSELECT 2;\n",
        "CREATE RULE r AS ON INSERT TO x DO ALSO (SELECT 1; SELECT 2);\n",
        "SELECT a$b$c, $1, 1$2 FROM x; -- $b$ is no quote\n",
        "\\connect it's\n",
        "SELECT begin, \"end\" FROM \"case\";\n",
    ];
    let text = format!("{HEAD}{}{FOOT}", statements.concat());
    for chunk in [1, 2, 3, 5, 17, 1000] {
        // A member size of 1 cuts after every statement.
        let collected = split(Section::PostData, text.as_bytes(), 1, chunk).unwrap();
        let members: Vec<String> = collected
            .members
            .iter()
            .map(|member| String::from_utf8(member.text.clone()).unwrap())
            .collect();
        assert_eq!(members.concat(), text, "chunk {chunk}");
        for statement in statements {
            let body = statement.trim();
            let body = body.strip_suffix("-- $b$ is no quote").unwrap_or(body).trim();
            assert_eq!(
                members.iter().filter(|member| member.contains(body)).count(),
                1,
                "{statement:?} in {members:#?}"
            );
            assert!(
                members.iter().any(|member| member.trim_start().ends_with(body)
                    || member.trim_end().ends_with(body)),
                "{body:?} in {members:#?}"
            );
        }
    }
}

#[test]
fn a_section_that_is_cut_anywhere_is_refused() {
    let text = format!("{HEAD}COPY a.b (c) FROM stdin;\n1\n2\n\\.\n\nSELECT 'x;y';\n{FOOT}");
    let last = text.find("complete\n").unwrap() + 9;
    for end in 0..last {
        let result = split(Section::Data, &text.as_bytes()[..end], 1 << 20, 64);
        assert!(matches!(result, Err(SplitError::Incomplete { .. })), "cut at {end}: {result:?}");
    }
    assert!(split(Section::Data, text.as_bytes(), 1 << 20, 64).is_ok());
}

#[test]
fn the_error_says_where_it_is_cut() {
    let text = format!("{HEAD}COPY a.b (c) FROM stdin;\n1\n");
    let error = split(Section::Data, text.as_bytes(), 1 << 20, 64).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the data section of the dump is cut short: it ends inside the rows of a.b"
    );
}

#[test]
fn nul_bytes_are_refused() {
    let text = format!("{HEAD}SELECT '\0';\n{FOOT}");
    assert_eq!(
        split(Section::PreData, text.as_bytes(), 1 << 20, 64).unwrap_err(),
        SplitError::Nul(Section::PreData)
    );
}

/// A cell as COPY's text format writes it.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\\N".to_owned()),
        Just("\\\\.".to_owned()),
        Just(String::new()),
        Just("COPY x FROM stdin;".to_owned()),
        Just("'\"$$--/*".to_owned()),
        "[a-z]{0,40}",
        any::<String>().prop_map(|text| text
            .replace('\0', "")
            .replace('\\', "\\\\")
            .replace('\n', "\\n")
            .replace('\r', "\\r")
            .replace('\t', "\\t")),
    ]
}

fn identifier() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9_]{0,8}", "[a-zA-Z \"$;.\\\\\n'(),é-]{1,12}"]
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn table() -> impl Strategy<Value = (String, Vec<String>, Vec<String>)> {
    (identifier(), prop::collection::vec(identifier(), 0..3)).prop_flat_map(|(name, columns)| {
        let width = columns.len();
        let row = prop::collection::vec(cell(), width).prop_map(|cells| cells.join("\t") + "\n");
        (Just(name), Just(columns), prop::collection::vec(row, 0..30))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_is_split_is_the_same_when_it_is_put_together(
        tables in prop::collection::vec(table(), 0..5),
        member_size in 1_usize..400,
        chunk in 1_usize..300,
    ) {
        let mut text = HEAD.to_owned();
        for (name, columns, rows) in &tables {
            let columns = match columns.len() {
                0 => String::new(),
                _ => format!("({})", columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ")),
            };
            text += &format!(
                "--\n-- Data for Name: x; it's\n--\n\nCOPY \"s\"\"\".{} {columns} FROM stdin;\n{}\\.\n\n\n",
                quoted(name), rows.concat()
            );
        }
        text += "SELECT pg_catalog.setval('\"s;\"', 3, true);\n";
        text += FOOT;
        let collected = split(Section::Data, text.as_bytes(), member_size, chunk)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(collected.tables.len(), tables.len());
        for (at, (name, columns, rows)) in tables.iter().enumerate() {
            prop_assert_eq!(&collected.tables[at].schema, "s\"");
            prop_assert_eq!(&collected.tables[at].table, name);
            prop_assert_eq!(&collected.tables[at].columns, columns);
            let found = rows_of(&collected, at);
            prop_assert_eq!(found, rows.concat().into_bytes());
        }
        // Nothing but closing and reopening was added to the text.
        let mut joined = Vec::new();
        let mut last = None;
        for member in &collected.members {
            if member.table.is_some() && member.table == last {
                let length = joined.len() - END_OF_DATA.len();
                joined.truncate(length);
                let header = memmem::find(&member.text, b"FROM stdin;\n").unwrap() + 12;
                joined.extend_from_slice(&member.text[header..]);
            } else {
                joined.extend_from_slice(&member.text);
            }
            last = member.table;
        }
        prop_assert_eq!(String::from_utf8_lossy(&joined), text);
    }

    #[test]
    fn no_text_makes_the_splitter_panic(
        text in prop::collection::vec(prop::sample::select(
            b"COPY a.b FROM stdin;\n\\.'\"$E-/*() \x01x1".to_vec()), 0..400),
        chunk in 1_usize..50,
    ) {
        let _ = split(Section::Data, &text, 50, chunk);
        let _ = split(Section::PreData, &text, 50, chunk);
    }
}
