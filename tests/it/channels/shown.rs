//! `reliquary status` says which channels there are and whether each is reached.

use super::listener::{Listener, taken};
use crate::support::product::Product;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_names_the_channels_and_whether_each_could_be_reached() {
    let listener = Listener::start(|_, asked| {
        // GitHub knows neither repository nor token.
        if asked.path.starts_with("/repos") { (404, vec![], String::new()) } else { taken(asked) }
    })
    .await;
    let product = Product::bare();
    let store = product.store_url();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let product = product
        .set("RELIQUARY__STORE__URL", store)
        .set("DIRECT_URL", "postgres://nobody@127.0.0.1:1/x")
        .set("RELIQUARY__HTTP__LISTEN", format!("127.0.0.1:{port}"))
        .set("RELIQUARY__NOTIFY__WEBHOOK__URL", format!("{}/secret-hook", listener.url))
        .set("RELIQUARY__NOTIFY__GITHUB__REPOSITORY", "o/r")
        .set("RELIQUARY__NOTIFY__GITHUB__TOKEN", "token-of-github")
        .set("RELIQUARY__NOTIFY__GITHUB__API", &listener.url);
    std::fs::create_dir(product.store_dir()).unwrap();
    let run = |arguments: &'static [&'static str]| {
        let product = product.clone();
        tokio::task::spawn_blocking(move || product.run(arguments))
    };
    let output = run(&["status"]).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nchannels:\n  NOT github"), "{text}");
    assert!(text.contains("it answered 404"), "{text}");
    assert!(text.contains("  ok  webhook"), "{text}");
    assert!(!text.contains("secret-hook") && !text.contains("token-of-github"), "{text}");
    let output = run(&["--json", "status"]).await.unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["channels"]["webhook"]["error"].is_null(), "{document}");
    assert!(document["channels"]["github"]["error"].is_string(), "{document}");
    // A look tells nobody anything.
    assert!(listener.asked().iter().all(|asked| asked.method != "POST"));
}
