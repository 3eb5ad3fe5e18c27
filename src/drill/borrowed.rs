//! A database of the settings, which a drill uses instead of a sandbox.
//!
//! It is emptied before and after, so three things come first: it is no source of
//! the settings; no other drill is in it; and what it holds was put there by a drill of
//! ours, or the settings say that it is a throwaway. A drill marks it with a
//! schema, [`MARK`], before it puts anything there, and takes the mark away when it
//! has emptied it: so what a killed drill has left is known as ours.

use std::time::Duration;

use super::{
    emptying::{self, Kept},
    record::PlaceFacts,
};
use crate::{
    archive::{Manifest, manifest::Source},
    postgres::{ConnectionUrl, SessionError, Target, TargetError, TargetFacts, quote},
    restore::{self, Platform},
    words::DrillPlace,
};

/// The schema whose presence says that a drill has put there what is there. Its
/// comment holds what was there before.
pub const MARK: &str = "reliquary_drill";

/// A drill of any process holds this lock of the database while it is in it.
const LOCK: &str =
    "SELECT pg_try_advisory_lock(hashtextextended('reliquary drill', 0))::int4::int8";

const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// A database that a drill may do with as it likes. It is emptied by
/// [`Borrowed::give_back`]; dropping it leaves what is there, with its mark.
#[derive(Debug)]
pub struct Borrowed {
    url: ConnectionUrl,
    control: Target,
    facts: PlaceFacts,
    kept: Kept,
    /// Roles that were made for the backup.
    made: Vec<String>,
    /// Tables of the platform that the backup fills, as SQL writes them.
    filled: Vec<String>,
}

/// The database of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BorrowError {
    /// It cannot be reached or asked.
    #[error("drill.target: {0}")]
    Session(#[from] SessionError),
    /// It does not do what it is told.
    #[error("drill.target: {what}: {source}")]
    Server {
        /// What was tried.
        what: &'static str,
        /// Why it was not done.
        source: TargetError,
    },
    /// It may not be used. Nothing was touched.
    #[error("drill.target: {0}; nothing was touched")]
    Refused(String),
}

