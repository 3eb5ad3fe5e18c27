//! When nothing at all may be removed, whatever the plan says.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Decision, Plan};
use crate::{
    catalog::{BackupId, Entry, State},
    clock, rfc3339,
    words::SweepRefusal,
};

/// Why a sweep removes nothing; its text ends with what mends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What is not known whole is not decided on.
    #[error(
        "the listing failed or was cut short ({0}), and nothing is removed from what is not \
         known whole; mend that, and sweep again"
    )]
    Listing(String),
    /// The store's time is not to be had.
    #[error(
        "the store's time is not to be had, so this machine's clock cannot be held against it \
         ({0}); mend that, and sweep again"
    )]
    ClockUnknown(String),
    /// Ages are worth nothing under a wrong clock.
    #[error(
        "this machine's clock says {}, and the store's says {}: one of the two is wrong; set \
         this machine's clock, and sweep again",
        rfc3339::format(*ours),
        rfc3339::format(*stores)
    )]
    Clock {
        /// Our time.
        ours: DateTime<Utc>,
        /// The store's.
        stores: DateTime<Utc>,
    },
    /// Such a plan is more often a mistake in the settings than meant.
    #[error(
        "{removed} of the {good} good backups would go at once, which is more than half; look \
         at `reliquary sweep --dry-run`, and if that is what you want, do it once by hand: \
         `reliquary sweep --more-than-half`"
    )]
    MoreThanHalf {
        /// How many good backups would go.
        removed: usize,
        /// How many there are.
        good: usize,
    },
    /// Legacy archives, damaged backups and archives without a manifest are
    /// worth a look before most of them go at once.
    #[error(
        "{removed} of the {all} archives would go at once, which is more than half, whether they \
         count as good or not; look at `reliquary sweep --dry-run`, and if that is what you want, \
         do it once by hand: `reliquary sweep --more-than-half`"
    )]
    MoreThanHalfOfAll {
        /// How many archives would go.
        removed: usize,
        /// How many there are.
        all: usize,
    },
    /// While backups fail, the old ones are all there is.
    #[error(
        "{}{}, and while no backup is younger than {} (stale_after) nothing is removed; let one \
         succeed: `reliquary backup` says what keeps it",
        newest(.age.as_ref()),
        although(.condemned.as_ref()),
        crate::figures::exactly(*stale_after)
    )]
    NoFreshBackup {
        /// How old the newest good backup is; `None` where there is none.
        age: Option<Duration>,
        /// A newer one whose drill failed, which is no good one.
        condemned: Option<BackupId>,
        /// The age at which it is stale.
        stale_after: Duration,
    },
    /// Without knowing which backups are proven a plan may take the proven ones.
    #[error(
        "what drills have found cannot be read ({0}), and without it a backup that is proven may \
         go and one that does not restore may stay; mend that, and sweep again"
    )]
    DrillsUnreadable(String),
    /// What everything else relies on must be there.
    #[error(
        "the newest good backup, {id}, cannot be read back ({error}); `reliquary verify {id}` \
         says more"
    )]
    NewestUnreadable {
        /// Its id.
        id: BackupId,
        /// Why.
        error: String,
    },
}

impl Refusal {
    /// The word that metrics and the status use.
    #[must_use]
    pub fn reason(&self) -> SweepRefusal {
        match self {
            Self::Listing(_) => SweepRefusal::Listing,
            Self::ClockUnknown(_) | Self::Clock { .. } => SweepRefusal::Clock,
            Self::MoreThanHalf { .. } | Self::MoreThanHalfOfAll { .. } => {
                SweepRefusal::MoreThanHalf
            }
            Self::NoFreshBackup { .. } => SweepRefusal::NoFreshBackup,
            Self::DrillsUnreadable(_) => SweepRefusal::DrillsUnreadable,
            Self::NewestUnreadable { .. } => SweepRefusal::NewestUnreadable,
        }
    }
}

/// Holds our clock against the store's.
///
/// # Errors
/// When they are too far apart.
pub fn check_clock(ours: DateTime<Utc>, stores: DateTime<Utc>) -> Result<(), Refusal> {
    let apart = ours.signed_duration_since(stores).abs();
    if apart > clock::TOLERANCE { Err(Refusal::Clock { ours, stores }) } else { Ok(()) }
}

