use serde_json::{Value, json};

use super::*;
use crate::words::CheckResult;

fn own() -> Identity {
    Identity {
        account: "111122223333".to_owned(),
        arn: "arn:aws:sts::111122223333:assumed-role/backup/host".to_owned(),
    }
}

fn policy(statements: &Value) -> Observed<String> {
    Observed::Value(json!({ "Version": "2012-10-17", "Statement": statements }).to_string())
}

fn allow(principal: &Value, action: &str) -> Value {
    json!({ "Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*" })
}

fn grants(statements: &Value) -> Finding {
    policy_grants("b", Some(&own()), &policy(statements))
}

#[test]
fn whoever_is_let_in_is_named() {
    let everybody = grants(&json!([allow(&json!("*"), "s3:GetObject")]));
    assert_eq!(everybody.result, CheckResult::Fail);
    assert!(everybody.found.contains("everybody (s3:getobject)"), "{}", everybody.found);
    let other = json!({ "AWS": "arn:aws:iam::999999999999:role/x" });
    assert_eq!(grants(&json!([allow(&other, "s3:GetObject")])).result, CheckResult::Fail);
    let mut narrowed = allow(&json!("*"), "s3:GetObject");
    narrowed["Condition"] = json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } });
    assert_eq!(grants(&json!([narrowed])).result, CheckResult::Warn);
    let peer = json!({ "AWS": "arn:aws:iam::111122223333:role/peer" });
    assert_eq!(grants(&json!([allow(&peer, "s3:PutObject")])).result, CheckResult::Warn);
    let reader = grants(&json!([allow(&peer, "s3:GetObject")]));
    assert_eq!(reader.result, CheckResult::Pass);
    assert!(reader.found.contains("role/peer"));
}

#[test]
fn our_own_role_is_nobody_else() {
    let role = json!({ "AWS": "arn:aws:iam::111122223333:role/backup" });
    let finding = grants(&json!([allow(&role, "s3:*")]));
    assert_eq!(finding.result, CheckResult::Pass, "{}", finding.found);
    assert_eq!(policy_grants("b", None, &Observed::NotConfigured).result, CheckResult::Pass);
}

#[test]
fn without_an_identity_nobody_is_taken_for_a_friend() {
    let grants = |principal: &str| {
        let principal = json!({ "AWS": principal });
        policy_grants("b", None, &policy(&json!([allow(&principal, "s3:GetObject")])))
    };
    let finding = grants("arn:aws:iam::999999999999:role/stranger");
    assert_eq!(finding.result, CheckResult::Unknown, "{}", finding.found);
    assert!(finding.found.contains("999999999999:role/stranger"), "{}", finding.found);
    let everybody = policy(&json!([allow(&json!("*"), "s3:GetObject")]));
    assert_eq!(policy_grants("b", None, &everybody).result, CheckResult::Fail);
}

#[test]
fn a_policy_that_cannot_be_read_is_unknown() {
    let broken = Observed::Value("not a policy".to_owned());
    assert_eq!(policy_grants("b", None, &broken).result, CheckResult::Unknown);
    assert_eq!(policy_tls("b", &broken).result, CheckResult::Unknown);
}

#[test]
fn a_bucket_without_a_policy_serves_plain_http() {
    assert_eq!(policy_tls("b", &Observed::NotConfigured).result, CheckResult::Fail);
    let deny = json!([{ "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
        "Condition": { "Bool": { "aws:SecureTransport": "false" } } }]);
    assert_eq!(policy_tls("b", &policy(&deny)).result, CheckResult::Pass);
    assert_eq!(policy_tls("other", &policy(&deny)).result, CheckResult::Fail);
}

