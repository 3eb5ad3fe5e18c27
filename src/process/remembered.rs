//! What is remembered of what a child says: how it began, and how it ended.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How much is remembered, in bytes.
pub const STDERR_KEPT: usize = 16 * 1024;

/// How much of that is the beginning: whose words a long text is stands before it.
const HEAD: usize = 4 * 1024;

/// What stands where something is left out, on a line of its own.
const GAP: &[u8] = "\n…\n".as_bytes();

/// Reads to the end, and keeps no more than is remembered.
pub(crate) async fn read(mut pipe: impl AsyncRead + Unpin) -> String {
    let (mut head, mut tail) = (Vec::new(), VecDeque::<u8>::new());
    let mut is_cut = false;
    let mut chunk = [0_u8; 4096];
    while let Ok(count) = pipe.read(&mut chunk).await {
        if count == 0 {
            break;
        }
        let (first, rest) = chunk[..count].split_at(count.min(HEAD - head.len()));
        head.extend_from_slice(first);
        tail.extend(rest);
        let excess = tail.len().saturating_sub(STDERR_KEPT - HEAD - GAP.len());
        is_cut |= excess > 0;
        tail.drain(..excess);
    }
    if is_cut {
        head.extend_from_slice(GAP);
        // The end of a line whose beginning is gone could be anybody's words.
        let line = tail.iter().position(|&byte| byte == b'\n').map_or(tail.len(), |at| at + 1);
        tail.drain(..line);
    }
    head.extend(tail);
    String::from_utf8_lossy(&head).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beginning_and_end_of_a_long_text_are_remembered_in_whole_lines() {
        let long = format!("psql: first\n{}\nmiddle\nlast\n", "x".repeat(50_000));
        let kept = read(long.as_bytes()).await;
        assert!(kept.starts_with("psql: first\nxxx"), "{kept}");
        assert!(kept.ends_with("xxx\n…\nmiddle\nlast\n"), "{kept}");
        assert!(kept.len() <= STDERR_KEPT);
        // What fits is kept as it is.
        let fits = "line\n".repeat(3000);
        assert_eq!(read(fits.as_bytes()).await, fits);
    }

    #[tokio::test]
    async fn the_end_of_a_line_without_its_beginning_is_not() {
        let kept = read("Jane".repeat(20_000).as_bytes()).await;
        assert_eq!(kept.len(), HEAD + GAP.len());
        assert!(kept.ends_with("Jane\n…\n"));
    }
}
