//! Where the backups are, how many, and how fresh.

use super::{
    super::{
        page::expectation,
        words::{count, whole},
    },
    Facts, heading, row,
};
use crate::{
    rfc3339,
    settings::{DatabaseSettings, Encryption, Settings, StoreLocation, StoreSettings},
    words::Period,
};

/// The store's own address, which a prefix goes behind.
pub(in crate::recovery) fn place(store: &StoreSettings) -> String {
    match &store.location {
        StoreLocation::S3 { bucket } => format!("s3://{bucket}/"),
        StoreLocation::Directory(path) => {
            format!("file://{}/", path.display().to_string().trim_end_matches('/'))
        }
    }
}

/// What is there now.
pub(super) fn now(settings: &Settings, facts: Option<&Facts>) -> String {
    let Some(facts) = facts else { return String::new() };
    let mut text = heading("What there is");
    text += &format!("As of {}.\n\n", rfc3339::format(facts.now));
    text += &row(&["Database", "Newest good backup", "Backups", "Expected time to restore"]);
    text += &row(&["---"; 4]);
    for name in settings.databases.keys() {
        text += &match facts.databases.get(name) {
            Some(Ok(known)) => row(&[
                name,
                &known.newest.map_or_else(|| "**none**".to_owned(), |id| format!("`{id}`")),
                &count(known.stored),
                &expectation(known.expected.as_ref()),
            ]),
            Some(Err(why)) => row(&[name, &format!("not known: {why}"), "", ""]),
            None => String::new(),
        };
    }
    text
}

/// Where everything is.
pub(super) fn places(settings: &Settings) -> String {
    let mut text = heading("Where the backups are");
    let store = &settings.store;
    match &store.location {
        StoreLocation::S3 { bucket } => {
            text += &format!("- Bucket: `{bucket}`\n");
            if let Some(region) = &store.region {
                text += &format!("- Region: `{region}`\n");
            }
            if let Some(endpoint) = &store.endpoint {
                text += &format!("- Endpoint: `{endpoint}`\n");
            }
            text += &format!("- Encryption: {}\n", encryption(&store.encryption));
        }
        StoreLocation::Directory(path) => text += &format!("- Folder: `{}`\n", path.display()),
    }
    for database in settings.databases.values() {
        text += &format!("\n**Database {}**\n\n", database.name);
        text += &of_database(settings, database);
    }
    text
}

fn encryption(encryption: &Encryption) -> &'static str {
    match encryption {
        Encryption::BucketDefault => "the bucket's default",
        Encryption::SseS3 => "SSE-S3, asked for with every object",
        Encryption::SseKms(_) => "SSE-KMS, asked for with every object",
    }
}

fn of_database(settings: &Settings, database: &DatabaseSettings) -> String {
    let place = format!("{}{}", place(&settings.store), database.prefix);
    let retention = &database.retention;
    let pause = database.schedule.longest_pause().as_secs().max(1);
    let mut kept = format!(
        "{} (about {} backups), and the newest {} whatever their age",
        whole(retention.keep_for),
        count(retention.keep_for.as_secs() / pause),
        retention.keep_last
    );
    for period in Period::ALL {
        let tier = retention.tier(*period);
        if tier > 0 {
            kept += &format!("; one for each of the last {tier} ({})", period.as_str());
        }
    }
    format!(
        "- Archives: `{place}YYYY/MM/<id>.sql.gz`; an id is a time in UTC, `2026-11-23T14-00-00Z`\n\
         - Beside each: `<id>.sql.gz.sha256`, and `<id>.manifest.json`, without which it is no \
         backup\n\
         - Taken by hand: `{place}manual/`, kept until a person deletes them\n\
         - Pointer: `{place}LATEST.txt` (line 1 id, line 2 address, line 3 SHA-256), \
         `{place}LATEST.sha256`\n\
         - Drills, logs of incidents, reviews: `{place}drills/`, `{place}incidents/`, \
         `{place}reviews/`\n\
         - Cadence: {} (`{}`); stale after {}\n\
         - Kept: {kept}\n",
        lower_first(&database.schedule.cron.describe()),
        database.schedule.line,
        whole(database.stale_after),
    )
}

/// A cron line in words begins a sentence of its own; here it goes on.
pub(super) fn lower_first(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().collect::<String>() + letters.as_str()
    }) + ", UTC"
}
