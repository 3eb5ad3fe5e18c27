use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::notify::test_server::{Received, Reply, Server};

fn github(server: &Server) -> GitHub {
    let options = GitHubOptions {
        api: server.url.clone(),
        repository: "o/r".to_owned(),
        token: "token-of-github".into(),
        label: "backup failure".to_owned(),
    };
    GitHub::new(client(), options)
}

/// As much of GitHub as is used. It begins with issues of other people.
async fn github_server() -> Server {
    let others = vec![
        json!({ "number": 1, "body": null, "state": "open" }),
        json!({ "number": 2, "body": "somebody's own", "state": "open" }),
    ];
    let issues: Mutex<Vec<Value>> = Mutex::new(others);
    Server::start(move |_, asked: &Received| {
        let mut issues = issues.lock().unwrap();
        match asked.line().as_str() {
            line if line.starts_with("GET /repos/o/r/issues?") => {
                let open: Vec<_> = issues.iter().filter(|i| i["state"] == "open").collect();
                Reply::ok(json!(open).to_string())
            }
            "POST /repos/o/r/issues" => {
                let mut issue = asked.json();
                issue["number"] = json!(issues.len() + 1);
                issue["state"] = json!("open");
                issues.push(issue.clone());
                Reply { status: 201, ..Reply::ok(issue.to_string()) }
            }
            line if line.starts_with("PATCH /repos/o/r/issues/") => {
                let number: usize = line.rsplit('/').next().unwrap().parse().unwrap();
                issues[number - 1]["state"] = asked.json()["state"].clone();
                Reply::ok(issues[number - 1].to_string())
            }
            "GET /repos/o/r" => Reply::ok("{}"),
            line if line.ends_with("/comments") => Reply { status: 201, ..Reply::ok("{}") },
            _ => Reply::status(404),
        }
    })
    .await
}

#[tokio::test]
async fn a_problem_is_one_issue_over_a_restart_until_it_is_over() {
    const FIND: &str = "GET /repos/o/r/issues?state=open&labels=backup+failure&sort=created\
                        &direction=asc&per_page=100&page=1";
    let server = github_server().await;
    github(&server).deliver(&message(Event::Opened)).await.unwrap();
    // Each one knows nothing of the others.
    github(&server).deliver(&message(Event::Reminder)).await.unwrap();
    github(&server).deliver(&message(Event::Resolved)).await.unwrap();
    // It is closed, so there is nothing left to be said.
    github(&server).deliver(&message(Event::Resolved)).await.unwrap();
    let expected = [
        FIND,
        "POST /repos/o/r/issues",
        FIND,
        "POST /repos/o/r/issues/3/comments",
        FIND,
        "POST /repos/o/r/issues/3/comments",
        "PATCH /repos/o/r/issues/3",
        FIND,
    ];
    assert_eq!(server.lines(), expected);
    let received = server.received();
    for asked in &received {
        assert_eq!(asked.header("authorization"), "Bearer token-of-github");
        assert_eq!(asked.header("accept"), "application/vnd.github+json");
        assert_eq!(asked.header("x-github-api-version"), "2022-11-28");
        assert!(asked.header("user-agent").starts_with("reliquary/"));
    }
    let issue = received[1].json();
    assert_eq!(issue["title"], "main: there is no fresh backup");
    assert_eq!(issue["labels"], json!(["backup failure"]));
    let body = issue["body"].as_str().unwrap();
    // A fence that nothing found can end.
    let found = "**Found**\n```\nlast_run: failed <at> upload & more\n''' @all\n```\n";
    assert!(body.contains(found), "{body}");
    assert!(body.contains("**What to do**\n- Look at the bucket.\n"), "{body}");
    assert!(body.contains("**Commands**\n```\nreliquary status -d main\n```\n"), "{body}");
    let marker = body.lines().last().unwrap();
    assert!(marker.starts_with("<!-- reliquary:") && marker.len() == 15 + 64 + 4, "{marker}");
    let closed = json!({ "state": "closed", "state_reason": "completed" });
    assert_eq!(received[6].json(), closed);
}

#[tokio::test]
async fn a_problem_of_another_database_is_another_issue() {
    let server = github_server().await;
    github(&server).deliver(&message(Event::Opened)).await.unwrap();
    let other = Notice { place: "s3://b/other/".to_owned(), ..notice(Event::Resolved) };
    github(&server).deliver(&Message::Notice(other)).await.unwrap();
    assert_eq!(server.lines().len(), 3, "nothing of the other one is closed");
}

#[tokio::test]
async fn a_test_opens_an_issue_and_closes_it() {
    let server = github_server().await;
    github(&server).deliver(&message(Event::Test)).await.unwrap();
    github(&server).probe().await.unwrap();
    let lines = server.lines();
    assert_eq!(
        lines[1..],
        ["POST /repos/o/r/issues", "PATCH /repos/o/r/issues/3", "GET /repos/o/r"]
    );
    assert!(!github(&server).takes(&message(Event::Info)));
}

#[tokio::test]
async fn its_limit_is_a_403_with_the_time_to_wait() {
    let server = Server::start(|_, _| Reply {
        status: 403,
        headers: vec![("retry-after", "60".to_owned())],
        body: r#"{"message":"secondary rate limit"}"#.to_owned(),
    })
    .await;
    let error = github(&server).deliver(&message(Event::Opened)).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(error.retry_after(), Some(Duration::from_mins(1)));
    let server = Server::start(|_, _| Reply::status(403)).await;
    let error = github(&server).probe().await.unwrap_err();
    assert!(!error.is_transient());
    assert_eq!(error.to_string(), "deliver: it answered 403");
}
