//! What a store does when it is put to the test, with one small object of our
//! own. Nothing else in the bucket is written to.

use aws_config::retry::RetryConfig;
use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
};
use bytes::Bytes;

use super::{
    S3Store,
    checksum::{ChecksumMode, content_md5},
    errors::{DAMAGED, code_of, is_conflict, is_not_implemented, is_precondition_failed},
    facts::Address,
    objects::NOTHING_THERE,
    wire::OnlyTo,
};
use crate::store::{ErrorKind, Observed, Result};

/// What becomes of a write that must not replace anything, where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is refused.
    Honoured,
    /// The store says that it cannot do that.
    Unsupported,
    /// It replaces what was there, without a word.
    Ignored,
}

/// What becomes of bytes that are not those of their checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// They are refused.
    Refused,
    /// They are stored, without a word.
    Stored,
}

/// What became of deleting our own object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Gone,
    /// It is hidden; its versions are kept.
    Hidden,
    /// The store said yes, and it is still there.
    StillThere,
}

/// What was learnt of the right to change the bucket's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyChange {
    /// We may not.
    Refused,
    /// We may: what the store objected to was the policy itself; holds its words.
    Allowed(String),
    /// It was not tried, since the store is not Amazon's, and what another one
    /// makes of a policy that is none cannot be known.
    NotTried,
}

/// A policy that no store can take for one.
const NO_POLICY: &str = "this is no policy: it asks whether one could be put here";

impl S3Store {
    /// Whether a write that must not replace anything replaces what stands
    /// under `key`, where something must stand. Where it does, this store is
    /// from now on asked before such a write.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn try_condition(&self, key: &str, body: Bytes) -> Result<Condition> {
        let call = self.on_object("put", "s3:PutObject", key);
        // Another process may delete the object between its two writes: only
        // what is ignored twice in a row is ignored.
        for _ in 0..2 {
            let seal = self.options().checksum.seal(&body).await;
            let answer = self
                .client()
                .put_object()
                .bucket(self.name())
                .key(key)
                .set_checksum_algorithm(self.options().checksum.for_sdk())
                .set_checksum_crc64_nvme(seal.crc64nvme)
                .set_checksum_crc32_c(seal.crc32c)
                .set_checksum_sha256(seal.sha256)
                .set_content_md5(seal.md5)
                .set_server_side_encryption(self.encryption().0)
                .set_ssekms_key_id(self.encryption().1)
                .if_none_match(NOTHING_THERE)
                .body(ByteStream::from(body.clone()))
                .send()
                .await;
            match answer {
                Ok(_) => {}
                Err(error) if is_precondition_failed(&error) || is_conflict(&error) => {
                    return Ok(Condition::Honoured);
                }
                Err(error) if is_not_implemented(&error) => {
                    self.give_up_conditional();
                    return Ok(Condition::Unsupported);
                }
                Err(error) => return Err(call.failed(&error)),
            }
        }
        self.give_up_conditional();
        Ok(Condition::Ignored)
    }

    /// Whether bytes are refused that come with the checksum of other bytes,
    /// in the way in which our own are guarded. Should they be stored, they
    /// stand under `key`.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn try_damage(&self, key: &str, body: Bytes) -> Result<Damage> {
        let call = self.on_object("put", "s3:PutObject", key);
        let seal = self.options().checksum.seal(&Bytes::from_static(b"other bytes")).await;
        let answer = self
            .client()
            .put_object()
            .bucket(self.name())
            .key(key)
            .set_checksum_algorithm(self.options().checksum.for_sdk())
            .set_checksum_crc64_nvme(seal.crc64nvme)
            .set_checksum_crc32_c(seal.crc32c)
            .set_checksum_sha256(seal.sha256)
            .set_content_md5(seal.md5)
            .set_server_side_encryption(self.encryption().0)
            .set_ssekms_key_id(self.encryption().1)
            .body(ByteStream::from(body))
            .customize()
            .config_override(once())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Damage::Stored),
            Err(error) if is_damaged(&error) => Ok(Damage::Refused),
            Err(error) => Err(call.failed(&error)),
        }
    }

    /// Deletes our own object, and looks what has become of it.
    ///
    /// # Errors
    /// When that is refused; [`ErrorKind::Denied`] where it is for want of rights.
    pub async fn try_delete(&self, key: &str) -> Result<Removal> {
        let call = self.on_object("delete", "s3:DeleteObject", key);
        let answer = self.client().delete_object().bucket(self.name()).key(key).send().await;
        let marked = answer.map_err(|error| call.failed(&error))?.delete_marker == Some(true);
        Ok(match super::objects::head(self, key).await? {
            Some(_) => Removal::StillThere,
            None if marked => Removal::Hidden,
            None => Removal::Gone,
        })
    }

    /// Whether these credentials may change the bucket's policy, without a
    /// chance to change it: what is sent is no policy, and the checksum beside
    /// it is that of something else, so that a store that lets us in must
    /// refuse it twice over. Amazon's S3 does ([`Address::is_aws`]); what another
    /// store makes of it cannot be known, so only a host that `allowed` lets
    /// through is asked.
    pub async fn try_policy_change(&self, allowed: fn(&Address) -> bool) -> Observed<PolicyChange> {
        let call = self.on_bucket("change the policy of", "s3:PutBucketPolicy", "");
        let (address, _) = self.whereabouts().await;
        if !allowed(&address) {
            return Observed::Value(PolicyChange::NotTried);
        }
        let answer = self
            .client()
            .put_bucket_policy()
            .bucket(self.name())
            .content_md5(content_md5(b"something else"))
            .policy(NO_POLICY)
            .customize()
            .config_override(once())
            // Were the request sent elsewhere after all, it does not leave.
            .interceptor(OnlyTo(allowed))
            .send()
            .await;
        let Err(error) = answer else {
            return Observed::Value(PolicyChange::Allowed("the store took it".to_owned()));
        };
        let code = code_of(&error).unwrap_or_default();
        let objected = is_damaged(&error) || code == "MalformedPolicy";
        let error = call.failed(&error);
        match error.kind {
            ErrorKind::Denied(_) => Observed::Value(PolicyChange::Refused),
            // Of a bucket that belongs to another account.
            _ if code == "MethodNotAllowed" => Observed::Value(PolicyChange::Refused),
            _ if objected => Observed::Value(PolicyChange::Allowed(error.detail)),
            _ => error.into(),
        }
    }

    /// How transfers are guarded.
    #[must_use]
    pub fn checksum_mode(&self) -> ChecksumMode {
        self.options().checksum
    }
}

/// Sent once: a refusal is what is hoped for.
fn once() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::new().retry_config(RetryConfig::disabled())
}

fn is_damaged<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    DAMAGED.contains(&code) || code == "InvalidRequest" || code == "InvalidArgument"
}
