#[path = "planner/marked_tests.rs"]
mod marked;

use bytes::Bytes;

use super::*;
use crate::{
    archive::{
        Manifest,
        manifest::{Extension, Table},
    },
    postgres::{ExtensionFact, Reference, RelationFact, SchemaFact, ServerVersion, TargetFacts},
    restore::{
        BadMember, Damage,
        identity::{Answer, Asked, Name},
        plan::{Fill, Hold, Rest},
    },
};

const PRE_DATA: &str = "SET row_security = off;
CREATE TYPE public.mood AS ENUM ('a');
CREATE TABLE public.small (id integer NOT NULL, m public.mood);
CREATE TABLE public.large (id integer NOT NULL, small integer);
CREATE SEQUENCE public.large_id_seq START WITH 1;
ALTER SEQUENCE public.large_id_seq OWNED BY public.large.id;
ALTER TABLE ONLY public.large ALTER COLUMN id SET DEFAULT nextval('public.large_id_seq'::regclass);";

const POST_DATA: &str = "ALTER TABLE ONLY public.small ADD CONSTRAINT small_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.large ADD CONSTRAINT large_fk FOREIGN KEY (small) REFERENCES public.small(id);
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.f();";

fn cut(text: &'static str) -> Vec<Statement> {
    super::super::script::cut(&Bytes::from_static(text.as_bytes())).unwrap()
}

pub(in crate::restore) fn contents() -> Contents {
    let text = include_str!("../../tests/fixtures/manifests/0.1.0.json");
    let mut manifest = Manifest::parse(text.as_bytes()).unwrap();
    let member = |offset, length| crate::archive::manifest::Member {
        offset,
        length,
        uncompressed: 2 * length,
        rows: 1,
    };
    let table = |name: &str, columns: &[&str], offset, length| Table {
        schema: "public".into(),
        name: name.into(),
        columns: columns.iter().map(ToString::to_string).collect(),
        rows: 1,
        bytes: 2 * length,
        members: vec![member(offset, length)],
    };
    manifest.tables =
        vec![table("small", &["id", "m"], 100, 10), table("large", &["id", "small"], 110, 5000)];
    manifest.sections.pre_data = vec![member(0, 100)];
    manifest.sections.data = vec![member(5110, 20)];
    manifest.sections.post_data = vec![member(5130, 30)];
    let (pre_data, post_data) = (cut(PRE_DATA), cut(POST_DATA));
    Contents { manifest, pre_data, post_data, damage: None, unfinished: Vec::new() }
}

pub(in crate::restore) fn facts() -> TargetFacts {
    TargetFacts {
        server: ServerVersion { num: 180_000, major: 18, text: "18.0".into() },
        role: "me".into(),
        superuser: false,
        creates_schemas: true,
        creates_roles: false,
        holds_triggers: false,
        database: "target".into(),
        is_template: false,
        encoding: "UTF8".into(),
        system_identifier: Some("another".into()),
        read_only: false,
        schemas: vec![SchemaFact {
            name: "public".into(),
            creates: true,
            owner: "me".into(),
            owned: true,
        }],
        relations: Vec::new(),
        others: Vec::new(),
        large_objects: 0,
        extensions: Vec::new(),
        roles: Vec::new(),
        publications: Vec::new(),
        access_methods: Vec::new(),
        settings: vec!["row_security".into()],
        shared_buffers: 1 << 27,
    }
}

fn relation(name: &str, columns: &[&str]) -> RelationFact {
    RelationFact {
        schema: "public".into(),
        name: name.into(),
        kind: 'r',
        member: false,
        config: None,
        owned: true,
        inserts: true,
        selects: true,
        truncates: true,
        deletes: true,
        references: true,
        triggers: true,
        triggered: false,
        hides: false,
        columns: columns.iter().map(ToString::to_string).collect(),
        required: Vec::new(),
        generated: Vec::new(),
        referenced_by: Vec::new(),
        sequences: Vec::new(),
        parts: Vec::new(),
        unfinished: false,
    }
}

