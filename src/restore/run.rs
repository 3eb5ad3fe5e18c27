//! Carries a plan out: stage after stage, each timed, stopped at the first error.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{
    drop,
    error::{Failure, Loaded, RestoreError, Stopped},
    fill,
    judge::Class,
    kind::Kind,
    load,
    members::Archive,
    options::Options,
    plan::{Plan, Rest, Skipped},
    post,
    prepare::{CONNECT_WITHIN, Prepared},
    progress::Progress,
    proof,
    report::{Difference, LeftOut, Report, StageTime},
    rest,
    script_log::ScriptLog,
    statement::Statement,
};
use crate::{
    archive::Manifest,
    postgres::{Psql, Section, Target, quote},
    words::RestoreStage,
};

/// How long ending our sessions may take.
const END_WITHIN: Duration = Duration::from_secs(10);

/// At least this much memory for building one index, and at most so much, in bytes.
const INDEX_MEMORY: (u64, u64) = (64 << 20, 1 << 30);

/// Restores as planned. Whatever happens, no session stays behind on the
/// server, as far as it lets us end them.
///
/// # Errors
/// When the plan is refused, a stage fails, or `cancel` is cancelled.
pub async fn run(
    prepared: Prepared,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Report, RestoreError> {
    if !prepared.plan.refusals.is_empty() {
        let refusals = prepared.plan.refusals.clone();
        prepared.close().await;
        return Err(RestoreError::Refused(refusals));
    }
    let (url, options) = (prepared.url.clone(), prepared.options.clone());
    let touched = Arc::new(AtomicBool::new(false));
    let psql = prepared.psql()?;
    let work = Work {
        psql,
        url: url.clone(),
        options,
        progress: progress.clone(),
        touched: Arc::clone(&touched),
        began: Instant::now(),
        stages: Mutex::new(Vec::new()),
    };
    let (failure, cancelled) = tokio::select! {
        biased;
        () = cancel.cancelled() => {
            let message = "it was told to stop".to_owned();
            (Failure { at: None, message }, true)
        }
        result = work.all(prepared) => match result {
            Ok(report) => return Ok(report),
            Err(failure) => (failure, false),
        },
    };
    // The sessions' own ends are gone by now; the server may still be at work.
    let left_behind = end_sessions(&url).await;
    let seen = progress.report();
    Err(RestoreError::Stopped(Box::new(Stopped {
        stage: seen.stage,
        at: failure.at,
        message: url.mask(&failure.message),
        cancelled,
        loaded: Loaded { tables: seen.tables, rows: seen.rows },
        left_behind,
        touched: touched.load(Ordering::Relaxed),
    })))
}

/// Ends what the server still does for us; returns how many sessions are left,
/// where it can be asked.
pub(super) async fn end_sessions(url: &crate::postgres::ConnectionUrl) -> Option<i64> {
    let ending = async {
        let mut session =
            Target::another(&url.with_application("reliquary"), END_WITHIN).await.ok()?;
        let left = session.end_others(url.application()).await.ok()?;
        session.close().await;
        Some(left)
    };
    tokio::time::timeout(END_WITHIN, ending).await.ok().flatten()
}

struct Work {
    psql: Psql,
    url: crate::postgres::ConnectionUrl,
    options: Options,
    progress: Progress,
    touched: Arc<AtomicBool>,
    began: Instant,
    stages: Mutex<Vec<StageTime>>,
}

impl Work {
    /// Runs a stage and notes its time.
    async fn stage<T>(
        &self,
        stage: RestoreStage,
        total: u64,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.progress.enter(stage, total);
        let began = Instant::now();
        let result = work.await;
        let seconds = began.elapsed().as_secs_f64();
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.push(StageTime { stage, seconds });
        result
    }

    fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    async fn all(&self, prepared: Prepared) -> Result<Report, Failure> {
        let Prepared { archive, contents, facts, plan, mut control, .. } = prepared;
        let manifest = &contents.manifest;
        let mut skipped = plan.skipped.clone();

        if reads_everything(&plan, &self.options) {
            self.check(&archive, manifest).await?;
        }
        if !plan.drops.is_empty() {
            let total = plan.drops.len() as u64;
            let ours = drop::Ours { may_go: &plan.may_go, rejoins: &plan.rejoins };
            let cleaning =
                drop::clean(&plan.drops, ours, &mut control, &self.progress, &self.touched);
            self.stage(RestoreStage::Clean, total, cleaning).await?;
        }
        self.touch();
        for role in &plan.roles {
            let sql = format!("CREATE ROLE {} NOLOGIN", quote(role));
            control.run(&sql).await.map_err(Failure::at(format!("role {role}")))?;
        }
        if plan.pre_data.iter().any(|statement| statement.kind != Kind::Setting) {
            let total = plan.pre_data.len() as u64;
            self.stage(RestoreStage::PreData, total, self.pre_data(&plan, &facts)).await?;
        }
        let mut sessions = self.sessions(&contents.pre_data, &facts.settings).await?;
        if !plan.load.is_empty() {
            let tables = &manifest.tables;
            let total =
                plan.load.iter().flat_map(|&at| &tables[at].members).map(|m| m.length).sum();
            let loading = load::load(&archive, tables, &plan.load, sessions, &self.progress);
            sessions = self.stage(RestoreStage::Data, total, loading).await?;
        }
        if !plan.fill.is_empty() {
            let tables = &manifest.tables;
            let fill = plan.fill.iter().flat_map(|fill| &tables[fill.table].members);
            let total = fill.map(|member| member.length).sum();
            let filling =
                fill::fill(&archive, tables, &plan.fill, &mut sessions[0], &self.progress);
            self.stage(RestoreStage::Fill, total, filling).await?;
        }
        if plan.rest != Rest::Nothing {
            let members = &manifest.sections.data;
            let total = members.iter().map(|member| member.length).sum();
            let through = rest::Through {
                psql: &self.psql,
                session: &mut control,
                known: &facts.settings,
                before: session_settings(&facts.settings),
                clean: self.options.clean,
                truncate: !self.options.wants(Section::PreData),
            };
            let running = rest::run(&archive, members, &plan.rest, through, &self.progress);
            for what in self.stage(RestoreStage::Rest, total, running).await? {
                let reason = "the role may not set it".to_owned();
                skipped.push(Skipped { what, reason, class: Class::PlatformDifference });
            }
        }
        self.post_data(&plan, facts.shared_buffers, &mut sessions).await?;
        skipped.extend(self.attempts(&plan, &mut sessions[0]).await?);
        self.grant(&plan, &mut control).await?;
        let (rows_compared, different) = self.prove(&plan, &mut sessions).await?;
        for session in sessions {
            session.close().await;
        }
        control.close().await;
        let seen = self.progress.report();
        Ok(Report {
            backup: manifest.id.clone(),
            database: facts.database,
            server_version: facts.server.text,
            platform: plan.platform.name.map(str::to_owned),
            tables: (plan.load.len() + plan.fill.len()) as u64,
            rows: seen.rows,
            archive_bytes: plan.bytes,
            tables_compared: plan.proof.len() as u64,
            rows_compared,
            different,
            proven: true,
            skipped,
            left_out: plan
                .left_out
                .into_iter()
                .map(|(what, reason)| LeftOut { what, reason })
                .collect(),
            warnings: plan.warnings,
            stages: self.stages.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            seconds: self.began.elapsed().as_secs_f64(),
        })
    }

    /// Reads the archive once, and touches nothing unless its hash is the manifest's.
    async fn check(&self, archive: &Archive, manifest: &Manifest) -> Result<(), Failure> {
        let (bytes, expected) = (manifest.archive.bytes, &manifest.archive.sha256);
        self.stage(RestoreStage::Check, bytes, async {
            let found = archive.sha256(bytes, |bytes| self.progress.add(bytes)).await?;
            if found == *expected {
                return Ok(());
            }
            let message = format!(
                "its SHA-256 is {found}, and the manifest says {expected}; it was damaged or \
                 replaced"
            );
            Err(Failure::of(archive.uri(), message))
        })
        .await
    }

    /// The platform's usual grants; where the role may not, they are there already.
    async fn grant(&self, plan: &Plan, control: &mut Target) -> Result<(), Failure> {
        for grant in &plan.grants {
            if let Err(error) = control.run(grant).await
                && !error.is_denied()
            {
                return Err(Failure::of(grant, error));
            }
        }
        Ok(())
    }

    async fn pre_data(
        &self,
        plan: &Plan,
        facts: &crate::postgres::TargetFacts,
    ) -> Result<(), Failure> {
        let (mut log, mut script) = (ScriptLog::default(), Vec::new());
        for setting in session_settings(&facts.settings) {
            log.add_own(&setting, &mut script);
        }
        for statement in &plan.pre_data {
            log.add(statement, &mut script);
        }
        self.psql.run(&script).await.map_err(|error| log.failure(&error))
    }

    /// As many sessions as jobs, each with the dump's own settings.
    async fn sessions(
        &self,
        pre_data: &[Statement],
        known: &[String],
    ) -> Result<Vec<Target>, Failure> {
        let settings = preamble(pre_data, known);
        let open = (0..self.options.jobs).map(|_| async {
            let mut session = Target::another(&self.url, CONNECT_WITHIN).await?;
            for setting in &settings {
                session.run(setting).await.map_err(Failure::at("a setting of the dump"))?;
            }
            session.run("SET client_min_messages = error").await?;
            Ok::<_, Failure>(session)
        });
        futures::future::try_join_all(open).await
    }

    async fn post_data(
        &self,
        plan: &Plan,
        shared_buffers: u64,
        sessions: &mut [Target],
    ) -> Result<(), Failure> {
        let waves = &plan.post_data;
        let memory = (2 * shared_buffers / sessions.len().max(1) as u64)
            .clamp(INDEX_MEMORY.0, INDEX_MEMORY.1);
        for session in sessions.iter_mut() {
            // Never less than the server's own.
            let sql = format!(
                "SELECT set_config('maintenance_work_mem', {}::text || 'kB', false)
                 FROM pg_settings WHERE name = 'maintenance_work_mem' AND setting::int8 < {0}",
                memory / 1024
            );
            session.run(&sql).await?;
        }
        for (stage, statements) in [
            (RestoreStage::Indexes, &waves.indexes),
            (RestoreStage::ForeignKeys, &waves.foreign_keys),
        ] {
            if stage == RestoreStage::ForeignKeys {
                for statement in &waves.attach {
                    post::run(statement, &mut sessions[0], &self.psql).await?;
                }
            }
            if !statements.is_empty() {
                let total = statements.len() as u64;
                let wave = post::wave(statements.clone(), sessions, &self.psql, &self.progress);
                self.stage(stage, total, wave).await?;
            }
        }
        if waves.ordered.is_empty() {
            return Ok(());
        }
        let total = waves.ordered.len() as u64;
        self.stage(RestoreStage::PostData, total, async {
            for statement in &waves.ordered {
                post::run(statement, &mut sessions[0], &self.psql).await?;
                self.progress.add(1);
            }
            Ok(())
        })
        .await
    }

    /// What may or may not be allowed; returns what was not.
    async fn attempts(&self, plan: &Plan, session: &mut Target) -> Result<Vec<Skipped>, Failure> {
        let mut skipped = Vec::new();
        for (statement, class) in &plan.attempts {
            let sql = String::from_utf8_lossy(&statement.text).into_owned();
            match session.run(&sql).await {
                Ok(()) => {}
                Err(error)
                    if error.is_there_already()
                        && matches!(statement.kind, Kind::Policy | Kind::Trigger) =>
                {
                    // Of the same name; who may see what is in its text.
                    skipped.push(Skipped {
                        what: statement.to_string(),
                        reason: "is there already; not compared".to_owned(),
                        class: Class::PlatformDifference,
                    });
                }
                // The platform has made the same itself.
                Err(error) if error.is_there_already() => {}
                Err(error) if error.is_denied() => skipped.push(Skipped {
                    what: statement.to_string(),
                    reason: error.message,
                    class: *class,
                }),
                Err(error) => return Err(Failure::at(statement)(error)),
            }
        }
        Ok(skipped)
    }

    async fn prove(
        &self,
        plan: &Plan,
        sessions: &mut [Target],
    ) -> Result<(u64, Vec<Difference>), Failure> {
        if !plan.analyze.is_empty() {
            let total = plan.analyze.len() as u64;
            let analyzing = proof::analyze(&plan.analyze, sessions, &self.progress);
            self.stage(RestoreStage::Analyze, total, analyzing).await?;
        }
        let total = plan.proof.len() as u64;
        let comparing = proof::compare(&plan.proof, sessions, &self.progress);
        self.stage(RestoreStage::Proof, total, comparing).await
    }
}

/// Whether so much of the archive is read that its hash is worth comparing
/// first. A part is held against the CRC of each of its members as it is read.
fn reads_everything(plan: &Plan, options: &Options) -> bool {
    !options.is_partial() && (options.wants(Section::Data) || !plan.load.is_empty())
}

/// Settings for psql's sessions, of those that the server knows.
fn session_settings(known: &[String]) -> Vec<String> {
    [("synchronous_commit", "off"), ("client_connection_check_interval", "'2s'")]
        .into_iter()
        .filter(|(name, _)| known.iter().any(|known| known == name))
        .map(|(name, value)| format!("SET {name} = {value};"))
        .collect()
}

/// The settings with which a dump begins, which decide how its rows and
/// statements are read.
fn preamble(pre_data: &[Statement], known: &[String]) -> Vec<String> {
    pre_data
        .iter()
        .take_while(|statement| statement.kind == Kind::Setting)
        .filter(|statement| {
            // What only says how long to wait is set already.
            let name = statement.object.as_ref().map_or("", |object| object.name.as_str());
            !name.ends_with("_timeout") && known.iter().any(|known| known == name)
        })
        .map(|statement| String::from_utf8_lossy(&statement.text).into_owned())
        .collect()
}
