//! What stands below: drills, retention, audit, channels, and what is due.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Shown, distance, glance, moment, seconds};
use crate::{
    figures::{count, size},
    state::{ChannelState, DatabaseState, DrillReport},
    words::{ChannelKind, CheckResult, DrillVerdict, JobKind, Keep, Outcome},
};

/// Drills that are shown.
const SHOWN: usize = 6;

/// The last drills, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http::page) struct Drills {
    /// Why nothing is known of them; `None` where it is.
    pub(in crate::http::page) unknown: Option<&'static str>,
    pub(in crate::http::page) last: Vec<Drill>,
}

/// A drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http::page) struct Drill {
    pub(in crate::http::page) verdict: DrillVerdict,
    /// Backup, time and what was found, in one sentence.
    pub(in crate::http::page) summary: String,
    /// Each stage and how long it took.
    pub(in crate::http::page) stages: Vec<(String, String)>,
}

/// What is kept and what goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http::page) struct Retention {
    pub(in crate::http::page) rules: Vec<String>,
    pub(in crate::http::page) kept: String,
    pub(in crate::http::page) going: String,
    /// The first that go, id and size, each reason's together.
    pub(in crate::http::page) next: Vec<(String, Vec<(String, String)>)>,
    pub(in crate::http::page) last: Option<String>,
    /// Whether the last sweep did not do what it should.
    pub(in crate::http::page) failed: bool,
}

/// What the last audit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http::page) struct Audit {
    pub(in crate::http::page) when: String,
    pub(in crate::http::page) counts: Vec<(CheckResult, u64)>,
    pub(in crate::http::page) failed: Vec<&'static str>,
    pub(in crate::http::page) error: Option<String>,
}

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http::page) struct Channel {
    pub(in crate::http::page) kind: ChannelKind,
    pub(in crate::http::page) ok: bool,
    pub(in crate::http::page) words: String,
}

/// When a job has its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http::page) struct Due {
    pub(in crate::http::page) job: JobKind,
    pub(in crate::http::page) when: String,
}

pub(super) fn drills(now: DateTime<Utc>, known: &DatabaseState, shown: &Shown<'_>) -> Drills {
    let recent = known.drills.iter().flat_map(|drills| &drills.recent);
    let one = |drill: &DrillReport| {
        let (backup, ago) = (&drill.backup, distance(now, drill.finished));
        let restore = drill.restore_seconds.map(|took| format!(", restored in {}", seconds(took)));
        let reason = drill.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let error = shown.after_colon(drill.error.as_deref());
        let restore = restore.unwrap_or_default();
        Drill {
            verdict: drill.verdict,
            summary: format!("{backup}, {ago}{restore}{reason}{error}"),
            stages: drill
                .stages
                .iter()
                .map(|stage| (stage.stage.clone(), seconds(stage.seconds)))
                .collect(),
        }
    };
    Drills { unknown: glance::undrilled(known), last: recent.take(SHOWN).map(one).collect() }
}

