//! What a dump leaves out: patterns of the settings, and the exact names that
//! they mean in one snapshot.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::relations::{Kind, Relation};

/// Patterns with `*` and `?`, matched against names as they are stored. A
/// table's pattern is `schema.table`, divided at its first dot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclude {
    /// Whole schemas.
    pub schemas: Vec<String>,
    /// Tables, definition and rows; views and sequences too.
    pub tables: Vec<String>,
    /// Tables whose definition is kept, without the rows.
    pub table_data: Vec<String>,
}

/// What the patterns mean in a snapshot, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedExclusions {
    /// Schemas.
    pub schemas: Vec<String>,
    /// Tables and their like: schema and name.
    pub tables: Vec<(String, String)>,
    /// Tables without their rows: schema and name.
    pub table_data: Vec<(String, String)>,
    /// For `pg_dump`.
    pub(super) args: Vec<String>,
    pub(super) without: HashSet<i64>,
    pub(super) without_rows: HashSet<i64>,
    pub(super) without_schemas: HashSet<String>,
}

impl Exclude {
    /// Finds what the patterns mean. The second half names patterns that mean nothing.
    pub(super) fn resolve(&self, all: &[Relation]) -> (ResolvedExclusions, Vec<String>) {
        let mut warnings = Vec::new();
        let mut found = ResolvedExclusions::default();
        let names: BTreeSet<&str> = all.iter().map(|r| r.schema.as_str()).collect();
        for pattern in &self.schemas {
            let hits: Vec<&&str> = names.iter().filter(|n| matches(pattern, n)).collect();
            if hits.is_empty() {
                warnings.push(format!(
                    "the exclusion schemas = \"{pattern}\" matches no schema that holds a table"
                ));
            }
            found.without_schemas.extend(hits.iter().map(|name| (**name).to_owned()));
        }
        found.without = pick(&self.tables, "tables", all, &mut warnings, |_| true);
        found.without_rows = pick(&self.table_data, "table_data", all, &mut warnings, |r| {
            matches!(r.kind, Kind::Table | Kind::Partitioned)
        });
        found.close_over(all);
        found.name(all);
        (found, warnings)
    }
}

impl ResolvedExclusions {
    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// Whether the dump holds the relation's definition, or for an extension's
    /// own table its rows.
    pub(super) fn keeps(&self, relation: &Relation) -> bool {
        !self.without.contains(&relation.oid) && !self.without_schemas.contains(&relation.schema)
    }

    /// Whether the dump holds a COPY of the relation's rows, or a sequence's value.
    pub(super) fn keeps_rows(&self, relation: &Relation, standby: bool) -> bool {
        self.keeps(relation)
            && matches!(relation.kind, Kind::Table | Kind::Sequence)
            && (!relation.member || relation.config)
            && !self.without_rows.contains(&relation.oid)
            // pg_dump leaves unlogged tables' rows out on a standby: it has none.
            && !(standby && relation.unlogged)
            // The sequence of an identity column goes with its table.
            && !relation.identity_of.is_some_and(|table| self.without.contains(&table))
    }

    /// A partition or child cannot be created without its parent, so it goes
    /// with it; and a partitioned table's rows are its partitions'.
    fn close_over(&mut self, all: &[Relation]) {
        let by_oid: HashMap<i64, &Relation> = all.iter().map(|r| (r.oid, r)).collect();
        loop {
            let gone = |oid: &i64| by_oid.get(oid).is_some_and(|parent| !self.keeps(parent));
            let with_parent =
                all.iter().filter(|r| self.keeps(r) && r.parents.iter().any(gone)).map(|r| r.oid);
            let without: Vec<i64> = with_parent.collect();
            let rowless = |r: &&Relation| {
                r.partition
                    && !self.without_rows.contains(&r.oid)
                    && r.parents.iter().any(|oid| self.without_rows.contains(oid))
            };
            let without_rows: Vec<i64> = all.iter().filter(rowless).map(|r| r.oid).collect();
            if without.is_empty() && without_rows.is_empty() {
                return;
            }
            self.without.extend(without);
            self.without_rows.extend(without_rows);
        }
    }

    fn name(&mut self, all: &[Relation]) {
        let mut schemas: BTreeSet<&str> = BTreeSet::new();
        for relation in all {
            let full = || (relation.schema.clone(), relation.name.clone());
            if self.without_schemas.contains(&relation.schema) {
                schemas.insert(&relation.schema);
            } else if self.without.contains(&relation.oid) {
                self.tables.push(full());
                self.args.push(argument("--exclude-table=", &[&relation.schema, &relation.name]));
            } else if self.without_rows.contains(&relation.oid) {
                self.table_data.push(full());
                self.args
                    .push(argument("--exclude-table-data=", &[&relation.schema, &relation.name]));
            }
        }
        for name in schemas {
            self.schemas.push(name.to_owned());
            self.args.push(argument("--exclude-schema=", &[name]));
        }
        self.args.sort();
    }
}

