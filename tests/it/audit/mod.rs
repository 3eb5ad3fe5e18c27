//! Every check of the audit, failing and passing against real servers.

mod credentials;
mod moto;
mod policies;
mod source;
mod terraform;
mod text;

use std::collections::BTreeMap;

use reliquary::{
    app,
    audit::{Finding, Report},
    clock::Clock,
    jobs,
    recovery::audited::Standing,
    settings::{Settings, Sources, load},
    store::S3Options,
    words::{Check, CheckResult},
};
use tokio_util::sync::CancellationToken;

/// A source at which nobody listens.
pub(super) const NOBODY: &str = "postgresql://user:secret@127.0.0.1:1/app";

/// Settings as variables.
pub(super) struct Installation(BTreeMap<String, String>);

impl Installation {
    pub(super) fn new(database: &str) -> Self {
        Self(BTreeMap::new()).set("DIRECT_URL", database)
    }

    pub(super) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn folder(self, path: &std::path::Path) -> Self {
        self.set("RELIQUARY__STORE__URL", format!("file://{}", path.display()))
    }

    pub(super) fn s3(self, options: &S3Options) -> Self {
        use secrecy::ExposeSecret as _;
        let key = options.credentials.as_ref().unwrap();
        self.set("RELIQUARY__STORE__URL", format!("s3://{}", options.bucket))
            .set("RELIQUARY__STORE__ENDPOINT", options.endpoint.as_ref().unwrap())
            .set("RELIQUARY__STORE__REGION", "us-east-1")
            .set("RELIQUARY__STORE__PATH_STYLE", "true")
            .set("RELIQUARY__STORE__ATTEMPTS", "2")
            .set("RELIQUARY__STORE__ACCESS_KEY_ID", &key.id)
            .set("RELIQUARY__STORE__SECRET_ACCESS_KEY", key.secret.expose_secret())
    }

    pub(super) fn settings(&self) -> Settings {
        let sources = Sources { env: self.0.clone(), ..Sources::default() };
        load(&sources).unwrap_or_else(|problems| panic!("{problems}")).0
    }

    /// Makes every check.
    pub(super) async fn audit(&self) -> Report {
        self.audit_at(Clock::system()).await
    }

    pub(super) async fn audit_at(&self, clock: Clock) -> Report {
        let settings = self.settings();
        let store = app::store(&settings.store).await.unwrap();
        let environment = app::environment(&settings, store, clock);
        let source = app::source(settings.databases.values().next().unwrap()).unwrap();
        let cancel = CancellationToken::new();
        let audited = jobs::audit::run(&environment, &source, Standing::Aside, &cancel).await;
        audited.unwrap().report
    }
}

pub(super) fn finding(report: &Report, check: Check) -> &Finding {
    report.of(check).unwrap_or_else(|| panic!("{check} was not looked at"))
}

/// A check came to a result; whatever does not pass says what mends it.
#[track_caller]
pub(super) fn came_to(report: &Report, check: Check, result: CheckResult) {
    let finding = finding(report, check);
    assert_eq!(finding.result, result, "{finding:?}");
    assert_eq!(finding.fix.is_none(), result == CheckResult::Pass, "{finding:?}");
}

#[tokio::test]
async fn every_check_is_made_or_exempt_and_none_is_both() {
    let server = crate::support::s3::s3s_server().await;
    let folder = tempfile::tempdir().unwrap();
    let bucket = Installation::new(NOBODY).s3(&server.options());
    let local = Installation::new(NOBODY).folder(folder.path());
    for report in [bucket.audit().await, local.audit().await] {
        for check in Check::ALL {
            let made = report.findings.iter().filter(|finding| finding.check == *check).count();
            let exempt =
                report.not_applicable.iter().filter(|exempt| exempt.check == *check).count();
            assert_eq!(made + exempt, 1, "{check}");
        }
        let tally = report.tally();
        let counted: usize = CheckResult::ALL.iter().map(|result| tally.of(*result)).sum();
        assert_eq!(counted, report.findings.len());
    }
}
