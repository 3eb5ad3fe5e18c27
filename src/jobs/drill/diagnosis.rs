//! Whether a restore failed because of the archive, or for another reason.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::{
    Environment, Request,
    error::Error,
    fault::{self, Fault, differences, lacking, outdated},
    subject::Subject,
};
use crate::{
    archive::{Finding, Manifest, Problem},
    drill::Record,
    jobs::verify::{self, Options},
    postgres::quote,
    restore::Difference,
    state,
    store::Patience,
    words::{DrillPlace, DrillReason},
};

/// How many findings a message names.
const NAMED: usize = 3;

/// Reads the archive again for it, every byte. What is wrong with it is written
/// down as a verify would.
pub(super) async fn diagnose(
    environment: &Environment,
    request: &Request,
    subject: &Subject,
    error: Error,
    record: &mut Record,
) -> Fault {
    let options = Options {
        threads: environment.archive.threads,
        at_once: 1,
        record: request.record,
        patience: Patience::default(),
    };
    let (progress, never) = (state::Progress::default(), CancellationToken::new());
    let (layout, entry) = (&request.layout, &request.entry);
    let verified = verify::run(environment, layout, entry, options, &progress, &never).await;
    match (verified, error) {
        (Ok(verified), _) if verified.is_damaged() => {
            let findings = &verified.judgement.findings;
            if let Subject::Backup(manifest) = subject
                && let Some(different) = rows_alone(findings, manifest)
            {
                record.different = different;
                let message = differences(&record.different);
                return Fault::failed(DrillReason::RowsDiffer, message);
            }
            let findings: Vec<String> =
                findings.iter().take(NAMED).map(ToString::to_string).collect();
            Fault::failed(DrillReason::ArchiveDamaged, findings.join("; "))
        }
        (_, error) => of_the_restore(error, record),
    }
}

/// What is to be said of a restore that stopped, where the archive's bytes are as
/// they were written or could not be read.
fn of_the_restore(error: Error, record: &Record) -> Fault {
    match error {
        Error::Sandbox(message) => Fault::unproven(DrillReason::Sandbox, message),
        Error::Target(message) => Fault::unproven(DrillReason::Target, message),
        Error::Full(message) => Fault::unproven(DrillReason::NoRoom, message),
        Error::Read(message) => Fault::unproven(DrillReason::Store, message),
        Error::Uncounted(message) => Fault::unproven(DrillReason::Incomplete, message),
        Error::Locale { name, message } => {
            let message = format!("{}; {message}", fault::no_locale(name.as_deref(), record));
            Fault::failed(DrillReason::MissingLocale, message)
        }
        // The archive says no more of it than its name.
        Error::Extension(message) => {
            let lacking = lacking(record).unwrap_or_else(|| fault::no_extension(record));
            Fault::failed(DrillReason::MissingExtension, format!("{lacking}; {message}"))
        }
        // A library that no missing extension was to bring.
        Error::File(message) if lacking(record).or_else(|| outdated(record)).is_none() => {
            let is_target = record.place == DrillPlace::Target;
            let reason = if is_target { DrillReason::Target } else { DrillReason::Sandbox };
            Fault::unproven(reason, message)
        }
        // Whatever an extension makes is not there, where that is not, and what is said
        // of that may be anything.
        Error::Undefined(message) | Error::Definition(message) | Error::File(message) => {
            of_an_extension(lacking(record).or_else(|| outdated(record)), message)
        }
        // An older one has what code of long standing looks for.
        Error::Code(message) => of_an_extension(lacking(record), message),
        Error::Restore(message) | Error::Place(message) | Error::Denied(message) => {
            let lacking = lacking(record).map(|lacking| format!("; and {lacking}"));
            let message = format!("{message}{}", lacking.unwrap_or_default());
            Fault::failed(DrillReason::RestoreError, message)
        }
    }
}

/// A failure that is laid to an extension, where one is not there as it should be.
fn of_an_extension(lacking: Option<String>, message: String) -> Fault {
    match lacking {
        Some(lacking) => {
            Fault::failed(DrillReason::MissingExtension, format!("{lacking}; {message}"))
        }
        None => Fault::failed(DrillReason::RestoreError, message),
    }
}

