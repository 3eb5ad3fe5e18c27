//! Carries `--clean` out: one transaction that drops what the archive creates,
//! and is taken back when anything else would go with it. Large objects follow
//! in transactions of their own: nothing stands on them, and each is a lock.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{
    blame::Blame, clean::UNLINK, failure::Failure, plan::Plan, progress::Progress,
    statement::name_of,
};
use crate::{
    archive::TableName,
    postgres::{Target, TargetError},
};

/// Everything that could go along.
const EVERYTHING: &str = include_str!("everything.sql");

/// How many objects a refusal names.
const NAMED: usize = 10;

/// How many large objects go at once: far fewer than a server has locks.
const BATCH: usize = 500;

/// How long others may hold what is dropped.
const LOCKED: &str = "SET LOCAL lock_timeout = '60s'";

/// The same where it is only tried: whoever uses the target waits behind it.
const LOCKED_BRIEFLY: &str = "SET LOCAL lock_timeout = '3s'";

/// How long such a trial may take in all, with everything that it has dropped by then
/// locked.
const TRIED_WITHIN: Duration = Duration::from_secs(10);

/// What came of a rehearsal that found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rehearsed {
    /// All of it was tried.
    Whole,
    /// It was ended, since others would have had to wait.
    Late,
}

/// What is said of a rehearsal that was ended.
pub(super) fn late() -> String {
    format!(
        "whether something would go with what --clean drops and would not come back was \
         not known within {} s, and then not tried any longer: whoever uses the target would wait; \
         --clean itself looks before anything is final",
        TRIED_WITHIN.as_secs()
    )
}

/// What may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ours<'a> {
    /// Objects that will be made again, with all that belongs to them.
    pub may_go: &'a BTreeSet<TableName>,
    /// Memberships of publications that will be made again.
    pub rejoins: &'a BTreeSet<(String, TableName)>,
    /// Foreign keys of tables that stay, by table and name, that will be made again.
    pub keys: &'a BTreeSet<(TableName, String)>,
}

impl<'a> Ours<'a> {
    /// What a plan makes again.
    pub(super) fn of(plan: &'a Plan) -> Self {
        Self { may_go: &plan.may_go, rejoins: &plan.rejoins, keys: &plan.keys }
    }
}

/// Runs the drops; takes them back when something goes that is not the archive's.
pub(super) async fn clean(
    drops: &[String],
    ours: Ours<'_>,
    control: &mut Target,
    progress: &Progress,
    touched: &AtomicBool,
) -> Result<(), Failure> {
    let (unlinks, drops): (Vec<&String>, Vec<&String>) =
        drops.iter().partition(|drop| drop.starts_with(UNLINK));
    drop_all(&drops, ours, control, progress, Limits::Lock).await?;
    // A COMMIT whose answer is lost may have been one.
    touched.store(true, Ordering::Relaxed);
    control.run("COMMIT").await?;
    for batch in unlinks.chunks(BATCH) {
        let batch: Vec<&str> = batch.iter().map(|unlink| unlink.as_str()).collect();
        control.run(&batch.join(";\n")).await.map_err(Failure::at("large objects"))?;
        progress.add(batch.len() as u64);
    }
    Ok(())
}

/// Finds out whether [`clean`] would be refused: drops what it would drop, and takes
/// that back.
pub(super) async fn rehearse(
    drops: &[String],
    ours: Ours<'_>,
    control: &mut Target,
) -> Result<Rehearsed, Failure> {
    // Nothing stands on large objects.
    let drops: Vec<&String> = drops.iter().filter(|drop| !drop.starts_with(UNLINK)).collect();
    let until = Instant::now() + TRIED_WITHIN;
    let progress = Progress::default();
    let tried = drop_all(&drops, ours, control, &progress, Limits::Until(until)).await;
    match tried {
        Err(_) if Instant::now() >= until => Ok(Rehearsed::Late),
        Err(failure) => Err(failure),
        Ok(()) => {
            control.run("ROLLBACK").await?;
            Ok(Rehearsed::Whole)
        }
    }
}

/// How long what is dropped may be waited for.
#[derive(Clone, Copy)]
enum Limits {
    /// Each lock for itself.
    Lock,
    /// Each lock briefly, and all of it until then.
    Until(Instant),
}

impl Limits {
    fn of_locks(self) -> &'static str {
        match self {
            Self::Lock => LOCKED,
            Self::Until(_) => LOCKED_BRIEFLY,
        }
    }

    /// What ends the next statement in time.
    fn of_statement(self) -> String {
        match self {
            Self::Lock => String::new(),
            Self::Until(end) => {
                // None would be no limit.
                let left = end.saturating_duration_since(Instant::now()).as_millis() + 1;
                format!("SET LOCAL statement_timeout = {left};")
            }
        }
    }
}

/// Drops in a transaction that stays open; where that fails, it is taken back.
async fn drop_all(
    drops: &[&String],
    ours: Ours<'_>,
    control: &mut Target,
    progress: &Progress,
    limits: Limits,
) -> Result<(), Failure> {
    control.run("BEGIN").await?;
    control.run(limits.of_locks()).await?;
    let found = drop_each(drops, ours, control, progress, limits).await;
    if found.is_err() {
        // An error here changes nothing: the transaction is over either way.
        let _ = control.run("ROLLBACK").await;
    }
    found
}

