use proptest::prelude::*;

use super::*;
use crate::{
    alerts::{Book, Finding, Policy, Seen, Sight},
    words::Severity,
};

const POLICY: Policy = Policy {
    after: TimeDelta::minutes(5),
    calm: TimeDelta::minutes(15),
    remind: TimeDelta::hours(4),
};

fn minute(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap() + TimeDelta::minutes(n)
}

fn seeing(problems: &[&str]) -> Seen {
    let finding = |&problem: &&str| Finding {
        problem: problem.to_owned(),
        severity: Severity::Warning,
        lines: vec!["so it is".to_owned()],
        stage: None,
    };
    let sight =
        Sight { backups: true, catalog: true, anomalies: true, drills: true, ..Sight::default() };
    Seen { problems: problems.iter().map(finding).collect(), sight, ..Seen::default() }
}

/// A book, a channel that always works, and one that does at times.
#[derive(Default)]
struct Bench {
    book: Book,
    /// What is under way to the second one.
    sent: Vec<Notice>,
    /// What was tried there, with what became of it.
    tried: Vec<String>,
    /// What arrived there.
    arrived: Vec<Notice>,
    /// What came to the first one.
    other: Vec<String>,
}

impl Bench {
    /// One look, at the next minute after which it is known what became of it.
    fn look(&mut self, n: i64, seen: &Seen, works: bool) {
        for notice in std::mem::take(&mut self.sent) {
            let mark = if works { "" } else { "?" };
            self.tried.push(format!("{} {}{mark}", notice.event, notice.problem));
            if works {
                self.book.settled(ChannelKind::Slack, &notice);
                self.arrived.push(notice);
            } else {
                self.book.failed(ChannelKind::Slack, &notice, minute(n));
            }
        }
        for notice in self.book.observe(seen, POLICY, "main", "p", minute(n)) {
            self.other.push(format!("{n} {} {}", notice.event, notice.problem));
            self.book.sent(ChannelKind::Webhook, &notice, minute(n));
            self.book.settled(ChannelKind::Webhook, &notice);
            self.book.sent(ChannelKind::Slack, &notice, minute(n));
            self.sent.push(notice);
        }
        for (channel, notice) in self.book.again(seen, "main", "p", minute(n)) {
            assert_eq!(channel, ChannelKind::Slack);
            self.book.sent(channel, &notice, minute(n));
            self.sent.push(notice);
        }
    }

    fn restart(&mut self, n: i64) {
        let stored = serde_json::to_string(&self.book.worth_storing()).unwrap();
        self.book = Book::default();
        self.book.recall(serde_json::from_str(&stored).unwrap());
        self.book.awake(minute(n));
        self.sent.clear();
    }

    fn is_settled(&self) -> bool {
        self.book.worth_storing().pending().0.is_empty()
    }
}

#[test]
fn what_did_not_arrive_is_told_again_at_growing_intervals() {
    let mut bench = Bench::default();
    let mut times = Vec::new();
    for n in 0..260 {
        let before = bench.sent.len();
        bench.look(n, &seeing(&["store"]), n > 100);
        if bench.sent.len() > before || (before > 0 && !bench.sent.is_empty()) {
            times.push(n);
        }
    }
    // Five minutes after it was known, ten, twenty, forty, and an hour at most;
    // at last the reminder that everybody gets.
    assert_eq!(times, [5, 11, 22, 43, 84, 145, 245]);
    let tried = ["opened store?"; 5].into_iter().chain(["opened store", "reminder store"]);
    assert_eq!(bench.tried, tried.collect::<Vec<_>>());
    // Nobody else is told more often for that.
    assert_eq!(bench.other, ["5 opened store", "245 reminder store"]);
    assert!(bench.is_settled());
    // It tells how it is now.
    assert_eq!(bench.arrived[0].at, minute(145));
}

#[test]
fn an_all_clear_is_told_until_it_arrives_and_a_restart_does_not_lose_it() {
    let mut bench = Bench::default();
    for n in 0..200 {
        if n == 60 {
            bench.restart(n);
        }
        let seen = if n < 20 { seeing(&["store"]) } else { seeing(&[]) };
        bench.look(n, &seen, !(20..70).contains(&n));
    }
    let tried = ["opened store", "resolved store?", "resolved store?", "resolved store?"];
    assert_eq!(bench.tried[..3], tried[..3]);
    assert_eq!(bench.tried.last().unwrap(), "resolved store");
    assert_eq!(bench.arrived.len(), 2);
    assert!(bench.is_settled());
}

#[test]
fn what_is_newer_takes_the_place_of_what_did_not_arrive() {
    let mut bench = Bench::default();
    // Never told, and over before the channel is back.
    for n in 0..120 {
        let seen = if n < 20 { seeing(&["store"]) } else { seeing(&[]) };
        bench.look(n, &seen, n >= 50);
    }
    let arrived: Vec<_> = bench.arrived.iter().map(|notice| notice.event).collect();
    assert_eq!(arrived, [Event::Resolved]);
    assert!(bench.is_settled());
}

#[test]
fn what_is_away_just_now_is_not_told() {
    let mut bench = Bench::default();
    for n in 0..14 {
        let seen = if n < 10 { seeing(&["store"]) } else { seeing(&[]) };
        bench.look(n, &seen, false);
    }
    assert_eq!(bench.tried, ["opened store?"]);
}

#[test]
fn all_news_arrive_and_there_are_never_too_many() {
    let news = |n: i64| Seen {
        news: vec![(format!("schema:{n:04}"), "changed".to_owned(), vec![])],
        ..seeing(&[])
    };
    let mut bench = Bench::default();
    for n in 0..200 {
        bench.look(n, &news(n.min(4)), n >= 30);
    }
    assert_eq!(bench.arrived.len(), 5);
    for n in 200..300 {
        bench.look(n, &news(n), false);
    }
    assert_eq!(bench.book.worth_storing().pending().0.len(), INFOS_KEPT);
}

#[test]
fn a_clock_that_went_back_puts_nothing_off() {
    let mut bench = Bench::default();
    for n in 100_000..100_010 {
        bench.look(n, &seeing(&["store"]), false);
    }
    for n in 0..62 {
        bench.look(n, &seeing(&["store"]), true);
    }
    assert_eq!(bench.arrived.len(), 1);
}

proptest! {
    /// Whatever comes and goes, and whenever the channel does: in the end it was
    /// told last that it is over, nothing is left, and it was not flooded.
    #[test]
    fn a_channel_that_is_back_knows_how_it_stands(
        spells in prop::collection::vec((1i64..40, any::<bool>(), any::<bool>(), any::<bool>()), 1..30),
    ) {
        let mut bench = Bench::default();
        let mut n = 0;
        for (length, bad, works, restart) in spells.into_iter().chain([(120, false, true, false)]) {
            if restart {
                bench.restart(n);
            }
            for _ in 0..length {
                let seen = if bad { seeing(&["verify"]) } else { seeing(&[]) };
                bench.look(n, &seen, works);
                n += 1;
            }
        }
        prop_assert!(bench.is_settled());
        if let Some(last) = bench.arrived.last() {
            prop_assert_eq!(last.event, Event::Resolved);
        }
        prop_assert_eq!(bench.arrived.is_empty(), bench.other.is_empty());
        let most = bench.other.len() + usize::try_from(n / 5).unwrap() + 1;
        prop_assert!(bench.tried.len() <= most);
    }
}
