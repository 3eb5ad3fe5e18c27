//! What is special about restoring a legacy archive.

use std::sync::Arc;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{
    super::{Misused, print},
    Wanted,
};
use crate::{
    archive::manifest::Source,
    catalog::{self, Catalog, Entry, Key, Layout},
    postgres::ConnectionUrl,
    restore::{Checked, LegacyRequest, Options, PreparedLegacy},
    store::Store,
    visible::visible,
};

/// How many manifests are tried to be read, from the newest on.
const TRIED: usize = 5;

/// What is asked of the target and of the archive.
pub(super) async fn request(wanted: Wanted, target: ConnectionUrl) -> Result<LegacyRequest> {
    let Wanted { store, layout, catalog, entry, options, source, client_dirs } = wanted;
    only_whole(&options)?;
    Ok(LegacyRequest {
        sha256: catalog::legacy_sha256(store.as_ref(), &layout, entry.kind, entry.id).await?,
        newest: newest(store.as_ref(), &layout, &catalog).await,
        key: layout.key(Key::Archive(entry.kind, entry.id)),
        id: entry.id.to_string(),
        bytes: entry.archive_bytes,
        target,
        store: Arc::clone(&store),
        source,
        client_dirs,
        clean: options.clean,
        not_the_source: options.not_the_source,
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

/// What the newest backup says of its source that can be read. It is only one
/// of the ways to know the source, and none of them stands in the way of an
/// archive that needs no manifest.
async fn newest(store: &dyn Store, layout: &Layout, catalog: &Catalog) -> Option<Source> {
    let mut good: Vec<&Entry> = catalog.good().collect();
    good.sort_by_key(|entry| std::cmp::Reverse((entry.time(), entry.id)));
    for entry in good.into_iter().take(TRIED) {
        match catalog::read_manifest(store, layout, catalog, entry.kind, entry.id).await {
            Ok(manifest) => return Some(manifest.source),
            Err(error) => {
                eprintln!(
                    "warning: what backup {} says of its source cannot be read: {error}",
                    entry.id
                );
            }
        }
    }
    None
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
        let (tables, rows) = (print::count(tables), print::count(rows));
        text += &format!(
            "holds      {rows} rows of {tables} tables; it was read once, and is sent through psql\n"
        );
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
