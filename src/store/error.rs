//! What a store says when it cannot do what it was asked.

use std::fmt;

/// Why a call to the store failed; decides what a person is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such object.
    NotFound,
    /// There is no such bucket or directory.
    NoSuchBucket,
    /// The credentials are good but may not do this; holds the permission that is missing.
    Denied(String),
    /// No credentials, wrong ones, or expired ones.
    Credentials,
    /// The bucket is elsewhere; holds the region it is in, where the store said so.
    WrongRegion(Option<String>),
    /// The store refuses us because our clock is off.
    ClockSkewed,
    /// No answer within the deadline.
    TimedOut,
    /// The store is overloaded, broken or out of reach; later may do.
    Unavailable,
    /// The bytes that arrived are not the bytes that were sent.
    Corrupt,
    /// No space is left.
    Full,
    /// An upload that the store does not know (any more).
    NoSuchUpload,
    /// The object is larger than the caller would take.
    TooLarge,
    /// Anything else.
    Other,
}

/// A failed call: what was tried, on what, why, and the cause.
#[derive(Debug)]
pub struct StoreError {
    /// What was tried, as in "failed to …": `put`, `list`, `upload part 3 of`.
    pub operation: String,
    /// The address it was tried on.
    pub target: String,
    /// Why it failed.
    pub kind: ErrorKind,
    /// What the store or the client library said, without secrets.
    pub detail: String,
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's doing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::TimedOut | ErrorKind::Unavailable | ErrorKind::Corrupt)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.operation, self.target)?;
        match &self.kind {
            ErrorKind::NotFound => write!(f, "there is no such object")?,
            ErrorKind::NoSuchBucket => {
                write!(f, "there is no such bucket; create it, or correct store.url")?;
            }
            ErrorKind::Denied(permission) => {
                write!(f, "access denied; the credentials need {permission}")?;
            }
            ErrorKind::Credentials => {
                write!(f, "the store does not accept the credentials (missing, wrong or expired)")?;
            }
            ErrorKind::WrongRegion(Some(region)) => {
                write!(f, "the bucket is in another region; set store.region = \"{region}\"")?;
            }
            ErrorKind::WrongRegion(None) => {
                write!(f, "the bucket is in another region; set store.region to it")?;
            }
            ErrorKind::ClockSkewed => {
                write!(f, "this machine's clock is too far from the store's; set the clock")?;
            }
            ErrorKind::TimedOut => write!(f, "no answer within the deadline")?,
            ErrorKind::Unavailable => write!(f, "the store is not available")?,
            ErrorKind::Corrupt => write!(f, "the bytes that arrived are not those that were sent")?,
            ErrorKind::Full => write!(f, "no space is left")?,
            ErrorKind::NoSuchUpload => write!(f, "the store does not know this upload")?,
            ErrorKind::TooLarge => write!(f, "the object is larger than expected")?,
            ErrorKind::Other => write!(f, "the store refused")?,
        }
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

impl std::error::Error for StoreError {}
