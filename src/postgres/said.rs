//! What a server says of an error, without the rows that it is about: nobody who
//! reads a log shall read in it what a donor gave. Names of tables, columns and
//! constraints stay, and so do line numbers.

use super::code::is_static;

/// An error as a server reports it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said<'a> {
    /// Its SQLSTATE; empty where it is not known.
    pub(super) code: &'a str,
    pub(super) message: &'a str,
    pub(super) detail: Option<&'a str>,
    pub(super) hint: Option<&'a str>,
    pub(super) context: Option<&'a str>,
    /// The statement that code of the database ran and that it is of. That code may
    /// have put it together of a row, so that even a name in it is one's.
    pub(super) query: Option<&'a str>,
    /// Whether its parts are surely what they seem to be: a value that has lines of its
    /// own may look like some of them.
    pub(super) sure: bool,
}

/// Errors of a name that nothing has: a schema, a function, a type or the like, a
/// table, a column.
const UNDEFINED: [&str; 5] = ["3F000", "42883", "42704", "42P01", "42703"];

/// Errors of a value that speak of names or single characters, and of no value.
const OF_NO_VALUE: [&str; 3] = ["22021", "22P04", "22P05"];

/// How messages begin that name something of a definition, in whose text it stands,
/// whatever their class: a locale, a setting, a provider of labels.
const OF_A_DEFINITION: [&str; 4] = [
    "could not create locale \"",
    "invalid value for parameter \"lc_",
    "invalid value for parameter \"default_table_access_method\"",
    "security label provider \"",
];

/// Classes of errors that, where a row is being read, are of what the server can do
/// just now, or of names alone: whoever refuses the value itself takes any other. The
/// text of a `tsvector` is a syntax error, and types of extensions take what they like.
const OF_NO_ROW: [&str; 9] = ["08", "23", "25", "40", "53", "54", "55", "57", "58"];

/// Classes of errors that the server itself raises. What has another one was
/// raised by code of the database: a function, a trigger, a check. Those of
/// PL/pgSQL (`P0`) and of functions in other languages (`38`) are no exception.
const OF_THE_SERVER: [&str; 40] = [
    "00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "22",
    "23", "24", "25", "26", "27", "28", "2B", "2D", "2F", "34", "39", "3B", "3D", "3F", "40", "42",
    "44", "53", "54", "55", "57", "58", "F0", "HV",
];
/// Text that cannot be read: a statement's, or a value's of a type with a syntax.
const SYNTAX: &str = "42601";
/// And what it calls a fault of its own.
const INTERNAL: &str = "XX";

/// How a detail that names a key goes on behind its values.
const BEHIND_A_KEY: [&str; 4] = [
    ") already exists.",
    ") is duplicated.",
    ") is not present in table ",
    ") is still referenced from table ",
];

/// How a message goes on behind a value, where it does.
const BEHIND_A_VALUE: &str = " is out of range for type ";

/// How the context of PL/pgSQL ends where the statement was a text, or may have
/// been one.
const OF_A_TEXT: [&str; 3] = ["EXECUTE", " RETURN QUERY", " OPEN"];

/// How a line of a context begins that says where in code it is.
const OF_CODE: [&str; 3] = ["PL/", "SQL function ", "compilation of PL/"];

/// Every quotation mark that a server writes, in any language.
const QUOTES: [char; 7] = ['"', '«', '»', '„', '“', '”', '‘'];