/// Holds a plan against what must remain. `debris` is how many archives without
/// a manifest go beside it; `more_than_half` says that a person wants even that.
///
/// # Errors
/// When nothing may be removed.
pub fn check(
    entries: &[Entry],
    plan: &Plan,
    debris: usize,
    stale_after: Duration,
    more_than_half: bool,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let is_good = |decision: &&Decision| decision.is_good(entries);
    // One that is dated in the future says nothing of the present.
    let of_now = plan.decisions.iter().map(|decision| (decision, &entries[decision.at]));
    let of_now = of_now.filter(|(_, entry)| entry.time() <= now + clock::TOLERANCE);
    let newest = of_now.clone().filter(|(decision, _)| is_good(decision)).map(|(_, e)| e.time());
    let newest = newest.max();
    let age = newest.map(|time| (now - time).max(TimeDelta::zero()).to_std().unwrap_or_default());
    if age.is_none_or(|age| age > stale_after) {
        // Fractions of a second say nothing to a person.
        let age = age.map(|age| Duration::from_secs(age.as_secs()));
        let condemned = of_now
            .filter(|(decision, entry)| entry.state == State::Good && !is_good(decision))
            .filter(|(_, entry)| Some(entry.time()) > newest)
            .map(|(_, entry)| entry.id)
            .max();
        return Err(Refusal::NoFreshBackup { age, condemned, stale_after });
    }
    let removed = plan.removed().filter(is_good).count();
    let all = plan.decisions.iter().filter(is_good).count();
    if removed * 2 > all && !more_than_half {
        return Err(Refusal::MoreThanHalf { removed, good: all });
    }
    // What counts for nothing may still be all that somebody has: the old
    // workflow's archives on the day of a takeover, backups that a bad line
    // made look damaged, archives whose manifests somebody removed.
    let removed = plan.removed().count() + debris;
    let all = plan.decisions.len() + debris;
    if removed * 2 > all && !more_than_half {
        return Err(Refusal::MoreThanHalfOfAll { removed, all });
    }
    Ok(())
}

fn newest(age: Option<&Duration>) -> String {
    match age {
        None => "there is no good backup".to_owned(),
        Some(age) => {
            format!("the newest good backup is {} old", crate::figures::exactly(*age))
        }
    }
}

