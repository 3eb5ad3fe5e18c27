//! The policies against the requests that the program really sends.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use reliquary::{
    audit::{document::Document, policies::Place},
    store::{S3Store, Store as _},
};
use serde_json::{Value, json};

use crate::support::{
    postgres::Server,
    product::Product,
    s3::{self, S3Server, Verdict},
};

/// An action and what it is done to, as a policy names them.
type Asked = (String, String);

/// What S3 asks a right for, from a request's method and target; the table of
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>,
/// as far as Reliquary goes.
fn right(method: &str, target: &str) -> Option<Asked> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    if path.starts_with("/v20180820/configuration/publicAccessBlock") {
        return Some(("s3:GetAccountPublicAccessBlock".to_owned(), "*".to_owned()));
    }
    // The token service, which anybody may ask.
    let path = path.strip_prefix("/backups")?;
    let key = path.strip_prefix('/').unwrap_or_default();
    let bucket = "arn:aws:s3:::backups".to_owned();
    if key.is_empty() {
        let action = match method {
            "GET" if has("encryption") => "GetEncryptionConfiguration",
            "GET" if has("publicAccessBlock") => "GetBucketPublicAccessBlock",
            "GET" if has("policy") => "GetBucketPolicy",
            "GET" if has("ownershipControls") => "GetBucketOwnershipControls",
            "GET" if has("acl") => "GetBucketAcl",
            "GET" if has("versioning") => "GetBucketVersioning",
            "GET" if has("object-lock") => "GetBucketObjectLockConfiguration",
            "GET" if has("logging") => "GetBucketLogging",
            "GET" if has("lifecycle") => "GetLifecycleConfiguration",
            "GET" if has("uploads") => "ListBucketMultipartUploads",
            "GET" if has("list-type") => "ListBucket",
            "HEAD" => "ListBucket",
            // Of each key by itself; here they are all below one prefix.
            "POST" if has("delete") => {
                return Some(("s3:DeleteObject".to_owned(), format!("{bucket}/database/x")));
            }
            _ => panic!("no right is known for {method} {target}"),
        };
        return Some((format!("s3:{action}"), bucket));
    }
    let action = match method {
        "GET" | "HEAD" => "GetObject",
        "PUT" | "POST" => "PutObject",
        "DELETE" if has("uploadId") => "AbortMultipartUpload",
        "DELETE" => "DeleteObject",
        _ => panic!("no right is known for {method} {target}"),
    };
    Some((format!("s3:{action}"), format!("{bucket}/{key}")))
}

/// A server that notes what is asked of it, and refuses parts while it is told to.
struct Noting {
    server: S3Server,
    asked: Arc<Mutex<BTreeSet<Asked>>>,
    refuse_parts: Arc<AtomicBool>,
}

impl Noting {
    async fn start() -> Self {
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let refuse_parts = Arc::new(AtomicBool::new(false));
        let (noted, refuses) = (Arc::clone(&asked), Arc::clone(&refuse_parts));
        let server = s3::s3s_server_with(Arc::new(move |method, target| {
            noted.lock().unwrap().extend(right(method, target));
            if refuses.load(Ordering::Relaxed) && target.contains("partNumber") {
                Verdict::Refuse(403, "AccessDenied")
            } else {
                Verdict::Pass
            }
        }))
        .await;
        Self { server, asked, refuse_parts }
    }

    fn take(&self) -> BTreeSet<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn place() -> Place {
    Place {
        bucket: "backups".to_owned(),
        prefixes: vec!["database/".to_owned()],
        kms_key: None,
        region: "us-east-1".to_owned(),
    }
}

/// The policy lets do all that was done, and nothing that was not.
#[track_caller]
fn fits(policy: &Value, asked: &BTreeSet<Asked>) {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Principal"] = json!("*");
    }
    let document = Document::parse(&policy.to_string()).unwrap();
    for (action, resource) in asked {
        let allowed = document.statements.iter().any(|statement| {
            statement.allows
                && statement.covers_action(&action.to_ascii_lowercase())
                && statement.covers_resource(resource)
        });
        assert!(allowed, "{action} on {resource} is done, and not allowed");
    }
    for statement in &document.statements {
        for action in &statement.actions {
            let done = asked.iter().any(|(asked, resource)| {
                asked.to_ascii_lowercase() == *action && statement.covers_resource(resource)
            });
            assert!(done, "{action} is allowed by {:?}, and never done", statement.sid);
        }
    }
}

