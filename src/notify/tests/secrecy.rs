use ::secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::notify::test_server::{Reply, Server};

const PASSWORD: &str = "correct-horse";
const ROW: &str = "anna@example.com";

#[tokio::test]
async fn no_channel_gets_a_secret_or_a_row() {
    let server = Server::start(|_, _| Reply { status: 201, ..Reply::ok("[]") }).await;
    let url = |path: &str| SecretString::from(format!("{}/{path}", server.url));
    let all: Vec<(ChannelKind, Arc<dyn Deliver>)> = vec![
        (ChannelKind::Slack, Arc::new(Slack::new(client(), url("slack")))),
        (ChannelKind::Discord, Arc::new(Discord::new(client(), url("discord")))),
        (ChannelKind::Teams, Arc::new(Teams::new(client(), url("teams")))),
        (ChannelKind::Webhook, Arc::new(Webhook::new(client(), url("hook"), None))),
        (ChannelKind::Pagerduty, Arc::new(PagerDuty::new(client(), &server.url, "k".into()))),
        (
            ChannelKind::Github,
            Arc::new(GitHub::new(
                client(),
                GitHubOptions {
                    api: server.url.clone(),
                    repository: "o/r".to_owned(),
                    token: "t".into(),
                    label: "l".to_owned(),
                },
            )),
        ),
    ];
    let route = Route { severity: Severity::Info, databases: vec![] };
    let channels: Vec<_> = all
        .into_iter()
        .map(|(kind, deliver)| Channel { kind, route: route.clone(), deliver })
        .collect();
    let timing = Timing { deadline: Duration::from_secs(20), ..Timing::default() };
    let scrub = Scrub::new(vec![PASSWORD.into()]);
    let (desk, deliveries) = Desk::new(channels, scrub, timing, Arc::new(|_, _| {}));
    let hostile = format!("duplicate key of {PASSWORD}\nDETAIL: Key (email)=({ROW}) exists.");
    let notice = notice(Event::Opened).map_texts(|_| hostile.clone());
    desk.send(Message::Notice(notice));
    drop(desk);
    for delivery in deliveries {
        delivery.run(CancellationToken::new()).await;
    }
    let received = server.received();
    let told: std::collections::BTreeSet<_> =
        received.iter().filter(|a| !a.body.is_empty()).map(|a| a.path.clone()).collect();
    assert_eq!(told.len(), 6, "{told:?}");
    for asked in received {
        let text = String::from_utf8_lossy(&asked.body);
        assert!(!text.contains(PASSWORD) && !text.contains(ROW), "{text}");
        // In Markdown, stars are written out.
        let plain = text.replace("\\\\*", "*");
        assert!(text.is_empty() || plain.contains("duplicate key of ********"), "{text}");
    }
}

#[tokio::test]
async fn no_error_repeats_an_address_or_a_token() {
    let server = Server::start(|_, asked| {
        let said = format!("bad path {} and {}", asked.path, asked.header("authorization"));
        Reply { status: 400, ..Reply::ok(said) }
    })
    .await;
    let slack = Slack::new(client(), format!("{}/services/T0/secret", server.url).into());
    let github = GitHub::new(
        client(),
        GitHubOptions {
            api: server.url.clone(),
            repository: "o/r".to_owned(),
            token: "token-of-github".into(),
            label: "l".to_owned(),
        },
    );
    let channels: [&dyn Deliver; 2] = [&slack, &github];
    for channel in channels {
        let error = channel.deliver(&message(Event::Opened)).await.unwrap_err();
        assert_eq!(error.to_string(), "deliver: it answered 400");
        assert!(!format!("{channel:?}").contains("secret"), "{channel:?}");
        assert!(!format!("{channel:?}").contains("token-of-github"), "{channel:?}");
    }
}
