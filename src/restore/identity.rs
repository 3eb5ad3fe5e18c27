//! Whether the target is the live source, however their URLs spell it.

use std::time::Duration;

use crate::{
    archive::manifest::Source,
    catalog::Origin,
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

impl From<Identity> for Origin {
    fn from(identity: Identity) -> Self {
        Self { database: identity.database, system_identifier: identity.system_identifier }
    }
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
    /// It is another server or another database: which.
    Other(Identity),
}

impl Answer {
    /// Whether the source that has answered is the one that a backup was made of, so
    /// that what else is like that one is its clone. The settings may name another by
    /// now. Where no identifier can be read, now as then, the name is all there is.
    fn is_of(&self, backup: &Source) -> bool {
        let Self::Other(source) = self else { return false };
        source.system_identifier == backup.system_identifier && source.database == backup.database
    }
}

/// What the target's database has of the source's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Name {
    /// Another one, or no source is named.
    #[default]
    Other,
    /// The same: as the settings name it or, where that cannot be read, as backups do.
    Same,
    /// Nobody says how the source's is called, so that it may be this one.
    Untold,
}

/// What a target has in common with a database that a backup was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// The name; the system identifiers cannot be compared.
    Name,
    /// The system identifier as well.
    Identifier,
}

/// What is known of where the target is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Whether the target's address and database are those that the settings
    /// name as the source.
    pub same_address: bool,
    /// What its name says.
    pub name: Name,
    /// What the source itself said.
    pub answer: Answer,
    /// What backups say of it: the one that is restored, and the newest, since the
    /// source may have moved between them.
    pub remembered: Vec<Source>,
    /// Which other database of the settings lives there, if one does.
    pub of_another: Option<String>,
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
        let is_called = |database: &str| database == facts.database;
        let name = match source {
            Live::Unread(_) if remembered.is_empty() => Name::Untold,
            Live::Unread(_) if remembered.iter().any(|backup| is_called(&backup.database)) => {
                Name::Same
            }
            Live::At(source) if is_called(source.database()) => Name::Same,
            Live::Unnamed | Live::Unread(_) | Live::At(_) => Name::Other,
        };
        let same_host = source.url().is_some_and(|source| source.address() == url.address());
        let same_address = name == Name::Same && same_host;
        Self { same_address, name, answer, remembered, of_another: None }
    }

    /// Whether the target is the source, by its address or by the source's own word.
    fn is_the_source(&self) -> bool {
        self.same_address || self.answer == Answer::Same
    }

    /// What the target has in common with a database that a backup was made of, other
    /// than the one that has answered.
    fn likeness(&self, facts: &TargetFacts) -> Option<Likeness> {
        let ours = Origin {
            database: facts.database.clone(),
            system_identifier: facts.system_identifier.clone(),
        };
        self.remembered
            .iter()
            .filter(|backup| !self.answer.is_of(backup))
            .map(Origin::from)
            .filter(|backup| !backup.is_another(&ours))
            .map(|backup| {
                match backup.system_identifier.as_ref().zip(ours.system_identifier.as_ref()) {
                    Some(_) => Likeness::Identifier,
                    None => Likeness::Name,
                }
            })
            .max()
    }
}

/// Asks the source who it is, and the other databases of the settings whether they are
/// the target. Of these one that does not answer stands in nobody's way.
pub(super) async fn look(
    source: &Live,
    others: &[(String, ConnectionUrl)],
    remembered: Vec<Source>,
    url: &ConnectionUrl,
    facts: &TargetFacts,
    target: &mut Target,
) -> Asked {
    let answer = ask(source, target).await;
    let mut asked = Asked::of(source, remembered, url, facts, answer);
    let Ok(ours) = target.identity().await else { return asked };
    let each = others.iter().map(async |(name, other)| {
        let is_there = other.address() == url.address() && other.database() == facts.database;
        let is_it = is_there || who(other).await.is_ok_and(|theirs| is_same(&ours, &theirs));
        is_it.then(|| name.clone())
    });
    asked.of_another = futures::future::join_all(each).await.into_iter().flatten().next();
    asked
}

/// Asks the source who it is.
async fn ask(source: &Live, target: &mut Target) -> Answer {
    let source = match source {
        Live::Unnamed => return Answer::Unnamed,
        Live::Unread(why) => return Answer::Silent(why.clone()),
        Live::At(source) => source,
    };
    let ours = match target.identity().await {
        Ok(ours) => ours,
        Err(error) => return Answer::Silent(error.to_string()),
    };
    match who(source).await {
        Ok(theirs) if is_same(&ours, &theirs) => Answer::Same,
        Ok(theirs) => Answer::Other(theirs),
        Err(why) => Answer::Silent(why),
    }
}

