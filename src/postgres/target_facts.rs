//! What the target is, holds and allows.

mod questions;

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use self::questions::{EXTENSIONS, NAMED, OTHERS, RELATIONS, SCHEMAS};
use super::{
    connect::{SessionError, failed},
    facts::{ServerVersion, system_identifier},
    target::Target,
};

/// The target's facts, as far as a restore must know them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent right")]
pub struct TargetFacts {
    /// The server's version.
    pub server: ServerVersion,
    /// The role that restores.
    pub role: String,
    /// Whether it is a superuser.
    pub superuser: bool,
    /// Whether it may make schemas.
    pub creates_schemas: bool,
    /// Whether it may make roles.
    pub creates_roles: bool,
    /// Whether it may hold triggers and foreign keys off for its session.
    pub holds_triggers: bool,
    /// The database's name.
    pub database: String,
    /// Whether new databases are copied from it.
    pub is_template: bool,
    /// Its encoding.
    pub encoding: String,
    /// The cluster's identity, where the role may know it.
    pub system_identifier: Option<String>,
    /// Whether the server takes no writes.
    pub read_only: bool,
    /// Schemas that are not the system's.
    pub schemas: Vec<SchemaFact>,
    /// Tables, views, sequences and the like in them.
    pub relations: Vec<RelationFact>,
    /// Functions, types, operators and the like in them that no extension made,
    /// as schema and name.
    pub others: Vec<(String, String)>,
    /// How many large objects there are.
    pub large_objects: u64,
    /// Extensions that are installed or could be.
    pub extensions: Vec<ExtensionFact>,
    /// Every role.
    pub roles: Vec<String>,
    /// Publications, and whether the role owns each.
    pub publications: Vec<(String, bool)>,
    /// Ways to store tables and indexes.
    pub access_methods: Vec<String>,
    /// Names of the server's settings.
    pub settings: Vec<String>,
    /// The server's shared memory for pages, in bytes.
    pub shared_buffers: u64,
}

/// A schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFact {
    /// Its name.
    pub name: String,
    /// Whether the role may make objects in it.
    pub creates: bool,
    /// Whose it is.
    pub owner: String,
    /// Whether that is the role, itself or through another. A superuser is a member
    /// of every role, and owns what is its own.
    pub owned: bool,
}

/// A table, view, sequence or the like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent right")]
pub struct RelationFact {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// As in `pg_class.relkind`.
    pub kind: char,
    /// Whether an extension made it.
    pub member: bool,
    /// Where an extension wants rows of it dumped: the clause that tells which.
    pub config: Option<String>,
    /// Whether the role owns it, itself or through another.
    pub owned: bool,
    /// Whether the role may insert.
    pub inserts: bool,
    /// Whether the role may read.
    pub selects: bool,
    /// Whether the role may truncate.
    pub truncates: bool,
    /// Whether the role may delete.
    pub deletes: bool,
    /// Whether the role may let foreign keys point at it.
    pub references: bool,
    /// Whether the role may make triggers.
    pub triggers: bool,
    /// Whether it has triggers, those of foreign keys included.
    pub triggered: bool,
    /// Whether its policies hide rows from the role.
    pub hides: bool,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Those of them that every row must give a value.
    pub required: Vec<String>,
    /// Those of them that no row may give a value.
    pub generated: Vec<String>,
    /// Tables with rows of their own whose foreign keys point at it.
    pub referenced_by: Vec<Reference>,
    /// Sequences that belong to its columns, as schema and name.
    pub sequences: Vec<String>,
    /// What hangs on it, as kind and name: `index i`, `constraint c`, `trigger t`,
    /// `policy p`, `rule r`, `row security`, `forced row security`.
    pub parts: Vec<String>,
    /// Whether it is marked as [`UNFINISHED`].
    pub unfinished: bool,
}

/// A foreign key that points at a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The table that has it, as `schema.name`.
    pub table: String,
    /// Its name.
    pub constraint: String,
    /// Whether every row must point: its columns take no NULL.
    pub required: bool,
}

/// An extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionFact {
    /// Its name.
    pub name: String,
    /// Whether it is installed in the database.
    pub installed: bool,
    /// The schema that it is installed in.
    pub schema: Option<String>,
    /// Whether the role owns it.
    pub owned: bool,
    /// The version that is installed, or would be.
    pub version: String,
    /// Extensions that must be there first.
    pub requires: Vec<String>,
}

