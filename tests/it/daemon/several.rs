//! Several databases in one process.

use chrono::TimeDelta;
use reliquary::{
    clock::Clock,
    health::{self, Status},
};
use serde_json::Value;

use super::{Life, at, backups, directory, id, pointed_at, sample_server, set_up, settings};
use crate::support::tools::command;

#[tokio::test(flavor = "multi_thread")]
async fn each_database_keeps_its_own_schedule_place_and_health() {
    let server = sample_server();
    server.create_database("other");
    let text = |name: &str, database: &str, more: &str| {
        format!(
            "[databases.{name}]\nurl = {:?}\nprefix = \"{name}/\"\nattempts = 3\n{more}\n",
            server.url(database)
        )
    };
    let settings = settings(
        &[
            text("hourly", "app", ""),
            text("half-past", "other", "schedule = \"0 30 * * * *\""),
            // The same database twice, at another pace.
            text("rarely", "app", "schedule = \"0 0 */3 * * *\"\nstale_after = \"7h\""),
        ]
        .concat(),
    );
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("10:00:00"));
    let life = Life::settled(&settings, store.clone(), &clock).await;
    let of = |name: &str| {
        let health = health::current(&life.state);
        let database = health.databases.into_iter().find(|database| database.name == name);
        database.unwrap().status
    };
    for step in 1..=24 {
        if step == 12 {
            set_up(&server, "other", false);
        }
        life.live(&clock, TimeDelta::minutes(10)).await;
        assert_eq!(of("hourly"), Status::Ok);
        assert_eq!(of("rarely"), Status::Ok);
        assert_eq!(of("half-past"), if step < 17 { Status::Ok } else { Status::Failing });
        assert_eq!(life.health(), of("half-past"), "the worst of them is the whole");
    }
    let ids = |times: &[&str]| times.iter().map(|time| id(at(time))).collect::<Vec<_>>();
    let expected = [
        ("hourly", ids(&["10:00:00", "11:00:00", "12:00:00", "13:00:00", "14:00:00"])),
        // What was missed at half past nine was caught up at the start.
        ("half-past", ids(&["10:00:00", "10:30:00", "11:30:00"])),
        ("rarely", ids(&["10:00:00", "12:00:00"])),
    ];
    for (name, expected) in expected {
        let prefix = format!("{name}/");
        assert_eq!(backups(&*store, &prefix).await, expected, "{name}");
        assert_eq!(pointed_at(&*store, &prefix).await, expected.last().cloned(), "{name}");
        let totals = life.database(name).catalog.unwrap();
        assert_eq!(totals.scheduled, expected.len() as u64, "{name}");
        assert_eq!(totals.foreign, 0, "{name}");
    }
}

/// Two installations by default settings on one bucket: neither's backups may pass
/// for the other's.
#[tokio::test(flavor = "multi_thread")]
async fn two_databases_under_one_prefix_both_get_their_backups_and_are_told_of_each_other() {
    let server = sample_server();
    server.create_database("other");
    let main =
        |database: &str| settings(&format!("databases.main.url = {:?}", server.url(database)));
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("10:00:00"));
    let (staging, prod) = (main("app"), main("other"));
    let staging = Life::settled(&staging, store.clone(), &clock).await;
    assert_eq!((staging.health(), staging.main().last_success), (Status::Ok, Some(at("10:00:00"))));
    // The slot has a backup, which is another database's: ours is made, and the
    // source may well have moved here.
    clock.set(at("10:01:00"));
    let prod = Life::settled(&prod, store.clone(), &clock).await;
    assert_eq!((prod.health(), prod.main().last_success), (Status::Ok, Some(at("10:01:00"))));
    // They take turns, so it has not.
    let turns = [
        (&staging, "11:00:00", "11:00:00"),
        (&prod, "11:01:00", "11:01:00"),
        // Between its backups the one whose backup is the newest is told as well.
        (&prod, "11:30:00", "11:01:00"),
        (&staging, "12:00:00", "12:00:00"),
    ];
    for (life, now, newest) in turns {
        clock.set(at(now));
        life.settle().await;
        assert_eq!((life.health(), life.main().last_success), (Status::Failing, Some(at(newest))));
        let health = health::current(&life.state).databases.remove(0);
        let check = health.checks.iter().find(|check| check.name == "two_sources").unwrap();
        assert!(check.detail.contains("database app of the server with the system"), "{check:?}");
        assert!(check.detail.contains("database other of the server with the system"), "{check:?}");
    }
    // The other one was given a place of its own.
    prod.kill().await;
    // Three of ours in a row say that they take turns no more.
    let quiet = [
        ("13:00:00", Status::Failing),
        ("13:10:00", Status::Failing),
        ("14:00:00", Status::Failing),
        ("14:10:00", Status::Ok),
    ];
    for (time, status) in quiet {
        clock.set(at(time));
        staging.settle().await;
        assert_eq!(staging.health(), status);
    }
    let expected =
        ["10:00:00", "10:01:00", "11:00:00", "11:01:00", "12:00:00", "13:00:00", "14:00:00"];
    assert_eq!(backups(&*store, "database/").await, expected.map(|time| id(at(time))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_must_say_which_database_it_means() {
    let server = sample_server();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("reliquary.toml");
    let text = format!(
        "store.url = \"file://{0}/store\"\nhttp.listen = \"127.0.0.1:1\"\n\
         [databases.one]\nurl = {1:?}\nprefix = \"one/\"\n\
         [databases.two]\nurl = {1:?}\nprefix = \"two/\"\n",
        dir.path().display(),
        server.url("app"),
    );
    std::fs::write(&file, text).unwrap();
    let run = |arguments: &[&str]| {
        let output = command(env!("CARGO_BIN_EXE_reliquary"))
            .arg("--config")
            .arg(&file)
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), said)
    };
    let (code, _, said) = run(&["backup"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("add -d with one of: one, two"), "{said}");
    let (code, _, said) = run(&["backup", "-d", "three"]);
    assert_eq!(code, Some(2), "{said}");
    let (code, _, said) = run(&["backup", "-d", "two"]);
    assert_eq!(code, Some(0), "{said}");
    for (name, backups) in [("one", 0), ("two", 1)] {
        let (code, out, said) = run(&["--json", "list", "-d", name]);
        assert_eq!(code, Some(0), "{said}");
        let list: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(list["backups"].as_array().unwrap().len(), backups, "{list:#}");
        assert_eq!(list["prefix"], format!("{name}/"));
    }
    // One has a backup and one has none: the worst is the whole.
    let (code, out, _) = run(&["--json", "status"]);
    assert_eq!(code, Some(3));
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["status"], "stale");
    assert_eq!(status["databases"][1]["health"]["status"], "ok");
}