fn although(newer: Option<&BackupId>) -> String {
    newer.map_or_else(String::new, |id| format!(" ({id} is newer, and its drill failed)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        retention::{
            Drilled,
            testing::{at, entries, entry, mark, policy},
        },
        words::DrillReason::RestoreError,
    };

    const TWO_HOURS: Duration = Duration::from_hours(2);

    /// What becomes of a sweep of backups of these hours, at an hour.
    fn checked(hours: &[i64], now: i64, by_hand: bool) -> Result<(), Refusal> {
        let entries = entries(hours);
        let plan = crate::retention::plan(&entries, &Drilled::new(), &policy(), at(now));
        check(&entries, &plan, 0, TWO_HOURS, by_hand, at(now))
    }

    #[test]
    fn more_than_half_is_refused_unless_a_person_wants_it() {
        // 720 are young, 24 of the last are among them.
        let half: Vec<i64> = (0..1440).collect();
        assert_eq!(checked(&half, 1439, false), Ok(()));
        let more: Vec<i64> = (0..1443).collect();
        let refusal = checked(&more, 1442, false).unwrap_err();
        assert_eq!(refusal, Refusal::MoreThanHalf { removed: 723, good: 1443 });
        assert!(refusal.to_string().contains("reliquary sweep --more-than-half"));
        assert_eq!(checked(&more, 1442, true), Ok(()));
    }

    #[test]
    fn what_counts_for_nothing_does_not_go_all_at_once_either() {
        // A takeover: forty days of the old workflow, and a first backup.
        let mut entries = entries(&(0..960).collect::<Vec<_>>());
        for entry in &mut entries[..959] {
            entry.state = State::Legacy;
        }
        let sweep = |entries: &[Entry], debris, hour, by_hand| {
            let plan = crate::retention::plan(entries, &Drilled::new(), &policy(), at(hour));
            check(entries, &plan, debris, TWO_HOURS, by_hand, at(hour))
        };
        // Day by day they may go.
        assert_eq!(sweep(&entries, 0, 959, false), Ok(()));
        entries[959] = entry(960 + 40 * 24);
        let refused = sweep(&entries, 0, 960 + 40 * 24, false).unwrap_err();
        // 23 stay beside the one good.
        assert_eq!(refused, Refusal::MoreThanHalfOfAll { removed: 936, all: 960 });
        assert_eq!(refused.reason(), SweepRefusal::MoreThanHalf);
        assert_eq!(sweep(&entries, 0, 960 + 40 * 24, true), Ok(()));
        // Manifests that somebody removed leave archives that look like debris.
        let few = &entries[955..];
        assert!(sweep(few, 5, 960 + 40 * 24, false).is_ok());
        assert!(sweep(few, 6, 960 + 40 * 24, false).is_err());
    }

    #[test]
    fn without_a_fresh_backup_nothing_goes_not_even_by_hand() {
        let hours: Vec<i64> = (0..800).collect();
        assert_eq!(checked(&hours, 801, false), Ok(()));
        for by_hand in [false, true] {
            let refusal = checked(&hours, 802, by_hand).unwrap_err();
            assert_eq!(refusal.reason(), SweepRefusal::NoFreshBackup);
            let said = refusal.to_string();
            assert!(said.starts_with("the newest good backup is 3h old, and"), "{said}");
        }
        let none = checked(&[], 0, true).unwrap_err().to_string();
        assert!(none.starts_with("there is no good backup, and"), "{none}");
    }

    #[test]
    fn what_did_not_come_back_in_a_drill_is_no_fresh_backup() {
        let entries = entries(&(0..800).collect::<Vec<_>>());
        let sweep = |failed: &[usize], now| {
            let drilled = failed.iter().map(|at| mark(&entries[*at], RestoreError)).collect();
            let plan = crate::retention::plan(&entries, &drilled, &policy(), at(now));
            check(&entries, &plan, 0, TWO_HOURS, false, at(now))
        };
        assert_eq!(sweep(&[799], 800), Ok(()), "the one before it is fresh, too");
        let refusal = sweep(&[799, 798, 797], 800).unwrap_err();
        assert_eq!(refusal.reason(), SweepRefusal::NoFreshBackup);
        let said = refusal.to_string();
        let named = format!("is 4h old ({} is newer, and its drill failed), and", entries[799].id);
        assert!(said.contains(&named), "{said}");
    }

    #[test]
    fn half_of_the_good_ones_is_half_of_those_that_came_back() {
        // A hundred are too old and forty are not.
        let mut hours: Vec<i64> = (0..100).collect();
        hours.extend(800..840);
        let entries = entries(&hours);
        let drilled = |every: usize| {
            (0..140).step_by(every).map(|at| mark(&entries[at], RestoreError)).collect()
        };
        let sweep = |drilled: &Drilled| {
            let plan = crate::retention::plan(&entries, drilled, &policy(), at(839));
            check(&entries, &plan, 0, TWO_HOURS, false, at(839))
        };
        let good = Refusal::MoreThanHalf { removed: 100, good: 140 };
        assert_eq!(sweep(&Drilled::new()), Err(good));
        // Where every second did not come back, fifty are too old, of which four
        // make up the last 24.
        let fewer = Refusal::MoreThanHalf { removed: 46, good: 70 };
        assert_eq!(sweep(&drilled(2)), Err(fewer));
    }

    #[test]
    fn a_clock_is_believed_within_five_minutes_of_the_stores() {
        let (hour, minute) = (at(0), TimeDelta::minutes(1));
        for apart in [minute * 5, minute * -5] {
            assert_eq!(check_clock(hour + apart, hour), Ok(()));
            let wrong = check_clock(hour + apart + apart / 100, hour);
            assert_eq!(wrong.unwrap_err().reason(), SweepRefusal::Clock);
        }
    }

    #[test]
    fn backups_of_the_future_are_no_fresh_ones() {
        assert!(checked(&[0, 100], 50, true).is_err());
        assert!(checked(&[0, 49, 100], 50, true).is_ok());
    }
}
