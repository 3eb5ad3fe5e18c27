//! How it is brought back: with Reliquary, and with stock tools alone.

use super::{block, chosen, heading, places::place};
use crate::settings::{DatabaseSettings, Settings, StoreLocation};

/// A pipe fails where any part of it does; `bash` and `zsh` know it.
const PIPEFAIL: &str = "set -o pipefail";

/// What the commands below need to be told.
pub(super) fn variables(settings: &Settings) -> String {
    let mut text = heading("A machine to restore from");
    text += "Any Linux machine will do: it needs `reliquary`, `psql` of the target's major version \
             or newer, and `aws` for the way without Reliquary. Nothing of the lost machine is \
             needed. Give it credentials that may read the bucket (the usual `AWS_*` variables, or \
             a role), and tell it where the backups are:\n\n";
    let mut lines = vec![format!(
        "export RELIQUARY__STORE__URL={}",
        place(&settings.store).trim_end_matches('/')
    )];
    if let Some(region) = &settings.store.region {
        lines.push(format!("export RELIQUARY__STORE__REGION={region} AWS_REGION={region}"));
    }
    if let Some(endpoint) = &settings.store.endpoint {
        lines.push(format!("export RELIQUARY__STORE__ENDPOINT={endpoint}"));
        if settings.store.path_style {
            lines.push("export RELIQUARY__STORE__PATH_STYLE=true".to_owned());
        }
    }
    for database in settings.databases.values() {
        if database.name.contains('-') {
            // No variable has such a name; the settings file itself is needed.
            continue;
        }
        let name = database.name.to_ascii_uppercase();
        lines.push(format!("export RELIQUARY__DATABASES__{name}__PREFIX={}", database.prefix));
    }
    text += &block(&lines);
    text += "\nThe commands take the rest from variables:\n\n\
             - `NEW_DATABASE_URL`: connection string of the new, empty database\n\
             - `FAILED_AT`: when it failed, in UTC, as in `2026-11-23 14:35Z`\n\
             - `DIRECT_URL`: connection string of the source, for a backup by hand\n\
             - `PGPASSWORD`, or the file `~/.pgpass`: the password of either. `psql` and `pg_dump` \
             show every user of the machine the connection string that they are given, so leave \
             the password out of it there\n\
             - `TABLE`: a table such as `public.donations`, where only one is wanted\n\
             - `BACKUP_PRINCIPAL`: ARN of the user or role that writes the backups\n";
    text
}

/// With Reliquary.
pub(super) fn with_reliquary(settings: &Settings) -> String {
    let mut text = heading("Restore with Reliquary");
    text += "It refuses a target that is the source or is not empty, checks every byte, and counts \
             every table's rows in the end. A backup that did not come back in its drill is \
             passed over, and only its own id takes it. With `--incident` it takes the newest good \
             backup of before the failure, and writes command, times, result and proof into the \
             log. Where it stops in the middle, run it again with `--clean`; where nothing tells \
             the new database from the source, because it cannot be asked or the settings name \
             another than the backup's, it wants `--not-the-source` as well, and only you know \
             whether the database is a new one.\n";
    for database in settings.databases.values() {
        let d = chosen(settings, &database.name);
        text += &format!("\nDatabase {}:\n\n", database.name);
        text += &block(&[
            format!("reliquary list{d}"),
            format!("reliquary incident open{d} --failed-at \"$FAILED_AT\""),
            format!(
                "reliquary restore{d} --to env:NEW_DATABASE_URL --create-roles --incident latest \
                 --dry-run"
            ),
            format!(
                "reliquary restore{d} --to env:NEW_DATABASE_URL --create-roles --incident latest"
            ),
            format!("reliquary incident note{d} --done 4 \"restored into the new server\""),
            format!("reliquary incident show{d}"),
            format!(
                "reliquary incident close{d} --cause \"what it was\" --next \"what is still to be \
                 done\""
            ),
        ]);
        text += "\nOnly rows of one table, as SQL to look at first:\n\n";
        text += &block(&[format!("reliquary restore{d} --to - --table \"$TABLE\" > rows.sql")]);
    }
    text
}