#[tokio::test]
async fn each_policy_allows_what_the_program_does_and_no_more() {
    let noting = Noting::start().await;
    let server = tokio::task::spawn_blocking(|| {
        let server = Server::start(15);
        server.create_database("shop");
        // More than a part of what does not compress.
        server.psql(
            "shop",
            "create table t (i int, m text);
             insert into t select i, md5(i::text) || md5((-i)::text) from generate_series(1, 200000) i",
        );
        server
    })
    .await
    .unwrap();
    let product = Product::of(&server, "shop")
        .into_s3(&noting.server, "backups")
        .set("RELIQUARY__STORE__PART_SIZE", "5MiB")
        .set("RELIQUARY__DATABASES__MAIN__ATTEMPTS", "1")
        .set("RELIQUARY__SWEEP__MODE", "lifecycle");
    let store = S3Store::connect(noting.server.options()).await.unwrap();
    // What the audit asks as well, where a token service names the account.
    let (address, _) = store.whereabouts().await;
    store.account_public_access("111122223333", &address).await;
    let (product, server, noting) = tokio::task::spawn_blocking(move || {
        let asked_of_the_account = noting.take();
        the_writer_s_day(&product, &noting);
        let mut written = noting.take();
        written.extend(asked_of_the_account);
        // Tried, to see whether it is refused.
        let probe = |(action, resource): &Asked| {
            action == "s3:DeleteObject" && resource.ends_with("/audit/probe.sql.gz")
        };
        assert!(written.iter().any(probe));
        fits(&place().writer(), &written.into_iter().filter(|asked| !probe(asked)).collect());

        for read in [
            &["list"][..],
            &["show"],
            &["fetch", "-o", "fetched.sql.gz"],
            &["verify", "--no-record"],
            &["restore", "--to", "-"],
            &["incident", "open"],
        ] {
            product.succeed(read);
        }
        fits(&place().restorer(), &noting.take());
        (product, server, noting)
    })
    .await
    .unwrap();

    // What the keeper may do beside the writer's work is the sweep's.
    store.account_public_access("111122223333", &address).await;
    store.delete_many(&["database/x".to_owned()]).await.unwrap();
    // The server cannot list them; what it is asked for counts.
    let _ = store.unfinished_uploads("database/").await;
    let (noting, swept) = tokio::task::spawn_blocking(move || {
        let swept = noting.take();
        the_writer_s_day(&product, &noting);
        drop(server);
        (noting, swept)
    })
    .await
    .unwrap();
    let mut kept = noting.take();
    kept.extend(swept);
    fits(&place().keeper(), &kept);
}

/// Everything that a daemon does without a sweep.
fn the_writer_s_day(product: &Product, noting: &Noting) {
    noting.refuse_parts.store(true, Ordering::Relaxed);
    assert!(!product.run(&["backup"]).status.success());
    noting.refuse_parts.store(false, Ordering::Relaxed);
    product.succeed(&["backup"]);
    product.succeed(&["verify"]);
    // One that is damaged, and mended again: a verdict takes the other's place.
    let archive = archive(&noting.server);
    let whole = std::fs::read(&archive).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&archive, damaged).unwrap();
    assert_eq!(product.run(&["verify"]).status.code(), Some(3));
    std::fs::write(&archive, whole).unwrap();
    product.succeed(&["verify", "--all"]);
    product.run(&["audit"]);
}

/// The newest archive's file.
fn archive(server: &S3Server) -> std::path::PathBuf {
    let mut found: Vec<std::path::PathBuf> = walkdir::WalkDir::new(server.dir.join("backups"))
        .into_iter()
        .flatten()
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.to_string_lossy().ends_with(".sql.gz"))
        .filter(|path| !path.to_string_lossy().contains("probe"))
        .collect();
    found.sort();
    found.pop().unwrap()
}
