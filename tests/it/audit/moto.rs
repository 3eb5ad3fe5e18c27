//! What the bucket says of itself, asked of moto's server.

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::{
        AbortIncompleteMultipartUpload, AccessControlPolicy, BucketLifecycleConfiguration,
        BucketLoggingStatus, BucketVersioningStatus, DefaultRetention, ExpirationStatus, Grant,
        Grantee, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, LoggingEnabled,
        ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode, ObjectLockRule,
        ObjectOwnership, Owner, OwnershipControls, OwnershipControlsRule, Permission,
        PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
        ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Type, VersioningConfiguration,
    },
};
use reliquary::words::{
    Check,
    CheckResult::{Fail, Pass, Unknown, Warn},
};
use serde_json::json;

use super::{Installation, NOBODY, came_to, finding};
use crate::support::s3::{self, Moto};

/// A bucket that is changed, and audited after each change.
struct Bucket {
    moto: Moto,
    client: Client,
    installation: Installation,
}

const NAME: &str = "backups";

fn client(moto: &Moto) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(&moto.endpoint)
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

impl Bucket {
    async fn new() -> Self {
        let moto = s3::moto_server().await;
        let client = client(&moto);
        client
            .create_bucket()
            .bucket(NAME)
            .object_lock_enabled_for_bucket(true)
            .send()
            .await
            .unwrap();
        let options = s3::options(&moto.endpoint, NAME, "test", "test");
        let installation = Installation::new(NOBODY).s3(&options);
        Self { moto, client, installation }
    }

    #[track_caller]
    fn came_to(
        &self,
        check: Check,
        result: reliquary::words::CheckResult,
    ) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let report = self.installation.audit().await;
            let finding = finding(&report, check);
            assert_eq!(finding.result, result, "{place}: {finding:?}");
            came_to(&report, check, result);
        }
    }

    /// A request in XML that the SDK for S3 has no call for.
    async fn account_block(&self, on: bool) {
        let block = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy"]
            .iter()
            .chain(&["RestrictPublicBuckets"])
            .map(|name| format!("<{name}>{on}</{name}>"))
            .collect::<String>();
        let put = reqwest::Client::new()
            .put(format!("{}/v20180820/configuration/publicAccessBlock", self.moto.endpoint))
            .header("x-amz-account-id", "123456789012")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
                 SignedHeaders=host, Signature=0",
            )
            .body(format!(
                "<PublicAccessBlockConfiguration xmlns=\"http://awss3control.amazonaws.com/doc/\
                 2018-08-20/\">{block}</PublicAccessBlockConfiguration>"
            ))
            .send()
            .await
            .unwrap();
        assert!(put.status().is_success(), "{put:?}");
    }

    async fn policy(&self, statements: serde_json::Value) {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        self.client
            .put_bucket_policy()
            .bucket(NAME)
            .policy(policy.to_string())
            .send()
            .await
            .unwrap();
    }

    async fn lock(&self, days: i32) {
        let retention = DefaultRetention::builder()
            .mode(ObjectLockRetentionMode::Governance)
            .days(days)
            .build();
        let rule = ObjectLockRule::builder().default_retention(retention).build();
        let lock = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(rule)
            .build();
        let put = self.client.put_object_lock_configuration().bucket(NAME);
        put.object_lock_configuration(lock).send().await.unwrap();
    }

    async fn rules(&self, rules: Vec<LifecycleRule>) {
        let rules = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().unwrap();
        self.client
            .put_bucket_lifecycle_configuration()
            .bucket(NAME)
            .lifecycle_configuration(rules)
            .send()
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn encryption() {
    let bucket = Bucket::new().await;
    bucket.client.delete_bucket_encryption().bucket(NAME).send().await.unwrap();
    bucket.came_to(Check::Encryption, Fail).await;
    let rule = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(ServerSideEncryption::AwsKms)
        .kms_master_key_id("arn:aws:kms:us-east-1:123456789012:key/k")
        .build()
        .unwrap();
    let rule =
        ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(rule).build();
    let rules = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
    let put = bucket.client.put_bucket_encryption().bucket(NAME);
    put.server_side_encryption_configuration(rules).send().await.unwrap();
    let report = bucket.installation.audit().await;
    came_to(&report, Check::Encryption, Pass);
    assert!(finding(&report, Check::Encryption).found.contains("aws:kms with key arn:"));
}

#[tokio::test]
async fn public_access_of_the_bucket_and_of_the_account() {
    let bucket = Bucket::new().await;
    bucket.came_to(Check::PublicAccess, Fail).await;
    bucket.came_to(Check::AccountPublicAccess, Fail).await;
    bucket.account_block(true).await;
    bucket.came_to(Check::AccountPublicAccess, Pass).await;
    bucket.came_to(Check::PublicAccess, Warn).await;
    bucket.account_block(false).await;
    let all = PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build();
    let put = bucket.client.put_public_access_block().bucket(NAME);
    put.public_access_block_configuration(all).send().await.unwrap();
    bucket.came_to(Check::PublicAccess, Pass).await;
    bucket.came_to(Check::AccountPublicAccess, Warn).await;
}

#[tokio::test]
async fn the_policy() {
    let bucket = Bucket::new().await;
    let all = json!(["arn:aws:s3:::backups", "arn:aws:s3:::backups/*"]);
    bucket.came_to(Check::PolicyGrants, Pass).await;
    bucket.came_to(Check::PolicyTls, Fail).await;
    let open = json!({ "Sid": "Open", "Effect": "Allow", "Principal": "*",
                       "Action": "s3:GetObject", "Resource": all });
    bucket.policy(json!([open])).await;
    bucket.came_to(Check::PolicyGrants, Fail).await;
    bucket.came_to(Check::PolicyTls, Fail).await;
    let tls = json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": all,
                      "Condition": { "Bool": { "aws:SecureTransport": "false" } } });
    bucket.policy(json!([tls])).await;
    bucket.came_to(Check::PolicyTls, Pass).await;
    bucket.came_to(Check::PolicyGrants, Pass).await;
}

