//! One binary holds every integration test, so that it links once.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod http;
mod live_state;
mod metrics;
mod settings;
