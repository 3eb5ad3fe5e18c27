//! Which incident a person means.

use anyhow::{Result, bail};

use super::Misused;
use crate::{
    catalog::{BackupId, Entry},
    recovery::{self, Incident, Journal},
};

/// So many of the newest incidents are looked through for an open one.
const LOOK_BACK: usize = 30;

/// What fits.
pub(in crate::cli) struct Found {
    /// Its id.
    pub(in crate::cli) id: BackupId,
    /// Its log, as far as it could be read.
    pub(in crate::cli) incident: Incident,
}

/// Whether an incident is one of a database.
pub(super) fn is_of(incident: &Incident, database: &str) -> bool {
    incident.opened().is_some_and(|opened| opened.database == database)
}

/// What is to be said where a log names another backup than the catalog does.
pub(in crate::cli) fn differs(named: &recovery::Found, newest: Option<&Entry>) -> Option<String> {
    if newest.is_some_and(|entry| (entry.kind, entry.id) == (named.kind, named.id)) {
        return None;
    }
    let by_catalog = newest.map_or_else(
        || "there is no good one".to_owned(),
        |entry| format!("it is {}", entry.kind.named(&entry.id)),
    );
    Some(format!(
        "the log names {} as the newest good backup of before the failure, and by the catalog \
         {by_catalog}; look at `reliquary list`, and restore one by its id",
        named.named()
    ))
}

/// Finds an incident of a database: by its id or the beginning of one, the newest
/// open one for `latest`, and the one that is open where nothing is said.
pub(in crate::cli) async fn find(
    journal: &Journal,
    database: &str,
    wanted: Option<&str>,
) -> Result<Found> {
    let (ids, away) = journal.ids().await;
    let but = away.first().map_or_else(String::new, |why| format!("; but {why}"));
    let prefix = wanted.filter(|wanted| *wanted != "latest");
    let fits = |id: &&BackupId| prefix.is_none_or(|prefix| id.to_string().starts_with(prefix));
    let mut found = Vec::new();
    for id in ids.iter().rev().filter(fits).take(LOOK_BACK) {
        let incident = journal.read(*id).await;
        let is_meant = prefix.is_some() || incident.closed().is_none();
        if is_meant && is_of(&incident, database) {
            found.push(Found { id: *id, incident });
        }
    }
    if wanted == Some("latest") {
        found.truncate(1);
    }
    match (found.len(), wanted) {
        (1, _) => {}
        (0, Some(prefix)) if prefix != "latest" => bail!(Misused(format!(
            "no incident of database {database} has an id that begins with {prefix:?}{but}"
        ))),
        (0, _) => bail!(Misused(format!(
            "no incident of database {database} is open{but}; `reliquary incident open` begins one"
        ))),
        (_, wanted) => {
            let ids: Vec<String> = found.iter().map(|found| found.id.to_string()).collect();
            let what = if wanted.is_some() { "begin with it" } else { "are open" };
            bail!(Misused(format!("several incidents {what}; name one: {}", ids.join(", "))))
        }
    }
    // There is one.
    found.pop().ok_or_else(|| Misused("there is no incident".to_owned()).into())
}
