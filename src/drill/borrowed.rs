//! A database of the settings, which a drill uses instead of a sandbox.
//!
//! It is emptied before and after, so three things come first: it is no source of
//! the settings; no other drill is in it; and what it holds was put there by a drill of
//! ours, or the settings say that it is a throwaway. A drill marks it with a
//! schema, [`MARK`], before it puts anything there, and takes the mark away when it
//! has emptied it: so what a killed drill has left is known as ours.

use std::sync::{Mutex, PoisonError};

use super::{
    emptying::{self, Kept},
    held::{CONNECT_WITHIN, Held},
    record::PlaceFacts,
    target::{BorrowError, MARK, failed},
};
use crate::{
    archive::{Manifest, manifest::Source},
    postgres::{ConnectionUrl, Target, TargetError, TargetFacts, quote},
    restore::{self, Live, Platform},
    words::DrillPlace,
};

const IS_MARKED: &str = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_namespace
    WHERE nspname OPERATOR(pg_catalog.=) 'reliquary_drill'";

/// A database that a drill may do with as it likes. It is emptied by
/// [`Borrowed::give_back`]; dropping it leaves what is there, with its mark.
#[derive(Debug)]
pub struct Borrowed {
    held: Held,
    facts: PlaceFacts,
    /// What the mark says; it grows with the roles that are made for the backup.
    kept: Mutex<Kept>,
    /// Tables of the platform that the backup fills, as SQL writes them.
    filled: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct BorrowOptions {
    /// The source, where the settings name it.
    pub source: Live,
    /// The other databases of the settings, by name; `None` where it is not known
    /// how to reach one.
    pub others: Vec<(String, Option<ConnectionUrl>)>,
    /// Whether whatever it holds may be dropped.
    pub is_throwaway: bool,
}

impl Borrowed {
    /// Looks whether a database may be used, empties it, and marks it. `remembered`
    /// is what backups say of the source, and `manifest` what this one says of itself.
    ///
    /// # Errors
    /// When it may not be used, or cannot be emptied.
    pub async fn take(
        mut held: Held,
        options: &BorrowOptions,
        remembered: Vec<Source>,
        manifest: Option<&Manifest>,
    ) -> Result<Self, BorrowError> {
        let url = held.url().clone();
        let control = &mut held.control;
        let facts = control.facts().await?;
        restore::surely_not_the_source(&url, &options.source, remembered, &facts, control)
            .await
            .map_err(BorrowError::Refused)?;
        for (name, other) in &options.others {
            let other = Live::from(other.clone());
            restore::surely_not_the_source(&url, &other, Vec::new(), &facts, control)
                .await
                .map_err(|why| BorrowError::Refused(format!("databases.{name}: {why}")))?;
        }
        if facts.is_template || facts.read_only {
            let why = "it is a template, or takes no writes";
            return Err(BorrowError::Refused(why.to_owned()));
        }
        let platform = Platform::detect(&facts);
        let filled = filled(manifest, &platform, &facts);
        let is_marked = facts.schemas.iter().any(|schema| schema.name == MARK);
        let kept = if is_marked { Some(Kept::read(control).await?) } else { None };
        // One that was emptied bears the mark for the sake of its roles.
        let left = kept.as_ref().map(|kept| kept.roles.clone()).unwrap_or_default();
        let kept = kept.filter(|kept| !kept.emptied);
        let is_ours = kept.is_some();
        let occupied: Vec<(String, String)> =
            filled.iter().map(|table| (table.clone(), String::new())).collect();
        let occupied = control.occupied(&occupied).await?;
        let holds = restore::holds(&facts, &platform)
            .or_else(|| occupied.first().map(|table| format!("rows in {table}")));
        if let (Some(holds), false, false) = (holds, is_ours, options.is_throwaway) {
            return Err(BorrowError::Refused(format!(
                "database {} holds what no drill has put there: {holds}; name an empty one, or, \
                 where all of it may be dropped, set drill.target_is_throwaway",
                facts.database
            )));
        }
        let kept = if let Some(kept) = kept {
            kept
        } else {
            let mut kept = Kept::at_first(&platform, control).await?;
            kept.roles = left;
            kept
        };
        let mut borrowed = Self {
            held,
            facts: PlaceFacts {
                place: DrillPlace::Target,
                server_version: facts.server.text.clone(),
                network: "its own".to_owned(),
            },
            kept: Mutex::new(kept),
            filled,
        };
        if is_ours {
            tracing::info!("empties what a killed drill has left in drill.target");
        }
        if is_ours || options.is_throwaway {
            borrowed.empty().await?;
        }
        let kept = borrowed.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        kept.write(&mut borrowed.held.control).await?;
        Ok(borrowed)
    }