/// The tables with other rows, where every byte is as it was hashed and the rows
/// are all that is wrong: the archive was made, or made over, with other rows than
/// its manifest says.
fn rows_alone(findings: &[Finding], manifest: &Manifest) -> Option<Vec<Difference>> {
    let mut by_table: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for finding in findings {
        let Finding::Member { offset, problem: Problem::Rows { expected, found }, .. } = finding
        else {
            return None;
        };
        let table = manifest
            .tables
            .iter()
            .position(|table| table.members.iter().any(|member| member.offset == *offset))?;
        let sum = by_table.entry(table).or_default();
        *sum = (sum.0 + expected, sum.1 + found);
    }
    let different = by_table.into_iter().map(|(table, (expected, found))| {
        let table = &manifest.tables[table];
        let name = format!("{}.{}", quote(&table.schema), quote(&table.name));
        // The other members are as the manifest says.
        let found = (table.rows + found).saturating_sub(expected);
        Difference { table: name, expected: table.rows, found }
    });
    Some(different.collect()).filter(|different: &Vec<_>| !different.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        archive::manifest::{Member, Table},
        drill::{PlaceFacts, a_record},
        words::DrillVerdict,
    };

    /// A manifest with two tables of two members each, ten rows in each member.
    fn manifest() -> Manifest {
        let text = include_str!("../../../tests/fixtures/manifests/0.1.0.json");
        let mut manifest = Manifest::parse(text.as_bytes()).unwrap();
        let member = |offset| Member { offset, length: 10, uncompressed: 9, rows: 10 };
        let table = |name: &str, offset| Table {
            schema: "public".to_owned(),
            name: name.to_owned(),
            rows: 20,
            members: vec![member(offset), member(offset + 10)],
            ..manifest.tables[0].clone()
        };
        manifest.tables = vec![table("gift", 100), table("Church", 200)];
        manifest
    }

    fn rows(offset: u64, found: u64) -> Finding {
        let (number, holds, length) = (1, String::new(), 10);
        let problem = Problem::Rows { expected: 10, found };
        Finding::Member { number, holds, offset, length, problem }
    }

    #[test]
    fn rows_that_are_all_that_is_wrong_are_told_table_by_table() {
        let found = rows_alone(&[rows(100, 7), rows(110, 9), rows(210, 11)], &manifest()).unwrap();
        let found: Vec<_> = found.iter().map(|d| (d.table.as_str(), d.expected, d.found)).collect();
        assert_eq!(found, [("public.gift", 20, 16), ("public.\"Church\"", 20, 21)]);
    }

    #[test]
    fn anything_else_that_is_wrong_is_damage() {
        let more = Finding::More { count: 2 };
        for other in [more, Finding::ArchiveMissing, rows(999, 1)] {
            assert_eq!(rows_alone(&[rows(100, 7), other], &manifest()), None);
        }
        assert_eq!(rows_alone(&[], &manifest()), None);
    }

    #[test]
    fn what_this_machine_lacks_is_not_said_of_the_backup() {
        let of = |missing: &[&str], error: Error| {
            let mut record = a_record("2026-12-01T06-00-00Z", DrillVerdict::Unproven);
            record.missing_extensions = missing.iter().map(|&name| name.to_owned()).collect();
            of_the_restore(error, &record)
        };
        let undefined = || Error::Undefined("type \"geometry\" does not exist".to_owned());
        let fault = of(&["postgis"], undefined());
        assert_eq!(fault.reason, DrillReason::MissingExtension);
        assert!(!fault.reason.condemns(), "the backup stays a good one");
        for part in ["the extensions postgis: install", "drill.target", "geometry"] {
            assert!(fault.message.contains(part), "{part}: {}", fault.message);
        }
        let label = || Error::Definition("security label provider is not loaded".to_owned());
        assert_eq!(of(&["pgsodium"], label()).reason, DrillReason::MissingExtension);
        // Nothing is missing, or it is about something else.
        let broken = || Error::Restore("invalid input syntax".to_owned());
        for fault in
            [of(&[], undefined()), of(&[], label()), of(&["postgis"], broken()), of(&[], broken())]
        {
            assert_eq!(fault.reason, DrillReason::RestoreError, "{fault:?}");
        }
        // A library that is not there is the machine's, whosever it is.
        let library = || Error::File("could not access file".to_owned());
        assert_eq!(of(&["plv8"], library()).reason, DrillReason::MissingExtension);
        let fault = of(&[], library());
        assert_eq!((fault.verdict, fault.reason), (DrillVerdict::Unproven, DrillReason::Sandbox));
        // One that is there and older may lack what a definition wants, and not what
        // code of the database looks for without its schema.
        let older = |error| {
            let mut record = a_record("2026-12-01T06-00-00Z", DrillVerdict::Unproven);
            record.older_extensions = vec!["vector 0.8 (it has 0.5.1)".to_owned()];
            of_the_restore(error, &record)
        };
        let fault = older(undefined());
        assert_eq!(fault.reason, DrillReason::MissingExtension);
        assert!(fault.message.contains("older versions than the source: vector 0.8"), "{fault:?}");
        assert_eq!(older(library()).reason, DrillReason::MissingExtension);
        let code = || Error::Code("relation \"church\" does not exist".to_owned());
        assert_eq!(older(code()).reason, DrillReason::RestoreError);
        assert_eq!(of(&["postgis"], code()).reason, DrillReason::MissingExtension);
        // It is there, and does not come up.
        let fault = of(&[], Error::Extension("at extension pg_cron: must be loaded".to_owned()));
        assert_eq!(fault.reason, DrillReason::MissingExtension);
        assert!(fault.message.contains("does not make an extension"), "{fault:?}");
    }

    #[test]
    fn a_locale_that_this_machine_lacks_is_named_and_condemns_nothing() {
        let mut record = a_record("2026-12-01T06-00-00Z", DrillVerdict::Unproven);
        let mut of = |place, name: Option<&str>| {
            record.sandbox = Some(PlaceFacts {
                place,
                server_version: "15.4".to_owned(),
                network: "none".to_owned(),
            });
            let (name, message) = (name.map(str::to_owned), "it stopped".to_owned());
            let fault = of_the_restore(Error::Locale { name, message }, &record);
            assert_eq!(fault.reason, DrillReason::MissingLocale);
            assert!(!fault.reason.condemns(), "the backup stays a good one");
            fault.message
        };
        let said = of(DrillPlace::Sandbox, Some("de_DE.utf8"));
        for part in ["does not have the locale de_DE.utf8: install it", "drill.target", "stopped"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let said = of(DrillPlace::Sandbox, None);
        assert!(said.starts_with("this machine does not have a locale of the backup"), "{said}");
        let said = of(DrillPlace::Target, Some("de_DE.utf8"));
        assert!(
            said.starts_with("drill.target does not have the locale de_DE.utf8: name"),
            "{said}"
        );
    }
}