/// Which database of which server a session is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's identity, where the role may know it. Clones share it.
    pub system_identifier: Option<String>,
    /// The database's number in its cluster.
    pub database_oid: i64,
    /// Its name.
    pub database: String,
    /// When the server started, in microseconds since 1970.
    pub started_micros: i64,
    /// Whether it follows another server.
    pub standby: bool,
}

const DOING: &str = "read the target's facts";

/// The comment of a relation that a restore has made and has not finished.
pub const UNFINISHED: &str = "not whole: reliquary has not finished restoring it";

/// Reads a row of [`RELATIONS`].
fn relation(row: &PgRow) -> Result<RelationFact, sqlx::Error> {
    let tables: Vec<String> = row.try_get(17)?;
    let (constraints, required): (Vec<String>, Vec<bool>) = (row.try_get(18)?, row.try_get(19)?);
    let references = std::iter::zip(tables, constraints).zip(required);
    Ok(RelationFact {
        schema: row.try_get(0)?,
        name: row.try_get(1)?,
        kind: row.try_get::<String, _>(2)?.chars().next().unwrap_or_default(),
        member: row.try_get(3)?,
        config: row.try_get(4)?,
        owned: row.try_get(5)?,
        inserts: row.try_get(6)?,
        selects: row.try_get(7)?,
        truncates: row.try_get(8)?,
        deletes: row.try_get(9)?,
        references: row.try_get(10)?,
        triggers: row.try_get(11)?,
        triggered: row.try_get(12)?,
        hides: row.try_get(13)?,
        columns: row.try_get(14)?,
        required: row.try_get(15)?,
        generated: row.try_get(16)?,
        referenced_by: references
            .map(|((table, constraint), required)| Reference { table, constraint, required })
            .collect(),
        sequences: row.try_get(20)?,
        parts: row.try_get(21)?,
        unfinished: row.try_get(22)?,
    })
}

/// Reads a row of [`EXTENSIONS`].
fn extension(row: &PgRow) -> Result<ExtensionFact, sqlx::Error> {
    Ok(ExtensionFact {
        name: row.try_get(0)?,
        installed: row.try_get(1)?,
        owned: row.try_get(2)?,
        version: row.try_get(3)?,
        requires: row.try_get(4)?,
        schema: row.try_get(5)?,
    })
}

