mod grid;

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    http::page::html,
    settings::Schedule,
    state::{
        self, BackupSize, CatalogTotals, DrillHistory, DrillReport, FailedRuns, Liveness, Measure,
        Outlook, RunReport, StageSeconds, Stored,
    },
    words::{
        DrillChoice, DrillPlace, DrillReason, DrillStage, DrillVerdict, JobKind, Keep, Outcome,
        Stage, SweepRefusal, Worth,
    },
};

/// Monday, the 23rd of November 2026, at half past two in the afternoon.
pub(in crate::http::page) fn now() -> DateTime<Utc> {
    "2026-11-23T14:30:00Z".parse().unwrap()
}

fn id(time: DateTime<Utc>) -> String {
    crate::catalog::BackupId::at(time).to_string()
}

fn hours_ago(hours: i64) -> DateTime<Utc> {
    state::hour(now()) - TimeDelta::hours(hours)
}

/// A database that is backed up every hour, of which nothing is known yet.
pub(in crate::http::page) fn hourly(name: &str) -> DatabaseState {
    DatabaseState {
        backup_schedule: Some(Schedule::parse("0 0 * * * *").unwrap()),
        next_run: Some(hours_ago(-1)),
        ..DatabaseState::new(name, "database/", "0 0 * * * *", Duration::from_hours(2))
    }
}

/// The same with good backups of so many hours, the newest of this one.
pub(in crate::http::page) fn with_backups(name: &str, hours: i64) -> DatabaseState {
    let mut known = hourly(name);
    for ago in (0..hours).rev() {
        let time = hours_ago(ago);
        let bytes = 411_000_000 + 40_000 * u64::try_from(hours - ago).unwrap();
        known.stored.update(time, |_| Stored {
            id: id(time),
            time,
            worth: Worth::Good,
            manual: false,
            scheduled: true,
            bytes,
            verified: (ago > 5).then(|| time + TimeDelta::hours(4)),
            count: 1,
            damaged: 0,
        });
        let newest = known.stored.get(time).cloned().into_iter();
        known.newest = newest.chain(known.newest.iter().cloned()).collect();
        let size = BackupSize {
            archive_bytes: bytes,
            dump_bytes: bytes * 3,
            rows: bytes / 80,
            seconds: 42.5,
        };
        known.measured(time, size);
        known.last_backup = Some(size);
        known.last_success = Some(time);
    }
    known.drills = Some(DrillHistory::default());
    known.catalog = Some(CatalogTotals {
        scheduled: u64::try_from(hours).unwrap(),
        verified: u64::try_from((hours - 6).max(0)).unwrap(),
        oldest: (hours > 0).then(|| hours_ago(hours - 1)),
        newest: (hours > 0).then(|| hours_ago(0)),
        ..CatalogTotals::default()
    });
    known.outlook = Some(Arc::new(Outlook {
        horizon: Some(now() - TimeDelta::days(30)),
        at: now() + TimeDelta::hours(13),
        sweeps: true,
        kept: u64::try_from(hours).unwrap(),
        reasons: vec![(Keep::Young, u64::try_from(hours).unwrap())],
        rules: vec!["everything younger than 30days".to_owned()],
        ..Outlook::default()
    }));
    known
}

pub(in crate::http::page) fn drill(
    ended: DateTime<Utc>,
    backup: DateTime<Utc>,
    verdict: DrillVerdict,
) -> DrillReport {
    DrillReport {
        id: id(ended),
        backup: id(backup),
        kind: "scheduled".to_owned(),
        legacy: false,
        choice: DrillChoice::Newest,
        place: DrillPlace::Sandbox,
        emptied: None,
        started: ended - TimeDelta::minutes(6),
        finished: ended,
        seconds: 360.0,
        restore_seconds: (verdict == DrillVerdict::Passed).then_some(252.0),
        verdict,
        reason: None,
        error: None,
        not_run: Vec::new(),
        stages: vec![StageSeconds { stage: "restore.data".to_owned(), seconds: 121.4 }],
    }
}

fn drilled(known: DatabaseState, recent: Vec<DrillReport>) -> DatabaseState {
    DatabaseState { drills: Some(DrillHistory { recent, ..DrillHistory::default() }), ..known }
}

