use super::*;

fn identity(started_micros: i64) -> Identity {
    Identity {
        system_identifier: Some("7".into()),
        database_oid: 5,
        database: "app".into(),
        started_micros,
        standby: false,
    }
}

#[test]
fn a_clone_is_another_server_and_a_standby_is_not() {
    let source = identity(1);
    assert!(is_same(&source, &identity(1)));
    assert!(!is_same(&source, &identity(2)), "a clone");
    assert!(is_same(&source, &Identity { standby: true, ..identity(2) }));
    assert!(!is_same(&source, &Identity { database_oid: 6, ..identity(1) }));
    let hidden = Identity { system_identifier: None, ..identity(1) };
    assert!(is_same(&source, &hidden));
    let other = Identity { system_identifier: Some("8".into()), ..identity(1) };
    assert!(!is_same(&source, &other));
}

fn source(id: Option<&str>) -> Source {
    let manifest = include_bytes!("../../tests/fixtures/manifests/0.1.0.json");
    Source {
        system_identifier: id.map(str::to_owned),
        database: "app".to_owned(),
        ..crate::archive::Manifest::parse(manifest).unwrap().source
    }
}

fn facts(id: Option<&str>) -> TargetFacts {
    TargetFacts {
        database: "app".to_owned(),
        system_identifier: id.map(str::to_owned),
        ..crate::restore::planner::tests::facts()
    }
}

/// What is known without a word from the source itself.
fn asked(source: &Live, remembered: &[Source], facts: &TargetFacts) -> Asked {
    let url = ConnectionUrl::parse(&"postgresql:///app?host=/elsewhere".into()).unwrap();
    let answer = match source {
        Live::Unread(why) => Answer::Silent(why.clone()),
        _ => Answer::Unnamed,
    };
    Asked::of(source, remembered.to_vec(), &url, facts, answer)
}

#[test]
fn a_source_that_has_moved_is_known_by_its_newest_backup_and_by_the_chosen_one() {
    let (before, now) = (source(Some("1")), source(Some("2")));
    for remembered in [[before.clone(), now.clone()], [now, before]] {
        for id in ["1", "2"] {
            let facts = facts(Some(id));
            let asked = asked(&Live::Unnamed, &remembered, &facts);
            assert!(refusal(&facts, &asked, true, false).is_some(), "{id}");
            assert_eq!(refusal(&facts, &asked, true, true), None);
            assert!(certainly_another(&facts, &asked).is_err(), "{id}");
        }
        let facts = facts(Some("3"));
        let asked = asked(&Live::Unnamed, &remembered, &facts);
        assert_eq!(refusal(&facts, &asked, true, false), None);
        assert_eq!(certainly_another(&facts, &asked), Ok(()));
    }
}

/// It may be anywhere, under the name that the backups know.
#[test]
fn a_source_whose_place_cannot_be_read_is_a_silent_one() {
    let unread = Live::Unread("databases.main.url_file cannot be read here".to_owned());
    let facts = facts(Some("2"));
    let asked = asked(&unread, &[source(Some("1"))], &facts);
    let said = refusal(&facts, &asked, true, false).unwrap();
    assert!(said.contains("url_file") && said.contains("--not-the-source"), "{said}");
    assert_eq!(refusal(&facts, &asked, false, false), None, "nothing is dropped");
    assert!(warning(&asked.answer, true).is_some());
    assert!(certainly_another(&facts, &asked).is_err());
    let other = TargetFacts { database: "other".to_owned(), ..facts };
    let asked = Asked { name: Name::Other, ..asked };
    assert_eq!(refusal(&other, &asked, true, false), None);
}

/// Where only legacy archives are there, or no manifest can be read, it may have any
/// name.
#[test]
fn a_source_of_which_neither_place_nor_backup_is_known_may_be_any_database() {
    let unread = Live::Unread("databases.main.url_file cannot be read here".to_owned());
    for facts in [facts(Some("2")), facts(None)] {
        let asked = asked(&unread, &[], &facts);
        let said = refusal(&facts, &asked, true, false).unwrap();
        for part in ["may be the source", "nothing says how", "url_file", "--not-the-source"] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(refusal(&facts, &asked, true, true), None);
        // An empty database is filled all the same, and what that wants later is said.
        assert_eq!(refusal(&facts, &asked, false, false), None);
        assert!(wants_word(&facts, &asked, false));
        assert!(certainly_another(&facts, &asked).is_err());
    }
}