pub(super) fn retention(
    now: DateTime<Utc>,
    known: &DatabaseState,
    shown: &Shown<'_>,
) -> Option<Retention> {
    let outlook = known.outlook.as_ref()?;
    let reasons: Vec<String> = outlook
        .reasons
        .iter()
        .map(|(keep, of)| format!("{} {}", count(*of), reason(*keep)))
        .collect();
    let oldest = outlook.oldest_kept.as_ref().map(|(id, until)| {
        let until = if *until > outlook.at && until.timestamp() < i64::from(i32::MAX) * 2 {
            format!(", whose age keeps it until {}", moment(*until))
        } else {
            String::new()
        };
        format!("; the oldest is {id}{until}")
    });
    let kept = format!("{} stay{}", count(outlook.kept), oldest.unwrap_or_default());
    let kept =
        if reasons.is_empty() { kept } else { format!("{kept}. Of them: {}", reasons.join(", ")) };
    let when = if outlook.sweeps {
        format!("At the next sweep, {},", distance(now, outlook.at))
    } else {
        "Reliquary does not sweep here; by these rules".to_owned()
    };
    let going = match outlook.going {
        0 => format!("{when} nothing goes."),
        going => format!("{when} {} go and free {}:", count(going), size(outlook.going_bytes)),
    };
    let next = outlook.next.chunk_by(|a, b| a.why == b.why).map(|alike| {
        let each = alike.iter().map(|one| (one.id.clone(), size(one.bytes)));
        (alike[0].why.clone(), each.collect())
    });
    let last = known.last_sweep.as_ref().map(|last| {
        let ago = distance(now, last.run.started);
        let error = shown.after_colon(last.run.error.as_deref());
        match (last.refused, last.run.outcome) {
            (Some(why), _) => format!("The last sweep, {ago}, was refused ({why}){error}"),
            (None, Outcome::Failed) => format!("The last sweep, {ago}, failed{error}"),
            (None, _) => format!(
                "The last sweep was {ago}: {} backups and {} debris went",
                count(last.removed),
                count(last.debris)
            ),
        }
    });
    let failed = known.last_sweep.as_ref().is_some_and(|last| last.run.outcome == Outcome::Failed);
    let (rules, next) = (outlook.rules.clone(), next.collect());
    Some(Retention { rules, kept, going, next, last, failed })
}

/// Why something is kept, after a number of them.
fn reason(keep: Keep) -> &'static str {
    match keep {
        Keep::Young => "for their age",
        Keep::Last => "as the last good ones",
        Keep::Hour => "as their hour's",
        Keep::Day => "as their day's",
        Keep::Week => "as their week's",
        Keep::Month => "as their month's",
        Keep::Year => "as their year's",
        Keep::Manual => "made by hand",
        Keep::Legacy => "legacy, until there are good ones",
        Keep::DrillUnknown => "may be what a drill was of that cannot be read",
        Keep::DrillFailed => "failed in a drill, until there are good ones",
        Keep::Damaged => "damaged, to be looked at",
    }
}

pub(super) fn audit(now: DateTime<Utc>, known: &DatabaseState, shown: &Shown<'_>) -> Option<Audit> {
    let report = known.last_audit.as_ref()?;
    Some(Audit {
        when: distance(now, report.run.started),
        counts: CheckResult::ALL.iter().map(|result| (*result, report.count(*result))).collect(),
        failed: report.failed.iter().map(|check| check.as_str()).collect(),
        error: report
            .run
            .error
            .as_deref()
            .filter(|_| report.failed.is_empty())
            .map(|e| shown.text(e)),
    })
}

pub(super) fn channels(
    now: DateTime<Utc>,
    channels: &BTreeMap<ChannelKind, ChannelState>,
    shown: &Shown<'_>,
) -> Vec<Channel> {
    let one = |(kind, state): (&ChannelKind, &ChannelState)| {
        let sent =
            state.last_sent.map(|time| format!("last message arrived {}", distance(now, time)));
        let failed = state.last_failed.map(|time| format!("last failure {}", distance(now, time)));
        let error = state.error.as_ref().map(|error| format!("failed to {}", shown.text(error)));
        let parts: Vec<String> = error.into_iter().chain(sent).chain(failed).collect();
        let words = if parts.is_empty() {
            "nothing was to be told yet".to_owned()
        } else {
            parts.join("; ")
        };
        Channel { kind: *kind, ok: state.error.is_none(), words }
    };
    channels.iter().map(one).collect()
}

pub(super) fn due(now: DateTime<Utc>, known: &DatabaseState) -> Vec<Due> {
    let times = [
        (JobKind::Backup, known.next_run),
        (JobKind::Verify, known.next_verify),
        (JobKind::Sweep, known.next_sweep),
        (JobKind::Audit, known.next_audit),
        (JobKind::Drill, known.next_drill),
    ];
    let one = |(job, time): (JobKind, Option<DateTime<Utc>>)| {
        time.map(|time| Due {
            job,
            when: format!("{} ({} UTC)", distance(now, time), moment(time)),
        })
    };
    times.into_iter().filter_map(one).collect()
}
