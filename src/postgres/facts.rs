//! What the source is, as one snapshot shows it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    connect::{SessionError, failed},
    exclude::ResolvedExclusions,
    relations::{Kind, Relation},
};

/// The source's facts, from the snapshot that the dump shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// As the server writes it.
    pub server_version: String,
    /// As in `150018`.
    pub server_version_num: u32,
    /// The database's name.
    pub database: String,
    /// The database's encoding, which is also the dump's.
    pub encoding: String,
    /// The cluster's identity, where our role may know it.
    pub system_identifier: Option<String>,
    /// The write-ahead log's position at the snapshot; replayed so far on a standby.
    pub lsn: Option<String>,
    /// The snapshot's time by the server's clock.
    pub taken_at: DateTime<Utc>,
    /// Whether the server was a standby.
    pub standby: bool,
    /// Extensions, by name.
    pub extensions: Vec<Extension>,
    /// Roles that the dump names although it names no owners and no grants:
    /// those of policies and of user mappings.
    pub roles: Vec<String>,
    /// Exactly the tables whose rows the dump holds, by name.
    pub tables: Vec<TableFact>,
    /// Sequences whose value the dump holds.
    pub sequences: u64,
    /// Large objects.
    pub large_objects: u64,
    /// What the whole database takes on disk, in bytes, indexes included;
    /// `None` where our role may not know.
    pub database_bytes: Option<u64>,
}

/// An extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The schema that holds its objects.
    pub schema: String,
}

/// A table whose rows are in the dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFact {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// What its rows take on disk, without indexes, in bytes.
    pub bytes_estimate: u64,
    /// The server's estimate of its rows; zero where it has none.
    pub rows_estimate: u64,
    /// Whether it is unlogged.
    pub unlogged: bool,
    /// Whether an extension owns it, which wants its rows in dumps.
    pub of_extension: bool,
}

const DOING: &str = "read the source's facts";

/// The version of the source's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// As in `150018`.
    pub num: u32,
    /// As in `15`.
    pub major: u32,
    /// As the server writes it.
    pub text: String,
}

/// What the session knows before it asks.
pub(super) struct About<'a> {
    pub(super) server: &'a ServerVersion,
    pub(super) standby: bool,
    pub(super) database: &'a str,
    pub(super) taken_at_micros: i64,
    pub(super) system_identifier: Option<String>,
}

/// Reads the facts inside of the snapshot's transaction.
pub(super) async fn read(
    connection: &mut PgConnection,
    about: &About<'_>,
    all: &[Relation],
    exclusions: &ResolvedExclusions,
) -> Result<Facts, SessionError> {
    let doing = failed(DOING);
    let standby = about.standby;
    let lsn = optional(
        connection,
        if standby {
            "SELECT pg_last_wal_replay_lsn()::text"
        } else {
            "SELECT pg_current_wal_lsn()::text"
        },
    )
    .await?;
    let database_bytes = optional(connection, "SELECT pg_database_size(current_database())::text")
        .await?
        .and_then(|text| text.parse().ok());
    let encoding = sqlx::query_scalar("SELECT getdatabaseencoding()::text")
        .fetch_one(&mut *connection)
        .await
        .map_err(&doing)?;
    let extensions: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT e.extname::text, e.extversion, n.nspname::text
         FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(&doing)?;
    let roles = sqlx::query_scalar(
        "SELECT r.rolname::text FROM pg_policy p JOIN pg_roles r ON r.oid = ANY (p.polroles)
         UNION SELECT m.usename::text FROM pg_user_mappings m WHERE m.umuser <> 0
         ORDER BY 1",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(&doing)?;
    let large_objects: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_largeobject_metadata")
        .fetch_one(&mut *connection)
        .await
        .map_err(&doing)?;
    let (sequences, tables): (Vec<&Relation>, Vec<&Relation>) = all
        .iter()
        .filter(|relation| exclusions.keeps_rows(relation, standby))
        .partition(|relation| relation.kind == Kind::Sequence);
    let tables = sizes(connection, &tables).await?;
    Ok(Facts {
        server_version: about.server.text.clone(),
        server_version_num: about.server.num,
        database: about.database.to_owned(),
        encoding,
        system_identifier: about.system_identifier.clone(),
        lsn,
        taken_at: DateTime::from_timestamp_micros(about.taken_at_micros).unwrap_or_default(),
        standby,
        extensions: extensions
            .into_iter()
            .map(|(name, version, schema)| Extension { name, version, schema })
            .collect(),
        roles,
        tables,
        sequences: sequences.len() as u64,
        large_objects: u64::try_from(large_objects).unwrap_or_default(),
        database_bytes,
    })
}

/// The cluster's identity. Some platforms keep it to themselves.
pub(super) async fn system_identifier(connection: &mut PgConnection) -> Option<String> {
    sqlx::query_scalar("SELECT system_identifier::text FROM pg_control_system()")
        .fetch_one(connection)
        .await
        .ok()
}

/// A fact that some platforms or roles do not get; a refusal is no failure.
async fn optional(
    connection: &mut PgConnection,
    query: &'static str,
) -> Result<Option<String>, SessionError> {
    // A savepoint of our own, since an error would end the transaction and the
    // snapshot. sqlx did not begin the transaction and would end all of it.
    let doing = failed(DOING);
    sqlx::raw_sql("SAVEPOINT optional").execute(&mut *connection).await.map_err(&doing)?;
    let value = match sqlx::query_scalar(query).fetch_one(&mut *connection).await {
        Ok(value) => value,
        Err(error) if error.as_database_error().is_some() => None,
        Err(error) => return Err(doing(error)),
    };
    sqlx::raw_sql("ROLLBACK TO SAVEPOINT optional; RELEASE SAVEPOINT optional")
        .execute(connection)
        .await
        .map_err(&doing)?;
    Ok(value)
}

/// Takes the lightest lock on each table for a moment, as `pg_dump` will for
/// longer: a table that is locked by DDL shows here, before anything is dumped.
async fn sizes(
    connection: &mut PgConnection,
    tables: &[&Relation],
) -> Result<Vec<TableFact>, SessionError> {
    let oids: Vec<i64> = tables.iter().map(|table| table.oid).collect();
    let sizes: Vec<i64> = sqlx::query_scalar(
        "SELECT coalesce(pg_table_size(t.oid::oid::regclass), 0)::int8
         FROM unnest($1::int8[]) WITH ORDINALITY AS t (oid, place) ORDER BY t.place",
    )
    .bind(oids)
    .fetch_all(connection)
    .await
    .map_err(failed("read the tables' sizes"))?;
    Ok(tables
        .iter()
        .zip(sizes)
        .map(|(table, bytes)| TableFact {
            schema: table.schema.clone(),
            name: table.name.clone(),
            bytes_estimate: u64::try_from(bytes).unwrap_or_default(),
            rows_estimate: table.rows,
            unlogged: table.unlogged,
            of_extension: table.member,
        })
        .collect())
}
