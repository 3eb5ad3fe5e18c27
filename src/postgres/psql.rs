//! Running `psql` on a script that is handed to it piece by piece.
//!
//! The script is somebody else's, and `psql` takes commands from it that run
//! programs of this machine, wherever its own lexer thinks a statement's text
//! holds a backslash. So it is told first, with a key that no script can know,
//! to take none.

use tokio::{io::AsyncWriteExt as _, process::ChildStdin};

use super::{clients::Client, libpq::KEEPALIVES, said::Said, tls::TlsError, url::ConnectionUrl};
use crate::process::{Child, Priority, ProcessError, Stream, TERM_GRACE};

/// A `psql` for one target.
#[derive(Clone, Debug)]
pub struct Psql {
    /// The program.
    pub client: Client,
    /// Where it connects.
    pub url: ConnectionUrl,
    /// How it stands to whatever else runs on the machine.
    pub priority: Priority,
}

/// `psql` could not be run, or stopped at an error.
#[derive(Debug, thiserror::Error)]
pub enum PsqlError {
    /// TLS cannot be had as the URL asks.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It did not start, or could not be waited for.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It stopped at an error.
    #[error("{message}")]
    Stopped {
        /// What it said, without its own name for the place.
        message: String,
        /// The line of the script in which the statement ended, where it said so.
        line: Option<usize>,
        /// The error's class; empty where the connection was lost, `None` where it
        /// did not say.
        code: Option<String>,
    },
}

/// A `psql` that reads a script. Dropping it kills it.
#[derive(Debug)]
pub struct RunningPsql {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Psql {
    /// Starts it. It reads nobody's settings, takes no commands from the script,
    /// and stops at the first error.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(&self) -> Result<RunningPsql, PsqlError> {
        let mut child = self
            .url
            .program(&self.client.path, self.client.major)?
            .priority(self.priority)
            .args(["-X", "-q", "--no-password", "--set=ON_ERROR_STOP=1"])
            // With the error's code, which says whether it speaks of rows.
            .arg("--set=VERBOSITY=verbose")
            .arg(format!("--dbname={KEEPALIVES}"))
            .arg("--file=-")
            .spawn(Stream::Piped, Stream::Null)?;
        let stdin = child.stdin();
        let mut running = RunningPsql { child, stdin };
        // Where it ends at once, its end says why.
        running.write(restriction().as_bytes()).await;
        Ok(running)
    }

    /// Runs a whole script.
    ///
    /// # Errors
    /// When it cannot be started, or stops at an error.
    pub async fn run(&self, script: &[u8]) -> Result<(), PsqlError> {
        let mut running = self.start().await?;
        running.write(script).await;
        running.finish().await
    }
}

