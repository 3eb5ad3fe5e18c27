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
    // What is brought back later takes nothing from it.
    log.restored(&["table public.gifts"], Some(proof(1)));
    let text = log.message();
    for part in [
        "Subject: [Resolved] main database data restoration completed\n",
        WHOLE,
        " after a migration. Data loss window: 30 minutes. All services are now operational.\n",
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
        (&["section pre-data"][..], None, "section pre-data only, which is not proven"),
        (&["table public.gifts"], Some(proof(1)), "table public.gifts only. Data"),
        (&["schema a", "section data"], Some(proof(1)), "schema a, section data only."),
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

#[test]
fn several_parts_are_all_told() {
    let mut log = Log::opened(None);
    log.restored(&["table a.a"], Some(proof(1)));
    log.restored(&["table a.b"], Some(unproven()));
    let text = log.message();
    let shown = "table a.a only; table a.b only, which is not proven. Data loss window";
    assert!(text.contains(shown), "{text}");
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
