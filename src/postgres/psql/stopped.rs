//! What `psql` said when it stopped, without any row.
//!
//! Everything that it says while it reads the script begins with the place in
//! it; what follows in further lines may be a value, and so may look like
//! anything. Only what stands where `psql` puts it is read, and what cannot be
//! read is not said.

use super::{super::said::Said, PsqlError};

/// What stands before all that is said of a script.
const PLACE: &str = "psql:<stdin>:";

/// How an error of the server begins, where it speaks English.
const OF_THE_SERVER: [&str; 3] = ["ERROR:", "FATAL:", "PANIC:"];
/// How one of `psql` itself does, which is told to speak it; up to version 14, the
/// gravest are `fatal`.
const OWN: [&str; 2] = ["error:", "fatal:"];
/// And how what is no error.
const NOTICES: [&str; 5] = ["NOTICE:", "WARNING:", "INFO:", "LOG:", "DEBUG:"];
/// Classes of what is no error: success, warning, no data.
const OF_NOTICES: [&str; 3] = ["00", "01", "02"];
/// The longest word for how grave something is, in any language, in characters.
const LONGEST_WORD: usize = 24;

/// Something that was said of the script.
struct Told<'a> {
    line: usize,
    /// Its first line, behind the place.
    text: &'a str,
    /// Its other lines.
    more: Vec<&'a str>,
}

/// What something is that was said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An error of the server.
    Server,
    /// An error of `psql` itself.
    Own,
    /// No error.
    Notice,
}

impl Told<'_> {
    fn kind(&self) -> Option<Kind> {
        let begins = |words: &[&str]| words.iter().any(|word| self.text.starts_with(word));
        match () {
            () if begins(&OF_THE_SERVER) => Some(Kind::Server),
            () if begins(&OWN) => Some(Kind::Own),
            () if begins(&NOTICES) => Some(Kind::Notice),
            () => self.kind_in_any_language(),
        }
    }

    /// `FEHLER:  42P07: …`: how grave it is, the server says in its own language.
    fn kind_in_any_language(&self) -> Option<Kind> {
        let (word, rest) = self.text.split_once(":  ")?;
        let (code, _) = rest.split_once(": ")?;
        let is_word = word.chars().all(|c| c.is_alphabetic() || c == ' ')
            && (1..=LONGEST_WORD).contains(&word.chars().count());
        if !is_word || !is_code(code) {
            return None;
        }
        let is_notice = OF_NOTICES.iter().any(|class| code.starts_with(class));
        Some(if is_notice { Kind::Notice } else { Kind::Server })
    }
}

/// Reads the error of `psql:<stdin>:12: ERROR:  …`.
pub(super) fn stopped(stderr: &str) -> Option<PsqlError> {
    let told = told(stderr);
    if told.is_empty() {
        let message = own_words(stderr).strip_prefix("psql: ")?.trim().to_owned();
        let is_error = OWN.iter().any(|word| message.starts_with(word));
        let code = lost(&message);
        let (named, line, of_code) = (None, None, false);
        let stopped = PsqlError::Stopped { message, named, line, code, of_code };
        return is_error.then_some(stopped);
    }
    // It stops at the first error, so what stands before a notice is none.
    let is_notice = |told: &Told<'_>| told.kind() == Some(Kind::Notice);
    let notice = told.iter().rposition(is_notice).map_or(0, |at| at + 1);
    let mut errors = told[notice..].iter().filter(|told| told.kind().is_some());
    let error = errors.next()?;
    // Several are of one statement, or one of them is part of a value.
    if errors.any(|other| other.line != error.line) {
        return None;
    }
    // The first line is ours.
    let line = Some(error.line.saturating_sub(1));
    if error.kind() == Some(Kind::Server) {
        let (_, text) = error.text.split_once(':')?;
        return without_rows(text.trim_start(), &error.more, line);
    }
    let (message, code) = (error.text.to_owned(), lost(error.text));
    Some(PsqlError::Stopped { message, named: None, line, code, of_code: false })
}

/// The class of an error of `psql` itself: the empty one, where it has lost the server.
fn lost(own: &str) -> Option<String> {
    own.contains("connection to server").then(String::new)
}

