//! Which backup of which database a command is about: `-d`, `ID` and `--at`.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use clap::Args;

use super::{Chosen, Misused};
use crate::{
    app,
    catalog::{self, BackupId, Catalog, Entry, FindError, Layout, Query},
    settings::{DatabaseSettings, Settings},
    store::Store,
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
        match &self.at {
            Some(time) => Query::parse_time(time).map_err(|e| Misused(e.to_string()).into()),
            None => Ok(Query::parse(self.id.as_deref().unwrap_or_default())),
        }
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
        self.query()?.find(catalog).map_err(|error| self.told(error, usage))
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
        let found = if damaged { query.find_readable(catalog) } else { query.find(catalog) };
        found.map_err(|error| match error.damaged() {
            Some(id) => {
                let command = self.command(usage, id);
                anyhow!("{error}; what can be read of it comes with `{command} --damaged`")
            }
            None => self.told(error, usage),
        })
    }

    /// What fits, to be looked at; see [`Query::find_any`].
    pub(super) fn find_any<'a>(&self, catalog: &'a Catalog, usage: &str) -> Result<&'a Entry> {
        self.query()?.find_any(catalog).map_err(|error| self.told(error, usage))
    }

    /// An error with the command that gets the person on.
    fn told(&self, error: FindError, usage: &str) -> anyhow::Error {
        let Some(id) = error.legacy() else { return error.into() };
        anyhow!("{error}: `{}`", self.command(usage, id))
    }

    /// The command for one by its id.
    fn command(&self, usage: &str, id: BackupId) -> String {
        let usage = usage.replace("ID", &id.to_string());
        let database = self.chosen.database.as_ref();
        let database = database.map_or(String::new(), |name| format!(" -d {name}"));
        format!("reliquary {usage}{database}")
    }
}