#[tokio::test]
async fn access_lists() {
    let bucket = Bucket::new().await;
    let owner = Owner::builder().id("owner").build();
    let everybody = Grantee::builder()
        .r#type(Type::Group)
        .uri("http://acs.amazonaws.com/groups/global/AllUsers")
        .build()
        .unwrap();
    let grant = Grant::builder().grantee(everybody).permission(Permission::Read).build();
    let list = AccessControlPolicy::builder().owner(owner).grants(grant).build();
    let put = bucket.client.put_bucket_acl().bucket(NAME);
    put.access_control_policy(list).send().await.unwrap();
    bucket.came_to(Check::AccessLists, Fail).await;
    let rule = OwnershipControlsRule::builder()
        .object_ownership(ObjectOwnership::BucketOwnerEnforced)
        .build()
        .unwrap();
    let rules = OwnershipControls::builder().rules(rule).build().unwrap();
    let put = bucket.client.put_bucket_ownership_controls().bucket(NAME);
    put.ownership_controls(rules).send().await.unwrap();
    bucket.came_to(Check::AccessLists, Pass).await;
}

#[tokio::test]
async fn versioning() {
    let bucket = Bucket::new().await;
    // Object Lock has switched it on.
    bucket.came_to(Check::Versioning, Pass).await;
    bucket.client.create_bucket().bucket("without").send().await.unwrap();
    let options = s3::options(&bucket.moto.endpoint, "without", "test", "test");
    let without = Installation::new(NOBODY).s3(&options);
    came_to(&without.audit().await, Check::Versioning, Fail);
    for (status, result) in
        [(BucketVersioningStatus::Enabled, Pass), (BucketVersioningStatus::Suspended, Fail)]
    {
        let configuration = VersioningConfiguration::builder().status(status).build();
        let put = bucket.client.put_bucket_versioning().bucket("without");
        put.versioning_configuration(configuration).send().await.unwrap();
        came_to(&without.audit().await, Check::Versioning, result);
    }
}

