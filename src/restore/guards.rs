//! What stands in the way of a restore, before anything is touched.

use std::collections::BTreeSet;

use super::{
    identity::{self, Answer},
    judge::schema_of,
    kind::Kind,
    options::Options,
    plan::{Contents, Plan, Target, name},
    platform::Platform,
    statement::{Statement, name_of},
};
use crate::{
    archive::TableName,
    figures::counted,
    postgres::{Section, TargetFacts, quote},
};

/// How many objects a refusal names.
const NAMED: usize = 5;

/// The encoding that converts nothing.
const UNCONVERTED: &str = "SQL_ASCII";

/// Adds what stands in the way, and what should be known, to a plan.
pub(super) fn judge(
    plan: &mut Plan,
    contents: &Contents,
    target: &Target<'_>,
    options: &Options,
    platform: &Platform,
) {
    let before = plan.refusals.len();
    source(plan, contents, target, options);
    // Who is about to restore over the source must not be told how to empty it.
    let is_source = plan.refusals.len() > before;
    server(plan, contents, target);
    let after = &plan.post_data;
    let after = after.indexes.iter().chain(&after.ordered);
    let lacking = rights(plan.pre_data.iter().chain(after), target.facts);
    plan.refusals.extend(lacking);
    if is_source {
        return;
    }
    let room = room(identity::wants_word(target.facts, &target.asked, options.not_the_source));
    if !options.clean && !plan.anew.is_empty() {
        let names: Vec<String> = plan.anew.iter().map(name_of).collect();
        plan.refusals.push(format!(
            "not whole, since the restore that made it never came to its end: {}; add {room} to \
             drop it first and make it anew, or, where you have finished it by hand, take its \
             comment away that says so (COMMENT ON TABLE … IS NULL)",
            shorten(&names)
        ));
    }
    if options.wants(Section::PreData) && !options.is_partial() {
        if !options.clean {
            plan.refusals.extend(not_empty(target.facts, platform, room));
        }
    } else if options.wants(Section::Data) && !options.clean {
        rows(plan, contents, target, room);
    }
    if options.clean {
        truncation(plan, contents, target);
    }
    if options.wants(Section::Data) && !options.clean {
        let managed: Vec<String> = plan
            .fill
            .iter()
            .map(|fill| name(&contents.manifest.tables[fill.table]))
            .filter(|table| platform.managed.contains(&table.schema))
            .filter(|table| target.occupied.contains(table))
            .map(|table| name_of(&table))
            .collect();
        if !managed.is_empty() && !options.is_partial() {
            plan.refusals.push(format!(
                "the platform's tables are not empty: {}; add {room} to empty them first",
                shorten(&managed)
            ));
        }
    }
}

fn source(plan: &mut Plan, contents: &Contents, target: &Target<'_>, options: &Options) {
    let (source, facts) = (&contents.manifest.source, target.facts);
    let ids = source.system_identifier.as_ref().zip(facts.system_identifier.as_ref());
    if ids.is_none() && !matches!(target.asked.answer, Answer::Same | Answer::Other(_)) {
        plan.warnings.push(
            "the server's identity cannot be read, so only the address and the database's name \
             tell the target from the source"
                .to_owned(),
        );
    }
    plan.warnings.extend(identity::warning(&target.asked.answer, options.clean));
    plan.refusals.extend(identity::refusal(
        facts,
        &target.asked,
        options.clean,
        options.not_the_source,
    ));
}

fn server(plan: &mut Plan, contents: &Contents, target: &Target<'_>) {
    let (source, facts) = (&contents.manifest.source, target.facts);
    let major = source.server_version_num / 10_000;
    if facts.server.major < major {
        plan.refusals.push(format!(
            "the target is PostgreSQL {}, older than the dump's {}: it would not understand it",
            facts.server.text, source.server_version
        ));
    }
    plan.refusals.extend(no_place(facts));
    if facts.encoding != source.encoding && facts.encoding != UNCONVERTED {
        plan.warnings.push(format!(
            "the target's encoding is {}, the source's {}: text that it cannot hold stops the \
             restore",
            facts.encoding, source.encoding
        ));
    }
}

/// Why a database is no place to restore into, whatever it holds.
pub(super) fn no_place(facts: &TargetFacts) -> Vec<String> {
    let mut refusals = Vec::new();
    if facts.is_template {
        refusals.push(format!(
            "database {} is a template: every new database would be a copy of what is restored",
            facts.database
        ));
    }
    if facts.read_only {
        refusals.push("the target takes no writes: it is a standby, or read-only".to_owned());
    }
    refusals
}

/// Whether a statement makes something in a schema, for which the server wants
/// the right to create in it.
fn fills_schema(statement: &Statement) -> bool {
    let of_a_table = matches!(statement.kind, Kind::Trigger | Kind::Policy | Kind::Rule);
    statement.kind == Kind::Key || (statement.text.starts_with(b"CREATE ") && !of_a_table)
}

