//! The restore commands of the disaster-recovery runbook, as a person types
//! them, work on what is in the bucket.

use std::fs;

use reliquary::archive::Manifest;

use crate::support::{
    postgres::{Server, assert_same_dump},
    product::{Product, contents, shell},
    s3::{S3Server, s3s_server},
    tools::tool,
};

const BUCKET: &str = "altarflow-backups";
const PART_SIZE: u64 = 5 * 1024 * 1024;

/// The test blocks on programs while the S3 server runs on another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runbook_restores_what_is_in_the_bucket() {
    let server = Server::start(15);
    server.create_database("nasty");
    server.load_nasty("nasty");
    let s3 = s3s_server().await;
    fs::create_dir(s3.dir.join(BUCKET)).unwrap();
    let product = Product::of(&server, "nasty")
        .into_s3(&s3, BUCKET)
        .set("RELIQUARY__STORE__PART_SIZE", "5MiB");
    let report: serde_json::Value =
        serde_json::from_str(&product.succeed(&["--json", "backup"])).unwrap();
    let id = report["id"].as_str().unwrap();
    let folder = format!("database/{}/{}", &id[..4], &id[5..7]);
    let uri = format!("s3://{BUCKET}/{folder}/{id}.sql.gz");
    assert_eq!(report["uri"], uri);
    let bytes = report["archive_bytes"].as_u64().unwrap();
    assert!(bytes > 2 * PART_SIZE, "an archive of {bytes} bytes is too small for three parts");

    server.create_database("dest");
    server.psql("dest", "create table public.leftover (id int)");
    let dir = tempfile::tempdir().unwrap();
    let mut variables = terminal(&s3);
    variables.extend([
        ("FOLDER", format!("s3://{BUCKET}/{folder}")),
        ("TIMESTAMP", id.to_owned()),
        ("DEST_URL", server.url("dest")),
    ]);
    let run = |lines: &str| shell(dir.path(), &server, &variables, lines);
    // 1. Download backup + checksum
    run(r#"
        "$AWS" s3 cp "$FOLDER/$TIMESTAMP.sql.gz" .
        "$AWS" s3 cp "s3://altarflow-backups/database/LATEST.sha256" LATEST.sha256
        "$AWS" s3 cp "s3://altarflow-backups/database/LATEST.txt" LATEST.txt
    "#);
    let latest = fs::read_to_string(dir.path().join("LATEST.txt")).unwrap();
    assert_eq!(latest, format!("{id}\n{uri}\n{}\n", report["sha256"].as_str().unwrap()));
    // 2. Verify integrity BEFORE decompressing
    let said = run(r#"
        grep "$TIMESTAMP" LATEST.sha256 > backup.sha256
        sha256sum -c backup.sha256
    "#);
    assert_eq!(said, format!("{id}.sql.gz: OK\n"));
    run(r#"gunzip "$TIMESTAMP.sql.gz""#);
    // 3. Restore into target database
    run(r#"
        psql "$DEST_URL" -v ON_ERROR_STOP=1 -c 'DROP SCHEMA public CASCADE; CREATE SCHEMA public;'
        psql "$DEST_URL" -v ON_ERROR_STOP=1 < "$TIMESTAMP.sql"
    "#);

    let manifest = s3.dir.join(BUCKET).join(&folder).join(format!("{id}.manifest.json"));
    let manifest = Manifest::parse(&fs::read(manifest).unwrap()).unwrap();
    assert_eq!(contents(&server, "nasty", &manifest), contents(&server, "dest", &manifest));
    // What dropping the schema took away and no dump brings back.
    server.psql(
        "dest",
        "alter schema public owner to pg_database_owner;
         comment on schema public is 'standard public schema';",
    );
    assert_same_dump(&server.dump_plain("nasty"), &server.dump_plain("dest"));
}

/// The environment of a person who uses awscli, and nothing of ours.
fn terminal(s3: &S3Server) -> Vec<(&'static str, String)> {
    let aws = tool("aws");
    assert!(aws.is_file(), "awscli is needed for this test; `tests/tools.sh venv` installs it");
    vec![
        ("AWS", aws.display().to_string()),
        ("AWS_ACCESS_KEY_ID", s3.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", s3.secret.clone()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL", s3.endpoint.clone()),
        ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
    ]
}
