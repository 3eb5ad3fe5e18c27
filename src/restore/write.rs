//! An archive, or a part of it, as SQL that `psql` restores.

use std::collections::{BTreeSet, HashSet};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{
    damage::Damage,
    error::{OTHERWISE, RestoreError},
    failure::Failure,
    kind::Kind,
    legacy::{Stream, Text},
    members::{Archive, MemberError, runs},
    options::Options,
    plan::{Contents, name},
    prepare,
    progress::Progress,
    rest::Reader,
    security,
    select::{self, Chosen, Question},
    sequences,
    statement::{Statement, name_of},
    stored::Stored,
};
use crate::{
    archive::{TableName, manifest::Member},
    postgres::Section,
    store::StoreError,
};

/// How much of an archive one request to the store asks for, in bytes.
const RUN: u64 = 8 * 1024 * 1024;

/// SQL that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The archive could not be read.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A legacy archive cannot be read to its end; what comes before was written.
    #[error("{1}: {0}; what stands before that was written")]
    Broken(String, String),
    /// Whoever read the SQL has stopped.
    #[error("write the SQL: {0}")]
    Output(#[from] std::io::Error),
}

impl From<MemberError> for WriteError {
    fn from(error: MemberError) -> Self {
        Self::Restore(error.into())
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Restore(MemberError::from(error).into())
    }
}

/// Writes a backup, or what the options ask for of it, as SQL. Of one that is
/// known to be damaged everything is written that `damage` does not name, and a
/// comment where the rest would stand.
///
/// # Errors
/// When the archive cannot be read, does not hold what was asked for, or the
/// output is closed.
pub async fn write(
    stored: &Stored,
    options: &Options,
    damage: Option<Damage>,
    out: &mut (impl AsyncWrite + Unpin),
    progress: &Progress,
) -> Result<(), WriteError> {
    let (archive, known) = (stored.archive(), &stored.manifest.archive);
    let contents = prepare::contents(stored, options, damage).await?;
    // A part is held against the CRC of each of its members as it is read.
    if !options.is_partial() && contents.damage.is_none() {
        let found = archive.sha256(known.bytes, |_| {}).await?;
        compare(&archive.uri(), &found, &known.sha256)?;
    }
    let chosen = choose(&contents, options)?;
    let closing = Closing::of(&contents, chosen.as_ref());
    let mut writer = Writer { archive: &archive, contents: &contents, progress, out };
    match &chosen {
        None => writer.whole(options, &closing).await?,
        Some(chosen) => writer.part(chosen, options, &closing).await?,
    }
    out.flush().await?;
    Ok(())
}

/// Whoever reads the SQL runs it as it comes: nothing is written of an archive
/// that is not what was stored.
fn compare(uri: &str, found: &str, known: &str) -> Result<(), RestoreError> {
    if found == known {
        return Ok(());
    }
    Err(RestoreError::Refused(vec![format!(
        "{uri}: its SHA-256 is {found}, and {known} is what was stored; it was damaged or \
         replaced; {OTHERWISE}"
    )]))
}

/// Writes a legacy archive as it is, once it is whole and has the checksum that
/// is known; where it is known to be damaged, as far as it can be read.
///
/// # Errors
/// When the archive cannot be read, or the output is closed.
pub async fn write_legacy(
    legacy: &Stream,
    sha256: Option<&str>,
    damaged: bool,
    out: &mut (impl AsyncWrite + Unpin),
    progress: &Progress,
) -> Result<(), WriteError> {
    let refused = |failure: Failure| {
        let at = failure.at.unwrap_or_default();
        RestoreError::Refused(vec![format!("{at}: {}", failure.message)])
    };
    let uri = legacy.store.uri(&legacy.key);
    if !damaged {
        let mut text = Text::open(legacy);
        while text.piece(progress).await.map_err(refused)?.is_some() {}
        if let Some(known) = sha256 {
            compare(&uri, &text.sha256(), known)?;
        }
    }
    let mut text = Text::open(legacy);
    loop {
        match text.piece(progress).await {
            Ok(Some(piece)) => out.write_all(piece).await?,
            Ok(None) => break,
            Err(failure) => {
                out.flush().await?;
                return Err(WriteError::Broken(failure.message, uri));
            }
        }
    }
    out.flush().await?;
    // Only what was read to its end has a hash.
    match sha256.filter(|_| damaged) {
        Some(known) => Ok(compare(&uri, &text.sha256(), known)?),
        None => Ok(()),
    }
}

