//! What a person reads, and what a machine does.

use serde_json::Value;

use crate::{
    cli::{filters, told},
    support::{postgres::Server, product::Product},
};

#[test]
fn a_folder_on_the_database_s_own_machine() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start(15);
    server.create_database("shop");
    let product = Product::of(&server, "shop");
    std::fs::create_dir(product.store_dir()).unwrap();
    std::fs::set_permissions(product.store_dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let audit = product.run(&["audit"]);
    assert_eq!(audit.status.code(), Some(3));
    let mut settings = filters(&product);
    // Two programs' versions, on two lines.
    settings.add_filter(r"server's own major: [^\n]*\n[^\n]*", "server's own major: [programs]");
    settings.add_filter(r"PostgreSQL 15\.\d+", "PostgreSQL [15.x]");
    settings.add_filter(r"belongs to user \d+", "belongs to user [number]");
    settings.bind(|| insta::assert_snapshot!("audit_of_a_folder", told(&audit)));

    let json: Value = serde_json::from_slice(&product.run(&["--json", "audit"]).stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["database"], "main");
    let fails = json["findings"].as_array().unwrap().iter().filter(|f| f["result"] == "fail");
    assert_eq!(json["checks"]["fail"], fails.count());
    let folder = &json["findings"][0];
    assert_eq!(folder["check"], "store_folder");
    assert!(folder["fix"].as_str().unwrap().starts_with("chmod 750 "), "{folder}");
    let exempt = json["not_applicable"].as_array().unwrap();
    assert!(exempt.iter().any(|exempt| exempt["check"] == "encryption"));
    // Nothing is left behind.
    assert!(!product.store_dir().join("database/audit/probe.sql.gz").exists());
}

#[test]
fn policies_are_for_buckets() {
    let product = Product::bare().set("DIRECT_URL", "postgresql://user@db.example.com/app");
    let folder = product.store_url();
    let product = product.set("RELIQUARY__STORE__URL", folder);
    let output = product.run(&["policy", "writer"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("store.url"));
}

#[test]
fn policies_are_for_this_very_configuration() {
    let product = Product::bare()
        .set("DIRECT_URL", "postgresql://user@db.example.com/app")
        .set("RELIQUARY__STORE__URL", "s3://my-backups")
        .set("RELIQUARY__STORE__REGION", "eu-west-1")
        .set("RELIQUARY__DATABASES__MAIN__PREFIX", "app/")
        .set("RELIQUARY__STORE__ENCRYPTION", "sse-kms")
        .set("RELIQUARY__STORE__KMS_KEY_ID", "arn:aws:kms:eu-west-1:111122223333:key/k");
    let principal = "arn:aws:iam::111122223333:role/backup";
    let all = product.run(&["policy", "--principal", principal]);
    assert!(all.status.success());
    filters(&product).bind(|| insta::assert_snapshot!("policies", told(&all)));
    let one = product.succeed(&["policy", "restorer"]);
    let one: Value = serde_json::from_str(&one).unwrap();
    let all: Value =
        serde_json::from_str(&product.succeed(&["--json", "policy", "--principal", principal]))
            .unwrap();
    assert_eq!(all["restorer"], one);
    let bad = product.run(&["policy", "bucket", "--principal", "everybody"]);
    assert_eq!(bad.status.code(), Some(2));
}
