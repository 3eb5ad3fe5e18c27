//! What a log says of its restores, in the message and in the document.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Closed, Entry, FORMAT, Found, Incident, Looked, Opened, Proof, Restored, What, is_operational,
    message, page,
};
use crate::{
    archive::manifest::Kind,
    catalog::{BackupId, EntryId},
    settings::{RunbookSettings, Sources, load},
};

const BACKUP: &str = "2026-11-23T14-00-00Z";

fn at(minute: i64) -> DateTime<Utc> {
    "2026-11-23T14:30:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
}

/// A log, entry by entry.
struct Log {
    id: BackupId,
    entries: Vec<Entry>,
}

impl Log {
    /// One that was opened half an hour after the backup that it names.
    fn opened(cause: Option<&str>) -> Self {
        let mut log = Self { id: BackupId::at(at(10)), entries: Vec::new() };
        log.add(What::Opened(Opened {
            database: "main".to_owned(),
            failed_at: at(0),
            assumed: false,
            cause: cause.map(str::to_owned),
        }));
        log.add(What::Looked(Looked {
            place: "s3://b/database/".to_owned(),
            backup: Some(Found {
                id: BACKUP.parse().unwrap(),
                kind: Kind::Manual,
                snapshot_at: at(-30) + TimeDelta::seconds(30),
                archive_bytes: 1000,
                rows: 1,
                tables: 1,
                verified: None,
                drilled: None,
            }),
            why_none: None,
            legacy: None,
            unusable: vec![],
            condemned: vec![],
            newer: 0,
            loss_seconds: Some(1770),
            expected: None,
        }));
        log
    }

    fn add(&mut self, what: What) -> EntryId {
        let number = u32::try_from(self.entries.len()).unwrap();
        let id = EntryId::new(at(10 + i64::from(number)), number);
        let author = "ann".to_owned();
        self.entries.push(Entry { format: FORMAT.to_owned(), incident: self.id, id, author, what });
        id
    }

    fn began(&mut self, command: &str) -> EntryId {
        self.add(What::RestoreBegan { command: command.to_owned() })
    }

    fn ended(&mut self, began: EntryId, outcome: &str, only: &[&str], proof: Option<Proof>) {
        let restored = Restored {
            outcome: outcome.to_owned(),
            backup: Some(BACKUP.to_owned()),
            only: only.iter().map(|&part| part.to_owned()).collect(),
            error: None,
            seconds: 2.0,
            target: None,
            proof,
        };
        self.add(What::RestoreEnded { began, restored });
    }

    /// One that went well, of a backup that the incident does not name perhaps.
    fn restored_from(&mut self, backup: &str, only: &[&str], proof: Option<Proof>) {
        self.restored(only, proof);
        let Some(What::RestoreEnded { restored, .. }) =
            self.entries.last_mut().map(|entry| &mut entry.what)
        else {
            panic!()
        };
        restored.backup = Some(backup.to_owned());
    }

    fn restored(&mut self, only: &[&str], proof: Option<Proof>) {
        let began = self.began("reliquary restore");
        self.ended(began, "ok", only, proof);
    }

    fn ticked(&mut self, steps: &[u8]) {
        self.add(What::Note { text: "Done".to_owned(), steps: steps.to_vec() });
    }

    fn incident(&self) -> Incident {
        Incident::new(self.id, self.entries.clone())
    }

    /// The message that it has when it is closed.
    fn message(&mut self) -> String {
        self.add(What::Closed(Closed { cause: None, next: vec!["\u{1b}[31mRed".to_owned()] }));
        message(&self.incident(), &settings()).unwrap()
    }
}

fn settings() -> RunbookSettings {
    let mut sources = Sources { dir: "/nowhere".into(), ..Sources::default() };
    for (name, value) in [("STORE__URL", "s3://bucket"), ("DATABASES__MAIN__URL", "postgres://h/d")]
    {
        sources.env.insert(format!("RELIQUARY__{name}"), value.to_owned());
    }
    load(&sources).unwrap().0.runbook
}

fn proof(tables: u64) -> Proof {
    Proof { proven: true, tables, rows: 1, different: 0, lost: 0 }
}

fn unproven() -> Proof {
    Proof { proven: false, ..proof(2) }
}

/// What only a restore of everything, with its proof, may be told as.
const WHOLE: &str = "our production database was restored from backups";

