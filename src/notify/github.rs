//! GitHub: one labelled issue for each problem. It is opened with what was
//! found and what to do, commented on while the problem lasts, and closed when
//! it is over. A line in its text, not seen by people, tells which problem it
//! is for, so that a new process finds it again.
//!
//! <https://docs.github.com/en/rest/issues/issues>

use async_trait::async_trait;
use hyper::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Client, Deliver, Message, Notice, SendError,
    client::{Answer, Ask},
    text::{cut, digest, markdown},
};
use crate::words::Event;

/// GitHub takes 65,536 characters.
const LONGEST_BODY: usize = 60_000;
const LONGEST_TITLE: usize = 250;
/// So many issues a page.
const PAGE: usize = 100;
/// So many pages of open issues of the one label are looked through.
const PAGES: usize = 10;

/// Where the issues are.
#[derive(Clone, Debug)]
pub struct GitHubOptions {
    /// `https://api.github.com`, or that of a GitHub of one's own.
    pub api: String,
    /// `owner/name`
    pub repository: String,
    /// A token that may read and write the repository's issues.
    pub token: SecretString,
    /// The issues' label.
    pub label: String,
}

/// Tells by issues.
#[derive(Debug)]
pub struct GitHub {
    client: Client,
    options: GitHubOptions,
}

#[derive(Deserialize)]
struct Issue {
    number: u64,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    pull_request: Option<Value>,
}

impl GitHub {
    /// Tells through this client.
    #[must_use]
    pub fn new(client: Client, options: GitHubOptions) -> Self {
        Self { client, options }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, SendError> {
        let GitHubOptions { api, repository, token, .. } = &self.options;
        let url = format!("{}/repos/{repository}{path}", api.trim_end_matches('/'));
        self.client
            .ask(Ask {
                method,
                url: &url,
                headers: vec![
                    ("authorization", format!("Bearer {}", token.expose_secret())),
                    ("accept", "application/vnd.github+json".to_owned()),
                    ("x-github-api-version", "2022-11-28".to_owned()),
                ],
                body: body.map(|body| ("application/json", body.to_string().into_bytes())),
                secrets: vec![token],
            })
            .await
    }

    /// The open issue of a problem. The oldest one, should there be several.
    async fn find(&self, marker: &str) -> Result<Option<u64>, SendError> {
        let label: String =
            url::form_urlencoded::byte_serialize(self.options.label.as_bytes()).collect();
        for page in 1..=PAGES {
            let path = format!(
                "/issues?state=open&labels={label}&sort=created&direction=asc\
                 &per_page={PAGE}&page={page}"
            );
            let answer = self.call(Method::GET, &path, None).await?;
            let issues: Vec<Issue> = serde_json::from_slice(&answer.body)
                .map_err(|_| SendError::Answer("it is no list of issues"))?;
            let count = issues.len();
            let ours = issues.into_iter().find(|issue| {
                issue.pull_request.is_none()
                    && issue.body.as_ref().is_some_and(|body| body.contains(marker))
            });
            if ours.is_some() || count < PAGE {
                return Ok(ours.map(|issue| issue.number));
            }
        }
        Ok(None)
    }

    async fn create(&self, notice: &Notice, marker: &str) -> Result<u64, SendError> {
        let body = format!("{}\n\n{marker}", cut(&markdown(notice), LONGEST_BODY));
        let issue = json!({
            "title": cut(&notice.title, LONGEST_TITLE),
            "body": body,
            "labels": [self.options.label],
        });
        let answer = self.call(Method::POST, "/issues", Some(issue)).await?;
        let issue: Issue = serde_json::from_slice(&answer.body)
            .map_err(|_| SendError::Answer("it is no issue"))?;
        Ok(issue.number)
    }

    async fn comment(&self, number: u64, notice: &Notice) -> Result<(), SendError> {
        let body = format!("**{}**\n\n{}", notice.title, markdown(notice));
        let comment = json!({ "body": cut(&body, LONGEST_BODY) });
        let path = format!("/issues/{number}/comments");
        self.call(Method::POST, &path, Some(comment)).await.map(drop)
    }

    async fn close(&self, number: u64) -> Result<(), SendError> {
        let closed = json!({ "state": "closed", "state_reason": "completed" });
        self.call(Method::PATCH, &format!("/issues/{number}"), Some(closed)).await.map(drop)
    }
}

#[async_trait]
impl Deliver for GitHub {
    async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let Message::Notice(notice) = message else { return Ok(()) };
        let marker = format!("<!-- reliquary:{} -->", digest(notice));
        let open = self.find(&marker).await?;
        match (notice.event, open) {
            (Event::Resolved, Some(number)) => {
                self.comment(number, notice).await?;
                self.close(number).await
            }
            (Event::Test, open) => {
                let number = match open {
                    Some(number) => number,
                    None => self.create(notice, &marker).await?,
                };
                self.close(number).await
            }
            (Event::Opened | Event::Reminder, Some(number)) => self.comment(number, notice).await,
            (Event::Opened | Event::Reminder, None) => self.create(notice, &marker).await.map(drop),
            // A person has closed it already; and what is only good to know is
            // no issue.
            (Event::Resolved, None) | (Event::Info, _) => Ok(()),
        }
    }

    async fn probe(&self) -> Result<(), SendError> {
        self.call(Method::GET, "", None).await.map(drop)
    }

    fn takes(&self, message: &Message) -> bool {
        matches!(message, Message::Notice(notice) if notice.event != Event::Info)
    }
}
