//! Secrets: three ways to give them, no way to read them back.

use proptest::prelude::*;
use reliquary::settings::Encryption;
use rstest::rstest;
use secrecy::ExposeSecret;

use super::{Place, URL, whole};

#[test]
fn a_secret_may_be_given_in_each_of_three_ways_but_not_in_two() {
    let place = Place::with_file(
        r#"
        [store]
        url = "s3://bucket"
        encryption = "sse-kms"
        access_key_id = "AKIAEXAMPLE"
        secret_access_key_file = "secret"
        session_token_env = "SESSION_TOKEN"
        [databases.main]
        url_file = "url"
        "#,
    )
    .env(&[("SESSION_TOKEN", "from-env\n")]);
    place.write("secret", "from-file\r\n", 0o600);
    place.write("url", format!("{URL}\n"), 0o600);
    let settings = place.settings();
    let credentials = settings.store.credentials.unwrap();
    assert_eq!(credentials.access_key_id, "AKIAEXAMPLE");
    assert_eq!(credentials.secret_access_key.expose_secret(), "from-file");
    assert_eq!(credentials.session_token.unwrap().expose_secret(), "from-env\n");
    assert_eq!(settings.databases["main"].url.as_ref().unwrap().expose_secret(), URL);
    assert_eq!(settings.store.encryption, Encryption::SseKms(None));

    let place = place.env(&[("RELIQUARY__DATABASES__MAIN__URL", URL)]);
    assert_eq!(
        place.problems(),
        ["databases.main.url: is given twice: by `databases.main.url` (environment) and \
          `databases.main.url_file` (file); keep one"]
    );
}

#[rstest]
#[case("http.token_file = \"absent\"", "http.token_file: names a file that does not exist")]
#[case("http.token_file = \"empty\"", "http.token_file: names a file that is empty")]
#[case("http.token_file = \"config\"", "http.token_file: names a folder")]
#[case("http.token_file = \"binary\"", "cannot be read as UTF-8")]
#[case("http.token_file = \"long\"", "too long")]
#[case("http.token_env = \"NOT_SET\"", "names the environment variable NOT_SET, which is not set")]
#[case("http.token_env = \"IS_EMPTY\"", "names the environment variable IS_EMPTY, which is empty")]
#[case("http.token_env = \"hunter2\"", "names an environment variable that is not set")]
#[case("http.token = \"\"", "http.token: is empty")]
fn a_secret_that_cannot_be_had_is_reported_by_its_key(#[case] extra: &str, #[case] says: &str) {
    let place = Place::with_file(&whole(extra)).env(&[("IS_EMPTY", "")]);
    place.write("empty", "\n", 0o600);
    place.write("binary", [0xff, 0xfe], 0o600);
    place.write("long", "x".repeat(65_537), 0o600);
    let problems = place.problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains(says), "{problems:#?}");
}

#[test]
fn a_secret_that_everybody_may_read_is_warned_about() {
    let place = Place::with_file(&whole("http.token_file = \"token\""));
    place.write("token", "a-token-of-enough-length", 0o644);
    let warnings = place.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].starts_with("http.token_file: "));

    place.write("token", "a-token-of-enough-length", 0o600);
    place.write("config/reliquary.toml", whole(""), 0o644);
    let warnings = place.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].starts_with("databases.main.url: stands in a settings file"));
}

/// Where a secret can be, in the file and in the environment.
const SECRETS: [(&str, &str); 4] = [
    ("databases.main.url", "RELIQUARY__DATABASES__MAIN__URL"),
    ("store.secret_access_key", "RELIQUARY__STORE__SECRET_ACCESS_KEY"),
    ("store.session_token", "RELIQUARY__STORE__SESSION_TOKEN"),
    ("http.token", "RELIQUARY__HTTP__TOKEN"),
];

/// Mistakes that may stand beside; `§` is where a secret was put by mistake.
const MISTAKES: [&str; 17] = [
    "store.url = '§'",
    "store.region = '§'",
    "store.endpoint = 'https://u:§@h'",
    "store.encryption = '§'",
    "store.part_size = '§'",
    "store.concurrency = '§'",
    "store.path_style = '§'",
    "databases.main.schedule = '§'",
    "databases.main.stale_after = '§'",
    "databases.main.prefix = '/§'",
    "databases.main.exclude.tables = ['§']",
    "databases.main.paswort = '§'",
    "databases.main.url_file = '§'",
    "http.listen = '§'",
    "log.filter = '§=§'",
    "archive = '§'",
    "postgres.client_dirs = '§'",
];

#[derive(Clone, Copy, Debug)]
enum Form {
    Absent,
    Inline,
    Override,
    Variable,
    File,
    Number,
    Twice,
}

