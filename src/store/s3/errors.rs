//! From what S3 and the SDK say to what a person can act on.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::store::{ErrorKind, StoreError};

/// Codes that say that the bytes which arrived are not those that were sent.
pub(super) const DAMAGED: [&str; 5] = [
    "BadDigest",
    "InvalidDigest",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
    "IncompleteBody",
];

/// A detail longer than this many characters is cut.
const LONGEST_DETAIL: usize = 400;

/// What the SDK says instead is a list of all the places where it has looked.
const NOWHERE: &str = "none were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
    store.access_key_id and store.secret_access_key, or give this machine a role";

/// What is being tried, for the error if it fails.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// As in "failed to …".
    pub(super) operation: String,
    /// The address.
    pub(super) target: String,
    /// The right that the call needs, as an IAM policy names it.
    pub(super) permission: String,
}

impl Call {
    /// An error of our own making.
    pub(super) fn error(&self, kind: ErrorKind, detail: impl Into<String>) -> StoreError {
        StoreError {
            operation: self.operation.clone(),
            target: self.target.clone(),
            kind,
            detail: clean(&detail.into()),
        }
    }

    /// What the SDK's error means.
    pub(super) fn failed<E>(&self, error: &SdkError<E, HttpResponse>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let answer = Answer::of(error);
        let kind = match error {
            SdkError::TimeoutError(_) => ErrorKind::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => ErrorKind::TimedOut,
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_)
                if caused_by_credentials(error).is_some() =>
            {
                ErrorKind::Credentials
            }
            SdkError::DispatchFailure(_) => ErrorKind::Unavailable,
            _ => self.kind_of(&answer),
        };
        let detail = match error {
            SdkError::ServiceError(_) if answer.code.is_some() => answer.describe(),
            // An answer that is not S3's: what the SDK could not read says more.
            SdkError::ServiceError(service) => {
                format!("HTTP {}: {}", answer.status, chain(service.err()))
            }
            other => match caused_by_credentials(other) {
                Some(CredentialsError::CredentialsNotLoaded(_)) => NOWHERE.to_owned(),
                _ => chain(other),
            },
        };
        self.error(kind, detail)
    }

    /// What an error inside a successful answer means, as of one key of many.
    pub(super) fn refused(&self, code: Option<&str>, message: Option<&str>) -> StoreError {
        let answer = Answer {
            code: code.map(str::to_owned),
            message: message.map(str::to_owned),
            ..Answer::default()
        };
        self.error(self.kind_of(&answer), answer.describe())
    }

    fn kind_of(&self, answer: &Answer) -> ErrorKind {
        match answer.code.as_deref().unwrap_or_default() {
            "NoSuchBucket" => ErrorKind::NoSuchBucket,
            "NoSuchKey" | "NoSuchVersion" => ErrorKind::NotFound,
            "NoSuchUpload" => ErrorKind::NoSuchUpload,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "AccessDeniedException" => {
                ErrorKind::Denied(self.missing_right(answer))
            }
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "InvalidSecurity"
            | "NotSignedUp"
            | "Unauthorized"
            | "CredentialsNotSupported" => ErrorKind::Credentials,
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "TemporaryRedirect"
            | "IncorrectEndpoint"
            | "IllegalLocationConstraintException" => ErrorKind::WrongRegion(answer.region.clone()),
            "RequestTimeTooSkewed" | "RequestExpired" => ErrorKind::ClockSkewed,
            "RequestTimeout" | "RequestTimeoutException" => ErrorKind::TimedOut,
            "SlowDown"
            | "ServiceUnavailable"
            | "InternalError"
            | "Throttling"
            | "ThrottlingException"
            | "OperationAborted"
            | "ConditionalRequestConflict"
            | "503 SlowDown" => ErrorKind::Unavailable,
            "EntityTooLarge" => ErrorKind::TooLarge,
            "QuotaExceeded" | "StorageFull" | "XMinioStorageFull" => ErrorKind::Full,
            code if DAMAGED.contains(&code) => ErrorKind::Corrupt,
            _ => self.kind_of_status(answer),
        }
    }

    /// The answer to a HEAD has no body, so there is no code in it.
    fn kind_of_status(&self, answer: &Answer) -> ErrorKind {
        match answer.status {
            301 | 307 => ErrorKind::WrongRegion(answer.region.clone()),
            400 if answer.code.is_none() && answer.region.is_some() => {
                ErrorKind::WrongRegion(answer.region.clone())
            }
            // A bare 400 to a HEAD is how S3 refuses an expired token.
            400 if answer.code.is_none() => ErrorKind::Credentials,
            401 => ErrorKind::Credentials,
            403 => ErrorKind::Denied(self.missing_right(answer)),
            404 => ErrorKind::NotFound,
            408 => ErrorKind::TimedOut,
            429 | 500 | 502..=506 | 508..=599 => ErrorKind::Unavailable,
            507 => ErrorKind::Full,
            _ => ErrorKind::Other,
        }
    }

    /// S3 names the missing right in some messages, above all one of KMS,
    /// which the call alone would not tell.
    fn missing_right(&self, answer: &Answer) -> String {
        let message = answer.message.as_deref().unwrap_or_default();
        let said = message.split_once("not authorized to perform: ").map(|(_, rest)| rest);
        match said.and_then(|rest| rest.split([' ', ',']).next()) {
            Some(action) if action.starts_with("kms:") => {
                format!("{action} on the bucket's KMS key, besides {}", self.permission)
            }
            _ => self.permission.clone(),
        }
    }
}