pub(in crate::http::page) fn shown(databases: &[DatabaseState]) -> Page {
    let process = ProcessHealth {
        started_at: now() - TimeDelta::days(3),
        liveness: Liveness { scheduler: true, runner: true },
    };
    let info = StatusInfo { store: "file:///home/alice/backups".to_owned() };
    page(now(), &process, databases, &BTreeMap::new(), &info)
}

fn one(known: DatabaseState) -> Database {
    shown(&[known]).databases.remove(0)
}

fn told(database: &Database) -> Vec<(&str, Tone)> {
    database.answers.iter().map(|answer| (answer.words.as_str(), answer.tone)).collect()
}

fn slot(page: &Database, ago: i64) -> (Slot, String) {
    let hours = usize::try_from(14 - ago + 24 * ((ago + 9).div_euclid(24))).unwrap();
    let back = usize::try_from((ago + 9).div_euclid(24)).unwrap();
    let cell = &page.grid.days[back].cells[hours % 24];
    (cell.slot, cell.text.clone())
}

#[test]
fn the_four_answers_of_a_fresh_installation() {
    let page = one(DatabaseState {
        catalog: Some(CatalogTotals::default()),
        drills: Some(DrillHistory::default()),
        ..hourly("main")
    });
    assert_eq!(
        told(&page),
        [
            ("No", Tone::Bad),
            ("There is none", Tone::Bad),
            ("Not yet", Tone::Doubtful),
            ("Not measured", Tone::Doubtful)
        ]
    );
}

/// A daemon that could not list the store for days knows nothing, and says so.
#[test]
fn before_the_store_was_listed_nothing_is_said_of_it() {
    let mut known = hourly("main");
    for listing in [None, Some("access denied".to_owned())] {
        known.catalog_error = listing;
        let page = one(known.clone());
        assert_eq!(told(&page), [("Not known", Tone::Doubtful); 4]);
        let details: Vec<_> = page.answers.iter().map(|answer| answer.detail.as_str()).collect();
        let unlisted = |detail: &&str| detail.starts_with("the store was not listed yet");
        assert!(details.iter().all(unlisted), "{details:?}");
        assert_eq!(page.headline, "No good backup is known: the store was not listed yet.");
        assert_eq!(page.drills.unknown, Some("the store was not listed yet"));
        assert_eq!(slot(&page, 3), (Slot::Unknown, "11:00 unknown".to_owned()));
        assert!(!page.grid.counts().contains_key(&Slot::Missed));
    }
    // Nor where none was due.
    let unplanned = DatabaseState { backup_schedule: None, ..known.clone() };
    let html = html::document(&shown(&[unplanned, known.clone()])).into_string();
    assert!(!html.contains("No slot was missed"), "{html}");
    assert_eq!(html.matches(">unknown</span>").count(), 6, "pointer, verify and drill, twice");
    // Listed, and not all of it read yet.
    known.catalog = Some(CatalogTotals::default());
    known.catalog_error = None;
    let why = "what drills have found was not read yet";
    assert_eq!(one(known).answers[2].detail, why);
}

#[test]
fn a_backup_that_did_not_come_back_in_its_drill_is_not_named_as_the_good_one() {
    let failed = |ago: i64| DrillReport {
        reason: Some(DrillReason::RowsDiffer),
        ..drill(now() - TimeDelta::minutes(5), hours_ago(ago), DrillVerdict::Failed)
    };
    let page = one(drilled(with_backups("main", 720), vec![failed(0)]));
    let (good, condemned) = (id(hours_ago(1)), id(hours_ago(0)));
    assert_eq!(told(&page)[..2], [("Yes", Tone::Doubtful), ("1h 30m", Tone::Good)]);
    let detail = &page.answers[0].detail;
    let newer = format!("newer, and no good one: {condemned} did not come back in its drill");
    assert!(detail.starts_with(&good) && detail.contains(&newer), "{detail}");
    assert!(detail.contains("719 good in all") && detail.contains("(rows_differ)"), "{detail}");
    let headline = "The newest backup did not come back in its drill; the last good one is 1h 30m \
                    old.";
    assert_eq!(page.headline, headline);
    // Another one's drill takes nothing from it.
    let page = one(drilled(with_backups("main", 720), vec![failed(3)]));
    assert!(page.answers[0].detail.starts_with(&condemned), "{:?}", page.answers[0]);
    // There is none but what did not come back.
    let page = one(drilled(with_backups("main", 2), vec![failed(0), failed(1)]));
    assert_eq!(told(&page)[..2], [("No", Tone::Bad), ("There is none", Tone::Bad)]);
    assert!(page.answers[0].detail.contains("and there is no other"));
}