#[tokio::test]
async fn object_lock() {
    for (days, result) in [(29, Pass), (31, Fail)] {
        let bucket = Bucket::new().await;
        bucket.lock(days).await;
        bucket.came_to(Check::ObjectLock, result).await;
    }
    let moto = s3::moto_server().await;
    let options = moto.bucket("without").await;
    let report = Installation::new(NOBODY).s3(&options).audit().await;
    came_to(&report, Check::ObjectLock, Warn);
}

/// Under a lock S3 wants the way in which bytes are guarded named, not only the guard.
#[tokio::test]
async fn a_bucket_with_a_lock_takes_what_is_written() {
    let bucket = Bucket::new().await;
    bucket.lock(29).await;
    for checksum in ["crc64nvme", "crc32c", "sha256", "none"] {
        let installation =
            Installation::new(NOBODY).s3(&s3::options(&bucket.moto.endpoint, NAME, "test", "test"));
        let report = installation.set("RELIQUARY__STORE__CHECKSUM", checksum).audit().await;
        came_to(&report, Check::Write, Pass);
        came_to(&report, Check::ConditionalWrites, Pass);
    }
}

#[tokio::test]
async fn access_logging() {
    let bucket = Bucket::new().await;
    bucket.came_to(Check::AccessLogging, Warn).await;
    bucket.moto.bucket("logs").await;
    for name in [NAME, "logs"] {
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "logging.s3.amazonaws.com" },
            "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{name}/*") }] });
        let put = bucket.client.put_bucket_policy().bucket(name);
        put.policy(policy.to_string()).send().await.unwrap();
    }
    for (target, result) in [(NAME, Fail), ("logs", Pass)] {
        let enabled =
            LoggingEnabled::builder().target_bucket(target).target_prefix("backups/").build();
        let status = BucketLoggingStatus::builder().logging_enabled(enabled.unwrap()).build();
        let put = bucket.client.put_bucket_logging().bucket(NAME);
        put.bucket_logging_status(status).send().await.unwrap();
        bucket.came_to(Check::AccessLogging, result).await;
    }
}

#[tokio::test]
async fn lifecycle_rules() {
    let bucket = Bucket::new().await;
    bucket.came_to(Check::UnfinishedUploads, Fail).await;
    bucket.came_to(Check::Lifecycle, Pass).await;
    let rule = |id: &str, prefix: &str| {
        LifecycleRule::builder()
            .id(id)
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
    };
    let sharp = rule("sharp", "database/20")
        .expiration(LifecycleExpiration::builder().days(7).build())
        .build()
        .unwrap();
    bucket.rules(vec![sharp]).await;
    bucket.came_to(Check::Lifecycle, Fail).await;
    bucket.came_to(Check::UnfinishedUploads, Fail).await;
    let after = AbortIncompleteMultipartUpload::builder().days_after_initiation(2).build();
    let abort = rule("abort", "").abort_incomplete_multipart_upload(after).build().unwrap();
    bucket.rules(vec![abort]).await;
    bucket.came_to(Check::UnfinishedUploads, Pass).await;
    bucket.came_to(Check::Lifecycle, Pass).await;
}

#[tokio::test]
async fn the_region_and_who_we_are() {
    let bucket = Bucket::new().await;
    bucket.came_to(Check::Region, Pass).await;
    bucket.came_to(Check::Identity, Pass).await;
    let options = s3::options(&bucket.moto.endpoint, "nowhere", "test", "test");
    let report = Installation::new(NOBODY).s3(&options).audit().await;
    came_to(&report, Check::Region, Fail);
    came_to(&report, Check::Write, Fail);
}

#[tokio::test]
async fn a_store_that_takes_damaged_bytes_is_found_out() {
    let bucket = Bucket::new().await;
    let report = bucket.installation.audit().await;
    came_to(&report, Check::Write, Pass);
    came_to(&report, Check::ConditionalWrites, Pass);
    came_to(&report, Check::Checksums, Fail);
    // moto is not Amazon, and so it is not asked to change its policy.
    came_to(&report, Check::PolicyChange, Unknown);
    let left = bucket.client.list_objects_v2().bucket(NAME).send().await.unwrap();
    // The report is kept; what was tried is gone.
    let left: Vec<_> = left.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(left, ["database/audit/latest.json"]);
}