fn planned(facts: &TargetFacts, occupied: &[&str], options: &Options) -> Plan {
    let name = |name: &&str| TableName { schema: "public".into(), name: (*name).into() };
    let occupied = occupied.iter().map(name).collect();
    let contents = contents();
    let remembered = vec![contents.manifest.source.clone()];
    let asked = Asked { remembered, ..Asked::default() };
    let target = Target { facts, occupied: &occupied, asked };
    plan(&contents, &target, options).unwrap()
}

fn reference(table: &str, constraint: &str) -> Reference {
    Reference { table: table.into(), constraint: constraint.into(), required: false }
}

fn of_table(name: &str) -> Options {
    let table = TableName { schema: "public".into(), name: name.into() };
    Options { tables: vec![table], ..Options::default() }
}

#[test]
fn a_whole_restore_loads_the_largest_table_first_and_skips_what_is_not_allowed() {
    let plan = planned(&facts(), &[], &Options::default());
    assert_eq!(plan.refusals, Vec::<String>::new());
    assert_eq!(plan.load, [1, 0]);
    assert_eq!((plan.members, plan.bytes, plan.rows), (5, 5160, 2));
    assert_eq!(plan.post_data.indexes.len(), 1);
    assert_eq!(plan.post_data.foreign_keys.len(), 1);
    let skipped: Vec<_> = plan.skipped.iter().map(|s| (s.what.as_str(), s.class)).collect();
    assert_eq!(skipped, [("event trigger watch", Class::PlatformDifference)]);
}

#[test]
fn a_setting_that_the_target_does_not_know_is_left_out() {
    let mut facts = facts();
    facts.settings.clear();
    let plan = planned(&facts, &[], &Options::default());
    assert!(plan.pre_data.iter().all(|statement| statement.kind != Kind::Setting));
    assert!(plan.skipped.iter().any(|s| s.reason == "PostgreSQL 18 has no such setting"));
}

#[test]
fn everything_that_stands_in_the_way_is_said_at_once() {
    let source = contents().manifest.source;
    let mut facts = facts();
    facts.server = ServerVersion { num: 90_600, major: 9, text: "9.6".into() };
    facts.system_identifier = source.system_identifier;
    facts.database = source.database;
    facts.relations = vec![relation("precious", &["a"])];
    facts.read_only = true;
    facts.is_template = true;
    facts.schemas[0].creates = false;
    let refusals = planned(&facts, &[], &Options::default()).refusals.join("; ");
    for part in [
        "the target is the source",
        "older than the dump's",
        "takes no writes",
        "is a template",
        "may not create in schema public",
    ] {
        assert!(refusals.contains(part), "{part}: {refusals}");
    }
    // Nobody is told how to empty the source.
    assert!(!refusals.contains("--clean"), "{refusals}");
    facts.database = "another".into();
    let refusals = planned(&facts, &[], &Options::default()).refusals.join("; ");
    assert!(refusals.contains("is not empty: it holds public.precious"), "{refusals}");
}

/// What makes room is not refused where nothing tells the target from the source.
#[test]
fn who_is_told_to_make_room_is_told_the_word_that_it_takes() {
    let mut facts = facts();
    facts.relations = vec![relation("small", &["id", "m"])];
    let contents = contents();
    let occupied = [TableName { schema: "public".into(), name: "small".into() }].into();
    let answer = Answer::Silent("no route".into());
    let asked = Asked { name: Name::Same, answer, ..Asked::default() };
    let target = Target { facts: &facts, occupied: &occupied, asked };
    for options in [Options::default(), of_table("small")] {
        let refusals = plan(&contents, &target, &options).unwrap().refusals.join("; ");
        assert!(refusals.contains("not empty") && refusals.contains("--clean"), "{refusals}");
        assert!(refusals.contains("--not-the-source"), "{refusals}");
        // It is known: then it need not be said once more.
        let knows = Options { not_the_source: true, ..options };
        let refusals = plan(&contents, &target, &knows).unwrap().refusals.join("; ");
        assert!(refusals.contains("add --clean to"), "{refusals}");
    }
}

