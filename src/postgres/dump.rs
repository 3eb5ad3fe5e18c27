//! Running `pg_dump` on a snapshot, one section a run, and rows by several at once.

use std::time::Duration;

use super::{
    clients::Client,
    exclude::{ResolvedExclusions, argument},
    libpq::KEEPALIVES,
    tls::TlsError,
    url::ConnectionUrl,
};
use crate::process::{Child, ProcessError, Stream};

/// A dump of one snapshot. The snapshot's session must live until the last
/// section has ended.
#[derive(Clone, Debug)]
pub struct Dump {
    /// The `pg_dump` to run.
    pub client: Client,
    /// The source.
    pub url: ConnectionUrl,
    /// The snapshot's id.
    pub snapshot: String,
    /// What is left out.
    pub exclusions: ResolvedExclusions,
    /// Tables whose rows others dump beside the one that dumps all the rest, each
    /// some of them; see [`fn@super::shares`].
    pub shares: Vec<Vec<(String, String)>>,
    /// Whether one `pg_dump` runs at a time, without shares, because each locks every
    /// table; see [`fn@super::takes_turns`].
    pub in_turn: bool,
    /// The database's encoding, as the server calls it.
    pub encoding: String,
    /// How long it may wait for the application's locks, all in all, before it
    /// gives up. While it waits, the application's queries queue up behind it
    /// only where DDL holds the table already.
    pub lock_timeout: Duration,
}

/// A part of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Definitions that data needs.
    PreData,
    /// Rows, sequence values, large objects.
    Data,
    /// Indexes, constraints, triggers: what is made faster or only then right.
    PostData,
}

impl Section {
    /// The three, in the order in which they stand in an archive.
    pub const ALL: [Self; 3] = [Self::PreData, Self::Data, Self::PostData];

    /// As `pg_dump --section` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PreData => "pre-data",
            Self::Data => "data",
            Self::PostData => "post-data",
        }
    }
}

/// What one `pg_dump` of several dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A section; of [`Section::Data`], what is in no share.
    Section(Section),
    /// The rows of the tables of [`Dump::shares`] with this number.
    Share(usize),
}

impl Part {
    /// The section that it is of.
    #[must_use]
    pub fn section(self) -> Section {
        match self {
            Self::Section(section) => section,
            Self::Share(_) => Section::Data,
        }
    }
}

/// `pg_dump` could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// TLS cannot be had as the URL asks.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The program did not start.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Options that never change. Restoring must not depend on roles of the source. A
/// tablespace of the source is a folder on its machine, which no other server has.
const OPTIONS: [&str; 5] =
    ["--format=plain", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-password"];

/// Large objects are asked for by the short option, which every version knows and
/// which holds even when schemas are excluded.
const LARGE_OBJECTS: &str = "-b";

/// No encoding at all, but whatever bytes were put in: they are dumped as they are.
const UNCONVERTED: &str = "SQL_ASCII";

impl Dump {
    /// Starts `pg_dump` for a part; its stdout is piped.
    ///
    /// # Errors
    /// When it cannot be started. How it ends is the child's to tell.
    pub fn spawn(&self, part: Part) -> Result<Child, DumpError> {
        let child = self
            .url
            .program(&self.client.path, self.client.major)?
            .args(self.options_of(part))
            .arg(format!("--section={}", part.section().name()))
            .arg(format!("--snapshot={}", self.snapshot))
            .arg(format!("--dbname={KEEPALIVES}"))
            .spawn(Stream::Null, Stream::Piped)?;
        Ok(child)
    }

    /// The options, also for the manifest: without the snapshot's id, which means
    /// nothing later, and without anything about the connection.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let mut options = self.common_options(Some(LARGE_OBJECTS));
        options.extend(self.exclusions.args.iter().cloned());
        options
    }

    /// What a part dumps, in words.
    #[must_use]
    pub fn what(&self, part: Part) -> String {
        let nth = match part {
            Part::Section(section) => return format!("the section {}", section.name()),
            Part::Share(nth) => nth,
        };
        let tables = self.shares.get(nth).map_or(&[][..], Vec::as_slice);
        let names: Vec<String> =
            tables.iter().take(3).map(|(schema, name)| format!("{schema}.{name}")).collect();
        let more = tables.len() - names.len();
        let more = if more > 0 { format!(" and {more} more tables") } else { String::new() };
        format!("the rows of {}{more}", names.join(", "))
    }

    fn common_options(&self, large_objects: Option<&str>) -> Vec<String> {
        // Zero would mean to wait for ever.
        let wait = self.lock_timeout.as_millis().max(1);
        // One encoding for all archives; names in the manifest are compared in it.
        let utf8 = self.encoding != UNCONVERTED;
        OPTIONS
            .into_iter()
            .chain(large_objects)
            .map(str::to_owned)
            .chain(utf8.then(|| "--encoding=UTF8".to_owned()))
            .chain([format!("--lock-wait-timeout={wait}")])
            .collect()
    }

    /// A share names its tables, and the section of rows leaves them out: with what
    /// no name stands for, large objects and values of sequences, it is whole.
    fn options_of(&self, part: Part) -> Vec<String> {
        let named = |option: &str, tables: &[(String, String)]| -> Vec<String> {
            tables.iter().map(|(schema, name)| argument(option, &[schema, name])).collect()
        };
        match part {
            Part::Share(nth) => {
                let tables = self.shares.get(nth).map_or(&[][..], Vec::as_slice);
                let mut options = self.common_options(None);
                options.push("--strict-names".to_owned());
                options.extend(named("--table=", tables));
                options
            }
            Part::Section(Section::Data) => {
                let mut options = self.options();
                options.extend(named("--exclude-table-data=", &self.shares.concat()));
                options
            }
            Part::Section(_) => self.options(),
        }
    }
}