impl Target {
    /// Reads what the target is and holds. Nothing is changed.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn facts(&mut self) -> Result<TargetFacts, SessionError> {
        let doing = failed(DOING);
        let server = self.server.clone();
        let holds_triggers = self.try_to_hold_triggers().await;
        let connection = &mut self.connection;
        let system_identifier = system_identifier(connection).await;
        let is_template: bool = sqlx::query_scalar(
            "SELECT datistemplate FROM pg_database WHERE datname = current_database()",
        )
        .fetch_one(&mut *connection)
        .await
        .map_err(&doing)?;
        let (role, superuser, creates_roles, database, encoding, creates_schemas, read_only): (
            String,
            bool,
            bool,
            String,
            String,
            bool,
            bool,
        ) = sqlx::query_as(
            "SELECT current_user::text, r.rolsuper, r.rolsuper OR r.rolcreaterole,
                    current_database()::text, getdatabaseencoding()::text,
                    has_database_privilege(current_database(), 'CREATE'),
                    pg_is_in_recovery() OR current_setting('transaction_read_only')::bool
             FROM pg_roles r WHERE r.rolname = current_user",
        )
        .fetch_one(&mut *connection)
        .await
        .map_err(&doing)?;
        let schemas: Vec<(String, bool, String, bool)> =
            sqlx::query_as(SCHEMAS).fetch_all(&mut *connection).await.map_err(&doing)?;
        let relations = sqlx::query(RELATIONS)
            .bind(UNFINISHED)
            .fetch_all(&mut *connection)
            .await
            .map_err(&doing)?;
        let relations = relations.iter().map(relation).collect::<Result<_, _>>().map_err(&doing)?;
        let others = sqlx::query_as(OTHERS).fetch_all(&mut *connection).await.map_err(&doing)?;
        let extensions =
            sqlx::query(EXTENSIONS).fetch_all(&mut *connection).await.map_err(&doing)?;
        let extensions =
            extensions.iter().map(extension).collect::<Result<_, _>>().map_err(&doing)?;
        let publications = sqlx::query_as(
            "SELECT pubname::text, pg_has_role(pubowner, 'USAGE') FROM pg_publication ORDER BY 1",
        )
        .fetch_all(&mut *connection)
        .await
        .map_err(&doing)?;
        let large_objects: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_largeobject_metadata")
            .fetch_one(&mut *connection)
            .await
            .map_err(&doing)?;
        let shared_buffers: i64 =
            sqlx::query_scalar("SELECT pg_size_bytes(current_setting('shared_buffers'))::int8")
                .fetch_one(&mut *connection)
                .await
                .map_err(&doing)?;
        Ok(TargetFacts {
            server,
            role,
            superuser,
            creates_schemas,
            creates_roles,
            holds_triggers,
            database,
            is_template,
            encoding,
            system_identifier,
            read_only,
            schemas: schemas
                .into_iter()
                .map(|(name, creates, owner, owned)| SchemaFact { name, creates, owner, owned })
                .collect(),
            relations,
            others,
            large_objects: u64::try_from(large_objects).unwrap_or_default(),
            extensions,
            roles: texts(connection, "SELECT rolname::text FROM pg_roles ORDER BY 1").await?,
            publications,
            access_methods: texts(connection, "SELECT amname::text FROM pg_am ORDER BY 1").await?,
            settings: texts(connection, "SELECT name::text FROM pg_settings ORDER BY 1").await?,
            shared_buffers: u64::try_from(shared_buffers).unwrap_or_default(),
        })
    }

    /// Which database of which server this is.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn identity(&mut self) -> Result<Identity, SessionError> {
        let system_identifier = system_identifier(&mut self.connection).await;
        let (database_oid, database, started_micros, standby) = sqlx::query_as(
            "SELECT oid::int8, datname::text,
                    (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8,
                    pg_is_in_recovery()
             FROM pg_database WHERE datname = current_database()",
        )
        .fetch_one(&mut self.connection)
        .await
        .map_err(failed("ask which database it is"))?;
        Ok(Identity { system_identifier, database_oid, database, started_micros, standby })
    }

    /// Which of these tables hold a row; each is named as SQL writes it, with the
    /// clause that tells which rows count, or nothing.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn occupied(
        &mut self,
        tables: &[(String, String)],
    ) -> Result<Vec<String>, SessionError> {
        let doing = failed("look whether tables are empty");
        let mut occupied = Vec::new();
        // Whoever holds a table for long must be named, not waited for.
        sqlx::query("SET lock_timeout = '30s'")
            .execute(&mut self.connection)
            .await
            .map_err(&doing)?;
        for (table, clause) in tables {
            let sql = format!("SELECT EXISTS (SELECT FROM ONLY {table} {clause})");
            let holds: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .fetch_one(&mut self.connection)
                .await
                .map_err(&doing)?;
            if holds {
                occupied.push(table.clone());
            }
        }
        sqlx::query("SET lock_timeout = 0").execute(&mut self.connection).await.map_err(&doing)?;
        Ok(occupied)
    }

    /// Which of these tables are not there; each is named as SQL writes it.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn absent(&mut self, tables: &[String]) -> Result<Vec<String>, SessionError> {
        sqlx::query_scalar("SELECT t FROM unnest($1::text[]) t WHERE to_regclass(t) IS NULL")
            .bind(tables)
            .fetch_all(&mut self.connection)
            .await
            .map_err(failed("look for tables"))
    }

    /// Which of these names, as schema and name, something has, whoever made it.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn named(
        &mut self,
        names: &[(&str, &str)],
    ) -> Result<Vec<(String, String)>, SessionError> {
        let (schemas, names): (Vec<&str>, Vec<&str>) = names.iter().copied().unzip();
        sqlx::query_as(NAMED)
            .bind(schemas)
            .bind(names)
            .fetch_all(&mut self.connection)
            .await
            .map_err(failed("look for what extensions bring"))
    }

    /// Platforms let some roles do it that are no superusers: it is tried.
    async fn try_to_hold_triggers(&mut self) -> bool {
        let tried =
            self.run("BEGIN; SET LOCAL session_replication_role = replica; ROLLBACK").await.is_ok();
        if !tried {
            // An error says that no transaction is open, which is what is wanted.
            let _ = self.run("ROLLBACK").await;
        }
        tried
    }
}

async fn texts(
    connection: &mut PgConnection,
    sql: &'static str,
) -> Result<Vec<String>, SessionError> {
    sqlx::query_scalar(sql).fetch_all(connection).await.map_err(failed(DOING))
}
