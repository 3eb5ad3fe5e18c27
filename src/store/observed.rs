//! What a store answered when it was asked about itself.

use super::{ErrorKind, StoreError};

/// An answer to a question about a store's own configuration. Each of them is
/// something to report; none of them is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed<T> {
    /// It is configured like this.
    Value(T),
    /// It is not configured.
    NotConfigured,
    /// We may not ask; holds the permission that is missing.
    Denied(String),
    /// The store has no such thing; holds what it said.
    Unsupported(String),
    /// There was no answer; holds why.
    Failed(String),
}

impl<T> Observed<T> {
    /// The value, where there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Another value in the place of this one.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Self::Value(value) => Observed::Value(f(value)),
            Self::NotConfigured => Observed::NotConfigured,
            Self::Denied(permission) => Observed::Denied(permission),
            Self::Unsupported(said) => Observed::Unsupported(said),
            Self::Failed(why) => Observed::Failed(why),
        }
    }
}

impl<T> From<StoreError> for Observed<T> {
    /// A refusal for want of rights is an answer; anything else is none.
    fn from(error: StoreError) -> Self {
        match error.kind {
            ErrorKind::Denied(permission) => Self::Denied(permission),
            _ => Self::Failed(error.to_string()),
        }
    }
}
