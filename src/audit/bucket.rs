//! Checks of the bucket's own configuration.

use chrono::TimeDelta;

use super::{Finding, without_value};
use crate::{
    store::{
        Address, DefaultEncryption, Grant, LogTarget, ObjectLock, Observed, PublicAccess,
        Versioning,
    },
    words::Check,
};

/// The bucket is where requests for it go.
#[must_use]
pub fn region(signed: &str, observed: &Observed<String>) -> Finding {
    let check = Check::Region;
    match observed {
        // R2 and its like know one region under several names.
        Observed::Value(region) if region == signed || signed == "auto" => {
            Finding::pass(check, format!("the bucket is in {region}"))
        }
        Observed::Value(region) => Finding::fail(
            check,
            format!("the bucket is in {region}, requests are signed for {signed}"),
            format!("set store.region = \"{region}\""),
        ),
        Observed::NotConfigured | Observed::Unsupported(_) => {
            Finding::pass(check, "the bucket answers; this store names no regions")
        }
        Observed::Denied(permission) => {
            Finding::denied(check, permission, "aws s3api head-bucket --bucket BUCKET")
        }
        Observed::Failed(why) => Finding::fail(
            check,
            format!("the bucket cannot be reached: {why}"),
            "correct store.url, store.region, store.endpoint or the credentials",
        ),
    }
}

/// Requests travel under TLS.
#[must_use]
pub fn transport(address: &Address) -> Finding {
    let check = Check::StoreTransport;
    if address.host.is_empty() {
        Finding::unknown(check, "no request went out", "see what `region` says")
    } else if address.tls {
        Finding::pass(check, format!("requests go to {} under TLS", address.host))
    } else if address.is_loopback() {
        Finding::warn(
            check,
            format!("requests go to {} in the clear, on this machine alone", address.host),
            "a store on the machine that it is to survive is no backup; for a real one set \
             store.endpoint = \"https://…\"",
        )
    } else {
        Finding::fail(
            check,
            format!(
                "requests go to {} in the clear: whoever listens has the backups",
                address.host
            ),
            "set store.endpoint = \"https://…\"",
        )
    }
}

/// What is stored is encrypted. `asked` is what every object of ours asks for,
/// where it does.
#[must_use]
pub fn encryption(
    bucket: &str,
    asked: Option<&str>,
    observed: &Observed<DefaultEncryption>,
) -> Finding {
    let check = Check::Encryption;
    let by_hand = format!("aws s3api get-bucket-encryption --bucket {bucket}");
    if let Some(finding) = without_value(check, observed, &by_hand) {
        return finding;
    }
    let put = format!(
        "aws s3api put-bucket-encryption --bucket {bucket} --server-side-encryption-configuration \
         '{{\"Rules\":[{{\"ApplyServerSideEncryptionByDefault\":{{\"SSEAlgorithm\":\"AES256\"}}}}]}}'"
    );
    match (observed.value(), asked) {
        (Some(default), _) => {
            let key = default.kms_key.as_deref();
            let key = key.map_or(String::new(), |key| format!(" with key {key}"));
            Finding::pass(check, format!("objects are encrypted: {}{key}", default.algorithm))
        }
        (None, Some(asked)) => Finding::warn(
            check,
            format!("our own objects ask for {asked}; what others put there is not encrypted"),
            put,
        ),
        (None, None) => Finding::fail(
            check,
            "the bucket has no default encryption, and nothing asks for it",
            put,
        ),
    }
}

/// The bucket cannot become public.
#[must_use]
pub fn public_access(
    bucket: &str,
    observed: &Observed<PublicAccess>,
    account: &Observed<PublicAccess>,
) -> Finding {
    let check = Check::PublicAccess;
    let by_hand = format!("aws s3api get-public-access-block --bucket {bucket}");
    if let Some(finding) = without_value(check, observed, &by_hand) {
        return finding;
    }
    let put = format!(
        "aws s3api put-public-access-block --bucket {bucket} --public-access-block-configuration {ALL}"
    );
    let missing = observed.value().copied().unwrap_or_default().missing();
    if missing.is_empty() {
        return Finding::pass(check, "all four switches of Block Public Access are on");
    }
    let found = format!("off: {}", missing.join(", "));
    if account.value().is_some_and(|block| block.is_blocked()) {
        return Finding::warn(
            check,
            format!("{found}; the account's own block covers for it"),
            put,
        );
    }
    Finding::fail(check, found, put)
}

const ALL: &str =
    "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true";

/// No bucket of the account can become public.
#[must_use]
pub fn account_public_access(
    account: Option<&str>,
    observed: &Observed<PublicAccess>,
    bucket: &Observed<PublicAccess>,
) -> Finding {
    let check = Check::AccountPublicAccess;
    let account = account.unwrap_or("ACCOUNT");
    let by_hand = format!("aws s3control get-public-access-block --account-id {account}");
    if let Some(finding) = without_value(check, observed, &by_hand) {
        return finding;
    }
    let put = format!(
        "aws s3control put-public-access-block --account-id {account} \
         --public-access-block-configuration {ALL}"
    );
    let missing = observed.value().copied().unwrap_or_default().missing();
    if missing.is_empty() {
        return Finding::pass(check, "all four switches are on for the whole account");
    }
    let found = format!("off for the account: {}", missing.join(", "));
    if bucket.value().is_some_and(|block| block.is_blocked()) {
        return Finding::warn(check, format!("{found}; the bucket's own block covers for it"), put);
    }
    Finding::fail(check, found, put)
}

