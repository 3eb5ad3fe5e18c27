//! What a person is told of a sweep.

use std::collections::BTreeMap;

use crate::{
    catalog::{Key, Layout, State},
    cli::print,
    jobs::sweep::{Decided, Removal},
    retention::{
        explain,
        lifecycle::{Finding, Level},
        why,
    },
    settings::DatabaseSettings,
    visible::{visible, visible_lines},
    words::Keep,
};

/// Keys that are not ours, of which at most so many are named.
const FOREIGN: usize = 10;

/// What stays and what goes, day by day, the newest first. Where it is carried
/// out at once, only the days of which something goes.
pub(super) fn plan(
    decided: &Decided,
    database: &DatabaseSettings,
    layout: &Layout,
    whole: bool,
    quiet: bool,
) -> String {
    let entries = &decided.inventory.catalog.entries;
    let (kept, going) = (decided.plan.kept().count(), decided.plan.removed().count());
    let bytes: u64 =
        decided.plan.removed().map(|decision| entries[decision.at].archive_bytes).sum();
    let debris = decided.debris.entries.len() + decided.debris.uploads.len();
    let mut text = format!(
        "{}: {} stay, {} to remove ({}), {debris} debris\n",
        database.name,
        print::count(kept as u64),
        print::count(going as u64),
        print::size(bytes),
    );
    if quiet {
        return text;
    }
    let mut days: BTreeMap<String, Day> = BTreeMap::new();
    for decision in &decided.plan.decisions {
        let entry = &entries[decision.at];
        let day = days.entry(entry.time().format("%Y-%m-%d").to_string()).or_default();
        if decision.keep.is_empty() {
            *day.goes.entry(why(decision, entry, &decided.policy)).or_default() += 1;
        } else {
            day.stay += 1;
            for reason in decision.keep.iter() {
                *day.keeps.entry(reason).or_default() += 1;
            }
        }
    }
    let shown = days.iter().rev().filter(|(_, day)| whole || !day.goes.is_empty());
    for (name, day) in shown {
        text += &format!("\n{name}  {} stay, {} to remove\n", day.stay, day.going());
        for (reason, count) in &day.keeps {
            text += &format!("  keep   {count:>4}  {}\n", explain(*reason, &decided.policy));
        }
        for (reason, count) in &day.goes {
            text += &format!("  remove {count:>4}  {reason}\n");
        }
    }
    text += &rest(decided, layout);
    text
}

/// What becomes of one day's.
#[derive(Default)]
struct Day {
    stay: usize,
    keeps: BTreeMap<Keep, usize>,
    goes: BTreeMap<String, usize>,
}

impl Day {
    fn going(&self) -> usize {
        self.goes.values().sum()
    }
}

/// Debris, and what is left alone.
fn rest(decided: &Decided, layout: &Layout) -> String {
    let (inventory, debris) = (&decided.inventory, &decided.debris);
    let mut text = String::new();
    for (at, kind) in &debris.entries {
        let entry = &inventory.catalog.entries[*at];
        let first = inventory.parts[*at].keys(entry.kind, entry.id).next();
        let key = first.map_or(String::new(), |key: Key| layout.key(key));
        text += &format!("  debris  {}: {key}\n", kind.as_str().replace('_', " "));
    }
    for upload in &debris.uploads {
        let started = crate::rfc3339::format(upload.started);
        text += &format!("  debris  unfinished upload, begun {started}: {}\n", upload.upload.key);
    }
    if let Some(why) = &decided.drills_unknown {
        text += &format!("  what it may have been of is kept: {}\n", visible_lines(why));
    }
    if let Some(error) = &debris_unknown(decided) {
        text += &format!("  unfinished uploads are left alone: {error}\n");
    }
    if debris.manual > 0 {
        text += &format!(
            "  {} archives under manual/ have no manifest and are left alone\n",
            debris.manual
        );
    }
    if debris.young > 0 {
        text += &format!(
            "  {} debris younger than {} left alone: a backup may be under way\n",
            debris.young,
            crate::figures::exactly(decided.policy.grace.to_std().unwrap_or_default())
        );
    }
    let foreign = inventory.catalog.foreign;
    if foreign > 0 {
        text += &format!("  {foreign} objects are not Reliquary's and left alone:\n");
        for key in inventory.foreign.iter().take(FOREIGN) {
            text += &format!("    {}\n", visible(key));
        }
        if foreign > FOREIGN as u64 {
            text += "    … (--json names more)\n";
        }
    }
    let damaged =
        inventory.catalog.entries.iter().filter(|entry| entry.state == State::Damaged).count();
    if damaged > 0 {
        text += &format!("  {damaged} damaged ones count for nothing\n");
    }
    let failed = decided.plan.decisions.iter().filter_map(|decision| {
        let entry = &inventory.catalog.entries[decision.at];
        Some((decision, entry)).filter(|_| entry.state != State::Damaged).zip(decision.condemned)
    });
    for ((decision, entry), reason) in failed {
        let goes = if decision.keep.is_empty() { "to remove" } else { "stays" };
        text += &format!(
            "  {} did not come back in its drill ({reason}) and counts as no good one; {goes}: {}\n",
            entry.id,
            why(decision, entry, &decided.policy)
        );
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

fn debris_unknown(decided: &Decided) -> Option<String> {
    decided.uploads_unknown.as_ref().map(ToString::to_string)
}

/// What became of it.
pub(super) fn removal(removal: &Removal, quiet: bool) -> String {
    let mut text = String::new();
    if !quiet {
        text += &format!(
            "\nremoved {} backups ({}) and {} debris\n",
            print::count(removal.gone.len() as u64),
            print::size(removal.bytes),
            print::count(removal.debris)
        );
        if removal.hidden > 0 {
            text += &format!(
                "  the bucket keeps versions: on {} objects only a delete marker was written, and \
                 their bytes are still stored and paid for until a lifecycle rule expires them\n",
                print::count(removal.hidden)
            );
        }
    }
    if let Some(complaint) = removal.complaint() {
        text += &format!("NOT all of it: {complaint}\n");
    }
    for left in removal.left.iter().take(FOREIGN) {
        text += &format!("  still there: {} ({})\n", left.key, left.error);
    }
    text
}

/// How the bucket's own rules and retention differ.
pub(super) fn findings(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let level = match finding.level {
            Level::Fail => "FAIL",
            Level::Warn => "warn",
        };
        text += &format!("{level}  {}\n      {}\n", finding.detail, finding.fix);
    }
    if findings.iter().all(|finding| finding.level != Level::Fail) {
        text += "the bucket's lifecycle rules do what retention says; nothing was removed\n";
    }
    text
}