#[test]
fn the_four_answers_when_all_is_well() {
    let passed = drill(now() - TimeDelta::days(3), hours_ago(73), DrillVerdict::Passed);
    let page = one(drilled(with_backups("main", 720), vec![passed]));
    assert_eq!(
        told(&page),
        [
            ("Yes", Tone::Good),
            ("30m", Tone::Good),
            ("Yes, 3d ago", Tone::Good),
            ("About 4m 12s", Tone::Good)
        ]
    );
    assert_eq!(page.headline, "The last good backup is 30m old.");
    assert!(page.answers[0].detail.contains("720 good in all"), "{:?}", page.answers[0]);
    assert!(page.answers[1].detail.contains("due in 30m"), "{:?}", page.answers[1]);
}

#[test]
fn a_proof_grows_old_and_a_failed_drill_is_bad_news() {
    let at = |days| now() - TimeDelta::days(days);
    let answers = |recent: Vec<DrillReport>, failure| {
        let mut known = drilled(with_backups("main", 30), recent);
        known.drills.as_mut().unwrap().failure = failure;
        let page = one(known);
        (page.answers[2].words.clone(), page.answers[2].tone)
    };
    let old = drill(at(41), at(42), DrillVerdict::Passed);
    assert_eq!(answers(vec![old.clone()], None), ("Not for 41d".to_owned(), Tone::Doubtful));
    let failed = drill(at(1), at(1), DrillVerdict::Failed);
    let said = answers(vec![failed.clone(), old], Some(failed));
    assert_eq!(said, ("No".to_owned(), Tone::Bad));
    let newest = drill(now(), hours_ago(0), DrillVerdict::Passed);
    assert_eq!(answers(vec![newest], None), ("Yes".to_owned(), Tone::Good));
    let unproven = drill(now(), hours_ago(0), DrillVerdict::Unproven);
    assert_eq!(answers(vec![unproven], None).0, "Read back, not restored");
}