impl Said<'_> {
    /// In lines, as the server would show it.
    pub(super) fn without_rows(&self) -> String {
        let mut said = self.message();
        for (name, part) in [
            ("DETAIL", self.detail()),
            ("HINT", self.hint.filter(|_| !self.may_hold_a_row()).map(str::to_owned)),
            ("CONTEXT", self.context()),
        ] {
            if let Some(part) = part {
                said += &format!("\n{name}:  {part}");
            }
        }
        said
    }

    /// Whether it is a value or a row that is not taken.
    fn is_of_rows(&self) -> bool {
        self.code.starts_with("23") || self.is_of_a_value()
    }

    /// Whether it speaks of a value that cannot be read.
    fn is_of_a_value(&self) -> bool {
        let of_class = |class: &&str| self.code.starts_with(class);
        let is_of_a_row_s_place = || {
            !OF_NO_ROW.iter().any(of_class)
                // A fault of the storage, which is of no value.
                && !matches!(self.code, "XX001" | "XX002")
                && self.context.unwrap_or_default().lines().any(|line| {
                    line.starts_with("COPY ") && is_place(line.split(": ").next().unwrap_or_default())
                })
        };
        // Of a statement's own syntax is only what names the place in it.
        let is_of_a_text = || self.code == SYNTAX && !self.message.contains(" at ");
        !OF_NO_VALUE.contains(&self.code)
            && !self.is_of_a_definition()
            && !self.is_of_a_name_in_code()
            && (self.code.starts_with("22") || is_of_a_text() || is_of_a_row_s_place())
    }

    /// Whether it speaks of a definition alone: where no code runs and no row is read,
    /// it has no context.
    fn is_of_a_definition(&self) -> bool {
        self.context.unwrap_or_default().is_empty()
            && OF_A_DEFINITION.iter().any(|begins| self.message.starts_with(begins))
    }

    /// Whether code of the database raised it. Its text is what that code made of
    /// a row, with whatever SQLSTATE it took.
    pub(super) fn is_raised(&self) -> bool {
        let class = self.code.get(..2).unwrap_or_default();
        if !class.is_empty() && class != INTERNAL && !OF_THE_SERVER.contains(&class) {
            return true;
        }
        self.is_made_by_code() || (self.query.is_some() && !self.is_of_a_name_in_code())
    }

    /// Whether it, or the statement that it is of, was put together by code.
    fn is_made_by_code(&self) -> bool {
        let context = self.context.unwrap_or_default();
        // Where it was raised stands first; `RAISE` is said in every language.
        let first = context.lines().next().unwrap_or_default();
        let by_pl = |line: &str| {
            line.starts_with("PL/")
                && (!line.starts_with("PL/pgSQL") || OF_A_TEXT.iter().any(|of| line.contains(of)))
        };
        first.ends_with(" RAISE")
            || first.ends_with(" ASSERT")
            || context.lines().any(|line| by_pl(line.trim_start()))
    }

    /// Whether code of the database met with it.
    pub(super) fn is_of_code(&self) -> bool {
        let is_code = |line: &str| OF_CODE.iter().any(|begins| line.starts_with(begins));
        self.query.is_some() || self.context.is_some_and(|context| context.lines().any(is_code))
    }

    /// Whether it is of a name that nothing has.
    pub(super) fn is_of_a_name(&self) -> bool {
        UNDEFINED.contains(&self.code)
    }

    /// Whether that name stands in the code itself, so that it is no row's.
    fn is_of_a_name_in_code(&self) -> bool {
        self.sure
            && self.is_of_a_name()
            && !self.is_made_by_code()
            && is_static(self.query, self.context.unwrap_or_default())
    }

    fn may_hold_a_row(&self) -> bool {
        self.is_of_rows() || self.is_raised()
    }

    fn message(&self) -> String {
        let (message, code) = (self.message, self.code);
        if self.is_raised() {
            let code = if code.is_empty() { "unknown" } else { code };
            return format!(
                "code of the database raised an error (SQLSTATE {code}); what it says may hold a \
                 row and is left out"
            );
        }
        if !self.is_of_a_value() {
            return message.to_owned();
        }
        // A value may hold quotes and lines of its own, and its end may be missing:
        // all from the first quote goes, but for what only the server says.
        let Some(first) = message.find(QUOTES) else { return message.to_owned() };
        let behind = message.rfind(BEHIND_A_VALUE).map_or("", |at| &message[at..]);
        let behind = if behind.contains('\n') { "" } else { behind };
        format!("{}\"…\"{behind}", &message[..first])
    }

    fn detail(&self) -> Option<String> {
        let detail = self.detail?;
        match key(detail) {
            _ if self.is_raised() => None,
            Some(key) => Some(key),
            None if self.is_of_rows() || detail.starts_with("Failing row ") => None,
            None => Some(detail.to_owned()),
        }
    }

    fn context(&self) -> Option<String> {
        let mut kept = Vec::new();
        for line in self.context?.lines() {
            if line.starts_with("COPY ") {
                // Behind the line and the column stands the value, or the row. It
                // may have lines of its own.
                let place = line.split(": ").next().unwrap_or_default();
                // What is no place is a value's own.
                kept.extend(is_place(place).then_some(place));
                break;
            }
            if OF_CODE.iter().any(|begins| line.starts_with(begins)) {
                kept.push(line);
            }
        }
        (!kept.is_empty()).then(|| kept.join("\n"))
    }
}

