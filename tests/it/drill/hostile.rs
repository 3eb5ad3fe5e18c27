//! A dump that means harm. It runs as a superuser of the sandbox, so that it may
//! run programs as the sandbox's account: what that account can reach is what it
//! can reach, and this says what that is.

use nix::unistd::geteuid;

use super::*;

/// Named in the environment of the drill, and nowhere else.
const SECRET: &str = "hunter2-of-the-environment";

#[test]
fn a_hostile_dump_finds_no_network_no_environment_and_no_rights_outside_its_folder() {
    let (_server, room, product, _backup) = backed_up();
    let outside = TempDir::new().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "as it was").unwrap();
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
    let product = product.configured(&checks.concat()).set("A_SECRET", SECRET);
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
