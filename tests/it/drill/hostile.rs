//! A dump that means harm. It runs as a superuser of the sandbox, so that it may
//! run programs as the sandbox's account: what that account can reach is what it
//! can reach, and this says what that is.
//!
//! - `COPY … FROM PROGRAM` runs any program as that account, which is `nobody`
//!   where we are root. It sees none of our environment, nor that of any other
//!   process; no network but a loopback device of its own, on which nobody
//!   listens; and it writes nothing but into its folder and places open to all,
//!   such as `/tmp`. What it starts ends with the sandbox, whatever it does to stay:
//!   where the machine has `unshare`, it is in a namespace that ends, and sees no
//!   process but the sandbox's; where it has not, whatever descends from the sandbox
//!   is ended after it.
//! - `pg_read_file` reads what that account may read: `/etc/passwd`, and no file
//!   that is closed to others.
//! - `dblink` reaches no server over TCP, not even one of this machine. A Unix
//!   socket is a file: it reaches one where it may walk to it, and the server
//!   behind it then decides by its own rules. A server whose socket is open to all
//!   and that *trusts* whoever comes is open to a hostile dump as to every account
//!   of the machine.
//!
//! Where the machine has no `unshare`, the network is the machine's, and the
//! record says so; and all processes of the sandbox's account can be seen and ended. Where we are no root, the account is ours, and so are its files.

use nix::unistd::geteuid;

use super::*;
use crate::support::postgres::ServerOptions;

/// Named in the environment of the drill, and nowhere else.
const SECRET: &str = "hunter2-of-the-environment";

/// Tries to get into a server, and keeps what came of it.
fn dial(table: &str, connection: &str) -> String {
    format!(
        "CREATE TABLE public.{table} (said text);\n\
         DO $dial$ BEGIN\n  PERFORM public.dblink_connect('{connection}');\n  \
         INSERT INTO public.{table} VALUES ('connected');\n\
         EXCEPTION WHEN OTHERS THEN INSERT INTO public.{table} VALUES ('refused: ' || SQLERRM);\n\
         END $dial$;\n"
    )
}

#[test]
fn dblink_reaches_no_server_but_by_a_socket_that_is_open_to_it() {
    let server = Server::start_with(15, ServerOptions { tcp: true, ..ServerOptions::default() });
    shop(&server);
    let room = room();
    let product = Product::of(&server, "shop").drills_in(&room);
    product.backup(&[]);
    server.psql("postgres", "create role open login superuser password 'known'");
    let tcp = server.tcp_url("shop", "open", "known");
    // From here it can be reached, with what the dump will try.
    let mut psql = crate::support::tools::command(server.bin("psql"));
    assert_eq!(psql.args(["-XAt", &tcp, "-c", "select 1"]).output().unwrap().stdout, b"1\n");
    let sql = [
        "CREATE EXTENSION dblink WITH SCHEMA public;\n".to_owned(),
        dial("by_tcp", &tcp),
        dial("by_socket", &server.url("shop")),
        dial("by_own_socket", "dbname=drill"),
    ]
    .concat();
    product.legacy("2025-01-02T03-00-00Z", &dump(&sql));
    let mut checks =
        "[[drill.checks]]\nname = 'by tcp'\nsql = \"select from by_tcp where said like \
                      'refused: %'\"\nexpect = 'rows = 1'\n"
            .to_owned();
    if geteuid().is_root() {
        // Its folder is closed to others, as the folders of our own sandboxes are.
        checks += "[[drill.checks]]\nname = 'by socket'\nsql = \"select from by_socket where said \
                   like 'refused: %'\"\nexpect = 'rows = 1'\n";
    }
    let record = product.configured(&checks).drill(0, &["2025-01-02T03-00-00Z"]);
    assert_eq!(record["verdict"], "passed", "{record:#}");
    assert_eq!(record["sandbox"]["network"], "none");
}

