//! Everything that would stop a dump, found before it begins and said at once.

use std::fmt::Write as _;

use super::{
    connect::{SessionError, failed},
    exclude::{Exclude, ResolvedExclusions},
    relations::{self, Kind, Relation, quote},
    session::{Session, WORK_WITHIN, within},
};

/// The oldest server major that `pg_dump` of today and our queries read.
const OLDEST_MAJOR: u32 = 12;

/// From here on `pg_dump` leaves tables alone that an extension creates.
const LOCKS_NO_MEMBERS: u32 = 15;

/// How many objects a problem names.
const NAMED: usize = 20;

/// Something that would stop a dump, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Of what kind it is.
    pub kind: Obstacle,
    /// What is wrong, with the objects' names.
    pub what: String,
    /// What mends it: SQL where SQL does.
    pub fix: String,
}

/// What kind of thing stops a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The server is too old.
    Version,
    /// A schema, a table or a sequence that the role may not read.
    Tables,
    /// Rows that policies hide.
    RowSecurity,
    /// Large objects that the role may not read.
    LargeObjects,
}

/// A dump would fail or would not be whole.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// All that is wrong.
    #[error("back the database up as it stands: {}", list(.0))]
    Refused(Vec<Problem>),
    /// The questions could not be asked.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl PreflightError {
    /// Whether the same may succeed a little later with nothing mended.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Session(error) => error.is_transient(),
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |mut text, Problem { what, fix, .. }| {
        let separator = if text.is_empty() { "" } else { "; " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{what} (to mend it: {fix})");
        text
    })
}

impl Session {
    /// Looks for all that would make a dump fail or hide rows from it, with the
    /// rights of our role and without what the settings exclude. What is no
    /// obstacle but should be known is returned.
    ///
    /// # Errors
    /// With every problem at once, or when the server cannot be asked.
    pub async fn preflight(&mut self, exclude: &Exclude) -> Result<Vec<String>, PreflightError> {
        let (problems, warnings) = self.obstacles(exclude).await?;
        if problems.is_empty() { Ok(warnings) } else { Err(PreflightError::Refused(problems)) }
    }

    /// The same, with what stops a dump beside what does not.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn obstacles(
        &mut self,
        exclude: &Exclude,
    ) -> Result<(Vec<Problem>, Vec<String>), SessionError> {
        within("look for obstacles to a dump", WORK_WITHIN, self.look(exclude)).await
    }

    async fn look(
        &mut self,
        exclude: &Exclude,
    ) -> Result<(Vec<Problem>, Vec<String>), SessionError> {
        if self.server.major < OLDEST_MAJOR {
            let problem = Problem {
                kind: Obstacle::Version,
                what: format!("the server is PostgreSQL {}", self.server.text),
                fix: format!("upgrade it to {OLDEST_MAJOR} or later"),
            };
            return Ok((vec![problem], Vec::new()));
        }
        let all = relations::read(&mut self.connection).await?;
        let (exclusions, mut warnings) = exclude.resolve(&all);
        let role = quote(&self.role);
        let mut problems = judge(&all, &exclusions, self.standby, self.server.major, &role);
        problems.extend(self.large_objects(&role).await?);
        warnings.extend(self.standby_warnings(&all).await?);
        warnings.extend(self.subscriptions().await?);
        Ok((problems, warnings))
    }

    /// Large objects have owners and grants of their own, which no table's
    /// grants and no predefined role covers.
    async fn large_objects(&mut self, role: &str) -> Result<Option<Problem>, SessionError> {
        let (count, first): (i64, Vec<i64>) = sqlx::query_as(
            "SELECT count(*), coalesce((array_agg(m.oid::int8 ORDER BY m.oid))[1:5], '{}')
             FROM pg_largeobject_metadata m
             WHERE NOT current_setting('lo_compat_privileges')::bool
               AND NOT coalesce(pg_has_role(m.lomowner, 'USAGE'), false)
               AND NOT EXISTS (
                   SELECT FROM aclexplode(m.lomacl) a
                   WHERE a.privilege_type = 'SELECT'
                     AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))",
        )
        .fetch_one(&mut self.connection)
        .await
        .map_err(failed("read who may read the large objects"))?;
        if count == 0 {
            return Ok(None);
        }
        let named: Vec<String> = first.iter().map(ToString::to_string).collect();
        Ok(Some(Problem {
            kind: Obstacle::LargeObjects,
            what: format!(
                "role {role} may not read {count} large object(s), among them {}",
                named.join(", ")
            ),
            fix: format!(
                "GRANT SELECT ON LARGE OBJECT {} TO {role}; for all of them, as their owner: \
                 DO $$ DECLARE l oid; BEGIN FOR l IN SELECT oid FROM pg_largeobject_metadata LOOP \
                 EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO {role}', l); END LOOP; END $$",
                named.first().map_or("OID", String::as_str)
            ),
        }))
    }

    async fn standby_warnings(&mut self, all: &[Relation]) -> Result<Vec<String>, SessionError> {
        if !self.standby {
            return Ok(Vec::new());
        }
        let mut warnings = Vec::new();
        let (delay, feedback): (String, String) = sqlx::query_as(
            "SELECT current_setting('max_standby_streaming_delay'), current_setting('hot_standby_feedback')",
        )
        .fetch_one(&mut self.connection)
        .await
        .map_err(failed("read the standby's settings"))?;
        if delay != "-1" && feedback == "off" {
            warnings.push(format!(
                "the server is a standby that may cancel a dump longer than \
                 max_standby_streaming_delay = {delay}; set hot_standby_feedback = on there"
            ));
        }
        let unlogged = names(all.iter().filter(|r| r.unlogged && r.kind == Kind::Table));
        if let Some(unlogged) = unlogged {
            warnings.push(format!(
                "the server is a standby, which has no rows of unlogged tables: {unlogged}"
            ));
        }
        Ok(warnings)
    }

    /// `pg_dump` leaves subscriptions out for roles that may not read them.
    async fn subscriptions(&mut self) -> Result<Option<String>, SessionError> {
        let left_out: bool = sqlx::query_scalar(
            "SELECT NOT r.rolsuper AND EXISTS (
                 SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
                 WHERE d.datname = current_database())
             FROM pg_roles r WHERE r.rolname = current_user",
        )
        .fetch_one(&mut self.connection)
        .await
        .map_err(failed("look for subscriptions"))?;
        Ok(left_out.then(|| {
            "the database has subscriptions, which only a superuser's dump holds".to_owned()
        }))
    }
}

