//! The runbook: what it says, and that every command in it can be run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{donations, report, room};
use crate::support::{
    postgres::Server,
    product::{Product, shell},
    s3::moto_server,
    tools::tool,
};

const BUCKET: &str = "altarflow-backups";
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

fn config() -> String {
    format!("{REPOSITORY}/config/altarflow.toml")
}

/// The shell commands of a page, by the headings that they stand under.
fn sections(page: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    let (mut in_block, mut in_chain) = (false, false);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            sections.push((heading.to_owned(), String::new()));
        } else if line == "```sh" {
            in_block = true;
        } else if line.starts_with("```") {
            if in_chain {
                // What fails in the middle of a chain does not end a script by itself.
                let (_, commands) = sections.last_mut().expect("a chain stands under a heading");
                *commands += "} || exit 1\n";
            }
            (in_block, in_chain) = (false, false);
        } else if in_block {
            let (_, commands) = sections.last_mut().expect("commands stand under a heading");
            if line == "set -o pipefail" {
                *commands += "{\n";
                in_chain = true;
            }
            *commands += line;
            if line.starts_with("reliquary audit") {
                // It says what is not as it should be, and that is not what is tested here.
                *commands += " || [ $? = 3 ]";
            } else if line.starts_with("aws s3api put-bucket-policy") {
                // It refuses whoever comes without TLS, as everybody does here.
                *commands += &format!("\naws s3api delete-bucket-policy --bucket {BUCKET}");
            }
            commands.push('\n');
        }
    }
    sections.retain(|(_, commands)| !commands.is_empty());
    sections
}

/// Runs every command of a page, each section into a new, empty database.
fn run(page: &str, server: &Server, variables: &[(&str, String)]) {
    let sections = sections(page);
    let headings: Vec<&str> = sections.iter().map(|(heading, _)| heading.as_str()).collect();
    assert_eq!(
        headings,
        [
            "A machine to restore from",
            "Restore with Reliquary",
            "Restore with stock tools",
            "A backup by hand",
            "Failure scenarios",
            "Hardening checklist",
            "Testing schedule",
        ]
    );
    let program: PathBuf = assert_cmd::cargo::cargo_bin!("reliquary").into();
    let first = format!("PATH={}:$PATH\n{}", program.parent().unwrap().display(), sections[0].1);
    for (at, (heading, commands)) in sections.iter().enumerate().skip(1) {
        // One new database for each that a section restores.
        let (dir, mut commands) = (tempfile::tempdir().unwrap(), commands.clone());
        let restores = commands.matches("Database").count().max(1);
        for number in 0..restores {
            server.create_database(&format!("new_{at}_{number}"));
        }
        commands = format!(
            "set -x\nexport NEW_DATABASE_URL={:?}\n{commands}",
            server.url(&format!("new_{at}_0"))
        );
        let said = shell(dir.path(), server, variables, &format!("{first}{commands}"));
        println!("== {heading}\n{said}");
        if heading.starts_with("Restore with") {
            let rows =
                server.psql(&format!("new_{at}_0"), "select count(*) from \"DonationTransaction\"");
            assert_eq!(rows.trim(), "2000", "{heading}: {said}");
        }
        if heading == "Restore with stock tools" {
            assert!(said.contains(".sql.gz: OK\n"), "{said}");
        }
    }
}

/// A page has its commands in blocks, which are run, and nowhere else.
fn commands_stand_in_blocks(page: &str) {
    for span in page.split('`').skip(1).step_by(2) {
        let commands = ["reliquary restore", "reliquary backup", "aws ", "psql ", "pg_dump "];
        let stray =
            commands.iter().any(|command| span.starts_with(command)) && !span.contains('\n');
        assert!(!stray, "`{span}` stands outside of a block");
    }
}

#[test]
fn the_runbook_of_the_first_user_is_what_the_program_prints() {
    let product = Product::bare().set("RELIQUARY_CONFIG", config());
    let printed = product.succeed(&["runbook", "--offline"]);
    assert_eq!(printed, product.succeed(&["runbook", "--offline"]));
    let kept = fs::read_to_string(Path::new(REPOSITORY).join("deploy/RUNBOOK.md")).unwrap();
    assert!(
        printed == kept,
        "it has changed; look at it, and keep it:\n  reliquary --config config/altarflow.toml \
         runbook --offline > deploy/RUNBOOK.md\n{printed}"
    );
    commands_stand_in_blocks(&kept);
    for part in [
        "engineering@altarflow.com",
        "Slack `#incidents`",
        "`altarflow-backups`",
        "`us-east-1`",
        "about 720 backups",
        "Post-recovery message",
        "sha256sum -c \"$BACKUP.sql.gz.sha256\"",
    ] {
        assert!(kept.contains(part), "{part}");
    }
    // The date of an example is none of today.
    let now = reliquary::clock::Clock::system().now();
    assert!(!kept.contains(&now.format("%Y-%m-%d").to_string()));
}

