//! What came out of a restore, held against what the archive says, beside the
//! rows, which the restore itself has counted.

use crate::{
    archive::TableName,
    postgres::{Target, TargetError, quote},
    restore::{SequenceValue, Statement},
    words::Looked,
};

use super::record::Comparison;

/// How many objects a comparison names.
const NAMED: usize = 10;

/// Parts of partitioned indexes may be made later, and a dump says so.
const INDEXES: &str = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
    JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE NOT (i.indisvalid AND i.indisready AND i.indislive)
      AND c.relkind OPERATOR(pg_catalog.=) 'i'
    ORDER BY 1";

/// A unit separator parts name, schema, and table or domain. One that is not
/// enforced is never validated, and what comes with a parent's is judged there.
const CONSTRAINTS: &str = "SELECT pg_catalog.concat_ws(pg_catalog.chr(31), c.conname, n.nspname,
           coalesce(t.relname, d.typname))
    FROM pg_catalog.pg_constraint c
    LEFT JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) c.conrelid
    LEFT JOIN pg_catalog.pg_type d ON d.oid OPERATOR(pg_catalog.=) c.contypid
    JOIN pg_catalog.pg_namespace n
      ON n.oid OPERATOR(pg_catalog.=) coalesce(t.relnamespace, d.typnamespace)
    WHERE NOT c.convalidated
      AND coalesce(pg_catalog.to_jsonb(c) OPERATOR(pg_catalog.->>) 'conenforced', 'true')
          OPERATOR(pg_catalog.=) 'true'
      AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint p
        WHERE NOT p.convalidated AND (p.oid OPERATOR(pg_catalog.=) c.conparentid OR (
          c.coninhcount OPERATOR(pg_catalog.>) 0
          AND p.conname OPERATOR(pg_catalog.=) c.conname
          AND EXISTS (SELECT FROM pg_catalog.pg_inherits i
                      WHERE i.inhrelid OPERATOR(pg_catalog.=) c.conrelid
                        AND i.inhparent OPERATOR(pg_catalog.=) p.conrelid))))
    ORDER BY 1";

/// Compares everything but the rows.
pub async fn compare(
    session: &mut Target,
    sequences: &Result<Vec<SequenceValue>, String>,
    statements: &[&Statement],
) -> Vec<Comparison> {
    let indexes = session.names(INDEXES).await.map(|invalid| nothing_of("invalid", &invalid));
    let constraints = session
        .names(CONSTRAINTS)
        .await
        .map(|found| nothing_of("not validated", &not_validated(&found, statements)));
    vec![
        compare_sequences(session, sequences).await,
        looked("every index is valid", indexes),
        looked("every constraint is validated", constraints),
    ]
}

async fn compare_sequences(
    session: &mut Target,
    sequences: &Result<Vec<SequenceValue>, String>,
) -> Comparison {
    const NAME: &str = "every sequence is at or past its value";
    let sequences = match sequences {
        Ok(sequences) => sequences,
        Err(error) => return Comparison::new(NAME, Looked::CouldNotRun, error.clone()),
    };
    let mut behind = Vec::new();
    for sequence in sequences {
        let TableName { schema, name } = &sequence.name;
        let name = format!("{}.{}", quote(schema), quote(name));
        let found = is_behind(session, &name, sequence).await;
        match wrong(name, found) {
            Ok(wrong) => behind.extend(wrong),
            Err(error) => return looked(NAME, Err(error)),
        }
    }
    let detail = format!("{} sequences", sequences.len());
    let result = nothing_of("behind", &behind).map(|_| detail);
    looked(NAME, Ok(result))
}

/// What is to be said against a sequence; the error where nobody has answered.
fn wrong(
    name: String,
    is_behind: Result<bool, TargetError>,
) -> Result<Option<String>, TargetError> {
    match is_behind {
        Ok(is_behind) => Ok(is_behind.then_some(name)),
        Err(error) if error.is_no_answer() => Err(error),
        // It is not there, say.
        Err(error) => Ok(Some(format!("{name} ({error})"))),
    }
}