impl RunningPsql {
    /// Hands on a piece; false when it reads no more, because it has stopped:
    /// [`RunningPsql::finish`] says why.
    pub async fn write(&mut self, piece: &[u8]) -> bool {
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(piece).await.is_ok(),
            None => false,
        }
    }

    /// Ends the script, and waits until it has run.
    ///
    /// # Errors
    /// When it stopped at an error.
    pub async fn finish(mut self) -> Result<(), PsqlError> {
        drop(self.stdin.take());
        match self.child.wait().await?.success() {
            Ok(_) => Ok(()),
            Err(ProcessError::Failed { status, stderr, program }) => {
                let stopped = stopped(&stderr);
                let stderr = without_notices(&stderr);
                Err(stopped.unwrap_or(ProcessError::Failed { program, status, stderr }.into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends it in the middle; what it was doing on the server may go on there.
    pub async fn stop(mut self) {
        drop(self.stdin.take());
        self.child.stop(TERM_GRACE).await;
    }
}

/// The line that lets it take no command but the one with this key.
fn restriction() -> String {
    format!("\\restrict {:032x}{:032x}\n", rand::random::<u128>(), rand::random::<u128>())
}

/// What stands before all that the server said of a script.
const PLACE: &str = "psql:<stdin>:";

/// Reads the last error of `psql:<stdin>:12: ERROR:  …`.
fn stopped(stderr: &str) -> Option<PsqlError> {
    let at = ["ERROR:", "FATAL:", "PANIC:", "error:"]
        .iter()
        .filter_map(|word| stderr.rfind(&format!(": {word}")))
        .max()?;
    let start = stderr[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line: Option<usize> =
        stderr[start..at].strip_prefix(PLACE).and_then(|number| number.parse().ok());
    // The first line is ours.
    let line = line.map(|line| line.saturating_sub(1));
    let message = stderr[at + 2..].trim();
    let code = code(message);
    let message = match message.strip_prefix("ERROR:") {
        Some(said) => without_rows(said.trim_start()),
        None => message.to_owned(),
    };
    Some(PsqlError::Stopped { message, line, code })
}

/// The class of an error, of `ERROR:  42P07: …`; empty where `psql` itself says that
/// it has lost the server.
fn code(message: &str) -> Option<String> {
    if let Some(own) = message.strip_prefix("error:") {
        return own.contains("connection").then(String::new);
    }
    let (_, said) = message.split_once(':')?;
    let (code, rest) = said.trim_start().split_at_checked(5)?;
    (is_code(code) && rest.starts_with(": ")).then(|| code.to_owned())
}

/// What `psql` said by itself. A server's notices and warnings may be those of a
/// function, which speaks of rows.
fn without_notices(stderr: &str) -> String {
    let mut of_the_server = false;
    let own = stderr.lines().filter(|line| {
        if line.starts_with("psql:") {
            of_the_server = line.starts_with(PLACE);
        }
        !of_the_server
    });
    own.collect::<Vec<_>>().join("\n")
}

/// What the server said, as `psql` shows it: `42P07: relation …`, and lines that
/// begin with the name of a field.
fn without_rows(text: &str) -> String {
    let (code, text) = match text.split_at_checked(5) {
        Some((code, rest)) if is_code(code) => match rest.strip_prefix(": ") {
            Some(rest) => (code, rest),
            None => ("", text),
        },
        _ => ("", text),
    };
    let mut fields: Vec<(&str, String)> = vec![("", String::new())];
    for line in text.lines() {
        let (name, rest) = FIELDS
            .iter()
            .find_map(|name| Some((Some(*name), line.strip_prefix(name)?.trim_start())))
            .unwrap_or((None, line));
        match (name, fields.last_mut()) {
            (Some(name), _) => fields.push((name, rest.to_owned())),
            (None, Some((_, field))) => {
                if !field.is_empty() {
                    field.push('\n');
                }
                field.push_str(rest);
            }
            (None, None) => {}
        }
    }
    let field = |wanted: &str| {
        fields.iter().find(|(name, _)| *name == wanted).map(|(_, text)| text.as_str())
    };
    let said = Said {
        code,
        message: field("").unwrap_or_default(),
        detail: field("DETAIL:"),
        hint: field("HINT:"),
        context: field("CONTEXT:"),
    };
    let is_said = code.is_empty() || said.is_raised();
    let code = if is_said { String::new() } else { format!(" (SQLSTATE {code})") };
    said.without_rows() + &code
}

/// How the parts of an error begin. `LINE` shows the statement, with its values.
const FIELDS: [&str; 11] = [
    "LINE ",
    "DETAIL:",
    "HINT:",
    "QUERY:",
    "CONTEXT:",
    "SCHEMA NAME:",
    "TABLE NAME:",
    "COLUMN NAME:",
    "DATATYPE NAME:",
    "CONSTRAINT NAME:",
    "LOCATION:",
];

fn is_code(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_found_with_its_line() {
        let stderr = "psql:<stdin>:3: NOTICE:  relation exists, skipping\n\
                      psql:<stdin>:12: ERROR:  42P07: relation \"t\" already exists\n\
                      DETAIL:  It does.\nLOCATION:  f, heap.c:1\n";
        let Some(PsqlError::Stopped { message, line, code }) = stopped(stderr) else { panic!() };
        assert_eq!(message, "relation \"t\" already exists\nDETAIL:  It does. (SQLSTATE 42P07)");
        assert_eq!((line, code.as_deref()), (Some(11), Some("42P07")));
    }

    #[test]
    fn rows_of_a_script_are_not_said() {
        let stderr = "psql:<stdin>:9: ERROR:  22P02: invalid input syntax for type integer: \"Jane\"\n\
                      LINE 1: INSERT INTO t VALUES ('Jane', 'Doe');\n                              ^\n\
                      CONTEXT:  COPY t, line 2, column a: \"Jane\"\nTABLE NAME:  t\nLOCATION:  x\n";
        let Some(PsqlError::Stopped { message, .. }) = stopped(stderr) else { panic!() };
        assert_eq!(
            message,
            "invalid input syntax for type integer: \"…\"\nCONTEXT:  COPY t, line 2, column a \
             (SQLSTATE 22P02)"
        );
    }

    #[test]
    fn what_a_function_raises_is_not_said() {
        let stderr = "psql:<stdin>:8: WARNING:  01000: donor Jane is odd\nLOCATION:  x\n\
                      psql:<stdin>:9: ERROR:  P0001: donor Jane\nDoe has no church\n\
                      DETAIL:  Jane\nHINT:  Jane\n\
                      CONTEXT:  PL/pgSQL function f() line 3 at RAISE\nLOCATION:  x\n";
        let Some(PsqlError::Stopped { message, .. }) = stopped(stderr) else { panic!() };
        assert_eq!(
            message,
            "code of the database raised an error (SQLSTATE P0001); what it says may hold a row \
             and is left out\nCONTEXT:  PL/pgSQL function f() line 3 at RAISE"
        );
        let killed = "psql:<stdin>:8: WARNING:  01000: donor Jane\nJane\npsql: out of memory\n";
        assert_eq!(without_notices(killed), "psql: out of memory");
    }

    #[test]
    fn a_connection_that_was_lost_is_an_error_without_a_line() {
        let stderr = "psql: error: connection to server on socket failed: no such file\n";
        let Some(PsqlError::Stopped { message, line, code }) = stopped(stderr) else { panic!() };
        assert!(message.contains("connection to server"), "{message}");
        assert_eq!((line, code.as_deref()), (None, Some("")));
        let ended = "psql:<stdin>:3: FATAL:  57P01: terminating connection\nLOCATION:  x\n\
                     psql:<stdin>:3: server closed the connection unexpectedly\n\
                     psql:<stdin>:3: error: connection to server was lost\n";
        let Some(PsqlError::Stopped { code, .. }) = stopped(ended) else { panic!() };
        assert_eq!(code.as_deref(), Some(""));
        let fatal = "psql:<stdin>:3: FATAL:  57P01: terminating connection\nLOCATION:  x\n";
        let Some(PsqlError::Stopped { code, .. }) = stopped(fatal) else { panic!() };
        assert_eq!(code.as_deref(), Some("57P01"));
        assert!(stopped("nothing of the kind").is_none());
    }
}