#[test]
fn a_restore_of_everything_with_its_proof_is_told_as_one() {
    let mut log = Log::opened(Some("a migration"));
    log.restored(&[], Some(proof(1)));
    log.ticked(&[1, 2, 3, 4, 5, 6]);
    // What is brought back later of the same backup takes nothing from it.
    log.restored(&["table public.gifts"], Some(proof(1)));
    let text = log.message();
    for part in [
        "Subject: [Resolved] main database data restoration completed\n",
        WHOLE,
        " after a migration. It is of backup 2026-11-23T14-00-00Z, and after it were restored: \
         table public.gifts only, of backup 2026-11-23T14-00-00Z. Data loss window: 30 minutes. \
         All services are now operational.\n",
        "- Restored backup 2026-11-23T14-00-00Z into a new server; the rows of its 1 table were \
         counted and are those of the backup (1 in all)\n",
        "- Restored table public.gifts only, from backup 2026-11-23T14-00-00Z; the rows of its 1 \
         table were",
        "- Reconcile what was written between 2026-11-23 14:00 UTC and 2026-11-23 14:30 UTC\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(log.incident().open_steps(), Vec::<u8>::new());
}

#[test]
fn nobody_is_told_that_all_works_before_it_was_validated_and_cut_over() {
    let mut log = Log::opened(None);
    log.restored(&[], Some(proof(2)));
    log.ticked(&[1, 4, 5]);
    assert!(!is_operational(&log.incident()));
    assert_eq!(log.incident().open_steps(), [2, 3, 6]);
    let text = log.message();
    assert!(text.contains(WHOLE) && !text.contains("operational"), "{text}");
}

#[test]
fn a_part_is_told_as_a_part_and_what_is_not_proven_as_that() {
    for (only, proof, shown) in [
        (
            &["section pre-data"][..],
            None,
            "section pre-data only, of backup 2026-11-23T14-00-00Z, which is not proven. Data",
        ),
        (
            &["table public.gifts"],
            Some(proof(1)),
            "table public.gifts only, of backup 2026-11-23T14-00-00Z. Data",
        ),
        (&["schema a", "section data"], Some(proof(1)), "schema a, section data only, of"),
        (&[], Some(unproven()), "a backup was restored; that all of it is there is not proven."),
        (&[], None, "a backup was restored; that all of it is there is not proven."),
        (
            &[],
            Some(self::proof(0)),
            "a backup was restored; that all of it is there is not proven.",
        ),
    ] {
        let mut log = Log::opened(None);
        log.ticked(&[1, 2, 3, 4, 5, 6]);
        log.restored(only, proof);
        let text = log.message();
        assert!(text.starts_with("Subject: [Resolved] main database incident of 2026-11-23\n"));
        assert!(text.contains(shown), "{shown}\n{text}");
        assert!(text.contains("Data loss window: 30 minutes."), "{text}");
        assert!(!text.contains(WHOLE) && !text.contains("operational"), "{text}");
        let page = page(&log.incident(), &settings());
        assert_eq!(page.contains("Only a part of it: "), !only.is_empty(), "{page}");
    }
}

/// An hour before the backup that the incident names.
const OLDER: &str = "2026-11-23T13-00-00Z";

#[test]
fn several_parts_are_all_told_with_the_backup_of_each() {
    let mut log = Log::opened(None);
    log.restored(&["table a.a"], Some(proof(1)));
    log.restored_from(OLDER, &["table a.b"], Some(unproven()));
    let text = log.message();
    let shown = "table a.a only, of backup 2026-11-23T14-00-00Z; table a.b only, of backup \
                 2026-11-23T13-00-00Z, which is not proven. Data loss window: 90 minutes.";
    assert!(text.contains(shown), "{text}");
}

#[test]
fn a_part_of_an_older_backup_makes_the_window_of_the_whole_longer() {
    for (part, proof, shown) in [
        (OLDER, proof(1), "table a.b only, of backup 2026-11-23T13-00-00Z. Data"),
        (OLDER, unproven(), "of backup 2026-11-23T13-00-00Z, which is not proven. Data"),
    ] {
        let mut log = Log::opened(None);
        log.restored_from(part, &["table a.a"], Some(self::proof(1)));
        log.restored(&[], Some(self::proof(2)));
        log.ticked(&[5, 6]);
        let part_is_proven = proof.holds();
        log.restored_from(part, &["table a.b"], Some(proof));
        let text = log.message();
        assert!(text.contains("It is of backup 2026-11-23T14-00-00Z, and after it"), "{text}");
        assert!(text.contains(shown), "{text}");
        assert!(!text.contains("table a.a only, of"), "the whole was brought back since: {text}");
        assert!(text.contains("Data loss window: 90 minutes."), "{text}");
        let between = "what was written between 2026-11-23 13:00 UTC and 2026-11-23 14:30 UTC";
        assert!(text.contains(between), "{text}");
        assert_eq!(text.contains(WHOLE), part_is_proven, "{text}");
        assert_eq!(text.contains("operational"), part_is_proven, "{text}");
    }
}

#[test]
fn the_last_restore_of_everything_is_what_is_there() {
    let mut log = Log::opened(None);
    log.restored(&[], Some(proof(2)));
    log.restored_from(OLDER, &[], Some(unproven()));
    log.ticked(&[5, 6]);
    let text = log.message();
    assert!(!text.contains(WHOLE) && !text.contains("operational"), "{text}");
    assert!(text.contains("that all of it is there is not proven. Data"), "{text}");
    assert!(text.contains("Data loss window: 90 minutes."), "{text}");
}

#[test]
fn what_was_restored_without_the_log_is_not_denied() {
    const IF: &str = "Data loss window: 30 minutes, if it was backup \
                      manual/2026-11-23T14-00-00Z, the newest good one of before the failure.";
    for step in [4, 5, 6] {
        let mut log = Log::opened(None);
        log.ticked(&[step]);
        let text = log.message();
        let told = "is reported as done, and the log does not hold the restore itself";
        for part in [told, IF, "Reconcile what was written between 2026-11-23 14:00 UTC"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains(WHOLE) && !text.contains("No data"), "{text}");
    }
    // Nor one of which it is not known how it ended.
    let mut log = Log::opened(None);
    log.began("reliquary restore");
    let text = log.message();
    assert!(text.contains("the log does not hold how it ended"), "{text}");
    assert!(text.contains(IF) && !text.contains("No data"), "{text}");
    // Where no backup is named, nobody knows how much is lost.
    let mut log = Log::opened(None);
    let What::Looked(looked) = &mut log.entries[1].what else { panic!() };
    looked.backup = None;
    log.ticked(&[4]);
    let text = log.message();
    assert!(text.contains("Data loss window: not known."), "{text}");
    assert!(!text.contains("Reconcile"), "{text}");
}

#[test]
fn how_much_is_lost_is_not_known_of_a_backup_of_after_the_failure() {
    let mut log = Log::opened(None);
    log.restored_from("2026-11-23T15-00-00Z", &[], Some(proof(1)));
    let text = log.message();
    assert!(text.contains("Data loss window: not known."), "{text}");
}

#[test]
fn a_restore_that_failed_is_none() {
    let mut log = Log::opened(None);
    let began = log.began("reliquary restore");
    log.ended(began, "failed", &[], Some(proof(1)));
    let text = log.message();
    assert!(text.contains("No data was restored from backups."), "{text}");
    assert!(text.contains("1 restore was tried"), "{text}");
    assert!(!text.contains("Reconcile"), "{text}");
}

#[test]
fn each_restore_has_its_own_end() {
    let mut log = Log::opened(None);
    // Two at once, by one account: the first to begin is the first to end.
    let (first, second) = (log.began("restore one"), log.began("restore two"));
    log.ended(first, "failed", &[], None);
    log.ended(second, "ok", &[], Some(proof(1)));
    let incident = log.incident();
    let attempts = incident.attempts();
    let outcomes: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.command, attempt.ended.unwrap().1.outcome.as_str()))
        .collect();
    assert_eq!(outcomes, [("restore one", "failed"), ("restore two", "ok")]);
    // As it is stored.
    let stored = serde_json::to_string(&log.entries.last().unwrap()).unwrap();
    let read: Entry = serde_json::from_str(&stored).unwrap();
    assert_eq!(Some(&read), log.entries.last());
}

