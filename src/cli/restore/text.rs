//! A restore's plan and its report, as a person and as a machine read them.

use serde_json::{Value, json};

use super::super::print;
use crate::{
    restore::{Class, Hold, Kind, Plan, Prepared, Report, Skipped, Statement},
    visible::visible,
};

/// How many lines of one kind are shown.
const SHOWN: usize = 40;

/// What was said before a restore began, where its report is read as well: that need not
/// say it once more.
#[derive(Debug, Default)]
pub(super) struct Said {
    skipped: Vec<Skipped>,
    left_out: Vec<(String, String)>,
    warnings: Vec<String>,
}

impl Said {
    /// With a plan.
    pub(super) fn with(plan: &Plan) -> Self {
        let Plan { skipped, left_out, warnings, .. } = plan;
        Self { skipped: skipped.clone(), left_out: left_out.clone(), warnings: warnings.clone() }
    }

    /// Warnings alone.
    pub(super) fn warnings(warnings: &[String]) -> Self {
        Self { warnings: warnings.to_vec(), ..Self::default() }
    }
}

/// What a restore will do.
pub(super) fn plan(prepared: &Prepared) -> String {
    let (plan, facts, contents) = (prepared.plan(), prepared.facts(), prepared.contents());
    let manifest = &contents.manifest;
    let mut text = format!(
        "backup     {} of database {}, PostgreSQL {}\n\
         target     database {} on PostgreSQL {}, as role {}\n",
        visible(&manifest.id),
        visible(&manifest.source.database),
        visible(&manifest.source.server_version),
        visible(&facts.database),
        facts.server.text,
        facts.role,
    );
    if let Some(name) = plan.platform.name {
        text += &format!("platform   {name}\n");
    }
    if !plan.platform.managed.is_empty() {
        let names: Vec<&str> = plan.platform.managed.iter().map(String::as_str).collect();
        text += &format!(
            "managed    {} (rows only, into tables that are there)\n",
            visible(&names.join(", "))
        );
    }
    text += &format!(
        "reads      {} of {} ({})\n\n",
        print::size(plan.bytes),
        print::size(manifest.archive.bytes),
        print::counted(plan.members as u64, "member")
    );
    for (what, count) in steps(plan) {
        if count > 0 {
            text += &format!("  {:>9}  {}\n", print::count(count), step(what, count));
        }
    }
    for fill in &plan.fill {
        let table = &manifest.tables[fill.table];
        let emptied = if fill.empty_first { "emptied and " } else { "" };
        let hold = match fill.hold {
            Hold::Replica => "its triggers and foreign keys held off",
            Hold::Disable => "its triggers held off, its foreign keys checked",
            Hold::No => "its triggers fire",
        };
        let name = visible(&format!("{}.{}", table.schema, table.name));
        text += &format!("fills      {name}: is there, {emptied}filled, {hold}\n");
    }
    if !plan.fill.is_empty() {
        text += "note       tables that are there are filled by one session, with their indexes \
                 and in one\n           transaction: 5 to 10 times slower than tables that are made \
                 anew\n";
    }
    for role in &plan.roles {
        text += &format!("creates    role {}\n", visible(role));
    }
    for grant in &plan.grants {
        text += &format!("grants     {}\n", visible(grant));
    }
    text += &skipped_lines(&plan.skipped.iter().collect::<Vec<_>>());
    text += &left_out_lines(&pairs(plan.left_out.iter().map(|(a, b)| (a, b))));
    for warning in &plan.warnings {
        text += &format!("warning    {}\n", visible(warning));
    }
    for refusal in &plan.refusals {
        text += &format!("refused    {}\n", visible(refusal));
    }
    let lost = plan.lost().count() as u64;
    if lost > 0 && plan.refusals.is_empty() {
        text += &format!(
            "loses      {} of the source (data loss, above): it will end with exit code 1\n",
            print::counted(lost, "thing")
        );
    }
    text
}

/// A step in words; of one it is no plural.
fn step(what: &str, count: u64) -> String {
    if count != 1 {
        return what.to_owned();
    }
    [
        ("tables", "table"),
        ("statements", "statement"),
        ("objects", "object"),
        ("indexes and keys, several at once", "index or key"),
        ("indexes attached to those of their table", "index attached to that of its table"),
        ("foreign keys", "foreign key"),
        ("that are", "that is"),
        (", several at once", ""),
    ]
    .iter()
    .fold(what.to_owned(), |said, (many, one)| said.replace(many, one))
}

/// The steps, in their order, with how much each does.
fn steps(plan: &Plan) -> Vec<(&'static str, u64)> {
    let waves = &plan.post_data;
    [
        ("objects dropped first", plan.drops.len()),
        ("statements before the rows", statements(&plan.pre_data)),
        ("tables loaded, several at once", plan.load.len()),
        ("tables filled that are there, in one transaction", plan.fill.len()),
        ("indexes and keys, several at once", waves.indexes.len()),
        ("indexes attached to those of their table", waves.attach.len()),
        ("foreign keys", waves.foreign_keys.len() + plan.regained.len()),
        ("statements after the rows", statements(&waves.ordered) + plan.marks.comments()),
        ("statements that are tried", plan.attempts.len()),
        ("tables analyzed", plan.analyze.len()),
        ("tables counted and compared", plan.proof.len()),
    ]
    .map(|(what, count)| (what, count as u64))
    .to_vec()
}

