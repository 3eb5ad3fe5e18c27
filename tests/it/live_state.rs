//! A live state with something of everything in it, at a fixed time.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use reliquary::{
    archive::manifest::Kind,
    catalog::{BackupId, Catalog, Entry, State as Found},
    clock::Clock,
    http::App,
    jobs::{recent::outlook, survey::tell},
    metrics::{Metrics, Observer},
    settings::{DatabaseSettings, Schedule, Sources, load},
    state::{
        AuditReport, BackupSize, CatalogTotals, DatabaseState, DrillHistory, DrillReport,
        NewBackup, RunReport, StageSeconds, State, SweepReport,
    },
    status::StatusInfo,
    words::{
        ChannelKind, Check, Direction, DrillChoice, DrillPlace, DrillReason, DrillVerdict, JobKind,
        Outcome, Stage, StoreOperation, SweepRefusal,
    },
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
    App { state, metrics: Arc::new(metrics), trigger: None, token: None, password: None, info }
}

/// One database at half past two, with everything there is of it: hourly backups
/// of so many hours, verified and drilled, a plan, an audit and channels.
pub(crate) fn filled(hours: i64) -> (Clock, App) {
    let (clock, app) = young();
    clock.set(at(30));
    let catalog = catalog(hours);
    app.state.update("main", |database| {
        database.backup_schedule = Some(Schedule::parse("0 0 * * * *").unwrap());
        database.next_run = Some(at(60));
        database.next_verify = Some(at(930));
        database.next_sweep = Some(at(855));
        database.pointer_ok = Some(true);
        for entry in catalog.good() {
            database.measured(entry.time(), measured(entry));
            database.last_backup = database.last_backup.or(Some(measured(entry)));
        }
    });
    tell(&app.state, "main", &catalog, None);
    let settings = settings();
    let outlook = outlook(&catalog, None, &settings, at(855));
    app.state.update("main", |database| database.outlook = Some(Arc::new(outlook)));
    if hours > 100 {
        app.state.update("main", |database| {
            let passed = drill(at(-4000), at(-4020), DrillVerdict::Passed);
            let older = drill(at(-40_000), at(-40_020), DrillVerdict::Passed);
            let recent = vec![passed, older];
            database.drills = Some(DrillHistory { recent, ..DrillHistory::default() });
            database.audit_ended(AuditReport {
                run: run(JobKind::Audit, Outcome::Ok, at(-300), None),
                pass: 29,
                warn: 3,
                fail: 0,
                unknown: 1,
                failed: Vec::new(),
                worse: Some(Vec::new()),
            });
            let run = run(JobKind::Sweep, Outcome::Ok, at(-585), None);
            database.sweep_ended(SweepReport { run, removed: 24, ..SweepReport::default() });
        });
        app.state.update_channel(ChannelKind::Slack, |channel| {
            channel.last_sent = Some(at(-4000));
        });
    }
    (clock, app)
}

/// The same where much has gone wrong: attempts that failed, slots that were
/// missed, damage, a failed drill, a refused sweep, and the last backup is old.
pub(crate) fn troubled() -> (Clock, App) {
    let (clock, app) = filled(720);
    let error = "pg_dump ended with exit code 1: connection to the server was lost while copying \
                 public.\"Donation\"; the role may not SELECT from                  a_table_with_a_name_that_is_as_long_as_names_may_be_in_postgresql_x";
    let mut catalog = catalog(720);
    catalog.entries.retain(|entry| {
        let ago = (at(0) - entry.time()).num_hours();
        !(0..5).contains(&ago) && ago != 9 && !(200..206).contains(&ago)
    });
    for (at, entry) in catalog.entries.iter_mut().enumerate() {
        match at {
            100 | 101 | 650 => entry.state = Found::Damaged,
            0..30 => entry.state = Found::Legacy,
            _ => {}
        }
    }
    tell(&app.state, "main", &catalog, None);
    app.state.update("main", |database| {
        for minute in [-240, -180, -120, -60, 0, 1, 3] {
            let run = run(JobKind::Backup, Outcome::Failed, at(minute), Some(error));
            database.ended(run, true, None);
        }
        let failed = drill(at(-4000), at(-4020), DrillVerdict::Failed);
        let failed = DrillReport {
            reason: Some(DrillReason::RowsDiffer),
            error: Some("public.donations: the backup says 5100, 5099 were found".to_owned()),
            ..failed
        };
        let unproven = DrillReport {
            reason: Some(DrillReason::NoRoom),
            ..drill(at(-9000), at(-9020), DrillVerdict::Unproven)
        };
        let failure = Some(failed.clone());
        let recent = vec![failed, unproven];
        database.drills = Some(DrillHistory { recent, failure, ..DrillHistory::default() });
        let refused = "the sweep is refused: no good backup is younger than 2h; mend backups first";
        let run = run(JobKind::Sweep, Outcome::Failed, at(-585), Some(refused));
        let refused = Some(SweepRefusal::NoFreshBackup);
        database.sweep_ended(SweepReport { run, refused, ..SweepReport::default() });
        if let Some(audit) = &mut database.last_audit {
            audit.fail = 2;
            audit.failed = vec![Check::PublicAccess, Check::Versioning];
        }
    });
    app.state.update_channel(ChannelKind::Email, |channel| {
        channel.last_failed = Some(at(2));
        channel.error = Some("reach it: the connection was refused".to_owned());
    });
    (clock, app)
}

