//! Which backup of which database a command is about: `-d`, `ID` and `--at`.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use chrono::{DateTime, Utc};
use clap::Args;

use super::{Chosen, Misused};
use crate::{
    app,
    catalog::{self, BackupId, Catalog, CatalogError, Entry, FindError, Layout, Query, State},
    clock::{self, Clock},
    drill::{self, Marks, NewestGood},
    settings::{DatabaseSettings, Settings},
    store::{ErrorKind, Store},
    visible::visible_lines,
    words::DrillReason,
};

/// The arguments by which a backup is named.
#[derive(Args, Debug)]
pub(super) struct Which {
    #[command(flatten)]
    chosen: Chosen,
    /// An id, the beginning of one, or `latest`; `manual/ID` where a scheduled one has it too
    /// [default: latest].
    #[arg(value_name = "ID", conflicts_with = "at")]
    id: Option<String>,
    /// The newest backup at or before a time in UTC.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// A database's place in the store, and what stands there.
pub(super) struct Opened<'a> {
    pub(super) database: &'a DatabaseSettings,
    pub(super) store: Arc<dyn Store>,
    pub(super) layout: Layout,
    pub(super) catalog: Catalog,
}

impl Chosen {
    /// Opens the store and lists what it holds of the database that is meant.
    pub(super) async fn open<'a>(&self, settings: &'a Settings) -> Result<Opened<'a>> {
        Opened::of(self.of(settings)?, settings).await
    }
}

impl<'a> Opened<'a> {
    /// Opens the store and lists what it holds of a database.
    pub(super) async fn of(database: &'a DatabaseSettings, settings: &Settings) -> Result<Self> {
        let store = app::store_to_read(&settings.store).await?;
        let layout = Layout::new(database.prefix.clone());
        let catalog = catalog::read(store.as_ref(), &layout).await?;
        Ok(Opened { database, store, layout, catalog })
    }
}

impl Which {
    /// What was asked for; a time that is none is bad usage.
    pub(super) fn query(&self) -> Result<Query> {
        if let Some(time) = &self.at {
            return Query::parse_time(time).map_err(|e| Misused(e.to_string()).into());
        }
        Ok(Query::parse(self.id.as_deref().unwrap_or_default(), Clock::system().now()))
    }

    /// Whether anything was asked for, or the newest is taken because nothing was.
    pub(super) fn is_named(&self) -> bool {
        self.id.is_some() || self.at.is_some()
    }

