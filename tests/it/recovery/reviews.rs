//! Reviews: recorded in the bucket, read back from it at a start.

use std::{process::Stdio, time::Duration};

use reliquary::catalog::BackupId;
use serde_json::Value;

use super::{installation, report};
use crate::support::product::Product;

/// Waits for the daemon's metrics to hold lines; a daemon of its own, ended at once.
fn metrics_hold(product: &Product, wanted: &[&str]) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let product = product.clone().set("RELIQUARY__HTTP__LISTEN", &*address);
    let mut daemon =
        product.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(40);
    let mut text = String::new();
    loop {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = runtime.block_on(async {
            reqwest::get(format!("http://{address}/metrics")).await.ok()?.text().await.ok()
        });
        text = asked.unwrap_or(text);
        if wanted.iter().all(|line| text.contains(line)) {
            break;
        }
        if std::time::Instant::now() > deadline {
            let _ = daemon.kill();
            panic!("{wanted:?} did not come:\n{text}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[test]
fn the_time_of_each_review_comes_from_the_bucket_at_the_start() {
    let (_server, product) = installation();
    product.backup(&[]);
    let last = |review: &str, time: i64| {
        let labels = format!("{{database=\"main\",review=\"{review}\"}}");
        format!("reliquary_last_review_timestamp_seconds{labels} {time}\n")
    };
    metrics_hold(&product, &[&last("drill", 0), &last("runbook", 0)]);
    // One of long ago, as another machine recorded it, and one of now.
    let old = product.store_dir().join("database/reviews/2020-01-01T00-00-00Z.drill.json");
    std::fs::create_dir_all(old.parent().unwrap()).unwrap();
    std::fs::write(old, "{}").unwrap();
    let reviewed =
        report(&product, &["runbook", "reviewed", "--by", "ann", "--note", "contacts are right"]);
    let review = &reviewed["reviews"][0];
    assert_eq!(review["what"], "runbook");
    assert_eq!(review["by"], "ann");
    let id = review["id"].as_str().unwrap();
    let path = product.store_dir().join(format!("database/reviews/{id}.runbook.json"));
    let stored: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(stored["note"], "contacts are right");
    let now = id.parse::<BackupId>().unwrap().time().timestamp();
    metrics_hold(&product, &[&last("drill", 1_577_836_800), &last("runbook", now)]);
    // A second one of the same second replaces nothing.
    for _ in 0..3 {
        product.succeed(&["runbook", "reviewed", "drill"]);
    }
    let stored = std::fs::read_dir(product.store_dir().join("database/reviews")).unwrap().count();
    assert_eq!(stored, 5);
}
