//! A bad week, minute by minute, from the live state to the list of alerts: an
//! outage of the store, a source that is away for a while, a flapping store, a
//! table that is emptied, a daemon that is down, and attempts that the next one
//! repairs.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Book, Policy,
    anomaly::{Anomalies, Sample, Thresholds, anomalies},
    seen,
};
use crate::{
    health::{self, ProcessHealth},
    state::{BackupSize, CatalogTotals, DatabaseState, Liveness, NewBackup, RunReport},
    words::{JobKind, Outcome, Stage},
};

const POLICY: Policy = Policy {
    after: TimeDelta::minutes(5),
    calm: TimeDelta::minutes(15),
    remind: TimeDelta::hours(4),
};
const ATTEMPTS: i64 = 6;

/// Monday, midnight.
fn monday() -> DateTime<Utc> {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

/// Minutes since Monday.
fn at(day: i64, hour: i64, minute: i64) -> i64 {
    (day * 24 + hour) * 60 + minute
}

/// What goes wrong.
struct World {
    /// The store does not answer.
    store: fn(i64) -> bool,
    /// The source does not answer.
    source: fn(i64) -> bool,
    /// The daemon is down.
    down: fn(i64) -> bool,
    /// Rows of `public.gifts`.
    gifts: fn(i64) -> u64,
}

struct Daemon {
    started: DateTime<Utc>,
    main: DatabaseState,
    tried: i64,
    next_attempt: i64,
    book: Book,
}

/// As much of the daemon as is needed: one attempt at the full hour, and five
/// more at the growing pauses of the settings.
fn live(world: &World, minutes: i64) -> Vec<String> {
    let mut told = Vec::new();
    let mut stored = Book::default();
    let mut samples: Vec<Sample> = Vec::new();
    let mut daemon: Option<Daemon> = None;
    for n in 0..minutes {
        let now = monday() + TimeDelta::minutes(n);
        if (world.down)(n) {
            daemon = None;
            continue;
        }
        let daemon = daemon.get_or_insert_with(|| start(now, &stored, samples.last()));
        daemon.step(world, n, now, &mut samples);
        let thresholds = Thresholds {
            enabled: true,
            shrank: 50,
            table_rows: 100,
            slower: 3,
            slower_by: TimeDelta::minutes(5),
            ignore: vec![],
        };
        let odd: Option<Anomalies> =
            (!samples.is_empty()).then(|| anomalies(&samples, &thresholds));
        let process = ProcessHealth {
            started_at: daemon.started,
            liveness: Liveness { scheduler: true, runner: true },
        };
        let health = health::evaluate(now, &process, std::slice::from_ref(&daemon.main));
        let seen = seen(&health.databases[0], &daemon.main, odd.as_ref(), daemon.started, now);
        for notice in daemon.book.observe(&seen, POLICY, "main", "s3://b/database/", now) {
            let time = now.format("%a %H:%M");
            told.push(format!("{time} {} {} {}", notice.severity, notice.event, notice.problem));
        }
        if !(world.store)(n) {
            stored = daemon.book.worth_storing();
        }
    }
    told
}

fn start(now: DateTime<Utc>, stored: &Book, newest: Option<&Sample>) -> Daemon {
    let hours = Duration::from_hours(2);
    let mut book = Book::default();
    book.recall(serde_json::from_str(&serde_json::to_string(stored).unwrap()).unwrap());
    book.awake(now);
    let main = DatabaseState {
        last_success: newest.map(|sample| sample.time),
        ..DatabaseState::new("main", "database/", "0 0 * * * *", hours)
    };
    Daemon { started: now, main, tried: 0, next_attempt: 0, book }
}

impl Daemon {
    fn step(&mut self, world: &World, n: i64, now: DateTime<Utc>, samples: &mut Vec<Sample>) {
        // The daemon looks at the store at start and after each run that failed.
        if (world.store)(n) {
            self.main.catalog_error = Some("no answer".to_owned());
        } else {
            self.main.catalog_error = None;
            self.main.catalog = Some(CatalogTotals::default());
        }
        if n % 60 == 0 {
            (self.tried, self.next_attempt) = (0, n);
        }
        if n < self.next_attempt || self.tried >= ATTEMPTS {
            return;
        }
        self.tried += 1;
        self.next_attempt = n + (1 << (self.tried - 1));
        let stage = match ((world.source)(n), (world.store)(n)) {
            (true, _) => Some(Stage::Connect),
            (false, true) => Some(Stage::Upload),
            (false, false) => None,
        };
        let report = RunReport {
            job: JobKind::Backup,
            outcome: if stage.is_some() { Outcome::Failed } else { Outcome::Ok },
            started: now,
            seconds: 30.0,
            stage,
            error: stage.map(|_| "no answer".to_owned()),
            backup: None,
        };
        let made = stage.is_none().then(|| {
            self.tried = ATTEMPTS;
            let rows = [("public.gifts", (world.gifts)(n)), ("public.funds", 5)];
            samples.push(Sample::test(now, 1_000_000, &rows));
            let size = BackupSize { archive_bytes: 1, dump_bytes: 1, rows: 1, seconds: 30.0 };
            NewBackup { time: now, size }
        });
        self.main.ended(report, self.tried >= ATTEMPTS, made);
    }
}

const NEVER: fn(i64) -> bool = |_| false;

#[test]
fn a_good_week_is_silent() {
    let world =
        World { store: NEVER, source: NEVER, down: NEVER, gifts: |n| 5000 + n.unsigned_abs() };
    assert_eq!(live(&world, at(7, 0, 0)), Vec::<String>::new());
}

#[test]
fn a_bad_week_is_told_without_a_gap_and_without_a_storm() {
    let world = World {
        // Tuesday an outage; Wednesday two hours of one minute in four; Sunday
        // a minute or two at three full hours.
        store: |n| {
            (at(1, 2, 50)..at(1, 12, 20)).contains(&n)
                || ((at(2, 10, 1)..at(2, 11, 59)).contains(&n) && n % 4 == 0)
                || [at(6, 3, 0), at(6, 4, 0), at(6, 5, 0)].contains(&n)
        },
        // Monday the source is away for ten minutes, and nobody need get up.
        // Friday it is away while the daemon comes back.
        source: |n| {
            (at(0, 9, 0)..at(0, 9, 10)).contains(&n) || (at(4, 5, 0)..at(4, 6, 20)).contains(&n)
        },
        // Friday the daemon is gone for most of the night, and Saturday for ten
        // minutes, after which it catches up before anybody need be told.
        down: |n| {
            (at(4, 1, 30)..at(4, 5, 10)).contains(&n) || (at(5, 1, 55)..at(5, 2, 5)).contains(&n)
        },
        // Thursday at noon somebody deletes most of the gifts.
        gifts: |n| if n < at(3, 12, 0) { 5000 } else { 900 },
    };
    let expected = [
        // The fifth attempt, at 09:15, made the backup.
        "Mon 09:15 info info repaired",
        // The store: five minutes after it went, and nothing of the failed
        // runs and the stale backup that follow from it.
        "Tue 02:55 critical opened backups",
        "Tue 06:55 critical reminder backups",
        "Tue 10:55 critical reminder backups",
        // It is back at 12:20, and the last attempt of noon, at 12:31, succeeds.
        "Tue 12:45 critical resolved backups",
        // Flapping is one problem.
        "Wed 10:12 critical opened backups",
        "Wed 12:11 critical resolved backups",
        // The first backup with a fifth of the rows; normal after half a day.
        "Thu 12:05 warning opened anomaly_shrank",
        "Thu 16:05 warning reminder anomaly_shrank",
        "Thu 20:05 warning reminder anomaly_shrank",
        "Fri 00:14 warning resolved anomaly_shrank",
        // While the daemon is down only the dead man's switch can tell. It comes
        // back with a stale backup and cannot make a new one before 06:31.
        "Fri 05:15 critical opened backups",
        "Fri 06:45 critical resolved backups",
        // Three first attempts failed; the first of them is told.
        "Sun 03:01 info info repaired",
    ];
    let told = live(&world, at(7, 0, 0));
    assert_eq!(told, expected, "{told:#?}");
}
