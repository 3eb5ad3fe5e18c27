//! What the data section holds beside rows: values of sequences, large objects.
//! It is streamed through one `psql`, statement by statement, in its order.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};

use super::{
    clean,
    failure::Failure,
    kind::Kind,
    members::{Archive, runs},
    plan::Rest,
    progress::Progress,
    script,
    script_log::ScriptLog,
    statement::Statement,
    unset::{Unset, Why},
};
use crate::{
    archive::{TableName, copy::skip_comments, lexer::Lexer, manifest::Member},
    postgres::{Psql, Target},
};

/// How much of an archive one request to the store asks for, in bytes.
const RUN: u64 = 8 * 1024 * 1024;

/// How these begin, which are many and long.
const LARGE_OBJECT_BYTES: &[u8] = b"SELECT pg_catalog.lowrite(";

/// How it begins to fill one, whose descriptor is always 0.
const LARGE_OBJECT_OPENED: &[u8] = b"SELECT pg_catalog.lo_open(";

/// What it is streamed through.
pub(super) struct Through<'a> {
    pub(super) psql: &'a Psql,
    /// The sequences that a platform or an extension makes, which may not be
    /// there or not be the role's to set, are tried by this session.
    pub(super) session: &'a mut Target,
    /// The sequences that the archive makes itself, where its definitions are known.
    pub(super) made: Option<BTreeSet<TableName>>,
    /// Tables whose rows do not come although the archive holds some.
    pub(super) rowless: &'a BTreeSet<TableName>,
    /// Settings that the server knows.
    pub(super) known: &'a [String],
    /// Settings of our own.
    pub(super) before: Vec<String>,
    /// Whether what is there already is dropped first.
    pub(super) clean: bool,
    /// Whether large objects may be there, with bytes of their own.
    pub(super) truncate: bool,
}

/// Runs what is wanted of these members; returns the sequences that could not be
/// set.
pub(super) async fn run(
    archive: &Archive,
    members: &[Member],
    rest: &Rest,
    through: Through<'_>,
    progress: &Progress,
) -> Result<Vec<Unset>, Failure> {
    let Through { psql, session, made, rowless, known, before, clean, truncate } = through;
    let mut reader = Reader::new(archive, members);
    let (mut log, mut script) = (ScriptLog::default(), Vec::new());
    for setting in &before {
        log.add_own(setting, &mut script);
    }
    let mut running = psql.start().await?;
    let mut unset = Vec::new();
    let mut goes_on = true;
    while goes_on && let Some(statement) = reader.next(progress).await? {
        match wanted(rest, made.as_ref(), known, &statement) {
            Wanted::Yes => {
                // Newer versions of pg_dump make large objects here.
                if clean && statement.kind == Kind::LargeObject {
                    for drop in clean::drops(std::iter::once(&statement)) {
                        log.add_own(&format!("{drop};"), &mut script);
                    }
                }
                log.add(&statement, &mut script);
                if truncate && statement.text.starts_with(LARGE_OBJECT_OPENED) {
                    // What is longer there would keep its end.
                    log.add_own("SELECT pg_catalog.lo_truncate(0, 0);", &mut script);
                }
            }
            Wanted::OfPlatform(name) => {
                if let Err(error) = session.run(&sql(&statement)).await {
                    unset.push(Unset::of_platform(name, &statement, error));
                }
            }
            Wanted::OfExtension(name) => {
                if let Err(error) = session.run(&sql(&statement)).await {
                    let Some(why) = Why::of(&error) else {
                        return Err(Failure::in_statement(&statement)(error));
                    };
                    unset.push(Unset::of_extension(name, &statement, why, rowless));
                }
            }
            Wanted::No => {}
            // Large objects come last, and no sequence follows them.
            Wanted::Enough => break,
        }
        if script.len() > 64 * 1024 {
            goes_on = running.write(&script).await;
            script.clear();
        }
    }
    running.write(&script).await;
    running.finish().await.map_err(|error| log.failure(&error))?;
    Ok(unset)
}

fn sql(statement: &Statement) -> String {
    String::from_utf8_lossy(&statement.text).into_owned()
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Yes,
    /// The platform made this sequence: its value is tried to set.
    OfPlatform(TableName),
    /// An extension makes this one, where the target has that.
    OfExtension(TableName),
    No,
    Enough,
}

