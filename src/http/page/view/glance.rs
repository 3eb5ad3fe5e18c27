//! The four answers: is there a good backup, how old is it, is it proven, how
//! long would a restore take.

use chrono::{DateTime, TimeDelta, Utc};

use super::{distance, seconds};
use crate::{
    archive::manifest::Kind,
    clock, drill,
    figures::{age, size, span},
    health::{DatabaseHealth, Status},
    state::{DatabaseState, Stored},
    words::DrillReason,
};

/// Why nothing that only the store tells is known.
const UNLISTED: &str = "the store was not listed yet";

/// A drill a month, and ten days to notice that one did not come.
const PROOF_LASTS: TimeDelta = TimeDelta::days(40);

/// One of the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http::page) struct Answer {
    pub(in crate::http::page) question: &'static str,
    /// A word or two.
    pub(in crate::http::page) words: String,
    /// What stands behind it.
    pub(in crate::http::page) detail: String,
    pub(in crate::http::page) tone: Tone,
}

/// How good an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http::page) enum Tone {
    Good,
    /// Nobody need get up for it.
    Doubtful,
    Bad,
}

/// The newest good backup, as restores and incidents take it.
#[derive(Default)]
struct Newest<'a> {
    /// When it was made; `None` where there is none.
    time: Option<DateTime<Utc>>,
    /// What is known of it, once the store was listed with it.
    stored: Option<&'a Stored>,
    /// Newer ones that did not come back in their drills, newest first.
    passed_over: Vec<(&'a Stored, DrillReason)>,
}

fn newest(now: DateTime<Utc>, known: &DatabaseState) -> Newest<'_> {
    let Some(last) = known.last_success else { return Newest::default() };
    let mut newest = Newest::default();
    for stored in known.newest.iter() {
        if stored.time < last && newest.passed_over.is_empty() {
            // One was made since the store was listed.
            break;
        }
        let Some(reason) = condemned(now, known, stored) else {
            return Newest { time: Some(stored.time), stored: Some(stored), ..newest };
        };
        newest.passed_over.push((stored, reason));
    }
    if newest.passed_over.is_empty() {
        newest.time = Some(last);
    }
    newest
}

/// Why a drill says that this is no good backup, where it does.
pub(super) fn condemned(
    now: DateTime<Utc>,
    known: &DatabaseState,
    stored: &Stored,
) -> Option<DrillReason> {
    let kind = if stored.manual { Kind::Manual } else { Kind::Scheduled };
    let of_it = known.drills.iter().flat_map(|drills| &drills.recent);
    let marks = drill::marks_in_short(of_it.filter(|report| report.backup == stored.id), now);
    marks.get(&(kind.name(), stored.id.parse().ok()?))?.condemns(stored.verified)
}

pub(super) fn headline(
    now: DateTime<Utc>,
    known: &DatabaseState,
    health: &DatabaseHealth,
) -> String {
    let newest = newest(now, known);
    let last = newest.time.map(|time| age(now, time));
    if !newest.passed_over.is_empty() {
        let last = last.map_or("there is no other good one".to_owned(), |age| {
            format!("the last good one is {age} old")
        });
        return format!("The newest backup did not come back in its drill; {last}.");
    }
    match (health.status, last) {
        (Status::Ok, Some(age)) => format!("The last good backup is {age} old."),
        (Status::Ok, None) => "All is well.".to_owned(),
        (Status::Starting, _) => {
            "No good backup is known yet; the process has only just started.".to_owned()
        }
        (Status::Stale, Some(age)) => format!("Backups are late: the last good one is {age} old."),
        (Status::Stale | Status::Failing, None) if known.catalog.is_none() => {
            format!("No good backup is known: {UNLISTED}.")
        }
        (Status::Stale, None) => "There is no good backup.".to_owned(),
        (Status::Failing, Some(age)) => {
            format!("Backups fail. The last good one is {age} old and is still there.")
        }
        (Status::Failing, None) => "Backups fail, and no good one is known.".to_owned(),
    }
}

