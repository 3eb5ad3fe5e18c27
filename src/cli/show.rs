//! `reliquary show`

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::{
    DONE, Global, print,
    which::{Opened, Which},
};
use crate::{
    archive::Manifest,
    catalog::{self, Entry, Judgement, Key, Layout, State},
    clock::Clock,
    drill::{self, Mark},
    rfc3339,
    store::{Store, StoreError},
    visible::{visible, visible_lines},
    words::Verdict,
};

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  reliquary show\n  reliquary show 2026-11-23T14\n  \
    reliquary show --at \"2026-11-23 14:30Z\"")]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    arguments.which.query()?;
    let settings = global.settings(false)?;
    let Opened { store, layout, catalog, .. } = arguments.which.open(&settings).await?;
    let entry = arguments.which.find_any(&catalog, "show ID")?;
    let uri = store.uri(&layout.key(Key::Archive(entry.kind, entry.id)));
    let judgement = judgement(store.as_ref(), &layout, entry).await?;
    match entry.state {
        State::Good => {}
        State::Damaged => return damaged(global, entry, judgement, &uri),
        State::Broken => bail!("{} has a manifest, and its archive is gone: {uri}", entry.id),
        _ => return legacy(global, entry, &uri),
    }
    let manifest =
        catalog::read_manifest(store.as_ref(), &layout, &catalog, entry.kind, entry.id).await?;
    let read = drill::read(store.as_ref(), &layout, &catalog.drills).await?;
    if let Some(warning) = read.warning() {
        eprintln!("warning: {}", visible_lines(&warning));
    }
    let marks = drill::marks(&read.records, Clock::system().now());
    let drilled = drill::mark(entry, &marks).copied();
    if global.json {
        let mut document = json!(manifest);
        document["verified"] = json!(judgement);
        document["drilled"] = json!(drilled);
        print::json(&document)?;
    } else {
        let endpoint = settings.store.endpoint.as_deref();
        print!("{}", text(&manifest, judgement.as_ref(), &uri));
        if let Some(Mark { verdict, reason, time }) = drilled {
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            println!("drilled    {verdict}{reason} at {}", rfc3339::format(time));
            if drill::condemned(entry, &marks).is_some() {
                let before = drill::newest_good(&catalog, &marks, Some(entry.time())).entry;
                let before = before.map_or_else(
                    || "there is no good one before it".to_owned(),
                    |before| format!("the newest good one before it is {}", before.id),
                );
                println!("           it counts as no good one; {before}");
            }
        }
        print!("{}", recipe(&uri, endpoint, &manifest.archive.key, &source_roles(&manifest)));
    }
    Ok(DONE)
}

/// What verify found last.
async fn judgement(
    store: &dyn Store,
    layout: &Layout,
    entry: &Entry,
) -> Result<Option<Judgement>, StoreError> {
    if entry.verified.is_none() {
        return Ok(None);
    }
    let verdict = if entry.state == State::Damaged { Verdict::Damaged } else { Verdict::Good };
    catalog::judgement(store, layout, entry.kind, entry.id, verdict).await
}

fn damaged(global: &Global, entry: &Entry, judgement: Option<Judgement>, uri: &str) -> Result<u8> {
    if global.json {
        print::json(&json!({
            "id": entry.id,
            "kind": entry.kind,
            "state": entry.state.name(),
            "uri": uri,
            "archive_bytes": entry.archive_bytes,
            "verified": judgement,
        }))?;
        return Ok(DONE);
    }
    let when = entry.verified.map(rfc3339::format).unwrap_or_default();
    println!("{} is DAMAGED, as verify found at {when}; it counts as no backup\n  {uri}", entry.id);
    if let Some(judgement) = judgement {
        for finding in &judgement.findings {
            println!("  {finding}");
        }
        for remark in &judgement.remarks {
            println!("  note, at that time: {remark}");
        }
    }
    Ok(DONE)
}

fn legacy(global: &Global, entry: &Entry, uri: &str) -> Result<u8> {
    if global.json {
        print::json(&json!({
            "id": entry.id,
            "kind": entry.kind,
            "state": entry.state.name(),
            "uri": uri,
            "archive_bytes": entry.archive_bytes,
        }))?;
    } else {
        println!(
            "{} is a legacy archive of {}: it has no manifest, so nothing is known of what it holds\n  {uri}",
            entry.id,
            print::size(entry.archive_bytes)
        );
    }
    Ok(DONE)
}

