//! What a person reads of a restore, word for word, and what nobody may read.

use std::path::PathBuf;

use super::{process, restored, said, shop};
use crate::{
    cli::{filters, told},
    support::{
        postgres::{Server, ServerOptions},
        product::Product,
    },
};

fn snapshot(name: &str, product: &Product, server: &Server, arguments: &[&str]) {
    let url = server.url("copy");
    let output = product.run(&[&["restore", "--to", &url], arguments].concat());
    let mut settings = filters(product);
    for (volatile, stands_for) in [
        (r" +\d+\.\d s\b", " [seconds]"),
        (r"15\.\d+ \(Debian[^)]*\)", "[15.x]"),
        (r"(in|of) +\[size\]", "$1 [size]"),
    ] {
        settings.add_filter(volatile, stands_for);
    }
    settings.bind(|| insta::assert_snapshot!(name, told(&output)));
}

#[test]
fn the_plan_and_the_report_are_plain() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    snapshot("plan", &product, &server, &["--dry-run"]);
    snapshot("report", &product, &server, &["--jobs", "1"]);
    snapshot("refused", &product, &server, &[]);
    snapshot("plan_refused", &product, &server, &["--dry-run"]);
    let table = ["--table", "public.donor", "--clean"];
    snapshot("plan_table", &product, &server, &[&table[..], &["--dry-run"]].concat());
    server.psql("copy", "drop table donation, donor; drop type mood; drop function touch");
    snapshot("report_table", &product, &server, &["--table", "public.donation", "--jobs", "1"]);
    snapshot("clean_needs_a_yes", &product, &server, &["--clean"]);
    let plan = product.run(&["--json", "restore", "--to", &server.url("copy"), "--dry-run"]);
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    for key in [
        "outcome",
        "backup",
        "database",
        "members",
        "archive_bytes",
        "rows",
        "steps",
        "skipped",
        "left_out",
        "warnings",
        "refusals",
    ] {
        assert!(plan.get(key).is_some(), "{key}: {plan}");
    }
    assert_eq!(plan["outcome"], "refused");
}

/// Where both outputs are read in one place, as on a terminal.
#[test]
fn what_is_left_out_is_said_once() {
    let server = Server::start(15);
    shop(&server, "shop");
    let product = Product::of(&server, "shop");
    product.backup(&[]);
    server.create_database("copy");
    let url = server.url("copy");
    let both = std::fs::File::create(product.dir().join("both")).unwrap();
    let mut restore =
        product.command(&["restore", "--to", &url, "--table", "public.donation", "--jobs", "1"]);
    restore.stdout(both.try_clone().unwrap()).stderr(both);
    assert!(restore.status().unwrap().success());
    let text = std::fs::read_to_string(product.dir().join("both")).unwrap();
    assert_eq!(text.matches("left out   foreign key donation_donor_fkey").count(), 1, "{text}");
    assert!(text.contains("restored ") && text.contains("proven: "), "{text}");
    // Who reads the report alone has all of it.
    server.psql("copy", "drop table donation");
    let output = product.run(&["restore", "--to", &url, "--table", "public.donation"]);
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("left out   foreign key donation_donor_fkey"), "{report}");
}

const PASSWORD: &str = "Tr0ub4dor-and-3-secrets";

/// A good run, a failed one, a refused one and one in the middle are overheard.
#[test]
fn the_password_is_said_nowhere() {
    let server = Server::start_with(15, ServerOptions { tcp: true, ..ServerOptions::default() });
    server.psql("postgres", &format!("create role keeper superuser login password '{PASSWORD}'"));
    process::waits(&server, "rows", true);
    let product = Product::of(&server, "rows").set("RELIQUARY__LOG__FILTER", "trace");
    product.backup(&[]);
    let mut texts = Vec::new();
    server.create_database("copy");
    let url = |database: &str| server.tcp_url(database, "keeper", PASSWORD);
    // From the environment, from a file, from a password file, and (with a
    // warning) from the arguments.
    let file = product.dir().join("url");
    std::fs::write(&file, url("copy")).unwrap();
    let bare = url("copy").replace(&format!(":{PASSWORD}"), "");
    let passfile = product.dir().join("pgpass");
    std::fs::write(&passfile, format!("*:*:*:keeper:{PASSWORD}\n")).unwrap();
    let file = format!("file:{}", file.display());
    let passfile = passfile.display().to_string();
    let given = url("copy");
    for (variable, to) in [
        (("TARGET", url("copy")), "env:TARGET"),
        (("NOTHING", String::new()), file.as_str()),
        (("PGPASSWORD", PASSWORD.to_owned()), bare.as_str()),
        (("PGPASSFILE", passfile), bare.as_str()),
        (("NOTHING", String::new()), given.as_str()),
    ] {
        let mut restore = product.command(&["-vv", "restore", "--to", to, "--clean", "--yes"]);
        let output = restore.env(variable.0, variable.1).output().unwrap();
        let text = said(&output);
        assert!(output.status.success(), "{to}: {text}");
        assert_eq!(text.contains("password stands in the arguments"), to == given, "{text}");
        texts.push(text);
    }
    // A refusal, a wrong database, and the middle of a run.
    let product = product.set("TARGET", url("copy")).set("NOWHERE", url("nowhere"));
    for arguments in [
        &["restore", "--to", "env:TARGET"][..],
        &["restore", "--to", "env:NOWHERE"],
        &["--json", "restore", "--to", "env:TARGET", "--dry-run"],
        &["restore", "--to-env", "MISSING"],
    ] {
        let output = product.run(arguments);
        assert!(!output.status.success());
        texts.push(said(&output));
    }
    let lock = process::Lock::hold(&server, "copy");
    let mut child = process::stuck(&product, &server, "copy", &["--clean", "--yes"]);
    texts.extend(arguments());
    child.kill().unwrap();
    child.wait().unwrap();
    lock.release(&server, "copy");
    for text in texts {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    // Of a legacy archive psql does it all, and is seen by everyone.
    let id = "2026-01-02T03-00-00Z";
    let folder = product.store_dir().join("database/2026/01");
    std::fs::create_dir_all(&folder).unwrap();
    let line = format!("pg_dump \"$URL\" | gzip > {id}.sql.gz");
    crate::support::product::shell(&folder, &server, &[("URL", server.url("rows"))], &line);
    server.psql("postgres", "create database old template template0");
    let product = product.set("TARGET", url("old"));
    let lock = process::Lock::hold(&server, "old");
    let mut restore = product.command(&["restore", id, "--to", "env:TARGET"]);
    let mut child = process::start(&mut restore, &server, "old");
    let seen = arguments();
    assert!(seen.iter().any(|line| line.contains("ON_ERROR_STOP") && line.contains("--file=-")));
    assert!(seen.iter().all(|line| !line.contains(PASSWORD)), "{seen:#?}");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id().try_into().unwrap()),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(process::no_sessions(&server, "old"));
    lock.release(&server, "old");
    restored(&product, &server, "old", &[id, "--clean", "--yes"]);
}

/// The arguments of every process of this machine that can be seen.
fn arguments() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| {
            let path: PathBuf = process.path().join("cmdline");
            let bytes = std::fs::read(path).ok()?;
            Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
        })
        .collect()
}
