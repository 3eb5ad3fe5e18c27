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
    /// What can be done where another answer is right after all, where that is not
    /// plain; empty where it is.
    pub otherwise: &'static str,
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
            Err(error) => answer(refused(&error), None, error.to_string()),
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
                    Ok(Judged::No(detail)) => {
                        let detail = format!("{detail}{}", question.otherwise);
                        answer(Looked::Failed, value, detail)
                    }
                }
            }
        });
    }
    answers
}

/// What a question has come to that was not answered. One that the restored database
/// does not take has a wrong answer: the table that it asks for is not there, say.
fn refused(error: &TargetError) -> Looked {
    if error.is_no_answer() { Looked::CouldNotRun } else { Looked::Failed }
}

async fn one(
    question: &Question,
    session: &mut Target,
    backup_time: DateTime<Utc>,
    deadline: Duration,
) -> Result<Found, TargetError> {
    // In a transaction of its own: a query that takes back the one it runs in keeps this.
    session.run("SET default_transaction_read_only = on").await?;
    session
        .run(&format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL search_path = public; \
             SET LOCAL \"reliquary.backup_time\" = '{}'",
            deadline.as_millis(),
            rfc3339::format(backup_time)
        ))
        .await?;
    let answer = session.answer(&question.sql).await;
    // Also where the query has ended its transaction, which its others were to read in.
    session.run("ROLLBACK; RESET default_transaction_read_only").await?;
    let (rows, value) = answer?;
    Ok(Found { rows, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_has_too_little_gives_no_wrong_answer() {
        let refused = |code: &str| {
            let (message, code) = (String::new(), code.to_owned());
            refused(&TargetError { message, named: None, code, of_code: false })
        };
        for code in ["", "53100", "53200", "57014", "57P01", "58030"] {
            assert_eq!(refused(code), Looked::CouldNotRun, "{code}");
        }
        for code in ["42P01", "25006", "22012"] {
            assert_eq!(refused(code), Looked::Failed, "{code}");
        }
    }
}
