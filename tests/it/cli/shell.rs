//! Help, completions and manual pages: all of them know every command.

use std::{collections::BTreeSet, fs, path::Path};

use clap::{Command, CommandFactory};
use reliquary::cli::Arguments;

use super::told;
use crate::support::{postgres::Run as _, product::Product, tools::command};

/// The words that lead to each command, `config show` say, with the command.
fn commands() -> Vec<(Vec<String>, Command)> {
    fn walk(path: &[String], command: &Command, found: &mut Vec<(Vec<String>, Command)>) {
        for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
            let path = [path, &[child.get_name().to_owned()]].concat();
            walk(&path, child, found);
            found.push((path, child.clone()));
        }
    }
    let mut program = Arguments::command();
    program.build();
    let mut found = Vec::new();
    walk(&[], &program, &mut found);
    assert!(found.len() >= 20);
    found
}

/// The long options of a command, without those that clap adds.
fn options(command: &Command) -> Vec<String> {
    command.get_arguments().filter_map(|a| a.get_long()).map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_command_has_an_example_of_it() {
    let product = Product::bare();
    let help = product.succeed(&["--help"]);
    assert!(help.contains("Examples:"), "{help}");
    for (path, _) in commands() {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = product.succeed(&words);
        let example = help.split_once("Example").map(|(_, rest)| rest).unwrap_or_default();
        let call = example.contains("reliquary") && example.contains(&path.join(" "));
        assert!(call, "{path:?} has no example of itself:\n{help}");
    }
}

#[test]
fn completions_are_what_the_shell_can_read() {
    let product = Product::bare();
    let script = product.succeed(&["completions", "bash"]);
    command("bash").arg("-n").output_of(script.as_bytes());
    // And the shell completes with them.
    let ask = "COMP_WORDS=(reliquary sta); COMP_CWORD=1; _reliquary reliquary sta reliquary
               printf '%s ' \"${COMPREPLY[@]}\"";
    assert_eq!(
        command("bash").arg("-s").output_of(format!("{script}\n{ask}\n").as_bytes()),
        "status "
    );
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(product.succeed(&["completions", shell]).contains("reliquary"), "{shell}");
    }
}

#[test]
fn completions_know_every_command_and_option() {
    let product = Product::bare();
    for shell in ["bash", "zsh", "fish"] {
        let script = product.succeed(&["completions", shell]);
        for (path, command) in commands() {
            assert!(script.contains(path.last().unwrap()), "{shell}: {path:?}");
            for option in options(&command) {
                // fish writes them without the dashes.
                assert!(script.contains(&option), "{shell}: {path:?} --{option}");
            }
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let product = Product::bare();
    let page = product.succeed(&["man"]);
    assert!(page.contains(".TH reliquary 1"), "{page}");
    product.succeed(&["man", "--dir", "pages"]);
    let pages = product.dir().join("pages");
    let there: BTreeSet<String> = fs::read_dir(&pages)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut wanted = BTreeSet::from(["reliquary.1".to_owned()]);
    for (path, command) in commands() {
        let name = format!("reliquary-{}", path.join("-"));
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        for option in options(&command) {
            let escaped = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(page.contains(&escaped), "{name} does not explain --{option}");
        }
        wanted.insert(format!("{name}.1"));
    }
    assert_eq!(there, wanted, "a page for each command, and no others");
    let main = fs::read_to_string(pages.join("reliquary.1")).unwrap();
    for section in ["FILES", "ENVIRONMENT", "/etc/reliquary/reliquary.toml", "DIRECT_URL"] {
        assert!(main.contains(section), "{main}");
    }
    for name in ["reliquary.1", "reliquary-config-show.1", "reliquary-restore.1"] {
        formats(&pages.join(name));
    }
}

/// Where there is a `man`, it must have nothing to complain about.
fn formats(page: &Path) {
    let formatted =
        command("man").args(["--warnings", "-l"]).arg(page).env("MANPAGER", "cat").output();
    match formatted {
        Ok(output) => {
            assert!(output.status.success() && output.stderr.is_empty(), "{}", told(&output));
            assert!(String::from_utf8_lossy(&output.stdout).contains("SYNOPSIS"));
        }
        Err(error) => eprintln!("man is not installed, so no page was formatted: {error}"),
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let url = "postgres://backup@db.example.com/app";
    let product =
        Product::bare().set("DIRECT_URL", url).set("RELIQUARY__STORE__URL", "file:///nowhere");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let said = product.command(&["config", "show"]).stdout(writer).output().unwrap();
    assert_eq!(said.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&said.stderr), "");

    // Nor is one of both, as behind `2>&1`.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut unread = product.command(&["list"]);
    let ended = unread.stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
    assert_eq!(ended.code(), Some(141));
}
