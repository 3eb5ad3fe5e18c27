//! Carries a plan out: stage after stage, each timed, stopped at the first error.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use super::{
    attempts, drop,
    ending::{self, Cause, Known},
    error::{OTHERWISE, RestoreError},
    failure::Failure,
    fill, guess, homes,
    kind::Kind,
    load,
    members::Archive,
    options::Options,
    plan::{Plan, Rest},
    post::{self, LeftOut, Orphans},
    prepare::{CONNECT_WITHIN, Prepared},
    progress::Progress,
    proof::{self, Compared},
    regained,
    report::{self, Report},
    rest,
    script_log::ScriptLog,
    sequences, settings,
    stages::Stages,
    statement::{Statement, name_of},
};
use crate::{
    archive::{Manifest, TableName},
    postgres::{Psql, Section, Target, TargetFacts, quote},
    words::RestoreStage,
};

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
    let making = options.is_partial().then(|| {
        let tables = prepared.plan.pre_data.iter().filter(|s| s.kind == Kind::Table);
        tables.filter_map(|statement| statement.object.as_ref()).map(name_of).collect()
    });
    let defines = options.wants(Section::PreData);
    let marked = !prepared.plan.marks.is_empty();
    let touched = Arc::new(AtomicBool::new(false));
    let denied = Arc::default();
    let (wants_word, lacking) = (prepared.wants_word, prepared.lacking.clone());
    let psql = prepared.psql()?;
    let work = Work {
        psql,
        url: url.clone(),
        options,
        progress: progress.clone(),
        touched: Arc::clone(&touched),
        denied: Arc::clone(&denied),
        stages: Stages::new(progress),
    };
    let cause = tokio::select! {
        biased;
        () = cancel.cancelled() => Cause::Cancelled,
        result = work.all(prepared) => match result {
            Ok(report) => return Ok(report),
            Err(failure) => Cause::Failed(failure),
        },
    };
    // The sessions' own ends are gone by now; the server may still be at work.
    let touched = touched.load(Ordering::Relaxed);
    let denied = std::mem::take(&mut *locked(&denied));
    let known =
        Known { touched, making, marked, defines, uncounted: false, wants_word, lacking, denied };
    Err(ending::stopped(cause, &url, progress, known).await)
}

