//! `reliquary list`

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::Args;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::{Chosen, DONE, Global, print, which::Opened};
use crate::{
    archive::Manifest,
    catalog::{self, Catalog, CatalogError, Entry, Layout, State},
    clock::Clock,
    drill::{self, Mark, Marks},
    rfc3339,
    store::{ErrorKind, Store},
    visible::{visible, visible_lines},
    words::DrillVerdict,
};

/// The columns.
const HEADER: &[&str] = &["ID", "AGE", "KIND", "STATE", "SIZE", "ROWS", "VERIFIED", "DRILLED"];

/// Manifests read at once.
const AT_ONCE: usize = 16;

#[derive(Args, Debug)]
#[command(after_help = "Example: reliquary list --limit 5")]
pub(super) struct Arguments {
    #[command(flatten)]
    chosen: Chosen,
    /// Show at most so many, the newest.
    #[arg(long, value_name = "N", default_value_t = 48, conflicts_with = "all")]
    limit: usize,
    /// Show all. Rows are read from each manifest, so this takes a request for each backup.
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let settings = global.settings(false)?;
    let limit = if arguments.all { usize::MAX } else { arguments.limit };
    let databases = arguments.chosen.all(&settings)?;
    let several = databases.len() > 1;
    let mut documents = Vec::new();
    for (nth, database) in databases.into_iter().enumerate() {
        let opened = Opened::of(database, &settings).await?;
        if global.json {
            documents.push(document(&opened, limit).await?);
            continue;
        }
        if several {
            println!("{}{}", if nth > 0 { "\n" } else { "" }, visible(&database.name));
        }
        show(&opened, limit).await?;
    }
    match documents.pop() {
        // What one database is listed as, whoever has several gets a list of.
        Some(document) if !several => print::json(&document)?,
        Some(last) => {
            documents.push(last);
            print::json(&json!({ "databases": documents }))?;
        }
        None => {}
    }
    Ok(DONE)
}

async fn document(opened: &Opened<'_>, limit: usize) -> Result<Value> {
    let Opened { database, layout, catalog, .. } = opened;
    let (rows, marks) = read(opened, limit).await?;
    let mark = |row: &Row<'_>| marks.get(&(row.entry.kind.name(), row.entry.id)).copied();
    let backups: Vec<Value> = rows.iter().map(|row| row.json(layout, mark(row))).collect();
    Ok(json!({
        "database": database.name,
        "prefix": layout.prefix(),
        "backups": backups,
        "not_shown": catalog.entries.len() - rows.len(),
        "foreign_keys": catalog.foreign,
    }))
}

async fn show(opened: &Opened<'_>, limit: usize) -> Result<()> {
    let Opened { database, store, layout, catalog } = opened;
    let (rows, marks) = read(opened, limit).await?;
    let place = store.uri(layout.prefix());
    print!("{}", text(&place, catalog, &rows, &marks, Clock::system().now()));
    if catalog.entries.is_empty()
        && let Some(key) = elsewhere(store.as_ref(), layout).await
    {
        println!(
            "{} does hold other keys, such as {}: is databases.{}.prefix right?",
            store.uri("").trim_end_matches('/'),
            visible(&key),
            database.name
        );
    }
    Ok(())
}

/// The rows to show, and which of them were drilled.
async fn read<'a>(opened: &'a Opened<'_>, limit: usize) -> Result<(Vec<Row<'a>>, Marks)> {
    let Opened { store, layout, catalog, .. } = opened;
    let rows = rows(store.as_ref(), layout, catalog, limit).await?;
    let (warning, drills) = match drill::read(store.as_ref(), layout, &catalog.drills).await {
        Ok(read) => (read.warning(), read.records),
        Err(error) => (Some(format!("what drills have found cannot be read: {error}")), Vec::new()),
    };
    if let Some(warning) = warning {
        eprintln!("warning: {}", visible_lines(&warning));
    }
    Ok((rows, drill::marks(&drills, Clock::system().now())))
}