    /// The database that is meant.
    pub(super) fn database<'a>(&self, settings: &'a Settings) -> Result<&'a DatabaseSettings> {
        self.chosen.of(settings)
    }

    /// See [`Chosen::open`].
    pub(super) async fn open<'a>(&self, settings: &'a Settings) -> Result<Opened<'a>> {
        self.chosen.open(settings).await
    }

    /// What fits, to be used. `usage` is how a person asks this command for one
    /// by its id: `fetch ID`.
    pub(super) fn find<'a>(&self, catalog: &'a Catalog, usage: &str) -> Result<&'a Entry> {
        let query = self.query()?;
        self.say_what_is_ahead(&query, catalog, usage);
        query.find(catalog).map_err(|error| self.told(error, usage))
    }

    /// What fits, to be used; with `damaged` also what verify found damaged,
    /// for a command that has the flag.
    pub(super) fn find_readable<'a>(
        &self,
        catalog: &'a Catalog,
        usage: &str,
        damaged: bool,
    ) -> Result<&'a Entry> {
        let query = self.query()?;
        self.say_what_is_ahead(&query, catalog, usage);
        let found = if damaged { query.find_readable(catalog) } else { query.find(catalog) };
        found.map_err(|error| match error.damaged() {
            Some(id) => {
                let command = self.command(usage, &id.to_string());
                anyhow!("{error}; what can be read of it comes with `{command} --damaged`")
            }
            None => self.told(error, usage),
        })
    }

    /// The same, to be restored. What did not come back in its drill is taken where
    /// it is asked for by its id; where the newest is, it is passed over, as is one
    /// whose manifest cannot be used. Each is told.
    pub(super) async fn find_to_restore<'a>(
        &self,
        store: &dyn Store,
        layout: &Layout,
        catalog: &'a Catalog,
        usage: &str,
        damaged: bool,
    ) -> Result<&'a Entry> {
        let found = self.find_readable(catalog, usage, damaged)?;
        let marks = marks(store, layout, catalog).await;
        let until = match self.query()? {
            Query::Prefix(..) => {
                let reason = marks.as_ref().and_then(|marks| drill::condemned(found, marks));
                if let Some((reason, marks)) = reason.zip(marks) {
                    let newest = drill::newest_good(catalog, &marks, Some(found.time()));
                    eprintln!("warning: {}", self.all_the_same(found, reason, &newest, usage));
                }
                return Ok(found);
            }
            Query::Latest(now) => Some(now + clock::TOLERANCE),
            Query::At(time) => Some(time),
        };
        let marks = marks.unwrap_or_default();
        let usable = if damaged {
            // Who says so wants what can be read of the newest.
            Usable { catalog: catalog.clone(), passed_over: Vec::new() }
        } else {
            usable(store, layout, catalog, &marks, until).await?
        };
        for (id, error) in &usable.passed_over {
            let error = visible_lines(&error.to_string());
            eprintln!(
                "warning: {id} is newer, and its manifest cannot be used, so that it is passed \
                 over: {error}"
            );
        }
        let newest = drill::newest_good(&usable.catalog, &marks, until);
        for (passed_over, reason) in &newest.passed_over {
            if newest.entry.is_some() {
                eprintln!("warning: {}", self.passed_over(passed_over, *reason, usage));
            }
        }
        let entry = newest.entry.and_then(|entry| catalog.get(entry.kind, entry.id));
        entry.ok_or_else(|| match newest.passed_over.first() {
            Some((entry, reason)) => anyhow!(
                "there is no good backup but what did not come back in a drill; the newest of it \
                 is {} ({reason}), to be asked for by its id: `{}`",
                entry.id,
                self.command(usage, &entry.kind.named(&entry.id))
            ),
            None => FindError::Empty.into(),
        })
    }

    /// What is said of one that is not taken although it is the newest.
    fn passed_over(&self, entry: &Entry, reason: DrillReason, usage: &str) -> String {
        format!(
            "{} is newer, and did not come back in its drill ({reason}), so that it is passed over; \
             `{}` takes it all the same",
            entry.id,
            self.command(usage, &entry.kind.named(&entry.id))
        )
    }

    /// What is said of one that is taken since it was asked for.
    fn all_the_same(
        &self,
        entry: &Entry,
        reason: DrillReason,
        newest: &NewestGood<'_>,
        usage: &str,
    ) -> String {
        let older = newest.entry.map_or_else(
            || "there is no good one before it".to_owned(),
            |older| {
                let command = self.command(usage, &older.kind.named(&older.id));
                format!("the newest good one before it comes with `{command}`")
            },
        );
        format!("{} did not come back in its drill ({reason}); {older}", entry.id)
    }

    /// What fits, to be looked at; see [`Query::find_any`].
    pub(super) fn find_any<'a>(&self, catalog: &'a Catalog, usage: &str) -> Result<&'a Entry> {
        let query = self.query()?;
        self.say_what_is_ahead(&query, catalog, usage);
        query.find_any(catalog).map_err(|error| self.told(error, usage))
    }

    /// Names what is passed over since it is dated in the future: where this
    /// machine's clock is behind, it is the very backup that is wanted.
    fn say_what_is_ahead(&self, query: &Query, catalog: &Catalog, usage: &str) {
        let Query::Latest(now) = query else { return };
        if let Some(entry) = catalog.ahead_of(*now).next() {
            eprintln!(
                "warning: {} is dated in the future by this machine's clock, so that it is passed \
                 over; `{}` takes it all the same",
                entry.id,
                self.command(usage, &entry.kind.named(&entry.id))
            );
        }
    }

    /// An error with the command that gets the person on.
    fn told(&self, error: FindError, usage: &str) -> anyhow::Error {
        let Some(id) = error.legacy() else { return error.into() };
        anyhow!("{error}: `{}`", self.command(usage, &id.to_string()))
    }

    /// The command for one by its id.
    fn command(&self, usage: &str, id: &str) -> String {
        let usage = usage.replace("ID", id);
        let database = self.chosen.database.as_ref();
        let database = database.map_or(String::new(), |name| format!(" -d {name}"));
        format!("reliquary {usage}{database}")
    }
}

/// A catalog in which the newest good backup has a manifest that can be used.
struct Usable {
    catalog: Catalog,
    /// The newer ones, and why they have none.
    passed_over: Vec<(BackupId, CatalogError)>,
}

/// Takes those out of the good ones whose manifest cannot be used. Where none is
/// left, all of them stay, and whoever reads the newest says what is wrong with it.
async fn usable(
    store: &dyn Store,
    layout: &Layout,
    catalog: &Catalog,
    marks: &Marks,
    until: Option<DateTime<Utc>>,
) -> Result<Usable, CatalogError> {
    let mut usable = Usable { catalog: catalog.clone(), passed_over: Vec::new() };
    while let Some(entry) = drill::newest_good(&usable.catalog, marks, until).entry {
        let (kind, id) = (entry.kind, entry.id);
        match catalog::read_manifest(store, layout, catalog, kind, id).await {
            Ok(_) => return Ok(usable),
            Err(CatalogError::Store(error)) if error.kind != ErrorKind::NotFound => {
                return Err(error.into());
            }
            Err(error) => usable.passed_over.push((id, error)),
        }
        let is_it = |entry: &&mut Entry| (entry.kind, entry.id) == (kind, id);
        if let Some(entry) = usable.catalog.entries.iter_mut().find(is_it) {
            entry.state = State::Broken;
        }
    }
    Ok(Usable { catalog: catalog.clone(), passed_over: Vec::new() })
}

/// What drills found of each backup; `None` where that cannot be read, which is
/// told, and stands in nobody's way.
pub(super) async fn marks(store: &dyn Store, layout: &Layout, catalog: &Catalog) -> Option<Marks> {
    match drill::read(store, layout, &catalog.drills).await {
        Ok(read) => {
            if let Some(warning) = read.warning() {
                eprintln!("warning: {}", visible_lines(&warning));
            }
            Some(drill::marks(&read.records, Clock::system().now()))
        }
        Err(error) => {
            let error = visible_lines(&error.to_string());
            eprintln!(
                "warning: what drills found cannot be read, so that nobody knows whether a backup \
                 is one that does not come back: {error}"
            );
            None
        }
    }
}
