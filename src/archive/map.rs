//! What stands where in an archive, as its manifest says.

use std::collections::HashMap;

use super::manifest::{Manifest, Member, Table};
use crate::postgres::Section;

/// Every member of an archive, in the order of the archive, without gap or overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    places: Vec<Place>,
}

/// A member and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number in the archive, from 1.
    pub number: usize,
    /// Where it is.
    pub member: Member,
    /// What it holds.
    pub holds: Holds,
}

/// What a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Statements of a section; for [`Section::Data`], all that is not a COPY.
    Statements {
        /// The section.
        section: Section,
        /// Whether it is the section's last member.
        last: bool,
    },
    /// Rows of a table.
    Rows {
        /// Index of the table in [`Manifest::tables`].
        table: usize,
        /// Which of the table's members it is, from 1.
        nth: usize,
    },
}

/// A manifest whose members do not make an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// It has no members at all.
    #[error("the manifest names no members")]
    Empty,
    /// Bytes that belong to no member.
    #[error("by the manifest, the bytes {from} to {to} of the archive belong to no member")]
    Gap {
        /// Where they begin.
        from: u64,
        /// Where the next member begins, or the archive ends.
        to: u64,
    },
    /// Bytes that belong to two members, or lie behind the archive's end.
    #[error("by the manifest, a member begins at byte {offset}, before the one before it ends")]
    Overlap {
        /// Where the second of the two begins.
        offset: u64,
    },
    /// A member reaches behind the archive's end.
    #[error(
        "by the manifest, the last member ends at byte {end}, and the archive at byte {archive}"
    )]
    Beyond {
        /// Where the last member ends.
        end: u64,
        /// The archive's size, in bytes.
        archive: u64,
    },
    /// A member that is too short to be one.
    #[error("by the manifest, the member at byte {offset} has {length} bytes, too few for one")]
    TooShort {
        /// Where it begins.
        offset: u64,
        /// Its length, in bytes.
        length: u64,
    },
    /// Members of sections that do not follow one another.
    #[error("by the manifest, the member at byte {offset} stands outside its section")]
    Order {
        /// Where it begins.
        offset: u64,
    },
}

/// A number of a manifest that is not the sum of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongSum {
    /// What was counted: `rows of public.donation`.
    pub what: String,
    /// What the manifest says.
    pub said: u64,
    /// What its parts make.
    pub parts: u64,
}

/// The least that a gzip member can have: header, an empty stream, its end; in bytes.
const SHORTEST: u64 = 20;

impl Map {
    /// The map of an archive.
    ///
    /// # Errors
    /// When the members that the manifest names do not follow one another from
    /// the archive's first byte to its last, section after section.
    pub fn of(manifest: &Manifest) -> Result<Self, MapError> {
        let mut places = Vec::new();
        let sections = &manifest.sections;
        for (section, members) in [
            (Section::PreData, &sections.pre_data),
            (Section::Data, &sections.data),
            (Section::PostData, &sections.post_data),
        ] {
            places.extend(members.iter().enumerate().map(|(at, &member)| {
                let last = at + 1 == members.len();
                Place { number: 0, member, holds: Holds::Statements { section, last } }
            }));
        }
        for (table, what) in manifest.tables.iter().enumerate() {
            places.extend(what.members.iter().enumerate().map(|(at, &member)| Place {
                number: 0,
                member,
                holds: Holds::Rows { table, nth: at + 1 },
            }));
        }
        // Stable: of two at one place, which overlap, the order does not matter.
        places.sort_by_key(|place| place.member.offset);
        for (at, place) in places.iter_mut().enumerate() {
            place.number = at + 1;
        }
        tiles(&places, manifest.archive.bytes)?;
        in_order(&places)?;
        Ok(Self { places })
    }

    /// Every member, in the order of the archive.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The member that holds a byte of the archive; `None` behind its end.
    #[must_use]
    pub fn at(&self, offset: u64) -> Option<&Place> {
        let after = self.places.partition_point(|place| place.member.offset <= offset);
        let place = after.checked_sub(1).and_then(|at| self.places.get(at))?;
        (offset < place.end()).then_some(place)
    }
}

impl Place {
    /// Where it ends, in bytes from the archive's start.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.member.offset.saturating_add(self.member.length)
    }

    /// What it holds, in words: `rows of public.donation`.
    #[must_use]
    pub fn content(&self, tables: &[Table]) -> String {
        match self.holds {
            Holds::Statements { section, .. } => format!("statements of {}", section.name()),
            Holds::Rows { table, .. } => match tables.get(table) {
                Some(table) => format!("rows of {}.{}", table.schema, table.name),
                None => "rows".to_owned(),
            },
        }
    }
}

/// Whether the members follow one another from the first byte to the last.
fn tiles(places: &[Place], archive: u64) -> Result<(), MapError> {
    let mut end = 0;
    for place in places {
        let Member { offset, length, .. } = place.member;
        if offset > end {
            return Err(MapError::Gap { from: end, to: offset });
        }
        if offset < end {
            return Err(MapError::Overlap { offset });
        }
        if length < SHORTEST {
            return Err(MapError::TooShort { offset, length });
        }
        end = place.end();
    }
    match end {
        0 => Err(MapError::Empty),
        end if end < archive => Err(MapError::Gap { from: end, to: archive }),
        end if end > archive => Err(MapError::Beyond { end, archive }),
        _ => Ok(()),
    }
}

/// Whether pre-data, data and post-data stand in that order.
fn in_order(places: &[Place]) -> Result<(), MapError> {
    let rank = |place: &Place| match place.holds {
        Holds::Statements { section: Section::PreData, .. } => 0,
        Holds::Statements { section: Section::Data, .. } | Holds::Rows { .. } => 1,
        Holds::Statements { section: Section::PostData, .. } => 2,
    };
    let mut written: HashMap<usize, usize> = HashMap::new();
    for (at, place) in places.iter().enumerate() {
        let offset = place.member.offset;
        if at > 0 && rank(&places[at - 1]) > rank(place) {
            return Err(MapError::Order { offset });
        }
        if let Holds::Rows { table, nth: this } = place.holds {
            // The members of a table stand in its order, perhaps with another
            // table's between them.
            let before = written.entry(table).or_default();
            if this != *before + 1 {
                return Err(MapError::Order { offset });
            }
            *before = this;
        }
    }
    Ok(())
}

/// What a manifest says of the whole and is not the sum of what it says of the parts.
#[must_use]
pub fn wrong_sums(manifest: &Manifest) -> Vec<WrongSum> {
    let mut wrong = Vec::new();
    let mut compare = |what: String, said: u64, parts: u64| {
        if said != parts {
            wrong.push(WrongSum { what, said, parts });
        }
    };
    for table in &manifest.tables {
        let name = format!("{}.{}", table.schema, table.name);
        let rows = total(table.members.iter().map(|member| member.rows));
        compare(format!("rows of {name}"), table.rows, rows);
        let bytes = total(table.members.iter().map(|member| member.uncompressed));
        compare(format!("bytes of text of {name}"), table.bytes, bytes);
    }
    let rows = total(manifest.tables.iter().map(|table| table.rows));
    compare("rows".to_owned(), manifest.rows, rows);
    let text = total(manifest.members().iter().map(|member| member.uncompressed));
    compare("bytes of text".to_owned(), manifest.archive.uncompressed_bytes, text);
    wrong
}

/// A sum that a made-up manifest cannot overflow.
fn total(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
