//! Reads the bucket's lifecycle rules.

use aws_sdk_s3::{
    error::ProvideErrorMetadata as _,
    types::{
        ExpirationStatus, LifecycleRule as Wire, LifecycleRuleAndOperator, LifecycleRuleFilter,
        TransitionStorageClass,
    },
};

use super::{S3Store, errors::Call, time};
use crate::store::{LifecycleRule, Narrowed, Result};

/// What S3 says of a bucket that has no rule.
const NONE: &str = "NoSuchLifecycleConfiguration";

/// Every rule of the bucket; none where it has none.
pub(super) async fn rules(store: &S3Store) -> Result<Vec<LifecycleRule>> {
    let call = store.on_bucket("read the lifecycle rules of", "s3:GetLifecycleConfiguration", "");
    let answer =
        store.client().get_bucket_lifecycle_configuration().bucket(store.bucket()).send().await;
    match answer {
        Ok(found) => {
            found.rules.unwrap_or_default().into_iter().map(|rule| read(&call, rule)).collect()
        }
        Err(error) if error.code() == Some(NONE) => Ok(Vec::new()),
        Err(error) => Err(call.failed(&error)),
    }
}

fn read(call: &Call, rule: Wire) -> Result<LifecycleRule> {
    let filter = rule.filter.unwrap_or_else(|| LifecycleRuleFilter::builder().build());
    let all = filter.and.unwrap_or_else(|| LifecycleRuleAndOperator::builder().build());
    // Rules from before filters existed have their prefix beside them.
    #[expect(deprecated, reason = "such rules still hold")]
    let prefix = filter.prefix.or(all.prefix).or(rule.prefix).unwrap_or_default();
    let tagged = filter.tag.is_some() || all.tags.is_some_and(|tags| !tags.is_empty());
    let sizes = [
        filter.object_size_greater_than,
        filter.object_size_less_than,
        all.object_size_greater_than,
        all.object_size_less_than,
    ];
    let narrowed = match (tagged, sizes.iter().any(Option::is_some)) {
        (true, _) => Some(Narrowed::ByTag),
        (false, true) => Some(Narrowed::BySize),
        (false, false) => None,
    };
    let expire_at = match rule.expiration.as_ref().and_then(|expiration| expiration.date()) {
        Some(date) => Some(time(call, Some(date))?),
        None => None,
    };
    let moves = rule.transitions.unwrap_or_default().into_iter().map(|transition| {
        let class = transition.storage_class.as_ref().map(TransitionStorageClass::as_str);
        // One with a date instead is due, or will be.
        (days(transition.days).unwrap_or(0), class.unwrap_or("another class").to_owned())
    });
    Ok(LifecycleRule {
        id: rule.id.unwrap_or_default(),
        enabled: rule.status == ExpirationStatus::Enabled,
        prefix,
        narrowed,
        expire_after_days: days(rule.expiration.and_then(|expiration| expiration.days)),
        expire_at,
        abort_uploads_after_days: days(
            rule.abort_incomplete_multipart_upload.and_then(|abort| abort.days_after_initiation),
        ),
        expire_noncurrent_after_days: days(
            rule.noncurrent_version_expiration.and_then(|expiration| expiration.noncurrent_days),
        ),
        moves: moves.collect(),
    })
}

/// The SDK's signed days as ours; it writes none as zero.
fn days(days: Option<i32>) -> Option<u32> {
    days.and_then(|days| u32::try_from(days).ok()).filter(|days| *days > 0)
}