/// How many of them do more than set something.
fn statements(statements: &[Statement]) -> usize {
    statements.iter().filter(|statement| statement.kind != Kind::Setting).count()
}

fn skipped_lines(skipped: &[&Skipped]) -> String {
    let mut lines = String::new();
    for class in [Class::DataLoss, Class::PlatformDifference] {
        let of_class: Vec<&Skipped> =
            skipped.iter().copied().filter(|s| s.class == class).collect();
        for skipped in of_class.iter().take(SHOWN) {
            let what = visible(&skipped.what);
            lines +=
                &format!("skipped    {what}: {} ({})\n", visible(&skipped.reason), class.name());
        }
        if let Some(more) = of_class.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            lines += &format!("skipped    and {more} more ({})\n", class.name());
        }
    }
    lines
}

fn pairs<'a>(all: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<(&'a str, &'a str)> {
    all.map(|(what, reason)| (what.as_str(), reason.as_str())).collect()
}

fn left_out_lines(left_out: &[(&str, &str)]) -> String {
    let mut lines = String::new();
    let more = left_out.len().saturating_sub(SHOWN);
    for (what, reason) in left_out.iter().take(SHOWN) {
        lines += &format!("left out   {}: {}\n", visible(what), visible(reason));
    }
    if more > 0 {
        lines += &format!("left out   and {more} more\n");
    }
    lines
}

/// The plan for a machine.
pub(super) fn plan_json(prepared: &Prepared) -> Value {
    let (plan, facts, manifest) =
        (prepared.plan(), prepared.facts(), &prepared.contents().manifest);
    let steps: serde_json::Map<String, Value> = steps(plan)
        .into_iter()
        .map(|(what, count)| (what.replace(", ", "_").replace(' ', "_"), count.into()))
        .collect();
    json!({
        "outcome": if plan.refusals.is_empty() { "planned" } else { "refused" },
        "backup": manifest.id,
        "database": facts.database,
        "server_version": facts.server.text,
        "platform": plan.platform.name,
        "managed_schemas": plan.platform.managed,
        "members": plan.members,
        "archive_bytes": plan.bytes,
        "rows": plan.rows,
        "steps": steps,
        "roles": plan.roles,
        "grants": plan.grants,
        "skipped": plan.skipped,
        "data_loss": plan.lost().count(),
        "left_out": plan.left_out.iter().map(|(what, reason)| json!({
            "what": what,
            "reason": reason,
        })).collect::<Vec<_>>(),
        "warnings": plan.warnings,
        "refusals": plan.refusals,
    })
}

/// What a restore did, but for what was said before it.
pub(super) fn report(report: &Report, said: &Said) -> String {
    let mut text = String::new();
    let skipped = report.skipped.iter().filter(|skipped| !said.skipped.contains(skipped));
    text += &skipped_lines(&skipped.collect::<Vec<_>>());
    let mut left_out = pairs(report.left_out.iter().map(|l| (&l.what, &l.reason)));
    left_out.retain(|&(what, reason)| !said.left_out.iter().any(|(w, r)| w == what && r == reason));
    text += &left_out_lines(&left_out);
    for warning in report.warnings.iter().filter(|warning| !said.warnings.contains(warning)) {
        text += &format!("warning    {}\n", visible(warning));
    }
    for table in &report.different {
        text += &format!(
            "different  {} has {} instead of {}\n",
            visible(&table.table),
            print::counted(table.found, "row"),
            print::count(table.expected)
        );
    }
    if !text.is_empty() {
        text.push('\n');
    }
    for stage in &report.stages {
        text += &format!("  {:<13} {:>8.1} s\n", stage.stage, stage.seconds);
    }
    let (lost, different) = (report.lost().count() as u64, report.different.len() as u64);
    text += &format!(
        "\nrestored {} into database {} in {:.1} s: {} of {}\n",
        visible(&report.backup),
        visible(&report.database),
        report.seconds,
        print::counted(report.rows, "row"),
        print::counted(report.tables, "table")
    );
    text += &if different > 0 {
        format!("NOT the same: other rows in {}\n", print::counted(different, "table"))
    } else if lost > 0 {
        format!(
            "NOT whole: {} of the source {} not in the target (data loss, above)\n",
            print::counted(lost, "thing"),
            if lost == 1 { "is" } else { "are" }
        )
    } else if !report.uncounted.is_empty() {
        let count = print::counted(report.uncounted.len() as u64, "table");
        format!("NOT proven: the rows of {count} could not be counted (above)\n")
    } else if !report.proven {
        "NOT proven: whether the archive was complete cannot be told\n".to_owned()
    } else if report.tables_compared > 0 {
        format!(
            "proven: {} counted, every one holds its rows, {} in all\n",
            print::counted(report.tables_compared, "table"),
            print::count(report.rows_compared)
        )
    } else {
        String::new()
    };
    text
}
