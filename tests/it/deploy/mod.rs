//! What `deploy/` and the Dockerfile say is real: their settings load, their
//! commands parse, their images are pinned, their links lead somewhere.

mod image;
mod pages;
mod recipes;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use reliquary::{
    cli::Arguments,
    settings::{Settings, Sources, load},
};
use serde::Deserialize as _;
use serde_json::Value;

/// Any database's URL will do where a secret is wanted.
const URL: &str = "postgresql://backup:hunter2@db.example.com:5432/app?sslmode=require";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The documents of a YAML file.
fn yaml(name: &str) -> Vec<Value> {
    let text = text(name);
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents
        .map(|document| Value::deserialize(document).unwrap_or_else(|e| panic!("{name}: {e}")))
        .collect()
}

/// The texts of a list or of the values of a table.
fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap_or_else(|| panic!("a list is expected: {value}"));
    list.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn variables(value: &Value) -> BTreeMap<String, String> {
    let table = value.as_object().unwrap_or_else(|| panic!("a table is expected: {value}"));
    let variables =
        table.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().into()));
    variables.collect()
}

/// The settings as the daemon loads them from an environment and, where it is
/// not empty, a file; every mistake in them fails the test.
fn settings(what: &str, env: BTreeMap<String, String>, file: &str, dir: &Path) -> Settings {
    if !file.is_empty() {
        fs::create_dir_all(dir.join("config")).unwrap();
        fs::write(dir.join("config/reliquary.toml"), file).unwrap();
    }
    let sources = Sources {
        dir: dir.to_owned(),
        env,
        url_check: Some(reliquary::app::check_url as _),
        expect_check: Some(reliquary::app::check_expectation as _),
        ..Sources::default()
    };
    load(&sources).unwrap_or_else(|problems| panic!("{what}:\n{problems}")).0
}

/// Fails the test where the program would not understand its arguments.
fn understood(what: &str, arguments: &[String]) {
    let program = Arguments::command();
    let words = std::iter::once("reliquary").chain(arguments.iter().map(String::as_str));
    if let Err(error) = program.try_get_matches_from(words) {
        // Help and version are answers, too.
        assert_eq!(error.exit_code(), 0, "{what}: {error}");
    }
}

/// Whether an image stands for one build of it for ever, or for one version.
fn is_pinned(image: &str) -> bool {
    let (name, digest) = image.split_once('@').unwrap_or((image, ""));
    let tag = name.rsplit('/').next().unwrap().split_once(':').map_or("", |(_, tag)| tag);
    let numbers = tag.split(['.', '-']).filter(|part| part.contains(|c: char| c.is_ascii_digit()));
    digest.starts_with("sha256:") && digest.len() == 71 || numbers.count() >= 2
}

/// Every key of the settings, as `store.path_style`, from the reference.
fn keys() -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in include_str!("../../../config/reliquary.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, _)) = line.trim_start_matches('#').split_once(" = ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            keys.insert(format!("{section}.{key}"));
        }
    }
    keys
}

#[test]
fn only_a_version_or_a_digest_pins_an_image() {
    assert!(is_pinned("postgres:17.6-bookworm"));
    assert!(is_pinned("minio/minio:RELEASE.2025-09-07T16-13-09Z"));
    assert!(is_pinned(&format!("debian@sha256:{}", "0".repeat(64))));
    for image in ["postgres", "postgres:17", "localhost:5000/postgres:latest", "debian@sha256:1"] {
        assert!(!is_pinned(image), "{image}");
    }
}
