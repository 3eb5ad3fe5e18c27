//! Settings, from file and environment to what holds or to every mistake.

mod mistakes;
mod secrets;
mod store_only;

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use reliquary::settings::{
    ChecksumMode, LogFormat, Problem, Problems, SameDatabase, Settings, Sources, StoreLocation,
    SweepMode, UrlCheck, load,
};
use rstest::rstest;
use secrecy::ExposeSecret;
use tempfile::TempDir;

const URL: &str = "postgres://backup:hunter2hunter2@db.example.com:5432/app";

/// A folder with `config/reliquary.toml` in it, and an environment.
struct Place {
    dir: TempDir,
    sources: Sources,
}

impl Place {
    fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url_check: Option<UrlCheck> = Some(reliquary::app::check_url);
        let dir_path = dir.path().to_owned();
        let same_database: Option<SameDatabase> = Some(reliquary::app::same_database);
        let sources = Sources { dir: dir_path, url_check, same_database, ..Sources::default() };
        Self { dir, sources }
    }

    fn with_file(text: &str) -> Self {
        let place = Self::empty();
        place.write("config/reliquary.toml", text, 0o600);
        place
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn env(mut self, variables: &[(&str, &str)]) -> Self {
        for (name, value) in variables {
            self.sources.env.insert((*name).to_owned(), (*value).to_owned());
        }
        self
    }

    fn load(&self) -> Result<(Settings, Vec<Problem>), Problems> {
        load(&self.sources)
    }

    fn settings(&self) -> Settings {
        let (settings, warnings) = self.load().unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(warnings, [], "no warnings are expected here");
        settings
    }

    fn warnings(&self) -> Vec<String> {
        let (_, warnings) = self.load().unwrap_or_else(|problems| panic!("{problems}"));
        warnings.iter().map(ToString::to_string).collect()
    }

    fn problems(&self) -> Vec<String> {
        let problems = self.load().expect_err("a problem is expected");
        problems.as_slice().iter().map(ToString::to_string).collect()
    }
}

/// A small whole file with `extra` after it.
fn whole(extra: &str) -> String {
    format!("store.url = \"s3://bucket\"\ndatabases.main.url = \"{URL}\"\n{extra}\n")
}

#[test]
fn the_environment_alone_is_enough() {
    let settings = Place::empty()
        .env(&[("DIRECT_URL", URL), ("RELIQUARY__STORE__URL", "s3://b-1")])
        .settings();
    assert_eq!(settings.store.location, StoreLocation::S3 { bucket: "b-1".to_owned() });
    assert_eq!(settings.file, None);
    let main = &settings.databases["main"];
    assert_eq!(main.url.as_ref().unwrap().expose_secret(), URL);
    assert_eq!(main.prefix, "database/");
    assert_eq!(main.schedule.line, "0 0 * * * *");
    assert_eq!(main.stale_after, Duration::from_hours(2));
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
    assert!(settings.store.credentials.is_none());
}

#[test]
fn nothing_at_all_says_what_is_needed() {
    let problems = Place::empty().problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].starts_with("databases: none is configured"), "{problems:#?}");
    assert!(problems[0].contains("DIRECT_URL"));
    assert!(problems[1].starts_with("store.url: is missing"));
}

#[test]
fn the_environment_overrides_the_file_and_its_texts_become_numbers_flags_and_lists() {
    let settings = Place::with_file(&whole("store.concurrency = 2\narchive.threads = 1")).env(&[
        ("RELIQUARY__STORE__CONCURRENCY", "7"),
        ("RELIQUARY__STORE__PATH_STYLE", "true"),
        ("RELIQUARY__STORE__PART_SIZE", "16MiB"),
        ("RELIQUARY__STORE__CHECKSUM", "none"),
        ("RELIQUARY__POSTGRES__CLIENT_DIRS", "/opt/a, /opt/b"),
        ("RELIQUARY__DATABASES__MAIN__STALE_AFTER", "3h"),
        ("RELIQUARY__DATABASES__MAIN__EXCLUDE__TABLES", "public.a,public.b"),
        ("RELIQUARY__HTTP__TOKEN", "01234567890123456789"),
        ("RELIQUARY__HTTP__LISTEN", "[::]:9000"),
        ("RELIQUARY__LOG__FORMAT", ""),
        ("RELIQUARY_UNRELATED", "x"),
    ]);
    let settings = settings.settings();
    assert_eq!(settings.store.concurrency, 7);
    assert!(settings.store.path_style);
    assert_eq!(settings.store.part_size, 16 << 20);
    assert_eq!(settings.store.checksum, ChecksumMode::Md5);
    assert_eq!(settings.archive.threads, 1);
    assert_eq!(settings.client_dirs, [Path::new("/opt/a"), Path::new("/opt/b")]);
    assert_eq!(settings.databases["main"].stale_after, Duration::from_hours(3));
    assert_eq!(settings.databases["main"].exclude.tables, ["public.a", "public.b"]);
    let token = settings.http.token.unwrap();
    assert_eq!(token.expose_secret(), "01234567890123456789", "a number keeps its zeros");
    assert_eq!(settings.http.listen.to_string(), "[::]:9000");
    assert_eq!(settings.log.format, LogFormat::Auto, "an empty variable is not set");
}