/// The parts of an answer that decide.
#[derive(Clone, Debug, Default)]
struct Answer {
    status: u16,
    code: Option<String>,
    message: Option<String>,
    region: Option<String>,
}

impl Answer {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        let mut answer = Self::default();
        if let Some(response) = error.raw_response() {
            answer.status = response.status().as_u16();
            let body = response.body().bytes().unwrap_or_default();
            answer.code = xml_element(body, "Code");
            answer.message = xml_element(body, "Message");
            answer.region = response
                .headers()
                .get("x-amz-bucket-region")
                .map(str::to_owned)
                .or_else(|| xml_element(body, "Region"));
        }
        if let Some(service) = error.as_service_error() {
            answer.code = service.code().map(str::to_owned).or(answer.code);
            answer.message = service.message().map(str::to_owned).or(answer.message);
        }
        answer
    }

    fn describe(&self) -> String {
        let status = match self.status {
            0 => String::new(),
            status => format!("HTTP {status}"),
        };
        [Some(status), self.code.clone(), self.message.clone()]
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(": ")
    }
}

/// The text of the first element of that name in an error document. The
/// documents are flat and small; a parser would refuse the broken ones that
/// proxies send, which are the ones that need explaining.
pub(super) fn xml_element(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value.trim().to_owned())
}

/// S3's own word for what went wrong, also where the SDK did not find it.
pub(super) fn code_of<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
) -> Option<String> {
    Answer::of(error).code
}

/// Whether the store said that it cannot do conditional writes.
pub(super) fn is_not_implemented<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
) -> bool {
    let answer = Answer::of(error);
    answer.code.as_deref() == Some("NotImplemented") || answer.status == 501
}

/// Whether the store said that something stands under that key.
pub(super) fn is_precondition_failed<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
) -> bool {
    let answer = Answer::of(error);
    answer.code.as_deref() == Some("PreconditionFailed") || answer.status == 412
}

/// Whether the answer says success and cannot be read all the same.
pub(super) fn is_unreadable_success<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
) -> bool {
    let answer = Answer::of(error);
    (200..300).contains(&answer.status) && answer.code.is_none()
}

/// Whether another write of the same key was under way.
pub(super) fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let answer = Answer::of(error);
    answer.code.as_deref() == Some("ConditionalRequestConflict") || answer.status == 409
}

/// An error and its causes on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if said.last() != Some(&text) {
            said.push(text);
        }
        next = error.source();
    }
    said.join(": ")
}

