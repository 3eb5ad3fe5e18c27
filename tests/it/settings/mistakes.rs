//! Mistakes: all at once, each by its place, with its remedy.

use rstest::rstest;

use super::{Place, URL, whole};

/// The one problem of a whole file with `extra` in it.
#[track_caller]
fn only_problem(extra: &str) -> String {
    let problems = Place::with_file(&whole(extra)).problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn a_syntax_error_is_placed_and_its_line_is_not_repeated() {
    let place = Place::with_file("[http]\ntoken = \"sesame-open\n");
    let problems = place.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("config/reliquary.toml: line 2, column "), "{problems:?}");
    assert!(!problems[0].contains("sesame"), "{problems:?}");
}

#[test]
fn all_mistakes_are_reported_at_once_sorted_by_their_place() {
    let place = Place::with_file(
        r#"
        [store]
        url = "s3://bucket/folder"
        regoin = "us-east-1"
        part_size = "1MiB"
        concurrency = 0
        encryption = "rot13"
        kms_key_id = "k"
        [databases.main]
        url = 12345678
        schedule = "0 * * * *"
        stale_after = 7200
        [databases.Bad]
        [archive]
        threads = "many"
        [http]
        listen = "localhost:8080"
        [log]
        filter = "reliquary=loud"
        [retention]
        keep = "30d"
        "#,
    );
    let problems = place.problems();
    let paths: Vec<_> = problems.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "archive.threads",
            "databases.Bad",
            "databases.Bad.prefix",
            "databases.Bad.url",
            "databases.main.prefix",
            "databases.main.schedule",
            "databases.main.stale_after",
            "databases.main.url",
            "http.listen",
            "log.filter",
            "retention.keep",
            "store.concurrency",
            "store.encryption",
            "store.kms_key_id",
            "store.part_size",
            "store.regoin",
            "store.url",
        ],
        "{problems:#?}"
    );
    let all = problems.join("\n");
    assert!(all.contains("put a `0` for the seconds in front"), "{all}");
    assert!(all.contains("did you mean `region`?"), "{all}");
    assert!(all.contains("put quotes around it"), "{all}");
    assert!(all.contains("`databases.<name>.prefix`"), "{all}");
}

#[rstest]
#[case("databases.main.schedule = \"0 0 0 30 2 *\"", "databases.main.schedule: can never fire")]
#[case("databases.main.stale_after = \"0s\"", "must be between 1s and 365d")]
#[case("databases.main.timeout = \"300d\"", "must be between 1s and 7d")]
#[case("databases.main.attempts = 0", "must be between 1 and 20")]
#[case("databases.main.attempts = -1", "must be between 1 and 20")]
#[case("databases.main.attempts = 1.5", "must be a whole number")]
#[case("databases.main.prefix = \"/x\"", "databases.main.prefix: may not begin")]
#[case("databases.main.exclude.tables = [\"users\"]", "schema and table")]
#[case("databases.main.exclude.schemas = \"audit\"", "must be a list")]
#[case("databases.main.exclude.scemas = []", "did you mean `schemas`?")]
#[case("store.part_size = \"6GiB\"", "must be between 5MiB and 5GiB")]
#[case("store.part_size = \"5 apples\"", "must be a size")]
#[case("store.path_style = \"yes\"", "must be `true` or `false`")]
#[case("store.endpoint = \"minio:9000\"", "store.endpoint: must be a URL")]
#[case("store.endpoint = \"https://a:b@h\"", "may not hold credentials")]
#[case("store.checksum = \"md5\"", "`crc64nvme`, `crc32c`, `sha256`, `none`")]
#[case("store.kms_key_id = \"k\"", "only with `encryption = \"sse-kms\"`")]
#[case("store.access_key_id = \"AKIA\"", "store.secret_access_key: is missing beside")]
#[case("store.secret_access_key = \"x\"", "store.access_key_id: is missing beside")]
#[case("store.session_token = \"x\"", "store.session_token: needs")]
#[case("archive.member_size = \"1KiB\"", "must be between 64KiB and 64MiB")]
#[case("archive.member_size = \"64MiB\"\narchive.threads = 32", "times `threads`")]
#[case("http.token = \"two words\"", "visible ASCII")]
#[case("http = 1", "is a section: write its keys under `[http]`")]
#[case("postgres.client_dirs = [\"bin\"]", "absolute paths")]
#[case("daemon.grace = \"2days 1s\"", "must be between 1s and 1h")]
#[case("Store.url = \"x\"", "did you mean `store`?")]
#[case("databases.main.\"a.b\" = 1", "databases.main.\"a.b\": is no setting")]
fn a_mistake_is_named_with_its_remedy(#[case] extra: &str, #[case] says: &str) {
    let problem = only_problem(extra);
    assert!(problem.contains(says), "{problem}");
}