    /// Its connection string.
    #[must_use]
    pub fn url(&self) -> &ConnectionUrl {
        self.held.url()
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
    pub async fn create_roles(&self, roles: &[String]) -> Result<(), BorrowError> {
        let doing = failed("create roles");
        let mut session = Target::another(self.url(), CONNECT_WITHIN).await?;
        let there = session.names("SELECT rolname::text FROM pg_catalog.pg_roles").await;
        let there = there.map_err(&doing)?;
        for role in roles.iter().filter(|role| !there.contains(role) && !role.starts_with("pg_")) {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
            kept.roles.push(role.clone());
            // Both or neither: a drill that is killed leaves none that the mark does not
            // name, and never one of somebody else's that it does.
            let create = format!("CREATE ROLE {} NOLOGIN; {}", quote(role), kept.statement());
            match session.run(&create).await {
                Ok(()) => *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept,
                // What lacks it is judged by the restore.
                Err(error) if error.is_denied() => break,
                Err(error) => return Err(doing(error)),
            }
        }
        session.close().await;
        Ok(())
    }

    async fn empty(&mut self) -> Result<(), BorrowError> {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        emptying::empty(kept, &self.filled, &mut self.held.control).await
    }

    /// Empties it, drops the roles that were made for it, and takes the mark away.
    /// Where the session that held it was lost meanwhile, it is taken once more, as
    /// long as it bears the mark. Returns what is to be said of roles that the server
    /// does not drop: the mark stays for their sake, and the next drill tries again.
    ///
    /// # Errors
    /// When something in it cannot be dropped. The mark then stays, and the next drill
    /// tries again.
    pub async fn give_back(mut self) -> Result<Vec<String>, BorrowError> {
        let left = match self.clear().await {
            Err(error) if error.is_lost() => {
                tracing::warn!(%error, "takes drill.target once more, to empty it");
                self.held.again().await?;
                let marks = self.held.control.number(IS_MARKED).await;
                if marks.map_err(failed("look for its mark"))? == 0 {
                    return Err(BorrowError::Unmarked);
                }
                self.clear().await?
            }
            cleared => cleared?,
        };
        self.held.release().await;
        Ok(left)
    }

    async fn clear(&mut self) -> Result<Vec<String>, BorrowError> {
        // What was at work when the drill was stopped would be in the way.
        self.end_the_restore().await?;
        self.empty().await?;
        let control = &mut self.held.control;
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (mut roles, mut left) = (Vec::new(), Vec::new());
        for role in &kept.roles {
            if let Some(why) = drop_role(role, control).await.map_err(failed("drop its roles"))? {
                left.push(format!(
                    "the role {} was made for a backup and is still on drill.target's server \
                     ({why}); the next drill there tries again to drop it",
                    quote(role)
                ));
                roles.push(role.clone());
            }
        }
        if roles.is_empty() {
            let unmark = format!("DROP SCHEMA {MARK}");
            control.run(&unmark).await.map_err(failed("take the mark away"))?;
        } else {
            (kept.roles, kept.emptied) = (roles, true);
            kept.write(control).await?;
        }
        Ok(left)
    }

    /// Ends the restore's sessions, where it was stopped in the middle.
    async fn end_the_restore(&mut self) -> Result<(), BorrowError> {
        const SESSIONS: &str = "SELECT DISTINCT application_name FROM pg_catalog.pg_stat_activity
            WHERE datname = current_database() AND usename = session_user
              AND application_name LIKE 'reliquary restore %'";
        let doing = failed("end the restore's sessions");
        let control = &mut self.held.control;
        for name in control.names(SESSIONS).await.map_err(&doing)? {
            control.end_others(&name).await.map_err(&doing)?;
        }
        Ok(())
    }
}

/// Drops a role; says why it is still there, where it is.
async fn drop_role(role: &str, control: &mut Target) -> Result<Option<String>, TargetError> {
    let mut why = None;
    for drop in ways_to_drop(role) {
        match control.run(&drop).await {
            Ok(()) => return Ok(None),
            Err(error) if error.is_lost() => return Err(error),
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => why = Some(error.to_string()),
        }
    }
    Ok(why)
}

/// The statements that drop a role, of which each asks for more than the one before:
/// only who has a role's rights may drop what it was granted, and a login that is no
/// superuser has them no sooner than it is a member. One that has come to own
/// something elsewhere stays.
fn ways_to_drop(role: &str) -> [String; 3] {
    let role = quote(role);
    let owned = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    [format!("DROP ROLE {role}"), owned.clone(), format!("GRANT {role} TO CURRENT_USER; {owned}")]
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
