mod delivery;
mod github;
mod mail;
mod payloads;
mod secrecy;

use std::time::Duration;

use chrono::DateTime;

use super::*;
use crate::words::Event;

fn client() -> Client {
    Client::new(Duration::from_secs(20)).unwrap()
}

fn notice(event: Event) -> Notice {
    Notice {
        event,
        severity: Severity::Critical,
        database: "main".to_owned(),
        place: "s3://b/database/".to_owned(),
        problem: "backups".to_owned(),
        title: "main: there is no fresh backup".to_owned(),
        findings: vec!["last_run: failed <at> upload & more".to_owned(), "``` @all".to_owned()],
        next: vec!["Look at the bucket.".to_owned()],
        commands: vec!["reliquary status -d main".to_owned()],
        since: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
        at: DateTime::from_timestamp(1_795_000_300, 0).unwrap(),
    }
}

fn message(event: Event) -> Message {
    Message::Notice(notice(event))
}