/// What `psql` said by itself before it began with the script. A server's notices
/// and warnings may be those of a function, which speaks of rows.
pub(super) fn own_words(stderr: &str) -> String {
    let before = stderr.lines().take_while(|line| !line.starts_with(PLACE));
    let own: Vec<&str> = before.skip_while(|line| !line.starts_with("psql: ")).collect();
    own.join("\n")
}

fn told(stderr: &str) -> Vec<Told<'_>> {
    let mut found: Vec<Told<'_>> = Vec::new();
    for line in stderr.lines() {
        let placed = line.strip_prefix(PLACE).and_then(|rest| {
            let (number, text) = rest.split_once(": ")?;
            Some((number.parse().ok()?, text))
        });
        match (placed, found.last_mut()) {
            (Some((line, text)), _) => found.push(Told { line, text, more: Vec::new() }),
            (None, Some(told)) => told.more.push(line),
            (None, None) => {}
        }
    }
    found
}

/// What the server said, as `psql` shows it: `42P07: relation …`, and lines that
/// begin with the name of a field. Its class is told where the server itself has
/// said it. Nothing where it is not shown like that.
fn without_rows(text: &str, more: &[&str], line: Option<usize>) -> Option<PsqlError> {
    let (code, message) = text.split_once(": ").filter(|(code, _)| is_code(code))?;
    // By where the names stand among all names; the message has none.
    let mut fields: Vec<(Option<usize>, String)> = vec![(None, message.to_owned())];
    for line in more {
        match (field(line), fields.last_mut()) {
            (Some((at, rest)), _) => fields.push((Some(at), rest.to_owned())),
            (None, Some((_, field))) => {
                field.push('\n');
                field.push_str(line);
            }
            (None, None) => {}
        }
    }
    // The server shows each once, in this order. Where a value has lines that look
    // like them, nobody can tell which are its own.
    let is_mixed = !fields.is_sorted_by(|(one, _), (next, _)| one < next);
    let field = |wanted: &str| {
        let has_name = |at: &Option<usize>| at.is_some_and(|at| FIELDS[at] == wanted);
        let found = fields.iter().filter(|_| !is_mixed).find(|(at, _)| has_name(at));
        found.map(|(_, text)| text.as_str())
    };
    let said = Said {
        code,
        message: &fields[0].1,
        detail: field("DETAIL:"),
        hint: field("HINT:"),
        context: field("CONTEXT:"),
        query: if is_mixed { Some("") } else { field("QUERY:") },
        sure: field("LOCATION:").is_some_and(|at| READERS.iter().any(|file| at.contains(file))),
        // The statement may be an INSERT, which is its rows.
        placed: false,
    };
    let (message, of_code) = (said.without_rows(), said.is_of_code());
    if said.is_raised() {
        // Its class is what that code took, and only tells what it did not find.
        let code = said.is_of_a_name().then(|| code.to_owned());
        return Some(PsqlError::Stopped { message, named: None, line, code, of_code });
    }
    let with_code = |message: String| format!("{message} (SQLSTATE {code})");
    let (message, named) = (with_code(message), said.with_names().map(with_code));
    Some(PsqlError::Stopped { message, named, line, code: Some(code.to_owned()), of_code })
}

/// Where in the server an error is raised that is of reading code, and so of no value:
/// its parser, and that of PL/pgSQL. A value whose lines look like parts of an error
/// stands before the place where that error was raised, and never in its stead.
const READERS: [&str; 2] = [", parse_", ", pl_"];

/// How the parts of an error begin, in their order. `LINE` shows the statement,
/// with its values.
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

/// Which part begins with a line, and how it goes on.
fn field(line: &str) -> Option<(usize, &str)> {
    FIELDS.iter().enumerate().find_map(|(at, name)| {
        let rest = line.strip_prefix(name)?;
        let is_field = at > 0 || rest.starts_with(|c: char| c.is_ascii_digit());
        is_field.then(|| (at, rest.trim_start()))
    })
}

fn is_code(text: &str) -> bool {
    text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests;
