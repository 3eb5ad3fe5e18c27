//! From options to a client: region, credentials, deadlines, retries.

use std::{fmt, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use aws_sdk_s3::{
    Client,
    config::{Credentials, RequestChecksumCalculation, ResponseChecksumValidation},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{checksum::ChecksumMode, wire::RetryDamage};
use crate::store::{ErrorKind, StoreError};

/// The longest that a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// The most keys in one request, and in one page.
pub(super) const KEYS_A_REQUEST: usize = 1000;

/// How a bucket is reached and written to.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// The bucket's name.
    pub bucket: String,
    /// Its region. `None` leaves it to `AWS_REGION`, `AWS_DEFAULT_REGION` and
    /// the profile; where those say nothing either it is `us-east-1`, and a
    /// bucket that is elsewhere says where ([`ErrorKind::WrongRegion`]).
    pub region: Option<String>,
    /// Another S3 API than AWS's, as `https://host[:port]`.
    pub endpoint: Option<String>,
    /// `https://host/bucket/key` instead of `https://bucket.host/key`.
    pub path_style: bool,
    /// An access key; `None` leaves it to the usual AWS chain.
    pub credentials: Option<AccessKey>,
    /// Encryption at rest that is asked for with every object.
    pub encryption: Encryption,
    /// Which checksum guards a transfer.
    pub checksum: ChecksumMode,
    /// Parts of one upload in flight at once.
    pub parts_in_flight: usize,
    /// Deadline of one attempt of one request, and of each wait for more bytes
    /// of a download.
    pub attempt_timeout: Duration,
    /// Attempts of one request, the first included.
    pub attempts: u32,
    /// Pause before the second attempt, at most; doubles from there, to ten seconds.
    pub backoff: Duration,
}

impl S3Options {
    /// A bucket with everything else as it is by default.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            region: None,
            endpoint: None,
            path_style: false,
            credentials: None,
            encryption: Encryption::BucketDefault,
            checksum: ChecksumMode::Crc64Nvme,
            parts_in_flight: 4,
            attempt_timeout: Duration::from_mins(1),
            attempts: 5,
            backoff: Duration::from_secs(1),
        }
    }
}

/// An access key of an account or a user.
#[derive(Clone)]
pub struct AccessKey {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: SecretString,
    /// Of temporary credentials, their token.
    pub session_token: Option<SecretString>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Encryption at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Ask for nothing: the bucket's default holds.
    BucketDefault,
    /// SSE-S3, a key that S3 manages.
    SseS3,
    /// SSE-KMS, with this key or with the bucket's or account's default one.
    SseKms(Option<String>),
}

/// The slowest line on which an upload is not given up, in bytes a millisecond.
const SLOWEST: u64 = 256;

/// Builds the client, and what clients of other services are built from. Nothing is sent: a wrong bucket or key shows with the
/// first request. Of the network only the credentials' chain may make use, with
/// the first request, and only where it is needed.
pub(super) async fn client(options: &S3Options) -> Result<(Client, SdkConfig), StoreError> {
    check(options)?;
    let attempts = options.attempts.max(1);
    let region = region(options).await;
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(attempts)
                .with_initial_backoff(options.backoff)
                .with_max_backoff(MAX_BACKOFF),
        )
        .timeout_config(deadlines_for(options, 0))
        // An upload has the deadline of its attempt, and a download one for
        // each chunk, which does not run while we are the slow side.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(key) = &options.credentials {
        loader = loader.credentials_provider(Credentials::new(
            key.id.clone(),
            key.secret.expose_secret(),
            key.session_token.as_ref().map(|token| token.expose_secret().to_owned()),
            None,
            "settings",
        ));
    }
    let shared = loader.load().await;
    let config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(options.path_style)
        .retry_classifier(RetryDamage)
        .build();
    Ok((Client::from_conf(config), shared))
}

/// The deadlines of a request that carries so many bytes, where it has to share
/// the line with `parts_in_flight` of its kind: a thin line, or a large part, must
/// not make every attempt fail.
pub(super) fn deadlines_for(options: &S3Options, bytes: u64) -> TimeoutConfig {
    let shared = bytes.saturating_mul(options.parts_in_flight.max(1) as u64);
    let attempt = options.attempt_timeout + Duration::from_millis(shared / SLOWEST);
    let all = (attempt + MAX_BACKOFF).saturating_mul(options.attempts.max(1));
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(options.attempt_timeout))
        // The SDK counts this from the request's first byte to the answer's, so a
        // part on a thin line needs all of the attempt.
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .operation_timeout(all)
        .build()
}

/// Never asks the machine's metadata service: on a machine that has none that
/// is seconds of waiting at each start.
async fn region(options: &S3Options) -> Region {
    RegionProviderChain::first_try(options.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .region()
        .await
        .unwrap_or_else(|| Region::from_static("us-east-1"))
}

fn check(options: &S3Options) -> Result<(), StoreError> {
    let refuse = |detail: String| {
        Err(StoreError {
            operation: "connect to".to_owned(),
            target: format!("s3://{}", options.bucket),
            kind: ErrorKind::Other,
            detail,
        })
    };
    if options.bucket.is_empty() || options.bucket.contains('/') {
        return refuse("the bucket's name is empty or holds a slash".to_owned());
    }
    if let Some(endpoint) = &options.endpoint {
        match url::Url::parse(endpoint) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
                return refuse("the endpoint must look like https://host".to_owned());
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                return refuse("the endpoint must not hold credentials".to_owned());
            }
            Ok(_) => {}
            Err(error) => return refuse(format!("the endpoint is not a URL: {error}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bad_endpoint_is_refused_without_being_quoted() {
        for endpoint in ["not a url", "ftp://host", "https://user:hunter2@host"] {
            let options =
                S3Options { endpoint: Some(endpoint.to_owned()), ..S3Options::new("bucket") };
            let error = client(&options).await.unwrap_err().to_string();
            assert!(error.contains("endpoint"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_carries_more_gets_more_time() {
        let options = S3Options { parts_in_flight: 2, ..S3Options::new("bucket") };
        let attempt = |bytes| deadlines_for(&options, bytes).operation_attempt_timeout();
        assert_eq!(attempt(0), Some(Duration::from_mins(1)));
        // 16 MiB on the line, at 256 bytes a millisecond.
        assert_eq!(attempt(8 << 20), Some(Duration::from_millis(60_000 + 65_536)));
    }

    #[test]
    fn an_access_key_does_not_print_its_secrets() {
        let key = AccessKey {
            id: "AKIA".to_owned(),
            secret: "hunter2".into(),
            session_token: Some("hunter3".into()),
        };
        let printed = format!("{key:?}");
        assert!(printed.contains("AKIA") && !printed.contains("hunter"), "{printed}");
    }
}