/// The settings' source as it answers: the identifier of its server, and its name.
fn other(id: Option<&str>, database: &str) -> Answer {
    let system_identifier = id.map(str::to_owned);
    Answer::Other(Identity { system_identifier, database: database.to_owned(), ..identity(9) })
}

fn answered(backups: &[Option<&str>], answer: &Answer) -> Asked {
    let remembered = backups.iter().map(|id| source(*id)).collect();
    Asked { answer: answer.clone(), remembered, ..Asked::default() }
}

/// The settings name another one by now, or have always named the wrong one.
#[test]
fn an_answer_from_elsewhere_does_not_clear_what_a_backup_was_made_of() {
    for (backups, answer) in [
        (&[Some("1")][..], other(Some("2"), "app")),
        // Whether it is the backup's own cannot be told.
        (&[Some("1")], other(None, "app")),
        // Another database of the same server.
        (&[Some("1")], other(Some("1"), "app_2")),
        // It has moved, and the newest backup is of where it is now.
        (&[Some("1"), Some("2")], other(Some("2"), "app")),
        (&[Some("2"), Some("1")], other(Some("2"), "app")),
    ] {
        let (facts, asked) = (facts(Some("1")), answered(backups, &answer));
        for clean in [false, true] {
            let said = refusal(&facts, &asked, clean, false).unwrap();
            for part in ["by its system identifier", "another source", "--not-the-source"] {
                assert!(said.contains(part), "{said}");
            }
            assert_eq!(refusal(&facts, &asked, clean, true), None);
        }
        let said = certainly_another(&facts, &asked).unwrap_err();
        assert!(said.contains("another source"), "{said}");
    }
}

/// Where a host hides the identifier, its databases' names are often all the same.
#[test]
fn a_name_is_enough_where_something_is_dropped_and_the_one_who_answers_is_another() {
    for (target, backups, answer) in [
        (None, &[Some("1")][..], other(Some("2"), "app")),
        (None, &[Some("1")], other(None, "app")),
        (None, &[None], other(None, "app_2")),
        (Some("3"), &[None], other(Some("2"), "app")),
    ] {
        let (facts, asked) = (facts(target), answered(backups, &answer));
        let said = refusal(&facts, &asked, true, false).unwrap();
        for part in ["may be where", "cannot be compared", "--not-the-source"] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(refusal(&facts, &asked, true, true), None);
        assert_eq!(refusal(&facts, &asked, false, false), None, "nothing is dropped");
        assert!(wants_word(&facts, &asked, false), "{target:?} {backups:?}");
        assert!(certainly_another(&facts, &asked).is_err(), "{target:?} {backups:?}");
        // Silence clears no more than an answer.
        let silent = Asked { answer: Answer::Silent("no route".to_owned()), ..asked };
        assert!(refusal(&facts, &silent, true, false).is_some());
    }
}

#[test]
fn the_backup_s_own_source_clears_its_clones_and_other_databases() {
    for (target, backups, answer) in [
        // A clone of its server.
        (Some("1"), &[Some("1")][..], other(Some("1"), "app")),
        // A new server, whoever it is that answers.
        (Some("3"), &[Some("1")], other(Some("1"), "app")),
        (Some("3"), &[Some("1"), Some("2")], other(Some("2"), "app")),
        // A host that hides the identifier has hidden it ever since.
        (None, &[None], other(None, "app")),
        (Some("3"), &[None], other(None, "app")),
        // Nothing is remembered.
        (Some("1"), &[], other(Some("2"), "app")),
    ] {
        let (facts, asked) = (facts(target), answered(backups, &answer));
        assert_eq!(refusal(&facts, &asked, true, false), None, "{target:?} {backups:?}");
        assert_eq!(certainly_another(&facts, &asked), Ok(()), "{target:?} {backups:?}");
    }
    // Another database of the backup's server, whoever answers.
    let facts = TargetFacts { database: "copy".to_owned(), ..facts(Some("1")) };
    let asked = answered(&[Some("1")], &other(Some("2"), "app"));
    assert_eq!(refusal(&facts, &asked, true, false), None);
}

