//! Where a drill restores: a sandbox, or the database that the settings name.

use std::{path::PathBuf, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Environment, Request, fault::Fault, subject::Subject};
use crate::{
    archive::manifest::Source,
    catalog,
    drill::{
        self, BorrowOptions, Borrowed, Comparison, Held, PlaceFacts, Sandbox, SandboxError,
        SandboxOptions,
    },
    postgres::ConnectionUrl,
    words::DrillReason,
};

/// Emptying a database again may take so long.
const GIVE_BACK_WITHIN: Duration = Duration::from_mins(10);

/// And so long where the drill was told to stop: a backup may wait for it. What is
/// left bears the mark, and the next drill empties it.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Where a drill restores.
#[derive(Debug)]
pub(super) enum Place {
    Sandbox(Box<Sandbox>),
    Target(Box<Borrowed>),
}

/// Holds the settings' database against other drills, where they name one.
pub(super) async fn hold(request: &Request) -> Result<Option<Held>, Fault> {
    let Some(target) = &request.settings.target else { return Ok(None) };
    let url = ConnectionUrl::parse(target)
        .map_err(|error| Fault::unproven(DrillReason::Target, format!("drill.target: {error}")))?;
    Held::take(&url).await.map(Some).map_err(|error| {
        let fault = Fault::from(error);
        Fault { message: url.redact(&fault.message), ..fault }
    })
}

impl Place {
    /// Makes a sandbox, or takes the settings' database, which is held already.
    pub(super) async fn take(
        environment: &Environment,
        request: &Request,
        subject: &Subject,
        held: Option<Held>,
    ) -> Result<Self, Fault> {
        if let Some(held) = held {
            let url = held.url().clone();
            let others = environment.sources.iter().filter(|(name, _)| **name != request.database);
            let options = BorrowOptions {
                source: request.source.clone(),
                others: others.map(|(name, url)| (name.clone(), url.clone())).collect(),
                is_throwaway: request.settings.target_is_throwaway,
            };
            let remembered = remembered(environment, request, subject).await;
            return match Borrowed::take(held, &options, remembered, subject.manifest()).await {
                Ok(borrowed) => Ok(Self::Target(Box::new(borrowed))),
                Err(error) => {
                    // It names whoever could not be asked.
                    let others = options.others.iter().filter_map(|(_, url)| url.as_ref());
                    let urls = [&url].into_iter().chain(options.source.url()).chain(others);
                    let message = Fault::from(error).message;
                    let message = urls.fold(message, |message, url| url.redact(&message));
                    Err(Fault::unproven(DrillReason::Target, message))
                }
            };
        }
        let settings = &request.settings;
        let options = SandboxOptions {
            major: subject.major(),
            encoding: subject.encoding(),
            dump_bytes: subject.dump_bytes(),
            server_dirs: [settings.server_dirs.as_slice(), &environment.client_dirs].concat(),
            dir: settings.dir.clone(),
            keep_free: settings.keep_free,
        };
        Ok(Self::Sandbox(Box::new(Sandbox::start(&options).await?)))
    }

    /// What it is.
    pub(super) fn facts(&self) -> &PlaceFacts {
        match self {
            Self::Sandbox(sandbox) => sandbox.facts(),
            Self::Target(borrowed) => borrowed.facts(),
        }
    }

    /// Its database's connection string.
    pub(super) fn url(&self) -> Result<ConnectionUrl, SandboxError> {
        match self {
            Self::Sandbox(sandbox) => Ok(sandbox.url()?),
            Self::Target(borrowed) => Ok(borrowed.url().clone()),
        }
    }

    /// Where client programs for it may be.
    pub(super) fn client_dirs(&self, environment: &Environment) -> Vec<PathBuf> {
        let own = match self {
            Self::Sandbox(sandbox) => Some(sandbox.bins().dir.clone()),
            Self::Target(_) => None,
        };
        own.into_iter().chain(environment.client_dirs.iter().cloned()).collect()
    }

    /// Creates roles that are not there yet.
    pub(super) async fn create_roles(&self, roles: &[String]) -> Result<(), Fault> {
        match self {
            Self::Sandbox(sandbox) => sandbox.create_roles(roles).await.map(drop)?,
            Self::Target(borrowed) => borrowed.create_roles(roles).await?,
        }
        Ok(())
    }

