//! Alerts of which it is not known that they arrived, by channel. Pure.
//!
//! What a channel did not take is told it again, at growing intervals, until it
//! has arrived or something newer of the same problem is told. It is stored with
//! the rest, so that a new process goes on with it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    notify::Notice,
    rfc3339,
    words::{ChannelKind, Event},
};

/// The pause after the first failure; it doubles from there.
const FIRST_PAUSE: TimeDelta = TimeDelta::minutes(5);
/// A channel that is back is told within this.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);
/// So many are kept, for each channel, of what is only good to know. Of a problem
/// there is one for each.
const INFOS_KEPT: usize = 20;

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Pending(Vec<Alert>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Alert {
    channel: ChannelKind,
    notice: Notice,
    /// How often it, or what it took the place of, did not arrive.
    #[serde(default)]
    failures: u32,
    /// When it is told again.
    #[serde(with = "rfc3339")]
    due: DateTime<Utc>,
    /// It is being delivered. With the process the delivery ends.
    #[serde(skip)]
    under_way: bool,
}

impl Pending {
    /// An alert is being delivered.
    pub(super) fn sent(&mut self, channel: ChannelKind, notice: &Notice, now: DateTime<Utc>) {
        let is_old = |alert: &Alert| {
            alert.channel == channel
                && (is_same(&alert.notice, notice) || takes_the_place_of(notice, &alert.notice))
        };
        let failures = self.0.iter().filter(|alert| is_old(alert)).map(|alert| alert.failures);
        let failures = failures.max().unwrap_or(0);
        self.0.retain(|alert| !is_old(alert));
        let notice = notice.clone();
        self.0.push(Alert { channel, notice, failures, due: now, under_way: true });
        let is_info = |alert: &Alert| alert.channel == channel && alert.notice.event == Event::Info;
        while self.0.iter().filter(|alert| is_info(alert)).count() > INFOS_KEPT {
            let oldest = self.0.iter().position(is_info);
            oldest.map(|at| self.0.remove(at));
        }
    }

    /// It arrived, or nobody wants it any more.
    pub(super) fn settled(&mut self, channel: ChannelKind, notice: &Notice) {
        self.0.retain(|alert| alert.channel != channel || !is_same(&alert.notice, notice));
    }

    /// It did not arrive. What was told since is under way by itself.
    pub(super) fn failed(&mut self, channel: ChannelKind, notice: &Notice, now: DateTime<Utc>) {
        let ours = |alert: &&mut Alert| alert.channel == channel && is_same(&alert.notice, notice);
        let Some(alert) = self.0.iter_mut().find(ours) else { return };
        alert.due = now + pause(alert.failures);
        alert.failures = alert.failures.saturating_add(1);
        alert.under_way = false;
    }

    /// What is to be told again now.
    pub(super) fn due(&self, now: DateTime<Utc>) -> Vec<(ChannelKind, Notice)> {
        let due = self.0.iter().filter(|alert| !alert.under_way && alert.due <= now);
        due.map(|alert| (alert.channel, alert.notice.clone())).collect()
    }

    /// Takes in what an earlier process had, unless this one has told newer things.
    pub(super) fn recall(&mut self, earlier: Self) {
        for old in earlier.0 {
            let is_newer = |alert: &Alert| {
                alert.channel == old.channel && takes_the_place_of(&alert.notice, &old.notice)
            };
            if !self.0.iter().any(is_newer) {
                self.0.push(old);
            }
        }
    }

    /// What is worth storing: what is being delivered may not arrive.
    pub(super) fn worth_storing(&mut self) {
        for alert in &mut self.0 {
            alert.under_way = false;
        }
    }

    /// A clock that went back must not put anything off.
    pub(super) fn trust_the_clock(&mut self, now: DateTime<Utc>) {
        for alert in &mut self.0 {
            alert.due = alert.due.min(now + LONGEST_PAUSE);
        }
    }
}

fn is_same(one: &Notice, other: &Notice) -> bool {
    (one.event, &one.problem, one.at) == (other.event, &other.problem, other.at)
}

/// Whether an alert says all that is left to be said of a problem. News are each
/// something by itself.
fn takes_the_place_of(new: &Notice, old: &Notice) -> bool {
    new.problem == old.problem && new.event != Event::Info && old.event != Event::Info
}

fn pause(failures: u32) -> TimeDelta {
    let doubled =
        1_i32.checked_shl(failures.min(16)).and_then(|times| FIRST_PAUSE.checked_mul(times));
    doubled.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
