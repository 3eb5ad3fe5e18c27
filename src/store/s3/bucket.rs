//! What a bucket says of its own configuration. Every question is a read.

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{
        BucketVersioningStatus, DefaultRetention, MfaDelete, ObjectLockEnabled,
        ObjectLockRetentionMode, ObjectOwnership, Permission, ServerSideEncryption,
    },
};

use super::{
    S3Store,
    errors::{Call, code_of, is_not_implemented, is_unreadable_success, xml_element},
    facts::{
        Address, DefaultEncryption, Grant, LockDefault, LogTarget, ObjectLock, PublicAccess,
        Versioning,
    },
    wire::Destination,
};
use crate::store::{ErrorKind, Observed};

/// Turns an answer into what it says. `missing` are the codes that say that
/// nothing is configured.
pub(super) fn observe<T, E>(
    call: &Call,
    answer: Result<T, SdkError<E, HttpResponse>>,
    missing: &[&str],
) -> Observed<T>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let error = match answer {
        Ok(answer) => return Observed::Value(answer),
        Err(error) => error,
    };
    let code = code_of(&error).unwrap_or_default();
    if missing.contains(&code.as_str()) {
        return Observed::NotConfigured;
    }
    let unsupported = is_not_implemented(&error)
        || ["MethodNotAllowed", "NotSupported", "UnsupportedOperation", "XNotImplemented"]
            .contains(&code.as_str());
    let error = call.failed(&error);
    match error.kind {
        _ if unsupported => Observed::Unsupported(error.detail),
        // A compatible store that takes the question for the name of an object.
        ErrorKind::NotFound => Observed::Unsupported(error.detail),
        _ => error.into(),
    }
}

impl S3Store {
    fn ask(&self, what: &str, right: &str) -> Call {
        self.on_bucket(what, right, "")
    }

    /// Where the bucket's requests go, and the region that the bucket is in.
    pub async fn whereabouts(&self) -> (Address, Observed<String>) {
        let destination = Destination::default();
        let call = self.ask("find", "s3:ListBucket");
        let answer = self
            .client()
            .head_bucket()
            .bucket(self.name())
            .customize()
            .interceptor(destination.clone())
            .send()
            .await;
        let region = match answer {
            Ok(answer) => match answer.bucket_region() {
                Some(region) => Observed::Value(region.to_owned()),
                None => Observed::Unsupported("the store names no region".to_owned()),
            },
            Err(error) => {
                let named = error
                    .raw_response()
                    .and_then(|response| response.headers().get("x-amz-bucket-region"))
                    .map(str::to_owned);
                let error = call.failed(&error);
                match (named, error.kind.clone()) {
                    (Some(region), _) | (None, ErrorKind::WrongRegion(Some(region))) => {
                        Observed::Value(region)
                    }
                    _ => error.into(),
                }
            }
        };
        (destination.get(), region)
    }

    /// The region that requests are signed for.
    #[must_use]
    pub fn signing_region(&self) -> String {
        self.client().config().region().map_or_else(String::new, ToString::to_string)
    }

    /// The bucket's default encryption.
    pub async fn default_encryption(&self) -> Observed<DefaultEncryption> {
        let call = self.ask("read the default encryption of", "s3:GetEncryptionConfiguration");
        let answer = self.client().get_bucket_encryption().bucket(self.name()).send().await;
        let missing = ["ServerSideEncryptionConfigurationNotFoundError"];
        let answer = observe(&call, answer, &missing);
        let rule = answer.map(|answer| {
            answer
                .server_side_encryption_configuration
                .and_then(|configuration| configuration.rules.into_iter().next())
                .and_then(|rule| rule.apply_server_side_encryption_by_default)
        });
        flatten(rule.map(|rule| {
            rule.map(|rule| DefaultEncryption {
                algorithm: ServerSideEncryption::as_str(&rule.sse_algorithm).to_owned(),
                kms_key: rule.kms_master_key_id,
            })
        }))
    }

    /// The bucket's Block Public Access.
    pub async fn public_access(&self) -> Observed<PublicAccess> {
        let call = self.ask("read the public access block of", "s3:GetBucketPublicAccessBlock");
        let answer = self.client().get_public_access_block().bucket(self.name()).send().await;
        let answer = observe(&call, answer, &["NoSuchPublicAccessBlockConfiguration"]);
        flatten(
            answer.map(|answer| {
                answer.public_access_block_configuration.as_ref().map(PublicAccess::of)
            }),
        )
    }

    /// The bucket's policy, as it is written.
    pub async fn policy(&self) -> Observed<String> {
        let call = self.ask("read the policy of", "s3:GetBucketPolicy");
        let answer = self.client().get_bucket_policy().bucket(self.name()).send().await;
        flatten(observe(&call, answer, &["NoSuchBucketPolicy"]).map(|answer| answer.policy))
    }

