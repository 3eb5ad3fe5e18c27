//! What cannot be read of an archive in which verify found damage.
//!
//! Every member that is wanted is read before anything is touched. What looks
//! damaged is read a second time, so that a line that flips a bit costs nobody
//! a table.

use std::{collections::BTreeMap, fmt};

use memchr::memchr_iter;

use super::{
    error::RestoreError,
    framing::Framing,
    load::belongs,
    members::{Archive, MemberError, Run, runs},
    options::Options,
    plan::name,
    prepare,
    progress::Progress,
    stored::Stored,
    write,
};
use crate::{
    archive::{
        TableName,
        manifest::{Manifest, Member},
        map::{Holds, Map},
    },
    postgres::Section,
    words::RestoreStage,
};

/// How much of an archive one request to the store asks for, in bytes.
const RUN: u64 = 8 * 1024 * 1024;

/// How many members of a table are named.
const NAMED: usize = 3;

/// Members that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Those that hold rows, by their table's place in the manifest.
    tables: BTreeMap<usize, Vec<BadMember>>,
    /// Those that hold the values of sequences and large objects.
    rest: Vec<BadMember>,
}

/// A member that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMember {
    /// Its number in the archive, from 1.
    pub number: usize,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How many rows it held.
    pub rows: u64,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for BadMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, offset, what, .. } = self;
        write!(f, "member {number}, at byte {offset} of the archive, is damaged: {what}")
    }
}

impl Damage {
    /// Whether everything that was looked at can be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.rest.is_empty()
    }

    /// The damaged members of a table, by its place in the manifest.
    #[must_use]
    pub fn of_table(&self, at: usize) -> &[BadMember] {
        self.tables.get(&at).map_or(&[], Vec::as_slice)
    }

    /// The damaged members that hold the values of sequences and large objects.
    #[must_use]
    pub fn of_rest(&self) -> &[BadMember] {
        &self.rest
    }

    #[cfg(test)]
    pub(super) fn of_tables(tables: impl IntoIterator<Item = (usize, Vec<BadMember>)>) -> Self {
        Self { tables: tables.into_iter().collect(), rest: Vec::new() }
    }

    /// Whether the member that begins there is damaged.
    pub(super) fn holds(&self, offset: u64) -> Option<&BadMember> {
        let mut all = self.tables.values().flatten().chain(&self.rest);
        all.find(|bad| bad.offset == offset)
    }

    /// What is damaged, a line for each member, with what it holds.
    #[must_use]
    pub fn lines(&self, manifest: &Manifest) -> Vec<String> {
        let rows = self.tables.iter().flat_map(|(&at, bad)| {
            let table = name(&manifest.tables[at]);
            bad.iter().map(move |bad| format!("{} rows of {table}: {bad}", bad.rows))
        });
        let rest = self.rest.iter().map(|bad| format!("sequence values and large objects: {bad}"));
        rows.chain(rest).collect()
    }
}

/// Several damaged members in one sentence.
pub(super) fn named(bad: &[BadMember]) -> String {
    let shown: Vec<String> = bad.iter().take(NAMED).map(ToString::to_string).collect();
    let more = bad.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}", shown.join("; "))
}

