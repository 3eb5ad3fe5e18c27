//! Checks of the source: its server, our role there, and the way to it.

use chrono::{Months, NaiveDate};

use super::{
    Finding,
    eol::{Support, support},
};
use crate::{
    postgres::{Guard, Obstacle, Problem, RoleFacts, ServerVersion},
    words::Check,
};

/// The server's major version is still mended by its makers.
#[must_use]
pub fn server_version(server: &ServerVersion, today: NaiveDate) -> Finding {
    let check = Check::ServerVersion;
    let text = &server.text;
    let newest =
        "plan the upgrade to a newer major: https://www.postgresql.org/support/versioning/";
    match support(server.major) {
        Support::Newer => Finding::unknown(
            check,
            format!("the server is PostgreSQL {text}, which is newer than this program"),
            "see https://www.postgresql.org/support/versioning/, and upgrade Reliquary",
        ),
        Support::Ancient => Finding::fail(
            check,
            format!("the server is PostgreSQL {text}, long unsupported"),
            newest,
        ),
        Support::Until(last) if last < today => Finding::fail(
            check,
            format!("the server is PostgreSQL {text}, unsupported since {last}"),
            newest,
        ),
        Support::Until(last) if today.checked_add_months(Months::new(6)) > Some(last) => {
            Finding::warn(
                check,
                format!("the server is PostgreSQL {text}, whose last release is on {last}"),
                newest,
            )
        }
        Support::Until(last) => {
            Finding::pass(check, format!("the server is PostgreSQL {text}, supported until {last}"))
        }
    }
}

/// Client programs of the server's own major are here: to back up, and to
/// restore on the night when nobody wants to install anything. Each is what
/// finding it came to: what it says of itself with a warning, or an error.
#[must_use]
pub fn client_programs(found: &[Result<(String, Option<String>), String>]) -> Finding {
    let check = Check::ClientPrograms;
    let errors: Vec<&str> =
        found.iter().filter_map(|program| program.as_ref().err().map(String::as_str)).collect();
    if !errors.is_empty() {
        return Finding::fail(check, errors.join("; "), "do what the message says");
    }
    let programs = || found.iter().flatten();
    let names: Vec<&str> = programs().map(|(text, _)| text.as_str()).collect();
    let warnings: Vec<&str> = programs().filter_map(|(_, warning)| warning.as_deref()).collect();
    if warnings.is_empty() {
        Finding::pass(check, format!("of the server's own major: {}", names.join(", ")))
    } else {
        Finding::warn(
            check,
            warnings.join("; "),
            "install the client programs of the server's own major, or name their folder in \
             postgres.client_dirs",
        )
    }
}

/// The role may no more than it needs.
#[must_use]
pub fn role_rights(role: &RoleFacts) -> Finding {
    let check = Check::RoleRights;
    let name = &role.name;
    let fix = "make a role for backups alone: CREATE ROLE reliquary LOGIN BYPASSRLS PASSWORD '…'; \
               GRANT pg_read_all_data TO reliquary; and use it in the database's url";
    if role.superuser {
        return Finding::fail(check, format!("role {name} is a superuser"), fix);
    }
    let rights: Vec<&str> = [
        (role.create_role, "CREATEROLE"),
        (role.create_database, "CREATEDB"),
        (role.replication, "REPLICATION"),
        (role.runs_programs, "pg_execute_server_program"),
        (role.writes_files, "pg_write_server_files"),
        (role.writes_all, "pg_write_all_data"),
    ]
    .into_iter()
    .filter_map(|(has, right)| has.then_some(right))
    .collect();
    let tables = (role.writable_tables > 0)
        .then(|| format!("may write to {} table(s)", role.writable_tables));
    let rights = (!rights.is_empty()).then(|| format!("has {}", rights.join(", ")));
    let found: Vec<String> = rights.into_iter().chain(tables).collect();
    if found.is_empty() {
        Finding::pass(check, format!("role {name} can read, and no more"))
    } else {
        Finding::warn(
            check,
            format!("role {name} needs only to read, and {}", found.join(", and ")),
            fix,
        )
    }
}

/// What would keep a dump from being whole, of one kind.
#[must_use]
pub fn obstacles(check: Check, problems: &[Problem], kinds: &[Obstacle], good: &str) -> Finding {
    let of: Vec<&Problem> =
        problems.iter().filter(|problem| kinds.contains(&problem.kind)).collect();
    let join = |text: fn(&&Problem) -> String| of.iter().map(text).collect::<Vec<_>>().join("; ");
    if of.is_empty() {
        Finding::pass(check, good)
    } else {
        Finding::fail(check, join(|p| p.what.clone()), join(|p| p.fix.clone()))
    }
}