#[test]
fn files_are_looked_for_in_their_order_and_a_named_one_must_exist() {
    let mut place = Place::with_file(&whole("log.filter = \"debug\""));
    place.write("named.toml", whole("log.filter = \"trace\""), 0o600);
    place.write("variable.toml", whole("log.filter = \"error\""), 0o600);
    place.write("system.toml", whole("log.filter = \"warn\""), 0o600);
    place.sources.system_file = Some(place.dir.path().join("system.toml"));
    let filter = |place: &Place| place.settings().log.filter;
    assert_eq!(filter(&place), "debug");
    fs::remove_file(place.dir.path().join("config/reliquary.toml")).unwrap();
    assert_eq!(filter(&place), "warn");
    place = place.env(&[("RELIQUARY_CONFIG", "variable.toml")]);
    assert_eq!(filter(&place), "error");
    place.sources.config = Some("named.toml".into());
    assert_eq!(filter(&place), "trace");

    place.sources.config = Some("absent.toml".into());
    let problems = place.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("--config: "), "{problems:?}");
    assert!(problems[0].ends_with("absent.toml cannot be read: there is no such file"));
    place.sources.config = None;
    let place = place.env(&[("RELIQUARY_CONFIG", "absent.toml")]);
    assert!(place.problems()[0].starts_with("RELIQUARY_CONFIG: "));
}

#[test]
fn several_databases_need_prefixes_that_do_not_overlap() {
    let database = |name: &str, prefix: &str| {
        format!("[databases.{name}]\nurl = \"{URL}\"\nprefix = \"{prefix}\"\n")
    };
    let file = |databases: &[String]| {
        Place::with_file(&format!("store.url = \"s3://bucket\"\n{}", databases.concat()))
    };
    let settings = file(&[database("a", "a"), database("b", "ab/")]).settings();
    assert_eq!(settings.databases["a"].prefix, "a/");
    assert_eq!(settings.databases["b"].name, "b");

    let problems =
        file(&[database("a", "x"), database("b", "x/y"), database("c", "x/")]).problems();
    assert_eq!(
        problems,
        [
            "databases.a.prefix: holds `databases.b.prefix`: \
             each database needs a folder of its own",
            "databases.a.prefix: is the same as `databases.c.prefix`: \
             each database needs a folder of its own",
            "databases.b.prefix: lies within `databases.c.prefix`: \
             each database needs a folder of its own",
        ]
    );

    let place = Place::empty().env(&[
        ("RELIQUARY__STORE__URL", "s3://bucket"),
        ("RELIQUARY__DATABASES__ONE__URL", URL),
        ("RELIQUARY__DATABASES__TWO__PREFIX", "two"),
        ("DIRECT_URL", URL),
    ]);
    let problems = place.problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].starts_with("databases.one.prefix: is missing"), "{problems:#?}");
    assert!(problems[1].starts_with("databases.two.url: is missing"), "{problems:#?}");
}

#[test]
fn direct_url_is_read_for_the_only_database_and_blamed_by_its_name() {
    let place = Place::with_file("store.url = \"s3://bucket\"\ndatabases.app.prefix = \"app\"");
    let place = place.env(&[("DIRECT_URL", URL)]);
    assert_eq!(place.settings().databases["app"].url.as_ref().unwrap().expose_secret(), URL);
    let place = place.env(&[("DIRECT_URL", "mysql://h/db")]);
    assert_eq!(place.problems(), ["DIRECT_URL: it must begin with postgres:// or postgresql://"]);
}

#[test]
fn rust_log_is_read_where_the_filter_is_off() {
    let place = Place::with_file(&whole("")).env(&[("RUST_LOG", "reliquary=trace")]);
    assert_eq!(place.settings().log.filter, "reliquary=trace");
    let place = place.env(&[("RELIQUARY__LOG__FILTER", "warn")]);
    assert_eq!(place.settings().log.filter, "warn");
    let place = Place::with_file(&whole("")).env(&[("RUST_LOG", "=====")]);
    assert!(place.problems()[0].starts_with("RUST_LOG: "));
}

