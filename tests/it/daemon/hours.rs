//! Days of a daemon's life against an S3 server, in seconds.

mod model;

use std::{sync::Arc, time::Instant};

use chrono::{DurationRound, TimeDelta, Timelike};
use reliquary::{
    clock::Clock,
    store::{
        LocalStore, S3Store, Store,
        faults::{Fault, FaultyStore, Plan},
    },
};

use self::model::{Model, World};
use super::{Life, at, backups, hourly, id, pointed_at, sample_server, set_up};
use crate::support::s3::s3s_server;

/// What happens between two looks at the clock.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The process is replaced by a new one.
    Restart,
    /// The machine sleeps for so many minutes.
    Sleep(i64),
    /// The process is down for so many minutes.
    Down(i64),
    Source(bool),
    Store(bool),
}

use Event::{Down, Restart, Sleep, Source, Store as StoreUp};

/// Minutes since the beginning, and what happens then.
const SCRIPT: &[(i64, Event)] = &[
    // The very first slots are lost: young, then no longer so.
    (0, Source(false)),
    (190, Source(true)),
    // Restarts in the middle of an hour, and in the second of a slot.
    (5 * 60 + 30, Restart),
    (6 * 60, Restart),
    (7 * 60 + 50, Restart),
    (7 * 60 + 50, Restart),
    // The source is away for three slots, and comes back within the third.
    (9 * 60, Source(false)),
    (11 * 60 + 10, Source(true)),
    // The machine sleeps over runs.
    (13 * 60 + 20, Sleep(25)),
    (14 * 60 + 10, Sleep(45)),
    (15 * 60 + 10, Sleep(5 * 60 + 20)),
    // The process is down over runs, and starts at ten past.
    (22 * 60 + 40, Down(30)),
    (24 * 60 + 5, Down(3 * 60 + 5)),
    // The store is away for one slot.
    (30 * 60, StoreUp(false)),
    (30 * 60 + 40, StoreUp(true)),
    // The store is away while the process starts, in an hour that has its backup.
    (33 * 60 + 20, StoreUp(false)),
    (33 * 60 + 20, Restart),
    (33 * 60 + 50, StoreUp(true)),
    // The same until every attempt was made in vain.
    (36 * 60 + 5, StoreUp(false)),
    (36 * 60 + 5, Restart),
    (36 * 60 + 55, StoreUp(true)),
    // The process starts while the source is away for long.
    (40 * 60 - 5, Source(false)),
    (41 * 60 + 5, Restart),
    (43 * 60 + 5, Restart),
    (44 * 60 + 5, Source(true)),
    // Store and source by turns, with a restart between them.
    (50 * 60 - 1, StoreUp(false)),
    (51 * 60 - 1, Source(false)),
    (51 * 60 + 1, StoreUp(true)),
    (52 * 60 + 25, Restart),
    (52 * 60 + 35, Source(true)),
    // A night without anybody.
    (58 * 60 + 30, Down(9 * 60)),
    (70 * 60 + 59, Restart),
    (71 * 60 + 1, Restart),
];

const HOURS: i64 = 78;

#[tokio::test(flavor = "multi_thread")]
async fn days_of_outages_and_restarts_leave_no_gap_and_no_duplicate() {
    let begun = Instant::now();
    let server = sample_server();
    let s3 = s3s_server().await;
    let bucket = Arc::new(S3Store::connect(s3.options()).await.unwrap());
    let faulty = Arc::new(FaultyStore::new(bucket, Plan::None));
    // The judge looks at the server's own files, which is also quicker.
    let files = LocalStore::open(&s3.dir.join(&s3.bucket)).await.unwrap();
    let store: Arc<dyn Store> = faulty.clone();
    let settings = hourly(&server);

    let start = at("10:00:00") + TimeDelta::minutes(3);
    let clock = Clock::manual(start);
    let mut model = Model::new(start);
    let mut world = World { source: true, store: true };
    let mut life = Life::begin(&settings, store.clone(), &clock);
    let mut script = SCRIPT.iter().copied().peekable();
    let (mut looks, mut restarts) = (0_u32, 0_u32);
    let mut seen = std::collections::BTreeMap::<&str, u32>::new();

    while clock.now() - start < TimeDelta::hours(HOURS) {
        let minute = (clock.now() - start).num_minutes();
        while let Some((_, event)) = script.next_if(|(when, _)| *when <= minute) {
            match event {
                Source(up) => {
                    set_up(&server, "app", up);
                    world.source = up;
                }
                StoreUp(up) => {
                    faulty.set(if up { Plan::None } else { Plan::Outage(1, Fault::Rejected) });
                    world.store = up;
                }
                Sleep(minutes) => clock.advance(TimeDelta::minutes(minutes)),
                Restart | Down(_) => {
                    life.kill().await;
                    if let Down(minutes) = event {
                        clock.advance(TimeDelta::minutes(minutes));
                    }
                    life = Life::begin(&settings, store.clone(), &clock);
                    model.restart(clock.now());
                    restarts += 1;
                }
            }
        }
        let now = clock.now();
        life.settle().await;
        model.step(now, world);
        looks += 1;

        let database = life.main();
        let told = life.health().as_str();
        assert_eq!(told, model.health(now), "at {now} with {world:?}: {database:#?}");
        *seen.entry(told).or_default() += 1;
        assert_eq!(database.last_success, model.last_success(), "at {now}");
        let next = now.duration_trunc(TimeDelta::hours(1)).unwrap() + TimeDelta::hours(1);
        assert_eq!(database.next_run, Some(next), "at {now}");
        assert!(database.running.is_none());
        let expected: Vec<String> = model.backups.iter().map(|time| id(*time)).collect();
        assert_eq!(backups(&files, "database/").await, expected, "at {now}");
        let newest = model.backups.last().map(|time| id(*time));
        assert_eq!(pointed_at(&files, "database/").await, newest, "at {now}");

        // Steps that are no divisor of the hour, so that slots are met early and late.
        clock.advance(TimeDelta::minutes([7, 13, 9, 11, 10, 3][looks as usize % 6]));
    }

    assert!(script.next().is_none(), "the script was not played to its end");
    for file in std::fs::read_dir(&s3.dir).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains("upload"), "an upload was left unfinished: {name}");
    }
    let mut hours: Vec<_> =
        model.backups.iter().map(|time| (time.date_naive(), time.hour())).collect();
    hours.dedup();
    assert_eq!(hours.len(), model.backups.len(), "an hour has two backups");
    for status in ["ok", "starting", "stale", "failing"] {
        assert!(seen.contains_key(status), "no moment was {status}: {seen:?}");
    }
    println!(
        "{HOURS} hours lived in {:.1} s: {looks} looks, {restarts} restarts, {} backups; {seen:?}",
        begun.elapsed().as_secs_f64(),
        model.backups.len(),
    );
}