fn caused_by_credentials<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e CredentialsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Takes out what a store or a proxy may have quoted of a signed request, and
/// line breaks, and cuts what is too long for a log line.
fn clean(text: &str) -> String {
    const SECRETS: [&str; 6] = [
        "signature=",
        "credential=",
        "security-token=",
        "security-token: ",
        "secret=",
        "awsaccesskeyid=",
    ];
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let lower = rest.to_ascii_lowercase();
        let found = SECRETS
            .iter()
            .filter_map(|secret| lower.find(secret).map(|at| at + secret.len()))
            .min();
        let Some(at) = found else { break };
        let (before, after) = rest.split_at(at);
        cleaned.push_str(before);
        cleaned.push_str("***");
        let end = after.find([' ', '&', ',', ';', '"', '<', '\n', ')']).unwrap_or(after.len());
        rest = &after[end..];
    }
    cleaned.push_str(rest);
    let one_line = cleaned.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(LONGEST_DETAIL) {
        Some((at, _)) => format!("{}…", &one_line[..at]),
        None => one_line,
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::{ProvideCredentials, future};

    use super::*;

    fn call() -> Call {
        Call {
            operation: "put".to_owned(),
            target: "s3://bucket/key".to_owned(),
            permission: "s3:PutObject on arn:aws:s3:::bucket/key".to_owned(),
        }
    }

    #[test]
    fn a_missing_right_on_the_key_is_named() {
        let error = call().refused(
            Some("AccessDenied"),
            Some(
                "User: arn:aws:iam::1:user/u is not authorized to perform: kms:GenerateDataKey \
                 on resource: arn:aws:kms:us-east-1:1:key/k",
            ),
        );
        let ErrorKind::Denied(right) = error.kind else { panic!("{error}") };
        assert!(right.starts_with("kms:GenerateDataKey"), "{right}");
        assert!(right.contains("s3:PutObject"), "{right}");
    }

    #[derive(Debug)]
    struct NoCredentials;

    impl ProvideCredentials for NoCredentials {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nowhere")))
        }
    }

    #[tokio::test]
    async fn credentials_that_are_nowhere_are_said_to_be_missing() {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .region(aws_config::Region::from_static("us-east-1"))
            .credentials_provider(NoCredentials)
            .build();
        let client = aws_sdk_s3::Client::from_conf(config);
        let error = client.head_bucket().bucket("bucket").send().await.unwrap_err();
        let error = call().failed(&error);
        assert_eq!(error.kind, ErrorKind::Credentials, "{error}");
        assert!(error.to_string().contains("set AWS_ACCESS_KEY_ID and"), "{error}");
    }

    #[test]
    fn nothing_of_a_signed_request_is_quoted() {
        let text = clean(
            "bad request: Authorization AWS4-HMAC-SHA256 Credential=AKIAXX/2026/s3, \
             SignedHeaders=host, Signature=abcdef and ?X-Amz-Security-Token=tok&X-Amz-Signature=99",
        );
        for secret in ["AKIAXX", "abcdef", "tok&", "=99"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("SignedHeaders=host"), "{text}");
    }

    #[test]
    fn a_long_page_of_a_proxy_is_cut() {
        let text = clean(&"<html>é\n".repeat(1000));
        assert_eq!(text.chars().count(), LONGEST_DETAIL + 1);
        assert!(!text.contains('\n'));
    }

    #[test]
    fn a_bare_refusal_of_a_head_is_explained() {
        let kind = |status, region: Option<&str>| {
            call().kind_of(&Answer {
                status,
                region: region.map(str::to_owned),
                ..Answer::default()
            })
        };
        assert_eq!(kind(400, None), ErrorKind::Credentials);
        assert_eq!(
            kind(400, Some("eu-west-1")),
            ErrorKind::WrongRegion(Some("eu-west-1".to_owned()))
        );
        assert_eq!(
            kind(403, None),
            ErrorKind::Denied("s3:PutObject on arn:aws:s3:::bucket/key".to_owned())
        );
        assert_eq!(kind(503, None), ErrorKind::Unavailable);
    }
}