#[rstest]
#[case("s3://ab")]
#[case("s3://Bucket")]
#[case("s3://my_bucket")]
#[case("s3://192.168.0.1")]
#[case("s3://a..b")]
#[case("s3://-ab")]
#[case("s3://key:secret@bucket")]
#[case("file://relative/dir")]
#[case("file:///")]
#[case("https://bucket.s3.amazonaws.com")]
#[case("/var/lib")]
fn a_store_url_that_names_no_store_is_refused(#[case] url: &str) {
    let problems = Place::empty().env(&[("DIRECT_URL", URL), ("RELIQUARY__STORE__URL", url)]);
    let problems = problems.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("store.url: "), "{problems:?}");
}

/// What newcomers write instead, and are told.
#[rstest]
#[case("RELIQUARY__STORE__URL", "https://bucket.s3.amazonaws.com", "belongs into `endpoint`")]
#[case("RELIQUARY__STORE__URL", "\"s3://bucket\"", "write it without")]
#[case("RELIQUARY_STORE_URL", "s3://bucket", "two underscores")]
fn a_store_url_that_is_nearly_right_is_put_right(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] says: &str,
) {
    let problems = Place::empty().env(&[("DIRECT_URL", URL), (variable, value)]).problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("store.url: ") && problems[0].contains(says), "{problems:?}");
}

#[test]
fn keys_of_s3_are_refused_beside_a_directory() {
    let place = Place::with_file(
        "store = { url = \"file:///var/lib/reliquary/\", region = \"x\", checksum = \"sha256\", \
         access_key_id_env = \"A_B\", part_size = \"5MiB\" }",
    )
    .env(&[("DIRECT_URL", URL), ("A_B", "x")]);
    let problems = place.problems().join("\n");
    for key in ["region", "checksum", "access_key_id"] {
        assert!(problems.contains(&format!("store.{key}: is for S3 only")), "{problems}");
    }
    assert!(!problems.contains("part_size"), "{problems}");
}

#[rstest]
#[case(
    "databases.main.schedule = \"0 0 6 * * *\"",
    "is 2h by default, but the schedule pauses for 1d"
)]
#[case("databases.main.stale_after = \"1h\"", "is 1h, but the schedule pauses for 1h")]
#[case("store.endpoint = \"http://minio:9000\"", "store.endpoint: is not encrypted")]
#[case("store.url = \"s3://a.bucket\"", "store.url: names a bucket with a dot")]
#[case("store.part_size = \"1GiB\"", "more than 1 GiB")]
#[case("http.token = \"short\"", "openssl rand")]
fn what_is_doubtful_is_a_warning(#[case] extra: &str, #[case] says: &str) {
    let text = if extra.starts_with("store.url") {
        whole(extra).replacen("store.url = \"s3://bucket\"\n", "", 1)
    } else {
        whole(extra)
    };
    let warnings = Place::with_file(&text).warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains(says), "{warnings:#?}");
}

#[rstest]
#[case("RELIQUARY__STORE", "RELIQUARY__STORE: names no key")]
#[case("RELIQUARY__STORE__", "RELIQUARY__STORE__: names no key")]
#[case("RELIQUARY__STORE__URL[1]", "RELIQUARY__STORE__URL[1]: names no key")]
#[case("RELIQUARY__STORE__REGOIN", "store.regoin: is no setting; did you mean `region`?")]
#[case("RELIQUARY__DATABASES__MAIN", "databases.main: is a section")]
#[case("reliquary__store__url", "reliquary__store__url: is also given as RELIQUARY__STORE__URL")]
fn a_variable_that_is_no_key_is_a_problem(#[case] name: &str, #[case] says: &str) {
    let place = Place::empty().env(&[
        ("DIRECT_URL", URL),
        ("RELIQUARY__STORE__URL", "s3://bucket"),
        (name, "s3://other"),
    ]);
    let problems = place.problems();
    assert!(problems.iter().any(|problem| problem.contains(says)), "{problems:#?}");
}

#[test]
fn a_variable_that_is_not_text_is_a_problem() {
    let mut place = Place::with_file(&whole(""));
    place.sources.not_unicode.insert("RELIQUARY__HTTP__TOKEN".to_owned());
    assert_eq!(place.problems(), ["RELIQUARY__HTTP__TOKEN: is not valid UTF-8"]);
}

#[test]
fn a_drill_s_target_may_be_no_database_that_is_backed_up() {
    let text = |drill: &str| {
        format!(
            "store.url = \"s3://bucket\"\n[databases.a]\nurl = \"{URL}\"\nprefix = \"a/\"\n\
             [databases.b]\nurl = \"postgres://backup@db.example.com/other\"\nprefix = \"b/\"\n\
             {drill}"
        )
    };
    // However it is written, and whoever's it is.
    let general = "[drill]\ntarget = \"postgresql://app:x@DB.example.com:5432/other\"\n";
    let own =
        "[databases.a.drill]\ntarget = \"postgres://o@db.example.com/app?connect_timeout=9\"\n";
    for (drill, says) in [
        (general, "drill.target: is the database of `databases.b.url`"),
        (own, "databases.a.drill.target: is the database of `databases.a.url`"),
    ] {
        let problems = Place::with_file(&text(drill)).problems();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].starts_with(says), "{problems:#?}");
    }
    let another = "[drill]\ntarget = \"postgres://app@db.example.com/throwaway\"\n";
    assert_eq!(Place::with_file(&text(another)).warnings(), [""; 0]);
}