/// The test blocks on programs while moto runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_first_user_s_runbook_runs() {
    let moto = moto_server().await;
    moto.bucket(BUCKET).await;
    let (server, room) = (Server::start(15), room());
    donations(&server, "app");
    let mut variables = vec![
        ("RELIQUARY_CONFIG", config()),
        ("DIRECT_URL", server.url("app")),
        ("RELIQUARY__STORE__ENDPOINT", moto.endpoint.clone()),
        ("RELIQUARY__STORE__PATH_STYLE", "true".to_owned()),
        ("RELIQUARY__POSTGRES__CLIENT_DIRS", server.bin_dir().display().to_string()),
        ("RELIQUARY__DRILL__DIR", room.path().display().to_string()),
        ("RELIQUARY_GITHUB_TOKEN", "unused".to_owned()),
        ("AWS_ENDPOINT_URL", moto.endpoint.clone()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("BACKUP_PRINCIPAL", "arn:aws:iam::111122223333:role/backup".to_owned()),
        ("TABLE", "public.\"Church\"".to_owned()),
    ];
    let product =
        variables.iter().fold(Product::bare(), |product, (name, value)| product.set(name, value));
    report(&product, &["backup"]);
    let failed = reliquary::clock::Clock::system().now() + chrono::TimeDelta::seconds(1);
    variables.push(("FAILED_AT", failed.format("%Y-%m-%d %H:%M:%SZ").to_string()));
    let path = std::env::var("PATH").unwrap();
    let aws = tool("aws");
    assert!(aws.is_file(), "awscli is needed for this test; `tests/tools.sh venv` installs it");
    let path = format!("{}:{path}", aws.parent().unwrap().display());
    // The shell puts the server's own programs before it.
    variables.push(("TOOLS", path));
    let page = fs::read_to_string(Path::new(REPOSITORY).join("deploy/RUNBOOK.md")).unwrap();
    let page = page.replacen("```sh\n", "```sh\nPATH=$PATH:$TOOLS\n", 1);
    tokio::task::block_in_place(|| run(&page, &server, &variables));

    // With the bucket at hand it says what was done, and when it is due again.
    let product = variables.iter().fold(product, |product, (name, value)| product.set(name, value));
    let page = product.succeed(&["runbook"]);
    for part in [
        "## What there is",
        " (0 days ago) | ",
        ": passed | ",
        "| about ",
        "Database main, as audited at ",
        "| public_access | pass | ",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    commands_stand_in_blocks(&page);
}

#[test]
fn a_folder_with_several_databases_has_commands_that_run_too() {
    let (server, room) = (Server::start(15), room());
    donations(&server, "app");
    let product = Product::bare();
    let config = product.dir().join("several.toml");
    fs::write(
        &config,
        format!(
            "store.url = {:?}\n[databases.app]\nurl = {:?}\nprefix = \"app/\"\n\
             schedule = \"0 30 */6 * * *\"\nstale_after = \"13h\"\n",
            product.store_url(),
            server.url("app"),
        ),
    )
    .unwrap();
    let mut variables = vec![
        ("RELIQUARY_CONFIG", config.display().to_string()),
        ("RELIQUARY__POSTGRES__CLIENT_DIRS", server.bin_dir().display().to_string()),
        ("RELIQUARY__DRILL__DIR", room.path().display().to_string()),
        ("DIRECT_URL", server.url("app")),
        ("TABLE", "public.\"Church\"".to_owned()),
    ];
    let product = variables.iter().fold(product, |product, (name, value)| product.set(name, value));
    report(&product, &["backup"]);
    let failed = reliquary::clock::Clock::system().now() + chrono::TimeDelta::seconds(1);
    variables.push(("FAILED_AT", failed.format("%Y-%m-%d %H:%M:%SZ").to_string()));
    let page = product.succeed(&["runbook", "--offline"]);
    assert!(page.contains("Nobody is named yet"), "{page}");
    run(&page, &server, &variables);

    // With a second one each command says which it means.
    let text = fs::read_to_string(&config).unwrap();
    let second =
        format!("{text}[databases.other]\nurl = {:?}\nprefix = \"other/\"\n", server.url("app"));
    fs::write(&config, second).unwrap();
    let page = product.succeed(&["runbook", "--offline"]);
    for part in [
        "reliquary incident open -d other --failed-at \"$FAILED_AT\"",
        "reliquary backup -d app --manual",
        "cat ",
        "export RELIQUARY__DATABASES__OTHER__PREFIX=other/",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let page = product.succeed(&["runbook"]);
    assert!(page.contains("| other | **none** | 0 | unknown, no drill yet |"), "{page}");
}
