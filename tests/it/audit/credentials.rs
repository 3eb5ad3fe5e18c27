//! What our credentials may do, and what the store keeps of its promises, tried
//! with s3s (which checks signatures and checksums), with moto under its own
//! IAM, and with a script.

use std::sync::Arc;

use chrono::TimeDelta;
use reliquary::{
    clock::Clock,
    store::{Address, Condition, Created, Observed, PolicyChange, S3Store, Store as _},
    words::{
        Check,
        CheckResult::{self, Fail, Pass, Unknown, Warn},
    },
};

use super::{Installation, NOBODY, came_to, finding};
use crate::support::s3::{self, Scripted, Step, Verdict};

#[tokio::test]
async fn a_store_that_keeps_its_promises_passes() {
    let server = s3::s3s_server().await;
    let report = Installation::new(NOBODY).s3(&server.options()).audit().await;
    for check in [
        Check::Write,
        Check::Delete,
        Check::ConditionalWrites,
        Check::Checksums,
        Check::ClockStore,
        Check::SecretFiles,
    ] {
        came_to(&report, check, Pass);
    }
    // It has no bucket policies, and says so.
    came_to(&report, Check::PolicyGrants, Unknown);
    came_to(&report, Check::StoreTransport, Warn);
    assert!(!server.dir.join("backups/database/audit/probe.sql.gz").exists());
}

#[tokio::test]
async fn every_way_of_guarding_a_transfer_is_put_to_the_test() {
    let server = s3::s3s_server().await;
    for checksum in ["crc64nvme", "crc32c", "sha256", "none"] {
        let installation = Installation::new(NOBODY)
            .s3(&server.options())
            .set("RELIQUARY__STORE__CHECKSUM", checksum);
        came_to(&installation.audit().await, Check::Checksums, Pass);
    }
}

/// What a server that refuses some requests leaves of a check.
async fn refusing(method: &'static str, check: Check) -> (CheckResult, Option<String>) {
    let server = s3::s3s_server_with(Arc::new(move |asked, target| {
        if asked == method && target.contains("probe") {
            Verdict::Refuse(403, "AccessDenied")
        } else {
            Verdict::Pass
        }
    }))
    .await;
    let report = Installation::new(NOBODY).s3(&server.options()).audit().await;
    let finding = finding(&report, check);
    (finding.result, finding.permission.clone())
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let (write, permission) = refusing("PUT", Check::Write).await;
    let probe = "arn:aws:s3:::backups/database/audit/probe.sql.gz";
    assert_eq!(write, Fail);
    assert_eq!(permission.unwrap(), format!("s3:PutObject on {probe}"));
    let (delete, permission) = refusing("DELETE", Check::Delete).await;
    assert_eq!(delete, Fail, "the sweep needs it");
    assert_eq!(permission.unwrap(), format!("s3:DeleteObject on {probe}"));
}

#[tokio::test]
async fn a_right_to_delete_that_nobody_needs_is_told_of() {
    let server = s3::s3s_server().await;
    let lifecycle =
        Installation::new(NOBODY).s3(&server.options()).set("RELIQUARY__SWEEP__MODE", "lifecycle");
    // Without versions whoever may delete can destroy every backup.
    came_to(&lifecycle.audit().await, Check::Delete, Fail);
    let server = s3::s3s_server_with(Arc::new(|method, _| match method {
        "DELETE" => Verdict::Refuse(403, "AccessDenied"),
        _ => Verdict::Pass,
    }))
    .await;
    let lifecycle =
        Installation::new(NOBODY).s3(&server.options()).set("RELIQUARY__SWEEP__MODE", "lifecycle");
    came_to(&lifecycle.audit().await, Check::Delete, Pass);
}

