//! An archive, or a part of it, as SQL that `psql` restores.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{
    error::{Failure, RestoreError},
    kind::Kind,
    legacy::Text,
    members::{Archive, MemberError, runs},
    options::Options,
    plan::{Contents, name},
    prepare,
    progress::Progress,
    rest::Reader,
    select::{self, Chosen, Question},
    statement::Statement,
};
use crate::{
    archive::{Manifest, manifest::Member},
    postgres::Section,
    store::{Store, StoreError},
};

/// How much of an archive one request to the store asks for, in bytes.
const RUN: u64 = 8 * 1024 * 1024;

/// SQL that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The archive could not be read.
    #[error(transparent)]
    Restore(#[from] RestoreError),
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

/// Writes a backup, or what the options ask for of it, as SQL.
///
/// # Errors
/// When the archive cannot be read, does not hold what was asked for, or the
/// output is closed.
pub async fn write(
    store: &Arc<dyn Store>,
    manifest: &Manifest,
    options: &Options,
    out: &mut (impl AsyncWrite + Unpin),
    progress: &Progress,
) -> Result<(), WriteError> {
    let (archive, contents) = prepare::contents(store, manifest).await?;
    // A part is held against the CRC of each of its members as it is read.
    if !options.is_partial() {
        let found = archive.sha256(manifest.archive.bytes, |_| {}).await?;
        compare(&archive.uri(), &found, &manifest.archive.sha256)?;
    }
    match choose(&contents, options)? {
        None => whole(&archive, manifest, options, out, progress).await?,
        Some(chosen) => part(&archive, &contents, &chosen, options, out, progress).await?,
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
        "{uri}: its SHA-256 is {found}, and {known} is what was stored; it was damaged or replaced"
    )]))
}

/// Writes a legacy archive as it is, once it is whole and has the checksum that is known.
///
/// # Errors
/// When the archive cannot be read, or the output is closed.
pub async fn write_legacy(
    store: &Arc<dyn Store>,
    key: &str,
    bytes: u64,
    sha256: Option<&str>,
    out: &mut (impl AsyncWrite + Unpin),
    progress: &Progress,
) -> Result<(), WriteError> {
    let refused = |failure: Failure| {
        let at = failure.at.unwrap_or_default();
        RestoreError::Refused(vec![format!("{at}: {}", failure.message)])
    };
    let uri = store.uri(key);
    let mut text = Text::open(store.as_ref(), key, bytes).await?;
    while text.piece(progress).await.map_err(refused)?.is_some() {}
    if let Some(known) = sha256 {
        compare(&uri, &text.sha256(), known)?;
    }
    let mut text = Text::open(store.as_ref(), key, bytes).await?;
    while let Some(piece) = text.piece(progress).await.map_err(refused)? {
        out.write_all(piece).await?;
    }
    out.flush().await?;
    Ok(())
}

fn choose(contents: &Contents, options: &Options) -> Result<Option<Chosen>, RestoreError> {
    if !options.is_partial() {
        return Ok(None);
    }
    let question = Question {
        manifest: &contents.manifest,
        pre_data: &contents.pre_data,
        post_data: &contents.post_data,
        there: &HashSet::new(),
        // A schema public is in every database.
        schemas: &HashSet::from(["public".to_owned()]),
    };
    Ok(Some(select::choose(&question, options)?))
}

/// The archive's own text, section by section.
async fn whole(
    archive: &Archive,
    manifest: &Manifest,
    options: &Options,
    out: &mut (impl AsyncWrite + Unpin),
    progress: &Progress,
) -> Result<(), WriteError> {
    let sections = &manifest.sections;
    let mut data: Vec<Member> = sections.data.clone();
    data.extend(manifest.tables.iter().flat_map(|table| &table.members));
    data.sort_by_key(|member| member.offset);
    for (section, members) in [
        (Section::PreData, &sections.pre_data),
        (Section::Data, &data),
        (Section::PostData, &sections.post_data),
    ] {
        if options.wants(section) {
            copy(archive, members, out, progress).await?;
        }
    }
    Ok(())
}

async fn copy(
    archive: &Archive,
    members: &[Member],
    out: &mut (impl AsyncWrite + Unpin),
    progress: &Progress,
) -> Result<(), WriteError> {
    for members in runs(members, RUN) {
        let mut run = archive.run(members);
        while let Some(member) = run.next().await? {
            while let Some(piece) = run.piece().await? {
                out.write_all(piece).await?;
            }
            progress.add(member.length);
        }
    }
    Ok(())
}

/// The statements that belong to what was chosen, and its rows.
async fn part(
    archive: &Archive,
    contents: &Contents,
    chosen: &Chosen,
    options: &Options,
    out: &mut (impl AsyncWrite + Unpin),
    progress: &Progress,
) -> Result<(), WriteError> {
    let manifest = &contents.manifest;
    if options.wants(Section::PreData) {
        statements(&contents.pre_data, &chosen.pre_data, out).await?;
    } else {
        let settings = contents.pre_data.iter().enumerate();
        let settings =
            settings.take_while(|(_, s)| s.kind == Kind::Setting).map(|(at, _)| at).collect();
        statements(&contents.pre_data, &settings, out).await?;
    }
    if options.wants(Section::Data) {
        let wanted = manifest.tables.iter().filter(|table| {
            let name = name(table);
            chosen.made.contains(&name) && !chosen.without_rows.contains(&name)
        });
        for table in wanted {
            copy(archive, &table.members, out, progress).await?;
            out.write_all(b"\n").await?;
        }
        if !chosen.sequences.is_empty() {
            values(archive, manifest, chosen, out, progress).await?;
        }
    }
    if options.wants(Section::PostData) {
        statements(&contents.post_data, &chosen.post_data, out).await?;
    }
    for (what, reason) in &chosen.left_out {
        // A name may hold a newline, behind which no comment is a comment.
        let line = format!("-- left out: {what}: {reason}").replace(['\n', '\r'], " ");
        out.write_all(line.as_bytes()).await?;
        out.write_all(b"\n").await?;
    }
    Ok(())
}

async fn statements(
    all: &[Statement],
    chosen: &BTreeSet<usize>,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<(), WriteError> {
    for &at in chosen {
        out.write_all(&all[at].text).await?;
        out.write_all(b"\n\n").await?;
    }
    Ok(())
}

async fn values(
    archive: &Archive,
    manifest: &Manifest,
    chosen: &Chosen,
    out: &mut (impl AsyncWrite + Unpin),
    progress: &Progress,
) -> Result<(), WriteError> {
    let mut reader = Reader::new(archive, &manifest.sections.data);
    loop {
        let next = reader.next(progress).await;
        let next = next.map_err(|failure| RestoreError::Refused(vec![failure.message]))?;
        let Some(statement) = next else { return Ok(()) };
        match statement.kind {
            Kind::Transaction | Kind::LargeObjectData => return Ok(()),
            Kind::SequenceValue
                if statement.object.as_ref().is_some_and(|o| chosen.sequences.contains(o)) =>
            {
                out.write_all(&statement.text).await?;
                out.write_all(b"\n\n").await?;
            }
            _ => {}
        }
    }
}
