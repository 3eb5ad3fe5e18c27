//! What a person should do about a problem, and the commands that help.

use super::seen::BACKUPS;
use crate::words::Stage;

/// Sentences, and commands to run.
pub(super) struct Advice {
    pub(super) next: Vec<String>,
    pub(super) commands: Vec<String>,
}

/// What helps against a problem of a database.
pub(super) fn advice(problem: &str, stage: Option<Stage>, database: &str) -> Advice {
    let (next, verbs): (&[&str], &[&str]) = match problem {
        BACKUPS => return backups(stage, database),
        "verify" => (
            &["Look which backups are damaged, and whether a good one of that time stands beside \
               them. A damaged backup counts as none; copy it away before it is replaced if its \
               rows are needed."],
            &["list", "verify"],
        ),
        "pointer" => (
            &["LATEST.txt does not name the newest backup. The next run repairs it; scripts that \
               read it get an older backup until then."],
            &["status", "list"],
        ),
        "two_sources" => (
            &["Find the other installation, and give one of the two another `prefix` or another \
               bucket. Until then each shows the other's backups as well, and `latest` and \
               LATEST.txt are whichever came last: name a backup by its id, and look with `show` \
               of which database it is."],
            &["list", "show latest", "status"],
        ),
        "drill_failed" => (
            &[
                "Backups are made, and the one that was drilled did not come back whole, or the \
                 drill lacked what it needs. Read its record, look whether older ones are good, and \
                 drill the newest when it is mended: that clears this.",
                "What verify finds says whether the archive was damaged after it was made.",
                "Where an extension or a locale is missing (missing_extension, missing_locale), the \
                 backup still counts as good: install that extension's package, or that locale, where \
                 drills run, or name a database that has it, with `target` of [drill], and drill \
                 again.",
            ],
            &["status", "verify", "drill", "list"],
        ),
        "drill_overdue" => (
            &[
                "A backup that was never restored is a hope. Find out why no drill came to its end, \
               before a real restore has to find out; a drill by hand counts as well.",
            ],
            &["status", "drill"],
        ),
        "drill_left" => (
            &["Backups are as they were. A copy of their rows lies where drill.target leads, for \
                 whoever may read there: a drill by hand empties it. Where that database is gone, \
                 remove the record that the finding names."],
            &["status", "drill"],
        ),
        "sweep" => (
            &["Nothing was deleted. Read why, and mend it before the store fills up."],
            &["status", "list"],
        ),
        "audit" => (
            &["Look what the audit says of these checks, and put back what is missing. Where the \
                 change was meant, say so with `--accept`."],
            &["audit", "audit --accept"],
        ),
        _ if problem.starts_with("anomaly_") => (
            &[
                "If nobody did this on purpose, rows may be lost at the source: keep an older \
               backup from being swept, and restore what is missing from it.",
                "A backup that a person asks for with `backup` is kept until a person deletes it.",
            ],
            &["list", "show latest", "backup"],
        ),
        _ => (&["Read what the check says, and mend it."], &["status"]),
    };
    Advice { next: owned(next), commands: commands(verbs, database) }
}

fn backups(stage: Option<Stage>, database: &str) -> Advice {
    let cause = match stage {
        Some(Stage::Connect) => {
            "Look whether the source is up and lets this machine in: its provider's status page, \
             its password, its list of allowed addresses."
        }
        Some(Stage::Lock | Stage::Preflight | Stage::Snapshot) => {
            "Read what the source refused: rights of the role, another process at it, or a \
             version for which there is no pg_dump here."
        }
        Some(Stage::Dump | Stage::Compress | Stage::Completeness) => {
            "Read what pg_dump said: a lock that was held for too long, a connection that was \
             cut, or a damaged table."
        }
        Some(
            Stage::Upload
            | Stage::Checksum
            | Stage::Confirm
            | Stage::Commit
            | Stage::Pointer
            | Stage::Catalog,
        ) => "Look whether the bucket is there and the credentials still hold.",
        Some(Stage::Timeout) => {
            "The run did not end within its deadline: look at the load of the source and the \
             line, or raise `timeout`."
        }
        Some(Stage::Panic) => "This is a fault in Reliquary: report it with the log.",
        _ => "Look at the log of the daemon and whether the store can be reached.",
    };
    let last = "If the source is lost, restore the newest backup into a new server.";
    let mut commands = commands(&["status", "backup", "list"], database);
    commands.push(format!("reliquary restore latest -d {database} --to env:NEW_DATABASE_URL"));
    Advice { next: owned(&[cause, last]), commands }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

fn commands(verbs: &[&str], database: &str) -> Vec<String> {
    verbs.iter().map(|verb| format!("reliquary {verb} -d {database}")).collect()
}
