use proptest::prelude::*;

use super::*;
use crate::alerts::Sight;

const POLICY: Policy = Policy {
    after: TimeDelta::minutes(5),
    calm: TimeDelta::minutes(15),
    remind: TimeDelta::hours(4),
};

fn minute(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap() + TimeDelta::minutes(n)
}

/// What is seen by a process that knows everything.
fn sight() -> Sight {
    Sight {
        since: minute(-1),
        last_success: None,
        backups: true,
        catalog: true,
        anomalies: true,
        drills: true,
        audit: true,
    }
}

fn seeing(problems: &[&str]) -> Seen {
    let finding = |&problem: &&str| Finding {
        problem: problem.to_owned(),
        severity: Severity::Warning,
        lines: vec!["so it is".to_owned()],
        stage: None,
    };
    Seen { problems: problems.iter().map(finding).collect(), sight: sight(), ..Seen::default() }
}

fn at(book: &mut Book, n: i64, seen: &Seen) -> Vec<String> {
    let notices = book.observe(seen, POLICY, "main", "s3://b/database/", minute(n));
    notices.into_iter().map(|notice| format!("{n} {} {}", notice.event, notice.problem)).collect()
}

/// Looks every minute.
fn live(book: &mut Book, minutes: std::ops::Range<i64>, seen: impl Fn(i64) -> Seen) -> Vec<String> {
    minutes.flat_map(|n| at(book, n, &seen(n))).collect()
}

#[test]
fn a_problem_is_told_once_reminded_of_and_cleared_once() {
    let mut book = Book::default();
    let told = live(&mut book, 0..700, |n| {
        if (10..600).contains(&n) { seeing(&["store"]) } else { seeing(&[]) }
    });
    let expected =
        ["15 opened store", "255 reminder store", "495 reminder store", "614 resolved store"];
    assert_eq!(told, expected);
    assert_eq!(book, Book::default());
}

#[test]
fn what_is_mended_at_once_is_not_told() {
    let mut book = Book::default();
    let told = live(&mut book, 0..100, |n| {
        if (10..14).contains(&n) { seeing(&["store"]) } else { seeing(&[]) }
    });
    assert_eq!(told, Vec::<String>::new());
}

#[test]
fn what_flickers_is_one_problem() {
    let mut book = Book::default();
    // For two hours, a minute there and two minutes away.
    let told = live(&mut book, 0..200, |n| {
        if n < 120 && n % 3 == 0 { seeing(&["store"]) } else { seeing(&[]) }
    });
    assert_eq!(told, ["6 opened store", "132 resolved store"]);
}

#[test]
fn each_problem_is_told_by_itself() {
    let mut book = Book::default();
    let told = live(&mut book, 0..50, |n| match n {
        0..20 => seeing(&["verify"]),
        20..30 => seeing(&["verify", "audit"]),
        _ => seeing(&["audit"]),
    });
    assert_eq!(told, ["5 opened verify", "25 opened audit", "44 resolved verify"]);
}

#[test]
fn a_restart_neither_repeats_nor_forgets() {
    let mut book = Book::default();
    let told = live(&mut book, 0..60, |_| seeing(&["verify"]));
    assert_eq!(told, ["5 opened verify"]);
    let stored = serde_json::to_string(&book.worth_storing()).unwrap();
    // A new process, which knows nothing of the store for ten minutes.
    let mut book = Book::default();
    book.recall(serde_json::from_str(&stored).unwrap());
    book.awake(minute(90));
    let told = live(&mut book, 90..400, |n| match n {
        90..100 => Seen { sight: Sight { catalog: false, ..sight() }, ..seeing(&[]) },
        100..300 => seeing(&["verify"]),
        _ => seeing(&[]),
    });
    assert_eq!(told, ["245 reminder verify", "314 resolved verify"]);
}

#[test]
fn a_problem_that_went_away_during_a_restart_is_cleared() {
    let mut book = Book::default();
    live(&mut book, 0..60, |_| seeing(&["verify"]));
    let mut next = Book::default();
    // The store cannot be read at first; what was told comes later.
    assert_eq!(live(&mut next, 90..95, |_| seeing(&[])), Vec::<String>::new());
    next.recall(book.worth_storing());
    next.awake(minute(95));
    assert_eq!(live(&mut next, 95..200, |_| seeing(&[])), ["110 resolved verify"]);
}

#[test]
fn a_new_process_gives_no_all_clear_for_backups_without_a_backup() {
    let mut book = Book::default();
    live(&mut book, 0..10, |_| seeing(&["backups"]));
    let mut next = Book::default();
    next.recall(book.worth_storing());
    next.awake(minute(20));
    // The slot that was given up is forgotten, and the last backup not stale yet.
    let fresh = |last| Seen {
        sight: Sight { since: minute(20), last_success: Some(minute(last)), ..sight() },
        ..seeing(&[])
    };
    assert_eq!(live(&mut next, 20..80, |_| fresh(-40)), Vec::<String>::new());
    assert_eq!(live(&mut next, 80..120, |_| fresh(80)), ["94 resolved backups"]);
}

