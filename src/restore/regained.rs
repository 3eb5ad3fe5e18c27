//! Foreign keys of tables that are there, made again at the end. The application may be
//! using these tables: none of them is waited for long, and what cannot be had is left
//! out.

use super::{
    failure::Failure,
    noted::Noted,
    post::{self, LeftOut},
    statement::Statement,
};
use crate::postgres::Target;

/// How long others may hold such a table.
const LOCKED: &str = "SET lock_timeout = '30s'";

/// Makes them; returns what was left out.
pub(super) async fn run(keys: &[Statement], session: &mut Target) -> Result<Vec<LeftOut>, Failure> {
    let mut left_out = Vec::new();
    if keys.is_empty() {
        return Ok(left_out);
    }
    session.run(LOCKED).await?;
    for statement in keys {
        let sql = String::from_utf8_lossy(&statement.text).into_owned();
        match session.run(&sql).await {
            Ok(()) => {}
            // It did not go: a partition that was not attached yet takes none along.
            Err(error) if error.is_there_already() => {}
            Err(error) if error.is_lost() => return Err(Failure::in_statement(statement)(error)),
            Err(error) if error.points_at_nothing() => {
                left_out.push(post::bear(statement, &sql, session).await);
            }
            Err(error) => {
                let noted = Noted::from(statement);
                let reason = noted.said(&error.message, error.named.as_deref());
                left_out.push((noted.at, format!("{reason}; make it by hand")));
            }
        }
    }
    session.run("SET lock_timeout = 0").await?;
    Ok(left_out)
}
