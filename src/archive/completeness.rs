//! Whether an archive holds every table that its snapshot held.

use std::{collections::BTreeSet, fmt};

use super::{index::Index, manifest::Excluded};

/// A table by its schema and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// What an archive lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incomplete {
    /// Tables of the snapshot that are not in the archive.
    MissingTables(Vec<TableName>),
    /// A section that wrote nothing.
    EmptySection(&'static str),
    /// A table that stands there twice.
    Twice(TableName),
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTables(tables) => {
                let shown: Vec<String> = tables.iter().take(20).map(ToString::to_string).collect();
                write!(f, "the dump lacks {} table(s) of the snapshot: ", tables.len())?;
                write!(f, "{}", shown.join(", "))?;
                if tables.len() > shown.len() { write!(f, ", …") } else { Ok(()) }
            }
            Self::EmptySection(section) => write!(f, "the {section} section of the dump is empty"),
            Self::Twice(table) => write!(f, "the dump holds {table} twice"),
        }
    }
}

impl std::error::Error for Incomplete {}

/// Compares what was written with the tables of the snapshot.
///
/// # Errors
/// When a table is missing that the configuration did not leave out, when one
/// stands there twice, or when a section is empty.
pub fn check(snapshot: &[TableName], excluded: &Excluded, index: &Index) -> Result<(), Incomplete> {
    let sections = &index.sections;
    for (name, members) in [
        ("pre-data", &sections.pre_data),
        ("data", &sections.data),
        ("post-data", &sections.post_data),
    ] {
        if members.is_empty() {
            return Err(Incomplete::EmptySection(name));
        }
    }
    let mut written = BTreeSet::new();
    for table in &index.tables {
        let name = TableName { schema: table.schema.clone(), name: table.name.clone() };
        if let Some(twice) = written.replace(name) {
            return Err(Incomplete::Twice(twice));
        }
    }
    let left_out: BTreeSet<TableName> = [&excluded.tables, &excluded.table_data]
        .into_iter()
        .flatten()
        .map(|table| TableName { schema: table.schema.clone(), name: table.name.clone() })
        .collect();
    let missing: Vec<TableName> = snapshot
        .iter()
        .filter(|table| !excluded.schemas.contains(&table.schema))
        .filter(|table| !left_out.contains(table) && !written.contains(table))
        .cloned()
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Incomplete::MissingTables(missing)) }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            copy::CopyHeader,
            manifest::{ExcludedTable, Member, Sections},
        },
        *,
    };

    fn name(schema: &str, name: &str) -> TableName {
        TableName { schema: schema.into(), name: name.into() }
    }

    fn index(tables: &[(&str, &str)]) -> Index {
        let member = vec![Member { offset: 0, length: 1, uncompressed: 1, rows: 0 }];
        let sections =
            Sections { pre_data: member.clone(), data: member.clone(), post_data: member };
        let mut index = Index { sections, ..Index::default() };
        for (schema, table) in tables {
            let (schema, table) = (schema.to_string(), table.to_string());
            index.table(CopyHeader { schema, table, columns: vec![] });
        }
        index
    }

    #[test]
    fn a_table_of_the_snapshot_that_is_missing_is_named() {
        let snapshot = [name("public", "a"), name("public", "b"), name("other", "a")];
        let result = check(&snapshot, &Excluded::default(), &index(&[("public", "a")]));
        let missing = vec![name("public", "b"), name("other", "a")];
        assert_eq!(result, Err(Incomplete::MissingTables(missing)));
        assert_eq!(
            result.unwrap_err().to_string(),
            "the dump lacks 2 table(s) of the snapshot: public.b, other.a"
        );
    }

    #[test]
    fn what_the_configuration_left_out_may_be_missing() {
        let snapshot = [name("public", "a"), name("public", "b"), name("junk", "c")];
        let table = |name: &str| ExcludedTable { schema: "public".into(), name: name.into() };
        let excluded = Excluded {
            schemas: vec!["junk".into()],
            tables: vec![table("a")],
            table_data: vec![table("b")],
        };
        assert_eq!(check(&snapshot, &excluded, &index(&[])), Ok(()));
    }

    #[test]
    fn a_table_that_stands_there_twice_or_an_empty_section_is_refused() {
        let twice = index(&[("public", "a"), ("public", "a")]);
        let excluded = Excluded::default();
        assert_eq!(check(&[], &excluded, &twice), Err(Incomplete::Twice(name("public", "a"))));
        assert_eq!(
            check(&[], &excluded, &Index::default()),
            Err(Incomplete::EmptySection("pre-data"))
        );
    }
}
