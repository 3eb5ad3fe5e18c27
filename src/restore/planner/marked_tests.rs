//! What an earlier part has left, and what went with what somebody dropped.

use super::*;

/// Filled, it would lack for ever what it lacks.
#[test]
fn what_says_that_it_is_not_whole_is_made_anew() {
    let mut facts = facts();
    facts.relations = vec![RelationFact { unfinished: true, ..relation("small", &["id", "m"]) }];
    let refused = planned(&facts, &["small"], &of_table("small"));
    assert_eq!(refused.refusals.len(), 1, "{:?}", refused.refusals);
    let said = "never came to its end: public.small; add --clean";
    assert!(refused.refusals[0].contains(said), "{:?}", refused.refusals);

    let clean = Options { clean: true, ..of_table("small") };
    let anew = planned(&facts, &["small"], &clean);
    assert_eq!(anew.refusals, [""; 0]);
    assert_eq!(anew.drops, ["DROP TABLE IF EXISTS public.small CASCADE"]);
    assert_eq!((anew.load.len(), anew.fill.len(), anew.post_data.indexes.len()), (1, 0, 1));
    let made = anew.pre_data.iter().find(|made| made.kind == Kind::Table).unwrap();
    assert!(anew.marks.of(made).is_some() && anew.marks.last().len() == 1);

    // Who asks for rows alone fills it; and one that says nothing is filled as well.
    let rows = Options { sections: vec![Section::Data], ..clean.clone() };
    let whole = vec![relation("small", &["id", "m"])];
    for (relations, options) in [(facts.relations.clone(), rows), (whole, clean)] {
        facts.relations = relations;
        let filled = planned(&facts, &["small"], &options);
        assert_eq!((filled.drops.len(), filled.fill.len()), (0, 1));
        assert!(filled.marks.is_empty());
    }
}

/// A view `seen` on `small`.
fn with_a_view() -> Contents {
    let mut contents = contents();
    contents.pre_data.extend(cut("CREATE VIEW public.seen AS SELECT id FROM public.small;"));
    contents
}

/// The plan, where the target's table `small` is not whole and has rows.
fn over_small(facts: &TargetFacts, tables: &[&str]) -> Plan {
    let name = |name: &str| TableName { schema: "public".into(), name: name.into() };
    let tables = tables.iter().map(|table| name(table)).collect();
    let options = Options { tables, clean: true, ..Options::default() };
    let contents = with_a_view();
    let asked = Asked { remembered: vec![contents.manifest.source.clone()], ..Asked::default() };
    let occupied = [name("small")].into();
    plan(&contents, &Target { facts, occupied: &occupied, asked }, &options).unwrap()
}

/// Who asks for a view would lose the rows under it.
#[test]
fn what_is_made_anew_only_since_something_stands_on_it_must_be_asked_for() {
    let mut facts = facts();
    facts.relations = vec![RelationFact { unfinished: true, ..relation("small", &["id", "m"]) }];
    let refused = over_small(&facts, &["seen"]).refusals;
    assert_eq!(refused.len(), 1, "{refused:?}");
    let said = "public.small would be dropped, since not whole, and made without rows";
    assert!(refused[0].contains(said), "{refused:?}");
    assert!(refused[0].ends_with("add --table public.small"), "{refused:?}");
    let anew = over_small(&facts, &["seen", "small"]);
    assert_eq!(anew.refusals, [""; 0]);
    assert_eq!((anew.load.len(), anew.drops.len()), (1, 1));
    // Where there is nothing to lose, it is made as it would be where it is not there.
    facts.relations[0].unfinished = false;
    assert_eq!(over_small(&facts, &["seen"]).drops, [""; 0]);
}

/// Another part made it again before it was stopped.
#[test]
fn a_foreign_key_that_goes_with_what_is_made_anew_comes_again() {
    let mut facts = facts();
    let parts = vec!["constraint large_fk".into()];
    let large = RelationFact { parts, ..relation("large", &["id", "small"]) };
    let small = RelationFact { unfinished: true, ..relation("small", &["id", "m"]) };
    facts.relations = vec![small, large];
    let plan = over_small(&facts, &["small"]);
    assert_eq!(plan.refusals, [""; 0]);
    assert_eq!(plan.regained.len(), 1);
    let large = TableName { schema: "public".into(), name: "large".into() };
    assert_eq!(plan.keys, [(large, "large_fk".to_owned())].into());
    // One that it may not make again does not go.
    facts.relations[1].owned = false;
    assert!(over_small(&facts, &["small"]).keys.is_empty());
}

#[test]
fn what_points_at_something_not_whole_says_so() {
    let mut facts = facts();
    facts.relations = vec![RelationFact { unfinished: true, ..relation("small", &["id", "m"]) }];
    let left_out = over_small(&facts, &["large"]).left_out;
    let reason = "public.small is not whole in the target; add --table public.small --clean";
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    assert_eq!(left_out[0].1, reason);
}

/// It went when the table was dropped.
#[test]
fn a_foreign_key_of_a_table_that_is_there_comes_with_the_table_it_points_at() {
    let mut facts = facts();
    let large = relation("large", &["id", "small"]);
    let has = RelationFact { parts: vec!["constraint large_fk".into()], ..large.clone() };
    let foreign = RelationFact { owned: false, ..large.clone() };
    for (large, regained, left_out) in [(large, 1, 0), (has, 0, 0), (foreign, 0, 1)] {
        facts.relations = vec![large];
        let plan = planned(&facts, &["large"], &of_table("small"));
        assert_eq!((plan.regained.len(), plan.left_out.len()), (regained, left_out), "{plan:?}");
        assert_eq!(plan.refusals, [""; 0]);
    }
    facts.relations.clear();
    let plan = planned(&facts, &[], &of_table("small"));
    assert!(plan.regained.is_empty() && plan.left_out.is_empty());
}
