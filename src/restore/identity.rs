//! Whether the target is the live source, however their URLs spell it.

use std::time::Duration;

use crate::{
    archive::manifest::Source,
    postgres::{ConnectionUrl, Identity, Target, TargetFacts},
};

/// How long asking the source may take: a recovery must not wait for a server
/// that is gone.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// What the settings' source said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// The settings name none.
    #[default]
    Unnamed,
    /// It could not be asked, and why.
    Silent(String),
    /// It is the target.
    Same,
    /// It is another server or another database.
    Other,
}

/// What is known of where the target is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Whether the target's address and database are those that the settings
    /// name as the source.
    pub same_address: bool,
    /// Whether its database has the name of the one that the settings name.
    pub same_name: bool,
    /// What the source itself said.
    pub answer: Answer,
}

impl Asked {
    /// What the addresses say, beside the source's own answer.
    pub(super) fn of(
        source: Option<&ConnectionUrl>,
        url: &ConnectionUrl,
        facts: &TargetFacts,
        answer: Answer,
    ) -> Self {
        let same_name = source.is_some_and(|source| source.database() == facts.database);
        let same_host = source.is_some_and(|source| source.address() == url.address());
        Self { same_address: same_name && same_host, same_name, answer }
    }
}

/// Asks the source who it is.
pub(super) async fn ask(source: Option<&ConnectionUrl>, target: &mut Target) -> Answer {
    let Some(source) = source else { return Answer::Unnamed };
    let asking = async {
        let mut session = Target::open(source, ASK_WITHIN).await?;
        let identity = session.identity().await;
        session.close().await;
        identity
    };
    let ours = match target.identity().await {
        Ok(ours) => ours,
        Err(error) => return Answer::Silent(error.to_string()),
    };
    match tokio::time::timeout(ASK_WITHIN, asking).await {
        Ok(Ok(theirs)) if is_same(&ours, &theirs) => Answer::Same,
        Ok(Ok(_)) => Answer::Other,
        Ok(Err(error)) => Answer::Silent(error.to_string()),
        Err(_) => Answer::Silent(format!("no answer within {} s", ASK_WITHIN.as_secs())),
    }
}

/// Whether two sessions are in one database. Clones share their identifier and
/// their databases' numbers; the moment at which a server started, to the
/// microsecond, they don't. A standby started at another moment than its
/// primary and holds the same database all the same.
fn is_same(a: &Identity, b: &Identity) -> bool {
    let identifiers = a.system_identifier.as_ref().zip(b.system_identifier.as_ref());
    let database = a.database_oid == b.database_oid && a.database == b.database;
    let started = a.started_micros == b.started_micros;
    let cluster = identifiers.is_none_or(|(a, b)| a == b);
    database && cluster && (started || a.standby || b.standby)
}

/// Why the target may be the source. `manifest` is what a backup says of it. Where
/// something is dropped first, the name of a database whose source is silent is
/// enough: the identifier that a backup remembers is another one as soon as its
/// server was replaced, so that a different one proves nothing.
pub(super) fn refusal(
    facts: &TargetFacts,
    manifest: Option<&Source>,
    asked: &Asked,
    clean: bool,
    not_the_source: bool,
) -> Option<String> {
    let Asked { same_address, same_name, answer } = asked;
    if *same_address || *answer == Answer::Same {
        return Some(format!(
            "the target is the source: database {} of the same server; restore into another \
             database, and rename it when it is proven",
            facts.database
        ));
    }
    let by_manifest = manifest.is_some_and(|source| {
        let ids = source.system_identifier.as_ref().zip(facts.system_identifier.as_ref());
        ids.is_some_and(|(a, b)| a == b) && source.database == facts.database
    });
    if *answer == Answer::Other || not_the_source {
        return None;
    }
    if let Answer::Silent(why) = answer
        && clean
        && *same_name
        && !by_manifest
    {
        return Some(format!(
            "the target may be the source: its database is called {} as well, and the source \
             cannot be asked: {why}; restore into another database or into an empty one, or, where \
             you know that it is not the source and what is there may go, add --not-the-source",
            facts.database
        ));
    }
    if !by_manifest {
        return None;
    }
    let why = match answer {
        Answer::Silent(why) => format!("the source cannot be asked: {why}"),
        _ => "the settings name no source that could be asked".to_owned(),
    };
    Some(format!(
        "the target is the source: database {} of the same server, by its system identifier \
         ({why}); restore into another database, or, where you know that it is a clone of the \
         source's server and not the source, add --not-the-source",
        facts.database
    ))
}