/// Reads every member that the options want of a damaged archive; nothing is
/// touched.
///
/// # Errors
/// When the store fails, the archive does not hold what was asked for, or its
/// definitions, which everything else stands on, are damaged.
pub async fn examine(
    stored: &Stored,
    options: &Options,
    progress: &Progress,
) -> Result<Damage, RestoreError> {
    let manifest = &stored.manifest;
    let contents = prepare::contents(stored, options, Some(Damage::default())).await?;
    let mut damage = Damage::default();
    if !options.wants(Section::Data) {
        return Ok(damage);
    }
    let wanted = write::tables(&contents, write::choose(&contents, options)?.as_ref());
    let numbers: BTreeMap<u64, (usize, Holds)> = Map::of(manifest)?
        .places()
        .iter()
        .map(|place| (place.member.offset, (place.number, place.holds)))
        .collect();
    let rows = wanted.iter().flat_map(|&at| &manifest.tables[at].members);
    let members: Vec<Member> = rows.chain(&manifest.sections.data).copied().collect();
    progress.enter(RestoreStage::Check, members.iter().map(|member| member.length).sum());
    let mut note = |member: Member, what: String| {
        let Some(&(number, holds)) = numbers.get(&member.offset) else { return };
        let bad = BadMember { number, offset: member.offset, rows: member.rows, what };
        match holds {
            Holds::Rows { table, .. } => damage.tables.entry(table).or_default().push(bad),
            Holds::Statements { .. } => damage.rest.push(bad),
        }
    };
    let table_of = |member: &Member| match numbers.get(&member.offset) {
        Some((_, Holds::Rows { table, .. })) => Some(name(&manifest.tables[*table])),
        _ => None,
    };
    let archive = stored.archive();
    let (there, gone): (Vec<Member>, Vec<Member>) =
        members.into_iter().partition(|member| stored.holds(member));
    for member in gone {
        note(member, stored.cut_short());
    }
    for members in runs(&there, RUN) {
        let mut sound = 0;
        let mut run = archive.run(members.clone());
        while let Some(member) = members.get(sound)
            && read(&mut run, table_of(member).as_ref()).await?.is_ok()
        {
            sound += 1;
            progress.add(member.length);
        }
        // Behind the first that is damaged, each by itself.
        for &member in &members[sound..] {
            let table = table_of(&member);
            if let Err(what) = twice(&archive, member, table.as_ref()).await? {
                note(member, what);
            }
            progress.add(member.length);
        }
    }
    Ok(damage)
}

async fn twice(
    archive: &Archive,
    member: Member,
    table: Option<&TableName>,
) -> Result<Result<(), String>, MemberError> {
    let first = read(&mut archive.run(vec![member]), table).await?;
    if first.is_ok() {
        return Ok(first);
    }
    read(&mut archive.run(vec![member]), table).await
}

/// Reads the next member of a run: whether it is what the manifest says, or why not.
async fn read(run: &mut Run, table: Option<&TableName>) -> Result<Result<(), String>, MemberError> {
    match read_member(run, table).await {
        Ok(read) => Ok(read),
        // Without the address and the place, which are said already.
        Err(MemberError::Damaged { source, .. }) => Ok(Err(source.to_string())),
        Err(MemberError::Different { what, .. }) => Ok(Err(format!("it {what}"))),
        Err(error) => Err(error),
    }
}

async fn read_member(
    run: &mut Run,
    table: Option<&TableName>,
) -> Result<Result<(), String>, MemberError> {
    let Some(member) = run.next() else { return Ok(Ok(())) };
    let Some(table) = table else {
        while run.piece().await?.is_some() {}
        return Ok(Ok(()));
    };
    let (mut framing, mut begun, mut rows) = (Framing::default(), false, 0);
    while let Some(piece) = run.piece().await? {
        let mut piece = piece;
        if !begun {
            match framing.begin(piece) {
                Ok(None) => continue,
                Ok(Some((header, rest))) => {
                    if let Err(what) = belongs(&header, table) {
                        return Ok(Err(what));
                    }
                    (begun, piece) = (true, rest);
                }
                Err(error) => return Ok(Err(format!("it {error}"))),
            }
        }
        let (held, now) = framing.rows(piece);
        rows += (memchr_iter(b'\n', &held).count() + memchr_iter(b'\n', now).count()) as u64;
    }
    Ok(match framing.finish() {
        Err(error) => Err(format!("it {error}")),
        Ok(()) if rows != member.rows => {
            Err(format!("it has {rows} rows instead of {}", member.rows))
        }
        Ok(()) => Ok(()),
    })
}