#[test]
fn the_policy_itself_may_keep_us_from_changing_it() {
    let not_tried = Observed::Value(PolicyChange::NotTried);
    let deny = |principal: &str| {
        policy(&json!([{ "Effect": "Deny", "Principal": { "AWS": principal },
            "Action": ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy"],
            "Resource": "arn:aws:s3:::b" }]))
    };
    let of = |policy: &Observed<String>, tried: &Observed<PolicyChange>| {
        policy_change("b", Some(&own()), policy, tried)
    };
    let ours = deny("arn:aws:iam::111122223333:role/backup");
    assert_eq!(of(&ours, &not_tried).result, CheckResult::Pass);
    let unknown = of(&deny("arn:aws:iam::111122223333:role/other"), &not_tried);
    assert_eq!(unknown.result, CheckResult::Unknown);
    assert!(unknown.fix.unwrap().contains("simulate-principal-policy"));
    let allowed = Observed::Value(PolicyChange::Allowed("MalformedPolicy".to_owned()));
    assert_eq!(of(&ours, &allowed).result, CheckResult::Fail, "what was tried is surer");
    let refused = Observed::Value(PolicyChange::Refused);
    assert_eq!(of(&Observed::NotConfigured, &refused).result, CheckResult::Pass);
}

fn error(kind: ErrorKind) -> StoreError {
    StoreError {
        operation: "put".to_owned(),
        target: "s3://b/k".to_owned(),
        kind,
        detail: String::new(),
    }
}

#[test]
fn the_right_to_delete_is_judged_by_whether_it_is_needed() {
    let denied = || Err(error(ErrorKind::Denied("s3:DeleteObject on b".to_owned())));
    let versions = Observed::Value(Versioning::Enabled { mfa_delete: false });
    let none = Observed::NotConfigured;
    assert_eq!(delete(&denied(), false, &none).result, CheckResult::Pass);
    let needed = delete(&denied(), true, &none);
    assert_eq!(needed.result, CheckResult::Fail);
    assert_eq!(needed.permission.as_deref(), Some("s3:DeleteObject on b"));
    assert_eq!(delete(&Ok(Removal::Gone), true, &none).result, CheckResult::Pass);
    assert_eq!(delete(&Ok(Removal::Gone), false, &none).result, CheckResult::Fail);
    assert_eq!(delete(&Ok(Removal::Gone), false, &versions).result, CheckResult::Warn);
    assert_eq!(delete(&Ok(Removal::Hidden), false, &none).result, CheckResult::Warn);
    assert_eq!(delete(&Ok(Removal::StillThere), true, &none).result, CheckResult::Fail);
    let away = Err(error(ErrorKind::Unavailable));
    assert_eq!(delete(&away, true, &none).result, CheckResult::Unknown);
}

#[test]
fn a_store_that_does_not_write_conditionally_is_told_of_and_no_failure() {
    for (outcome, result) in [
        (Ok(Condition::Honoured), CheckResult::Pass),
        (Ok(Condition::Unsupported), CheckResult::Warn),
        (Ok(Condition::Ignored), CheckResult::Warn),
        (Err(error(ErrorKind::TimedOut)), CheckResult::Unknown),
    ] {
        assert_eq!(conditional_writes(&outcome).result, result, "{outcome:?}");
    }
}

#[test]
fn writing_and_checksums_must_work() {
    assert_eq!(write(&Ok(true)).result, CheckResult::Pass);
    assert_eq!(write(&Ok(false)).result, CheckResult::Fail);
    let denied = write(&Err(error(ErrorKind::Denied("s3:PutObject on b/k".to_owned()))));
    assert_eq!(denied.result, CheckResult::Fail);
    assert_eq!(denied.permission.as_deref(), Some("s3:PutObject on b/k"));
    let of = |outcome| checksums(ChecksumMode::Crc64Nvme, &outcome).result;
    assert_eq!(of(Ok(Damage::Refused)), CheckResult::Pass);
    assert_eq!(of(Ok(Damage::Stored)), CheckResult::Fail);
    assert_eq!(of(Err(error(ErrorKind::TimedOut))), CheckResult::Unknown);
}

#[test]
fn the_keys_of_a_whole_account_are_a_failure() {
    assert_eq!(identity(&Observed::Value(own())).result, CheckResult::Pass);
    let root = Identity { arn: "arn:aws:iam::111122223333:root".to_owned(), ..own() };
    assert_eq!(identity(&Observed::Value(root)).result, CheckResult::Fail);
    let silent = Observed::Unsupported("HTTP 404".to_owned());
    assert_eq!(identity(&silent).result, CheckResult::Unknown);
}