/// What a dump of this source would leave out without a word.
#[must_use]
pub fn left_out(warnings: &[String]) -> Finding {
    let check = Check::LeftOut;
    if warnings.is_empty() {
        Finding::pass(
            check,
            "a dump holds all that the database holds (roles, and what lies outside of the \
             database, it never does)",
        )
    } else {
        Finding::warn(
            check,
            warnings.join("; "),
            "where it matters, keep it elsewhere, or do what the message says",
        )
    }
}

/// The connection to the source is under TLS, and the server is verified.
/// `in_force` is what the server says of our own session, where it says so.
#[must_use]
pub fn tls(guard: Guard, address: &str, in_force: Option<&str>) -> Finding {
    let check = Check::SourceTls;
    let verify = "write sslmode=verify-full&sslrootcert=system (or the provider's CA file) into \
                  the database's url";
    let version = in_force.map_or(String::new(), |version| format!(" ({version})"));
    match guard {
        Guard::Socket => Finding::pass(check, format!("{address} is a socket on this machine")),
        Guard::Verified => {
            Finding::pass(check, format!("TLS to {address}, whose host name is verified{version}"))
        }
        Guard::Unverified => Finding::warn(
            check,
            format!("TLS to {address}{version}, with whoever answers there: nobody is verified"),
            verify,
        ),
        Guard::Hopeful | Guard::None if is_loopback(address) => Finding::warn(
            check,
            format!("the connection to {address} need not be under TLS; it stays on this machine"),
            verify,
        ),
        Guard::Hopeful => Finding::fail(
            check,
            match in_force {
                Some(version) => format!(
                    "TLS to {address} is in force ({version}) but not asked for: whoever stands \
                     between can take it away, and the password and the rows with it"
                ),
                None => format!("the connection to {address} is in the clear, passwords aside"),
            },
            verify,
        ),
        Guard::None => {
            Finding::fail(check, format!("the connection to {address} is without TLS"), verify)
        }
    }
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::CheckResult;

    fn server(major: u32) -> ServerVersion {
        ServerVersion { num: major * 10_000, major, text: format!("{major}.1") }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_server_past_its_last_release_is_a_failure() {
        let of = |major, today: &str| server_version(&server(major), day(today)).result;
        assert_eq!(of(15, "2026-11-24"), CheckResult::Pass);
        assert_eq!(of(15, "2027-06-01"), CheckResult::Warn);
        assert_eq!(of(15, "2027-11-11"), CheckResult::Warn, "its last day");
        assert_eq!(of(15, "2027-11-12"), CheckResult::Fail);
        assert_eq!(of(9, "2026-11-24"), CheckResult::Fail);
        assert_eq!(of(40, "2026-11-24"), CheckResult::Unknown);
    }

    #[test]
    fn programs_that_are_missing_or_too_new_are_told_of() {
        let good = || Ok(("pg_dump (PostgreSQL) 15.14".to_owned(), None));
        assert_eq!(client_programs(&[good(), good()]).result, CheckResult::Pass);
        let newer = Ok(("pg_dump (PostgreSQL) 18.0".to_owned(), Some("newer".to_owned())));
        assert_eq!(client_programs(&[good(), newer]).result, CheckResult::Warn);
        let missing = client_programs(&[good(), Err("find psql".to_owned())]);
        assert_eq!(missing.result, CheckResult::Fail);
        assert_eq!(missing.found, "find psql");
    }

    #[test]
    fn a_role_that_may_more_than_read_is_told_of() {
        let role = RoleFacts { name: "backup".to_owned(), ..RoleFacts::default() };
        assert_eq!(role_rights(&role).result, CheckResult::Pass);
        let superuser = RoleFacts { superuser: true, ..role.clone() };
        assert_eq!(role_rights(&superuser).result, CheckResult::Fail);
        let writer = RoleFacts { writable_tables: 3, create_role: true, ..role };
        let finding = role_rights(&writer);
        assert_eq!(finding.result, CheckResult::Warn);
        let said = "has CREATEROLE, and may write to 3 table(s)";
        assert!(finding.found.contains(said), "{}", finding.found);
    }

    #[test]
    fn a_way_through_the_network_must_be_guarded() {
        let of = |guard, address, in_force| tls(guard, address, in_force).result;
        assert_eq!(of(Guard::Verified, "db:5432", Some("TLSv1.3")), CheckResult::Pass);
        assert_eq!(of(Guard::Socket, "/run/.s.PGSQL.5432", None), CheckResult::Pass);
        assert_eq!(of(Guard::Unverified, "db:5432", None), CheckResult::Warn);
        assert_eq!(of(Guard::Hopeful, "db:5432", Some("TLSv1.3")), CheckResult::Fail);
        assert_eq!(of(Guard::None, "db:5432", None), CheckResult::Fail);
        assert_eq!(of(Guard::None, "127.0.0.1:5432", None), CheckResult::Warn);
        assert_eq!(of(Guard::None, "[::1]:5432", None), CheckResult::Warn);
    }
}
