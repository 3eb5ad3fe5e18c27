//! The header of a gzip member (RFC 1952): what ours looks like, and how any is read.

/// Fixed part of a member's header: magic, deflate, flags, no time, no extra
/// flags, unknown system.
const FIXED: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Where the flags are.
const FLAGS: usize = 3;

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
/// Flags that RFC 1952 keeps free; where one is set, nobody can say what follows.
const RESERVED: u8 = 0b1110_0000;

/// The longest header that is read, in bytes: an extra field may have 64 KiB,
/// a file name and a comment should not.
const LIMIT: usize = 128 * 1024;

/// What the beginning of a member says of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// It is whole, and has this many bytes.
    Whole(usize),
    /// It goes on after these bytes.
    Cut,
    /// It is none.
    Bad,
}

/// Appends a header, with a comment where one is given. The comment holds no
/// NUL byte.
pub(super) fn write(out: &mut Vec<u8>, comment: Option<&str>) {
    let start = out.len();
    out.extend_from_slice(&FIXED);
    if let Some(comment) = comment {
        out[start + FLAGS] = FCOMMENT;
        out.extend_from_slice(comment.as_bytes());
        out.push(0);
    }
}

/// Reads the header at the beginning of a member.
#[must_use]
pub(super) fn read(bytes: &[u8]) -> Header {
    let magic = bytes.len().min(FLAGS);
    if bytes[..magic] != FIXED[..magic] {
        return Header::Bad;
    }
    let Some(&flags) = bytes.get(FLAGS) else { return Header::Cut };
    if flags & RESERVED != 0 {
        return Header::Bad;
    }
    match end(bytes, flags) {
        Some(end) if end > LIMIT => Header::Bad,
        Some(end) if flags & FHCRC == 0 => Header::Whole(end),
        Some(end) => match bytes.get(end..end + 2) {
            None => Header::Cut,
            // The two lower bytes of the CRC-32 of what came before.
            Some(crc) if *crc == crc32fast::hash(&bytes[..end]).to_le_bytes()[..2] => {
                Header::Whole(end + 2)
            }
            Some(_) => Header::Bad,
        },
        None if bytes.len() > LIMIT => Header::Bad,
        None => Header::Cut,
    }
}

/// Where the header ends, without its checksum; `None` where that is further on.
fn end(bytes: &[u8], flags: u8) -> Option<usize> {
    let mut end = FIXED.len();
    if flags & FEXTRA != 0 {
        let length = bytes.get(end..end + 2)?;
        end += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for text in [FNAME, FCOMMENT] {
        if flags & text != 0 {
            end += memchr::memchr(0, bytes.get(end..)?)? + 1;
        }
    }
    (bytes.len() >= end).then_some(end)
}

/// The comment in the header of the first member of `bytes`, where there is one.
/// The bytes need not hold the whole member.
#[must_use]
pub fn comment(bytes: &[u8]) -> Option<&str> {
    let (fixed, rest) = bytes.split_at_checked(FIXED.len())?;
    // Ours has a comment and nothing before it.
    let ours = fixed[..FLAGS] == FIXED[..FLAGS] && fixed[FLAGS] == FCOMMENT;
    let end = memchr::memchr(0, rest).filter(|_| ours)?;
    std::str::from_utf8(&rest[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = FIXED.to_vec();
        bytes[FLAGS] = flags;
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn every_kind_of_header_is_measured_and_one_that_is_cut_waits() {
        let mut checked = header(FHCRC | FNAME, b"x.sql\0");
        checked.extend_from_slice(&crc32fast::hash(&checked).to_le_bytes()[..2]);
        for whole in [
            header(0, b""),
            header(FNAME, b"x.sql\0"),
            header(FCOMMENT, b"reliquary/1 x\0"),
            header(FEXTRA | FNAME | FCOMMENT, b"\x03\0abcname\0comment\0"),
            checked,
        ] {
            for length in 0..whole.len() {
                assert_eq!(read(&whole[..length]), Header::Cut, "{length} of {whole:?}");
            }
            let mut with_more = whole.clone();
            with_more.extend_from_slice(b"\x03\0");
            assert_eq!(read(&whole), Header::Whole(whole.len()));
            assert_eq!(read(&with_more), Header::Whole(whole.len()));
        }
    }

    #[test]
    fn what_is_no_header_is_none_at_once() {
        let endless = header(FNAME, &vec![b'x'; LIMIT]);
        let wrong_crc = header(FHCRC, b"\0\0");
        for bytes in [&b"\x1e"[..], b"PK\x03\x04", &header(1 << 5, b""), &endless, &wrong_crc] {
            assert_eq!(read(bytes), Header::Bad);
        }
    }

    #[test]
    fn ours_is_known_by_what_we_write() {
        for comment in [None, Some("reliquary/1 x")] {
            let mut bytes = Vec::new();
            write(&mut bytes, comment);
            assert_eq!(super::comment(&bytes), comment);
            assert_eq!(read(&bytes), Header::Whole(bytes.len()));
        }
    }
}