async fn is_behind(
    session: &mut Target,
    name: &str,
    expected: &SequenceValue,
) -> Result<bool, TargetError> {
    let SequenceValue { value, called, .. } = expected;
    let literal = name.replace('\'', "''");
    let backwards = format!(
        "SELECT count(*) FROM pg_catalog.pg_sequence
         WHERE seqrelid = '{literal}'::pg_catalog.regclass AND seqincrement < 0"
    );
    let sign = if session.number(&backwards).await? == 0 { '<' } else { '>' };
    let behind = format!(
        "SELECT count(*) FROM {name} WHERE last_value {sign} {value}
            OR (last_value = {value} AND {called} AND NOT is_called)"
    );
    Ok(session.number(&behind).await? > 0)
}

/// Constraints that are not validated, and were not dumped as such.
fn not_validated(found: &[String], statements: &[&Statement]) -> Vec<String> {
    let declared: Vec<(TableName, String)> =
        statements.iter().filter_map(|statement| statement.adds_unvalidated()).collect();
    found
        .iter()
        .filter_map(|line| {
            let (constraint, of) = line.split_once('\u{1f}')?;
            let (schema, name) = of.split_once('\u{1f}')?;
            let of = TableName { schema: schema.to_owned(), name: name.to_owned() };
            Some((of, constraint.to_owned()))
        })
        .filter(|constraint| !declared.contains(constraint))
        .map(|(TableName { schema, name }, constraint)| {
            format!("{} of {}.{}", quote(&constraint), quote(&schema), quote(&name))
        })
        .collect()
}

fn nothing_of(what: &str, found: &[String]) -> Result<String, String> {
    if found.is_empty() {
        return Ok(format!("none is {what}"));
    }
    let shown = found[..found.len().min(NAMED)].join(", ");
    let more = found.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(format!("{what}: {shown}{more}"))
}

fn looked(name: &str, result: Result<Result<String, String>, TargetError>) -> Comparison {
    let (outcome, detail) = match result {
        Ok(Ok(detail)) => (Looked::Ok, detail),
        Ok(Err(detail)) => (Looked::Failed, detail),
        Err(error) => (Looked::CouldNotRun, error.to_string()),
    };
    Comparison::new(name, outcome, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_has_too_little_says_nothing_against_a_sequence() {
        let wrong = |code: &str| {
            let (message, code) = ("no".to_owned(), code.to_owned());
            wrong(
                "public.s".to_owned(),
                Err(TargetError { message, named: None, code, of_code: false }),
            )
        };
        for code in ["", "53100", "57014", "58030"] {
            assert!(wrong(code).is_err(), "{code}");
        }
        let said = wrong("42P01").unwrap();
        assert_eq!(said.as_deref(), Some("public.s (no (SQLSTATE 42P01))"));
    }

    #[test]
    fn a_constraint_that_was_dumped_unvalidated_is_none_that_failed() {
        let declared = [
            "ALTER TABLE ONLY public.gift\n    ADD CONSTRAINT \"say \"\"hi\"\"\" CHECK (a > 0) NOT VALID;",
            "ALTER TABLE ONLY public.gift ADD CONSTRAINT whose FOREIGN KEY (church) REFERENCES \
             public.church(id) NOT VALID;",
            "ALTER DOMAIN public.cents ADD CONSTRAINT positive CHECK ((VALUE > 0)) NOT VALID;",
            "ALTER TABLE public.gift ADD CONSTRAINT b CHECK ((note <> 'NOT VALID'::text));",
        ];
        let declared =
            declared.map(|text| Statement::read(&bytes::Bytes::from_static(text.as_bytes())));
        let found = [
            "say \"hi\"\u{1f}public\u{1f}gift",
            "whose\u{1f}public\u{1f}gift",
            "positive\u{1f}public\u{1f}cents",
            // Names that only stand in those statements, or are another's.
            "a\u{1f}public\u{1f}gift",
            "church\u{1f}public\u{1f}gift",
            "b\u{1f}public\u{1f}gift",
            "whose\u{1f}public\u{1f}Church",
        ];
        let failed = not_validated(&found.map(str::to_owned), &declared.each_ref());
        let expected = [
            "a of public.gift",
            "church of public.gift",
            "b of public.gift",
            "whose of public.\"Church\"",
        ];
        assert_eq!(failed, expected);
    }
}
