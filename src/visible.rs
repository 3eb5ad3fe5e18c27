//! Text from elsewhere, fit for a terminal: what a manifest, an archive, a
//! server or a store says may hold control characters, by accident or to make a
//! terminal show what is not so.

use std::fmt::Write as _;

/// A text in one line: control characters, and others that are not seen or turn
/// the text around, are written as Rust escapes them. Quotes, backslashes and
/// letters of every script stay as they are.
#[must_use]
pub fn visible(text: &str) -> String {
    escaped(text, |_| false)
}

/// A text of several lines, of which each is [`visible`].
#[must_use]
pub fn visible_lines(text: &str) -> String {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if stays(c) || matches!(c, '\'' | '"' | '\\' | ' '..='~') {
            shown.push(c);
        } else if c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}') {
            // A space of some script.
            shown.push(c);
        } else {
            // Alone, an accent would be escaped; behind a letter it is not.
            let pair = format!("x{c}");
            let _ = write!(shown, "{}", &pair.escape_debug().to_string()[1..]);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_stays_as_it_is() {
        for text in [
            "public.\"Church\"",
            "it's C:\\x",
            "e\u{301}té",
            "日本語 ğ ü",
            "नमस्ते",
            "a\u{a0}b",
            "🙂",
        ] {
            assert_eq!(visible(text), text);
        }
        assert_eq!(visible_lines("one\n\ttwo"), "one\n\ttwo");
    }

    #[test]
    fn what_would_move_a_terminal_is_shown() {
        for (text, shown) in [
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\r\nb\tc\0", "a\\r\\nb\\tc\\0"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{7f}", "\\u{7f}"),
            ("evil\u{202e}lqs", "evil\\u{202e}lqs"),
            ("a\u{200b}b\u{2028}c\u{feff}", "a\\u{200b}b\\u{2028}c\\u{feff}"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible_lines("one\r\u{1b}\ntwo"), "one\\r\\u{1b}\ntwo");
    }
}
