//! What a server says of an error, without the rows that it is about: nobody who
//! reads a log shall read in it what a donor gave. Names of tables, columns and
//! constraints stay, and so do line numbers.

mod code;

use self::code::is_static;

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
    /// Whether it says where in the statement it is, and that statement holds no row.
    pub(super) placed: bool,
}

/// Errors of a name that nothing has: a schema, a function, a type or the like, a
/// table, a column.
const UNDEFINED: [&str; 5] = ["3F000", "42883", "42704", "42P01", "42703"];

/// Classes of errors that speak of no value, or only in their details: of rows that
/// violate something, which they name, of transactions, and of what the server has too
/// little of or was told.
const OF_NO_VALUE: [&str; 5] = ["23", "25", "40", "53", "57"];

/// Such errors of other classes: of a right, of the server's own files, of single
/// characters, and of columns that rows lack.
const CODES_OF_NO_VALUE: [&str; 6] = ["42501", "XX001", "XX002", "22021", "22P04", "22P05"];

/// How messages begin that name something of a definition, in whose text it stands,
/// whatever their class: a locale, a setting, a provider of labels.
const OF_A_DEFINITION: [&str; 5] = [
    "could not create locale \"",
    "invalid value for parameter \"lc_",
    "invalid value for parameter \"default_table_access_method\"",
    "invalid value for parameter \"default_tablespace\"",
    "security label provider \"",
];

/// Classes of errors that the server itself raises. What has another one was
/// raised by code of the database: a function, a trigger, a check. Those of
/// PL/pgSQL (`P0`) and of functions in other languages (`38`) are no exception.
const OF_THE_SERVER: [&str; 40] = [
    "00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "22",
    "23", "24", "25", "26", "27", "28", "2B", "2D", "2F", "34", "39", "3B", "3D", "3F", "40", "42",
    "44", "53", "54", "55", "57", "58", "F0", "HV",
];
/// What it calls a fault of its own.
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

/// How it ends behind the name of something that is not there.
const BEHIND_A_NAME: &str = " does not exist";

/// How the context of PL/pgSQL ends where the statement was a text, or may have
/// been one.
const OF_A_TEXT: [&str; 3] = ["EXECUTE", " RETURN QUERY", " OPEN"];

/// How a line of a context begins that says where in code it is.
const OF_CODE: [&str; 3] = ["PL/", "SQL function ", "compilation of PL/"];

/// Every quotation mark that a server writes, in any language.
pub(crate) const QUOTES: [char; 7] = ['"', '«', '»', '„', '“', '”', '‘'];

impl Said<'_> {
    /// The same, for who knows that no row was read: names that a row may hold
    /// otherwise are said. `None` where that is no more, or code may have run.
    pub(super) fn with_names(&self) -> Option<String> {
        let named = Self { placed: true, ..*self }.without_rows();
        let nothing_ran = self.query.is_none() && self.has_no_context();
        (nothing_ran && named != self.without_rows()).then_some(named)
    }

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
        self.code.starts_with("23") || self.may_hold_a_value()
    }

    /// Whether it may speak of a value: one that cannot be read, that was read as a name
    /// (`name::regclass`), or of which a type of an extension says what it likes.
    fn may_hold_a_value(&self) -> bool {
        if self.is_of_a_definition() || self.is_of_a_name_in_code() {
            return false;
        }
        // The place may be one in a value: a context tells where that is read.
        if self.placed && self.has_no_context() {
            return self.code.starts_with("22") && !CODES_OF_NO_VALUE.contains(&self.code);
        }
        !OF_NO_VALUE.iter().any(|class| self.code.starts_with(class))
            && !CODES_OF_NO_VALUE.contains(&self.code)
    }

    /// Whether nothing is said of where it happened. Code that runs and rows that are
    /// read have a context.
    fn has_no_context(&self) -> bool {
        self.context.unwrap_or_default().is_empty()
    }

    /// Whether it speaks of a definition alone.
    fn is_of_a_definition(&self) -> bool {
        self.has_no_context()
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
        if !self.may_hold_a_value() {
            return message.to_owned();
        }
        // A value may hold quotes and lines of its own, and its end may be missing:
        // all from the first quote goes, but for what only the server says.
        let Some(first) = message.find(QUOTES) else {
            // Not all are quoted: `operator does not exist: Jane`.
            let before = message.split_once(": ").map(|(before, _)| format!("{before}: …"));
            return before.unwrap_or_else(|| message.to_owned());
        };
        let behind = if message.ends_with(BEHIND_A_NAME) {
            BEHIND_A_NAME
        } else {
            let behind = message.rfind(BEHIND_A_VALUE).map_or("", |at| &message[at..]);
            if behind.contains('\n') { "" } else { behind }
        };
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
mod tests;
