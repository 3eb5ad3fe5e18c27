//! Settings on a machine that only reads what is stored.

use super::{Place, whole};

/// A new machine may have the old one's settings, and not its secrets.
#[test]
fn a_url_that_cannot_be_had_is_a_warning_where_only_the_store_is_read() {
    for (key, value) in [("url_env", "NOWHERE"), ("url_file", "no/such/file")] {
        let text = format!("store.url = \"s3://bucket\"\n[databases.app]\n{key} = \"{value}\"\n");
        let mut place = Place::with_file(&text);
        assert!(place.problems()[0].starts_with(&format!("databases.app.{key}: ")));
        place.sources.store_only = true;
        let (settings, warnings) = place.load().unwrap();
        assert!(settings.databases["app"].url.is_none());
        // There is a source, and a restore must not take another's silence for none.
        let unread = settings.databases["app"].unread.as_deref();
        assert_eq!(unread, Some(&*format!("databases.app.{key}")));
        assert!(warnings[0].path == format!("databases.app.{key}"), "{warnings:?}");
        assert_eq!(warnings.len(), 1);
    }
    let mut place = Place::with_file("store.url = \"s3://bucket\"");
    assert_eq!(place.problems().len(), 1);
    place.sources.store_only = true;
    let settings = place.settings();
    assert_eq!(settings.databases["main"].prefix, "database/");
    assert_eq!(settings.databases["main"].unread, None);
}

/// A restore asks the source who it is, so that it never becomes the target.
#[test]
fn a_url_that_is_there_and_wrong_is_a_problem_even_where_only_the_store_is_read() {
    let mut place = Place::with_file(&whole("")).env(&[]);
    place.sources.store_only = true;
    assert!(place.settings().databases["main"].url.is_some());
    let mut place =
        Place::with_file("store.url = \"s3://bucket\"\ndatabases.main.url = \"nonsense\"");
    place.sources.store_only = true;
    assert!(place.problems()[0].starts_with("databases.main.url: "));
    let mut place =
        Place::with_file("store.url = \"s3://bucket\"").env(&[("DIRECT_URL", "nonsense")]);
    place.sources.store_only = true;
    assert!(place.problems()[0].starts_with("DIRECT_URL: "));
}

/// On the worst night the installation's own file must do, without its tokens.
#[test]
fn secrets_of_channels_and_of_http_are_not_needed_where_only_the_store_is_read() {
    let mut place = Place::with_file(
        "store.url = \"s3://bucket\"\nhttp.token_env = \"NOWHERE\"\n\
         [notify.github]\nrepository = \"me/app\"\ntoken_env = \"NOWHERE\"\n",
    )
    .env(&[("DIRECT_URL", "postgres://me@db.example/app")]);
    assert_eq!(place.problems().len(), 2);
    place.sources.store_only = true;
    let (_, warnings) = place.load().unwrap();
    let paths: Vec<&str> = warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(paths, ["http.token_env", "notify.github.token_env"]);
}