    /// The same with roles that own what is restored, whatever that is.
    pub(super) async fn create_owners(&self, roles: &[String]) -> Result<(), Fault> {
        match self {
            Self::Sandbox(sandbox) => sandbox.create_owners(roles).await.map(drop)?,
            Self::Target(borrowed) => borrowed.create_roles(roles).await?,
        }
        Ok(())
    }

    /// Returns when the disk is nearly full, where that is ours to see to.
    pub(super) async fn full(&self, keep_free: u64) -> Fault {
        match self {
            Self::Sandbox(sandbox) => {
                let full = drill::watch(sandbox.dir(), keep_free).await;
                Fault::unproven(DrillReason::NoRoom, full.to_string())
            }
            Self::Target(_) => std::future::pending().await,
        }
    }

    /// Checks every table and B-tree, with so many sessions at once.
    pub(super) async fn amcheck(&self, jobs: usize, deadline: Duration) -> Comparison {
        match self {
            Self::Sandbox(sandbox) => sandbox.amcheck(jobs, deadline).await,
            Self::Target(_) => Comparison::no_amcheck("it is for sandboxes"),
        }
    }

    /// Removes everything that the drill has put there. `is_done` says that it came
    /// to its end; one that was stopped, or is while it does this, has no time to lose.
    /// Returns what should be known of a place that was given back all the same.
    pub(super) async fn give_back(
        self,
        is_done: bool,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, String> {
        match self {
            Self::Sandbox(sandbox) if is_done => {
                sandbox.stop().await.map(|()| Vec::new()).map_err(|error| error.to_string())
            }
            // Dropping it ends the server at once. That and the removal of its folder
            // may take seconds, in which no thread of the runtime's shall be missing.
            Self::Sandbox(sandbox) => {
                let dropped = tokio::task::spawn_blocking(move || drop(sandbox)).await;
                dropped.map(|()| Vec::new()).map_err(|error| error.to_string())
            }
            Self::Target(borrowed) => {
                let url = borrowed.url().clone();
                let why =
                    match patiently(cancel, GIVE_BACK_WITHIN, STOP_WITHIN, borrowed.give_back())
                        .await
                    {
                        Ok(Ok(left)) => {
                            return Ok(left.iter().map(|left| url.redact(left)).collect());
                        }
                        Ok(Err(error)) => error.to_string(),
                        Err(after) => format!("no answer within {} s", after.as_secs()),
                    };
                Err(url.redact(&format!(
                    "drill.target was not emptied again, and may still hold what was restored \
                     ({why}); the next drill there tries again"
                )))
            }
        }
    }
}

/// Waits for what is removed from somebody else's server, and not for long where
/// the drill is told to stop; says how long it has waited in vain.
async fn patiently<T>(
    cancel: &CancellationToken,
    whole: Duration,
    stopped: Duration,
    removing: impl Future<Output = T>,
) -> Result<T, Duration> {
    tokio::select! {
        biased;
        removed = removing => Ok(removed),
        () = tokio::time::sleep(whole) => Err(whole),
        () = async {
            cancel.cancelled().await;
            tokio::time::sleep(stopped).await;
        } => Err(stopped),
    }
}

/// What backups say of the source: this one, and the newest, since the source may
/// have moved between them.
async fn remembered(
    environment: &Environment,
    request: &Request,
    subject: &Subject,
) -> Vec<Source> {
    let Request { layout, catalog, .. } = request;
    let newest = catalog::newest_source(environment.store.as_ref(), layout, catalog).await;
    subject.source().cloned().into_iter().chain(newest.source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_told_to_stop_does_not_wait_for_a_server_that_hangs() {
        const LONG: Duration = Duration::from_hours(1);
        const SHORT: Duration = Duration::from_millis(20);
        let hangs = std::future::pending::<()>;
        let (never, stopped) = (CancellationToken::new(), CancellationToken::new());
        stopped.cancel();
        assert_eq!(patiently(&stopped, LONG, SHORT, hangs()).await, Err(SHORT));
        assert_eq!(patiently(&never, SHORT, LONG, hangs()).await, Err(SHORT));
        // A backup falls due while what has ended by itself is cleared away.
        let later = CancellationToken::new();
        let due = async {
            tokio::time::sleep(SHORT).await;
            later.cancel();
        };
        let (waited, ()) = tokio::join!(patiently(&later, LONG, SHORT, hangs()), due);
        assert_eq!(waited, Err(SHORT));
        let slow = tokio::time::sleep(SHORT);
        assert_eq!(patiently(&never, LONG, LONG, slow).await, Ok(()));
    }
}
