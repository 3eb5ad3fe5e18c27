//! The pages in `deploy/`, and what is named anywhere in that folder.

use std::{fs, path::PathBuf};

use clap::CommandFactory;
use reliquary::cli::Arguments;

use super::{BTreeMap, URL, keys, root, settings};

/// Every file in `deploy/` that people read or that names something of ours.
fn files() -> Vec<(PathBuf, String)> {
    let texts = walkdir::WalkDir::new(root().join("deploy")).into_iter().filter_map(|entry| {
        let path = entry.unwrap().into_path();
        let extension = path.extension()?.to_str()?;
        ["md", "yaml", "yml", "toml", "service", "sh", "json"]
            .contains(&extension)
            .then(|| (path.clone(), fs::read_to_string(&path).unwrap()))
    });
    texts.collect()
}

fn pages() -> Vec<(PathBuf, String)> {
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let pages: Vec<_> = files().into_iter().filter(|(path, _)| is_page(path)).collect();
    assert!(pages.len() >= 7);
    pages
}

/// The fenced blocks of a language.
fn blocks<'t>(page: &'t str, language: &str) -> Vec<&'t str> {
    let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    blocks.filter(|(info, _)| info.trim() == language).map(|(_, text)| text).collect()
}

#[test]
fn every_example_of_settings_loads() {
    let mut seen = 0;
    for (path, page) in pages() {
        for example in blocks(&page, "toml") {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("secret"), URL).unwrap();
            let secret = dir.path().join("secret").display().to_string();
            let mut file = String::new();
            if !example.contains("[store]") {
                file += "store.url = \"s3://bucket\"\n";
            }
            // Every secret's file is the same one here.
            for line in example.lines() {
                match line.split_once("_file = ") {
                    Some((key, _)) => file += &format!("{key}_file = {secret:?}\n"),
                    None => file += &format!("{line}\n"),
                }
            }
            let file = file.replace("<account>", "account");
            let mut env = BTreeMap::from([("DIRECT_URL".to_owned(), URL.to_owned())]);
            for name in ["R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY"] {
                env.insert(name.to_owned(), "secret".to_owned());
            }
            settings(&format!("{}:\n{file}", path.display()), env, &file, dir.path());
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen} examples");
}

#[test]
fn every_command_and_option_that_a_page_shows_is_real() {
    let program = Arguments::command();
    let mut seen = 0;
    for (path, page) in pages() {
        let lines = page.split("reliquary ").skip(1).filter_map(|rest| {
            let line = rest.split(['\n', '`', '|', ',', ')']).next()?;
            let mut words = line.split_whitespace().peekable();
            let mut command = program.find_subcommand(words.next()?)?;
            while let Some(child) = words.peek().and_then(|word| command.find_subcommand(word)) {
                command = child;
                words.next();
            }
            Some((command, words.filter(|word| word.starts_with("--")).collect::<Vec<_>>()))
        });
        for (command, options) in lines {
            for option in options {
                let long = option.trim_start_matches('-').split('=').next();
                let known = command.get_arguments().any(|argument| argument.get_long() == long);
                assert!(known, "{}: {} {option}", path.display(), command.get_name());
            }
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen} commands are shown");
}

#[test]
fn every_setting_that_is_named_as_a_variable_is_real() {
    let keys = keys();
    let mut seen = 0;
    for (path, text) in files() {
        for rest in text.split("RELIQUARY__").skip(1) {
            let name = rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next().unwrap();
            if name.is_empty() {
                continue;
            }
            let key = name.to_lowercase().replace("__", ".");
            assert!(keys.contains(&key), "{}: RELIQUARY__{name} is no setting", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen} variables are named");
}

#[test]
fn every_link_leads_to_a_file() {
    let readme = root().join("README.md");
    let readme = (readme.clone(), fs::read_to_string(readme).unwrap());
    let pages = pages();
    for (path, page) in pages.iter().chain([&readme]) {
        for link in page.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.contains("://") || link.starts_with('#') {
                continue;
            }
            let file = path.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(file.exists(), "{} links to {link}", path.display());
        }
    }
    for (path, _) in &pages {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        assert!(readme.1.contains(&format!("({name})")), "the README does not link {name}");
    }
}
