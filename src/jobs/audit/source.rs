//! Asks the source.

use std::time::Duration;

use super::Gathered;
use crate::{
    audit::{Finding, clocks, files::DataPlace, source as checks},
    jobs::{Environment, Source},
    postgres::{Exclude, Obstacle, Session, SessionError, clients},
    words::Check,
};

/// How long the session may take to stand.
const OPEN_WITHIN: Duration = Duration::from_secs(40);

/// What only the server itself can tell.
const ASKED: [Check; 8] = [
    Check::ClockSource,
    Check::ServerVersion,
    Check::ClientPrograms,
    Check::RoleRights,
    Check::TablesReadable,
    Check::RowSecurity,
    Check::LargeObjects,
    Check::LeftOut,
];

/// Makes the source's checks; says where its data are.
pub(super) async fn check(
    environment: &Environment,
    source: &Source,
    gathered: &mut Gathered,
) -> DataPlace {
    let (url, settings) = (&source.url, &source.settings);
    let place = if url.is_local() { DataPlace::Hidden } else { DataPlace::Elsewhere };
    let mut session = match Session::open(url, OPEN_WITHIN, settings.lock_timeout).await {
        Ok(session) => session,
        Err(error) => {
            let why = url.redact(&error.to_string());
            gathered.findings.push(Finding::fail(
                Check::Source,
                format!("the source cannot be reached: {why}"),
                format!("mend what the message names, or databases.{}.url", settings.name),
            ));
            gathered.findings.extend(ASKED.map(|check| {
                Finding::unknown(check, "the source could not be asked", "see what `source` says")
            }));
            gathered.findings.push(checks::tls(url.guard(), &url.address(), None));
            return place;
        }
    };
    gathered.findings.push(Finding::pass(
        Check::Source,
        format!("{} can be reached, and gives a session of its own", url.address()),
    ));
    ask(environment, source, &mut session, gathered).await;
    let place = match place {
        DataPlace::Hidden => data_place(&mut session).await,
        place => place,
    };
    session.close().await;
    place
}

async fn ask(
    environment: &Environment,
    source: &Source,
    session: &mut Session,
    gathered: &mut Gathered,
) {
    let url = &source.url;
    let unknown = |check, error: &SessionError| {
        let why = url.redact(&error.to_string());
        Finding::unknown(check, format!("there was no answer: {why}"), "run the audit again")
    };
    let before = environment.clock.now();
    let time = session.server_time().await;
    let middle = before + (environment.clock.now() - before) / 2;
    let skew = time.map(|time| middle - time).map_err(|error| url.redact(&error.to_string()));
    let mut found = vec![clocks::between(Check::ClockSource, "the database server's", skew)];

    let server = session.server().clone();
    found.push(checks::server_version(&server, environment.clock.now().date_naive()));
    found.push(client_programs(environment, server.major).await);

    match session.role_facts().await {
        Ok(role) => found.push(checks::role_rights(&role)),
        Err(error) => found.push(unknown(Check::RoleRights, &error)),
    }
    match session.tls_version().await {
        Ok(version) => {
            found.push(checks::tls(url.guard(), &url.address(), version.as_deref()));
        }
        Err(_) => found.push(checks::tls(url.guard(), &url.address(), None)),
    }
    let exclude = &source.settings.exclude;
    let exclude = Exclude {
        schemas: exclude.schemas.clone(),
        tables: exclude.tables.clone(),
        table_data: exclude.table_data.clone(),
    };
    match session.obstacles(&exclude).await {
        Ok((problems, warnings)) => {
            let of =
                |check, kinds: &[Obstacle], good| checks::obstacles(check, &problems, kinds, good);
            found.extend([
                of(
                    Check::TablesReadable,
                    &[Obstacle::Tables, Obstacle::Version],
                    "the role may read every table and sequence that a backup holds",
                ),
                of(
                    Check::RowSecurity,
                    &[Obstacle::RowSecurity],
                    "row-level security hides nothing from the role",
                ),
                of(
                    Check::LargeObjects,
                    &[Obstacle::LargeObjects],
                    "the role may read every large object",
                ),
                checks::left_out(&warnings),
            ]);
        }
        Err(error) => {
            let checks =
                [Check::TablesReadable, Check::RowSecurity, Check::LargeObjects, Check::LeftOut];
            found.extend(checks.map(|check| unknown(check, &error)));
        }
    }
    gathered.findings.extend(found);
}

/// `pg_dump` makes a backup; `psql` gets it back.
async fn client_programs(environment: &Environment, major: u32) -> Finding {
    let dirs = &environment.client_dirs;
    let found =
        [clients::find(dirs, "pg_dump", major).await, clients::find_psql(dirs, major).await];
    checks::client_programs(&found.map(|found| {
        found.map(|client| (client.text, client.warning)).map_err(|error| error.to_string())
    }))
}

async fn data_place(session: &mut Session) -> DataPlace {
    use std::os::unix::fs::MetadataExt as _;
    let Some(path) = session.data_directory().await else { return DataPlace::Hidden };
    match std::fs::metadata(path) {
        Ok(metadata) => DataPlace::Here(metadata.dev()),
        Err(_) => DataPlace::Hidden,
    }
}
