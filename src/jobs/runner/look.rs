//! When and how a runner looks at what the store holds.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Runner;
use crate::{
    catalog::{CatalogError, Origin},
    jobs::{
        due,
        survey::{Survey, survey},
    },
    restore,
};

/// After a listing that failed, the next one waits this long.
const SURVEY_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// Between two looks at the store, whatever happens: what is deleted behind our
/// back must not pass for good until the next backup.
const SURVEY_EVERY: TimeDelta = TimeDelta::minutes(10);

/// How long that one may take: a backup that falls due must not wait for it.
const SURVEY_WITHIN: Duration = Duration::from_mins(1);

impl Runner {
    /// Whether the store should be looked at: what it holds is not known, or was
    /// seen too long ago.
    pub(super) fn look_is_due(&self, now: DateTime<Utc>) -> bool {
        let Some(last) = self.surveyed.filter(|last| now >= *last) else { return true };
        let is_known = self.catalog.is_some() && !self.look_failed;
        now - last >= if is_known { SURVEY_EVERY } else { SURVEY_PAUSE }
    }

    /// The look that comes round. One that takes too long has failed.
    pub(super) async fn look_in_time(&mut self) {
        let looked = tokio::time::timeout(SURVEY_WITHIN, self.look()).await;
        if looked.is_err() {
            self.not_seen("the store does not answer in time");
        }
        self.surveyed = Some(self.environment.clock.now());
    }

    /// Looks at the store; one that cannot be listed is a fault of its own.
    pub(super) async fn look(&mut self) {
        match self.survey().await {
            None => return,
            Some(Ok(found)) => self.learn(found).await,
            Some(Err(error)) => self.not_seen(&error.to_string()),
        }
        self.say_what_is_next();
    }

    /// Notes that a look has failed. What was known a moment ago is not doubted for one
    /// that did.
    fn not_seen(&mut self, error: &str) {
        tracing::error!(database = self.name(), error, "the store could not be listed");
        if self.catalog.is_none() || self.look_failed {
            let error = self.source.url.redact(error);
            self.state.update(&self.source.settings.name, |database| {
                database.catalog_error = Some(error);
            });
        }
        self.look_failed = true;
    }

    /// Looks after a run that made no backup: a peer may have made the one that
    /// we could not, or ours may stand although the answer was lost. Where the
    /// store cannot be listed, the run's own failure has said enough.
    pub(super) async fn look_again(&mut self) {
        match self.survey().await {
            None => {}
            Some(Ok(found)) => self.learn(found).await,
            Some(Err(error)) => {
                tracing::warn!(database = self.name(), %error, "the store could not be listed");
            }
        }
    }

    /// Surveys the store; `None` when the process is to end: nobody waits for
    /// what a long listing would tell.
    async fn survey(&mut self) -> Option<Result<Survey, CatalogError>> {
        self.surveyed = Some(self.environment.clock.now());
        let soft = self.lifecycle.soft.clone();
        soft.run_until_cancelled(Box::pin(self.survey_what_is_ours())).await
    }

    /// Surveys the store and tells another database's backups from ours. The source
    /// is asked who it is only where that is not known, or where the newest backup
    /// says that it has changed. One that does not answer is who it was; where nobody
    /// knows, it is taken for the database of the newest backup.
    async fn survey_what_is_ours(&mut self) -> Result<Survey, CatalogError> {
        let (store, layout) = (self.environment.store.clone(), self.source.layout.clone());
        let store = store.as_ref();
        let mut found = survey(store, &layout, self.environment.clock.now()).await?;
        let Some(newest) = found.newest.as_ref().map(|newest| Origin::from(&newest.source)) else {
            return Ok(found);
        };
        if self.ours.as_ref().is_none_or(|ours| newest.is_another(ours)) {
            if self.ours.is_none() {
                // A source that hangs must not hold up what is known already.
                self.tell_catalog(&found.catalog, found.newest.as_ref());
            }
            match restore::who(&self.source.url).await {
                Ok(identity) => self.ours = Some(identity.into()),
                Err(why) => {
                    let error = self.source.url.mask(&why);
                    tracing::warn!(
                        database = self.name(),
                        error,
                        "the source does not say who it is"
                    );
                }
            }
        }
        found.tell_apart(store, &layout, self.ours.as_ref(), &mut self.origins).await?;
        Ok(found)
    }

    /// Puts the pointer right and tells the state what a survey found.
    async fn learn(&mut self, found: Survey) {
        let now = self.environment.clock.now();
        let store = self.environment.store.as_ref();
        self.tell_catalog(&found.catalog, found.newest.as_ref());
        let pointer = found.point(store, &self.source.layout).await;
        if let Some(Err(error)) = &pointer {
            tracing::warn!(database = self.name(), %error, "the pointer is behind");
        }
        let cron = &self.source.settings.schedule.cron;
        let served = due::newest_slot(cron, now)
            .is_some_and(|slot| due::is_served(&found.catalog, slot, now));
        let is_known = self.ours.is_some();
        self.state.update(&self.source.settings.name, |database| {
            database.pointer_ok = pointer.map(|pointer| pointer.is_ok());
            // Attempts made while the store could not be seen failed for
            // nothing where the slot had its backup all along.
            // Where nobody knows whose it is, it may be another database's.
            database.giving_up &= !(served && is_known);
        });
        self.catalog = Some(found.catalog);
        self.look_failed = false;
    }
}