#[test]
fn what_may_be_the_source_is_not_surely_another() {
    let silent = Answer::Silent("no route".to_owned());
    let sure = |theirs: Option<&str>, ours: Option<&str>, same: bool, answer: &Answer| {
        let asked = Asked { same_address: same, ..answered(&[ours], answer) };
        certainly_another(&facts(theirs), &asked)
    };
    let elsewhere = other(Some("2"), "app");
    assert_eq!(sure(Some("1"), Some("2"), false, &elsewhere), Ok(()));
    assert_eq!(sure(Some("1"), Some("2"), false, &Answer::Unnamed), Ok(()));
    for (theirs, ours, same, answer) in [
        // The source may have moved to that server since the backup was made.
        (Some("1"), Some("2"), false, &silent),
        (Some("1"), Some("2"), true, &elsewhere),
        (Some("1"), Some("2"), false, &Answer::Same),
        (Some("1"), Some("1"), false, &silent),
        (None, Some("1"), false, &silent),
        (Some("1"), None, false, &Answer::Unnamed),
    ] {
        assert!(sure(theirs, ours, same, answer).is_err(), "{theirs:?} {ours:?} {answer:?}");
    }
}

#[test]
fn a_silent_source_s_name_is_enough_where_something_is_dropped_and_nowhere_else() {
    let facts = facts(Some("1"));
    let silent = || Answer::Silent("no route".to_owned());
    let refused = |name, answer, clean, knows| {
        let asked = Asked { name, answer, ..Asked::default() };
        refusal(&facts, &asked, clean, knows)
    };
    let said = refused(Name::Same, silent(), true, false).unwrap();
    assert!(said.contains("no route") && said.contains("--not-the-source"), "{said}");
    // On the worst night the source is gone: an empty database is filled all the same.
    assert_eq!(refused(Name::Same, silent(), false, false), None);
    assert_eq!(refused(Name::Same, silent(), true, true), None);
    assert_eq!(refused(Name::Other, silent(), true, false), None);
    assert_eq!(refused(Name::Same, other(Some("2"), "app"), true, false), None);
    // Whoever fills it is told what the next run will want.
    let asked = Asked { name: Name::Same, answer: silent(), ..Asked::default() };
    assert!(wants_word(&facts, &asked, false) && !wants_word(&facts, &asked, true));
}

#[test]
fn a_silent_source_is_a_warning_where_something_is_dropped() {
    let silent = Answer::Silent("no route".into());
    assert!(warning(&silent, true).is_some_and(|said| said.contains("no route")));
    assert_eq!(warning(&silent, false), None);
    assert_eq!(warning(&other(Some("2"), "app"), true), None);
}

#[test]
fn where_another_database_of_the_settings_lives_nothing_is_restored_unasked() {
    let facts = facts(Some("3"));
    let asked = Asked { of_another: Some("prod".to_owned()), ..Asked::default() };
    for clean in [false, true] {
        let why = refusal(&facts, &asked, clean, false).unwrap();
        assert!(why.contains("databases.prod") && why.contains("--not-the-source"), "{why}");
    }
    assert_eq!(refusal(&facts, &asked, true, true), None);
}

#[test]
fn a_name_is_enough_where_no_source_is_named_and_identifiers_cannot_be_compared() {
    let facts = facts(None);
    let asked = asked(&Live::Unnamed, &[source(Some("1"))], &facts);
    let why = refusal(&facts, &asked, true, false).unwrap();
    assert!(why.contains("may be the source") && why.contains("--not-the-source"), "{why}");
    assert_eq!(refusal(&facts, &asked, false, false), None, "nothing is dropped");
    assert_eq!(refusal(&facts, &asked, true, true), None);
}
