//! The only place that reads the time.
//!
//! Everything above takes `now` as an argument, or a [`Clock`] where it must
//! read the time again later, so that a test can live through a year in a
//! second.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Duration, Utc};

/// How far a time may lie ahead of another clock's before one of the two is
/// wrong.
pub const TOLERANCE: Duration = Duration::minutes(5);

/// Reads the wall clock, in UTC.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<Mutex<DateTime<Utc>>>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is moved by [`Clock::set`] or
    /// [`Clock::advance`]; clones share the one hand.
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Source::Manual(Arc::new(Mutex::new(start))))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the one reader of the time")]
            Source::System => Utc::now(),
            Source::Manual(hand) => *hand.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        }
    }

    /// Moves a manual clock to `time`, forward or back. The system clock cannot be moved.
    pub fn set(&self, time: DateTime<Utc>) {
        if let Source::Manual(hand) = &self.0 {
            *hand.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = time;
        }
    }

    /// Moves a manual clock forward by `step`. The system clock cannot be moved.
    pub fn advance(&self, step: Duration) {
        self.set(self.now() + step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let clone = clock.clone();
        clock.advance(Duration::hours(1));
        assert_eq!(clone.now(), DateTime::UNIX_EPOCH + Duration::hours(1));
    }
}