/// A key that stands elsewhere in the store, from one page of a listing. It is a
/// hint and no more, so that credentials which may not ask are no error.
async fn elsewhere(store: &dyn Store, layout: &Layout) -> Option<String> {
    let page = store.list_page("", None).await.ok()?;
    page.objects.into_iter().map(|object| object.key).find(|key| !key.starts_with(layout.prefix()))
}

/// An entry with what its manifest says, where it has a readable one.
struct Row<'a> {
    entry: &'a Entry,
    manifest: Option<Result<Manifest, String>>,
}

async fn rows<'a>(
    store: &dyn Store,
    layout: &Layout,
    catalog: &'a Catalog,
    limit: usize,
) -> Result<Vec<Row<'a>>> {
    let rows = futures::stream::iter(catalog.entries.iter().rev().take(limit))
        .map(|entry| async move {
            if entry.state != State::Good {
                return Ok(Some(Row { entry, manifest: None }));
            }
            match catalog::read_manifest(store, layout, catalog, entry.kind, entry.id).await {
                Ok(manifest) => Ok(Some(Row { entry, manifest: Some(Ok(manifest)) })),
                // Somebody has removed it since it was listed.
                Err(CatalogError::Store(error)) if error.kind == ErrorKind::NotFound => Ok(None),
                Err(CatalogError::Store(error)) => Err(error),
                Err(error) => Ok(Some(Row { entry, manifest: Some(Err(error.to_string())) })),
            }
        })
        .buffered(AT_ONCE)
        .try_filter_map(|row| std::future::ready(Ok(row)))
        .try_collect()
        .await?;
    Ok(rows)
}

impl Row<'_> {
    fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref().and_then(|manifest| manifest.as_ref().ok())
    }

    fn state(&self) -> &'static str {
        match &self.manifest {
            Some(Err(_)) => State::Broken.name(),
            _ => self.entry.state.name(),
        }
    }

    /// How long ago verify found it good. Damage is its state.
    fn verified(&self, now: DateTime<Utc>) -> String {
        let verified = self.entry.verified.filter(|_| self.state() == State::Good.name());
        verified.map_or_else(|| "-".to_owned(), |time| format!("{} ago", print::age(now, time)))
    }

    fn json(&self, layout: &Layout, drilled: Option<Mark>) -> Value {
        let entry = self.entry;
        let manifest = self.manifest();
        json!({
            "id": entry.id,
            "time": rfc3339::format(entry.id.time()),
            "kind": entry.kind,
            "state": self.state(),
            "key": layout.key(catalog::Key::Archive(entry.kind, entry.id)),
            "archive_bytes": entry.archive_bytes,
            "dump_bytes": manifest.map(|manifest| manifest.archive.uncompressed_bytes),
            "rows": manifest.map(|manifest| manifest.rows),
            "sha256": manifest.map(|manifest| &manifest.archive.sha256),
            "verified": entry.verified.map(rfc3339::format),
            "drilled": drilled,
            "error": self.manifest.as_ref().and_then(|manifest| manifest.as_ref().err()),
        })
    }
}

/// How long ago a drill passed; what failed and what came to nothing says so.
fn drilled(mark: Mark, now: DateTime<Utc>) -> String {
    let ago = print::age(now, mark.time);
    match mark.verdict {
        DrillVerdict::Passed => format!("{ago} ago"),
        DrillVerdict::Failed => format!("FAILED{} {ago} ago", reason(mark)),
        DrillVerdict::Unproven => format!("unproven{}", reason(mark)),
    }
}

fn reason(mark: Mark) -> String {
    mark.reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}

/// What a drill that failed means for its backup.
fn meaning(entry: &Entry, mark: Mark, drilled: &Marks) -> Option<&'static str> {
    if mark.verdict != DrillVerdict::Failed || entry.state == State::Damaged {
        None
    } else if drill::condemned(entry, drilled).is_some() {
        Some(
            "did not come back in its drill: it counts as no good one, and only its own ID restores \
             it; try an older one with `reliquary drill ID`",
        )
    } else if mark.condemned().is_some() {
        Some("was read back whole since its drill failed: it counts as good, and as undrilled")
    } else {
        Some(
            "came back whole, and a check of its drill failed: it counts as good, and as undrilled",
        )
    }
}

