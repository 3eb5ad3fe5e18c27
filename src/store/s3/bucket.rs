//! What a bucket says of its own configuration. Every question is a read.

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{
        BucketVersioningStatus, DefaultRetention, MfaDelete, ObjectLockEnabled,
        ObjectLockRetentionMode, ObjectOwnership, Permission, PublicAccessBlockConfiguration,
        ServerSideEncryption,
    },
};

use super::{
    S3Store,
    errors::{Call, is_not_implemented, is_unreadable_success, xml_element},
    wire::Destination,
};
use crate::store::{ErrorKind, Observed};

/// Where requests go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Host and port.
    pub host: String,
    /// Whether requests travel under TLS.
    pub tls: bool,
}

impl Address {
    /// Whether that is Amazon's own S3, and not a compatible store's.
    #[must_use]
    pub fn is_aws(&self) -> bool {
        let host = self.host.split(':').next().unwrap_or_default();
        [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|end| host.ends_with(end))
    }

    /// Whether that is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// The four switches of Block Public Access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "S3 has these four switches")]
pub struct PublicAccess {
    /// New public access control lists are refused.
    pub block_acls: bool,
    /// Public access control lists are ignored.
    pub ignore_acls: bool,
    /// New public policies are refused.
    pub block_policy: bool,
    /// A public policy opens the bucket to nobody outside of the account.
    pub restrict_buckets: bool,
}

impl PublicAccess {
    /// Whether all four are on.
    #[must_use]
    pub fn is_blocked(self) -> bool {
        self.missing().is_empty()
    }

    /// The switches that are off, by S3's names.
    #[must_use]
    pub fn missing(self) -> Vec<&'static str> {
        [
            (self.block_acls, "BlockPublicAcls"),
            (self.ignore_acls, "IgnorePublicAcls"),
            (self.block_policy, "BlockPublicPolicy"),
            (self.restrict_buckets, "RestrictPublicBuckets"),
        ]
        .into_iter()
        .filter_map(|(on, name)| (!on).then_some(name))
        .collect()
    }

    pub(super) fn of(answer: &PublicAccessBlockConfiguration) -> Self {
        let on = |switch: Option<bool>| switch == Some(true);
        Self {
            block_acls: on(answer.block_public_acls),
            ignore_acls: on(answer.ignore_public_acls),
            block_policy: on(answer.block_public_policy),
            restrict_buckets: on(answer.restrict_public_buckets),
        }
    }
}

/// What happens to an object that comes without a wish of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultEncryption {
    /// As S3 names it: `AES256`, `aws:kms`, `aws:kms:dsse`.
    pub algorithm: String,
    /// The KMS key, where one is named.
    pub kms_key: Option<String>,
}

/// Whether old versions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// They are.
    Enabled {
        /// Whether removing a version takes a second factor.
        mfa_delete: bool,
    },
    /// They were once.
    Suspended,
}

/// Object Lock, of a bucket that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectLock {
    /// What holds for an object that comes without a wish of its own; `None`
    /// where nothing does.
    pub default: Option<LockDefault>,
}

/// How long an object is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockDefault {
    /// Whether nobody at all may lift it (`COMPLIANCE`), or some may (`GOVERNANCE`).
    pub compliance: bool,
    /// Days; a year counts as 365.
    pub days: u32,
}

/// A grant of an access control list to somebody else than the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// To whom: a group's URI, a canonical id or an e-mail address.
    pub grantee: String,
    /// As in `READ` or `FULL_CONTROL`.
    pub permission: String,
}

/// Where access logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTarget {
    /// The bucket.
    pub bucket: String,
    /// What their keys begin with.
    pub prefix: String,
}

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
    let code = call.code(&error).unwrap_or_default();
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
        Observed::Value(None) => Observed::NotConfigured,
        Observed::Value(Some(value)) => Observed::Value(value),
        Observed::NotConfigured => Observed::NotConfigured,
        Observed::Denied(permission) => Observed::Denied(permission),
        Observed::Unsupported(said) => Observed::Unsupported(said),
        Observed::Failed(why) => Observed::Failed(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazon_s_own_hosts_are_told_from_others() {
        let address = |host: &str| Address { host: host.to_owned(), tls: true };
        for host in
            ["b.s3.amazonaws.com", "s3.eu-west-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"]
        {
            assert!(address(host).is_aws(), "{host}");
        }
        for host in ["amazonaws.com.example.org", "127.0.0.1:9000", "evilamazonaws.com"] {
            assert!(!address(host).is_aws(), "{host}");
        }
        for host in ["127.0.0.1:9000", "localhost:1", "[::1]:80", "b.localhost"] {
            assert!(address(host).is_loopback(), "{host}");
        }
        assert!(!address("minio.internal:9000").is_loopback());
    }
}