/// Good backups of so many hours, the newest at two; all but the last few are verified.
fn catalog(hours: i64) -> Catalog {
    let mut catalog = Catalog::default();
    for ago in 0..hours {
        let time = at(-60 * ago);
        catalog.entries.push(Entry {
            id: BackupId::at(time),
            kind: Kind::Scheduled,
            state: Found::Good,
            archive_bytes: 411_000_000 - 90_000 * u64::try_from(ago).unwrap(),
            last_modified: time,
            verified: (ago > 11 && ago % 9 != 0).then(|| time + TimeDelta::hours(12)),
        });
    }
    catalog.entries.reverse();
    catalog
}

fn measured(entry: &Entry) -> BackupSize {
    let (archive_bytes, wobble) = (entry.archive_bytes, entry.id.time().timestamp() / 3600 % 7);
    BackupSize {
        archive_bytes,
        dump_bytes: archive_bytes * 27 / 10,
        rows: archive_bytes / 80,
        seconds: 41.0 + f64::from(i32::try_from(wobble).unwrap()),
    }
}

fn run(job: JobKind, outcome: Outcome, started: DateTime<Utc>, error: Option<&str>) -> RunReport {
    let stage = error.map(|_| Stage::Dump);
    let error = error.map(str::to_owned);
    RunReport { job, outcome, started, seconds: 3.5, stage, error, backup: None }
}

fn drill(ended: DateTime<Utc>, backup: DateTime<Utc>, verdict: DrillVerdict) -> DrillReport {
    let stages = [
        ("sandbox", 1.9),
        ("prepare", 0.8),
        ("restore.pre_data", 2.1),
        ("restore.data", 121.4),
        ("restore.indexes", 96.0),
        ("restore.foreign_keys", 31.7),
        ("compare", 18.2),
        ("checks", 0.4),
        ("teardown", 0.6),
    ];
    DrillReport {
        id: BackupId::at(ended).to_string(),
        backup: BackupId::at(backup).to_string(),
        kind: "scheduled".to_owned(),
        legacy: false,
        choice: DrillChoice::Newest,
        place: DrillPlace::Sandbox,
        emptied: None,
        started: ended - TimeDelta::seconds(273),
        finished: ended,
        seconds: 273.1,
        restore_seconds: (verdict == DrillVerdict::Passed).then_some(252.0),
        verdict,
        reason: None,
        error: None,
        not_run: Vec::new(),
        stages: stages
            .map(|(stage, seconds)| StageSeconds { stage: stage.to_owned(), seconds })
            .into(),
    }
}

/// The settings of an installation where nothing is said beyond what must be.
fn settings() -> DatabaseSettings {
    let mut sources = Sources::default();
    for (name, value) in
        [("DIRECT_URL", "postgres://h/db"), ("RELIQUARY__STORE__URL", "s3://bucket")]
    {
        sources.env.insert(name.to_owned(), value.to_owned());
    }
    load(&sources).unwrap().0.databases.remove("main").unwrap()
}
