//! What the integration tests stand on.

#![expect(clippy::expect_used, reason = "what a test stands on fails as the test does")]

pub(crate) mod browser;
pub(crate) mod odd_store;
pub(crate) mod pg;
pub(crate) mod postgres;
pub(crate) mod product;
mod replay;
pub(crate) mod s3;
pub(crate) mod tools;
