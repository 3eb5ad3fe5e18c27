//! Puts together what the threads found.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    FINDINGS,
    finding::{Finding, Problem},
    outcome::Outcome,
    text::{is_complete, keep_tail, told},
};
use crate::{
    archive::{
        manifest::Manifest,
        map::{Holds, Place},
    },
    postgres::Section,
};

/// What was found of the members.
pub(super) struct Collected {
    manifest: Arc<Manifest>,
    /// How many there were.
    pub(super) members: u64,
    /// Length of their text, in bytes.
    pub(super) dump_bytes: u64,
    /// Their rows.
    pub(super) rows: u64,
    /// What the first one says of the archive.
    pub(super) mark: Option<String>,
    /// Damaged members by number, at most [`FINDINGS`].
    damaged: BTreeMap<usize, Finding>,
    /// Damaged ones beyond these.
    more: u64,
    /// Whole ones whose header is not ours, at most [`FINDINGS`].
    foreign_headers: BTreeMap<usize, Finding>,
    missing: Option<Finding>,
    /// How the last two members of each section end.
    tails: BTreeMap<&'static str, BTreeMap<usize, Vec<u8>>>,
    /// Numbers of the last members of the sections.
    last: BTreeMap<&'static str, usize>,
}

impl Collected {
    pub(super) fn of(manifest: Arc<Manifest>) -> Self {
        Self {
            manifest,
            members: 0,
            dump_bytes: 0,
            rows: 0,
            mark: None,
            damaged: BTreeMap::new(),
            more: 0,
            foreign_headers: BTreeMap::new(),
            missing: None,
            tails: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// Notes what became of a member; they come in any order.
    pub(super) fn add(&mut self, outcome: Outcome) {
        let Outcome { place, dump_bytes, ours, held } = outcome;
        self.members += 1;
        self.dump_bytes += dump_bytes;
        match held {
            Ok(held) => {
                self.rows += held.rows;
                if let Holds::Statements { section, last } = place.holds {
                    self.note_tail(section, last, place.number, held.tail);
                }
                if !ours && self.foreign_headers.len() < FINDINGS {
                    let finding = self.member(place, Problem::Header);
                    self.foreign_headers.insert(place.number, finding);
                }
            }
            Err(problem) => {
                let finding = self.member(place, problem);
                self.damaged.insert(place.number, finding);
                if self.damaged.len() > FINDINGS {
                    self.damaged.pop_last();
                    self.more += 1;
                }
            }
        }
    }

    /// Notes that the archive ended before a member.
    pub(super) fn missing(&mut self, first: Place, last: usize) {
        self.missing = Some(Finding::MembersMissing {
            first: first.number,
            last,
            holds: told(&first.content(&self.manifest.tables)),
            offset: first.member.offset,
        });
    }

    fn member(&self, place: Place, problem: Problem) -> Finding {
        let holds = told(&place.content(&self.manifest.tables));
        let (offset, length) = (place.member.offset, place.member.length);
        Finding::Member { number: place.number, holds, offset, length, problem }
    }

    fn note_tail(&mut self, section: Section, last: bool, number: usize, tail: Vec<u8>) {
        if last {
            self.last.insert(section.name(), number);
        }
        let tails = self.tails.entry(section.name()).or_default();
        tails.insert(number, tail);
        if tails.len() > 2 {
            tails.pop_first();
        }
    }

    /// What is wrong, in the order of the archive. `bytes_differ` says that the
    /// archive is not the one that was hashed.
    pub(super) fn findings(self, bytes_differ: bool) -> Vec<Finding> {
        let mut damaged = self.damaged;
        if bytes_differ {
            // Nothing guards a header but the archive's own hash.
            for (number, finding) in self.foreign_headers {
                damaged.entry(number).or_insert(finding);
            }
        }
        let mut findings: Vec<Finding> = damaged.into_values().take(FINDINGS).collect();
        if self.more > 0 {
            findings.push(Finding::More { count: self.more });
        }
        findings.extend(self.missing);
        for section in Section::ALL {
            // A member may end just before the closing line, or in the middle
            // of what follows it; a damaged one has said so itself.
            let Some(number) = self.last.get(section.name()) else { continue };
            let mut end = Vec::new();
            for tail in
                self.tails.get(section.name()).into_iter().flat_map(|tails| tails.range(..=number))
            {
                keep_tail(&mut end, tail.1);
            }
            if !is_complete(&end) {
                findings.push(Finding::SectionEnd { section: section.name().to_owned() });
            }
        }
        findings
    }
}