/// What the options choose of an archive's objects; `None` where they want all.
pub(super) fn choose(
    contents: &Contents,
    options: &Options,
) -> Result<Option<Chosen>, RestoreError> {
    if !options.is_partial() {
        return Ok(None);
    }
    // Where only rows can be had, the tables must be there already.
    let rows_alone = contents.pre_data.is_empty();
    let tables = contents.manifest.tables.iter().filter(|_| rows_alone).map(name);
    let question = Question {
        manifest: &contents.manifest,
        pre_data: &contents.pre_data,
        post_data: &contents.post_data,
        there: &tables.collect(),
        unfinished: &BTreeSet::new(),
        // A schema public is in every database.
        schemas: &HashSet::from(["public".to_owned()]),
        extensions: &[],
    };
    Ok(Some(select::choose(&question, options)?))
}

/// The tables whose rows are wanted, as places in the manifest.
pub(super) fn tables(contents: &Contents, chosen: Option<&Chosen>) -> Vec<usize> {
    let tables = contents.manifest.tables.iter().enumerate();
    let wanted = tables.filter(|(_, table)| {
        let name = name(table);
        chosen.is_none_or(|chosen| {
            chosen.filled.contains(&name)
                || chosen.of_extensions.contains(&name)
                || (chosen.made.contains(&name) && !chosen.without_rows.contains(&name))
        })
    });
    wanted.map(|(at, _)| at).collect()
}

/// What keeps rows from being open to everybody while they come: row-level
/// security is enabled before them, and what forces it upon the owner, who loads,
/// comes at the end.
#[derive(Debug, Default)]
struct Closing {
    before: String,
    after: Vec<Statement>,
}

impl Closing {
    fn of(contents: &Contents, chosen: Option<&Chosen>) -> Self {
        let pick = |all: &[Statement], wanted: Option<&BTreeSet<usize>>| {
            let all = all.iter().enumerate();
            let all = all.filter(|(at, _)| wanted.is_none_or(|wanted| wanted.contains(at)));
            all.map(|(_, statement)| statement.clone()).collect::<Vec<_>>()
        };
        let mut pre_data = pick(&contents.pre_data, chosen.map(|chosen| &chosen.pre_data));
        let mut post_data = pick(&contents.post_data, chosen.map(|chosen| &chosen.post_data));
        let closed = security::close_early(&mut pre_data, &mut post_data);
        let mut before = String::new();
        for statement in &closed.forcing {
            let table = statement.relation.as_ref().map(name_of).unwrap_or_default();
            before += &format!("ALTER TABLE ONLY {table} NO FORCE ROW LEVEL SECURITY;\n\n");
        }
        for statement in &closed.enabling {
            before += String::from_utf8_lossy(&statement.text).trim_end();
            before += "\n\n";
        }
        Self { before, after: closed.forcing }
    }
}

struct Writer<'a, W> {
    archive: &'a Archive,
    contents: &'a Contents,
    progress: &'a Progress,
    out: &'a mut W,
}