/// What the role may not make of these.
pub(super) fn rights<'a>(
    created: impl Iterator<Item = &'a Statement> + Clone,
    facts: &TargetFacts,
) -> Vec<String> {
    let mut refusals = Vec::new();
    let makes_schema = created.clone().any(|statement| statement.kind == Kind::Schema);
    if makes_schema && !facts.creates_schemas {
        refusals.push(format!(
            "role {} may not create schemas in database {} (to mend it: GRANT CREATE ON DATABASE)",
            facts.role, facts.database
        ));
    }
    let used: BTreeSet<&str> =
        created.filter(|statement| fills_schema(statement)).filter_map(schema_of).collect();
    for schema in facts.schemas.iter().filter(|schema| !schema.creates) {
        if used.contains(schema.name.as_str()) {
            let (role, schema) = (quote(&facts.role), quote(&schema.name));
            refusals.push(format!(
                "role {role} may not create in schema {schema} (to mend it: GRANT CREATE ON \
                 SCHEMA {schema} TO {role})"
            ));
        }
    }
    refusals
}

/// What makes room in a target that is not empty. `wants_word` as in
/// [`Stopped::wants_word`](super::Stopped::wants_word).
pub(super) fn room(wants_word: bool) -> &'static str {
    if wants_word {
        "--clean and, where you know that it is not the source, --not-the-source"
    } else {
        "--clean"
    }
}

/// A whole restore wants an empty database; `room` is what makes it one.
pub(super) fn not_empty(facts: &TargetFacts, platform: &Platform, room: &str) -> Option<String> {
    holds(facts, platform).map(|holds| {
        format!(
            "database {} is not empty: it holds {holds}; name an empty one, or add {room} to drop \
             first what the archive creates",
            facts.database,
        )
    })
}

/// What a database holds beside what its platform and extensions have made; `None`
/// where that is nothing.
#[must_use]
pub fn holds(facts: &TargetFacts, platform: &Platform) -> Option<String> {
    let relations = facts
        .relations
        .iter()
        .filter(|relation| !relation.member)
        .map(|relation| (&relation.schema, &relation.name));
    let others = facts.others.iter().map(|(schema, name)| (schema, name));
    let found: BTreeSet<String> = relations
        .chain(others)
        .filter(|(schema, _)| !platform.managed.contains(*schema))
        .map(|(schema, name)| name_of(&TableName { schema: schema.clone(), name: name.clone() }))
        .collect();
    let mut found: Vec<String> = found.into_iter().collect();
    if facts.large_objects > 0 {
        found.push(counted(facts.large_objects, "large object"));
    }
    (!found.is_empty()).then(|| shorten(&found))
}

/// Tables that are filled must be empty; `room` is what empties them.
fn rows(plan: &mut Plan, contents: &Contents, target: &Target<'_>, room: &str) {
    let tables = &contents.manifest.tables;
    let fill = plan.fill.iter().map(|fill| fill.table);
    let occupied: Vec<String> = fill
        .chain(plan.load.iter().copied())
        .map(|at| name(&tables[at]))
        .filter(|table| target.occupied.contains(table) && !plan.anew.contains(table))
        .map(|table| name_of(&table))
        .collect();
    if !occupied.is_empty() {
        plan.refusals.push(format!(
            "not empty: {}; add {room} to remove their rows first",
            shorten(&occupied)
        ));
    }
}

/// A table that others point at can only be emptied together with them: its
/// rows would take theirs along, or leave them pointing at nothing.
fn truncation(plan: &mut Plan, contents: &Contents, target: &Target<'_>) {
    let tables = &contents.manifest.tables;
    let mut emptied: BTreeSet<TableName> =
        plan.fill.iter().map(|fill| name(&tables[fill.table])).collect();
    let filled = emptied.clone();
    if !plan.drops.is_empty() {
        // What is dropped first is made again, with its rows.
        let made = plan.pre_data.iter().filter(|statement| statement.kind == Kind::Table);
        emptied.extend(made.filter_map(|statement| statement.object.clone()));
    }
    for relation in &target.facts.relations {
        let own = TableName { schema: relation.schema.clone(), name: relation.name.clone() };
        if !filled.contains(&own) {
            continue;
        }
        let others: Vec<String> = relation
            .referenced_by
            .iter()
            .filter(|by| {
                // One that has no rows loses none, and none of it points at nothing.
                super::tokens::qualified(&by.table)
                    .is_none_or(|by| !emptied.contains(&by) && target.occupied.contains(&by))
            })
            .map(|by| format!("{} ({})", by.table, by.constraint))
            .collect();
        if !others.is_empty() {
            plan.refusals.push(format!(
                "{} cannot be emptied: foreign keys of {} point at it; restore them together",
                name_of(&own),
                shorten(&others)
            ));
        }
    }
}

fn shorten(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match names.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