#[tokio::test]
async fn a_clock_that_is_off_fails() {
    let server = s3::s3s_server().await;
    let installation = Installation::new(NOBODY).s3(&server.options());
    let later = Clock::manual(Clock::system().now() + TimeDelta::minutes(10));
    let report = installation.audit_at(later).await;
    came_to(&report, Check::ClockStore, Fail);
    assert!(finding(&report, Check::ClockStore).found.contains("ahead of"));
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_asked_before_each_write_from_then_on() {
    let not_there = || Step::error(404, "NoSuchKey");
    let script = [Step::ok(), Step::ok(), not_there(), Step::ok()];
    let server = Scripted::start(script).await;
    let store = S3Store::connect(server.options()).await.unwrap();
    let condition = store.try_condition("audit/probe", "x".into()).await.unwrap();
    assert_eq!(condition, Condition::Ignored);
    assert_eq!(store.put_if_absent("other", "x".into()).await.unwrap(), Created::Yes);
    let lines: Vec<String> = server.requests().into_iter().map(|request| request.line).collect();
    assert!(lines[2].starts_with("HEAD /bucket/other"), "{lines:?}");
    assert!(server.requests()[3].header("if-none-match").is_none());
}

#[tokio::test]
async fn a_store_that_knows_no_conditions_says_so() {
    let server = Scripted::start([Step::error(501, "NotImplemented")]).await;
    let store = S3Store::connect(server.options()).await.unwrap();
    let condition = store.try_condition("audit/probe", "x".into()).await.unwrap();
    assert_eq!(condition, Condition::Unsupported);
}

#[tokio::test]
async fn a_policy_change_is_never_sent_to_a_store_that_is_not_amazon_s() {
    let server = Scripted::start([Step::ok()]).await;
    let store = S3Store::connect(server.options()).await.unwrap();
    let tried = store.try_policy_change(Address::is_aws).await;
    assert_eq!(tried, Observed::Value(PolicyChange::NotTried));
    let lines: Vec<String> = server.requests().into_iter().map(|request| request.line).collect();
    assert!(lines.iter().all(|line| line.starts_with("HEAD ")), "{lines:?}");
}

/// As Amazon's S3 documents its answers.
#[tokio::test]
async fn who_is_refused_for_what_was_sent_may_change_the_policy() {
    for (answer, expected) in [
        (Step::error(403, "AccessDenied"), Some(PolicyChange::Refused)),
        (Step::error(405, "MethodNotAllowed"), Some(PolicyChange::Refused)),
        (Step::error(503, "SlowDown"), None),
    ] {
        let server = Scripted::start([Step::ok(), answer]).await;
        let store = S3Store::connect(server.options()).await.unwrap();
        let tried = store.try_policy_change(|_| true).await;
        assert_eq!(tried.value().cloned(), expected);
    }
    for code in ["MalformedPolicy", "BadDigest"] {
        let server = Scripted::start([Step::ok(), Step::error(400, code)]).await;
        let store = S3Store::connect(server.options()).await.unwrap();
        let tried = store.try_policy_change(|_| true).await;
        assert!(matches!(tried, Observed::Value(PolicyChange::Allowed(_))), "{tried:?}");
        // What is sent can be taken for a policy by nobody, and is sent once.
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        let body = String::from_utf8(requests[1].body.clone()).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&body).is_err(), "{body}");
        assert_ne!(requests[1].header("content-md5"), None);
    }
}

/// A call of moto's IAM.
async fn iam(endpoint: &str, action: &[(&str, &str)]) -> String {
    let body: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(action)
        .append_pair("Version", "2010-05-08")
        .finish();
    let answer = reqwest::Client::new()
        .post(endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, \
             SignedHeaders=host, Signature=0",
        )
        .body(body)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{action:?}: {answer:?}");
    answer.text().await.unwrap()
}

fn element(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{xml}"));
    rest.split_once('<').unwrap().0.to_owned()
}

#[tokio::test]
async fn moto_s_own_iam_tells_who_may_change_the_policy() {
    let moto = s3::moto_server().await;
    moto.bucket("backups").await;
    let mut keys = Vec::new();
    for (user, allowed) in [("careful", "s3:GetObject"), ("careless", "s3:*")] {
        iam(&moto.endpoint, &[("Action", "CreateUser"), ("UserName", user)]).await;
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{allowed}","Resource":"*"}}]}}"#
        );
        iam(
            &moto.endpoint,
            &[
                ("Action", "PutUserPolicy"),
                ("UserName", user),
                ("PolicyName", "p"),
                ("PolicyDocument", &policy),
            ],
        )
        .await;
        let key = iam(&moto.endpoint, &[("Action", "CreateAccessKey"), ("UserName", user)]).await;
        keys.push((element(&key, "AccessKeyId"), element(&key, "SecretAccessKey")));
    }
    let reset = format!("{}/moto-api/reset-auth", moto.endpoint);
    reqwest::Client::new().post(reset).body("0").send().await.unwrap();
    let mut tried = Vec::new();
    for (id, secret) in keys {
        let options = s3::options(&moto.endpoint, "backups", &id, &secret);
        let store = S3Store::connect(options).await.unwrap();
        tried.push(store.try_policy_change(Address::is_loopback).await);
    }
    assert_eq!(tried[0], Observed::Value(PolicyChange::Refused));
    // moto, unlike Amazon, takes anything for a policy: the reason why only
    // Amazon is asked.
    assert!(matches!(tried[1], Observed::Value(PolicyChange::Allowed(_))), "{:?}", tried[1]);
}
