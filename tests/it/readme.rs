//! What the README shows is real.

use std::collections::BTreeMap;

use clap::CommandFactory;
use reliquary::{
    cli::Arguments,
    settings::{Sources, load},
};

const README: &str = include_str!("../../README.md");

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    README
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.split_once('\n'))
        .filter_map(|(info, text)| (info.trim() == language).then_some(text))
        .collect()
}

#[test]
fn every_example_of_settings_can_be_loaded() {
    let examples = blocks("toml");
    assert!(examples.len() >= 2);
    for example in examples {
        let dir = tempfile::tempdir().unwrap();
        let url = "postgresql://user@db.example.com:5432/app";
        std::fs::write(dir.path().join("secret"), url).unwrap();
        let secret = dir.path().join("secret").display().to_string();
        // An example of the channels alone says neither where nor what.
        let rest = "store.url = \"s3://bucket\"\n";
        let rest = if example.contains("[store]") { "" } else { rest };
        let text = format!("{rest}{example}")
            .replace("/run/secrets/app_url", &secret)
            .replace("/run/secrets/reliquary_token", &secret)
            .replace("<account>", "account");
        std::fs::create_dir(dir.path().join("config")).unwrap();
        std::fs::write(dir.path().join("config/reliquary.toml"), text).unwrap();
        let env = BTreeMap::from(["BILLING_URL", "DIRECT_URL"].map(|n| (n.into(), url.into())));
        let mut env = env;
        for channel in ["SLACK_WEBHOOK_URL", "HEARTBEAT_URL"] {
            env.insert(channel.to_owned(), "https://example.com/x".to_owned());
        }
        let path = dir.path().to_owned();
        let check = Some(reliquary::app::check_url as _);
        let sources = Sources { dir: path, env, url_check: check, ..Sources::default() };
        load(&sources).unwrap_or_else(|problems| panic!("{problems}\n{example}"));
    }
}

#[test]
fn every_command_and_option_that_is_shown_is_real() {
    let program = Arguments::command();
    let shown = README.split("reliquary ").skip(1).filter_map(|rest| {
        let line = rest.split(['\n', '`', '|', ',']).next()?;
        let mut words = line.split_whitespace();
        let name = words.next()?;
        // Prose goes on with words that are no command; only code is looked at.
        let command = program.find_subcommand(name)?;
        let words: Vec<&str> = words.collect();
        // Some have commands of their own: `incident open`.
        let inner = words.first().and_then(|word| command.find_subcommand(word));
        let options: Vec<&str> = words.into_iter().filter(|word| word.starts_with("--")).collect();
        Some((name, inner.unwrap_or(command), options))
    });
    let mut seen = 0;
    for (name, command, options) in shown {
        for option in options {
            let long = option.trim_start_matches('-');
            assert!(
                command.get_arguments().any(|argument| argument.get_long() == Some(long)),
                "{name} {option}"
            );
        }
        seen += 1;
    }
    assert!(seen >= 6, "{seen} commands are shown");
    for command in program.get_subcommands() {
        assert!(README.contains(command.get_name()), "{} is not shown", command.get_name());
    }
}

#[test]
fn every_route_and_both_scripts_are_there() {
    for route in ["/healthz", "/livez", "/last-success", "/status", "/metrics", "/backups"] {
        assert!(README.contains(route), "{route}");
    }
    for script in ["deploy/quickstart.sh", "tests/run.sh"] {
        assert!(README.contains(&format!("bash {script}")));
        assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(script).is_file());
    }
}
