//! Text from elsewhere, as Markdown that shows it and makes nothing of it.

/// A text in which no sign is one of Markdown: nothing is a link, an image, a
/// tag, code or set off. An underscore within a word is none anyway.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_within = |c: char| c.is_alphanumeric() || c == '_';
        let is_sign = match letter {
            '\\' | '`' | '*' | '[' | ']' | '<' | '~' => true,
            '_' => !is_within(before) || !letters.peek().is_some_and(|next| is_within(*next)),
            _ => false,
        };
        if is_sign {
            shown.push('\\');
        }
        shown.push(letter);
        before = letter;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_shown_and_names_stay() {
        for (text, shown) in [
            ("public.my_table has 3 rows", "public.my_table has 3 rows"),
            ("[click](http://evil) *now*", "\\[click\\](http://evil) \\*now\\*"),
            ("_x_ and a_", "\\_x\\_ and a\\_"),
            ("<img src=x> `rm` C:\\x", "\\<img src=x> \\`rm\\` C:\\\\x"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }
}
