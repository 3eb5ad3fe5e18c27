use super::*;

fn read(sql: &'static str) -> Statement {
    Statement::read(&Bytes::from_static(sql.as_bytes()))
}

/// Kind, object, relation, other, in one text.
fn said(sql: &'static str) -> String {
    let statement = read(sql);
    let name = |name: &Option<TableName>| name.as_ref().map_or("-".to_owned(), name_of);
    format!(
        "{:?} {} {} {}",
        statement.kind,
        name(&statement.object),
        name(&statement.relation),
        name(&statement.other)
    )
}

#[test]
fn statements_are_what_they_say() {
    for (sql, expected) in [
        ("SET row_security = off;", "Setting row_security - -"),
        ("SELECT pg_catalog.set_config('search_path', '', false);", "Setting search_path - -"),
        ("CREATE UNLOGGED TABLE a.b (\n c int);", "Table a.b a.b -"),
        ("CREATE VIEW a.\"V v\" AS SELECT 1;", "View a.\"V v\" a.\"V v\" -"),
        ("CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA x;", "Extension hstore - -"),
        ("CREATE FUNCTION a.f(x int DEFAULT 1) RETURNS int;", "Routine a.f - -"),
        (
            "CREATE TYPE a.\"r R\" AS RANGE (\n    subtype = integer,\n    multirange_type_name = a.\"many Rs\"\n);",
            "Type a.\"r R\" - a.\"many Rs\"",
        ),
        ("CREATE TYPE a.e AS ENUM (\n    'multirange_type_name = a.b'\n);", "Type a.e - -"),
        ("CREATE UNIQUE INDEX i ON ONLY a.t USING btree (x);", "Index a.i a.t -"),
        ("ALTER TABLE ONLY a.t\n    ADD CONSTRAINT k PRIMARY KEY (x);", "Key k a.t -"),
        (
            "ALTER TABLE ONLY a.t ADD CONSTRAINT k FOREIGN KEY (x) REFERENCES b.r(id);",
            "ForeignKey k a.t b.r",
        ),
        ("ALTER TABLE a.t ADD CONSTRAINT k CHECK ((x > 0)) NOT VALID;", "Constraint k a.t -"),
        ("ALTER TABLE ONLY a.p ATTACH PARTITION a.c FOR VALUES IN (1);", "AttachTable a.c a.c a.p"),
        (
            "ALTER TABLE a.t ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (\n    SEQUENCE NAME a.t_id_seq\n    START WITH 1);",
            "Identity id a.t a.t_id_seq",
        ),
        (
            "ALTER TABLE ONLY a.t ALTER COLUMN id SET DEFAULT nextval('a.s'::regclass);",
            "Default id a.t -",
        ),
        ("ALTER SEQUENCE a.s OWNED BY a.t.id;", "SequenceOwner a.s a.t -"),
        ("ALTER INDEX a.i ATTACH PARTITION a.j;", "AttachIndex a.i - a.j"),
        ("ALTER TABLE a.t CLUSTER ON i;", "AlterTable - a.t -"),
        (
            "CREATE CONSTRAINT TRIGGER late AFTER UPDATE OF x ON a.t FROM a.u FOR EACH ROW EXECUTE FUNCTION b.f('on a.x');",
            "Trigger late a.t b.f",
        ),
        ("CREATE RULE r AS\n    ON DELETE TO a.v DO INSTEAD NOTHING;", "Rule r a.v -"),
        ("CREATE STATISTICS a.s ON lower(x), y FROM a.t;", "Statistics a.s a.t -"),
        ("SELECT pg_catalog.setval('a.\"S\"', 3, true);", "SequenceValue a.\"S\" - -"),
        ("SELECT pg_catalog.lo_create('42');", "LargeObject \"42\" - -"),
        ("REFRESH MATERIALIZED VIEW a.m;", "Refresh a.m a.m -"),
        ("COMMENT ON COLUMN a.t.c IS 'x';", "Comment c a.t -"),
        ("COMMENT ON CONSTRAINT k ON DOMAIN a.d IS 'x';", "Comment k - -"),
        ("COMMENT ON INDEX a.i IS 'x';", "Comment a.i - -"),
        ("ALTER PUBLICATION p ADD TABLE ONLY a.t (x) WHERE (true);", "PublicationMember p a.t -"),
        ("ALTER TABLE a.t ENABLE ROW LEVEL SECURITY;", "RowSecurity - a.t -"),
        ("\\restrict x\n", "Command - - -"),
        ("BEGIN;", "Transaction - - -"),
    ] {
        assert_eq!(said(sql), expected, "{sql}");
    }
}

#[test]
fn a_comment_above_does_not_decide_what_a_statement_is() {
    let sql =
        "--\n-- Name: x; Type: TABLE; Schema: a; Owner: -\n--\n\nCREATE VIEW a.v AS SELECT 1;";
    assert_eq!(said(sql), "View a.v a.v -");
}

#[test]
fn a_policy_names_its_roles() {
    let policy =
        read("CREATE POLICY p ON a.t AS RESTRICTIVE TO reader, \"It's\", PUBLIC USING (true);");
    assert_eq!(policy.roles, ["reader", "It's"]);
    let anyone = read("CREATE POLICY p ON a.t FOR SELECT USING ((x TO y));");
    assert_eq!(anyone.roles, Vec::<String>::new());
    let mapping = read("CREATE USER MAPPING FOR reader SERVER s OPTIONS (password 'x');");
    assert_eq!((mapping.kind, mapping.roles), (Kind::UserMapping, vec!["reader".to_owned()]));
}

#[test]
fn a_statement_is_called_by_its_object() {
    for (sql, called) in [
        ("CREATE INDEX i ON a.t USING btree (x);", "index a.i of a.t"),
        ("CREATE TABLE a.t ();", "table a.t"),
        ("DO $$ begin end $$;", "statement DO $$ begin end $$;"),
    ] {
        assert_eq!(read(sql).to_string(), called);
    }
}

#[test]
fn a_statement_that_defines_something_is_told_from_one_of_rows() {
    for (sql, defines) in [
        (
            "CREATE COLLATION public.de (provider = libc, locale = 'de_DE.utf8');",
            Some(Kind::Collation),
        ),
        ("CREATE EXTENSION IF NOT EXISTS plv8;", Some(Kind::Extension)),
        ("SECURITY LABEL FOR pgsodium ON COLUMN public.t.a IS 'x';", Some(Kind::Other)),
        ("SET pgsodium.x = 1;", Some(Kind::Setting)),
        ("INSERT INTO public.t VALUES (1);", None),
        ("SELECT pg_catalog.setval('public.s', 5, true);", None),
        ("BEGIN;", None),
        ("DO $$ begin end $$;", None),
    ] {
        assert_eq!(read(sql).defines(), defines, "{sql}");
    }
}
