//! The daily audit: when it has its turn, and what it leaves to see.

use chrono::TimeDelta;
use reliquary::{
    clock::Clock,
    health::Status,
    words::{Check, CheckResult, JobKind, Outcome},
};

use super::{Life, at, directory, sample_server, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_slot_has_one_audit_which_is_told_and_changes_no_health() {
    let server = sample_server();
    let (_dir, store) = directory().await;
    let clock = Clock::manual(at("00:00:00"));
    let settings = settings(&format!(
        "databases.main.url = {:?}\nverify.enabled = false\nsweep.enabled = false\n\
         audit.schedule = \"0 30 * * * *\"",
        server.url("app")
    ));
    let life = Life::settled(&settings, store, &clock).await;
    let metric = |series: &str| {
        let text = life.metrics.render(&life.state).unwrap();
        let found = text.lines().find(|line| line.starts_with(series));
        let found = found.unwrap_or_else(|| panic!("{series}"));
        found.rsplit_once(' ').unwrap().1.to_owned()
    };
    let runs =
        || metric("reliquary_job_runs_total{database=\"main\",job=\"audit\",outcome=\"failed\"}");
    // The one of the slot before the start, which may have been missed.
    assert_eq!(runs(), "1");
    for (minutes, expected) in [(10, "1"), (20, "2"), (25, "2")] {
        clock.advance(TimeDelta::minutes(minutes));
        life.settle().await;
        assert_eq!(runs(), expected);
    }
    let main = life.main();
    let last = main.last_audit.unwrap();
    assert_eq!((last.run.job, last.run.outcome), (JobKind::Audit, Outcome::Failed));
    // The sample's role is a superuser, and its store is on the server's own disk.
    assert!(last.failed.contains(&Check::RoleRights) && last.failed.contains(&Check::StoreDisk));
    assert!(last.run.error.unwrap().contains("role_rights"));
    assert_eq!(main.next_audit, Some(at("01:30:00")));
    for result in CheckResult::ALL {
        let series = format!("reliquary_audit_checks{{database=\"main\",result=\"{result}\"}}");
        let count = match result {
            CheckResult::Pass => last.pass,
            CheckResult::Warn => last.warn,
            CheckResult::Fail => last.fail,
            CheckResult::Unknown => last.unknown,
        };
        assert_eq!(metric(&series), count.to_string());
    }
    assert_eq!(
        metric("reliquary_last_audit_timestamp_seconds{database=\"main\"}"),
        at("00:30:00").timestamp().to_string()
    );
    assert_eq!(life.health(), Status::Ok, "an audit says nothing of how backups are made");
}
