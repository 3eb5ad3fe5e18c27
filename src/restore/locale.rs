//! A locale that the server's machine lacks. Which there are is the machine's affair:
//! an archive only names them.

use super::kind::Kind;

/// How a server, in English, says of a locale or a provider of locales that it has none
/// such, wherever a definition wants one.
const LACKS: [&str; 5] = [
    "could not create locale \"",
    "ICU is not supported in this build",
    "could not open collator for locale \"",
    "invalid value for parameter \"lc_",
    "invalid LC_",
];

/// Classes of the errors with which it refuses to make a collation of such a one, in
/// whatever language: a collation's definition holds nothing but its locale.
const NO_SUCH_COLLATION: [&str; 4] = ["22023", "0A000", "42809", "XX000"];

/// What stands before its name.
const BEFORE_ITS_NAME: [&str; 5] =
    ["locale \"", "locale name \"", "locale name: \"", "collation \"", "\": \""];

/// The schema of the collations that a server finds on its machine.
const OF_THE_SERVER: &str = "pg_catalog.";

/// Whether the server says by this error, at a statement that defines something of
/// this kind, that its machine lacks a locale.
pub(super) fn is_lacking(code: &str, message: &str, defines: Kind) -> bool {
    LACKS.iter().any(|says| message.starts_with(says))
        || defines == Kind::Collation && NO_SUCH_COLLATION.contains(&code)
        || code == "42704" && collation(message).is_some_and(is_the_machines)
}

/// The locale or collation that such an error names.
#[must_use]
pub fn named(message: &str) -> Option<&str> {
    BEFORE_ITS_NAME.iter().find_map(|before| {
        let (_, rest) = message.split_once(before)?;
        let (name, _) = rest.split_once('"')?;
        Some(name.strip_prefix(OF_THE_SERVER).unwrap_or(name))
    })
}

/// The collation that is not there.
fn collation(message: &str) -> Option<&str> {
    let (name, rest) = message.strip_prefix("collation \"")?.split_once('"')?;
    rest.starts_with(" for encoding \"").then_some(name)
}

/// Whether it is one that the server has found on its machine, and none that the
/// archive has to make: in whose schema it is, a dump says of all but the server's.
fn is_the_machines(name: &str) -> bool {
    let Some((first, _)) = name.split_once('.') else { return true };
    // `de_DE.utf8` is a name with a full stop in it.
    let is_of = |part: &str, is: fn(&u8) -> bool| part.bytes().all(|byte| is(&byte));
    let is_a_language = first.split_once('_').is_some_and(|(language, country)| {
        matches!(language.len(), 2 | 3)
            && country.len() == 2
            && is_of(language, u8::is_ascii_lowercase)
            && is_of(country, u8::is_ascii_uppercase)
    });
    name.starts_with(OF_THE_SERVER) || is_a_language || matches!(first, "C" | "POSIX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_that_the_machine_lacks_is_told_and_named() {
        for (code, message, kind, name) in [
            (
                "22023",
                "could not create locale \"de_DE.utf8\": No such file or directory (SQLSTATE 22023)",
                Kind::Collation,
                Some("de_DE.utf8"),
            ),
            (
                "42704",
                "collation \"pg_catalog.de_DE.utf8\" for encoding \"UTF8\" does not exist",
                Kind::Table,
                Some("de_DE.utf8"),
            ),
            (
                "42704",
                "collation \"de_DE.utf8\" for encoding \"UTF8\" does not exist",
                Kind::Index,
                Some("de_DE.utf8"),
            ),
            (
                "42704",
                "collation \"sv-SE-x-icu\" for encoding \"UTF8\" does not exist",
                Kind::Index,
                Some("sv-SE-x-icu"),
            ),
            ("0A000", "ICU is not supported in this build", Kind::Collation, None),
            (
                "22023",
                "invalid value for parameter \"lc_time\": \"de_DE.utf8\"",
                Kind::Routine,
                Some("de_DE.utf8"),
            ),
            ("42809", "invalid locale name \"x\" for builtin provider", Kind::Collation, Some("x")),
            ("22023", "konnte Locale »de« nicht erzeugen", Kind::Collation, None),
        ] {
            assert!(is_lacking(code, message, kind), "{message}");
            assert_eq!(named(message), name, "{message}");
        }
    }

    #[test]
    fn what_the_archive_was_to_make_is_no_lack_of_the_machine() {
        for (code, message, kind) in [
            ("42704", "collation \"public.de\" for encoding \"UTF8\" does not exist", Kind::Table),
            ("42704", "collation \"app.de_DE\" for encoding \"UTF8\" does not exist", Kind::Table),
            ("42704", "type \"geometry\" does not exist", Kind::Table),
            ("42710", "collation \"de\" already exists", Kind::Collation),
            ("22023", "security label provider \"x\" is not loaded", Kind::Other),
        ] {
            assert!(!is_lacking(code, message, kind), "{message}");
        }
    }
}