fn text(manifest: &Manifest, judgement: Option<&Judgement>, uri: &str) -> String {
    let (archive, source) = (&manifest.archive, &manifest.source);
    let now = Clock::system().now();
    let took = (manifest.finished - manifest.started).as_seconds_f64();
    let mut text = format!(
        "backup     {} ({}, {} old, took {took:.1} s)\n\
         archive    {uri}\n\
         size       {} in the store, {} of SQL, {} members\n\
         sha256     {}\n\
         source     database {} on PostgreSQL {}, {}, snapshot at {}{}\n\
         made by    reliquary {}, {}\n",
        manifest.id,
        manifest.kind.name(),
        print::age(now, manifest.started),
        print::size(archive.bytes),
        print::size(archive.uncompressed_bytes),
        print::count(manifest.members().len() as u64),
        visible(&archive.sha256),
        visible(&source.database),
        visible(&source.server_version),
        visible(&source.encoding),
        rfc3339::format(source.snapshot_at),
        source.lsn.as_ref().map_or(String::new(), |lsn| format!(", WAL position {}", visible(lsn))),
        visible(&manifest.tool.version),
        visible(&manifest.tool.pg_dump),
    );
    text += &match judgement {
        Some(judgement) => format!(
            "verified   {} ago: every byte and all {} rows\n",
            print::age(now, judgement.time),
            print::count(judgement.rows.unwrap_or(0)),
        ),
        None => "verified   not yet\n".to_owned(),
    };
    for remark in judgement.into_iter().flat_map(|judgement| &judgement.remarks) {
        text += &format!("note       at that time: {remark}\n");
    }
    let names = source.extensions.iter().map(|extension| extension.name.as_str());
    text += &format!("extensions {}\n", joined(names));
    text += &format!("roles      {}\n", joined(source.roles.iter().map(String::as_str)));
    for table in &manifest.excluded.tables {
        text += &format!("left out   {}\n", qualified(&table.schema, &table.name));
    }
    for table in &manifest.excluded.table_data {
        text += &format!("left out   the rows of {}\n", qualified(&table.schema, &table.name));
    }
    for schema in &manifest.excluded.schemas {
        text += &format!("left out   the schema {}\n", visible(schema));
    }
    for warning in &manifest.warnings {
        text += &format!("warning    {}\n", visible_lines(warning).replace('\n', "\n           "));
    }
    let mut table = print::table(&["TABLE", "ROWS", "SQL", "MEMBERS"], &[1, 2, 3]);
    for entry in &manifest.tables {
        table.add_row([
            qualified(&entry.schema, &entry.name),
            print::count(entry.rows),
            print::size(entry.bytes),
            print::count(entry.members.len() as u64),
        ]);
    }
    table.add_row(["all".to_owned(), print::count(manifest.rows), String::new(), String::new()]);
    text += &format!("\n{}\n", table.trim_fmt());
    text
}

fn source_roles(manifest: &Manifest) -> Vec<&str> {
    manifest.source.roles.iter().map(String::as_str).collect()
}

/// How to get it back with stock tools alone.
fn recipe(uri: &str, endpoint: Option<&str>, key: &str, roles: &[&str]) -> String {
    let file = key.rsplit('/').next().unwrap_or_default();
    let mut text = String::new();
    if uri.starts_with("s3://") {
        let endpoint = endpoint.map(|url| format!("--endpoint-url {} ", visible(url)));
        let copy = format!("aws s3 cp {}{uri}", endpoint.unwrap_or_default());
        text += &format!("\nwithout Reliquary:\n  {copy} .\n  {copy}.sha256 .\n");
    } else {
        text += "\nwithout Reliquary, in the archive's folder:\n";
    }
    text += &format!("  sha256sum -c {file}.sha256\n");
    if !roles.is_empty() {
        text += "  # policies name these roles; create those that the target lacks\n";
    }
    for role in roles {
        text += &format!("  {}\n", create_role(role));
    }
    text += &format!("  gunzip -c {file} | psql -v ON_ERROR_STOP=1 \"$TARGET\"\n");
    text
}

/// A line of shell that creates a role, whatever its name holds.
fn create_role(name: &str) -> String {
    let name = visible(name).replace('"', "\"\"").replace('\'', r"'\''");
    format!("psql \"$TARGET\" -c 'CREATE ROLE \"{name}\"'")
}

fn qualified(schema: &str, name: &str) -> String {
    visible(&format!("{schema}.{name}"))
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(visible).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_asks_the_configured_endpoint_and_creates_roles_first() {
        let (uri, key) = ("s3://b/database/x.sql.gz", "database/x.sql.gz");
        let told = recipe(uri, Some("https://r2.example.com"), key, &["bk", r#"o'"x"#]);
        let lines: Vec<&str> = told.lines().map(str::trim).collect();
        assert_eq!(
            lines[2..],
            [
                "aws s3 cp --endpoint-url https://r2.example.com s3://b/database/x.sql.gz .",
                "aws s3 cp --endpoint-url https://r2.example.com s3://b/database/x.sql.gz.sha256 .",
                "sha256sum -c x.sql.gz.sha256",
                "# policies name these roles; create those that the target lacks",
                r#"psql "$TARGET" -c 'CREATE ROLE "bk"'"#,
                r#"psql "$TARGET" -c 'CREATE ROLE "o'\''""x"'"#,
                r#"gunzip -c x.sql.gz | psql -v ON_ERROR_STOP=1 "$TARGET""#,
            ]
        );
        let told = recipe(uri, None, key, &[]);
        assert!(told.contains("aws s3 cp s3://b/database/x.sql.gz .\n"), "{told}");
        assert!(!told.contains("CREATE ROLE"), "{told}");
    }
}