pub(super) fn failed(what: &'static str) -> impl Fn(TargetError) -> BorrowError {
    move |source| BorrowError::Server { what, source }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct BorrowOptions {
    /// The database.
    pub url: ConnectionUrl,
    /// The source, where the settings name it.
    pub source: Option<ConnectionUrl>,
    /// The other databases of the settings, by name; `None` where it is not known
    /// how to reach one.
    pub others: Vec<(String, Option<ConnectionUrl>)>,
    /// Whether whatever it holds may be dropped.
    pub is_throwaway: bool,
}

impl Borrowed {
    /// Looks whether a database may be used, empties it, and marks it. `backup` is
    /// what the backup says of its source, and of itself where it has a manifest.
    ///
    /// # Errors
    /// When it may not be used, or cannot be emptied.
    pub async fn take(
        options: &BorrowOptions,
        source: Option<&Source>,
        manifest: Option<&Manifest>,
    ) -> Result<Self, BorrowError> {
        let mut control = Target::open(&options.url, CONNECT_WITHIN).await?;
        let facts = control.facts().await?;
        restore::surely_not_the_source(
            &options.url,
            options.source.as_ref(),
            source,
            &facts,
            &mut control,
        )
        .await
        .map_err(BorrowError::Refused)?;
        for (name, other) in &options.others {
            let other = other.as_ref();
            restore::surely_not_the_source(&options.url, other, None, &facts, &mut control)
                .await
                .map_err(|why| BorrowError::Refused(format!("databases.{name}: {why}")))?;
        }
        if facts.is_template || facts.read_only {
            let why = "it is a template, or takes no writes";
            return Err(BorrowError::Refused(why.to_owned()));
        }
        if control.number(LOCK).await.map_err(failed("lock it"))? == 0 {
            let why = "another drill is in it".to_owned();
            return Err(BorrowError::Refused(why));
        }
        let platform = Platform::detect(&facts);
        let filled = filled(manifest, &platform, &facts);
        let is_marked = facts.schemas.iter().any(|schema| schema.name == MARK);
        let occupied: Vec<(String, String)> =
            filled.iter().map(|table| (table.clone(), String::new())).collect();
        let occupied = control.occupied(&occupied).await?;
        let holds = restore::holds(&facts, &platform)
            .or_else(|| occupied.first().map(|table| format!("rows in {table}")));
        if let (Some(holds), false, false) = (holds, is_marked, options.is_throwaway) {
            return Err(BorrowError::Refused(format!(
                "database {} holds what no drill has put there: {holds}; name an empty one, or, \
                 where all of it may be dropped, set drill.target_is_throwaway",
                facts.database
            )));
        }
        let kept = if is_marked {
            Kept::read(&mut control).await?
        } else {
            Kept::at_first(&platform, &mut control).await?
        };
        let mut borrowed = Self {
            url: options.url.clone(),
            facts: PlaceFacts {
                place: DrillPlace::Target,
                server_version: facts.server.text.clone(),
                network: "its own".to_owned(),
            },
            control,
            kept,
            made: Vec::new(),
            filled,
        };
        if is_marked {
            tracing::info!("empties what a killed drill has left in drill.target");
        }
        if is_marked || options.is_throwaway {
            borrowed.empty().await?;
        }
        borrowed.kept.write(&mut borrowed.control).await?;
        Ok(borrowed)
    }

    /// Its connection string.
    #[must_use]
    pub fn url(&self) -> &ConnectionUrl {
        &self.url
    }

    /// What it is.
    #[must_use]
    pub fn facts(&self) -> &PlaceFacts {
        &self.facts
    }

    /// Creates roles that are not there yet, without login, where our role may.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn create_roles(&mut self, roles: &[String]) -> Result<(), BorrowError> {
        let doing = failed("create roles");
        let there = self.control.names("SELECT rolname::text FROM pg_catalog.pg_roles").await;
        let there = there.map_err(&doing)?;
        for role in roles.iter().filter(|role| !there.contains(role) && !role.starts_with("pg_")) {
            match self.control.run(&format!("CREATE ROLE {} NOLOGIN", quote(role))).await {
                Ok(()) => self.made.push(role.clone()),
                // What lacks it is judged by the restore.
                Err(error) if error.is_denied() => break,
                Err(error) => return Err(doing(error)),
            }
        }
        Ok(())
    }

    async fn empty(&mut self) -> Result<(), BorrowError> {
        emptying::empty(&self.kept, &self.filled, &mut self.control).await
    }

    /// Empties it, drops the roles that were made for it, and takes the mark away.
    ///
    /// # Errors
    /// When something cannot be dropped. The mark then stays, and the next drill
    /// tries again.
    pub async fn give_back(mut self) -> Result<(), BorrowError> {
        // What was at work when the drill was stopped would be in the way.
        self.end_the_restore().await?;
        self.empty().await?;
        for role in &self.made {
            let role = quote(role);
            // One that has come to own something elsewhere meanwhile stays.
            let _ = self.control.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
        }
        let unmark = format!("DROP SCHEMA {MARK}");
        self.control.run(&unmark).await.map_err(failed("take the mark away"))?;
        self.control.close().await;
        Ok(())
    }

    /// Ends the restore's sessions, where it was stopped in the middle.
    async fn end_the_restore(&mut self) -> Result<(), BorrowError> {
        const SESSIONS: &str = "SELECT DISTINCT application_name FROM pg_catalog.pg_stat_activity
            WHERE datname = current_database() AND usename = session_user
              AND application_name LIKE 'reliquary restore %'";
        let doing = failed("end the restore's sessions");
        for name in self.control.names(SESSIONS).await.map_err(&doing)? {
            self.control.end_others(&name).await.map_err(&doing)?;
        }
        Ok(())
    }
}

/// Tables of the platform that a backup puts rows into.
fn filled(manifest: Option<&Manifest>, platform: &Platform, facts: &TargetFacts) -> Vec<String> {
    let is_there = |schema: &str, name: &str| {
        facts.relations.iter().any(|r| r.schema == schema && r.name == name && r.inserts)
    };
    manifest
        .iter()
        .flat_map(|manifest| &manifest.tables)
        .filter(|table| platform.managed.contains(&table.schema) && !Platform::keeps(&table.name))
        .filter(|table| is_there(&table.schema, &table.name))
        .map(|table| format!("{}.{}", quote(&table.schema), quote(&table.name)))
        .collect()
}
