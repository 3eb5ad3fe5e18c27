//! What is special about restoring a legacy archive.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{
    super::{Misused, print},
    Wanted,
};
use crate::{
    postgres::ConnectionUrl,
    restore::{Checked, LegacyRequest, Options, PreparedLegacy, Stream},
    visible::visible,
};

/// What is asked of the target and of the archive.
pub(super) async fn request(
    wanted: Wanted,
    archive: Stream,
    target: ConnectionUrl,
    alone: bool,
) -> Result<LegacyRequest> {
    only_whole(&wanted.options)?;
    let (sha256, newest) = (wanted.sha256().await?, wanted.newest().await);
    let Wanted { entry, options, damaged, source, others, client_dirs, .. } = wanted;
    Ok(LegacyRequest {
        archive,
        sha256,
        newest,
        id: entry.id.to_string(),
        target,
        source,
        others,
        client_dirs,
        clean: options.clean,
        not_the_source: options.not_the_source,
        damaged,
        priority: options.priority,
        alone,
    })
}

/// A legacy archive has no parts.
pub(super) fn only_whole(options: &Options) -> Result<()> {
    if options.is_partial() || !options.sections.is_empty() {
        bail!(Misused(
            "a legacy archive has no manifest that says where its parts are; it can only be \
             restored whole"
                .to_owned()
        ));
    }
    Ok(())
}

/// What restoring it will do.
pub(super) fn plan(id: Option<&str>, prepared: &PreparedLegacy, checked: &Checked) -> String {
    let (id, facts) = (id.unwrap_or_default(), prepared.facts());
    let mut text = format!(
        "archive    {id}, a legacy archive{}\n\
         target     database {} on PostgreSQL {}, as role {}\n",
        checked.server.as_ref().map_or(String::new(), |v| format!(" of PostgreSQL {v}")),
        facts.database,
        facts.server.text,
        facts.role,
    );
    if let Some((tables, rows)) = checked.tables.zip(checked.rows) {
        let (tables, rows) = (print::counted(tables, "table"), print::counted(rows, "row"));
        text +=
            &format!("holds      {rows} of {tables}; it was read once, and is sent through psql\n");
    }
    for warning in prepared.warnings() {
        text += &format!("warning    {}\n", visible(warning));
    }
    for refusal in &checked.refusals {
        text += &format!("refused    {}\n", visible(refusal));
    }
    text
}

/// The same for a machine.
pub(super) fn plan_json(id: Option<&str>, prepared: &PreparedLegacy, checked: &Checked) -> Value {
    let facts = prepared.facts();
    json!({
        "outcome": if checked.refusals.is_empty() { "planned" } else { "refused" },
        "backup": id,
        "legacy": true,
        "database": facts.database,
        "server_version": facts.server.text,
        "tables": checked.tables,
        "rows": checked.rows,
        "warnings": prepared.warnings(),
        "refusals": checked.refusals,
    })
}
