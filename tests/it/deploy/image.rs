//! The Dockerfile. That the image builds and works is `tests/image.sh`'s to say.

use super::{BTreeMap, URL, is_pinned, settings, text, understood};

/// The instructions, with their continued lines joined and without comments.
fn instructions() -> Vec<(String, String)> {
    let text = text("Dockerfile");
    let lines = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let lines = lines.replace("\\\n", " ");
    let words = lines.lines().filter_map(|line| line.trim().split_once(' '));
    words.map(|(name, rest)| (name.to_owned(), rest.trim().to_owned())).collect()
}

/// What every instruction of this name says in the last stage.
fn last_stage(name: &str) -> Vec<String> {
    let all = instructions();
    let last = all.iter().rposition(|(name, _)| name == "FROM").unwrap();
    let of_it = all[last..].iter().filter(|(instruction, _)| instruction == name);
    of_it.map(|(_, rest)| rest.clone()).collect()
}

/// The words of `["a", "b"]`.
fn exec(form: &str) -> Vec<String> {
    serde_json::from_str(&form[form.find('[').unwrap()..]).unwrap()
}

#[test]
fn the_bases_are_pinned_by_digest() {
    let images: Vec<_> = instructions()
        .into_iter()
        .filter(|(name, rest)| name == "ARG" && rest.contains("_IMAGE="))
        .collect();
    assert_eq!(images.len(), 2);
    for (_, rest) in images {
        let image = rest.split_once('=').unwrap().1;
        assert!(is_pinned(image) && image.contains("@sha256:"), "{image}");
    }
}

#[test]
fn its_settings_load_and_its_commands_are_understood() {
    let mut env = BTreeMap::new();
    for line in last_stage("ENV") {
        for variable in line.split_whitespace() {
            let (name, value) = variable.split_once('=').unwrap();
            env.insert(name.to_owned(), value.to_owned());
        }
    }
    env.insert("DIRECT_URL".to_owned(), URL.to_owned());
    env.insert("RELIQUARY__STORE__URL".to_owned(), "s3://my-backups".to_owned());
    let dir = tempfile::tempdir().unwrap();
    let settings = settings("Dockerfile", env, "", dir.path());
    assert_eq!(settings.http.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(last_stage("EXPOSE"), ["8080"]);

    let check = exec(&last_stage("HEALTHCHECK")[0]);
    assert_eq!(check[..2], ["reliquary", "status"]);
    understood("HEALTHCHECK", &check[1..]);
    understood("CMD", &exec(&last_stage("CMD")[0]));
    assert_eq!(exec(&last_stage("ENTRYPOINT")[0]), ["reliquary"]);
}

#[test]
fn it_runs_as_a_number_that_is_not_root_and_writes_to_one_volume() {
    let user = last_stage("USER");
    assert_eq!(user, ["10001:10001"], "a number, so that Kubernetes can tell it is not root");
    assert_eq!(last_stage("VOLUME"), ["/var/lib/reliquary"]);
    assert_eq!(last_stage("STOPSIGNAL"), ["SIGTERM"]);
}

#[test]
fn its_label_is_the_program_s_version() {
    let version = last_stage("ARG")
        .into_iter()
        .find_map(|argument| argument.strip_prefix("VERSION=").map(str::to_owned));
    assert_eq!(version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
}