/// The warnings among what `pg_dump` wrote to stderr, each with its details.
#[must_use]
pub fn warnings(stderr: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for line in stderr.lines() {
        let text = line.strip_prefix("pg_dump: ").unwrap_or(line);
        if let Some((_, warning)) = line.split_once("warning: ") {
            found.push(warning.to_owned());
            open = true;
        } else if let Some(last) = found.last_mut().filter(|_| open)
            && (text.starts_with("detail: ") || text.starts_with("hint: ") || text == line)
        {
            last.push('\n');
            last.push_str(text);
        } else {
            open = false;
        }
    }
    found
}

/// Whether what `pg_dump` died of may be gone a little later. The server's part
/// of a message may be in the server's language, and is then taken as lasting.
#[must_use]
pub fn is_transient_failure(stderr: &str) -> bool {
    const PASSING: [&str; 15] = [
        "Connection refused",
        "Connection timed out",
        "timeout expired",
        "could not translate host name",
        "server closed the connection unexpectedly",
        "could not receive data from server",
        "SSL SYSCALL error",
        "SSL connection has been closed unexpectedly",
        "no connection to the server",
        "terminating connection",
        "the database system is",
        "canceling statement due to",
        "snapshot too old",
        "invalid snapshot identifier",
        // What it knows from its snapshot was dropped meanwhile.
        "cache lookup failed for",
    ];
    PASSING.iter().any(|text| stderr.contains(text))
        || lacks_connection(stderr)
        // Of a table that was dropped or renamed meanwhile; and, from PostgreSQL
        // 17 on, of a snapshot whose session has ended.
        || (["relation \"", "snapshot \""].iter().any(|what| stderr.contains(what))
            && stderr.contains("does not exist"))
}

/// Whether `pg_dump` died of a limit of connections: the server's, the role's, the
/// database's, or a pooler's.
#[must_use]
pub fn lacks_connection(stderr: &str) -> bool {
    const FULL: [&str; 7] = [
        "too many clients",
        "too many connections for ",
        "remaining connection slots",
        // Supavisor and PgBouncer, each where a client keeps its session.
        "max clients reached",
        "Max client connections reached",
        "no more connections allowed",
        // Where the pooler lets clients wait for one.
        "query_wait_timeout",
    ];
    FULL.iter().any(|text| stderr.contains(text))
}

/// Whether `pg_dump` died of the server's room for locks, which its hint names by the
/// setting, in whatever language.
#[must_use]
pub fn lacks_locks(stderr: &str) -> bool {
    stderr.contains("max_locks_per_transaction")
}

