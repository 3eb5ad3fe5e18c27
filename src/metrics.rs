//! Every metric of the process, in one registry of its own.
//!
//! Counters and histograms are fed as things happen; gauges are read from
//! [`State`] and the one evaluation of health at each scrape, so that they
//! cannot say anything else than `/healthz` does. A scrape asks neither the
//! store nor the source. Labels are enums, and every series is made at the
//! start, so that an alert on a counter's growth sees it grow from zero.
//!
//! The store is shared by all databases, so `store_*` carries no `database`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector, process_collector::ProcessCollector,
};

use crate::{
    health,
    state::{DatabaseState, RunReport, State, SweepReport},
    words::{
        ChannelKind, CheckResult, Direction, DrillVerdict, JobKind, Outcome, Review, Stage,
        StoreOperation, SweepRefusal,
    },
};

/// What every name begins with.
const PREFIX: &str = "reliquary";

/// Upper edges of `job_duration_seconds`: one second to two hours.
const JOB_SECONDS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];

/// Upper edges of `store_request_duration_seconds`: a local HEAD to a part on a slow line.
const REQUEST_SECONDS: &[f64] =
    &[0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

const DATABASE: &str = "database";
const JOB: &str = "job";

/// Kinds of stored backups that `backups_stored` tells apart.
const KINDS: [&str; 4] = ["scheduled", "manual", "legacy", "damaged"];

/// Declares the metrics. The doc comment is the HELP text, and the field's
/// name is the metric's, after the prefix.
macro_rules! metrics {
    ($(#[doc = $help:literal] $field:ident: $kind:ident [$($label:expr),*] $(in $buckets:expr)?;)+) => {
        #[derive(Debug)]
        struct Series {
            $(#[doc = $help] $field: $kind,)+
        }

        impl Series {
            fn new(registry: &Registry) -> prometheus::Result<Self> {
                $(
                    let opts = Opts::new(stringify!($field), $help.trim()).namespace(PREFIX);
                    let buckets: &[&[f64]] = &[$($buckets)?];
                    let $field = <$kind as Vector>::make(opts, &[$($label),*], &buckets.concat())?;
                    registry.register(Box::new($field.clone()))?;
                )+
                Ok(Self { $($field,)+ })
            }
        }
    };
}

metrics! {
    /// Always 1; the label is the version that runs.
    build_info: IntGaugeVec ["version"];
    /// 1 when /healthz says ok for the database, 0 otherwise.
    healthy: IntGaugeVec [DATABASE];
    /// Time of the newest good backup, in seconds since 1970; 0 when none is known.
    last_success_timestamp_seconds: IntGaugeVec [DATABASE];
    /// When the last run began that was not skipped, in seconds since 1970; 0 when there was none.
    last_attempt_timestamp_seconds: IntGaugeVec [DATABASE];
    /// When the next scheduled run is due, in seconds since 1970; 0 when none is planned.
    next_run_timestamp_seconds: IntGaugeVec [DATABASE, JOB];
    /// Age of the newest good backup at which health turns to stale, in seconds.
    stale_after_seconds: IntGaugeVec [DATABASE];
    /// 1 while the job runs, 0 otherwise.
    job_running: IntGaugeVec [DATABASE, JOB];
    /// Runs that ended, by outcome.
    job_runs_total: IntCounterVec [DATABASE, JOB, "outcome"];
    /// How long runs took that were not skipped, in seconds.
    job_duration_seconds: HistogramVec [DATABASE, JOB] in JOB_SECONDS;
    /// Failed runs, by the stage they failed at.
    failures_total: IntCounterVec [DATABASE, JOB, "stage"];
    /// Size of the newest backup's archive, in bytes.
    backup_archive_bytes: IntGaugeVec [DATABASE];
    /// Size of the newest backup's dump, in bytes.
    backup_dump_bytes: IntGaugeVec [DATABASE];
    /// Rows in the newest backup.
    backup_rows: IntGaugeVec [DATABASE];
    /// Backups in the store at the last listing, by kind.
    backups_stored: IntGaugeVec [DATABASE, "kind"];
    /// Bytes of all archives in the store at the last listing.
    backups_stored_bytes: IntGaugeVec [DATABASE];
    /// Time of the oldest backup in the store, in seconds since 1970; 0 when there is none.
    oldest_backup_timestamp_seconds: IntGaugeVec [DATABASE];
    /// When a backup was last read back to its end by verify, in seconds since 1970; 0 when none was.
    last_verify_timestamp_seconds: IntGaugeVec [DATABASE];
    /// Backups that verify found damaged, or could not read back.
    verify_failures_total: IntCounterVec [DATABASE];
    /// Good backups in the store that verify has read back whole.
    backups_verified: IntGaugeVec [DATABASE];
    /// Backups and legacy archives that sweeps have removed.
    swept_total: IntCounterVec [DATABASE];
    /// Size of the archives that sweeps have removed, in bytes.
    swept_bytes_total: IntCounterVec [DATABASE];
    /// Debris that sweeps have removed.
    swept_debris_total: IntCounterVec [DATABASE];
    /// Sweeps that were refused as a whole, by reason.
    sweep_refused_total: IntCounterVec [DATABASE, "reason"];
    /// When the last sweep began that came to its end, in seconds since 1970; 0 when none has since the start.
    last_sweep_timestamp_seconds: IntGaugeVec [DATABASE];
    /// Checks of the last audit of this process, by result.
    audit_checks: IntGaugeVec [DATABASE, "result"];
    /// When the last audit of this process began, in seconds since 1970; 0 when none was made.
    last_audit_timestamp_seconds: IntGaugeVec [DATABASE];
    /// When a drill last ended, by what it came to, in seconds since 1970; 0 when none did.
    last_drill_timestamp_seconds: IntGaugeVec [DATABASE, "outcome"];
    /// How long the restore took when the newest backup that passed was drilled, in seconds: the measured recovery time; 0 when none passed.
    drill_restore_seconds: GaugeVec [DATABASE];
    /// When a review of a drill or of the runbook was last recorded, in seconds since 1970; 0 when none was.
    last_review_timestamp_seconds: IntGaugeVec [DATABASE, "review"];
    /// Calls of the store, by outcome; retries inside a call are not counted.
    store_requests_total: IntCounterVec ["operation", "outcome"];
    /// How long calls of the store took, retries included, in seconds.
    store_request_duration_seconds: HistogramVec ["operation"] in REQUEST_SECONDS;
    /// Bytes of objects sent to and received from the store.
    store_bytes_total: IntCounterVec ["direction"];
    /// Alerts and signs of life that arrived, or did not before their deadline.
    notifications_total: IntCounterVec ["channel", "outcome"];
}

/// The process's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    series: Series,
}

impl Metrics {
    /// What `Content-Type` a rendered text has.
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// Makes every series, at zero, for these databases.
    ///
    /// # Errors
    /// Only when two metrics had one name, which a test rules out.
    pub fn new(version: &str, databases: &[String]) -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let series = Series::new(&registry)?;
        series.build_info.with_label_values(&[version]).set(1);
        for operation in StoreOperation::ALL {
            for outcome in [Outcome::Ok, Outcome::Failed] {
                let labels = [operation.as_str(), outcome.as_str()];
                series.store_requests_total.with_label_values(&labels);
            }
            let labels = [operation.as_str()];
            series.store_request_duration_seconds.with_label_values(&labels);
        }
        for direction in Direction::ALL {
            series.store_bytes_total.with_label_values(&[direction.as_str()]);
        }
        for channel in ChannelKind::ALL {
            for outcome in [Outcome::Ok, Outcome::Failed] {
                let labels = [channel.as_str(), outcome.as_str()];
                series.notifications_total.with_label_values(&labels);
            }
        }
        for database in databases {
            series.add_database(database);
        }
        Ok(Self { registry, series })
    }

    /// Counts a run that ended.
    pub fn run_ended(&self, database: &str, run: &RunReport) {
        let job = run.job.as_str();
        let series = &self.series;
        series.job_runs_total.with_label_values(&[database, job, run.outcome.as_str()]).inc();
        // A skipped run takes no time; it would hide how long real ones take.
        if run.outcome != Outcome::Skipped {
            series.job_duration_seconds.with_label_values(&[database, job]).observe(run.seconds);
        }
        if let (Outcome::Failed, Some(stage)) = (run.outcome, run.stage) {
            series.failures_total.with_label_values(&[database, job, stage.as_str()]).inc();
        }
    }

    /// Counts an alert or a sign of life that arrived, or did not.
    pub fn notified(&self, channel: ChannelKind, ok: bool) {
        let outcome = if ok { Outcome::Ok } else { Outcome::Failed };
        let labels = [channel.as_str(), outcome.as_str()];
        self.series.notifications_total.with_label_values(&labels).inc();
    }

    /// Counts a backup that verify found damaged, or could not read back.
    pub fn verify_failed(&self, database: &str) {
        self.series.verify_failures_total.with_label_values(&[database]).inc();
    }

    /// Counts what a sweep came to.
    pub fn swept(&self, database: &str, report: &SweepReport) {
        let series = &self.series;
        series.swept_total.with_label_values(&[database]).inc_by(report.removed);
        series.swept_bytes_total.with_label_values(&[database]).inc_by(report.removed_bytes);
        series.swept_debris_total.with_label_values(&[database]).inc_by(report.debris);
        if let Some(reason) = report.refused {
            series.sweep_refused_total.with_label_values(&[database, reason.as_str()]).inc();
        }
    }

    /// Writes everything in Prometheus' text format, with the gauges as the
    /// state is now.
    ///
    /// # Errors
    /// Only when a metric family is malformed, which a test rules out.
    pub fn render(&self, state: &State) -> prometheus::Result<String> {
        let health = health::current(state);
        for (database, health) in state.databases().iter().zip(&health.databases) {
            self.series.set_gauges(database, health.status.is_ok());
            self.series.set_reviews(database);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Who is told of every call of the store.
pub trait Observer: Send + Sync + 'static {
    /// A call ended: what it was, whether it succeeded, and how long
    /// it took. A `get_range` ends with the last byte or the first error of its
    /// stream; one that is given up half way counts as succeeded.
    fn request(&self, operation: StoreOperation, ok: bool, seconds: f64);

    /// Bytes of objects went up or down.
    fn bytes(&self, direction: Direction, bytes: u64);
}

impl Observer for Metrics {
    fn request(&self, operation: StoreOperation, ok: bool, seconds: f64) {
        let outcome = if ok { Outcome::Ok } else { Outcome::Failed };
        let labels = [operation.as_str(), outcome.as_str()];
        self.series.store_requests_total.with_label_values(&labels).inc();
        let labels = [operation.as_str()];
        self.series.store_request_duration_seconds.with_label_values(&labels).observe(seconds);
    }

    fn bytes(&self, direction: Direction, count: u64) {
        self.series.store_bytes_total.with_label_values(&[direction.as_str()]).inc_by(count);
    }
}

impl Series {
    fn add_database(&self, database: &str) {
        let hour = Duration::from_hours(1);
        let unknown = DatabaseState::new(database, "", "", hour);
        self.set_gauges(&unknown, false);
        self.set_reviews(&unknown);
        self.stale_after_seconds.with_label_values(&[database]).set(0);
        self.verify_failures_total.with_label_values(&[database]);
        self.swept_total.with_label_values(&[database]);
        self.swept_bytes_total.with_label_values(&[database]);
        self.swept_debris_total.with_label_values(&[database]);
        for reason in SweepRefusal::ALL {
            self.sweep_refused_total.with_label_values(&[database, reason.as_str()]);
        }
        for job in JobKind::ALL {
            let job = job.as_str();
            for outcome in Outcome::ALL {
                self.job_runs_total.with_label_values(&[database, job, outcome.as_str()]);
            }
            for stage in Stage::ALL {
                self.failures_total.with_label_values(&[database, job, stage.as_str()]);
            }
            self.job_duration_seconds.with_label_values(&[database, job]);
        }
    }

    fn set_gauges(&self, database: &DatabaseState, healthy: bool) {
        let set = |gauge: &IntGaugeVec, value: i64| {
            gauge.with_label_values(&[&database.name]).set(value);
        };
        set(&self.healthy, i64::from(healthy));
        set(&self.last_success_timestamp_seconds, timestamp(database.last_success));
        set(&self.last_attempt_timestamp_seconds, timestamp(database.last_attempt));
        set(&self.stale_after_seconds, count(database.stale_after.as_secs()));

        for job in JobKind::ALL {
            let labels = [database.name.as_str(), job.as_str()];
            self.job_running
                .with_label_values(&labels)
                .set(i64::from(database.run_of(*job).is_some()));
            let next_run = timestamp(match job {
                JobKind::Backup => database.next_run,
                JobKind::Verify => database.next_verify,
                JobKind::Sweep => database.next_sweep,
                JobKind::Audit => database.next_audit,
                JobKind::Drill => database.next_drill,
            });
            self.next_run_timestamp_seconds.with_label_values(&labels).set(next_run);
        }

        let size = database.last_backup;
        set(&self.backup_archive_bytes, count(size.map_or(0, |size| size.archive_bytes)));
        set(&self.backup_dump_bytes, count(size.map_or(0, |size| size.dump_bytes)));
        set(&self.backup_rows, count(size.map_or(0, |size| size.rows)));

        let totals = database.catalog.clone().unwrap_or_default();
        let stored = [totals.scheduled, totals.manual, totals.legacy, totals.damaged];
        for (kind, stored) in KINDS.iter().zip(stored) {
            let labels = [database.name.as_str(), kind];
            self.backups_stored.with_label_values(&labels).set(count(stored));
        }
        set(&self.backups_stored_bytes, count(totals.bytes));
        set(&self.oldest_backup_timestamp_seconds, timestamp(totals.oldest));
        set(&self.last_verify_timestamp_seconds, timestamp(totals.last_verify));
        set(&self.backups_verified, count(totals.verified));
        set(&self.last_sweep_timestamp_seconds, timestamp(database.last_clean_sweep));
        let drills = database.drills.as_ref();
        for verdict in DrillVerdict::ALL {
            let labels = [database.name.as_str(), verdict.as_str()];
            let last = drills.and_then(|drills| drills.last_of(*verdict));
            self.last_drill_timestamp_seconds.with_label_values(&labels).set(timestamp(last));
        }
        let seconds = drills.and_then(|drills| drills.restore_seconds).unwrap_or_default();
        self.drill_restore_seconds.with_label_values(&[&database.name]).set(seconds);
        let audit = database.last_audit.as_ref();
        set(&self.last_audit_timestamp_seconds, timestamp(audit.map(|audit| audit.run.started)));
        for result in CheckResult::ALL {
            let labels = [database.name.as_str(), result.as_str()];
            let checks = audit.map_or(0, |audit| audit.count(*result));
            self.audit_checks.with_label_values(&labels).set(count(checks));
        }
    }

    fn set_reviews(&self, database: &DatabaseState) {
        for review in Review::ALL {
            let labels = [database.name.as_str(), review.as_str()];
            let last = database.reviews.get(review).copied();
            self.last_review_timestamp_seconds.with_label_values(&labels).set(timestamp(last));
        }
    }
}

fn timestamp(time: Option<DateTime<Utc>>) -> i64 {
    time.map_or(0, |time| time.timestamp())
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What the kinds of metric have in common: they are made alike.
trait Vector: Collector + Clone + Sized {
    fn make(opts: Opts, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self>;
}

impl Vector for IntGaugeVec {
    fn make(opts: Opts, labels: &[&str], _: &[f64]) -> prometheus::Result<Self> {
        Self::new(opts, labels)
    }
}

impl Vector for GaugeVec {
    fn make(opts: Opts, labels: &[&str], _: &[f64]) -> prometheus::Result<Self> {
        Self::new(opts, labels)
    }
}

impl Vector for IntCounterVec {
    fn make(opts: Opts, labels: &[&str], _: &[f64]) -> prometheus::Result<Self> {
        Self::new(opts, labels)
    }
}

impl Vector for HistogramVec {
    fn make(opts: Opts, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self> {
        Self::new(HistogramOpts::from(opts).buckets(buckets.to_vec()), labels)
    }
}