/// Asks a database who it is.
///
/// # Errors
/// Why it does not tell in time.
pub async fn who(database: &ConnectionUrl) -> Result<Identity, String> {
    let asking = async {
        let mut session = Target::open(database, ASK_WITHIN).await?;
        let identity = session.identity().await;
        session.close().await;
        identity
    };
    match tokio::time::timeout(ASK_WITHIN, asking).await {
        Ok(identity) => identity.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", ASK_WITHIN.as_secs())),
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
/// one proves nothing. A source that answers clears nothing but clones of itself: the
/// one that the backups come from may live on where the settings no longer name it.
pub(super) fn refusal(
    facts: &TargetFacts,
    asked: &Asked,
    clean: bool,
    not_the_source: bool,
) -> Option<String> {
    let database = &facts.database;
    if asked.is_the_source() {
        return Some(format!(
            "the target is the source: database {database} of the same server; restore into \
             another database, and rename it when it is proven"
        ));
    }
    if not_the_source {
        return None;
    }
    if let Some(another) = &asked.of_another {
        return Some(format!(
            "the target is a live source: database {database} is databases.{another} of the \
             settings; restore into another database, or, where it is to become what this backup \
             holds, add --not-the-source"
        ));
    }
    match (&asked.answer, asked.likeness(facts)) {
        (Answer::Other(source), Some(Likeness::Identifier)) => Some(format!(
            "the target is where a backup comes from: database {database} of the same server, by \
             its system identifier, and {}; restore into another database, or, where you know that \
             it is a clone or that nobody uses it any more, add --not-the-source",
            elsewhere(source)
        )),
        (Answer::Other(source), Some(Likeness::Name)) if clean => Some(format!(
            "the target may be where a backup comes from: its database is called {database} as \
             well, their system identifiers cannot be compared, and {}; restore into another \
             database or into an empty one, or, where you know that what is there may go, add \
             --not-the-source",
            elsewhere(source)
        )),
        (Answer::Other(_), _) => None,
        (answer, Some(Likeness::Identifier)) => {
            let why = match answer {
                Answer::Silent(why) => format!("the source cannot be asked: {why}"),
                _ => "the settings name no source that could be asked".to_owned(),
            };
            Some(format!(
                "the target is the source: database {database} of the same server, by its system \
                 identifier ({why}); restore into another database, or, where you know that it is \
                 a clone of the source's server and not the source, add --not-the-source"
            ))
        }
        (Answer::Unnamed, Some(Likeness::Name)) if clean => Some(format!(
            "the target, database {database}, may be the source: a backup was made of a database of \
             that name, their system identifiers cannot be compared, and the settings name no \
             source that could be asked; restore into another database or into an empty one, or, where you know that \
             it is not the source and what is there may go, add --not-the-source"
        )),
        (Answer::Silent(why), likeness) if clean => {
            let name = match asked.name {
                Name::Other if likeness.is_none() => return None,
                Name::Untold => "nothing says how its database is called",
                Name::Same => "it has its database's name",
                Name::Other => "a backup was made of a database of that name",
            };
            Some(format!(
                "the target, database {database}, may be the source: {name}, and the source cannot \
                 be asked: {why}; restore into another database or into an empty one, or, where \
                 you know that it is not the source and what is there may go, add --not-the-source"
            ))
        }
        _ => None,
    }
}

/// Whom the settings name instead of the database that a backup was made of.
fn elsewhere(source: &Identity) -> String {
    let source = Origin::from(source.clone());
    format!("the settings name another source than the backup does: {source}")
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
    let is_it = || Err(format!("it is the source: database {} of the same server", facts.database));
    let untold = |why: &str| Err(format!("it cannot be told whether it is the source ({why})"));
    if asked.is_the_source() {
        return is_it();
    }
    let has_identifier = |source: &Source| source.system_identifier.is_some();
    let is_known = facts.system_identifier.is_some()
        && !asked.remembered.is_empty()
        && asked.remembered.iter().all(has_identifier);
    match (&asked.answer, asked.likeness(facts)) {
        (Answer::Other(_), None) => Ok(()),
        (Answer::Other(source), Some(_)) => untold(&elsewhere(source)),
        (Answer::Same, _) | (_, Some(Likeness::Identifier)) => is_it(),
        // What a backup remembers of it is of another time: the source may have moved
        // to this very server since.
        (Answer::Silent(why), _) => untold(&format!("the source cannot be asked: {why}")),
        (Answer::Unnamed, _) if is_known => Ok(()),
        (Answer::Unnamed, _) => untold("the settings name no source that could be asked"),
    }
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
#[path = "identity_tests.rs"]
mod tests;
