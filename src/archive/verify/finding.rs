//! What can be wrong with a stored archive, named exactly.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::visible::visible;

/// One thing that is not as it should be. Offsets, lengths and sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "damage", rename_all = "snake_case")]
pub enum Finding {
    /// The manifest is there and the archive is not.
    ArchiveMissing,
    /// The manifest cannot be read.
    ManifestUnreadable {
        /// Why.
        detail: String,
    },
    /// The manifest is another backup's.
    ManifestOfAnother {
        /// The id, kind or key that its name says.
        expected: String,
        /// What it says itself.
        found: String,
    },
    /// The members that the manifest names do not make an archive.
    ManifestMembers {
        /// How.
        detail: String,
    },
    /// A number of the manifest is not the sum of its parts.
    ManifestSum {
        /// What was counted.
        what: String,
        /// What its parts make.
        expected: u64,
        /// What the manifest says.
        found: u64,
    },
    /// The archive is longer or shorter than it was.
    Size {
        /// What the manifest says.
        expected: u64,
        /// What the store holds.
        found: u64,
    },
    /// The archive's bytes are not those that were hashed.
    Sha256 {
        /// What the manifest or the checksum says.
        expected: String,
        /// What the bytes have.
        found: String,
    },
    /// The archive says in its first header that it is another one.
    Mark {
        /// What it should say.
        expected: String,
        /// What it says; `None` where it says nothing.
        found: Option<String>,
    },
    /// One member.
    Member {
        /// Its number in the archive, from 1.
        number: usize,
        /// What it holds: `rows of public.donation`.
        holds: String,
        /// Where it begins.
        offset: u64,
        /// How long it is.
        length: u64,
        /// What is wrong with it.
        #[serde(flatten)]
        problem: Problem,
    },
    /// Members behind the archive's end.
    MembersMissing {
        /// The first one's number.
        first: usize,
        /// The last one's.
        last: usize,
        /// What the first one holds.
        holds: String,
        /// Where it would begin.
        offset: u64,
    },
    /// A section's script does not end as `pg_dump` ends it.
    SectionEnd {
        /// Which section.
        section: String,
    },
    /// A legacy archive, or one whose manifest is of no use, is no gzip from some place on.
    Gzip {
        /// Which of its members, from 1.
        number: u64,
        /// Where that begins.
        offset: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// Bytes after the last member.
    Trailing {
        /// Where they begin.
        offset: u64,
        /// How many there are.
        bytes: u64,
    },
    /// More of the same that are not listed.
    More {
        /// How many.
        count: u64,
    },
    /// What a later version found.
    #[serde(other)]
    Other,
}

/// What is wrong with a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// It is no whole gzip member, or not only one.
    Gzip {
        /// In which way.
        detail: String,
    },
    /// Its text has another length.
    TextLength {
        /// What the manifest says.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// It is another table's, or has other columns.
    Copy {
        /// What the manifest says.
        expected: String,
        /// What it begins with.
        found: String,
    },
    /// Its text is no whole COPY, or no whole statements.
    Text {
        /// In which way.
        detail: String,
    },
    /// It holds another number of rows.
    Rows {
        /// What the manifest says.
        expected: u64,
        /// What it holds.
        found: u64,
    },
    /// Its gzip header is not the one that Reliquary writes; its text is whole.
    Header,
    /// What a later version found.
    #[serde(other)]
    Other,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ArchiveMissing => f.write_str("the archive is gone; only its manifest is left"),
            Self::ManifestUnreadable { detail } => {
                write!(f, "the manifest cannot be used: {}", visible(detail))
            }
            Self::ManifestOfAnother { expected, found } => {
                write!(
                    f,
                    "the manifest is another backup's: it says {}, and stands at {}",
                    visible(found),
                    visible(expected)
                )
            }
            Self::ManifestMembers { detail } => {
                write!(f, "the manifest was changed: {}", visible(detail))
            }
            Self::ManifestSum { what, expected, found } => write!(
                f,
                "the manifest was changed: it says {found} {}, and its parts make {expected}",
                visible(what)
            ),
            Self::Size { expected, found } => {
                write!(f, "the archive has {found} bytes, and had {expected}")
            }
            Self::Sha256 { expected, found } => {
                write!(
                    f,
                    "the archive's SHA-256 is {}, and was {}",
                    visible(found),
                    visible(expected)
                )
            }
            Self::Mark { expected, found: Some(found) } => write!(
                f,
                "another archive stands in its place: it calls itself {found:?}, and should {expected:?}",
            ),
            Self::Mark { expected, found: None } => write!(
                f,
                "something else stands in its place: it does not call itself {expected:?}"
            ),
            Self::Member { number, holds, offset, length, problem } => write!(
                f,
                "member {number} ({}), bytes {offset} to {}: {problem}",
                visible(holds),
                offset.saturating_add(*length)
            ),
            Self::MembersMissing { first, last, holds, offset } => write!(
                f,
                "the members {first} to {last} are gone: the archive ends before byte {offset}, \
                 where member {first} ({}) begins",
                visible(holds)
            ),
            Self::SectionEnd { section } => {
                write!(f, "the {} section does not end as pg_dump ends it", visible(section))
            }
            Self::Gzip { number, offset, detail } => {
                write!(f, "gzip member {number}, at byte {offset}: {}", visible(detail))
            }
            Self::Trailing { offset, bytes } => {
                write!(f, "{bytes} bytes follow the last gzip member, from byte {offset} on")
            }
            Self::More { count } => write!(f, "and {count} more"),
            Self::Other => f.write_str("something that this version does not know"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip { detail } | Self::Text { detail } => f.write_str(&visible(detail)),
            Self::TextLength { expected, found } => {
                write!(f, "its text has {found} bytes, and had {expected}")
            }
            Self::Copy { expected, found } => {
                write!(f, "it holds {}, and should hold {}", visible(found), visible(expected))
            }
            Self::Rows { expected, found } => {
                write!(f, "it holds {found} rows, and the manifest says {expected}")
            }
            Self::Header => f.write_str("its gzip header was changed; the text it holds is whole"),
            Self::Other => f.write_str("something that this version does not know"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_read_as_it_is_written_and_one_of_a_later_version_is_no_error() {
        let problem = Problem::Rows { expected: 3, found: 2 };
        let holds = "rows of public.donation".to_owned();
        let finding = Finding::Member { number: 7, holds, offset: 100, length: 50, problem };
        let json = serde_json::to_string(&finding).unwrap();
        assert_eq!(
            json,
            r#"{"damage":"member","number":7,"holds":"rows of public.donation","offset":100,"#
                .to_owned()
                + r#""length":50,"problem":"rows","expected":3,"found":2}"#
        );
        assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), finding);
        assert_eq!(
            finding.to_string(),
            "member 7 (rows of public.donation), bytes 100 to 150: it holds 2 rows, and the \
             manifest says 3"
        );
        let later = r#"{"damage":"rust","number":7}"#;
        assert_eq!(serde_json::from_str::<Finding>(later).unwrap(), Finding::Other);
    }
}
