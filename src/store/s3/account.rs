//! Who we are to the store's provider, and what holds for the whole account.

use std::time::Duration;

use aws_config::{retry::RetryConfig, timeout::TimeoutConfig};

use super::{
    S3Store,
    bucket::observe,
    errors::Call,
    facts::{Address, PublicAccess},
    wire::Redirect,
};
use crate::store::{ErrorKind, Observed};

/// These services may be out of reach where S3 is not, behind a gateway that
/// leads to S3 alone; nobody should wait for them long.
const WITHIN: Duration = Duration::from_secs(10);

/// Whose credentials these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's number.
    pub account: String,
    /// As in `arn:aws:iam::111122223333:user/backup`.
    pub arn: String,
}

impl Identity {
    /// Whether these are the keys of the whole account.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.arn.ends_with(":root")
    }

    /// The user, or the role that a session stands for, as policies name it.
    #[must_use]
    pub fn principal(&self) -> String {
        let parts: Vec<&str> = self.arn.splitn(6, ':').collect();
        match parts[..] {
            [_, partition, "sts", _, account, session] => {
                match session.strip_prefix("assumed-role/").and_then(|rest| rest.split_once('/')) {
                    Some((role, _)) => format!("arn:{partition}:iam::{account}:role/{role}"),
                    None => self.arn.clone(),
                }
            }
            _ => self.arn.clone(),
        }
    }
}

impl S3Store {
    /// Whose credentials these are. AWS lets anybody ask that about himself.
    pub async fn identity(&self) -> Observed<Identity> {
        let call = Call {
            operation: "ask whose credentials these are".to_owned(),
            target: "the token service".to_owned(),
            permission: "sts:GetCallerIdentity".to_owned(),
        };
        let config = aws_sdk_sts::config::Builder::from(&self.0.shared)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(patience())
            .build();
        let answer = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
        match answer {
            Ok(answer) => match (answer.account, answer.arn) {
                (Some(account), Some(arn)) => Observed::Value(Identity { account, arn }),
                _ => Observed::Unsupported("the token service names nobody".to_owned()),
            },
            Err(error) => {
                let error = call.failed(&error);
                match error.kind {
                    ErrorKind::Denied(_)
                    | ErrorKind::Credentials
                    | ErrorKind::TimedOut
                    | ErrorKind::Unavailable => error.into(),
                    _ => Observed::Unsupported(error.detail),
                }
            }
        }
    }

    /// Block Public Access of the whole account. The question has the words of
    /// the one to a bucket and goes to another address; a compatible store is
    /// asked at its own.
    pub async fn account_public_access(
        &self,
        account: &str,
        bucket: &Address,
    ) -> Observed<PublicAccess> {
        let call = Call {
            operation: "read the public access block of".to_owned(),
            target: format!("account {account}"),
            permission: "s3:GetAccountPublicAccessBlock on *".to_owned(),
        };
        let region = self.signing_region();
        let host = if bucket.is_aws() {
            let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("{account}.s3-control.{region}.{end}")
        } else {
            bucket.host.clone()
        };
        let scheme = if bucket.tls { "https" } else { "http" };
        let uri = format!("{scheme}://{host}/v20180820/configuration/publicAccessBlock");
        let answer = self
            .client()
            .get_public_access_block()
            .bucket(self.name())
            .customize()
            .config_override(
                aws_sdk_s3::config::Builder::new()
                    .retry_config(RetryConfig::standard().with_max_attempts(2))
                    .timeout_config(patience()),
            )
            .interceptor(Redirect { uri, header: ("x-amz-account-id", account.to_owned()) })
            .send()
            .await;
        match observe(&call, answer, &["NoSuchPublicAccessBlockConfiguration"]) {
            Observed::Value(answer) => answer
                .public_access_block_configuration
                .as_ref()
                .map_or(Observed::NotConfigured, |block| Observed::Value(PublicAccess::of(block))),
            other => other.map(|_| PublicAccess::default()),
        }
    }
}

fn patience() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(WITHIN / 2)
        .read_timeout(WITHIN)
        .operation_attempt_timeout(WITHIN)
        .operation_timeout(WITHIN * 2)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_stands_for_its_role() {
        let principal =
            |arn: &str| Identity { account: "1".to_owned(), arn: arn.to_owned() }.principal();
        assert_eq!(
            principal("arn:aws:sts::1:assumed-role/backup/i-0abc"),
            "arn:aws:iam::1:role/backup"
        );
        assert_eq!(principal("arn:aws:iam::1:user/team/backup"), "arn:aws:iam::1:user/team/backup");
    }
}
