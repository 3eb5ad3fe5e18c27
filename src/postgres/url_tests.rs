use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn parse(url: &str) -> Result<ConnectionUrl, UrlError> {
    ConnectionUrl::parse(&SecretString::from(url))
}

fn password(url: &ConnectionUrl) -> Option<&str> {
    url.password.as_ref().map(ExposeSecret::expose_secret)
}

#[test]
fn every_part_is_read_and_decoded() {
    let url = parse("postgresql://us%40er:p%2Fw%3A%40@db.example.com:6000/my%20db?sslmode=require&application_name=x&connect_timeout=7&target_session_attrs=read-write&pgbouncer=true&schema=public&connection_limit=1").unwrap();
    assert_eq!(url.user, "us@er");
    assert_eq!(password(&url), Some("p/w:@"));
    assert_eq!(url.address(), "db.example.com:6000");
    assert_eq!(url.database, "my db");
    assert_eq!(url.tls, Tls::Require(None));
    assert_eq!(url.application_name, "x");
    assert_eq!(url.connect_timeout, Some(Duration::from_secs(7)));
    assert_eq!(url.wanted, Wanted::Writable);
}

#[test]
fn what_is_left_out_gets_libpq_s_defaults() {
    let url = parse("postgres://u@h").unwrap();
    assert_eq!((url.port, url.database.as_str()), (5432, "u"));
    assert_eq!(url.tls, Tls::Prefer(None));
    assert_eq!(password(&url), None);
}

#[rstest]
#[case::hash("postgres://u:a#b@h/d", "a#b")]
#[case::question_mark("postgres://u:a?b@h/d", "a?b")]
#[case::colon("postgres://u:a:b@h/d", "a:b")]
#[case::in_the_query("postgres://u@h/d?password=a%26b", "a&b")]
fn a_password_is_read_as_libpq_reads_it(#[case] url: &str, #[case] expected: &str) {
    assert_eq!(password(&parse(url).unwrap()), Some(expected));
}

#[rstest]
#[case("postgres://u@[::1]:77/d", "[::1]:77")]
#[case("postgres://u@[2001:db8::2]/d", "[2001:db8::2]:5432")]
#[case("postgres://u@/d?host=/var/run/postgresql", "/var/run/postgresql/.s.PGSQL.5432")]
#[case("postgres://u@%2Ftmp%2Fx:5/d", "/tmp/x/.s.PGSQL.5")]
#[case("postgres:///d?user=u&host=h&port=9", "h:9")]
fn hosts_are_names_addresses_or_socket_directories(#[case] url: &str, #[case] address: &str) {
    assert_eq!(parse(url).unwrap().address(), address);
}

#[rstest]
#[case::scheme("mysql://u:hunter2@h/d", "must begin with")]
#[case::nothing("hunter2", "must begin with")]
#[case::no_host("postgres://u:hunter2@/d", "names no host")]
#[case::two_hosts("postgres://u:hunter2@a,b/d", "several hosts")]
#[case::two_hosts_in_query("postgres://u:hunter2@/d?host=a,b", "several hosts")]
#[case::quoted("'postgres://u:hunter2@h/d'", "without")]
#[case::port("postgres://u:x@h:hunter2/d", "port")]
#[case::port_zero("postgres://u:hunter2@h:0/d", "port")]
#[case::slash_in_password("postgres://u:hun/ter2@h/d", "%2F")]
#[case::at_in_password("postgres://u:x@hunter2@h/d", "%40")]
#[case::at_and_slash_in_password("postgres://u:x@hun/ter2@h/d", "%40")]
#[case::percent("postgres://u:hunter2%@h/d", "password is not percent-encoded")]
#[case::not_utf8("postgres://u:hunter2%ff@h/d", "password is not percent-encoded")]
#[case::nul("postgres://u:hunter2%00@h/d", "password is not percent-encoded")]
#[case::unknown("postgres://u@h/d?sslcrl=hunter2", "sslcrl")]
#[case::odd_name("postgres://u@h/d?Hunter2=1", "not shown")]
#[case::no_equals("postgres://u@h/d?hunter2", "name=value")]
#[case::two_equals("postgres://u@h/d?options=hunter2=1", "name=value")]
#[case::options("postgres://u@h/d?options=hunter2", "options must be")]
#[case::timeout("postgres://u@h/d?connect_timeout=hunter2", "connect_timeout must be")]
#[case::wanted("postgres://u@h/d?target_session_attrs=hunter2", "target_session_attrs must be")]
#[case::ssl("postgres://u@h/d?ssl=hunter2", "ssl must be")]
#[case::sslmode("postgres://u@h/d?sslmode=hunter2", "sslmode must be")]
#[case::binding("postgres://u@h/d?channel_binding=hunter2", "channel_binding must be")]
#[case::binding_required("postgres://u@h/d?channel_binding=require", "verify-full")]
#[case::ca_without_roots("postgres://u@h/d?sslmode=verify-ca", "need sslrootcert")]
#[case::full_without_roots("postgres://u@h/d?sslmode=verify-full", "need sslrootcert")]
#[case::roots_unused("postgres://u@h/d?sslrootcert=/hunter2", "protects nothing")]
#[case::weak_system("postgres://u@h/d?sslmode=verify-ca&sslrootcert=system", "verify-full")]
#[case::half("postgres://u@h/d?sslcert=/hunter2", "together")]
fn a_bad_url_is_refused_without_showing_any_value(#[case] url: &str, #[case] says: &str) {
    let error = parse(url).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    assert!(!format!("{error} {error:?}").to_lowercase().contains("hunter2"), "{error:?}");
}

#[test]
fn every_mode_that_verifies_verifies_the_host_too() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = parse(&format!("postgres://u@h/d?sslmode={mode}&sslrootcert=/ca.pem")).unwrap();
        let roots = super::super::tls::Roots::File("/ca.pem".into());
        assert_eq!(url.tls, Tls::Full { roots, client: None });
    }
}

#[test]
fn a_local_socket_uses_no_tls_whatever_the_mode() {
    let url = parse("postgres:///d?user=u&host=/tmp&sslmode=require").unwrap();
    assert_eq!(url.tls, Tls::Off);
}

#[test]
fn debug_shows_nothing() {
    let url = parse("postgres://user:hunter2@host/database").unwrap();
    assert_eq!(format!("{url:?}"), "ConnectionUrl(..)");
}

proptest! {
    #[test]
    fn any_password_comes_back_from_its_encoding(text in "[^\0]{1,20}") {
        let encoded: Vec<String> = text.bytes().map(|b| format!("%{b:02X}")).collect();
        let encoded = encoded.concat();
        let url = parse(&format!("postgres://u:{encoded}@h/d")).unwrap();
        prop_assert_eq!(password(&url), Some(text.as_str()));
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,40}") {
        let _ = parse(&format!("postgres://{text}"));
    }
}
