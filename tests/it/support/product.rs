//! The built program, as a person runs it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use reliquary::archive::Manifest;
use tempfile::TempDir;

use super::{
    postgres::{Run, Server},
    s3::S3Server,
    tools::command,
};

/// An installation: settings in the environment, and a folder that is both the
/// working directory and, unless told otherwise, the store.
#[derive(Clone)]
pub(crate) struct Product {
    folder: Arc<TempDir>,
    env: Vec<(String, String)>,
}

impl Product {
    /// Nothing is set yet.
    pub(crate) fn bare() -> Self {
        Self { folder: Arc::new(TempDir::new().unwrap()), env: Vec::new() }
    }

    /// Backs a database of a server up into a folder.
    pub(crate) fn of(server: &Server, database: &str) -> Self {
        let product = Self::bare().client_dir(server.bin_dir());
        let store = product.store_url();
        product.set("DIRECT_URL", server.url(database)).set("RELIQUARY__STORE__URL", store)
    }

    /// Backs up into a bucket instead.
    pub(crate) fn into_s3(self, s3: &S3Server, bucket: &str) -> Self {
        self.set("RELIQUARY__STORE__URL", format!("s3://{bucket}"))
            .set("RELIQUARY__STORE__ENDPOINT", &s3.endpoint)
            .set("RELIQUARY__STORE__REGION", "us-east-1")
            .set("RELIQUARY__STORE__PATH_STYLE", "true")
            .set("RELIQUARY__STORE__ACCESS_KEY_ID", &s3.access_key)
            .set("RELIQUARY__STORE__SECRET_ACCESS_KEY", &s3.secret)
    }

    /// Sets a variable; the last one wins.
    pub(crate) fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Takes client programs from a folder.
    pub(crate) fn client_dir(self, dir: &Path) -> Self {
        self.set("RELIQUARY__POSTGRES__CLIENT_DIRS", dir.display().to_string())
    }

    /// The same installation, and the same folder, with client programs from elsewhere.
    pub(crate) fn with_client_dir(&self, dir: &Path) -> Self {
        let folder = Arc::clone(&self.folder);
        Self { folder, env: self.env.clone() }.client_dir(dir)
    }

    /// The working directory.
    pub(crate) fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Where the store is, unless it is a bucket.
    pub(crate) fn store_dir(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// The same as a setting.
    pub(crate) fn store_url(&self) -> String {
        format!("file://{}", self.store_dir().display())
    }

    /// The program with these arguments, and with nothing of this process's
    /// environment that could change what it does.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut program = command(assert_cmd::cargo::cargo_bin!("reliquary"));
        program
            .args(arguments)
            .current_dir(self.dir())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir())
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        program
    }

    /// Runs the program to its end, however it ends.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("start the program")
    }

    /// Runs the program, which must succeed; what it wrote to stdout.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        self.command(arguments).output_of(b"")
    }

    /// Takes a backup into the folder.
    pub(crate) fn backup(&self, arguments: &[&str]) -> Backup {
        let report = self.succeed(&[&["--json", "backup"], arguments].concat());
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["outcome"], "ok", "{report}");
        let archive = PathBuf::from(report["uri"].as_str().unwrap().replace("file://", ""));
        let id = report["id"].as_str().unwrap().to_owned();
        let manifest_file = archive.with_file_name(format!("{id}.manifest.json"));
        let manifest_text = std::fs::read_to_string(&manifest_file).unwrap();
        let manifest = Manifest::parse(manifest_text.as_bytes()).unwrap();
        Backup { id, archive, manifest_text, manifest }
    }
}

/// A backup in a folder.
pub(crate) struct Backup {
    pub(crate) id: String,
    /// Path of the archive.
    pub(crate) archive: PathBuf,
    pub(crate) manifest_text: String,
    pub(crate) manifest: Manifest,
}

impl Backup {
    /// The folder that holds its three files.
    pub(crate) fn dir(&self) -> &Path {
        self.archive.parent().expect("a folder")
    }

    /// The archive's name in it.
    pub(crate) fn file(&self) -> String {
        format!("{}.sql.gz", self.id)
    }

    /// Restores it as the documentation says: with nothing but `sha256sum`,
    /// `gunzip` and `psql`.
    pub(crate) fn restore_with_stock_tools(&self, server: &Server, database: &str) {
        let file = self.file();
        let target = [("TARGET", server.url(database))];
        let run = |line: &str| shell(self.dir(), server, &target, line);
        assert_eq!(run(&format!("sha256sum -c {file}.sha256")), format!("{file}: OK\n"));
        run(&format!("gunzip -c {file} | psql -v ON_ERROR_STOP=1 \"$TARGET\""));
    }
}

/// Runs lines of shell in a folder, with further variables and the server's own
/// `psql` first in the path. Each command, of a pipe too, must succeed.
pub(crate) fn shell(
    dir: &Path,
    server: &Server,
    variables: &[(&str, String)],
    lines: &str,
) -> String {
    let path = std::env::var("PATH").unwrap();
    command("bash")
        .args(["-euo", "pipefail", "-c", lines])
        .current_dir(dir)
        .env("PATH", format!("{}:{path}", server.bin_dir().display()))
        .env("PSQLRC", "/dev/null")
        .env("LC_ALL", "C.UTF-8")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output_of(b"")
}

/// Rows and a digest of the content of each table of a manifest, in its order.
/// The order of the rows does not count; what a table's children hold neither.
pub(crate) fn contents(server: &Server, database: &str, manifest: &Manifest) -> Vec<String> {
    let queries: Vec<String> = manifest
        .tables
        .iter()
        .map(|table| {
            format!(
                "select count(*) || ' ' || coalesce(md5(string_agg(digest, '' order by digest \
                 collate \"C\")), '-') from (select md5(t::text) from only {}.{} t) d (digest);\n",
                identifier(&table.schema),
                identifier(&table.name)
            )
        })
        .collect();
    let answers = server.psql(database, &queries.concat());
    let answers: Vec<String> = answers.lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), manifest.tables.len());
    answers
}

/// A name as SQL takes it.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
