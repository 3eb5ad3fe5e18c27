//! Extensions that a part may need, by all that an archive tells: they are created where
//! that can be, and stop nothing where it cannot.

use bytes::Bytes;

use super::{
    failure::Failure,
    noted::Noted,
    post::LeftOut,
    statement::{Statement, name_of},
};
use crate::postgres::Target;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// What creates it.
    extension: Statement,
    /// What creates its schema and it.
    sql: String,
}

impl Guess {
    /// Of what creates an extension, and its schema where the target lacks that.
    pub(super) fn new(extension: &Statement, schema: Option<&Statement>) -> Self {
        let schema = schema.and_then(|schema| schema.object.as_ref());
        let mut sql = schema.map_or_else(String::new, |schema| {
            format!("CREATE SCHEMA IF NOT EXISTS {};\n", name_of(schema))
        });
        sql += &String::from_utf8_lossy(&extension.text);
        Self { extension: extension.clone(), sql }
    }

    /// The same as one statement that never fails.
    pub(super) fn tried(&self) -> Statement {
        let mut tag = "$try$".to_owned();
        while self.sql.contains(&tag) {
            tag.insert(1, '_');
        }
        let text = format!(
            "DO {tag} BEGIN\n{}\nEXCEPTION WHEN OTHERS THEN NULL; END {tag};",
            self.sql.trim_end()
        );
        Statement { text: Bytes::from(text), ..self.extension.clone() }
    }
}

/// Which of them could not be created, and why: each is asked for once more.
///
/// # Errors
/// When the connection is lost.
pub(super) async fn denied(
    guesses: &[Guess],
    control: &mut Target,
) -> Result<Vec<LeftOut>, Failure> {
    let mut denied = Vec::new();
    for Guess { extension, sql } in guesses {
        match control.run(sql).await {
            Ok(()) => {}
            Err(error) if error.is_lost() => return Err(Failure::in_statement(extension)(error)),
            Err(error) => {
                let noted = Noted::from(extension);
                let reason = noted.said(&error.message, error.named.as_deref());
                // What follows is a hint for whoever may.
                let reason = reason.lines().next().unwrap_or_default().to_owned();
                denied.push((noted.at, reason));
            }
        }
    }
    Ok(denied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_with_its_schema_and_never_fails() {
        let read = |sql: &'static str| Statement::read(&Bytes::from_static(sql.as_bytes()));
        let (extension, schema) = (
            read("CREATE EXTENSION IF NOT EXISTS \"a$try$\" WITH SCHEMA x;"),
            read("CREATE SCHEMA x;"),
        );
        let guess = Guess::new(&extension, Some(&schema));
        assert_eq!(
            guess.tried().text,
            "DO $_try$ BEGIN\nCREATE SCHEMA IF NOT EXISTS x;\n\
             CREATE EXTENSION IF NOT EXISTS \"a$try$\" WITH SCHEMA x;\n\
             EXCEPTION WHEN OTHERS THEN NULL; END $_try$;"
        );
        assert_eq!(guess.tried().kind, extension.kind);
        assert!(!Guess::new(&extension, None).sql.contains("SCHEMA IF"));
    }
}