/// Whether a database is another one than the source, for certain: it will be
/// emptied. `manifest` is what a backup says of the source.
///
/// # Errors
/// Why it is the source, or may be.
pub async fn surely_not_the_source(
    url: &ConnectionUrl,
    source: Option<&ConnectionUrl>,
    manifest: Option<&Source>,
    facts: &TargetFacts,
    target: &mut Target,
) -> Result<(), String> {
    let answer = ask(source, target).await;
    certainly_another(facts, manifest, &Asked::of(source, url, facts, answer))
}

fn certainly_another(
    facts: &TargetFacts,
    manifest: Option<&Source>,
    asked: &Asked,
) -> Result<(), String> {
    if refusal(facts, manifest, asked, false, false).is_some() {
        return Err(format!("it is the source: database {} of the same server", facts.database));
    }
    let is_known = manifest.is_some_and(|source| {
        source.system_identifier.is_some() && facts.system_identifier.is_some()
    });
    let why = match &asked.answer {
        Answer::Other | Answer::Same => return Ok(()),
        // What a backup remembers of it is of another time: the source may have moved
        // to this very server since.
        Answer::Silent(why) => format!("the source cannot be asked: {why}"),
        Answer::Unnamed if is_known => return Ok(()),
        Answer::Unnamed => "the settings name no source that could be asked".to_owned(),
    };
    Err(format!("it cannot be told whether it is the source ({why})"))
}

/// What should be known before anything is dropped.
pub(super) fn warning(answer: &Answer, clean: bool) -> Option<String> {
    match answer {
        Answer::Silent(why) if clean => Some(format!(
            "the source cannot be asked whether it is the target ({why}): make sure that \
             --clean drops nothing of it"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn what_may_be_the_source_is_not_surely_another() {
        let source = |id: Option<&str>| Source {
            system_identifier: id.map(str::to_owned),
            database: "app".to_owned(),
            ..crate::archive::Manifest::parse(include_bytes!(
                "../../tests/fixtures/manifests/0.1.0.json"
            ))
            .unwrap()
            .source
        };
        let facts = |id: Option<&str>| TargetFacts {
            database: "app".to_owned(),
            system_identifier: id.map(str::to_owned),
            ..crate::restore::planner::tests::facts()
        };
        let silent = Answer::Silent("no route".to_owned());
        let sure = |theirs: Option<&str>, ours: Option<&str>, same: bool, answer: &Answer| {
            let asked = Asked { same_address: same, same_name: same, answer: answer.clone() };
            certainly_another(&facts(theirs), Some(&source(ours)), &asked)
        };
        assert_eq!(sure(Some("1"), Some("1"), false, &Answer::Other), Ok(()));
        assert_eq!(sure(Some("1"), Some("2"), false, &Answer::Unnamed), Ok(()));
        for (theirs, ours, same, answer) in [
            // The source may have moved to that server since the backup was made.
            (Some("1"), Some("2"), false, &silent),
            (Some("1"), Some("2"), true, &Answer::Other),
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
        let facts = TargetFacts {
            database: "app".to_owned(),
            system_identifier: Some("1".to_owned()),
            ..crate::restore::planner::tests::facts()
        };
        let silent = || Answer::Silent("no route".to_owned());
        let refused = |same_name, answer, clean, knows| {
            let asked = Asked { same_address: false, same_name, answer };
            refusal(&facts, None, &asked, clean, knows)
        };
        let said = refused(true, silent(), true, false).unwrap();
        assert!(said.contains("no route") && said.contains("--not-the-source"), "{said}");
        // On the worst night the source is gone: an empty database is filled all the same.
        assert_eq!(refused(true, silent(), false, false), None);
        assert_eq!(refused(true, silent(), true, true), None);
        assert_eq!(refused(false, silent(), true, false), None);
        assert_eq!(refused(true, Answer::Other, true, false), None);
    }

    #[test]
    fn a_silent_source_is_a_warning_where_something_is_dropped() {
        let silent = Answer::Silent("no route".into());
        assert!(warning(&silent, true).is_some_and(|said| said.contains("no route")));
        assert_eq!(warning(&silent, false), None);
        assert_eq!(warning(&Answer::Other, true), None);
    }
}