fn wanted(
    rest: &Rest,
    made: Option<&BTreeSet<TableName>>,
    known: &[String],
    statement: &Statement,
) -> Wanted {
    let object = statement.object.as_ref();
    let yes = |yes: bool| if yes { Wanted::Yes } else { Wanted::No };
    let is_made = |sequence| made.is_none_or(|made| made.contains(sequence));
    match (rest, statement.kind) {
        (Rest::Nothing, _)
        | (Rest::Sequences { .. }, Kind::Transaction | Kind::LargeObjectData) => Wanted::Enough,
        (_, Kind::Setting) => yes(object.is_some_and(|object| known.contains(&object.name))),
        (Rest::All { managed }, Kind::SequenceValue) => match object {
            Some(object) if managed.contains(&object.schema) => Wanted::OfPlatform(object.clone()),
            Some(object) if !is_made(object) => Wanted::OfExtension(object.clone()),
            _ => Wanted::Yes,
        },
        (Rest::All { .. }, _) => Wanted::Yes,
        (Rest::Sequences { named, of_extensions }, Kind::SequenceValue) => match object {
            Some(object) if named.contains(object) => Wanted::Yes,
            Some(object) if of_extensions.contains(&object.schema) && !is_made(object) => {
                Wanted::OfExtension(object.clone())
            }
            _ => Wanted::No,
        },
        (Rest::Sequences { .. }, _) => Wanted::No,
    }
}

/// Cuts members into statements, one member in memory at a time.
pub(super) struct Reader<'a> {
    archive: &'a Archive,
    runs: std::collections::VecDeque<Vec<Member>>,
    run: Option<super::members::Run>,
    text: BytesMut,
    lexer: Lexer,
}

impl<'a> Reader<'a> {
    pub(super) fn new(archive: &'a Archive, members: &[Member]) -> Self {
        let (run, text, lexer) = (None, BytesMut::new(), Lexer::default());
        Self { archive, runs: runs(members, RUN).into(), run, text, lexer }
    }

    /// The next statement, without the psql commands that dumps hold.
    pub(super) async fn next(&mut self, progress: &Progress) -> Result<Option<Statement>, Failure> {
        loop {
            while let Some(length) = self.lexer.end_of_statement(&self.text) {
                let text = self.text.split_to(length).freeze();
                let statement = read(&text);
                script::judge(&statement, &self.lexer)?;
                if statement.kind != Kind::Command {
                    return Ok(Some(statement));
                }
            }
            if !self.more(progress).await? {
                return Ok(None);
            }
        }
    }

    /// Adds the next piece of text.
    async fn more(&mut self, progress: &Progress) -> Result<bool, Failure> {
        loop {
            let Some(run) = &mut self.run else {
                let Some(members) = self.runs.pop_front() else { return Ok(false) };
                self.run = Some(self.archive.run(members));
                continue;
            };
            if let Some(piece) = run.piece().await? {
                self.text.extend_from_slice(piece);
                return Ok(true);
            }
            match run.next() {
                Some(member) => progress.add(member.length),
                None => self.run = None,
            }
        }
    }
}

fn read(text: &Bytes) -> Statement {
    let bare = skip_comments(text);
    if bare.starts_with(LARGE_OBJECT_BYTES) {
        return Statement {
            text: text.slice_ref(bare),
            kind: Kind::LargeObjectData,
            object: None,
            relation: None,
            other: None,
            roles: Vec::new(),
        };
    }
    Statement::read(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(schema: &str) -> TableName {
        TableName { schema: schema.to_owned(), name: "s".to_owned() }
    }

    fn value(rest: &Rest, made: Option<&BTreeSet<TableName>>, schema: &str) -> Wanted {
        let sql = format!("SELECT pg_catalog.setval('{schema}.s', 5, true);");
        wanted(rest, made, &[], &Statement::read(&Bytes::from(sql)))
    }

    #[test]
    fn a_sequence_that_the_archive_does_not_make_is_only_tried() {
        let made = BTreeSet::from([name("own")]);
        let set = |schema: &str| BTreeSet::from([schema.to_owned()]);
        let all = Rest::All { managed: set("auth") };
        assert_eq!(value(&all, Some(&made), "own"), Wanted::Yes);
        assert_eq!(value(&all, Some(&made), "auth"), Wanted::OfPlatform(name("auth")));
        assert_eq!(value(&all, Some(&made), "cfg"), Wanted::OfExtension(name("cfg")));
        // Nobody knows whose it is.
        assert_eq!(value(&all, None, "cfg"), Wanted::Yes);
        let part = Rest::Sequences { named: made.clone(), of_extensions: set("cfg") };
        assert_eq!(value(&part, Some(&made), "own"), Wanted::Yes);
        assert_eq!(value(&part, Some(&made), "cfg"), Wanted::OfExtension(name("cfg")));
        assert_eq!(value(&part, Some(&made), "other"), Wanted::No);
    }
}