#[test]
fn a_table_that_is_missing_is_made_with_what_it_needs_and_reads_little() {
    let plan = planned(&facts(), &[], &of_table("small"));
    let made: Vec<String> = plan.pre_data.iter().map(ToString::to_string).collect();
    assert_eq!(made, ["setting row_security", "type public.mood", "table public.small"]);
    assert_eq!((plan.load.as_slice(), plan.bytes), (&[0][..], 160));
    let Rest::Sequences { named, of_extensions } = &plan.rest else { panic!("{:?}", plan.rest) };
    assert!(named.is_empty() && of_extensions.is_empty());
    // The foreign key's other table is not there.
    let plan = planned(&facts(), &[], &of_table("large"));
    assert_eq!(plan.left_out.len(), 1, "{:?}", plan.left_out);
    assert_eq!(plan.pre_data.len(), 5);
}

#[test]
fn a_table_that_is_there_is_only_filled_and_must_be_empty() {
    let mut facts = facts();
    facts.relations = vec![relation("small", &["id", "m", "more"])];
    let plan = planned(&facts, &[], &of_table("small"));
    assert_eq!(plan.refusals, Vec::<String>::new());
    assert_eq!(
        plan.fill,
        [Fill { table: 0, empty_first: false, config: None, hold: Hold::Disable }]
    );
    assert!(plan.load.is_empty() && plan.post_data.indexes.is_empty());
    let refusals = planned(&facts, &["small"], &of_table("small")).refusals;
    assert_eq!(refusals, ["not empty: public.small; add --clean to remove their rows first"]);
    let clean = Options { clean: true, ..of_table("small") };
    assert!(planned(&facts, &["small"], &clean).fill[0].empty_first);
    facts.relations = vec![relation("small", &["id"])];
    let refusals = planned(&facts, &[], &of_table("small")).refusals;
    assert!(refusals[0].contains("the target's table has no column m"), "{refusals:?}");
}

/// Whatever the role may hold off, and whoever's table it is.
#[test]
fn a_table_that_others_point_at_is_not_emptied_without_them() {
    let mut facts = facts();
    facts.relations = vec![relation("small", &["id", "m"]), relation("large", &["id", "small"])];
    facts.relations[0].referenced_by = vec![reference("public.large", "large_fk")];
    let clean = Options { clean: true, ..of_table("small") };
    for holds_triggers in [false, true] {
        facts.holds_triggers = holds_triggers;
        assert_eq!(
            planned(&facts, &["small", "large"], &clean).refusals,
            [
                "public.small cannot be emptied: foreign keys of public.large (large_fk) point at it; \
              restore them together"
            ]
        );
    }
    let mut both = clean.clone();
    both.tables.extend(of_table("large").tables);
    assert_eq!(planned(&facts, &["small", "large"], &both).refusals, Vec::<String>::new());
    // One without rows loses none.
    assert_eq!(planned(&facts, &["small"], &clean).refusals, Vec::<String>::new());
}

/// What every row of a table must point at must be there, or come along.
#[test]
fn rows_whose_parents_are_missing_are_refused_with_what_helps() {
    let mut facts = facts();
    facts.relations = vec![relation("small", &["id", "m"]), relation("large", &["id", "small"])];
    facts.relations[0].referenced_by = vec![reference("public.large", "large_fk")];
    facts.relations[0].referenced_by[0].required = true;
    let refusals = planned(&facts, &[], &of_table("large")).refusals;
    assert_eq!(
        refusals,
        ["rows of public.large must point at rows of public.small (large_fk), which is empty \
             and does not come along; add --table public.small"]
    );
    assert_eq!(planned(&facts, &["small"], &of_table("large")).refusals, Vec::<String>::new());
    let mut both = of_table("small");
    both.tables.extend(of_table("large").tables);
    assert_eq!(planned(&facts, &[], &both).refusals, Vec::<String>::new());
    // Where some of them may point at nothing, nobody can know.
    facts.relations[0].referenced_by[0].required = false;
    let plan = planned(&facts, &[], &of_table("large"));
    assert!(plan.refusals.is_empty() && plan.warnings.join("").contains("--table public.small"));
    // A new table comes with its key.
    facts.relations.pop();
    let plan = planned(&facts, &[], &of_table("large"));
    assert!(plan.refusals.is_empty() && plan.warnings.join("").contains("NOT VALID"));
}