/// What mends what `pg_dump` died of, where its own words do not say; begins
/// with a semicolon, or is empty.
#[must_use]
pub fn advice(stderr: &str) -> &'static str {
    if stderr.contains("has no equivalent in encoding") {
        "; a table holds bytes that stand for no character in the database's own encoding, \
         so that they cannot be written as UTF-8: find them in the table of the COPY above, \
         and correct them"
    } else if lacks_connection(stderr) {
        "; a backup takes up to five connections, and one more for each of `streams` beyond the \
         first: raise the limit, or leave it more of them"
    } else if lacks_locks(stderr) {
        "; a pg_dump locks every table of the database, each with a lock of its own: raise \
         max_locks_per_transaction, which takes a restart of the server"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn the_manifest_s_options_hold_neither_secret_nor_place() {
        let dump = Dump {
            client: Client {
                path: "/usr/bin/pg_dump".into(),
                major: 15,
                minor: 1,
                text: String::new(),
                warning: None,
            },
            url: ConnectionUrl::parse(&SecretString::from("postgres://me:hunter2@place/d"))
                .unwrap(),
            snapshot: "00000003-1".into(),
            exclusions: ResolvedExclusions {
                args: vec!["--exclude-schema=\"x\"".into()],
                ..ResolvedExclusions::default()
            },
            shares: vec![vec![("public".to_owned(), "a \"b\"".to_owned())]],
            in_turn: false,
            encoding: "LATIN1".into(),
            lock_timeout: Duration::from_secs(30),
        };
        assert_eq!(
            dump.options().join(" "),
            "--format=plain --no-owner --no-privileges --no-tablespaces --no-password -b \
             --encoding=UTF8 --lock-wait-timeout=30000 --exclude-schema=\"x\""
        );
        let ends = |part, end: &str| assert!(dump.options_of(part).join(" ").ends_with(end));
        // What one dumps, the other leaves out.
        ends(Part::Section(Section::PreData), " --exclude-schema=\"x\"");
        ends(
            Part::Section(Section::Data),
            " --exclude-schema=\"x\" --exclude-table-data=\"public\".\"a \"\"b\"\"\"",
        );
        ends(
            Part::Share(0),
            " --lock-wait-timeout=30000 --strict-names --table=\"public\".\"a \"\"b\"\"\"",
        );
        assert_eq!(dump.what(Part::Section(Section::PostData)), "the section post-data");
        assert_eq!(dump.what(Part::Share(0)), "the rows of public.a \"b\"");
        assert!(!format!("{dump:?}").contains("hunter2"));
    }

    #[test]
    fn a_lack_of_room_for_locks_is_told_with_the_setting() {
        for quote in ["", "\""] {
            let stderr = format!(
                "pg_dump: error: query failed: ERROR:  out of shared memory\nHINT:  You might need to \
                 increase {quote}max_locks_per_transaction{quote}."
            );
            assert!(lacks_locks(&stderr) && !lacks_connection(&stderr));
            assert!(advice(&stderr).contains("raise max_locks_per_transaction"));
        }
    }

    #[test]
    fn a_limit_of_connections_is_told_with_what_needs_them() {
        for refused in [
            "too many connections for role \"backup\"",
            "sorry, too many clients already",
            "remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "MaxClientsInSessionMode: max clients reached - in Session mode max clients are \
             limited to pool_size",
            "no more connections allowed (max_client_conn)",
            "query_wait_timeout",
        ] {
            let stderr = format!("pg_dump: error: connection to server failed: FATAL:  {refused}");
            assert!(lacks_connection(&stderr) && is_transient_failure(&stderr), "{refused}");
            assert!(advice(&stderr).contains("up to five connections"), "{refused}");
        }
        let other = "pg_dump: error: no";
        assert!(!lacks_connection(other) && advice(other).is_empty());
    }

    #[test]
    fn warnings_are_kept_with_their_details() {
        let stderr = "pg_dump: last built-in OID is 16383\n\
                      pg_dump: warning: there are circular foreign-key constraints on this table:\n\
                      pg_dump: detail: category\n\
                      pg_dump: hint: Consider a full dump.\n\
                      pg_dump: reading triggers\n\
                      pg_dump: warning: subscriptions not dumped";
        assert_eq!(
            warnings(stderr),
            [
                "there are circular foreign-key constraints on this table:\n\
                 detail: category\nhint: Consider a full dump.",
                "subscriptions not dumped"
            ]
        );
        assert_eq!(warnings("pg_dump: error: no"), Vec::<String>::new());
    }
}
