//! Whether the target is the live source, however their URLs spell it.

use std::time::Duration;

use crate::{
    archive::manifest::Source,
    postgres::{ConnectionUrl, Identity, Target, TargetFacts},
};

/// How long asking the source may take: a recovery must not wait for a server
/// that is gone.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// The source, as far as this machine's settings name it.
#[derive(Clone, Debug, Default)]
pub enum Live {
    /// They name none.
    #[default]
    Unnamed,
    /// They name one, and where it is cannot be read here: why.
    Unread(String),
    /// It is there.
    At(Box<ConnectionUrl>),
}

impl Live {
    /// Where it is, if that is known.
    #[must_use]
    pub fn url(&self) -> Option<&ConnectionUrl> {
        match self {
            Self::At(url) => Some(url),
            Self::Unnamed | Self::Unread(_) => None,
        }
    }
}

impl From<Option<ConnectionUrl>> for Live {
    fn from(url: Option<ConnectionUrl>) -> Self {
        url.map_or(Self::Unnamed, |url| Self::At(Box::new(url)))
    }
}

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
    /// Whether its database has the name of the one that the settings name, or,
    /// where that cannot be read, of one that backups come from.
    pub same_name: bool,
    /// What the source itself said.
    pub answer: Answer,
    /// What backups say of it: the one that is restored, and the newest, since the
    /// source may have moved between them.
    pub remembered: Vec<Source>,
}

impl Asked {
    /// What the addresses and the backups say, beside the source's own answer.
    pub(super) fn of(
        source: &Live,
        remembered: Vec<Source>,
        url: &ConnectionUrl,
        facts: &TargetFacts,
        answer: Answer,
    ) -> Self {
        let same_name = match source {
            Live::Unnamed => false,
            Live::Unread(_) => remembered.iter().any(|source| source.database == facts.database),
            Live::At(source) => source.database() == facts.database,
        };
        let same_host = source.url().is_some_and(|source| source.address() == url.address());
        Self { same_address: same_name && same_host, same_name, answer, remembered }
    }

    /// Whether the target is where a backup comes from, by its system identifier.
    fn is_remembered(&self, facts: &TargetFacts) -> bool {
        self.remembered.iter().any(|source| {
            let ids = source.system_identifier.as_ref().zip(facts.system_identifier.as_ref());
            ids.is_some_and(|(a, b)| a == b) && source.database == facts.database
        })
    }
}

/// Asks the source who it is.
pub(super) async fn ask(source: &Live, target: &mut Target) -> Answer {
    let source = match source {
        Live::Unnamed => return Answer::Unnamed,
        Live::Unread(why) => return Answer::Silent(why.clone()),
        Live::At(source) => source,
    };
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

/// Why the target may be the source. Where something is dropped first, the name of
/// a database whose source is silent is enough: the identifier that a backup
/// remembers is another one as soon as its server was replaced, so that a different
/// one proves nothing.
pub(super) fn refusal(
    facts: &TargetFacts,
    asked: &Asked,
    clean: bool,
    not_the_source: bool,
) -> Option<String> {
    let Asked { same_address, same_name, answer, .. } = asked;
    if *same_address || *answer == Answer::Same {
        return Some(format!(
            "the target is the source: database {} of the same server; restore into another \
             database, and rename it when it is proven",
            facts.database
        ));
    }
    if *answer == Answer::Other || not_the_source {
        return None;
    }
    let is_remembered = asked.is_remembered(facts);
    if let Answer::Silent(why) = answer
        && clean
        && *same_name
        && !is_remembered
    {
        return Some(format!(
            "the target may be the source: its database is called {} as well, and the source \
             cannot be asked: {why}; restore into another database or into an empty one, or, where \
             you know that it is not the source and what is there may go, add --not-the-source",
            facts.database
        ));
    }
    if !is_remembered {
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

/// Whether a restore that may go on will be refused when it is to drop first what
/// it has left.
pub(super) fn wants_word(facts: &TargetFacts, asked: &Asked, not_the_source: bool) -> bool {
    refusal(facts, asked, true, not_the_source).is_some()
}

/// Whether a database is another one than the source, for certain: it will be
/// emptied. `remembered` is what backups say of the source.
///
/// # Errors
/// Why it is the source, or may be.
pub async fn surely_not_the_source(
    url: &ConnectionUrl,
    source: &Live,
    remembered: Vec<Source>,
    facts: &TargetFacts,
    target: &mut Target,
) -> Result<(), String> {
    let answer = ask(source, target).await;
    certainly_another(facts, &Asked::of(source, remembered, url, facts, answer))
}

fn certainly_another(facts: &TargetFacts, asked: &Asked) -> Result<(), String> {
    if refusal(facts, asked, false, false).is_some() {
        return Err(format!("it is the source: database {} of the same server", facts.database));
    }
    let known = |source: &Source| source.system_identifier.is_some();
    let is_known = facts.system_identifier.is_some()
        && !asked.remembered.is_empty()
        && asked.remembered.iter().all(known);
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
        let asked = Asked { same_name: false, ..asked };
        assert_eq!(refusal(&other, &asked, true, false), None);
    }

    #[test]
    fn what_may_be_the_source_is_not_surely_another() {
        let silent = Answer::Silent("no route".to_owned());
        let sure = |theirs: Option<&str>, ours: Option<&str>, same: bool, answer: &Answer| {
            let (answer, remembered) = (answer.clone(), vec![source(ours)]);
            let asked = Asked { same_address: same, same_name: same, answer, remembered };
            certainly_another(&facts(theirs), &asked)
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
        let facts = facts(Some("1"));
        let silent = || Answer::Silent("no route".to_owned());
        let refused = |same_name, answer, clean, knows| {
            let asked = Asked { same_name, answer, ..Asked::default() };
            refusal(&facts, &asked, clean, knows)
        };
        let said = refused(true, silent(), true, false).unwrap();
        assert!(said.contains("no route") && said.contains("--not-the-source"), "{said}");
        // On the worst night the source is gone: an empty database is filled all the same.
        assert_eq!(refused(true, silent(), false, false), None);
        assert_eq!(refused(true, silent(), true, true), None);
        assert_eq!(refused(false, silent(), true, false), None);
        assert_eq!(refused(true, Answer::Other, true, false), None);
        // Whoever fills it is told what the next run will want.
        let asked = Asked { same_name: true, answer: silent(), ..Asked::default() };
        assert!(wants_word(&facts, &asked, false) && !wants_word(&facts, &asked, true));
    }

    #[test]
    fn a_silent_source_is_a_warning_where_something_is_dropped() {
        let silent = Answer::Silent("no route".into());
        assert!(warning(&silent, true).is_some_and(|said| said.contains("no route")));
        assert_eq!(warning(&silent, false), None);
        assert_eq!(warning(&Answer::Other, true), None);
    }
}
