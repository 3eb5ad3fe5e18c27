//! Asks a restored database the questions of the settings.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    expect::{Expectation, Found, Judged, kept},
    record::Answer,
};
use crate::{
    postgres::{Target, TargetError},
    rfc3339,
    words::Looked,
};

/// A question with the answer that is expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What it is called.
    pub name: String,
    /// The query.
    pub sql: String,
    /// What it should return.
    pub expect: Expectation,
}

/// Asks all of them, each in a transaction of its own that only reads.
///
/// `backup_time` is told to the queries as `current_setting('reliquary.backup_time')`;
/// `last` gives a question's value in the backup before, where a drill of it passed,
/// or why that is not known.
pub async fn ask(
    questions: &[Question],
    session: &mut Target,
    backup_time: DateTime<Utc>,
    deadline: Duration,
    last: impl Fn(&str) -> Result<Option<String>, String>,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    for question in questions {
        let found = one(question, session, backup_time, deadline).await;
        let answer = |outcome, value, detail| Answer {
            name: question.name.clone(),
            sql: question.sql.clone(),
            expect: question.expect.to_string(),
            outcome,
            value,
            detail,
        };
        answers.push(match found {
            Err(error) if is_no_answer(&error) => {
                answer(Looked::CouldNotRun, None, error.to_string())
            }
            // A query that the restored database does not take is a wrong answer:
            // the table that it asks for is not there, say.
            Err(error) => answer(Looked::Failed, None, error.to_string()),
            Ok(found) => {
                let value = match &question.expect {
                    Expectation::Rows(..) => Some(found.rows.to_string()),
                    _ => found.value.as_deref().map(kept),
                };
                let looks_back = question.expect.looks_back();
                let last = if looks_back { last(&question.name) } else { Ok(None) };
                match last.map(|last| question.expect.judge(&found, last.as_deref())) {
                    Err(why) => answer(Looked::CouldNotRun, value, why),
                    Ok(Judged::Yes) => answer(Looked::Ok, value, String::new()),
                    Ok(Judged::First) => {
                        let detail = "no older backup that passed was asked this: nothing to \
                                      compare with yet";
                        answer(Looked::Ok, value, detail.to_owned())
                    }
                    Ok(Judged::No(detail)) => answer(Looked::Failed, value, detail),
                }
            }
        });
    }
    answers
}

/// Whether nobody has answered: the server is gone, or goes, or the time was up.
fn is_no_answer(error: &TargetError) -> bool {
    error.code.is_empty() || error.code.starts_with("57")
}

async fn one(
    question: &Question,
    session: &mut Target,
    backup_time: DateTime<Utc>,
    deadline: Duration,
) -> Result<Found, TargetError> {
    session
        .run(&format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL search_path = public; \
             SET LOCAL \"reliquary.backup_time\" = '{}'",
            deadline.as_millis(),
            rfc3339::format(backup_time)
        ))
        .await?;
    let answer = session.answer(&question.sql).await;
    session.run("ROLLBACK").await?;
    let (rows, value) = answer?;
    Ok(Found { rows, value })
}
