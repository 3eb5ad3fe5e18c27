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

/// A unit separator parts name and table.
const CONSTRAINTS: &str = "SELECT pg_catalog.concat(conname, pg_catalog.chr(31),
           CASE WHEN conrelid OPERATOR(pg_catalog.<>) 0 THEN conrelid::pg_catalog.regclass::text
                ELSE contypid::pg_catalog.regtype::text END)
    FROM pg_catalog.pg_constraint WHERE NOT convalidated ORDER BY 1";

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
        match is_behind(session, &name, sequence).await {
            Ok(true) => behind.push(name),
            Ok(false) => {}
            Err(error) if error.code.is_empty() => return looked(NAME, Err(error)),
            // It is not there, say.
            Err(error) => behind.push(format!("{name} ({error})")),
        }
    }
    let detail = format!("{} sequences", sequences.len());
    let result = nothing_of("behind", &behind).map(|_| detail);
    looked(NAME, Ok(result))
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
    let has = |text: &[u8], part: &[u8]| memchr::memmem::find(text, part).is_some();
    let declared: Vec<&[u8]> = statements
        .iter()
        .map(|statement| statement.text.as_ref())
        .filter(|text| has(text, b"NOT VALID") || has(text, b"NOT ENFORCED"))
        .collect();
    found
        .iter()
        .filter_map(|line| line.split_once('\u{1f}'))
        .filter(|(name, _)| {
            let name = name.replace('"', "\"\"");
            !declared.iter().any(|text| has(text, name.as_bytes()))
        })
        .map(|(name, table)| format!("{} of {table}", quote(name)))
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
    fn a_constraint_that_was_dumped_unvalidated_is_none_that_failed() {
        let text = "ALTER TABLE ONLY public.gift\n    ADD CONSTRAINT \"say \"\"hi\"\"\" CHECK (a > 0) NOT VALID;";
        let declared = Statement::read(&bytes::Bytes::from_static(text.as_bytes()));
        let found = ["say \"hi\"\u{1f}public.gift".to_owned(), "other\u{1f}public.gift".to_owned()];
        assert_eq!(not_validated(&found, &[&declared]), ["other of public.gift"]);
    }
}