/// Whether it goes on with a line's number: `COPY donor, line 3, column id`.
fn is_place(copy: &str) -> bool {
    copy.split(", ").skip(1).any(|part| {
        let number = part.split_once(' ').map_or("", |(_, number)| number);
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// `Key (id)=(7) already exists.` without the 7.
fn key(detail: &str) -> Option<String> {
    let (columns, rest) = detail.strip_prefix("Key (")?.split_once(")=(")?;
    let behind = BEHIND_A_KEY.iter().find_map(|behind| rest.rfind(behind).map(|at| &rest[at..]));
    let behind = match behind {
        Some(behind) => behind,
        None if rest.contains(") conflicts with ") => ") conflicts with another.",
        None => ").",
    };
    Some(format!("Key ({columns})=(…{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, message: &str, detail: &str, context: &str) -> String {
        let (detail, context) = (Some(detail), Some(context));
        Said { code, message, detail, context, ..Said::default() }.without_rows()
    }

    #[test]
    fn rows_are_left_out_and_names_stay() {
        let copied = "COPY donation, line 3: \"7\\tJane Doe\\t5000\"";
        for (code, message, detail, context, shown) in [
            (
                "23514",
                "new row for relation \"donation\" violates check constraint \"cents\"",
                "Failing row contains (7, Jane Doe, 5000).",
                copied,
                "new row for relation \"donation\" violates check constraint \"cents\"\n\
                 CONTEXT:  COPY donation, line 3",
            ),
            (
                "23505",
                "duplicate key value violates unique constraint \"email\"",
                "Key (lower(email))=(jane) already exists.@example.org) already exists.",
                "COPY donor, line 12",
                "duplicate key value violates unique constraint \"email\"\n\
                 DETAIL:  Key (lower(email))=(…) already exists.\n\
                 CONTEXT:  COPY donor, line 12",
            ),
            (
                "23503",
                "insert or update on table \"donor\" violates foreign key constraint \"fk\"",
                "Key (church, name)=(7, Jane) is not present in table \"church\".",
                "",
                "insert or update on table \"donor\" violates foreign key constraint \"fk\"\n\
                 DETAIL:  Key (church, name)=(…) is not present in table \"church\".",
            ),
            (
                "23P01",
                "conflicting key value violates exclusion constraint \"at\"",
                "Key (at)=([1,3)) conflicts with existing key (at)=([2,5)).",
                "",
                "conflicting key value violates exclusion constraint \"at\"\n\
                 DETAIL:  Key (at)=(…) conflicts with another.",
            ),
            (
                "22P02",
                "invalid input syntax for type integer: \"Jane \"J\" Doe\"",
                "Token \"Jane\" is invalid.",
                "JSON data, line 1: {\"a\": Jane\nCOPY donor, line 3, column id: \"Jane\nDoe\"",
                "invalid input syntax for type integer: \"…\"\n\
                 CONTEXT:  COPY donor, line 3, column id",
            ),
            (
                "22003",
                "value \"5000000000\" is out of range for type integer",
                "",
                "",
                "value \"…\" is out of range for type integer",
            ),
            (
                "22P02",
                "ungültige Eingabesyntax für Typ integer: „Jane“",
                "",
                "",
                "ungültige Eingabesyntax für Typ integer: \"…\"",
            ),
            (
                "22P02",
                "invalid input syntax for type integer: \"Jane Doe",
                "",
                "COPY Jane",
                "invalid input syntax for type integer: \"…\"",
            ),
            (
                "22P04",
                "missing data for column \"name\"",
                "",
                copied,
                "missing data for column \"name\"\nCONTEXT:  COPY donation, line 3",
            ),
            (
                "42P07",
                "relation \"t\" already exists",
                "It does.",
                "SQL statement \"INSERT INTO t VALUES ('Jane')\"\n\
                 PL/pgSQL function f() line 3 at RAISE",
                "relation \"t\" already exists\nDETAIL:  It does.\n\
                 CONTEXT:  PL/pgSQL function f() line 3 at RAISE",
            ),
        ] {
            let said = said(code, message, detail, context);
            let said = said.replace("\nDETAIL:  \n", "\n");
            assert_eq!(said.trim_end_matches("\nDETAIL:  "), shown);
            assert!(!said.contains("Jane") && !said.contains("5000"), "{said}");
        }
    }

    #[test]
    fn a_value_is_left_out_whatever_class_its_type_gives_the_error() {
        let copied = "COPY donation, line 3: \"7\\tJane Doe\\t5000\"";
        for (code, message, detail, context, shown) in [
            (
                "42601",
                "syntax error in tsvector: \"Jane 'Doe card 4242\"",
                "of Jane",
                "COPY donor, line 3, column words: \"Jane 'Doe card 4242\"",
                "syntax error in tsvector: \"…\"\nCONTEXT:  COPY donor, line 3, column words",
            ),
            (
                "XX000",
                "parse error - invalid geometry \"Jane\"",
                "\"Jane\" <-- parse error",
                "COPY donor, line 3, column place: \"Jane\"",
                "parse error - invalid geometry \"…\"\nCONTEXT:  COPY donor, line 3, column place",
            ),
            (
                "42601",
                "syntax error in tsvector: \"Jane 'Doe\"",
                "",
                "",
                "syntax error in tsvector: \"…\"",
            ),
            (
                "42601",
                "syntax error at or near \"CREAT\"",
                "",
                "",
                "syntax error at or near \"CREAT\"",
            ),
            (
                "53100",
                "could not extend file \"base/5/7\": No space left on device",
                "",
                copied,
                "could not extend file \"base/5/7\": No space left on device\n\
                 CONTEXT:  COPY donation, line 3",
            ),
        ] {
            let said = said(code, message, detail, context);
            assert_eq!(said.replace("\nDETAIL:  \n", "\n").trim_end_matches("\nDETAIL:  "), shown);
        }
    }

    /// The commonest reason why a restore stops there: the search path is empty.
    #[test]
    fn a_name_that_stands_in_the_code_itself_is_said() {
        let function = "SQL function \"has\" during inlining\nCOPY gift, line 1: \"7\tJane\"";
        let block = "PL/pgSQL function has(integer) line 1 at RETURN\nCOPY gift, line 1: \"Jane\"";
        let said = |code, message, context| Said {
            code,
            message,
            hint: Some("No function matches."),
            context: Some(context),
            query: Some("EXISTS (SELECT FROM church)"),
            sure: true,
            ..Said::default()
        };
        for (code, message) in [
            ("42P01", "relation \"church\" does not exist"),
            ("42883", "function has_church(integer) does not exist"),
            ("42704", "type \"church\" does not exist"),
            ("42703", "column \"church\" does not exist"),
            ("3F000", "schema \"church\" does not exist"),
        ] {
            for context in [function, block] {
                let shown = said(code, message, context).without_rows();
                let place = context.lines().next().unwrap();
                let whole = format!(
                    "{message}\nHINT:  No function matches.\nCONTEXT:  {place}\nCOPY gift, line 1"
                );
                assert_eq!(shown, whole);
            }
        }
        // Not where a value may look like it, nor any other error.
        let of = |code| said(code, "relation \"jane\" does not exist", block);
        let unsure = Said { sure: false, ..of("42P01") };
        let text = format!("{block}\nPL/pgSQL function g() line 2 at EXECUTE");
        let dynamic = Said { context: Some(&text), ..of("42P01") };
        let of_a_value = Said { query: None, ..of("42P01") };
        for said in [of("22P02"), of("42601"), unsure, dynamic, of_a_value] {
            assert!(!said.without_rows().contains("jane"), "{said:?}");
        }
    }

    #[test]
    fn what_a_definition_names_stays_whatever_the_class_and_no_value_passes_for_it() {
        for message in [
            "could not create locale \"de_DE.utf8\": No such file or directory",
            "invalid value for parameter \"lc_time\": \"de_DE.utf8\"",
            "security label provider \"pgsodium\" is not loaded",
        ] {
            let without = |context| Said { code: "22023", message, context, ..Said::default() };
            assert_eq!(without(None).without_rows(), message);
            for context in ["PL/pgSQL function f() line 3 at PERFORM", "COPY t, line 3, column a"] {
                let said = without(Some(context)).without_rows();
                assert!(said.contains("\"…\""), "{said}");
            }
        }
    }

    #[test]
    fn what_code_of_the_database_says_is_left_out_and_where_it_stands_stays() {
        let raised = "PL/pgSQL function has_church(text) line 3 at RAISE\n\
                      COPY donor, line 3: \"7\\tJane Doe\"";
        for (code, context) in [
            // RAISE, its neighbours, a code of one's own, and codes of the server
            // that a function took.
            ("P0001", raised),
            ("P0002", ""),
            ("P0003", ""),
            ("P0004", "PL/pgSQL function f() line 1 at ASSERT"),
            ("DN001", ""),
            ("38000", "Traceback (most recent call last):\n  PL/Python function \"f\", line 2"),
            ("23514", raised),
            ("42501", raised),
            ("XX000", "PL/Perl function \"f\"\nCOPY donor, line 3: \"Jane\""),
            ("", raised),
            ("42703", "PL/pgSQL function f(text) line 3 at EXECUTE"),
            ("42601", "PL/pgSQL function f(text) line 3 at FOR over EXECUTE statement\nCOPY t"),
            ("42P01", "PL/pgSQL function f(text) line 3 at RETURN QUERY"),
            ("3F000", "SQL statement \"x\"\nPL/pgSQL-Funktion f(text) Zeile 3 bei EXECUTE"),
        ] {
            let hint = Some("ask Jane Doe");
            let said = Said {
                code,
                message: "donor Jane Doe has no church",
                detail: Some("Key (name)=(x) is of Jane Doe"),
                hint,
                context: Some(context),
                ..Said::default()
            };
            let said = said.without_rows();
            assert!(!said.contains("Jane"), "{code}: {said}");
            let shown = if code.is_empty() { "unknown" } else { code };
            let begins = format!("code of the database raised an error (SQLSTATE {shown}); ");
            assert!(said.starts_with(&begins), "{said}");
            if context == raised {
                assert!(said.ends_with("at RAISE\nCOPY donor, line 3"), "{said}");
            }
        }
        // Of a statement that code ran, and that it may have put together of a row.
        let name = Said {
            code: "42703",
            message: "column \"jane_doe_card_4242\" does not exist",
            context: Some("PL/pgSQL function f(text) line 3 at RETURN"),
            query: Some("SELECT jane_doe_card_4242"),
            sure: true,
            ..Said::default()
        };
        assert!(!name.without_rows().contains("jane"));
        // What the server says of itself stays.
        for (code, message) in [
            ("42501", "permission denied for table donor"),
            ("XX001", "could not read block 7 in file \"base/1/2\""),
            ("57014", "canceling statement due to statement timeout"),
            ("2F005", "control reached end of function without RETURN"),
        ] {
            let context = "PL/pgSQL function f() line 3 at SQL statement";
            let said = said(code, message, "", context);
            assert!(said.starts_with(message), "{said}");
        }
    }
}
