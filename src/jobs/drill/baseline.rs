//! The drill that a backup's answers are compared with.
//!
//! It is looked for from the newest drill on, page by page, until no older one can
//! be of a backup that is nearer. What cannot be read is never taken for nothing:
//! a question that looks back is then not answered, since it would otherwise begin
//! anew with whatever it finds.

use crate::{
    catalog::{BackupId, Key, Layout},
    drill::{self, Record},
    store::Store,
    words::DrillVerdict,
};

/// So many records are read at a time.
const PAGE: usize = 48;

/// Finds it among the drills that a listing has found.
///
/// # Errors
/// When it is not known which one it is: the store fails, or a record that may be it
/// cannot be read.
pub(super) async fn find(
    store: &dyn Store,
    layout: &Layout,
    drills: &[BackupId],
    backup: BackupId,
) -> Result<Option<Record>, String> {
    let (mut best, mut unknown): (Option<Record>, Vec<drill::Unknown>) = (None, Vec::new());
    for page in drills.rchunks(PAGE) {
        let read = drill::read(store, layout, page)
            .await
            .map_err(|error| format!("earlier drills could not be read: {error}"))?;
        unknown.extend(read.unknown);
        let records: Vec<Record> = best.into_iter().chain(read.records).collect();
        best = drill::passed_before(&records, backup).cloned();
        if page.first().is_some_and(|oldest| is_nearest(best.as_ref(), backup, *oldest)) {
            break;
        }
    }
    let nearer = unknown.iter().rfind(|unknown| may_be_it(unknown, best.as_ref(), backup));
    match nearer {
        None => Ok(best),
        // What is to be done comes first: it must be seen where there is little room.
        Some(drill::Unknown { id, why, .. }) => Err(format!(
            "{} may be of the drill to compare with, and cannot be read: move it away, or drill with \
             a Reliquary that reads it ({why})",
            store.uri(&layout.key(Key::Drill(*id)))
        )),
    }
}

/// Whether a drill whose record cannot be read may be the one, by what is known of it.
fn may_be_it(unknown: &drill::Unknown, best: Option<&Record>, backup: BackupId) -> bool {
    let has_passed = unknown.verdict.is_none_or(|verdict| verdict == DrillVerdict::Passed);
    let is_before = unknown.backup.is_none_or(|of| of <= backup);
    // As `drill::passed_before` ranks them.
    let rank = |of: BackupId, id: BackupId| (of < backup, of, id);
    let is_nearer = match (unknown.backup, best) {
        (Some(of), Some(best)) => rank(of, unknown.id) > rank(best.backup.id, best.id),
        _ => !is_nearest(best, backup, unknown.id),
    };
    has_passed && is_before && is_nearer
}

/// Whether no drill that began at `began` or before can be of a backup that is nearer:
/// what it drilled was there by then.
fn is_nearest(best: Option<&Record>, backup: BackupId, began: BackupId) -> bool {
    best.is_some_and(|best| best.backup.id < backup && began <= best.backup.id)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        drill::a_record,
        store::LocalStore,
        words::DrillVerdict::{Failed, Passed},
    };

    fn id(day: u32, hour: u32) -> BackupId {
        format!("2026-{:02}-{:02}T{hour:02}-00-00Z", 1 + day / 28, 1 + day % 28).parse().unwrap()
    }

    /// A store with a drill of each day, an hour after that day's backup was made.
    async fn store(
        drills: impl IntoIterator<Item = (u32, DrillVerdict)>,
    ) -> (tempfile::TempDir, LocalStore, Vec<BackupId>) {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path()).await.unwrap();
        let mut ids = Vec::new();
        for (day, verdict) in drills {
            let mut record = a_record(&id(day, 7).to_string(), verdict);
            record.backup.id = id(day, 6);
            drill::write(&store, &Layout::new("x/"), &record).await.unwrap();
            ids.push(record.id);
        }
        (dir, store, ids)
    }

    async fn found(store: &LocalStore, ids: &[BackupId], day: u32) -> Result<Option<u32>, String> {
        let found = find(store, &Layout::new("x/"), ids, id(day, 6)).await?;
        Ok(found.map(|record| (0..200).find(|day| id(*day, 6) == record.backup.id).unwrap()))
    }

    #[tokio::test]
    async fn it_is_looked_for_however_long_ago_one_has_passed() {
        let failed = (1..100).map(|day| (day, Failed));
        let (_dir, store, ids) = store([(0, Passed)].into_iter().chain(failed)).await;
        assert_eq!(found(&store, &ids, 100).await, Ok(Some(0)));
        assert_eq!(found(&store, &ids[1..], 100).await, Ok(None), "it is the first");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_taken_for_nothing() {
        let (_dir, store, ids) = store((0..4).map(|day| (day, Passed))).await;
        let spoil = async |day: u32| {
            let key = Layout::new("x/").key(Key::Drill(id(day, 7)));
            store.put(&key, Bytes::from_static(b"{")).await.unwrap();
        };
        assert_eq!(found(&store, &ids, 4).await, Ok(Some(3)));
        spoil(1).await;
        assert_eq!(found(&store, &ids, 4).await, Ok(Some(3)), "it can be no nearer");
        spoil(3).await;
        let why = found(&store, &ids, 4).await.unwrap_err();
        let key = format!("x/drills/{}.json may be of the drill to compare with", id(3, 7));
        assert!(why.contains(&key) && why.contains(": move it away, or drill with"), "{why}");
        // It would otherwise be the first, and what it finds the measure of the next.
        let why = found(&store, &ids[3..], 4).await.unwrap_err();
        assert!(why.contains("cannot be read"), "{why}");
    }

    #[tokio::test]
    async fn what_a_later_version_tells_of_its_drill_is_enough_to_know_that_it_is_not_the_one() {
        let (_dir, store, ids) = store((0..5).map(|day| (day, Passed))).await;
        let tell = async |text: serde_json::Value| {
            let mut text = text;
            text["format"] = "reliquary-drill/2".into();
            let key = Layout::new("x/").key(Key::Drill(id(4, 7)));
            store.put(&key, Bytes::from(text.to_string())).await.unwrap();
            found(&store, &ids, 5).await
        };
        let of = |day: u32, verdict: &str| serde_json::json!({ "backup": { "id": id(day, 6) }, "verdict": verdict, "new": true });
        for told in [of(4, "failed"), of(4, "unproven"), of(2, "passed"), of(6, "passed")] {
            assert_eq!(tell(told.clone()).await, Ok(Some(3)), "{told}");
        }
        for told in [of(4, "passed"), of(4, "better"), serde_json::json!({ "verdict": "passed" })] {
            let why = tell(told.clone()).await.unwrap_err();
            assert!(why.contains("of the format reliquary-drill/2, and this"), "{told}: {why}");
        }
    }
}
