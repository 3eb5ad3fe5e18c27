//! Reads the `COPY schema.table (columns) FROM stdin;` that `pg_dump` writes.

/// The table and columns that a COPY statement names, unquoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyHeader {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// Columns in the order of the data; empty for a table without columns.
    pub columns: Vec<String>,
}

/// Skips the white space and `--` comments that `pg_dump` writes before a statement.
#[must_use]
pub fn skip_comments(mut sql: &[u8]) -> &[u8] {
    loop {
        sql = sql.trim_ascii_start();
        if !sql.starts_with(b"--") {
            return sql;
        }
        let line = memchr::memchr(b'\n', sql).map_or(sql.len(), |at| at + 1);
        sql = &sql[line..];
    }
}

/// Reads a statement as COPY from stdin, or returns `None` where it is another.
///
/// The statement begins with its keyword; see [`skip_comments`].
#[must_use]
pub fn parse(statement: &[u8]) -> Option<CopyHeader> {
    let mut reader = Reader(statement);
    reader.keyword(b"COPY")?;
    let schema = reader.identifier()?;
    reader.symbol(b'.')?;
    let table = reader.identifier()?;
    let mut columns = Vec::new();
    if reader.symbol(b'(').is_some() {
        loop {
            columns.push(reader.identifier()?);
            if reader.symbol(b',').is_none() {
                break;
            }
        }
        reader.symbol(b')')?;
    }
    reader.keyword(b"FROM")?;
    reader.keyword(b"stdin")?;
    reader.symbol(b';')?;
    reader.0.is_empty().then_some(CopyHeader { schema, table, columns })
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn keyword(&mut self, keyword: &[u8]) -> Option<()> {
        let sql = self.0.trim_ascii_start();
        let (word, rest) = sql.split_at_checked(keyword.len())?;
        let ends = rest.first().is_none_or(|&byte| !byte.is_ascii_alphanumeric() && byte != b'_');
        (word.eq_ignore_ascii_case(keyword) && ends).then(|| self.0 = rest)
    }

    fn symbol(&mut self, symbol: u8) -> Option<()> {
        self.0.trim_ascii_start().strip_prefix(&[symbol]).map(|rest| self.0 = rest)
    }

    fn identifier(&mut self) -> Option<String> {
        let sql = self.0.trim_ascii_start();
        if let Some(mut rest) = sql.strip_prefix(b"\"") {
            let mut name = Vec::new();
            loop {
                let close = memchr::memchr(b'"', rest)?;
                name.extend_from_slice(&rest[..close]);
                rest = &rest[close + 1..];
                match rest.strip_prefix(b"\"") {
                    Some(after) => {
                        name.push(b'"');
                        rest = after;
                    }
                    None => break,
                }
            }
            self.0 = rest;
            return Some(String::from_utf8_lossy(&name).into_owned());
        }
        let is_part = |&&byte: &&u8| {
            byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
        };
        let length = sql.iter().take_while(is_part).count();
        let (name, rest) = sql.split_at(length);
        self.0 = rest;
        (length > 0).then(|| String::from_utf8_lossy(name).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(schema: &str, table: &str, columns: &[&str]) -> CopyHeader {
        let columns = columns.iter().map(ToString::to_string).collect();
        CopyHeader { schema: schema.into(), table: table.into(), columns }
    }

    #[test]
    fn plain_and_quoted_names_are_read_as_they_are_stored() {
        assert_eq!(
            parse(b"COPY public.donor (id, \"fullName\") FROM stdin;"),
            Some(header("public", "donor", &["id", "fullName"]))
        );
        assert_eq!(
            parse(b"COPY \"we\"\"ird\n.s\".\"FROM stdin;\" (\"a, b)\", \"c\") FROM stdin;"),
            Some(header("we\"ird\n.s", "FROM stdin;", &["a, b)", "c"]))
        );
    }

    #[test]
    fn a_table_without_columns_has_none() {
        assert_eq!(parse(b"COPY public.zero  FROM stdin;"), Some(header("public", "zero", &[])));
    }

    #[test]
    fn other_statements_are_not_copies() {
        for sql in [
            &b"SELECT pg_catalog.setval('public.s', 1, true);"[..],
            b"COPY public.t (a) TO stdout;",
            b"COPY t (a) FROM stdin;",
            b"COPYX public.t (a) FROM stdin;",
            b"COPY public.t (a) FROM stdin; SELECT 1;",
            b"",
        ] {
            assert_eq!(parse(sql), None, "{}", String::from_utf8_lossy(sql));
        }
    }

    #[test]
    fn comments_before_a_statement_are_skipped() {
        assert_eq!(skip_comments(b"\n--\n-- Data for Name: t\n--\n\nCOPY x"), b"COPY x");
        assert_eq!(skip_comments(b"--"), b"");
    }
}