/// No access control list lets anybody in.
#[must_use]
pub fn access_lists(bucket: &str, off: &Observed<bool>, grants: &Observed<Vec<Grant>>) -> Finding {
    let check = Check::AccessLists;
    if off.value() == Some(&true) {
        return Finding::pass(check, "access control lists are off (BucketOwnerEnforced)");
    }
    let by_hand = format!("aws s3api get-bucket-acl --bucket {bucket}");
    let put = format!(
        "aws s3api put-bucket-ownership-controls --bucket {bucket} \
         --ownership-controls 'Rules=[{{ObjectOwnership=BucketOwnerEnforced}}]'"
    );
    if let Some(finding) = without_value(check, grants, &by_hand) {
        return finding;
    }
    match grants.value().map(Vec::as_slice).unwrap_or_default() {
        [] if off.value().is_some() || matches!(off, Observed::NotConfigured) => {
            Finding::warn(check, "nobody else is let in, but an object's own list could", put)
        }
        [] => Finding::pass(check, "the access control list lets nobody in but its owner"),
        grants => {
            let names: Vec<String> = grants
                .iter()
                .map(|grant| format!("{} ({})", grant.grantee, grant.permission))
                .collect();
            Finding::fail(
                check,
                format!("the access control list lets in: {}", names.join(", ")),
                put,
            )
        }
    }
}

/// What is overwritten or deleted can be had back.
#[must_use]
pub fn versioning(bucket: &str, observed: &Observed<Versioning>) -> Finding {
    let check = Check::Versioning;
    let by_hand = format!("aws s3api get-bucket-versioning --bucket {bucket}");
    if let Some(finding) = without_value(check, observed, &by_hand) {
        return finding;
    }
    let put = format!(
        "aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration \
         Status=Enabled, and a lifecycle rule that lets noncurrent versions go"
    );
    match observed.value() {
        Some(Versioning::Enabled { mfa_delete: true }) => {
            Finding::pass(check, "versions are kept; removing one for good takes a second factor")
        }
        Some(Versioning::Enabled { .. }) => Finding::pass(check, "versions are kept"),
        Some(Versioning::Suspended) => Finding::fail(
            check,
            "versioning is suspended: what is overwritten or deleted from now on is gone",
            put,
        ),
        None => Finding::fail(
            check,
            "versions are not kept: whoever may write or delete here can destroy every backup",
            put,
        ),
    }
}

/// Backups cannot be deleted before their time, and can be after it.
/// `keep_for` is how long retention keeps them.
#[must_use]
pub fn object_lock(bucket: &str, keep_for: TimeDelta, observed: &Observed<ObjectLock>) -> Finding {
    let check = Check::ObjectLock;
    let by_hand = format!("aws s3api get-object-lock-configuration --bucket {bucket}");
    if let Some(finding) = without_value(check, observed, &by_hand) {
        return finding;
    }
    let keep = keep_for.num_days().max(0);
    let put = |days: i64| {
        format!(
            "aws s3api put-object-lock-configuration --bucket {bucket} \
             --object-lock-configuration '{{\"ObjectLockEnabled\":\"Enabled\",\"Rule\":\
             {{\"DefaultRetention\":{{\"Mode\":\"GOVERNANCE\",\"Days\":{days}}}}}}}'"
        )
    };
    let wanted = (keep - 1).max(1);
    match observed.value() {
        None => Finding::warn(
            check,
            "Object Lock is off: whoever may delete versions can destroy every backup",
            format!("with versioning on: {}", put(wanted)),
        ),
        Some(ObjectLock { default: None }) => Finding::warn(
            check,
            "Object Lock is on, but locks nothing by default, and Reliquary asks for no lock",
            put(wanted),
        ),
        Some(ObjectLock { default: Some(lock) }) => {
            let mode = if lock.compliance { "COMPLIANCE" } else { "GOVERNANCE" };
            let found = format!("every object is locked for {} days ({mode})", lock.days);
            // A lock runs from when an object was written, retention from when its
            // backup began: a lock of the same length ends after its time has come.
            if i64::from(lock.days) > keep {
                Finding::fail(
                    check,
                    format!("{found}, longer than retention keeps them ({keep} days)"),
                    format!(
                        "set retention.keep_for = \"{}d\" or longer; or, for objects to come: {}",
                        lock.days,
                        put(wanted)
                    ),
                )
            } else {
                Finding::pass(check, found)
            }
        }
    }
}

/// Who reads and writes is written down.
#[must_use]
pub fn access_logging(bucket: &str, observed: &Observed<LogTarget>) -> Finding {
    let check = Check::AccessLogging;
    let by_hand = format!("aws s3api get-bucket-logging --bucket {bucket}");
    if let Some(finding) = without_value(check, observed, &by_hand) {
        return finding;
    }
    let put = format!(
        "aws s3api put-bucket-logging --bucket {bucket} --bucket-logging-status \
         '{{\"LoggingEnabled\":{{\"TargetBucket\":\"LOG-BUCKET\",\"TargetPrefix\":\"{bucket}/\"}}}}'"
    );
    match observed.value() {
        None => Finding::warn(
            check,
            "access is not logged: nobody can tell who has read or deleted a backup (CloudTrail \
             data events would do as well; those cannot be seen from here)",
            put,
        ),
        Some(target) if target.bucket == bucket => Finding::fail(
            check,
            "access logs go into the bucket itself: they grow by themselves, and whoever takes \
             the bucket takes them too",
            put,
        ),
        Some(target) => {
            Finding::pass(check, format!("access logs go to {}/{}", target.bucket, target.prefix))
        }
    }
}

#[cfg(test)]
mod tests;
