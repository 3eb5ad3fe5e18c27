//! Checks of clocks: ours against the store's and the source's.

use chrono::TimeDelta;

use super::Finding;
use crate::{clock, words::Check};

/// How far two clocks may lie apart before something is wrong; half of that is
/// worth a word.
#[must_use]
pub fn between(check: Check, whose: &str, skew: Result<TimeDelta, String>) -> Finding {
    let fix = "set this machine's clock (timedatectl set-ntp true), or the other one's";
    match skew {
        Err(why) => Finding::unknown(check, format!("{whose} time is not known: {why}"), fix),
        Ok(skew) => {
            let off = skew.abs();
            let side = if skew > TimeDelta::zero() { "ahead of" } else { "behind" };
            let found = format!("this machine's clock is {} s {side} {whose}", off.num_seconds());
            if off > clock::TOLERANCE {
                Finding::fail(check, found, fix)
            } else if off > clock::TOLERANCE / 2 {
                Finding::warn(check, found, fix)
            } else {
                Finding::pass(check, format!("this machine's clock agrees with {whose}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::CheckResult;

    #[test]
    fn a_clock_may_be_a_little_off() {
        let of = |seconds| {
            between(Check::ClockStore, "the store's", Ok(TimeDelta::seconds(seconds))).result
        };
        assert_eq!(of(-2), CheckResult::Pass);
        assert_eq!(of(200), CheckResult::Warn);
        assert_eq!(of(-301), CheckResult::Fail);
        let ahead = between(Check::ClockStore, "the store's", Ok(TimeDelta::seconds(400)));
        assert_eq!(ahead.found, "this machine's clock is 400 s ahead of the store's");
        let silent = between(Check::ClockStore, "the store's", Err("no answer".to_owned()));
        assert_eq!(silent.result, CheckResult::Unknown);
    }
}