/// `pg_dump` reads patterns; within double quotes every character is itself.
pub(super) fn argument(option: &str, names: &[&str]) -> String {
    let quoted: Vec<String> =
        names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    format!("{option}{}", quoted.join("."))
}

fn pick(
    patterns: &[String],
    key: &str,
    all: &[Relation],
    warnings: &mut Vec<String>,
    eligible: impl Fn(&Relation) -> bool,
) -> HashSet<i64> {
    let mut picked = HashSet::new();
    for pattern in patterns {
        let Some((schema, name)) = pattern.split_once('.') else {
            warnings.push(format!(
                "the exclusion {key} = \"{pattern}\" matches nothing: write it schema.table"
            ));
            continue;
        };
        let hits: Vec<i64> = all
            .iter()
            .filter(|r| eligible(r) && matches(schema, &r.schema) && matches(name, &r.name))
            .map(|r| r.oid)
            .collect();
        if hits.is_empty() {
            warnings.push(format!("the exclusion {key} = \"{pattern}\" matches no table"));
        }
        picked.extend(hits);
    }
    picked
}

/// `*` stands for any characters, `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on when the last star must take one character more.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(oid: i64, schema: &str, name: &str, parents: &[i64]) -> Relation {
        Relation {
            oid,
            schema: schema.into(),
            name: name.into(),
            kind: Kind::Table,
            unlogged: false,
            member: false,
            config: false,
            reachable: true,
            readable: true,
            row_security: false,
            parents: parents.to_vec(),
            partition: !parents.is_empty(),
            identity_of: None,
            rows: 0,
        }
    }

    fn exclude(schemas: &[&str], tables: &[&str], table_data: &[&str]) -> Exclude {
        let own = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect();
        Exclude { schemas: own(schemas), tables: own(tables), table_data: own(table_data) }
    }

    #[test]
    fn patterns_match_as_shells_do() {
        assert!(matches("a*c?e", "abbcde") && matches("*", "") && matches("a**", "a"));
        assert!(!matches("a?", "a") && !matches("a", "A") && !matches("", "a"));
        assert!(matches("*ab", "aab") && !matches("*ab", "aba"));
    }

    #[test]
    fn a_partitioned_table_takes_its_partitions_along_at_every_depth() {
        let mut all = [
            table(1, "s", "root", &[]),
            table(2, "s", "part", &[1]),
            table(3, "elsewhere", "leaf", &[2]),
            table(4, "s", "other", &[]),
        ];
        all[0].kind = Kind::Partitioned;
        all[1].kind = Kind::Partitioned;
        let (found, warnings) = exclude(&[], &["s.root"], &[]).resolve(&all);
        assert_eq!(warnings, Vec::<String>::new());
        let names: Vec<_> = found.tables.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["root", "part", "leaf"]);
        assert!(found.keeps_rows(&all[3], false) && !found.keeps_rows(&all[2], false));

        let (found, _) = exclude(&[], &[], &["s.root"]).resolve(&all);
        assert_eq!(found.table_data.len(), 3);
        assert!(found.keeps(&all[2]) && !found.keeps_rows(&all[2], false));
    }

    #[test]
    fn a_pattern_that_means_nothing_is_named() {
        let all = [table(1, "s", "t", &[])];
        let (found, warnings) = exclude(&["x"], &["s.u", "t"], &["y.*"]).resolve(&all);
        assert!(found.is_empty());
        assert_eq!(warnings.len(), 4, "{warnings:?}");
        for (warning, pattern) in warnings.iter().zip(["\"x\"", "\"s.u\"", "\"t\"", "\"y.*\""]) {
            assert!(warning.contains(pattern), "{warning}");
        }
    }

    #[test]
    fn names_reach_pg_dump_literally() {
        let all = [table(1, "A.b", "we\"ird*", &[]), table(2, "gone", "t", &[])];
        let (found, _) = exclude(&["gone"], &["?.*"], &[]).resolve(&all);
        assert_eq!(found.args, ["--exclude-schema=\"gone\""]);
        let (found, _) = exclude(&[], &["*.we*"], &[]).resolve(&all);
        assert_eq!(found.args, ["--exclude-table=\"A.b\".\"we\"\"ird*\""]);
    }
}