#[test]
fn a_hostile_dump_finds_no_network_no_environment_and_no_rights_outside_its_folder() {
    let (_server, room, product, _backup) = backed_up();
    let outside = TempDir::new().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "as it was").unwrap();
    let closed = outside.path().join("closed");
    fs::write(&closed, SECRET).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    let program = |table: &str, program: &str| {
        format!(
            "CREATE TABLE public.{table} (line text);\n\
             COPY public.{table} FROM PROGRAM '{}' (DELIMITER E'\\x01');\n",
            program.replace('\'', "''")
        )
    };
    let sql = [
        program("id", "id -u"),
        program("env", "env"),
        program(
            "processes",
            "cat /proc/[0-9]*/environ 2>/dev/null | tr \"\\\\0\\\\\\\\\" \"\\\\n/\"; true",
        ),
        program("net", "tail -n +3 /proc/net/dev"),
        program(
            "dial",
            "timeout 5 bash -c \"exec 3<>/dev/tcp/127.0.0.1/22\" 2>&1 || echo unreachable",
        ),
        program("wrote", &format!("echo gone 2>&1 >{} || true", victim.display())),
        "CREATE TABLE public.passwd AS SELECT pg_catalog.pg_read_file('/etc/passwd') AS line;\n"
            .to_owned(),
        format!(
            "CREATE TABLE public.secret (line text);\n\
             DO $read$ BEGIN INSERT INTO public.secret SELECT pg_catalog.pg_read_file('{}');\n\
             EXCEPTION WHEN OTHERS THEN NULL; END $read$;\n",
            closed.display()
        ),
    ]
    .concat();
    product.legacy("2025-01-02T03-00-00Z", &dump(&sql));
    let check = |name: &str, sql: &str, expect: &str| {
        format!("[[drill.checks]]\nname = '{name}'\nsql = \"\"\"{sql}\"\"\"\nexpect = '{expect}'\n")
    };
    let checks = [
        check("root", "select line from id where line = '0'", "no rows"),
        check(
            "env",
            &format!("select from env where line like '%{SECRET}%' or line like '%RELIQUARY%'"),
            "no rows",
        ),
        check(
            "processes",
            &format!("select from processes where line like '%{SECRET}%'"),
            "no rows",
        ),
        check("net", "select from net where line not like '%lo:%'", "no rows"),
        check("net is known", "select from net", "rows >= 1"),
        check("dial", "select line from dial order by line desc limit 1", "= unreachable"),
        // What anybody of the machine may read, it may read too.
        check("passwd", "select from passwd", "rows = 1"),
    ];
    let mut checks = checks.concat();
    if geteuid().is_root() {
        checks += &check("closed", "select from secret", "no rows");
    }
    let product = product.configured(&checks).set("A_SECRET", SECRET);
    let record = product.drill(0, &["2025-01-02T03-00-00Z"]);
    assert_eq!(record["verdict"], "passed", "{record:#}");
    assert_eq!(record["sandbox"]["network"], "none");
    if geteuid().is_root() {
        // As root we run it as nobody. Where we are no root it is our own account,
        // and only files' modes stand between it and what is ours.
        assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was");
    }
    assert!(is_empty(room.path()));
}

#[test]
fn a_program_that_a_hostile_dump_leaves_behind_is_gone_after_the_drill() {
    let (_server, room, product, _backup) = backed_up();
    let seconds = 20_000_000 + std::process::id() % 1_000_000 * 10;
    let sql = format!(
        "CREATE TABLE public.x (line text);\nCOPY public.x FROM PROGRAM 'cd /; env -i setsid \
         sleep {seconds} >/dev/null 2>&1 & sleep 0.2; pgrep -cx reliquary; \
         echo \"sleeps $(pgrep -fc \"^sleep {seconds}\")\"';\n",
    );
    product.legacy("2025-01-02T03-00-00Z", &dump(&sql));
    let check = |name: &str, sql: &str, expect: &str| {
        format!("[[drill.checks]]\nname = '{name}'\nsql = \"{sql}\"\nexpect = '{expect}'\n")
    };
    let left = check("left", "select from x where line = 'sleeps 1'", "rows = 1");
    let unseen = check("unseen", "select from x where line = '0'", "rows = 1");
    // A machine that lets us have no namespaces.
    let refusing = TempDir::new().unwrap();
    let unshare = refusing.path().join("unshare");
    fs::write(&unshare, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&unshare, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(refusing.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", refusing.path().display(), std::env::var("PATH").unwrap());
    for (product, checks, network) in [
        (product.clone(), format!("{left}{unseen}"), "none"),
        (product.set("PATH", path), left, "the machine's"),
    ] {
        let record = product.configured(&checks).drill(0, &["2025-01-02T03-00-00Z"]);
        assert_eq!(record["verdict"], "passed", "{record:#}");
        assert_eq!(record["sandbox"]["network"], network);
        assert_eq!(stages::sleeper(seconds), None, "network: {network}");
        assert!(is_empty(room.path()));
    }
}