#[test]
fn a_database_may_keep_and_sweep_otherwise() {
    let database =
        |name: &str| format!("[databases.{name}]\nurl = \"{URL}\"\nprefix = \"{name}/\"\n");
    let general = "[retention]\nkeep_for = \"7d\"\ndaily = 14\n[sweep]\nenabled = false\n";
    let own = "retention.keep_last = 5\nretention.yearly = 3\nsweep.mode = \"lifecycle\"\n";
    let file =
        ["store.url = \"s3://b-1\"\n", general, &database("a"), &database("b"), own].concat();
    let settings = Place::with_file(&file).settings();
    let [a, b] = ["a", "b"].map(|name| &settings.databases[name]);
    assert_eq!(a.retention, settings.retention);
    assert_eq!((a.retention.keep_for, a.retention.keep_last), (Duration::from_hours(168), 24));
    assert_eq!(a.retention.tiers, [0, 14, 0, 0, 0]);
    assert_eq!((b.retention.keep_last, b.retention.tiers), (5, [0, 14, 0, 0, 3]));
    assert_eq!(b.retention.keep_for, a.retention.keep_for);
    assert_eq!((a.sweep.mode, b.sweep.mode), (SweepMode::Delete, SweepMode::Lifecycle));
    assert!(!b.sweep.enabled);

    let problems = Place::with_file(&whole(
        "[retention]\nkeep_for = \"59m\"\nkeep_last = 0\nweekly = -1\n[sweep]\n\
         mode = \"shred\"\nschedule = \"@daily\"",
    ))
    .problems();
    let paths: Vec<_> = problems.iter().map(|line| line.split(": ").next().unwrap()).collect();
    let [keep_for, keep_last, weekly] = ["keep_for", "keep_last", "weekly"];
    let retention = [keep_for, keep_last, weekly].map(|key| format!("retention.{key}"));
    assert_eq!(paths[..3], retention, "{problems:#?}");
    assert_eq!(paths[3..], ["sweep.mode", "sweep.schedule"], "{problems:#?}");
}

#[test]
fn a_sweep_that_would_always_be_refused_is_warned_of() {
    let warnings = |extra: &str| Place::with_file(&whole(extra)).warnings();
    let few = "retention.keep_for = \"6h\"\nretention.keep_last = 3\n";
    let told = warnings(few);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("keeps about 6 backups, and about 24 are made"), "{told:#?}");
    let monthly = "sweep.schedule = \"0 0 6 1 * *\"";
    assert_eq!(warnings(monthly).len(), 1);
    for enough in [
        "",
        "retention.keep_for = \"1d\"",
        &format!("{few}retention.daily = 18"),
        &format!("{few}sweep.schedule = \"0 15 * * * *\""),
        &format!("{few}sweep.enabled = false"),
        "databases.main.schedule = \"0 0 9-17 * * MON-FRI\"\ndatabases.main.stale_after = \"3d\"",
    ] {
        assert_eq!(warnings(enough), [] as [String; 0], "{enough}");
    }
}

#[test]
fn the_reference_holds_the_defaults() {
    let environment = [("DIRECT_URL", URL), ("RELIQUARY__STORE__URL", "s3://bucket")];
    let reference = include_str!("../../config/reliquary.toml");
    let mut written = Place::with_file(reference).env(&environment).settings();
    assert!(written.file.take().is_some());
    let defaults = Place::empty().env(&environment).settings();
    assert_eq!(format!("{written:?}"), format!("{defaults:?}"));

    let directory = [("DIRECT_URL", URL), ("RELIQUARY__STORE__URL", "file:///var/lib/backups")];
    Place::with_file(reference).env(&directory).settings();
}

