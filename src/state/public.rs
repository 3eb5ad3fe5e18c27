//! The door: every text that comes into the state is made fit for anybody's eyes.
//!
//! It is done here and not where errors arise, since there are many such places,
//! and what one of them forgets stands on an open page. The log has the whole text.

use super::{DatabaseState, DrillReport};
use crate::anonymous::anonymous;

/// Makes a text fit to be shown.
pub(super) fn text(text: &mut Option<String>, host: Option<&str>) {
    if let Some(shown) = text.as_deref().and_then(|text| anonymous(text, host)) {
        *text = Some(shown);
    }
}

/// Does so with every text of a database that somebody else may have written.
pub(super) fn of_database(database: &mut DatabaseState, host: Option<&str>) {
    text(&mut database.catalog_error, host);
    let runs = [&mut database.last_run, &mut database.last_failure, &mut database.last_verify];
    let sweep = database.last_sweep.as_mut().map(|sweep| &mut sweep.run);
    let audit = database.last_audit.as_mut().map(|audit| &mut audit.run);
    for run in runs.into_iter().flatten().chain(sweep).chain(audit) {
        text(&mut run.error, host);
    }
    if let Some(drills) = &mut database.drills {
        let shown = |drill: &mut DrillReport| text(&mut drill.error, host);
        drills.last.iter_mut().chain(&mut drills.failure).chain(&mut drills.recent).for_each(shown);
    }
    database.failures.amend(
        |failed| failed.error.as_deref().is_some_and(|error| anonymous(error, host).is_some()),
        |failed| text(&mut failed.error, host),
    );
}