fn everything_said(
    secret: &str,
    url: &str,
    forms: &[Form],
    mistakes: &[bool],
    broken: bool,
) -> String {
    let mut place = Place::empty();
    place.write("secret-for-url", format!("{url}\n"), 0o644);
    place.write("secret", format!("{secret}\n"), 0o644);
    let quoted = |text: &str| toml::Value::from(text).to_string();
    // What AWS calls an id opens nothing by itself: it is shown.
    let mut lines = vec!["store.access_key_id = 'AKIAEXAMPLE'".to_owned()];
    for ((path, variable), form) in SECRETS.iter().zip(forms) {
        let is_url = path.ends_with("url");
        let value = if is_url { url } else { secret };
        let from_file = if is_url { "secret-for-url" } else { "secret" };
        if matches!(form, Form::Inline | Form::Twice) {
            lines.push(format!("{path} = {}", quoted(value)));
        }
        if matches!(form, Form::File | Form::Twice) {
            lines.push(format!("{path}_file = '{from_file}'"));
        }
        if matches!(form, Form::Variable) {
            lines.push(format!("{path}_env = 'THE_{variable}'"));
            place = place.env(&[(&format!("THE_{variable}"), value)]);
        }
        if matches!(form, Form::Override) {
            place = place.env(&[(variable, value)]);
        }
        if matches!(form, Form::Number)
            && secret.parse::<i64>().is_ok_and(|n| n.to_string() == *secret)
        {
            lines.push(format!("{path} = {secret}"));
        }
    }
    let wrong: Vec<_> = MISTAKES
        .iter()
        .zip(mistakes)
        .filter(|(_, wanted)| **wanted)
        .map(|(line, _)| line)
        .collect();
    if !wrong.iter().any(|line| line.starts_with("store.url")) {
        lines.push("store.url = 's3://bucket'".to_owned());
    }
    let misplaced = !wrong.is_empty();
    for line in wrong {
        let (key, template) = line.split_once(" = ").unwrap();
        if lines.iter().any(|line| line.starts_with(&format!("{key} ="))) {
            continue;
        }
        let plain = template.trim_matches(['[', ']']).trim_matches('\'');
        let value = quoted(&plain.replace('§', secret));
        let is_list = template.starts_with('[');
        lines.push(if is_list { format!("{key} = [{value}]") } else { format!("{key} = {value}") });
    }
    if broken {
        lines.push(format!("http.listen == {}", quoted(secret)));
    }
    place.write("config/reliquary.toml", lines.join("\n"), 0o644);
    match place.load() {
        // A text that was taken for a region, say, is no secret any more.
        Ok((_, warnings)) if misplaced => format!("{warnings:?}"),
        Ok((settings, warnings)) => format!(
            "{settings:?}\n{settings:#?}\n{warnings:?}\n{}\n{}",
            settings.render_json(),
            settings.render_toml(),
        ),
        Err(problems) => format!("{problems}\n{problems:?}\n{:?}", place.sources),
    }
}

fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[1-9][0-9]{5,17}",
        "[A-Za-z0-9+/]{40}",
        "[ -~]{6,40}",
        "[^\\x00]{6,30}",
        "[\"'\\\\#@:/%${}\\[\\]]{2,8}[a-z]{6}",
    ]
    .prop_filter("long enough to be told from chance", |secret| secret.trim().chars().count() >= 6)
}

fn form() -> impl Strategy<Value = Form> {
    use Form::{Absent, File, Inline, Number, Override, Twice, Variable};
    prop_oneof![
        3 => Just(Inline),
        2 => Just(Override),
        2 => Just(Variable),
        2 => Just(File),
        1 => Just(Absent),
        1 => Just(Number),
        1 => Just(Twice),
    ]
}

proptest! {
    #[test]
    fn no_secret_is_ever_said(
        secret in secret(),
        encoded in any::<bool>(),
        forms in proptest::collection::vec(form(), SECRETS.len()),
        mistakes in prop_oneof![
            Just(vec![false; MISTAKES.len()]),
            proptest::collection::vec(proptest::bool::weighted(0.1), MISTAKES.len()),
        ],
        broken in proptest::bool::weighted(0.05),
    ) {
        let in_url: String = if encoded {
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()
        } else {
            secret.clone()
        };
        let url = format!("postgres://backup:{in_url}@db.example.com/app");
        let said = everything_said(&secret, &url, &forms, &mistakes, broken);
        let debugged = format!("{secret:?}");
        let as_json = serde_json::to_string(&secret).unwrap();
        for spelling in [
            secret.trim(),
            in_url.trim(),
            debugged.trim_matches('"').trim(),
            as_json.trim_matches('"').trim(),
        ] {
            prop_assert!(!said.contains(spelling), "{spelling} is in: {said}");
        }
    }
}
