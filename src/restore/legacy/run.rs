//! Carries a legacy restore out: check, clean, stream, proof.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

use super::{
    super::{
        clean,
        drop::{self, Rehearsed},
        ending::{self, Cause, Known},
        error::RestoreError,
        failure::Failure,
        noted::Noted,
        plan::Expected,
        progress::Progress,
        proof::{self, Compared},
        report::Report,
        scan::{Scanned, Scanner},
        script_log::{ScriptLog, line_of},
        stages::Stages,
        statement::name_of,
        stopped::Loaded,
    },
    PreparedLegacy, Text,
    found::Found,
    refusals,
    sent::Sent,
};
use crate::{archive::TableName, postgres::Target, words::RestoreStage};

/// What is said of a text that does not say that it is complete.
const INCOMPLETE: &str = "whether the archive is complete cannot be told: it does not end with the \
     comment that pg_dump writes last, so statements may be missing at its end";

/// Restores a legacy archive.
///
/// # Errors
/// When something stands in the way, it stops at an error, or `cancel` is cancelled.
pub async fn run(
    prepared: PreparedLegacy,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Report, RestoreError> {
    let url = prepared.url.clone();
    let (touched, uncounted) = (AtomicBool::new(false), AtomicBool::new(false));
    let known = prepared.known(false, false);
    let stages = Stages::new(progress);
    let work = Work { stages: &stages, progress, touched: &touched, uncounted: &uncounted };
    let cause = tokio::select! {
        biased;
        () = cancel.cancelled() => Cause::Cancelled,
        result = work.all(prepared) => match result {
            Ok(report) => return Ok(report),
            Err(Ended::Refused(refusals)) => return Err(RestoreError::Refused(refusals)),
            Err(Ended::Failed(failure)) => Cause::Failed(failure),
        },
    };
    let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
    let known = Known { touched: is(&touched), uncounted: is(&uncounted), ..known };
    Err(ending::stopped(cause, &url, progress, known).await)
}

/// What emptying the target drops, and what may go with that.
fn drops(found: &Found) -> (Vec<String>, BTreeSet<TableName>) {
    let mut drops = clean::drops(found.created.iter());
    drops.extend(clean::containers(&found.created));
    let names = found
        .created
        .iter()
        .flat_map(|statement| [&statement.object, &statement.relation, &statement.other]);
    (drops, names.flatten().cloned().collect())
}

/// Why the target cannot be emptied; it is tried, and taken back.
pub(super) async fn rehearse(found: &Found, control: &mut Target) -> Result<Rehearsed, String> {
    let (drops, may_go) = drops(found);
    let none = (BTreeSet::new(), BTreeSet::new());
    let ours = drop::Ours { may_go: &may_go, rejoins: &none.0, keys: &none.1 };
    drop::rehearse(&drops, ours, control).await.map_err(|failure| failure.said())
}

enum Ended {
    Refused(Vec<String>),
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

struct Work<'a> {
    stages: &'a Stages,
    progress: &'a Progress,
    touched: &'a AtomicBool,
    /// Whether rows were sent of which psql has not said whether they were taken.
    uncounted: &'a AtomicBool,
}

impl Work<'_> {
    async fn all(&self, mut prepared: PreparedLegacy) -> Result<Report, Ended> {
        let stages = self.stages;
        let early = refusals::of_target(&prepared);
        if !early.is_empty() {
            prepared.close().await;
            return Err(Ended::Refused(early));
        }
        let bytes = prepared.request.archive.bytes;
        let reading = Found::read(&prepared.request, self.progress);
        let found = stages.run(RestoreStage::Check, bytes, reading).await?;
        let refusals = refusals::of_archive(&prepared, &found);
        if !refusals.is_empty() {
            prepared.close().await;
            return Err(Ended::Refused(refusals));
        }
        // Where it is refused for that, this is not reached.
        let differs = refusals::differs(&prepared, &found);
        if prepared.request.clean {
            self.clean(&found, &mut prepared.control).await?;
        }
        self.touched.store(true, Ordering::Relaxed);
        let streaming = self.stream(&prepared);
        stages.run(RestoreStage::Legacy, bytes, streaming).await?;
        let compared = self.prove(&found, &mut prepared.control).await?;
        let warning = compared.warning();
        let PreparedLegacy { request, control, facts, mut warnings, .. } = prepared;
        control.close().await;
        warnings.extend(warning);
        let proven = found.complete && compared.uncounted.is_empty() && differs.is_none();
        warnings.extend(differs);
        if !found.complete {
            warnings.push(INCOMPLETE.to_owned());
        }
        Ok(Report {
            backup: request.id,
            database: facts.database,
            server_version: facts.server.text,
            platform: None,
            tables: found.rows.len() as u64,
            rows: found.rows.values().sum(),
            archive_bytes: request.archive.bytes,
            tables_compared: compared.tables,
            rows_compared: compared.rows,
            proven,
            different: compared.different,
            uncounted: compared.uncounted,
            skipped: Vec::new(),
            unset: Vec::new(),
            left_out: Vec::new(),
            warnings,
            stages: stages.times(),
            seconds: stages.seconds(),
        })
    }

    /// Drops what the stream makes again, whatever is there.
    async fn clean(&self, found: &Found, control: &mut Target) -> Result<(), Failure> {
        let (drops, may_go) = drops(found);
        // Its publications are dropped and made again whole.
        let none = (BTreeSet::new(), BTreeSet::new());
        let ours = drop::Ours { may_go: &may_go, rejoins: &none.0, keys: &none.1 };
        let total = drops.len() as u64;
        let cleaning = drop::clean(&drops, ours, control, self.progress, self.touched);
        self.stages.run(RestoreStage::Clean, total, cleaning).await
    }

    /// Analyses and counts the tables that the archive filled.
    async fn prove(&self, found: &Found, control: &mut Target) -> Result<Compared, Failure> {
        // An extension that made a table may have put rows there itself.
        let after = control.facts().await?;
        let members: BTreeSet<(&str, &str)> = after
            .relations
            .iter()
            .filter(|relation| relation.member)
            .map(|relation| (relation.schema.as_str(), relation.name.as_str()))
            .collect();
        let expected = |(table, rows): (&TableName, &u64)| Expected {
            table: table.clone(),
            rows: *rows,
            at_least: members.contains(&(table.schema.as_str(), table.name.as_str())),
        };
        let proof: Vec<Expected> = found.rows.iter().map(expected).collect();
        let tables: Vec<TableName> = found.rows.keys().cloned().collect();
        let total = tables.len() as u64;
        let sessions = std::slice::from_mut(control);
        let analyzing = proof::analyze(&tables, sessions, self.progress);
        self.stages.run(RestoreStage::Analyze, total, analyzing).await?;
        let comparing = proof::compare(&proof, sessions, self.progress);
        self.stages.run(RestoreStage::Proof, total, comparing).await
    }

    /// Sends the archive through `psql`.
    async fn stream(&self, prepared: &PreparedLegacy) -> Result<(), Failure> {
        let mut text = Text::open(&prepared.request.archive);
        let (mut scanner, mut log) = (Scanner::passing(), ScriptLog::default());
        let mut sent = Sent::default();
        let mut running = prepared.psql.start().await?;
        while let Some(piece) = text.piece(self.progress).await? {
            // Noted before it is sent, so that an error finds its statement.
            scanner.push(piece);
            while let Some(scanned) = scanner.next() {
                match scanned {
                    Scanned::Statement { statement, line } => {
                        sent.statement(&statement, line);
                        log.note(line, Noted::from(&statement));
                    }
                    Scanned::Rows { table, rows, line } => {
                        sent.rows(rows, line);
                        let at = format!("rows of table {}", name_of(&table));
                        log.note(line, Noted::copy(at));
                        self.uncounted.store(true, Ordering::Relaxed);
                    }
                }
            }
            // What no dump holds was refused before anything was touched; the store
            // might give something else now.
            scanner.refused()?;
            if !running.write(&scanner.passed()).await {
                break;
            }
        }
        let ended = running.finish().await;
        let loaded = match &ended {
            Ok(()) => Some(sent.all()),
            Err(error) => line_of(error).map(|line| sent.before(line)),
        };
        if let Some(Loaded { tables, rows }) = loaded {
            self.progress.add_rows(rows);
            self.progress.add_tables(tables);
            self.uncounted.store(false, Ordering::Relaxed);
        }
        ended.map_err(|error| log.failure(&error))
    }
}