/// The words of every cell, by the hours that they lie back.
#[test]
fn curves_begin_at_nothing_and_reach_from_thirty_days_ago_to_now() {
    let page = one(with_backups("main", 720));
    let size = &page.charts[0];
    assert_eq!(size.points.len(), 720);
    assert!(size.points.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let inside = |value: f64| (0.0..=1.0).contains(&value);
    assert!(size.points.iter().all(|point| inside(point.0) && inside(point.1)));
    assert!(size.points[0].1 > 0.9, "a small change is drawn small");
    let words = "720 hours shown, each by its best backup, since 24 Oct 15:00: from 39";
    assert!(size.words.starts_with(words), "{}", size.words);
    let rows = &page.charts[1].words;
    assert!(rows.starts_with("a sample of 720 backups since 24 Oct 15:00: from "), "{rows}");
    let none = one(hourly("main"));
    assert!(none.charts.iter().all(|chart| chart.words == "nothing is known yet"));
}

/// A backup a minute is more than an hour's best: each is drawn, from the first on.
#[test]
fn a_process_that_makes_several_an_hour_draws_its_own() {
    let mut known = with_backups("main", 2);
    let size = known.last_backup.unwrap();
    for minute in 1..30 {
        let size = BackupSize { archive_bytes: minute * 1024, ..size };
        let ago = TimeDelta::minutes(30 - i64::try_from(minute).unwrap());
        known.made.add(Measure { time: now() - ago, size });
    }
    let charts = one(known).charts;
    assert!(charts.iter().all(|chart| chart.points.len() == 29 && chart.from == "29m ago"));
    assert_eq!(
        charts[0].words,
        "29 backups that this process made since 23 Nov 14:01: from 1.0 KiB to 29.0 KiB, the \
         newest 29.0 KiB"
    );
    assert!(charts[0].points[0].0.abs() < 0.01);
    // One an hour is what the hours show already.
    let mut hourly = with_backups("main", 3);
    (0..2).for_each(|ago| hourly.made.add(Measure { time: hours_ago(1 - ago), size }));
    assert!(one(hourly).charts[0].words.starts_with("3 hours shown"));
}

#[test]
fn what_runs_is_measured_by_the_last_backup() {
    let mut known = with_backups("main", 3);
    let progress = known.began(JobKind::Backup, now() - TimeDelta::seconds(20));
    progress.enter(Stage::Dump);
    progress.add_dump_bytes(known.last_backup.unwrap().dump_bytes / 4);
    let running = one(known.clone()).now.remove(0);
    assert_eq!((&*running.since, running.stage), ("20s", "dump"));
    assert!((running.share.unwrap() - 0.25).abs() < 0.01);
    progress.add_dump_bytes(u64::from(u32::MAX));
    assert_eq!(one(known.clone()).now[0].share, Some(0.99), "it has grown");
    known.last_backup = None;
    assert_eq!(one(known.clone()).now[0].share, None);
    known.step_aside();
    known.began(JobKind::Drill, now()).enter_drill(DrillStage::Compare);
    let jobs: Vec<_> = one(known).now.iter().map(|now| (now.job, now.stage)).collect();
    assert_eq!(jobs, [(JobKind::Drill, "compare"), (JobKind::Backup, "dump")]);
}

#[test]
fn a_sweep_that_was_refused_and_what_goes_next_are_told() {
    let mut known = with_backups("main", 30);
    let mut outlook = Outlook::clone(known.outlook.as_ref().unwrap());
    outlook.going = 2;
    outlook.going_bytes = 2048;
    outlook.next = vec![state::Going { id: "a".into(), bytes: 1024, why: "too old".into() }];
    known.outlook = Some(Arc::new(outlook));
    let run = RunReport {
        job: JobKind::Sweep,
        outcome: Outcome::Failed,
        started: now() - TimeDelta::hours(10),
        seconds: 1.0,
        stage: None,
        error: Some("the sweep is refused: more than half would go".to_owned()),
        backup: None,
    };
    known.last_sweep = Some(state::SweepReport {
        run,
        refused: Some(SweepRefusal::MoreThanHalf),
        ..state::SweepReport::default()
    });
    let retention = one(known).retention.unwrap();
    assert!(retention.failed);
    assert_eq!(retention.going, "At the next sweep, in 13h, 2 go and free 2.0 KiB:");
    let goes = vec![("a".to_owned(), "1.0 KiB".to_owned())];
    assert_eq!(retention.next, [("too old".to_owned(), goes)]);
    let last = retention.last.unwrap();
    assert!(last.starts_with("The last sweep, 10h ago, was refused (more_than_half): "), "{last}");
    assert!(retention.kept.starts_with("30 stay. Of them: 30 for their age"), "{}", retention.kept);
}

#[test]
fn a_folder_s_name_is_not_told() {
    let mut known = with_backups("main", 3);
    known.catalog_error =
        Some("list file:///home/alice/backups/database/: permission denied".to_owned());
    known.last_failure = Some(RunReport {
        job: JobKind::Backup,
        outcome: Outcome::Failed,
        started: now(),
        seconds: 1.0,
        stage: Some(Stage::Upload),
        error: Some("write /home/alice/backups/database/x: no space is left".to_owned()),
        backup: None,
    });
    let page = one(known);
    let text = format!("{page:?}");
    assert!(!text.contains("alice"), "{text}");
    assert!(page.failure.unwrap().contains("write store/database/x: no space is left"));
}

#[test]
fn several_databases_have_one_verdict_and_each_its_own() {
    let page = shown(&[with_backups("a", 3), hourly("b")]);
    assert_eq!(page.status, Status::Stale);
    let each: Vec<_> = page.databases.iter().map(|one| (&*one.name, one.status)).collect();
    assert_eq!(each, [("a", Status::Ok), ("b", Status::Stale)]);
    assert!(page.databases[1].restore[1].contains("restore latest -d b --to"));
    assert!(!one(hourly("b")).restore[1].contains("-d"));
}