fn text(
    place: &str,
    catalog: &Catalog,
    rows: &[Row<'_>],
    marks: &Marks,
    now: DateTime<Utc>,
) -> String {
    let mark = |row: &Row<'_>| marks.get(&(row.entry.kind.name(), row.entry.id)).copied();
    let mut text = String::new();
    if rows.is_empty() {
        text += &format!("{place} holds no backup yet\n");
    } else {
        let mut table = print::table(HEADER, &[1, 4, 5]);
        for row in rows {
            let size = (row.entry.archive_bytes > 0).then(|| print::size(row.entry.archive_bytes));
            let count = row.manifest().map(|manifest| print::count(manifest.rows));
            table.add_row([
                row.entry.id.to_string(),
                print::age(now, row.entry.id.time()),
                row.entry.kind.name().to_owned(),
                row.state().to_owned(),
                size.unwrap_or_else(|| "-".to_owned()),
                count.unwrap_or_else(|| "-".to_owned()),
                row.verified(now),
                mark(row).map_or_else(|| "-".to_owned(), |mark| drilled(mark, now)),
            ]);
        }
        text += &table.trim_fmt();
        text.push('\n');
    }
    let older = catalog.entries.len() - rows.len();
    if older > 0 {
        text += &format!("… and {older} older; --all shows them\n");
    }
    if catalog.foreign > 0 {
        text += &format!("{} objects under {place} are not Reliquary's\n", catalog.foreign);
    }
    for row in rows {
        if let Some(Err(error)) = &row.manifest {
            text += &format!("{} cannot be trusted: {}\n", row.entry.id, visible(error));
        }
        if let Some(meaning) = mark(row).and_then(|mark| meaning(row.entry, mark, marks)) {
            text += &format!("{} {meaning}\n", row.entry.id);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{archive::manifest::Kind, store::LocalStore, words::DrillReason};

    #[tokio::test]
    async fn a_backup_that_was_removed_after_the_listing_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path()).await.unwrap();
        let mut catalog = Catalog::default();
        for (id, state) in
            [("2026-11-23T14-00-00Z", State::Good), ("2026-11-23T15-00-00Z", State::Legacy)]
        {
            let id: catalog::BackupId = id.parse().unwrap();
            let (kind, last_modified) = (Kind::Scheduled, id.time());
            let (archive_bytes, verified) = (1, None);
            catalog.add(Entry { id, kind, state, archive_bytes, last_modified, verified });
        }
        let rows = rows(&store, &Layout::new("x/"), &catalog, usize::MAX).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].state(), "legacy");
    }

    #[test]
    fn what_a_failed_drill_means_for_its_backup_is_said_below() {
        let id: catalog::BackupId = "2026-11-23T14-00-00Z".parse().unwrap();
        let time = id.time();
        let (kind, state, verified) = (Kind::Scheduled, State::Good, None);
        let entry = Entry { id, kind, state, archive_bytes: 1, last_modified: time, verified };
        let said = |entry: &Entry, reason| {
            let mark = Mark { verdict: DrillVerdict::Failed, reason: Some(reason), time };
            let marks = Marks::from([((kind.name(), id), mark)]);
            let rows = [Row { entry, manifest: None }];
            let mut catalog = Catalog::default();
            catalog.add(entry.clone());
            text("file:///x", &catalog, &rows, &marks, time)
        };
        let text = said(&entry, DrillReason::RowsDiffer);
        assert!(text.contains("FAILED (rows_differ) "), "{text}");
        assert!(
            text.contains(&format!("\n{id} did not come back in its drill: it counts")),
            "{text}"
        );
        let text = said(&entry, DrillReason::CheckFailed);
        assert!(text.contains("came back whole, and a check of its drill failed"), "{text}");
        let read_back = Some(time + chrono::TimeDelta::hours(1));
        let entry = Entry { verified: read_back, ..entry };
        let text = said(&entry, DrillReason::ArchiveDamaged);
        assert!(text.contains("was read back whole since its drill failed"), "{text}");
        let damaged = Entry { state: State::Damaged, ..entry };
        let text = said(&damaged, DrillReason::ArchiveDamaged);
        assert_eq!(text.lines().count(), 2, "its state has said it: {text}");
    }
}
