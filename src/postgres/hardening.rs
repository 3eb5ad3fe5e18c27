//! What an audit asks of the source beside what a backup asks.

use std::{net::IpAddr, path::PathBuf};

use chrono::{DateTime, Utc};

use super::{
    connect::{SessionError, failed},
    session::{Session, WORK_WITHIN, within},
    tls::Tls,
    url::{ConnectionUrl, Host},
};

/// How a connection is guarded, as the URL asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A socket of this machine; nothing to guard.
    Socket,
    /// TLS with a server that proves its host name.
    Verified,
    /// TLS with whoever answers.
    Unverified,
    /// TLS where the server has it, or insists on it.
    Hopeful,
    /// No TLS.
    None,
}

/// Our role, and what it may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one right of its own")]
pub struct RoleFacts {
    /// Its name.
    pub name: String,
    /// May do everything.
    pub superuser: bool,
    /// May make roles.
    pub create_role: bool,
    /// May make databases.
    pub create_database: bool,
    /// May copy the whole cluster.
    pub replication: bool,
    /// May run programs on the server.
    pub runs_programs: bool,
    /// May write files on the server.
    pub writes_files: bool,
    /// May write to every table.
    pub writes_all: bool,
    /// Tables of this database, outside of the system's schemas, that it may
    /// write to.
    pub writable_tables: i64,
}

impl ConnectionUrl {
    /// How connections are guarded.
    #[must_use]
    pub fn guard(&self) -> Guard {
        if matches!(self.host, Host::Socket(_)) {
            return Guard::Socket;
        }
        match self.tls {
            Tls::Full { .. } => Guard::Verified,
            Tls::Require(_) => Guard::Unverified,
            Tls::Prefer(_) | Tls::Allow => Guard::Hopeful,
            Tls::Off => Guard::None,
        }
    }

    /// Whether the server is on this machine, as far as the URL tells.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.host {
            Host::Socket(_) => true,
            Host::Network(host) => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }

    /// The private key that is shown to the server, where one is.
    #[must_use]
    pub fn key_file(&self) -> Option<PathBuf> {
        let client = match &self.tls {
            Tls::Prefer(client) | Tls::Require(client) | Tls::Full { client, .. } => client,
            Tls::Off | Tls::Allow => return None,
        };
        client.as_ref().map(|client| client.key.clone())
    }
}

/// Roles that older majors do not know are looked for by name.
const ROLE: &str = "
SELECT r.rolname::text, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
       EXISTS (SELECT FROM pg_roles m WHERE m.rolname = 'pg_execute_server_program'
               AND pg_has_role(m.oid, 'MEMBER')),
       EXISTS (SELECT FROM pg_roles m WHERE m.rolname = 'pg_write_server_files'
               AND pg_has_role(m.oid, 'MEMBER')),
       EXISTS (SELECT FROM pg_roles m WHERE m.rolname = 'pg_write_all_data'
               AND pg_has_role(m.oid, 'MEMBER')),
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND coalesce(has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'), false))
FROM pg_roles r WHERE r.rolname = current_user";

/// Our role's row, in the order of the query.
type RoleRow = (String, bool, bool, bool, bool, bool, bool, bool, i64);

impl Session {
    /// Our role, and what it may do.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn role_facts(&mut self) -> Result<RoleFacts, SessionError> {
        const DOING: &str = "read the rights of our role";
        let look = async {
            let row: RoleRow = sqlx::query_as(ROLE)
                .fetch_one(&mut self.connection)
                .await
                .map_err(failed(DOING))?;
            Ok(RoleFacts {
                name: row.0,
                superuser: row.1,
                create_role: row.2,
                create_database: row.3,
                replication: row.4,
                runs_programs: row.5,
                writes_files: row.6,
                writes_all: row.7,
                writable_tables: row.8,
            })
        };
        within(DOING, WORK_WITHIN, look).await
    }

    /// The server's own idea of the time.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn server_time(&mut self) -> Result<DateTime<Utc>, SessionError> {
        const DOING: &str = "ask the server's time";
        let ask = async {
            let micros: i64 = sqlx::query_scalar(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8",
            )
            .fetch_one(&mut self.connection)
            .await
            .map_err(failed(DOING))?;
            Ok(DateTime::from_timestamp_micros(micros).unwrap_or_default())
        };
        within(DOING, WORK_WITHIN, ask).await
    }

    /// The version of TLS that our session is under, as the server says;
    /// `None` where it is under none. Behind a pooler that is about the
    /// pooler's own connection.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn tls_version(&mut self) -> Result<Option<String>, SessionError> {
        const DOING: &str = "ask how the session is guarded";
        let ask = async {
            let version: Option<Option<String>> = sqlx::query_scalar(
                "SELECT version::text FROM pg_stat_ssl WHERE ssl AND pid = pg_backend_pid()",
            )
            .fetch_optional(&mut self.connection)
            .await
            .map_err(failed(DOING))?;
            Ok(version.flatten())
        };
        within(DOING, WORK_WITHIN, ask).await
    }

    /// Where the server keeps its data; `None` where our role may not know.
    pub async fn data_directory(&mut self) -> Option<PathBuf> {
        let ask = sqlx::query_scalar::<_, String>("SHOW data_directory");
        ask.fetch_one(&mut self.connection).await.ok().map(PathBuf::from)
    }
}