    /// Whether access control lists are off for the whole bucket.
    pub async fn lists_are_off(&self) -> Observed<bool> {
        let call = self.ask("read the ownership controls of", "s3:GetBucketOwnershipControls");
        let answer = self.client().get_bucket_ownership_controls().bucket(self.name()).send().await;
        observe(&call, answer, &["OwnershipControlsNotFoundError"]).map(|answer| {
            let rules = answer.ownership_controls.map(|controls| controls.rules);
            rules
                .unwrap_or_default()
                .iter()
                .any(|rule| rule.object_ownership == ObjectOwnership::BucketOwnerEnforced)
        })
    }

    /// What the bucket's access control list grants to others than its owner.
    pub async fn grants(&self) -> Observed<Vec<Grant>> {
        let call = self.ask("read the access control list of", "s3:GetBucketAcl");
        let answer = self.client().get_bucket_acl().bucket(self.name()).send().await;
        observe(&call, answer, &[]).map(|answer| {
            let owner = answer.owner.and_then(|owner| owner.id);
            answer
                .grants
                .unwrap_or_default()
                .into_iter()
                .filter_map(|grant| {
                    let grantee = grant.grantee?;
                    if grantee.id.is_some() && grantee.id == owner {
                        return None;
                    }
                    let name = grantee.uri.or(grantee.email_address).or(grantee.id);
                    Some(Grant {
                        grantee: name.unwrap_or_else(|| "somebody without a name".to_owned()),
                        permission: grant
                            .permission
                            .as_ref()
                            .map_or("", Permission::as_str)
                            .to_owned(),
                    })
                })
                .collect()
        })
    }

    /// Whether the bucket keeps old versions.
    pub async fn versioning(&self) -> Observed<Versioning> {
        let call = self.ask("read the versioning of", "s3:GetBucketVersioning");
        let answer = self.client().get_bucket_versioning().bucket(self.name()).send().await;
        if let Err(error) = &answer
            && is_unreadable_success(error)
            && let Some(body) = error.raw_response().and_then(|response| response.body().bytes())
        {
            return misnamed_versioning(body);
        }
        flatten(
            observe(&call, answer, &[]).map(|answer| match answer.status {
                Some(BucketVersioningStatus::Enabled) => Some(Versioning::Enabled {
                    mfa_delete: answer
                        .mfa_delete
                        .is_some_and(|mfa| mfa.as_str() == MfaDelete::Enabled.as_str()),
                }),
                Some(_) => Some(Versioning::Suspended),
                None => None,
            }),
        )
    }

    /// The bucket's Object Lock.
    pub async fn object_lock(&self) -> Observed<ObjectLock> {
        let right = "s3:GetBucketObjectLockConfiguration";
        let call = self.ask("read the Object Lock of", right);
        let answer = self.client().get_object_lock_configuration().bucket(self.name()).send().await;
        let missing = ["ObjectLockConfigurationNotFoundError", "ObjectLockConfigurationNotFound"];
        flatten(observe(&call, answer, &missing).map(|answer| {
            let configuration = answer.object_lock_configuration?;
            if configuration.object_lock_enabled != Some(ObjectLockEnabled::Enabled) {
                return None;
            }
            let default = configuration.rule.and_then(|rule| rule.default_retention);
            Some(ObjectLock { default: default.as_ref().and_then(lock_default) })
        }))
    }

    /// Where the bucket's access logs go.
    pub async fn access_logging(&self) -> Observed<LogTarget> {
        let call = self.ask("read the access logging of", "s3:GetBucketLogging");
        let answer = self.client().get_bucket_logging().bucket(self.name()).send().await;
        flatten(observe(&call, answer, &[]).map(|answer| {
            let target = answer.logging_enabled?;
            Some(LogTarget { bucket: target.target_bucket, prefix: target.target_prefix })
        }))
    }
}

/// Some compatible stores give the document another name than Amazon's, for
/// which the SDK refuses it; what stands in it is the same.
fn misnamed_versioning(body: &[u8]) -> Observed<Versioning> {
    match xml_element(body, "Status").as_deref() {
        Some("Enabled") => Observed::Value(Versioning::Enabled {
            mfa_delete: xml_element(body, "MfaDelete").as_deref() == Some("Enabled"),
        }),
        Some("Suspended") => Observed::Value(Versioning::Suspended),
        Some("" | "None") | None => Observed::NotConfigured,
        Some(status) => Observed::Unsupported(format!("its status is {status:?}")),
    }
}

fn lock_default(retention: &DefaultRetention) -> Option<LockDefault> {
    let days = match (retention.days, retention.years) {
        (Some(days), _) if days > 0 => days,
        (_, Some(years)) if years > 0 => years.saturating_mul(365),
        _ => return None,
    };
    Some(LockDefault {
        compliance: retention.mode == Some(ObjectLockRetentionMode::Compliance),
        days: u32::try_from(days).ok()?,
    })
}

/// A value that is not there says that nothing is configured.
fn flatten<T>(observed: Observed<Option<T>>) -> Observed<T> {
    match observed {
        Observed::Value(Some(value)) => Observed::Value(value),
        Observed::Value(None) | Observed::NotConfigured => Observed::NotConfigured,
        Observed::Denied(permission) => Observed::Denied(permission),
        Observed::Unsupported(said) => Observed::Unsupported(said),
        Observed::Failed(why) => Observed::Failed(why),
    }
}