impl<W: AsyncWrite + Unpin> Writer<'_, W> {
    /// The archive's own text, section by section.
    async fn whole(&mut self, options: &Options, closing: &Closing) -> Result<(), WriteError> {
        let manifest = &self.contents.manifest;
        let sections = &manifest.sections;
        if options.wants(Section::PreData) {
            self.copy(&sections.pre_data).await?;
            self.out.write_all(closing.before.as_bytes()).await?;
        }
        if options.wants(Section::Data) {
            let bad = self.contents.damage.as_ref().and_then(|damage| damage.of_rest().first());
            let mut data: Vec<Member> = Vec::new();
            match bad {
                None => data.extend(&sections.data),
                // What stands in one of them goes on in the next.
                Some(bad) => {
                    let what = "left out: values of sequences and large objects";
                    self.comment(&format!("{what}: {bad}")).await?;
                }
            }
            data.extend(manifest.tables.iter().flat_map(|table| &table.members));
            data.sort_by_key(|member| member.offset);
            self.copy(&data).await?;
        }
        if options.wants(Section::PostData) {
            self.copy(&sections.post_data).await?;
            self.all(&closing.after).await?;
        }
        Ok(())
    }

    /// The statements that belong to what was chosen, and its rows.
    async fn part(
        &mut self,
        chosen: &Chosen,
        options: &Options,
        closing: &Closing,
    ) -> Result<(), WriteError> {
        let contents = self.contents;
        if options.wants(Section::PreData) {
            for (at, statement) in contents.pre_data.iter().enumerate() {
                if let Some(guess) = chosen.guess(at, &contents.pre_data) {
                    self.comment("it may be needed, and may be not to be had").await?;
                    self.statement(&guess.tried()).await?;
                } else if chosen.pre_data.contains(&at) {
                    self.statement(statement).await?;
                }
            }
            self.out.write_all(closing.before.as_bytes()).await?;
        } else {
            let settings = contents.pre_data.iter().enumerate();
            let settings =
                settings.take_while(|(_, s)| s.kind == Kind::Setting).map(|(at, _)| at).collect();
            self.statements(&contents.pre_data, &settings).await?;
        }
        if options.wants(Section::Data) {
            for at in tables(contents, Some(chosen)) {
                self.copy(&contents.manifest.tables[at].members).await?;
                self.out.write_all(b"\n").await?;
            }
            if !(chosen.sequences.is_empty() && chosen.of_extensions.is_empty()) {
                self.values(chosen).await?;
            }
        }
        if options.wants(Section::PostData) {
            self.statements(&contents.post_data, &chosen.post_data).await?;
            self.all(&closing.after).await?;
        }
        for (what, reason) in &chosen.left_out {
            self.comment(&format!("left out: {what}: {reason}")).await?;
        }
        Ok(())
    }

    /// A name may hold a newline, behind which no comment is a comment.
    async fn comment(&mut self, text: &str) -> Result<(), WriteError> {
        let line = format!("-- {text}").replace(['\n', '\r'], " ");
        self.out.write_all(line.as_bytes()).await?;
        self.out.write_all(b"\n").await?;
        Ok(())
    }

    async fn copy(&mut self, members: &[Member]) -> Result<(), WriteError> {
        let damage = self.contents.damage.as_ref();
        let mut sound = Vec::new();
        for member in members {
            match damage.and_then(|damage| damage.holds(member.offset)) {
                None => sound.push(*member),
                Some(bad) => {
                    self.comment(&format!("left out: {} rows: {bad}", bad.rows)).await?;
                }
            }
        }
        for members in runs(&sound, RUN) {
            let mut run = self.archive.run(members);
            while let Some(member) = run.next() {
                while let Some(piece) = run.piece().await? {
                    self.out.write_all(piece).await?;
                }
                self.progress.add(member.length);
            }
        }
        Ok(())
    }

    async fn statements(
        &mut self,
        all: &[Statement],
        chosen: &BTreeSet<usize>,
    ) -> Result<(), WriteError> {
        for &at in chosen {
            self.statement(&all[at]).await?;
        }
        Ok(())
    }

    async fn all(&mut self, all: &[Statement]) -> Result<(), WriteError> {
        for statement in all {
            self.statement(statement).await?;
        }
        Ok(())
    }

    async fn statement(&mut self, statement: &Statement) -> Result<(), WriteError> {
        self.out.write_all(&statement.text).await?;
        self.out.write_all(b"\n\n").await?;
        Ok(())
    }

    async fn values(&mut self, chosen: &Chosen) -> Result<(), WriteError> {
        let members = &self.contents.manifest.sections.data;
        let damage = self.contents.damage.as_ref();
        if let Some(bad) = damage.and_then(|damage| damage.of_rest().first()) {
            return self.comment(&format!("left out: values of sequences: {bad}")).await;
        }
        let made = sequences::made(&self.contents.pre_data);
        let is_wanted = |sequence: &TableName| {
            let of_extension =
                chosen.of_extensions.iter().any(|table| table.schema == sequence.schema);
            chosen.sequences.contains(sequence) || (of_extension && !made.contains(sequence))
        };
        let mut reader = Reader::new(self.archive, members);
        loop {
            let next = reader.next(self.progress).await;
            let next = next.map_err(|failure| RestoreError::Refused(vec![failure.message]))?;
            let Some(statement) = next else { return Ok(()) };
            match statement.kind {
                Kind::Transaction | Kind::LargeObjectData => return Ok(()),
                Kind::SequenceValue if statement.object.as_ref().is_some_and(is_wanted) => {
                    self.statement(&statement).await?;
                }
                _ => {}
            }
        }
    }
}