pub(super) fn answers(
    now: DateTime<Utc>,
    known: &DatabaseState,
    health: &DatabaseHealth,
) -> Vec<Answer> {
    vec![
        is_there(now, known, health),
        how_old(now, known, health),
        is_proven(now, known),
        how_long(now, known),
    ]
}

fn is_there(now: DateTime<Utc>, known: &DatabaseState, health: &DatabaseHealth) -> Answer {
    let question = "Is there a good backup?";
    let totals = known.catalog.clone().unwrap_or_default();
    let newest = newest(now, known);
    let passed_over: String = newest
        .passed_over
        .iter()
        .map(|(stored, reason)| format!("{} did not come back in its drill ({reason})", stored.id))
        .collect::<Vec<_>>()
        .join(", ");
    if newest.time.is_none() && !passed_over.is_empty() {
        let detail = format!("{passed_over}, and there is no other");
        return Answer { question, words: "No".to_owned(), detail, tone: Tone::Bad };
    }
    let Some(last) = newest.time else {
        let (answer, detail, tone) = match (health.status, &known.catalog) {
            (_, None) => ("Not known", UNLISTED, Tone::Doubtful),
            (Status::Starting, _) => {
                ("Not yet", "the first one is still to be made", Tone::Doubtful)
            }
            _ => ("No", "the store holds none", Tone::Bad),
        };
        let legacy = match totals.legacy {
            0 => String::new(),
            count => format!("; {count} legacy archives are there, and are no proof"),
        };
        let detail = format!("{detail}{legacy}");
        return Answer { question, words: answer.to_owned(), detail, tone };
    };
    let id = newest.stored.map_or_else(|| crate::rfc3339::format(last), |one| one.id.clone());
    let made = known.last_backup.map(|backup| backup.archive_bytes);
    let bytes = newest.stored.map(|stored| stored.bytes).or(made);
    let measured = bytes.map(|bytes| format!(", {}", size(bytes)));
    let condemned = newest.passed_over.len() as u64;
    let good = known.catalog.as_ref().map(|totals| totals.scheduled + totals.manual);
    let good = good.map(|good| good.saturating_sub(condemned));
    let good = good.map(|good| format!("; {good} good in all")).unwrap_or_default();
    let damaged = match totals.damaged {
        0 => String::new(),
        count => format!(", and {count} damaged that count for nothing"),
    };
    let is_all_good = totals.damaged == 0 && passed_over.is_empty();
    let passed_over = if passed_over.is_empty() {
        passed_over
    } else {
        format!("; newer, and no good one: {passed_over}")
    };
    Answer {
        question,
        words: "Yes".to_owned(),
        detail: format!("{id}{}{good}{damaged}{passed_over}", measured.unwrap_or_default()),
        tone: if is_all_good { Tone::Good } else { Tone::Doubtful },
    }
}

fn unknown(question: &'static str, why: &str) -> Answer {
    Answer { question, words: "Not known".to_owned(), detail: why.to_owned(), tone: Tone::Doubtful }
}

fn how_old(now: DateTime<Utc>, known: &DatabaseState, health: &DatabaseHealth) -> Answer {
    let question = "How old is it?";
    let limit = TimeDelta::from_std(known.stale_after).unwrap_or(TimeDelta::MAX);
    let next = known.next_run.map_or("no next one is planned yet".to_owned(), |next| {
        if next > now {
            format!("the next one is due {}", distance(now, next))
        } else {
            "the next one is due now".to_owned()
        }
    });
    let Some(last) = newest(now, known).time else {
        let (words, detail, tone) = match (&known.catalog, health.status) {
            (None, _) => ("Not known", format!("{UNLISTED}; {next}"), Tone::Doubtful),
            (_, Status::Starting) => ("There is none", next, Tone::Doubtful),
            _ => ("There is none", next, Tone::Bad),
        };
        return Answer { question, words: words.to_owned(), detail, tone };
    };
    let ahead = last - now > clock::TOLERANCE;
    let tone = if ahead || now - last > limit { Tone::Bad } else { Tone::Good };
    let words = if ahead { "From the future".to_owned() } else { age(now, last) };
    let detail = format!("stale after {}; {next}", span(limit));
    Answer { question, words, detail, tone }
}

