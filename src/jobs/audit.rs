//! Holds the bucket, the credentials, the source and this machine against the
//! hardening checklist. It changes nothing but two small objects of our own: one to
//! try its rights on, and what it found.

mod source;
mod store;

use tokio_util::sync::CancellationToken;

use super::{Environment, Source};
use crate::{
    audit::{Exempt, Finding, Report, Worse, files},
    recovery::audited::{self, Standing},
    settings::SecretFile,
    words::Check,
};

/// Findings as they come in.
#[derive(Debug, Default)]
struct Gathered {
    findings: Vec<Finding>,
    exempt: Vec<Exempt>,
}

impl Gathered {
    fn exempt(&mut self, checks: &[Check], why: &str) {
        let exempt = |check: &Check| Exempt { check: *check, why: why.to_owned() };
        self.exempt.extend(checks.iter().map(exempt));
    }
}

/// What an audit came to.
#[derive(Clone, Debug)]
pub struct Audited {
    /// What was found.
    pub report: Report,
    /// Which checks are worse than they were; `None` where that cannot be told,
    /// because the store failed.
    pub worse: Option<Vec<Worse>>,
}

/// Makes every check that makes sense for this store and this source.
/// `None` when it was told to stop.
///
/// An audit does not fail: what cannot be asked is a finding.
pub async fn run(
    environment: &Environment,
    source: &Source,
    standing: Standing,
    cancel: &CancellationToken,
) -> Option<Audited> {
    let work = async {
        let mut gathered = Gathered::default();
        let data = Box::pin(source::check(environment, source, &mut gathered)).await;
        Box::pin(store::check(environment, source, data, &mut gathered)).await;
        gathered.findings.push(secret_files(source, &environment.secret_files));
        let now = environment.clock.now();
        let report = Report::new(now, gathered.findings, gathered.exempt);
        // The report is what was asked for; that it is kept is not.
        let store = environment.store.as_ref();
        let kept = audited::keep(store, &source.layout, &report, standing).await;
        if let Err(error) = &kept {
            tracing::warn!(%error, "what the audit found was not kept in the store");
        }
        Audited { report, worse: kept.ok() }
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => None,
        audited = work => Some(audited),
    }
}

fn secret_files(source: &Source, secrets: &[SecretFile]) -> Finding {
    let check = Check::SecretFiles;
    let named = secrets.iter().map(|secret| (secret.key.clone(), secret.path.clone()));
    let key = source
        .url
        .key_file()
        .map(|path| (format!("sslkey in databases.{}.url", source.settings.name), path));
    let mut facts = Vec::new();
    for (what, path) in named.chain(key) {
        match files::FileFacts::read(what, &path) {
            Ok(file) => facts.push(file),
            Err(error) => {
                let path = path.display();
                return Finding::unknown(
                    check,
                    format!("{path} cannot be looked at: {error}"),
                    format!("ls -l {path}"),
                );
            }
        }
    }
    files::secret_files(&facts, nix::unistd::geteuid().as_raw())
}
