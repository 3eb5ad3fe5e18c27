//! What a bucket may say of itself, in our own words.

use aws_sdk_s3::types::PublicAccessBlockConfiguration;

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