struct Work {
    psql: Psql,
    url: crate::postgres::ConnectionUrl,
    options: Options,
    progress: Progress,
    touched: Arc<AtomicBool>,
    /// Extensions that may be needed and could not be created, and why.
    denied: Arc<Mutex<Vec<LeftOut>>>,
    stages: Stages,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work {
    fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    async fn all(&self, prepared: Prepared) -> Result<Report, Failure> {
        let Prepared { archive, contents, facts, mut plan, mut control, .. } = prepared;
        let manifest = &contents.manifest;
        let (mut skipped, mut unset) = (plan.skipped.clone(), Vec::new());

        if contents.damage.is_none() && reads_everything(&plan, &self.options) {
            self.check(&archive, manifest).await?;
        }
        // Before anything is dropped: a server without room for them loses nothing.
        let mut sessions = self.sessions(&contents.pre_data, &facts.settings).await?;
        if !plan.drops.is_empty() {
            let total = plan.drops.len() as u64;
            let ours = drop::Ours::of(&plan);
            let cleaning =
                drop::clean(&plan.drops, ours, &mut control, &self.progress, &self.touched);
            self.stages.run(RestoreStage::Clean, total, cleaning).await?;
        }
        self.touch();
        for role in &plan.roles {
            let sql = format!("CREATE ROLE {} NOLOGIN", quote(role));
            control.run(&sql).await.map_err(Failure::at(format!("role {role}")))?;
        }
        self.define(&mut plan, &facts, &mut control).await?;
        skipped.extend(homes::look(&mut plan, &manifest.tables, &mut control).await?);
        if !plan.load.is_empty() {
            let tables = &manifest.tables;
            let total =
                plan.load.iter().flat_map(|&at| &tables[at].members).map(|m| m.length).sum();
            let loading = load::load(&archive, tables, &plan.load, sessions, &self.progress);
            sessions = self.stages.run(RestoreStage::Data, total, loading).await?;
        }
        if !plan.fill.is_empty() {
            let tables = &manifest.tables;
            let fill = plan.fill.iter().flat_map(|fill| &tables[fill.table].members);
            let total = fill.map(|member| member.length).sum();
            let filling =
                fill::fill(&archive, tables, &plan.fill, &mut sessions[0], &self.progress);
            self.stages.run(RestoreStage::Fill, total, filling).await?;
        }
        if plan.rest != Rest::Nothing {
            let members = &manifest.sections.data;
            let total = members.iter().map(|member| member.length).sum();
            let through = rest::Through {
                psql: &self.psql,
                session: &mut control,
                made: self.made(&plan, &contents.pre_data),
                rowless: &plan.rowless,
                known: &facts.settings,
                before: settings::of_psql(&facts.settings),
                clean: self.options.clean,
                truncate: !self.options.wants(Section::PreData),
            };
            let running = rest::run(&archive, members, &plan.rest, through, &self.progress);
            for sequence in self.stages.run(RestoreStage::Rest, total, running).await? {
                skipped.push(sequence.skipped);
                unset.push(sequence.name);
            }
        }
        let mut left_out = self.post_data(&plan, facts.shared_buffers, &mut sessions).await?;
        left_out.extend(regained::run(&plan.regained, &mut sessions[0]).await?);
        skipped.extend(attempts::run(&plan.attempts, &mut sessions[0]).await?);
        self.grant(&plan, &mut control).await?;
        for statement in plan.marks.last() {
            post::run(statement, &mut sessions[0], &self.psql, Orphans::Stop).await?;
        }
        let compared = self.prove(&plan, &mut sessions).await?;
        for session in sessions {
            session.close().await;
        }
        control.close().await;
        plan.warnings.extend(compared.warning());
        let seen = self.progress.report();
        Ok(Report {
            backup: manifest.id.clone(),
            database: facts.database,
            server_version: facts.server.text,
            platform: plan.platform.name.map(str::to_owned),
            tables: (plan.load.len() + plan.fill.len()) as u64,
            rows: seen.rows,
            archive_bytes: plan.bytes,
            tables_compared: compared.tables,
            rows_compared: compared.rows,
            proven: compared.uncounted.is_empty(),
            different: compared.different,
            uncounted: compared.uncounted,
            skipped,
            unset,
            left_out: plan
                .left_out
                .into_iter()
                .chain(left_out)
                .map(|(what, reason)| report::LeftOut { what, reason })
                .collect(),
            warnings: plan.warnings,
            stages: self.stages.times(),
            seconds: self.stages.seconds(),
        })
    }

    /// Reads the archive once, and touches nothing unless its hash is the manifest's.
    async fn check(&self, archive: &Archive, manifest: &Manifest) -> Result<(), Failure> {
        let (bytes, expected) = (manifest.archive.bytes, &manifest.archive.sha256);
        self.stages
            .run(RestoreStage::Check, bytes, async {
                let found = archive.sha256(bytes, |bytes| self.progress.add(bytes)).await?;
                if found == *expected {
                    return Ok(());
                }
                let message = format!(
                    "its SHA-256 is {found}, and the manifest says {expected}; it was damaged or \
                     replaced; {OTHERWISE}"
                );
                Err(Failure::of(archive.uri(), message))
            })
            .await
    }

    /// The sequences that the archive makes in the target, or made when the target
    /// got its definitions; `None` where these are not known.
    fn made(&self, plan: &Plan, pre_data: &[Statement]) -> Option<BTreeSet<TableName>> {
        if self.options.wants(Section::PreData) && !self.options.is_partial() {
            return Some(sequences::made(&plan.pre_data));
        }
        (!pre_data.is_empty()).then(|| sequences::made(pre_data))
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

    /// Makes what rows need.
    async fn define(
        &self,
        plan: &mut Plan,
        facts: &TargetFacts,
        control: &mut Target,
    ) -> Result<(), Failure> {
        if plan.pre_data.iter().all(|statement| statement.kind == Kind::Setting) {
            return Ok(());
        }
        let total = plan.pre_data.len() as u64;
        let made = self.stages.run(RestoreStage::PreData, total, self.pre_data(plan, facts)).await;
        // Whatever stopped it may need what was denied.
        let denied = guess::denied(&plan.guesses, control).await;
        *locked(&self.denied) = denied.as_deref().unwrap_or_default().to_vec();
        made?;
        let reason = |reason| format!("it may be needed, and cannot be created: {reason}");
        plan.left_out.extend(denied?.into_iter().map(|(what, why)| (what, reason(why))));
        Ok(())
    }

    async fn pre_data(&self, plan: &Plan, facts: &TargetFacts) -> Result<(), Failure> {
        let (mut log, mut script) = (ScriptLog::default(), Vec::new());
        for setting in settings::of_psql(&facts.settings) {
            log.add_own(&setting, &mut script);
        }
        for statement in &plan.pre_data {
            let Some(mark) = plan.marks.of(statement) else {
                log.add(statement, &mut script);
                continue;
            };
            log.add_own("BEGIN;", &mut script);
            log.add(statement, &mut script);
            log.add_own(mark, &mut script);
            log.add_own("COMMIT;", &mut script);
        }
        self.psql.run(&script).await.map_err(|error| log.failure(&error))
    }

    /// As many sessions as jobs, each with the dump's own settings.
    async fn sessions(
        &self,
        pre_data: &[Statement],
        known: &[String],
    ) -> Result<Vec<Target>, Failure> {
        let settings = settings::preamble(pre_data, known);
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
    ) -> Result<Vec<LeftOut>, Failure> {
        let waves = &plan.post_data;
        let orphans = if self.options.is_partial() { Orphans::Bear } else { Orphans::Stop };
        let mut left_out = Vec::new();
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
                    post::run(statement, &mut sessions[0], &self.psql, Orphans::Stop).await?;
                }
            }
            if !statements.is_empty() {
                let total = statements.len() as u64;
                let wave =
                    post::wave(statements.clone(), sessions, &self.psql, orphans, &self.progress);
                left_out.extend(self.stages.run(stage, total, wave).await?);
            }
        }
        if waves.ordered.is_empty() {
            return Ok(left_out);
        }
        let total = waves.ordered.len() as u64;
        self.stages
            .run(RestoreStage::PostData, total, async {
                for statement in &waves.ordered {
                    let session = &mut sessions[0];
                    left_out.extend(post::run(statement, session, &self.psql, orphans).await?);
                    self.progress.add(1);
                }
                Ok(left_out)
            })
            .await
    }

    async fn prove(&self, plan: &Plan, sessions: &mut [Target]) -> Result<Compared, Failure> {
        if !plan.analyze.is_empty() {
            let total = plan.analyze.len() as u64;
            let analyzing = proof::analyze(&plan.analyze, sessions, &self.progress);
            self.stages.run(RestoreStage::Analyze, total, analyzing).await?;
        }
        let total = plan.proof.len() as u64;
        let comparing = proof::compare(&plan.proof, sessions, &self.progress);
        self.stages.run(RestoreStage::Proof, total, comparing).await
    }
}

/// Whether so much of the archive is read that its hash is worth comparing
/// first. A part is held against the CRC of each of its members as it is read.
fn reads_everything(plan: &Plan, options: &Options) -> bool {
    !options.is_partial() && (options.wants(Section::Data) || !plan.load.is_empty())
}