/// Without it.
pub(super) fn with_stock_tools(settings: &Settings) -> String {
    let mut text = heading("Restore with stock tools");
    text += "Without Reliquary, into a plain PostgreSQL server. The archive keeps its own name, \
             which is the one that its checksum file holds. (Where a hosting platform has schemas \
             of its own in every new database, they are in the way: restore into a plain server \
             first, or use Reliquary.)\n";
    for database in settings.databases.values() {
        text += &format!("\nDatabase {}:\n\n", database.name);
        text += &block(&stock(settings, database));
    }
    text += "\n`psql` stops at the first error. Where that is `role \"…\" does not exist`, create \
             the role in the new server, empty the database, and begin again.\n";
    text
}

fn stock(settings: &Settings, database: &DatabaseSettings) -> Vec<String> {
    let place = format!("{}{}", place(&settings.store), database.prefix);
    let (read, fetch) = match &settings.store.location {
        StoreLocation::S3 { .. } => {
            let aws = aws(settings);
            (
                format!("{aws} s3 cp --quiet {place}LATEST.txt -"),
                Box::new(move |path: &str| format!("{aws} s3 cp \"{place}{path}\" ."))
                    as Box<dyn Fn(&str) -> String>,
            )
        }
        StoreLocation::Directory(_) => {
            let dir = place.trim_start_matches("file://").to_owned();
            (
                format!("cat {dir}LATEST.txt"),
                Box::new(move |path: &str| format!("cp \"{dir}{path}\" ."))
                    as Box<dyn Fn(&str) -> String>,
            )
        }
    };
    // Each step runs only where the one before it succeeded, a pipe's first half
    // included: psql would take a cut archive for a whole one.
    vec![
        PIPEFAIL.to_owned(),
        "# 1. Which backup: the newest, or the id that you put into BACKUP".to_owned(),
        format!("BACKUP=${{BACKUP:-$({read} | sed -n 1p)}} &&"),
        "FOLDER=$(printf %s \"$BACKUP\" | cut -c 1-7 | tr - /) &&".to_owned(),
        "# 2. Download it under its own name, with its checksum".to_owned(),
        format!("{} &&", fetch("$FOLDER/$BACKUP.sql.gz")),
        format!("{} &&", fetch("$FOLDER/$BACKUP.sql.gz.sha256")),
        "# 3. Check it BEFORE anything is restored; it must say OK".to_owned(),
        "sha256sum -c \"$BACKUP.sql.gz.sha256\" &&".to_owned(),
        "# 4. Restore".to_owned(),
        "gunzip -c \"$BACKUP.sql.gz\" | psql -q -v ON_ERROR_STOP=1 \"$NEW_DATABASE_URL\""
            .to_owned(),
    ]
}

/// A backup by hand.
pub(super) fn by_hand(settings: &Settings) -> String {
    let mut text = heading("A backup by hand");
    text += "Before a risky migration, or while the daemon is down. It is kept until a person \
             deletes it.\n\n";
    let lines: Vec<String> = settings
        .databases
        .keys()
        .map(|name| format!("reliquary backup{} --manual", chosen(settings, name)))
        .collect();
    text += &block(&lines);
    text += "\nWithout Reliquary. It is then a *legacy archive*, of which nothing proves that it \
             is whole:\n";
    for database in settings.databases.values() {
        let place = format!("{}{}", place(&settings.store), database.prefix);
        let copy = |file: &str| match &settings.store.location {
            StoreLocation::S3 { .. } => {
                format!("{} s3 cp \"{file}\" \"{place}manual/{file}\"", aws(settings))
            }
            StoreLocation::Directory(_) => {
                let dir = place.trim_start_matches("file://");
                format!("install -D \"{file}\" \"{dir}manual/{file}\"")
            }
        };
        text += &format!("\nDatabase {}:\n\n", database.name);
        text += &block(&[
            PIPEFAIL.to_owned(),
            "TIMESTAMP=$(date -u +%Y-%m-%dT%H-%M-%SZ) &&".to_owned(),
            "pg_dump --no-owner --no-privileges \"$DIRECT_URL\" | gzip > \"$TIMESTAMP.sql.gz\" &&"
                .to_owned(),
            "sha256sum \"$TIMESTAMP.sql.gz\" > \"$TIMESTAMP.sql.gz.sha256\" &&".to_owned(),
            format!("{} &&", copy("$TIMESTAMP.sql.gz")),
            copy("$TIMESTAMP.sql.gz.sha256"),
        ]);
    }
    text
}

/// The stock client of the store.
pub(super) fn aws(settings: &Settings) -> String {
    match &settings.store.endpoint {
        Some(endpoint) => format!("aws --endpoint-url {endpoint}"),
        None => "aws".to_owned(),
    }
}