/// Why nothing is known of drills; `None` where it is.
pub(super) fn undrilled(known: &DatabaseState) -> Option<&'static str> {
    match (&known.drills, &known.catalog) {
        (Some(_), _) => None,
        (None, None) => Some(UNLISTED),
        (None, Some(_)) => Some("what drills have found was not read yet"),
    }
}

/// Whether a drill has restored a backup and everything agreed.
pub(super) fn proves(known: &DatabaseState, backup: &str) -> bool {
    known.drills.as_ref().is_some_and(|drills| drills.proves(backup))
}

fn is_proven(now: DateTime<Utc>, known: &DatabaseState) -> Answer {
    let question = "Is it proven?";
    if let Some(why) = undrilled(known) {
        return unknown(question, why);
    }
    let newest = newest(now, known).stored;
    let verified = known.catalog.as_ref().map_or(0, |totals| totals.verified);
    let read_back = match newest.and_then(|stored| stored.verified) {
        Some(time) => format!("every byte of the newest was read back {}", distance(now, time)),
        None if verified > 0 => format!("{verified} were read back since, the newest was not yet"),
        None => "none was read back yet".to_owned(),
    };
    let drills = known.drills.clone().unwrap_or_default();
    let said = |answer: &str, detail: String, tone| Answer {
        question,
        words: answer.to_owned(),
        detail,
        tone,
    };
    if let Some(failed) = &drills.failure {
        let why = failed.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let (backup, ago) = (&failed.backup, distance(now, failed.finished));
        return said("No", format!("the drill of {backup}, {ago}, failed{why}"), Tone::Bad);
    }
    let proof = drills.recent.iter().filter(|drill| drills.proves(&drill.backup));
    let Some(proof) = proof.max_by_key(|drill| (&drill.backup, &drill.id)) else {
        let answer = if verified > 0 { "Read back, not restored" } else { "Not yet" };
        let detail = format!("{read_back}; no drill has restored one: `reliquary drill` does");
        return said(answer, detail, Tone::Doubtful);
    };
    let restored = format!("restored, and every row compared, {}", distance(now, proof.finished));
    if newest.is_some_and(|stored| stored.id == proof.backup) {
        return said("Yes", format!("it was {restored}"), Tone::Good);
    }
    let age = age(now, proof.finished);
    let fresh = now - proof.finished <= PROOF_LASTS;
    let (answer, tone) = if fresh {
        (format!("Yes, {age} ago"), Tone::Good)
    } else {
        (format!("Not for {age}"), Tone::Doubtful)
    };
    said(&answer, format!("{} was {restored}; {read_back}", proof.backup), tone)
}

fn how_long(now: DateTime<Utc>, known: &DatabaseState) -> Answer {
    let question = "How long would a restore take?";
    if let Some(why) = undrilled(known) {
        return unknown(question, why);
    }
    let drills = known.drills.clone().unwrap_or_default();
    let measured = drills.recent.iter().filter(|drill| drills.proves(&drill.backup));
    let measured = measured.filter_map(|drill| Some((drill, drill.restore_seconds?)));
    match measured.max_by_key(|(drill, _)| (&drill.backup, &drill.id)) {
        Some((drill, took)) => Answer {
            question,
            words: format!("About {}", seconds(took)),
            detail: format!(
                "measured when {} was drilled, {}; another machine and a longer way to the store \
                 take longer",
                drill.backup,
                distance(now, drill.finished)
            ),
            tone: Tone::Good,
        },
        None => Answer {
            question,
            words: "Not measured".to_owned(),
            detail: "a drill measures it: `reliquary drill`".to_owned(),
            tone: Tone::Doubtful,
        },
    }
}