async fn drop_each(
    drops: &[&String],
    ours: Ours<'_>,
    control: &mut Target,
    progress: &Progress,
    limits: Limits,
) -> Result<(), Failure> {
    let before = control.names(EVERYTHING).await?;
    for drop in drops {
        // A schema that is not there holds nothing to drop.
        control.run(&format!("{}SAVEPOINT one", limits.of_statement())).await?;
        match control.run(drop).await {
            Ok(()) => control.run("RELEASE SAVEPOINT one").await?,
            Err(error) if error.is_absent() => control.run("ROLLBACK TO SAVEPOINT one").await?,
            Err(error) => return Err(Failure::of(format!("{drop:?}"), explained(&error))),
        }
        progress.add(1);
    }
    control.run(&limits.of_statement()).await?;
    let after = control.names(EVERYTHING).await?;
    let foreign = foreign(&before, &after, ours);
    if foreign.is_empty() {
        return Ok(());
    }
    let shown = foreign[..foreign.len().min(NAMED)].join(", ");
    Err(Failure {
        at: None,
        message: format!(
            "what the archive creates cannot be dropped without also dropping {shown}{}, which \
             would not come back; drop that first, or, where the archive holds it, ask for it as \
             well (--table), or restore into another database",
            if foreign.len() > NAMED { " and more" } else { "" }
        ),
        blame: Blame::Unknown,
    })
}

/// An error with what helps against it.
fn explained(error: &TargetError) -> String {
    let help = match error.code.as_str() {
        "53200" => {
            "; all drops are one transaction, which needs a lock for each object: raise \
             max_locks_per_transaction, or restore into an empty database"
        }
        "42809" => {
            "; something of another kind has that name there (a view where the archive has a \
             table, say): drop that first, or restore into another database"
        }
        "55P03" => "; another session holds it: end that session, and run it again",
        _ => "",
    };
    format!("{error}{help}")
}

/// An object, as the query writes it: what tells it from all others, what it is,
/// its name, and the schema and name of what it belongs to.
type Row = (String, String, String, String, String);

/// What went and is not the archive's, in words.
fn foreign(before: &[String], after: &[String], ours: Ours<'_>) -> Vec<String> {
    let after: HashSet<&String> = after.iter().collect();
    // What belongs to several is listed with each, and goes with any of them.
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    for object in before.iter().filter(|object| !after.contains(object)) {
        let Ok((key, what, name, schema, owner)) = serde_json::from_str::<Row>(object) else {
            found.insert(object.clone(), Some(object.clone()));
            continue;
        };
        let owner = TableName { schema, name: owner };
        let is_ours = if what == "member of publication" {
            let publication = TableName { schema: String::new(), name: name.clone() };
            ours.may_go.contains(&publication)
                || ours.rejoins.contains(&(name.clone(), owner.clone()))
        } else {
            ours.may_go.contains(&owner)
                || (what == "constraint" && ours.keys.contains(&(owner.clone(), name.clone())))
        };
        let owner = name_of(&owner);
        let words = if name.is_empty() {
            format!("{what} {owner}")
        } else {
            format!("{what} {name} of {owner}")
        };
        let known = found.entry(key).or_insert_with(|| Some(words));
        if is_ours {
            *known = None;
        }
    }
    let words: BTreeSet<String> = found.into_values().flatten().collect();
    words.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(schema: &str, name: &str) -> TableName {
        TableName { schema: schema.into(), name: name.into() }
    }

    #[test]
    fn only_what_is_not_the_archive_s_is_foreign() {
        let may_go = BTreeSet::from([name("a", "t"), name("", "p")]);
        let rejoins = BTreeSet::from([("q".to_owned(), name("a", "t"))]);
        let keys = BTreeSet::from([(name("b", "c"), "again".to_owned())]);
        let before = [
            ["1", "relation", "", "a", "t"],
            ["2", "constraint", "k", "a", "t"],
            ["3", "relation", "", "b", "v"],
            ["4", "trigger", "x|y", "b", "W w"],
            ["5", "cast", "b to c", "b", "c"],
            ["5", "cast", "b to c", "a", "t"],
            ["6", "member of publication", "p", "a", "t"],
            ["7", "member of publication", "q", "a", "t"],
            ["8", "member of publication", "mine", "a", "t"],
            ["9", "constraint", "again", "b", "c"],
            ["10", "constraint", "other", "b", "c"],
            ["11", "trigger", "again", "b", "c"],
            ["12", "relation", "", "b", "stays"],
        ]
        .map(|row| serde_json::to_string(&row).unwrap());
        assert_eq!(
            foreign(
                &before,
                &before[12..],
                Ours { may_go: &may_go, rejoins: &rejoins, keys: &keys }
            ),
            [
                "constraint other of b.c",
                "member of publication mine of a.t",
                "relation b.v",
                "trigger again of b.c",
                "trigger x|y of b.\"W w\""
            ]
        );
    }
}
