use super::*;
use crate::{store::LockDefault, words::CheckResult};

const ALL_ON: PublicAccess = PublicAccess {
    block_acls: true,
    ignore_acls: true,
    block_policy: true,
    restrict_buckets: true,
};

fn keep() -> TimeDelta {
    TimeDelta::days(30)
}

#[test]
fn what_may_not_be_asked_is_unknown_and_names_the_permission() {
    let denied = Observed::<Versioning>::Denied("s3:GetBucketVersioning".to_owned());
    let finding = versioning("b", &denied);
    assert_eq!(finding.result, CheckResult::Unknown);
    assert_eq!(finding.permission.as_deref(), Some("s3:GetBucketVersioning"));
    assert!(finding.fix.unwrap().starts_with("aws s3api get-bucket-versioning --bucket b"));
}

#[test]
fn what_gives_no_answer_is_never_taken_for_good() {
    let failed = || "a cable is cut".to_owned();
    let findings = [
        encryption("b", None, &Observed::Failed(failed())),
        public_access("b", &Observed::Failed(failed()), &Observed::Value(ALL_ON)),
        account_public_access(None, &Observed::Unsupported(failed()), &Observed::NotConfigured),
        access_lists("b", &Observed::Failed(failed()), &Observed::Failed(failed())),
        versioning("b", &Observed::Unsupported(failed())),
        object_lock("b", keep(), &Observed::Failed(failed())),
        access_logging("b", &Observed::Unsupported(failed())),
    ];
    for finding in findings {
        assert_eq!(finding.result, CheckResult::Unknown, "{finding:?}");
        assert!(finding.found.contains("a cable is cut"), "{finding:?}");
    }
}

#[test]
fn a_region_that_is_not_the_bucket_s_is_named() {
    let at = |signed, region: &str| region_of(signed, region);
    assert_eq!(at("us-east-1", "us-east-1").result, CheckResult::Pass);
    let wrong = at("us-east-1", "eu-west-1");
    assert_eq!(wrong.result, CheckResult::Fail);
    assert_eq!(wrong.fix.as_deref(), Some("set store.region = \"eu-west-1\""));
    assert_eq!(at("auto", "weur").result, CheckResult::Pass);
}

fn region_of(signed: &str, region: &str) -> Finding {
    super::region(signed, &Observed::Value(region.to_owned()))
}

#[test]
fn only_this_machine_may_be_spoken_to_in_the_clear() {
    let to = |host: &str, tls| transport(&Address { host: host.to_owned(), tls }).result;
    assert_eq!(to("s3.us-east-1.amazonaws.com", true), CheckResult::Pass);
    assert_eq!(to("127.0.0.1:9000", false), CheckResult::Warn);
    assert_eq!(to("minio.internal:9000", false), CheckResult::Fail);
    assert_eq!(to("", false), CheckResult::Unknown);
}

#[test]
fn encryption_may_come_from_the_bucket_or_from_us() {
    let default = DefaultEncryption { algorithm: "AES256".to_owned(), kms_key: None };
    let of = |asked, observed| encryption("b", asked, &observed).result;
    assert_eq!(of(None, Observed::Value(default)), CheckResult::Pass);
    assert_eq!(of(Some("aws:kms"), Observed::NotConfigured), CheckResult::Warn);
    assert_eq!(of(None, Observed::NotConfigured), CheckResult::Fail);
}

#[test]
fn one_open_switch_is_a_failure_unless_the_account_covers_for_it() {
    let open = PublicAccess { block_policy: false, ..ALL_ON };
    let none = Observed::NotConfigured;
    let finding = public_access("b", &Observed::Value(open), &none);
    assert_eq!(finding.result, CheckResult::Fail);
    assert_eq!(finding.found, "off: BlockPublicPolicy");
    let covered = public_access("b", &none, &Observed::Value(ALL_ON));
    assert_eq!(covered.result, CheckResult::Warn);
    assert_eq!(public_access("b", &Observed::Value(ALL_ON), &none).result, CheckResult::Pass);

    let account = |observed, bucket| account_public_access(Some("1"), &observed, &bucket).result;
    assert_eq!(account(Observed::Value(ALL_ON), Observed::NotConfigured), CheckResult::Pass);
    assert_eq!(account(Observed::NotConfigured, Observed::Value(ALL_ON)), CheckResult::Warn);
    assert_eq!(account(Observed::NotConfigured, Observed::NotConfigured), CheckResult::Fail);
}

#[test]
fn an_access_list_that_lets_others_in_is_a_failure() {
    let grant = Grant {
        grantee: "http://acs.amazonaws.com/groups/global/AllUsers".to_owned(),
        permission: "READ".to_owned(),
    };
    let open = access_lists("b", &Observed::NotConfigured, &Observed::Value(vec![grant.clone()]));
    assert_eq!(open.result, CheckResult::Fail);
    assert!(open.found.contains("AllUsers (READ)"), "{}", open.found);
    let off = access_lists("b", &Observed::Value(true), &Observed::Value(vec![grant]));
    assert_eq!(off.result, CheckResult::Pass, "lists that are off are not looked at");
    let on = access_lists("b", &Observed::NotConfigured, &Observed::Value(Vec::new()));
    assert_eq!(on.result, CheckResult::Warn);
}

#[test]
fn a_lock_longer_than_retention_is_a_failure() {
    let lock = |days, compliance| {
        let default = Some(LockDefault { compliance, days });
        object_lock("b", keep(), &Observed::Value(ObjectLock { default })).result
    };
    assert_eq!(lock(29, true), CheckResult::Pass);
    assert_eq!(lock(30, false), CheckResult::Pass);
    assert_eq!(lock(31, true), CheckResult::Fail);
    let none = Observed::Value(ObjectLock { default: None });
    assert_eq!(object_lock("b", keep(), &none).result, CheckResult::Warn);
    assert_eq!(object_lock("b", keep(), &Observed::NotConfigured).result, CheckResult::Warn);
}

#[test]
fn logs_belong_into_another_bucket() {
    let to = |bucket: &str| {
        let target = LogTarget { bucket: bucket.to_owned(), prefix: "b/".to_owned() };
        access_logging("b", &Observed::Value(target)).result
    };
    assert_eq!(to("logs"), CheckResult::Pass);
    assert_eq!(to("b"), CheckResult::Fail);
    assert_eq!(access_logging("b", &Observed::NotConfigured).result, CheckResult::Warn);
}

#[test]
fn versions_must_be_kept() {
    let of = |observed| versioning("b", &observed).result;
    assert_eq!(of(Observed::Value(Versioning::Enabled { mfa_delete: false })), CheckResult::Pass);
    assert_eq!(of(Observed::Value(Versioning::Suspended)), CheckResult::Fail);
    assert_eq!(of(Observed::NotConfigured), CheckResult::Fail);
}
