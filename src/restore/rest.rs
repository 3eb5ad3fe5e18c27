//! What the data section holds beside rows: values of sequences, large objects.
//! It is streamed through one `psql`, statement by statement, in its order.

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
};
use crate::{
    archive::{copy::skip_comments, lexer::Lexer, manifest::Member},
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
    /// The sequences of managed schemas, which the role may not be allowed to
    /// set, are tried by this session.
    pub(super) session: &'a mut Target,
    /// Settings that the server knows.
    pub(super) known: &'a [String],
    /// Settings of our own.
    pub(super) before: Vec<String>,
    /// Whether what is there already is dropped first.
    pub(super) clean: bool,
    /// Whether large objects may be there, with bytes of their own.
    pub(super) truncate: bool,
}

/// Runs what is wanted of these members; returns the sequences that the role
/// may not set.
pub(super) async fn run(
    archive: &Archive,
    members: &[Member],
    rest: &Rest,
    through: Through<'_>,
    progress: &Progress,
) -> Result<Vec<String>, Failure> {
    let Through { psql, session, known, before, clean, truncate } = through;
    let mut reader = Reader::new(archive, members);
    let (mut log, mut script) = (ScriptLog::default(), Vec::new());
    for setting in &before {
        log.add_own(setting, &mut script);
    }
    let mut running = psql.start().await?;
    let mut not_set = Vec::new();
    let mut goes_on = true;
    while goes_on && let Some(statement) = reader.next(progress).await? {
        match wanted(rest, known, &statement) {
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
            Wanted::Try => {
                let sql = String::from_utf8_lossy(&statement.text).into_owned();
                if let Err(error) = session.run(&sql).await {
                    let Failure { message, .. } = Failure::in_statement(&statement)(error);
                    not_set.push(format!("{statement}: {message}"));
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
    Ok(not_set)
}

enum Wanted {
    Yes,
    Try,
    No,
    Enough,
}

fn wanted(rest: &Rest, known: &[String], statement: &Statement) -> Wanted {
    let object = statement.object.as_ref();
    let yes = |yes: bool| if yes { Wanted::Yes } else { Wanted::No };
    match (rest, statement.kind) {
        (Rest::Nothing, _) | (Rest::Sequences(_), Kind::Transaction | Kind::LargeObjectData) => {
            Wanted::Enough
        }
        (_, Kind::Setting) => yes(object.is_some_and(|object| known.contains(&object.name))),
        (Rest::All { managed }, Kind::SequenceValue)
            if object.is_some_and(|object| managed.contains(&object.schema)) =>
        {
            Wanted::Try
        }
        (Rest::All { .. }, _) => Wanted::Yes,
        (Rest::Sequences(sequences), kind) => {
            yes(kind == Kind::SequenceValue
                && object.is_some_and(|object| sequences.contains(object)))
        }
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