#[rstest]
#[case("[notify.slack]\nurl = \"ftp://SECRET\"", "notify.slack.url", "https://")]
#[case("[notify.slack]\nseverity = \"info\"", "notify.slack.url", "is missing")]
#[case(
    "[notify.github]\nrepository = \"x\"\ntoken = \"SECRET\"",
    "notify.github.repository",
    "owner/name"
)]
#[case("[notify.github]\nrepository = \"o/r\"", "notify.github.token", "is missing")]
#[case(
    "[notify.teams]\nurl = \"https://t/x\"\ndatabases = [\"no\"]",
    "notify.teams.databases",
    "there is not"
)]
#[case("[notify.email]\nhost = \"h\"\nfrom = \"a@b.c\"", "notify.email.to", "is missing")]
#[case(
    "[notify.email]\nhost = \"h\"\nfrom = \"a@b.c\"\nto = [\"a@b.c\"]\ntls = \"none\"\nusername = \"u\"\npassword = \"SECRET\"",
    "notify.email.tls",
    "in the clear"
)]
#[case("[anomalies]\nshrank = 0", "anomalies.shrank", "between 1 and 100")]
fn a_channel_that_makes_no_sense_is_named(
    #[case] text: &str,
    #[case] path: &str,
    #[case] says: &str,
) {
    let place = Place::with_file(text)
        .env(&[("DIRECT_URL", URL), ("RELIQUARY__STORE__URL", "file:///var/lib/backups")]);
    let problems = place.load().unwrap_err();
    let told = problems.to_string();
    let found = problems.as_slice().iter().find(|problem| problem.path == path);
    assert!(found.is_some_and(|problem| problem.message.contains(says)), "{told}");
    assert!(!told.contains("SECRET"), "{told}");
}

#[test]
fn one_sign_of_life_cannot_stand_for_several_databases() {
    let text = |url| {
        format!(
            "store.url = \"s3://bucket\"\nnotify.heartbeat.url = \"{url}\"\n\
             [databases.a]\nurl = \"{URL}\"\nprefix = \"a/\"\n\
             [databases.b]\nurl = \"{URL}\"\nprefix = \"b/\"\n"
        )
    };
    let problems = Place::with_file(&text("https://hc-ping.com/x")).load().unwrap_err();
    assert_eq!(problems.as_slice()[0].path, "notify.heartbeat.url");
    Place::with_file(&text("https://hc-ping.com/x/{database}")).settings();
}

#[test]
fn the_first_users_file_is_the_first_users_installation() {
    let place = Place::with_file(include_str!("../../config/altarflow.toml"));
    let env = [("DIRECT_URL", URL), ("RELIQUARY_GITHUB_TOKEN", "token")];
    let settings = place.env(&env).settings();
    assert_eq!(settings.notify.github.as_ref().unwrap().label, "backup-failure");
    let bucket = "altarflow-backups".to_owned();
    assert_eq!(settings.store.location, StoreLocation::S3 { bucket });
    assert_eq!(settings.store.region.as_deref(), Some("us-east-1"));
    let main = &settings.databases["main"];
    assert_eq!(main.url.as_ref().unwrap().expose_secret(), URL);
    assert_eq!(main.prefix, "database/");
    assert_eq!(main.schedule.line, "0 0 * * * *");
    assert_eq!(main.stale_after, Duration::from_hours(2));
}

#[rstest]
#[case::bucket(
    r#"
    [store]
    url = "s3://bucket"
    region = "eu-west-1"
    endpoint = "https://s3.example.com"
    path_style = true
    access_key_id = "AKIAEXAMPLE"
    secret_access_key = "SECRET"
    session_token = "SECRET"
    encryption = "sse-kms"
    kms_key_id = "arn:aws:kms:x"
    checksum = "none"
    [databases.main]
    url = "postgres://h/SECRET"
    prefix = "main"
    exclude = { schemas = ["audit"], table_data = ['a.b\c?'] }
    [databases.other]
    url = "postgres://h/SECRET"
    prefix = "other"
    "#
)]
#[case::directory(
    r#"
    [store]
    url = "file:///var/lib/my%20backups"
    part_size = 6000000
    [databases.main]
    url = "postgres://h/SECRET"
    retry_delay = "1s 500ms"
    [http]
    token = "SECRET"
    "#
)]
fn what_is_shown_can_be_loaded_again(#[case] text: &str) {
    let place = Place::with_file(&text.replace("SECRET", "sesame-open-sesame"));
    let settings = place.settings();
    let shown = settings.render_toml();
    assert!(!shown.contains("sesame"), "{shown}");
    let restored = shown
        .replace("url = \"********\"", "url = \"postgres://h/sesame-open-sesame\"")
        .replace("********", "sesame-open-sesame");
    let again = Place::with_file(&restored);
    let mut loaded = again.settings();
    loaded.file.clone_from(&settings.file);
    loaded.secret_files.clone_from(&settings.secret_files);
    assert_eq!(format!("{loaded:?}"), format!("{settings:?}"));
    assert_eq!(loaded.render_toml(), shown);

    let mut json = settings.render_json();
    let file = json.as_object_mut().unwrap().remove("file").unwrap();
    assert_eq!(file, settings.file.as_ref().unwrap().to_str().unwrap());
    let as_toml: toml::Table = shown.parse().unwrap();
    assert_eq!(json, serde_json::to_value(as_toml).unwrap(), "both say the same");
}
