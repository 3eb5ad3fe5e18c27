//! `<archive>.sha256` and `LATEST.sha256`, in the format of `sha256sum`.

use std::fmt;

/// A line that `sha256sum -c` checks in the folder of the file it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Name of the file, without a folder.
    pub file: String,
}

/// A checksum file that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read a checksum file: expected \"<64 hexadecimal digits>  <file name>\"")]
pub struct ChecksumError;

impl Checksum {
    /// Reads the one line of a checksum file.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, ChecksumError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let (sha256, file) = line.split_at_checked(64).ok_or(ChecksumError)?;
        // The second character says text or binary mode; both mean the same here.
        let file = file.strip_prefix("  ").or_else(|| file.strip_prefix(" *"));
        let file = file.filter(|file| !file.is_empty() && !file.contains(['/', '\n']));
        if !is_sha256(sha256) {
            return Err(ChecksumError);
        }
        let file = file.ok_or(ChecksumError)?.to_owned();
        Ok(Self { sha256: sha256.to_owned(), file })
    }
}

/// The hash that a checksum file of any tool begins with, in lower-case digits:
/// alone or before a name or a path, with any line end.
#[must_use]
pub fn leading_sha256(text: &str) -> Option<String> {
    // A byte order mark, or the backslash that stands before an escaped name.
    let text = text.trim_start_matches(['\u{feff}', '\\']).trim_start();
    let (sha256, rest) = text.split_at_checked(64)?;
    let sha256 = sha256.to_ascii_lowercase();
    let ends = !rest.starts_with(|next: char| next.is_alphanumeric());
    (ends && is_sha256(&sha256)).then_some(sha256)
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.sha256, self.file)
    }
}

/// Whether a text is a SHA-256 as we write it.
#[must_use]
fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Lower-case hexadecimal digits.
#[must_use]
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let checksum = Checksum { sha256: "ab".repeat(32), file: "x.sql.gz".into() };
        assert_eq!(Checksum::parse(&checksum.to_string()), Ok(checksum.clone()));
        assert_eq!(Checksum::parse(checksum.to_string().trim_end()), Ok(checksum));
    }

    #[test]
    fn the_hash_of_any_tool_is_read() {
        let hash = "ab".repeat(32);
        for text in [
            hash.clone(),
            format!("{hash}\r\n"),
            format!("{hash}  -\n"),
            format!("{hash}  /tmp/backup.sql.gz\n"),
            format!("{hash} *x.sql.gz\r\n"),
            format!("\\{hash}  a\\nb\n"),
            format!("\u{feff}{}  x\n", hash.to_uppercase()),
        ] {
            assert_eq!(leading_sha256(&text).as_ref(), Some(&hash), "{text:?}");
        }
        for text in ["", "ab", &hash[1..], &format!("{hash}ab  x"), &"zz".repeat(32)] {
            assert_eq!(leading_sha256(text), None, "{text:?}");
        }
    }

    #[test]
    fn torn_and_foreign_lines_are_refused() {
        let hash = "ab".repeat(32);
        for text in [
            String::new(),
            "ab".into(),
            hash.clone(),
            format!("{hash}  "),
            format!("{hash}  a/b"),
            format!("{}  x", "zz".repeat(32)),
            format!("{hash}  x\ny"),
        ] {
            assert_eq!(Checksum::parse(&text), Err(ChecksumError), "{text:?}");
        }
    }
}
