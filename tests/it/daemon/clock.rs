//! Clocks that jump, and clocks that differ from the store's.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use reliquary::{
    clock::Clock,
    health::{self, Status},
};

use super::{Life, at, backups, directory, hourly, id, pointed_at, sample_server, set_up};
use crate::support::odd_store::OddStore;

const YEAR: TimeDelta = TimeDelta::days(365);

#[tokio::test(flavor = "multi_thread")]
async fn backups_go_on_through_a_jump_of_a_year_ahead_and_back() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("13:00:00"));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;

    clock.set(at("14:00:00") + YEAR);
    assert_eq!(life.health(), Status::Stale, "nothing is fresh a year later");
    life.settle().await;
    assert_eq!(life.health(), Status::Ok);

    clock.set(at("15:00:00"));
    assert_eq!(life.health(), Status::Stale, "a backup of the future proves nothing");
    for hour in ["15:00:00", "16:00:00", "17:00:00"] {
        clock.set(at(hour));
        life.settle().await;
        assert_eq!(life.main().last_success, Some(at(hour)));
        assert_eq!(life.health(), Status::Ok);
    }
    let expected: Vec<String> =
        ["13:00:00", "15:00:00", "16:00:00", "17:00:00"].map(|hour| id(at(hour))).into();
    let made = backups(&*store, "database/").await;
    assert_eq!(made[..4], expected);
    assert_eq!(made[4..], [id(at("14:00:00") + YEAR)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_go_on_through_a_jump_of_a_year_back_and_forward_again() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("13:00:00"));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;

    for hour in ["14:00:00", "15:00:00"] {
        clock.set(at(hour) - YEAR);
        life.settle().await;
        assert_eq!(life.main().last_success, Some(at(hour) - YEAR));
    }
    // What bears a date of the future is not called the newest, so long as the
    // clock says so: nobody can tell which of the two was wrong.
    assert_eq!(pointed_at(&*store, "database/").await, Some(id(at("15:00:00") - YEAR)));

    clock.set(at("16:00:00"));
    life.settle().await;
    assert_eq!(life.main().last_success, Some(at("16:00:00")));
    assert_eq!(life.health(), Status::Ok);
    assert_eq!(pointed_at(&*store, "database/").await, Some(id(at("16:00:00"))));
    assert_eq!(backups(&*store, "database/").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_nothing_but_a_backup_of_the_future_is_never_ok() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("14:00:00") + YEAR);
    Life::settled(&hourly(&server), store.clone(), &clock).await.kill().await;
    set_up(&server, "app", false);

    clock.set(at("14:00:00"));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;
    assert_eq!(life.main().last_success, None);
    assert_eq!(life.health(), Status::Starting);
    clock.set(at("17:00:00"));
    life.settle().await;
    assert_eq!(life.health(), Status::Stale);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_right_again_is_heeded_before_the_next_slot() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("13:00:00"));
    let life = Life::settled(&hourly(&server), store.clone(), &clock).await;

    let ahead = at("13:10:00") + TimeDelta::days(400);
    clock.set(ahead);
    life.settle().await;
    assert_eq!(life.main().last_success, Some(ahead));
    assert_eq!(pointed_at(&*store, "database/").await, Some(id(ahead)));

    clock.set(at("13:20:00"));
    life.settle().await;
    let main = life.main();
    assert_eq!(main.last_success, Some(at("13:00:00")));
    assert_eq!(main.next_run, Some(at("14:00:00")));
    let health = health::current(&life.state);
    assert_eq!(health.status, Status::Ok, "{health:#?}");
    let checks = &health.databases[0].checks;
    let said = |name: &str| &checks.iter().find(|check| check.name == name).unwrap().detail;
    assert!(said("backup_age").contains("is dated in the future"), "{checks:#?}");
    assert_eq!(said("pointer"), "names the newest backup");
    assert_eq!(pointed_at(&*store, "database/").await, Some(id(at("13:00:00"))));

    // A slot that has come is served, however far back the clock goes.
    clock.set(at("11:30:00"));
    life.settle().await;
    assert_eq!(life.main().last_success, Some(at("11:30:00")));
    clock.set(at("12:00:00"));
    life.settle().await;
    assert_eq!(life.main().last_success, Some(at("12:00:00")));
}

/// The machine's clock, and the store's beside it.
struct Clocks {
    machine: Clock,
    store: Clock,
}

impl Clocks {
    fn set(&self, time: DateTime<Utc>, ahead: TimeDelta) {
        self.store.set(time);
        self.machine.set(time + ahead);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_are_not_starved_by_backups_that_a_clock_ahead_has_dated_for_them() {
    let server = sample_server();
    let (_dir, local) = directory().await;
    let clocks =
        Clocks { machine: Clock::manual(at("10:00:00")), store: Clock::manual(at("10:00:00")) };
    let store = Arc::new(OddStore::new(local).dated_by(&clocks.store));
    let mut life = Life::settled(&hourly(&server), store.clone(), &clocks.machine).await;

    // Two hours with a clock that is three hours ahead: backups of 14:00 and 15:00.
    let ahead = TimeDelta::hours(3);
    for hour in ["11:00:00", "12:00:00"] {
        clocks.set(at(hour), ahead);
        life.settle().await;
    }
    // The clock is right again, and the hours that they bear the names of come.
    for (hour, minute, newest) in [
        (13, 0, "13:00:00"),
        (14, 0, "14:00:01"),
        (15, 0, "15:00:01"),
        (15, 30, "15:00:01"),
        (16, 0, "16:00:00"),
    ] {
        let now = at(&format!("{hour}:{minute:02}:00"));
        clocks.set(now, TimeDelta::zero());
        if minute > 0 {
            life.kill().await;
            life = Life::begin(&hourly(&server), store.clone(), &clocks.machine);
        }
        life.settle().await;
        let success = life.main().last_success.unwrap();
        assert!(now - success <= TimeDelta::minutes(31), "{success} is called fresh at {now}");
        // Neither does the pointer stay with what was dated ahead.
        assert_eq!(pointed_at(&*store, "database/").await, Some(id(at(newest))), "at {now}");
        assert_eq!(life.health(), Status::Ok);
    }
    // 10, two misdated ones, and one for each hour since; 14:00:00 and 15:00:00 were taken.
    let expected: Vec<String> =
        ["10:00:00", "13:00:00", "14:00:00", "14:00:01", "15:00:00", "15:00:01", "16:00:00"]
            .map(|time| id(at(time)))
            .into();
    assert_eq!(backups(&*store, "database/").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_from_the_stores_makes_one_backup_an_hour() {
    let server = sample_server();
    for ahead in [TimeDelta::minutes(20), TimeDelta::minutes(-20)] {
        let (_dir, local) = directory().await;
        let start = Clock::manual(at("10:00:00"));
        let clocks = Clocks { machine: start, store: Clock::manual(at("10:00:00") - ahead) };
        let store = Arc::new(OddStore::new(local).dated_by(&clocks.store));
        let life = Life::settled(&hourly(&server), store.clone(), &clocks.machine).await;
        for step in 1..=18 {
            clocks.set(at("10:00:00") - ahead + TimeDelta::minutes(10) * step, ahead);
            life.settle().await;
            assert_eq!(life.health(), Status::Ok, "{:#?}", life.main());
        }
        let expected = ["10:00:00", "11:00:00", "12:00:00", "13:00:00"].map(|hour| id(at(hour)));
        assert_eq!(backups(&*store, "database/").await, expected);
    }
}