/// What the relations tell.
fn judge(
    all: &[Relation],
    exclusions: &ResolvedExclusions,
    standby: bool,
    major: u32,
    role: &str,
) -> Vec<Problem> {
    // pg_dump locks every table whose definition it writes. Of an extension's
    // own tables it reads those whose rows it wants; before 15 it locked all.
    let locked = |r: &&Relation| {
        matches!(r.kind, Kind::Table | Kind::Partitioned)
            && if r.member {
                major < LOCKS_NO_MEMBERS || exclusions.keeps_rows(r, standby)
            } else {
                exclusions.keeps(r)
            }
    };
    let valued = |r: &&Relation| r.kind == Kind::Sequence && exclusions.keeps_rows(r, standby);
    let wanted = || all.iter().filter(|r| locked(r) || valued(r));
    let mut problems = Vec::new();

    let mut schemas: Vec<&str> =
        wanted().filter(|r| !r.reachable).map(|r| r.schema.as_str()).collect();
    schemas.dedup();
    if !schemas.is_empty() {
        let schemas: Vec<String> = schemas.into_iter().map(quote).collect();
        problems.push(Problem {
            kind: Obstacle::Tables,
            what: format!("role {role} has no USAGE on schema {}", shorten(&schemas)),
            fix: format!("GRANT USAGE ON SCHEMA {} TO {role}", shorten(&schemas)),
        });
    }
    if let Some(tables) = names(wanted().filter(|r| locked(r) && !r.readable)) {
        problems.push(Problem {
            kind: Obstacle::Tables,
            what: format!("role {role} may not SELECT table {tables}"),
            fix: format!("GRANT SELECT ON {tables} TO {role}, or exclude what need not be kept"),
        });
    }
    if let Some(sequences) = names(wanted().filter(|r| valued(r) && !r.readable)) {
        problems.push(Problem {
            kind: Obstacle::Tables,
            what: format!("role {role} may not SELECT sequence {sequences}"),
            fix: format!("GRANT SELECT ON SEQUENCE {sequences} TO {role}"),
        });
    }
    let hidden = all.iter().filter(|r| r.row_security && exclusions.keeps_rows(r, standby));
    if let Some(tables) = names(hidden) {
        problems.push(Problem {
            kind: Obstacle::RowSecurity,
            what: format!("row-level security would hide rows from role {role} in {tables}"),
            fix: format!("ALTER ROLE {role} BYPASSRLS"),
        });
    }
    problems
}

fn names<'a>(relations: impl Iterator<Item = &'a Relation>) -> Option<String> {
    let names: Vec<String> = relations.map(Relation::quoted).collect();
    (!names.is_empty()).then(|| shorten(&names))
}

fn shorten(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
