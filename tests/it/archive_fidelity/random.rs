//! Databases that nobody would write.

use proptest::{
    collection::vec,
    option,
    prelude::{Strategy, any, prop_oneof},
    sample::select,
};

/// A few tables and functions.
#[derive(Clone, Debug)]
pub(super) struct Database {
    pub(super) tables: Vec<Table>,
    /// Bodies.
    functions: Vec<String>,
}

/// A table of texts.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Option<String>>>,
    /// Stands in the default, the check, the index's condition and the comment.
    text: String,
}

/// What splits, quotes, escapes, ends or begins something somewhere.
const FRAGMENTS: [&str; 44] = [
    "\\.",
    "\\.\n",
    "\n\\.\n",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\u{8}",
    "\u{b}",
    "\u{c}",
    "\\",
    "\\\\",
    "\\N",
    "\\x00",
    "\\n",
    "\"",
    "\"\"",
    "'",
    "''",
    "$$",
    "$_$",
    "$a$",
    "--",
    "-- \n",
    "/*",
    "*/",
    ";",
    ";\n",
    "(",
    ")",
    ",",
    ".",
    " ",
    "a",
    "A",
    "COPY x (a) FROM stdin;\n",
    "FROM stdin",
    "--\n-- PostgreSQL database dump complete\n--\n",
    "\n\\restrict x\n",
    "\\connect postgres\n",
    "é",
    "e\u{301}",
    "表",
    "😀",
];

pub(super) fn database() -> impl Strategy<Value = Database> {
    (vec(table(), 1..12), vec(text(), 0..6)).prop_map(|(mut tables, functions)| {
        // Names are made different, whatever they are.
        for (at, table) in tables.iter_mut().enumerate() {
            table.name += &at.to_string();
        }
        Database { tables, functions }
    })
}

fn table() -> impl Strategy<Value = Table> {
    (name(), vec(name(), 0..5), text()).prop_flat_map(|(name, mut columns, text_of_it)| {
        for (at, column) in columns.iter_mut().enumerate() {
            *column += &at.to_string();
        }
        let row = vec(option::weighted(0.9, text()), columns.len());
        vec(row, 0..12).prop_map(move |rows| Table {
            name: name.clone(),
            columns: columns.clone(),
            rows,
            text: text_of_it.clone(),
        })
    })
}

/// A name of at most 60 bytes, to which a number is added.
fn name() -> impl Strategy<Value = String> {
    text().prop_map(|mut text| {
        while text.len() > 60 {
            text.pop();
        }
        text
    })
}

fn text() -> impl Strategy<Value = String> {
    let any_char = any::<char>().prop_filter("PostgreSQL takes no NUL", |char| *char != '\0');
    let piece = prop_oneof![
        4 => select(&FRAGMENTS[..]).prop_map(str::to_owned),
        1 => any_char.prop_map(String::from),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// What makes a database.
pub(super) fn sql(database: &Database) -> String {
    let mut sql = "set check_function_bodies = off;\n".to_owned();
    for (at, body) in database.functions.iter().enumerate() {
        let function = format!("{}()", quoted(&format!("f{at}")));
        for (language, kind) in [("plpgsql", "p"), ("sql", "s")] {
            let function = function.replacen('f', kind, 1);
            let body = literal(body);
            sql += &format!(
                "create function {function} returns text language {language} as {body};
                 comment on function {function} is {body};\n"
            );
        }
    }
    for (at, table) in database.tables.iter().enumerate() {
        sql += &of_table(at, table);
    }
    sql
}

/// A table of many rows, each of three fragments.
pub(super) fn many_rows(count: u32) -> String {
    let fragments = FRAGMENTS.map(literal).join(", ");
    let size = FRAGMENTS.len();
    format!(
        "create table many (i int, t text);
         insert into many
           select i, f[1 + i % {size}] || f[1 + i / {size} % {size}] || f[1 + i * 7 % {size}]
           from (select array[{fragments}]) a (f), generate_series(1, {count}) i;"
    )
}

fn of_table(at: usize, table: &Table) -> String {
    let (name, text) = (quoted(&table.name), literal(&table.text));
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            format!("{0} text default {text} check ({0} <> {text} or true)", quoted(column))
        })
        .collect();
    let mut sql = format!("create table {name} ({});\n", columns.join(", "));
    for row in &table.rows {
        let values: Vec<String> =
            row.iter().map(|value| value.as_deref().map_or("null".to_owned(), literal)).collect();
        sql += &if values.is_empty() {
            format!("insert into {name} default values;\n")
        } else {
            format!("insert into {name} values ({});\n", values.join(", "))
        };
    }
    sql += &format!("comment on table {name} is {text};\n");
    if let Some(column) = table.columns.first() {
        let column = quoted(column);
        sql += &format!(
            "create index on {name} ({column}) where {column} <> {text};
             create view {} as select {text}::text as {column}, {column} as other from {name};
             comment on column {name}.{column} is {text};\n",
            quoted(&format!("v{at}")),
        );
    }
    sql
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