#[test]
fn a_repaired_run_is_told_once_and_seldom() {
    let repaired = |n: i64| Seen {
        repaired: Some((minute(n), vec!["failed at upload".to_owned()])),
        ..seeing(&[])
    };
    let mut book = Book::default();
    // The first attempt of each hour fails.
    let told = live(&mut book, 0..600, |n| repaired(n / 60 * 60));
    assert_eq!(told, ["0 info repaired", "240 info repaired", "480 info repaired"]);
    let mut later = Book::default();
    later.recall(book.worth_storing());
    assert_eq!(at(&mut later, 601, &repaired(540)), Vec::<String>::new());
}

#[test]
fn a_repair_within_a_problem_is_said_by_its_all_clear() {
    let mut book = Book::default();
    live(&mut book, 0..10, |_| seeing(&["backups"]));
    let repaired = Seen { repaired: Some((minute(0), vec![])), ..seeing(&[]) };
    assert_eq!(live(&mut book, 10..60, |_| repaired.clone()), ["24 resolved backups"]);
}

#[test]
fn news_are_told_once_even_over_a_restart() {
    let news =
        Seen { news: vec![("schema:1".to_owned(), "changed".to_owned(), vec![])], ..seeing(&[]) };
    let mut book = Book::default();
    assert_eq!(live(&mut book, 0..60, |_| news.clone()), ["0 info schema"]);
    let mut next = Book::default();
    next.recall(book.worth_storing());
    assert_eq!(live(&mut next, 60..120, |_| news.clone()), Vec::<String>::new());
}

#[test]
fn an_alert_says_what_was_found_what_to_do_and_which_commands_help() {
    let mut book = Book::default();
    let mut seen = seeing(&["backups"]);
    seen.problems[0].stage = Some(Stage::Connect);
    book.observe(&seen, POLICY, "main", "s3://b/database/", minute(0));
    let notice = book.observe(&seen, POLICY, "main", "s3://b/database/", minute(5)).remove(0);
    assert_eq!(notice.title, "main: there is no fresh backup, or none can be made");
    assert_eq!(notice.findings, ["so it is"]);
    assert!(notice.next[0].contains("the source is up"), "{:?}", notice.next);
    assert_eq!(notice.commands[0], "reliquary status -d main");
    assert_eq!(notice.key(), "s3://b/database/#backups");
    let notices = book.observe(&seeing(&[]), POLICY, "main", "s3://b/database/", minute(25));
    assert_eq!(
        notices[0].title,
        "main: over after 25 min: there is no fresh backup, or none can be made"
    );
}

#[test]
fn a_clock_that_went_back_silences_nothing() {
    let mut book = Book::default();
    live(&mut book, 100_000..100_010, |_| seeing(&["store"]));
    let told = live(&mut book, 0..300, |_| seeing(&["store"]));
    assert_eq!(told, ["240 reminder store"]);
}

proptest! {
    /// Whatever comes and goes, with whatever restarts: openings and all-clears
    /// take turns, nothing is reminded of that is not open, a problem that
    /// lasts is told in time, and when all has been well for long, nothing is open.
    #[test]
    fn openings_and_all_clears_take_turns_and_nothing_is_lost(
        spells in prop::collection::vec((1i64..40, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let mut book = Book::default();
        let (mut open, mut last_told, mut bad_since) = (false, None, None);
        let mut n = 0;
        let calm_end = [(60, false, false)];
        for (length, bad, restart) in spells.into_iter().chain(calm_end) {
            if restart {
                let stored = serde_json::to_string(&book.worth_storing()).unwrap();
                book = Book::default();
                book.recall(serde_json::from_str(&stored).unwrap());
                book.awake(minute(n));
                bad_since = None;
            }
            for _ in 0..length {
                let seen = if bad { seeing(&["verify"]) } else { seeing(&[]) };
                let told = book.observe(&seen, POLICY, "main", "p", minute(n));
                prop_assert!(told.len() <= 1);
                for notice in told {
                    match notice.event {
                        Event::Opened => {
                            prop_assert!(!open && bad);
                            open = true;
                        }
                        Event::Resolved => {
                            prop_assert!(open && !bad);
                            open = false;
                        }
                        Event::Reminder => {
                            prop_assert!(open && bad);
                            let last: i64 = last_told.unwrap();
                            prop_assert!(n - last >= POLICY.remind.num_minutes());
                        }
                        other => prop_assert!(false, "{other}"),
                    }
                    last_told = Some(n);
                }
                bad_since = bad.then(|| bad_since.unwrap_or(n));
                if let Some(since) = bad_since {
                    prop_assert!(open || n - since < POLICY.after.num_minutes(), "silent");
                }
                n += 1;
            }
        }
        prop_assert!(!open);
        prop_assert_eq!(book.open().count(), 0);
    }
}
