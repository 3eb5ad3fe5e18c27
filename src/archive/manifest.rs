//! The manifest: what a backup holds and where. Its presence is the commit.
//!
//! Readers ignore fields that they do not know, and refuse a format that they
//! do not know. No host, user or password stands in it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::visible::visible;

/// The format that this version writes and reads.
pub const FORMAT: &str = "reliquary/1";

/// The largest manifest that is read, in bytes; one of a terabyte has about 40 MB.
pub const LIMIT: u64 = 256 * 1024 * 1024;

/// One backup, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`]
    pub format: String,
    /// The backup's id.
    pub id: String,
    /// Name of the database in the configuration.
    pub database: String,
    /// Scheduled or manual.
    pub kind: Kind,
    /// When the backup began.
    pub started: DateTime<Utc>,
    /// When its last byte was stored.
    pub finished: DateTime<Utc>,
    /// The archive that it describes.
    pub archive: Archive,
    /// Rows of all tables.
    pub rows: u64,
    /// The database that was backed up.
    pub source: Source,
    /// What made the backup.
    pub tool: Tool,
    /// What `pg_dump` warned of, and what preflight did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What the configuration left out.
    #[serde(default, skip_serializing_if = "Excluded::is_empty")]
    pub excluded: Excluded,
    /// Every table whose rows the archive holds, in the order of the archive.
    pub tables: Vec<Table>,
    /// Everything else, in the order of the archive.
    pub sections: Sections,
}

/// Who asked for the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The schedule.
    Scheduled,
    /// A person; kept until a person deletes it.
    Manual,
}

impl Kind {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
        }
    }

    /// A backup's id as a command takes it: one alone means a scheduled backup.
    #[must_use]
    pub fn named(self, id: &impl std::fmt::Display) -> String {
        match self {
            Self::Scheduled => id.to_string(),
            Self::Manual => format!("{}/{id}", self.name()),
        }
    }
}

/// The archive's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Key in the store.
    pub key: String,
    /// Size, in bytes.
    pub bytes: u64,
    /// SHA-256 of the bytes, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Size when decompressed, in bytes.
    pub uncompressed_bytes: u64,
}

/// The database that was backed up, as its snapshot saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// As in `SHOW server_version`.
    pub server_version: String,
    /// As in `SHOW server_version_num`.
    pub server_version_num: u32,
    /// Name of the database on its server.
    pub database: String,
    /// Its encoding.
    pub encoding: String,
    /// Identifies the cluster, where the role may read it.
    pub system_identifier: Option<String>,
    /// Position in the write-ahead log at the snapshot.
    pub lsn: Option<String>,
    /// When the snapshot was taken, by the server's clock.
    pub snapshot_at: DateTime<Utc>,
    /// Extensions that a target must have.
    pub extensions: Vec<Extension>,
    /// Roles that the dump refers to.
    pub roles: Vec<String>,
}

/// An extension of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The schema of its objects.
    pub schema: String,
}

/// What made the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Reliquary's version.
    pub version: String,
    /// What `pg_dump --version` says.
    pub pg_dump: String,
    /// The options it was given, in the same order for each section.
    pub options: Vec<String>,
}

/// What the configuration left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// Schemas that are not in the archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// Tables that are not in the archive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<ExcludedTable>,
    /// Tables whose definition is in the archive, without rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub table_data: Vec<ExcludedTable>,
}

impl Excluded {
    /// Whether nothing was left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.schemas.is_empty() && self.tables.is_empty() && self.table_data.is_empty()
    }
}

/// A table that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

/// A table whose rows the archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Columns in the order of the data.
    pub columns: Vec<String>,
    /// Rows, counted in the archive's own text.
    pub rows: u64,
    /// Size of its members when decompressed, in bytes.
    pub bytes: u64,
    /// Where they are.
    pub members: Vec<Member>,
}

/// The members that hold statements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sections {
    /// Definitions that data need.
    pub pre_data: Vec<Member>,
    /// What the data section holds beside rows: sequence values, large objects.
    /// One text in several members, to be read in order by one session: a large
    /// object may begin in one member and end in another.
    pub data: Vec<Member>,
    /// Definitions that come after the data.
    pub post_data: Vec<Member>,
}

/// A gzip member of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where it begins, in bytes from the archive's start.
    pub offset: u64,
    /// Its length, in bytes.
    pub length: u64,
    /// The length of its text, in bytes.
    pub uncompressed: u64,
    /// Rows of its text; 0 for statements.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rows: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(rows: &u64) -> bool {
    *rows == 0
}

/// A manifest that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is no manifest.
    #[error("read the manifest: {}", visible(&.0.to_string()))]
    Malformed(#[from] serde_json::Error),
    /// Another version wrote it.
    #[error(
        "read the manifest: its format is {found:?}, and Reliquary {} reads {FORMAT:?}; \
         use the version that wrote it, or a newer one",
        env!("CARGO_PKG_VERSION")
    )]
    UnknownFormat {
        /// What it calls its format.
        found: String,
    },
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// When it is no manifest, or one of a format that this version does not know.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let head: Head = serde_json::from_slice(bytes)?;
        if head.format != FORMAT {
            return Err(ManifestError::UnknownFormat { found: head.format });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The bytes that are stored: pretty-printed, with a newline at the end.
    ///
    /// # Errors
    /// Never in practice: every field can be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Every member, in the order of the archive.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let sections = &self.sections;
        let statements = [&sections.pre_data, &sections.data, &sections.post_data];
        let mut members: Vec<Member> = statements.into_iter().flatten().copied().collect();
        members.extend(self.tables.iter().flat_map(|table| &table.members));
        members.sort_by_key(|member| member.offset);
        members
    }
}