#[test]
fn nothing_of_an_entry_reaches_a_terminal_as_it_is() {
    const EVIL: &str = "x\u{1b}]0;y\u{7}\u{9b}31m\u{202e}";
    let mut log = Log::opened(Some(EVIL));
    let What::Opened(opened) = &mut log.entries[0].what else { panic!() };
    opened.database = format!("{EVIL}\n\n**Closed**");
    let began = log.began(EVIL);
    log.ended(began, EVIL, &[EVIL], None);
    log.add(What::Note { text: EVIL.to_owned(), steps: vec![1] });
    log.add(What::ByHand { lines: vec![EVIL.to_owned()], steps: vec![2] });
    for entry in &mut log.entries {
        entry.author = EVIL.to_owned();
    }
    log.restored(&[EVIL], Some(proof(1)));
    let text = log.message();
    let page = page(&log.incident(), &settings());
    for text in [text, page] {
        let is_seen = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
        assert!(text.chars().all(is_seen), "{text:?}");
        assert!(text.contains("x\\u{1b}]0;y"), "{text}");
    }
}

#[test]
fn a_manual_backup_is_named_with_its_place() {
    let page = page(&Log::opened(None).incident(), &settings());
    let command =
        format!("reliquary restore manual/{BACKUP} -d main --to env:TARGET_URL --dry-run");
    assert!(page.contains(&command), "{page}");
    assert!(page.contains("`2026-11-23T14-00-00Z` (manual, 1000 B, 1 row of 1 table)"), "{page}");
}