/// A column that the target's table alone has, or fills itself.
#[test]
fn rows_that_a_table_would_not_take_are_refused_with_its_column() {
    let mut facts = facts();
    facts.relations = vec![relation("small", &["id", "m", "more"])];
    facts.relations[0].required = vec!["id".into(), "more".into()];
    let refusals = planned(&facts, &[], &of_table("small")).refusals;
    assert!(refusals[0].contains("wants a value in more, which"), "{refusals:?}");
    facts.relations[0].required.clear();
    facts.relations[0].generated = vec!["m".into(), "more".into()];
    let refusals = planned(&facts, &[], &of_table("small")).refusals;
    assert!(refusals[0].contains("generates m itself"), "{refusals:?}");
}

/// However many sections are made at a time.
#[test]
fn tables_are_closed_before_rows_come_and_forced_when_all_is_there() {
    let mut contents = contents();
    contents.pre_data.extend(cut("ALTER TABLE ONLY public.small FORCE ROW LEVEL SECURITY;"));
    contents.post_data.extend(cut("ALTER TABLE public.small ENABLE ROW LEVEL SECURITY;"));
    let (facts, occupied) = (facts(), std::collections::BTreeSet::new());
    let target = Target { facts: &facts, occupied: &occupied, asked: Asked::default() };
    let said = |statements: &[Statement]| -> Vec<bool> {
        let security = statements.iter().filter(|s| s.kind == Kind::RowSecurity);
        security.map(Statement::enables_row_security).collect()
    };
    let of = |sections: &[Section]| {
        let options = Options { sections: sections.to_vec(), ..Options::default() };
        let plan = plan(&contents, &target, &options).unwrap();
        (said(&plan.pre_data), said(&plan.post_data.ordered))
    };
    assert_eq!(of(&[]), (vec![true], vec![false]));
    assert_eq!(of(&[Section::PreData]), (vec![true], vec![]));
    assert_eq!(of(&[Section::PreData, Section::Data]), (vec![true], vec![]));
    assert_eq!(of(&[Section::PostData]), (vec![], vec![true, false]));
}

/// The rows of one table cannot be read.
#[test]
fn a_damaged_table_is_a_loss_and_nothing_points_at_it() {
    let mut contents = contents();
    let bad = BadMember { number: 2, offset: 100, rows: 1, what: "broken".into() };
    contents.damage = Some(Damage::of_tables([(0, vec![bad])]));
    let (facts, occupied) = (facts(), std::collections::BTreeSet::new());
    let target = Target { facts: &facts, occupied: &occupied, asked: Asked::default() };
    let whole = plan(&contents, &target, &Options::default()).unwrap();
    assert_eq!((&*whole.load, whole.proof.len()), (&[1][..], 1));
    let lost: Vec<String> = whole
        .skipped
        .iter()
        .filter(|skipped| skipped.class == Class::DataLoss)
        .map(|skipped| format!("{}: {}", skipped.what, skipped.reason))
        .collect();
    assert_eq!(
        lost,
        [
            "1 row of public.small: member 2, at byte 100 of the archive, is damaged: broken",
            "foreign key large_fk of public.large: the rows of public.small that it points at do \
             not come",
        ]
    );
    // Who wants that very table is told, and gets the other.
    let refusals = plan(&contents, &target, &of_table("small")).unwrap().refusals;
    assert!(refusals[0].contains("rows of public.small cannot be restored: member 2"));
    assert_eq!(plan(&contents, &target, &of_table("large")).unwrap().refusals, [""; 0]);
}

/// No `pg_dump` writes it, and whoever does must not hang us.
#[test]
fn tables_that_are_each_other_s_partitions_end() {
    let mut contents = contents();
    contents.pre_data.extend(cut(
        "ALTER TABLE ONLY public.small ATTACH PARTITION public.large FOR VALUES IN (1);
         ALTER TABLE ONLY public.large ATTACH PARTITION public.small FOR VALUES IN (1);",
    ));
    let (facts, occupied) = (facts(), std::collections::BTreeSet::new());
    let target = Target { facts: &facts, occupied: &occupied, asked: Asked::default() };
    for options in [Options::default(), of_table("small")] {
        assert!(!plan(&contents, &target, &options).unwrap().analyze.is_empty());
    }
}

