//! A live state with something of everything in it, at a fixed time.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use reliquary::{
    clock::Clock,
    http::App,
    metrics::{Metrics, Observer},
    state::{BackupSize, CatalogTotals, DatabaseState, NewBackup, RunReport, State, SweepReport},
    status::StatusInfo,
    words::{Direction, JobKind, Outcome, Stage, StoreOperation, SweepRefusal},
};

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// Monday, the 23rd of November 2026, so many minutes after 14:00 UTC.
pub(crate) fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_442_400, 0).unwrap() + TimeDelta::minutes(minute)
}

/// One database of which nothing is known yet, at 14:00.
pub(crate) fn young() -> (Clock, App) {
    let clock = Clock::manual(at(0));
    let state = State::new(clock.clone(), at(0), "0.1.0");
    state.add(DatabaseState::new("main", "database/", "0 0 * * * *", 2 * HOUR));
    (clock, app(state))
}

/// Two databases at 14:30: one with a backup under way after two good ones, and
/// one whose last slot was lost.
pub(crate) fn busy() -> (Clock, App) {
    let (clock, app) = young();
    app.state.add(DatabaseState::new("billing", "billing/", "0 30 * * * *", HOUR));
    let app = self::app(app.state);
    clock.set(at(30));

    let ok = RunReport {
        job: JobKind::Backup,
        outcome: Outcome::Ok,
        started: at(0),
        seconds: 42.5,
        stage: None,
        error: None,
        backup: Some("2026-11-23T14-00-00Z".to_owned()),
    };
    let size = BackupSize {
        archive_bytes: 411_000_000,
        dump_bytes: 1_100_000_000,
        rows: 5_100_000,
        seconds: 42.5,
    };
    app.metrics.run_ended("main", &ok);
    let verified = RunReport {
        job: JobKind::Verify,
        outcome: Outcome::Failed,
        started: at(14),
        seconds: 12.5,
        stage: Some(Stage::Verify),
        error: Some("2026-11-23T13-00-00Z is damaged: the archive is gone".to_owned()),
        backup: None,
    };
    app.metrics.run_ended("main", &verified);
    app.metrics.verify_failed("main");
    let refused_run = RunReport {
        job: JobKind::Sweep,
        outcome: Outcome::Failed,
        started: at(15),
        seconds: 0.5,
        stage: Some(Stage::Plan),
        error: Some("the sweep is refused: 12 of the 20 good backups would go".to_owned()),
        backup: None,
    };
    app.metrics.run_ended("main", &refused_run);
    let refused = Some(SweepRefusal::MoreThanHalf);
    let swept = SweepReport { run: refused_run, refused, ..SweepReport::default() };
    app.metrics.swept("main", &swept);
    app.state.update("main", |database| {
        database.ended(ok, true, Some(NewBackup { time: at(0), size }));
        database.next_run = Some(at(60));
        database.pointer_ok = Some(true);
        database.next_verify = Some(at(930));
        database.verify_ended(verified);
        database.next_sweep = Some(at(975));
        database.sweep_ended(swept);
        database.catalog = Some(CatalogTotals {
            scheduled: 2,
            manual: 1,
            legacy: 3,
            damaged: 1,
            verified: 2,
            debris: 1,
            foreign: 4,
            bytes: 1_234_567_890,
            oldest: Some(at(-60)),
            newest: Some(at(0)),
            last_verify: Some(at(15)),
        });
        let progress = database.began(JobKind::Backup, at(29));
        progress.enter(Stage::Dump);
        progress.add_dump_bytes(500_000);
        progress.set_archive(200_000, 1000);
    });

    let failed = RunReport {
        job: JobKind::Backup,
        outcome: Outcome::Failed,
        started: at(-20),
        seconds: 3.25,
        stage: Some(Stage::Preflight),
        error: Some("the role may not SELECT from public.\"Donor\"".to_owned()),
        backup: None,
    };
    app.metrics.run_ended("billing", &failed);
    app.state.update("billing", |database| {
        database.last_success = Some(at(-90));
        database.ended(failed, true, None);
        database.next_run = Some(at(30));
        database.pointer_ok = Some(false);
        database.catalog_error = Some("access denied, s3:ListBucket is needed".to_owned());
    });

    app.metrics.request(StoreOperation::UploadPart, true, 0.3);
    app.metrics.request(StoreOperation::List, false, 2.0);
    app.metrics.bytes(Direction::Sent, 8_388_608);
    (clock, app)
}

fn app(state: State) -> App {
    let metrics = Metrics::new("0.1.0", &state.names()).unwrap();
    let info = StatusInfo { store: "s3://altarflow-backups".to_owned() };
    App { state, metrics: Arc::new(metrics), trigger: None, token: None, info }
}
