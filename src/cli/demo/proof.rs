//! One backup, and the proof with stock tools that it restores.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use super::{super::print, Cluster, DONE, Global, Settings, create, say};
use crate::{
    app,
    archive::{Manifest, manifest::Kind},
    cli::backup::summary,
    clock::Clock,
    jobs::backup::{self, Done, Request},
    process::Program,
    state::Progress,
};

/// The database that is restored into.
const TARGET: &str = "altarflow_restored";

/// How long a stock tool may take.
const TOOL_WITHIN: Duration = Duration::from_mins(5);

pub(super) async fn once(
    cluster: &Cluster,
    settings: &Settings,
    folder: &Path,
    global: &Global,
) -> Result<u8> {
    let (manifest, seconds) = take(settings).await?;
    let archive = folder.join(&manifest.archive.key);
    if !global.quiet && !global.json {
        print!("{}", summary(&manifest, &format!("file://{}", archive.display()), seconds));
    }
    let began = Instant::now();
    restore(cluster, &archive, global).await?;
    let restored_in = began.elapsed().as_secs_f64();
    let mut source = cluster.connect_options(super::DATABASE).connect().await?;
    let mut target = cluster.connect_options(TARGET).connect().await?;
    let different = compare(&mut source, &mut target, &manifest).await?;
    source.close().await?;
    target.close().await?;
    if global.json {
        print::json(&json!({
            "proven": different.is_empty(),
            "backup": manifest.id,
            "tables": manifest.tables.len(),
            "rows": manifest.rows,
            "archive_bytes": manifest.archive.bytes,
            "dump_bytes": manifest.archive.uncompressed_bytes,
            "backup_seconds": seconds,
            "restore_seconds": restored_in,
            "different": different,
        }))?;
    }
    if !different.is_empty() {
        bail!("the restored database differs: {}", different.join("; "));
    }
    let text = format!(
        "restored with sha256sum, gunzip and psql alone in {restored_in:.1} s; \
         {} rows of {} tables are the same, value by value\nproven: this backup restores",
        print::count(manifest.rows),
        manifest.tables.len()
    );
    say(global, &text);
    Ok(DONE)
}

/// Takes the backup exactly as the daemon does.
async fn take(settings: &Settings) -> Result<(Manifest, f64)> {
    let database = settings.databases.values().next().context("the demo has one database")?;
    let source = app::source(database)?;
    let store = app::store(&settings.store).await?;
    let environment = app::environment(settings, store, Clock::system());
    let request = Request { kind: Kind::Scheduled, slot: None };
    let began = Instant::now();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    match backup::run(&environment, &source, request, &progress, &cancel).await? {
        Done::Backup { manifest, .. } => Ok((*manifest, began.elapsed().as_secs_f64())),
        Done::Skipped(skip) => bail!("the backup was skipped: {}", skip.reason()),
    }
}

/// What a person without Reliquary would type.
async fn restore(cluster: &Cluster, archive: &Path, global: &Global) -> Result<()> {
    let folder = archive.parent().context("the archive is in a folder")?;
    let name = archive.file_name().context("the archive has a name")?.to_string_lossy();
    let script = name.strip_suffix(".gz").context("the archive is a .sql.gz")?;
    create(cluster, TARGET).await?;
    let steps = [
        Program::new("sha256sum").arg("-c").arg(format!("{name}.sha256")),
        Program::new("gunzip").arg("--keep").arg(&*name),
        Program::new(psql(cluster))
            .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"])
            .arg(format!("--file={script}"))
            // A throwaway cluster's address holds no secret.
            .arg(format!("--dbname={}", cluster.url(TARGET))),
    ];
    for (step, shown) in steps.into_iter().zip([
        format!("sha256sum -c {name}.sha256"),
        format!("gunzip --keep {name}"),
        format!("psql -v ON_ERROR_STOP=1 -f {script} \"$TARGET\""),
    ]) {
        say(global, &format!("  $ {shown}"));
        step.dir(folder).output(TOOL_WITHIN).await?;
    }
    Ok(())
}

/// The cluster's own psql, or whichever there is.
fn psql(cluster: &Cluster) -> PathBuf {
    let own = cluster.bin_dir().join("psql");
    if own.exists() { own } else { PathBuf::from("psql") }
}

/// What differs between source, manifest and the restored database, in words.
async fn compare(
    source: &mut PgConnection,
    target: &mut PgConnection,
    manifest: &Manifest,
) -> Result<Vec<String>> {
    ensure!(!manifest.tables.is_empty(), "the backup holds no table");
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let mut different = Vec::new();
    for table in &manifest.tables {
        let name = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
        let (rows, values) = contents(source, &name).await?;
        let restored = contents(target, &name).await?;
        if u64::try_from(restored.0) != Ok(table.rows) || restored.0 != rows {
            different.push(format!(
                "{name} has {} rows; the source has {rows}, the manifest says {}",
                restored.0, table.rows
            ));
        } else if restored.1 != values {
            different.push(format!("{name} has the same number of rows, with other values"));
        }
    }
    Ok(different)
}

/// How many rows a table has, and a sum over the values of each, which their
/// order does not change.
async fn contents(connection: &mut PgConnection, table: &str) -> Result<(i64, String)> {
    let query = format!(
        "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text \
         FROM ONLY {table} AS t"
    );
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_one(connection).await?)
}
