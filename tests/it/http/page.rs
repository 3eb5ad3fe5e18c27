//! The status page as a client gets it.

use std::io::Read as _;

use axum::http::HeaderMap;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use flate2::read::GzDecoder;
use reliquary::{
    http::{App, Token},
    words::{JobKind, Stage},
};
use reqwest::{Client, Response, StatusCode, header};
use secrecy::SecretString;

use super::{PATIENCE, Server};
use crate::live_state::{at, busy, filled, young};

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

async fn browse(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Client::new().get(format!("http://{}{path}", server.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn page(server: &Server) -> String {
    browse(server, "/", &[("accept", HTML)]).await.text().await.unwrap()
}

#[tokio::test]
async fn a_browser_gets_the_page_and_a_terminal_the_list() {
    let server = Server::of(busy().1).await;
    let shown = browse(&server, "/", &[("accept", HTML)]).await;
    assert_eq!(shown.status(), StatusCode::OK);
    let headers: HeaderMap = shown.headers().clone();
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
    assert!(headers[header::VARY].to_str().unwrap().contains("accept"));
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let body = shown.text().await.unwrap();
    assert!(body.starts_with("<!DOCTYPE html>"), "{body}");
    for name in ["billing", "main"] {
        assert!(body.contains(&format!(">{name}")), "{name}");
    }
    let listed = browse(&server, "/", &[("accept", "*/*")]).await;
    assert_eq!(listed.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    let listed = listed.text().await.unwrap();
    assert!(listed.contains("GET  /healthz") && !listed.contains("/backups"), "{listed}");
    let script = browse(&server, "/page.js", &[]).await;
    assert_eq!(script.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
}

/// What a store says of whoever asks it is on no page, guarded or not.
#[tokio::test]
async fn whoever_asks_the_store_is_named_nowhere() {
    let (_, app) = busy();
    let said = "list s3://altarflow-backups/database/: access denied (HTTP 403: AccessDenied: \
                User: arn:aws:iam::111122223333:user/ada is not authorized to perform: \
                s3:ListBucket)";
    app.state.update("main", |database| database.catalog_error = Some(said.to_owned()));
    let server = Server::of(app).await;
    for path in ["/", "/status", "/healthz"] {
        let body = browse(&server, path, &[("accept", HTML)]).await.text().await.unwrap();
        assert!(body.contains("s3:ListBucket)"), "{path}: {body}");
        assert!(!body.contains("111122223333") && !body.contains("user/ada"), "{path}: {body}");
    }
}

/// Nothing of where the source or the store is, and none of the settings' secrets.
#[tokio::test]
async fn no_secret_host_or_user_is_on_it() {
    let (_, app) = busy();
    let token = Some(Token::new(&SecretString::from("a-long-token")));
    let server = Server::of(App { token, ..app }).await;
    let body = page(&server).await;
    for word in ["a-long-token", "postgres:", "localhost", "127.0.0.1", "/home", "/root", "@"] {
        let style = body.find("<style>").unwrap()..body.find("</style>").unwrap();
        let rest = [&body[..style.start], &body[style.end..]].concat();
        assert!(!rest.contains(word), "{word}");
    }
}

#[tokio::test]
async fn it_travels_squeezed_for_who_can_read_that() {
    let server = Server::of(filled(720).1).await;
    let plain = page(&server).await;
    let headers = [("accept", HTML), ("accept-encoding", "br, gzip")];
    let squeezed = browse(&server, "/", &headers).await;
    assert_eq!(squeezed.headers()[header::CONTENT_ENCODING], "gzip");
    let bytes = squeezed.bytes().await.unwrap();
    let mut text = String::new();
    GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    assert_eq!(text, plain);
    // Thirty days of hourly backups, every slot with its details.
    assert!(plain.len() < 250_000, "{}", plain.len());
    assert!(bytes.len() < 30_000, "{}", bytes.len());
}

#[tokio::test]
async fn where_a_password_is_set_only_who_shows_it_sees_page_and_status() {
    let password = Some(Token::new(&SecretString::from("open-sesame-0123456789")));
    let server = Server::of(App { password, ..busy().1 }).await;
    let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
    let right = basic("whoever:open-sesame-0123456789");
    for path in ["/", "/status", "/events"] {
        let wrong = basic("whoever:open-sesame");
        for shown in ["", &wrong, "Bearer open-sesame", "Basic", "Bearer "] {
            let refused =
                browse(&server, path, &[("accept", HTML), ("authorization", shown)]).await;
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path} {shown:?}");
            let challenge = refused.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
            assert!(challenge.starts_with("Basic realm="), "{challenge}");
            let body = refused.text().await.unwrap();
            assert!(!body.contains("billing") && !body.contains("sesame"), "{body}");
        }
        for shown in [right.as_str(), "Bearer open-sesame-0123456789"] {
            let seen = browse(&server, path, &[("accept", HTML), ("authorization", shown)]).await;
            assert_eq!(seen.status(), StatusCode::OK, "{path} {shown:?}");
        }
    }
    // What machines ask stays open, and says nothing that needs hiding.
    for path in ["/livez", "/last-success?database=billing", "/metrics", "/page.js"] {
        assert_eq!(browse(&server, path, &[]).await.status(), StatusCode::OK, "{path}");
    }
    // The list of routes with its version is for who may see the page.
    let listed = browse(&server, "/", &[("accept", "*/*")]).await;
    assert_eq!(listed.status(), StatusCode::UNAUTHORIZED);
    assert!(!listed.text().await.unwrap().contains("0.1.0"));
    let listed = browse(&server, "/", &[("authorization", right.as_str())]).await;
    assert!(listed.text().await.unwrap().starts_with("reliquary 0.1.0\n"));
}

/// The next event of a stream, as it came.
async fn event(response: &mut Response) -> String {
    let mut text = String::new();
    while !text.contains("\n\n") {
        let piece = tokio::time::timeout(PATIENCE, response.chunk()).await.unwrap().unwrap();
        let Some(piece) = piece else { return format!("{text}(end)") };
        text += std::str::from_utf8(&piece).unwrap();
    }
    text
}

#[tokio::test]
async fn an_open_page_is_told_what_has_changed_and_how_far_a_run_is() {
    let (clock, app) = filled(3);
    let server = Server::of(app.clone()).await;
    let mut response = browse(&server, "/events", &[]).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    // Time alone changes nothing.
    clock.advance(TimeDelta::minutes(1));
    let progress =
        app.state.update("main", |database| database.began(JobKind::Backup, at(30))).unwrap();
    assert_eq!(event(&mut response).await, "event: change\ndata: -\n\n");
    progress.enter(Stage::Dump);
    progress.add_dump_bytes(5_000_000);
    let told = event(&mut response).await;
    assert!(told.starts_with("event: progress\ndata: "), "{told}");
    assert!(told.contains("at stage <strong>dump</strong>: 4.8 MiB of dump read"), "{told}");
    app.state.set_stopping();
    while !event(&mut response).await.ends_with("(end)") {}
}

#[tokio::test]
async fn more_pages_than_there_are_places_are_sent_away_and_find_one_when_others_leave() {
    let server = Server::of(young().1).await;
    let mut open = Vec::new();
    for _ in 0..32 {
        let response = browse(&server, "/events", &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    let refused = browse(&server, "/events", &[]).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.get("/livez").await.0, StatusCode::OK);
    open.clear();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while browse(&server, "/events", &[]).await.status() != StatusCode::OK {
        assert!(tokio::time::Instant::now() < deadline, "no place became free");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
