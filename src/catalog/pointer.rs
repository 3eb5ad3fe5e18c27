//! `LATEST.txt` and `LATEST.sha256`: a convenience for people and old scripts.
//!
//! The truth is the newest manifest. The pointer only ever moves forward; one
//! that is behind, torn, or names an archive that is not there or is dated in the
//! future is put right.

use std::fmt;

use super::{id::BackupId, key::Layout};
use crate::archive::Checksum;

/// What the pointer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Line 1 of `LATEST.txt`.
    pub id: BackupId,
    /// Line 2: the archive's address.
    pub uri: String,
    /// Line 3, and the checksum of `LATEST.sha256`.
    pub sha256: String,
}

/// A `LATEST.txt` that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read LATEST.txt: expected three lines: a timestamp, an address, a SHA-256")]
pub struct PointerError;

impl Pointer {
    /// Reads `LATEST.txt`.
    ///
    /// # Errors
    /// When it is anything else than three such lines.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let lines: Vec<&str> = text.trim_end().split('\n').map(str::trim_end).collect();
        let [id, uri, sha256] = lines[..] else { return Err(PointerError) };
        let id = id.parse().map_err(|_| PointerError)?;
        Checksum::parse(&format!("{sha256}  x")).map_err(|_| PointerError)?;
        Ok(Self { id, uri: uri.to_owned(), sha256: sha256.to_owned() })
    }

    /// What `LATEST.sha256` holds.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        Checksum { sha256: self.sha256.clone(), file: Layout::file_name(self.id) }
    }
}

impl fmt::Display for Pointer {
    /// What `LATEST.txt` holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.id, self.uri, self.sha256)
    }
}

/// The pointer's two objects as they are stored; `None` for one that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// `LATEST.txt`
    pub text: Option<String>,
    /// `LATEST.sha256`
    pub checksum: Option<String>,
}

/// What the pointer must be made to say, or `None` where it may stay as it is.
///
/// `newest` is the newest good scheduled backup. `exists` says whether an
/// archive of that id is in the catalog, legacy ones included: while an old
/// workflow still runs beside us its newer archive keeps the pointer.
#[must_use]
pub fn next(
    stored: &Stored,
    newest: &Pointer,
    exists: impl Fn(BackupId) -> bool,
) -> Option<Pointer> {
    let text = stored.text.as_deref().and_then(|text| Pointer::parse(text).ok());
    let checksum = stored.checksum.as_deref().and_then(|text| Checksum::parse(text).ok());
    let Some(current) = text else { return Some(newest.clone()) };
    if current.id > newest.id && exists(current.id) {
        // Ahead of us, and true. Only its other half may be torn.
        return (checksum != Some(current.checksum())).then_some(current);
    }
    let whole = &current == newest && checksum == Some(newest.checksum());
    (!whole).then(|| newest.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pointer(hour: u32) -> Pointer {
        let id: BackupId = format!("2026-11-23T{hour:02}-00-00Z").parse().unwrap();
        let uri = format!("s3://bucket/database/2026/11/{id}.sql.gz");
        Pointer { id, uri, sha256: format!("{hour:064x}") }
    }

    fn stored(text: &Pointer, checksum: &Pointer) -> Stored {
        Stored { text: Some(text.to_string()), checksum: Some(checksum.checksum().to_string()) }
    }

    #[test]
    fn a_pointer_is_read_as_it_is_written() {
        let pointer = pointer(14);
        assert_eq!(Pointer::parse(&pointer.to_string()), Ok(pointer.clone()));
        assert_eq!(
            pointer.checksum().to_string(),
            format!("{:064x}  2026-11-23T14-00-00Z.sql.gz\n", 14)
        );
    }

    #[test]
    fn a_pointer_that_is_behind_missing_or_torn_is_put_right() {
        let newest = pointer(14);
        let cases = [
            Stored::default(),
            stored(&pointer(13), &pointer(13)),
            stored(&newest, &pointer(13)),
            stored(&pointer(13), &newest),
            Stored { text: Some(newest.to_string()), checksum: None },
            Stored { text: Some(newest.to_string()[..30].to_owned()), checksum: None },
            Stored { text: Some(String::new()), ..stored(&newest, &newest) },
            // It names an archive that is not there.
            stored(&pointer(15), &pointer(15)),
        ];
        for case in cases {
            assert_eq!(
                next(&case, &newest, |id| id == newest.id),
                Some(newest.clone()),
                "{case:?}"
            );
        }
        assert_eq!(next(&stored(&newest, &newest), &newest, |_| true), None);
    }

    #[test]
    fn a_pointer_ahead_of_us_stays() {
        let (newest, ahead) = (pointer(14), pointer(15));
        assert_eq!(next(&stored(&ahead, &ahead), &newest, |_| true), None);
        assert_eq!(next(&stored(&ahead, &newest), &newest, |_| true), Some(ahead));
    }

    proptest! {
        #[test]
        fn a_pointer_never_moves_back_and_settles(
            text in 0_u32..24, checksum in 0_u32..24, newest in 0_u32..24, torn in 0_usize..160
        ) {
            let whole = pointer(text).to_string();
            let before = Stored {
                text: Some(whole[..whole.len().saturating_sub(torn)].to_owned()),
                checksum: Some(pointer(checksum).checksum().to_string()),
            };
            let newest = pointer(newest);
            let Some(after) = next(&before, &newest, |_| true) else { return Ok(()) };
            prop_assert!(after.id >= newest.id);
            if torn == 0 {
                prop_assert!(after.id >= pointer(text).id);
            }
            prop_assert_eq!(next(&stored(&after, &after), &newest, |_| true), None);
        }
    }
}
