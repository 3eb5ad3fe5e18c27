//! Statements that the target may or may not allow, tried in the end.

use super::{
    failure::Failure, judge::Class, kind::Kind, noted::Noted, plan::Skipped, statement::Statement,
};
use crate::postgres::Target;

/// Tries them in their order; returns what was not allowed.
pub(super) async fn run(
    attempts: &[(Statement, Class)],
    session: &mut Target,
) -> Result<Vec<Skipped>, Failure> {
    let mut skipped = Vec::new();
    for (statement, class) in attempts {
        let sql = String::from_utf8_lossy(&statement.text).into_owned();
        match session.run(&sql).await {
            Ok(()) => {}
            Err(error)
                if error.is_there_already()
                    && matches!(statement.kind, Kind::Policy | Kind::Trigger) =>
            {
                // Of the same name; who may see what is in its text.
                skipped.push(Skipped {
                    what: statement.to_string(),
                    reason: "is there already; not compared".to_owned(),
                    class: Class::PlatformDifference,
                });
            }
            // The platform has made the same itself.
            Err(error) if error.is_there_already() => {}
            Err(error)
                if error.is_denied()
                    || (error.is_absent() && !statement.text.starts_with(b"CREATE ")) =>
            {
                // What is said of something that was not allowed has nothing to be said of.
                let (what, reason) = (Noted::from(statement), error);
                let reason = what.said(&reason.message, reason.named.as_deref());
                skipped.push(Skipped { what: what.at, reason, class: *class });
            }
            Err(error) => return Err(Failure::in_statement(statement)(error)),
        }
    }
    Ok(skipped)
}