/// The same with a table that an extension makes, and another extension.
fn with_an_extension_s_table() -> Contents {
    let mut contents = contents();
    contents.pre_data.extend(cut("CREATE SCHEMA cfg;
         CREATE EXTENSION IF NOT EXISTS cfg WITH SCHEMA cfg;
         CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;"));
    let job =
        Table { schema: "cfg".into(), name: "job".into(), ..contents.manifest.tables[0].clone() };
    contents.manifest.tables.push(job);
    contents.manifest.source.extensions = [("cfg", "cfg"), ("citext", "public")]
        .map(|(name, schema)| Extension {
            name: name.into(),
            version: "1".into(),
            schema: schema.into(),
        })
        .to_vec();
    contents
}

/// Facts of a server that has these extensions to make.
fn offering(names: &[&str]) -> TargetFacts {
    let extension = |name: &&str| ExtensionFact {
        name: (*name).into(),
        installed: false,
        schema: None,
        owned: false,
        version: "1".into(),
        requires: Vec::new(),
    };
    TargetFacts { extensions: names.iter().map(extension).collect(), ..facts() }
}

fn planned_of(contents: &Contents, facts: &TargetFacts, options: &Options) -> Plan {
    let occupied = std::collections::BTreeSet::new();
    plan(contents, &Target { facts, occupied: &occupied, asked: Asked::default() }, options)
        .unwrap()
}

fn lost(plan: &Plan) -> Vec<String> {
    plan.lost().map(|lost| format!("{}: {}", lost.what, lost.reason)).collect()
}

/// Any other may be there: it makes no table of this one's.
#[test]
fn rows_of_an_extension_s_table_come_where_that_extension_does() {
    let contents = with_an_extension_s_table();
    let whole = planned_of(&contents, &offering(&["cfg", "citext"]), &Options::default());
    assert!(whole.load.contains(&2) && lost(&whole).is_empty());
    let whole = planned_of(&contents, &offering(&["citext"]), &Options::default());
    assert!(!whole.load.contains(&2));
    let reason = "the extension that makes the table is not there: create cfg first";
    assert_eq!(lost(&whole), [format!("1 row of cfg.job: {reason}")]);
    assert_eq!(whole.rowless.iter().map(name_of).collect::<Vec<_>>(), ["cfg.job"]);
    // There is one of that name already, and it is another.
    let mut facts = offering(&["cfg", "citext"]);
    facts.extensions[0].installed = true;
    let whole = planned_of(&contents, &facts, &Options::default());
    assert_eq!(lost(&whole), ["1 row of cfg.job: the target's cfg makes no such table"]);
}

#[test]
fn who_asks_for_an_extension_s_table_gets_its_extension_or_is_told_of_it() {
    let mut contents = with_an_extension_s_table();
    let job = TableName { schema: "cfg".into(), name: "job".into() };
    let table = Options { tables: vec![job], ..Options::default() };
    let schema = Options { schemas: vec!["cfg".into()], ..Options::default() };
    for options in [&table, &schema] {
        let part = planned_of(&contents, &offering(&["cfg", "citext"]), options);
        let made: Vec<String> = part.pre_data.iter().map(ToString::to_string).collect();
        assert_eq!(made, ["setting row_security", "schema cfg", "extension cfg"]);
        assert_eq!((&*part.load, lost(&part).len()), (&[2][..], 0));
        let of_extensions = ["cfg".to_owned()].into();
        assert_eq!(part.rest, Rest::Sequences { named: [].into(), of_extensions });
        let part = planned_of(&contents, &offering(&["citext"]), options);
        assert!(part.load.is_empty());
        assert!(lost(&part)[0].ends_with("create cfg first"), "{:?}", lost(&part));
    }
    // Nobody makes it where only rows are wanted.
    let rows = Options { sections: vec![Section::Data], ..table.clone() };
    let refusals = planned_of(&contents, &offering(&["cfg"]), &rows).refusals.join("; ");
    assert!(refusals.contains("no such table; ") && refusals.contains("create cfg first"));
    // It is nobody's schema.
    contents.manifest.source.extensions[0].schema = "public".into();
    let part = planned_of(&contents, &offering(&["cfg", "citext"]), &table);
    assert!(part.load.is_empty());
    assert!(lost(&part)[0].ends_with("create first which of cfg, citext makes it"));
}
