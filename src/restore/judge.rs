//! Whether the target takes a statement, and what is lost where it does not.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{kind::Kind, options::Options, platform::Platform, statement::Statement};
use crate::{
    archive::TableName,
    postgres::{Section, TargetFacts},
};

/// What it means that something was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The platform has its own, or does without.
    PlatformDifference,
    /// Something that was in the source is not in the target.
    DataLoss,
}

impl Class {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PlatformDifference => "platform difference",
            Self::DataLoss => "data loss",
        }
    }
}

/// What becomes of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is run.
    Keep,
    /// The target has it already.
    Present,
    /// It is tried at the end; where the role may not, it is skipped.
    Try(Class),
    /// It is not run.
    Skip(Class, String),
    /// It is one of a managed schema's own definitions, which the platform keeps.
    Managed(String),
}

/// The target, as statements are held against it.
pub(super) struct Judge<'a> {
    facts: &'a TargetFacts,
    platform: &'a Platform,
    relations: HashSet<TableName>,
    create_roles: bool,
    /// Whether what the archive creates is dropped first.
    drops: bool,
}

impl<'a> Judge<'a> {
    pub(super) fn new(facts: &'a TargetFacts, platform: &'a Platform, options: &Options) -> Self {
        let relations = facts
            .relations
            .iter()
            .map(|r| TableName { schema: r.schema.clone(), name: r.name.clone() })
            .collect();
        let create_roles = options.create_roles && facts.creates_roles;
        let drops = options.clean && !options.is_partial() && options.wants(Section::PreData);
        Self { facts, platform, relations, create_roles, drops }
    }

    /// Whether the platform keeps a schema's definitions.
    pub(super) fn is_managed(&self, schema: &str) -> bool {
        self.platform.managed.contains(schema)
    }

    /// Judges a statement; in the order of the archive.
    pub(super) fn judge(&self, statement: &Statement) -> Verdict {
        let skip = |reason: &str| Verdict::Skip(Class::PlatformDifference, reason.to_owned());
        let name = statement.object.as_ref().map_or("", |object| object.name.as_str());
        let superuser = self.facts.superuser;
        match statement.kind {
            Kind::Setting => {
                let known = self.facts.settings.iter().any(|setting| setting == name);
                let major = self.facts.server.major;
                return if known || name.contains('.') {
                    Verdict::Keep
                } else {
                    skip(&format!("PostgreSQL {major} has no such setting"))
                };
            }
            Kind::Schema => {
                let there = self.facts.schemas.iter().any(|schema| schema.name == name);
                return if there { Verdict::Present } else { Verdict::Keep };
            }
            Kind::Extension => return self.extension(name),
            Kind::Policy | Kind::UserMapping => {
                let lacks = |role: &&String| !self.facts.roles.contains(role);
                if let Some(role) =
                    statement.roles.iter().find(lacks).filter(|_| !self.create_roles)
                {
                    let reason =
                        format!("the target has no role {role}; --create-roles creates it");
                    return Verdict::Skip(Class::DataLoss, reason);
                }
            }
            Kind::AccessMethod
                if !self.drops && self.facts.access_methods.iter().any(|found| found == name) =>
            {
                return Verdict::Present;
            }
            Kind::EventTrigger
            | Kind::Subscription
            | Kind::AccessMethod
            | Kind::ForeignDataWrapper
            | Kind::Language
                if !superuser =>
            {
                return skip("only a superuser may make it");
            }
            Kind::Publication => return self.publication(statement, name),
            Kind::PublicationMember => return self.publication_member(statement, name),
            Kind::Comment => return self.comment(statement, name),
            _ => {}
        }
        match schema_of(statement) {
            Some(schema) if self.platform.managed.contains(schema) => {
                self.managed(statement, schema)
            }
            _ => Verdict::Keep,
        }
    }

    /// Whether a publication is there, and stays.
    fn is_published(&self, name: &str) -> bool {
        let found = self.facts.publications.iter().find(|(publication, _)| publication == name);
        found.is_some_and(|(_, owned)| !(self.drops && *owned))
    }

    fn extension(&self, name: &str) -> Verdict {
        let found = self.facts.extensions.iter().find(|extension| extension.name == name);
        match found {
            Some(extension) if extension.installed => Verdict::Present,
            Some(_) => Verdict::Keep,
            None => {
                let reason = "the target's server does not have it".to_owned();
                Verdict::Skip(Class::PlatformDifference, reason)
            }
        }
    }

    fn publication(&self, statement: &Statement, name: &str) -> Verdict {
        let skip = |reason: &str| Verdict::Skip(Class::PlatformDifference, reason.to_owned());
        if self.is_published(name) {
            return Verdict::Present;
        }
        if contains(statement, b" FOR ALL TABLES") && !self.facts.superuser {
            return skip("only a superuser may publish all tables");
        }
        if self.facts.creates_schemas { Verdict::Keep } else { skip("the role may not make one") }
    }

    fn publication_member(&self, statement: &Statement, name: &str) -> Verdict {
        let skip = |reason: &str| Verdict::Skip(Class::PlatformDifference, reason.to_owned());
        if contains(statement, b" IN SCHEMA ") && !self.facts.superuser {
            return skip("only a superuser may publish a whole schema");
        }
        let relation = statement.relation.as_ref();
        let managed = relation.is_some_and(|r| self.platform.managed.contains(&r.schema));
        match (self.is_published(name), managed) {
            (true, true) => skip("the platform publishes its own tables"),
            // One that is made anew has none of the platform's tables yet.
            (true, false) | (false, true) => Verdict::Try(Class::PlatformDifference),
            (false, false) => Verdict::Keep,
        }
    }

    fn comment(&self, statement: &Statement, name: &str) -> Verdict {
        let skip = |reason: &str| Verdict::Skip(Class::PlatformDifference, reason.to_owned());
        let on = |what: &[u8]| statement.text[b"COMMENT ON ".len()..].starts_with(what);
        if on(b"EXTENSION ") {
            let found = self.facts.extensions.iter().find(|extension| extension.name == name);
            let foreign = found.is_some_and(|e| e.installed && !e.owned);
            return if foreign && !self.facts.superuser {
                skip("the platform owns it")
            } else {
                Verdict::Keep
            };
        }
        if on(b"SCHEMA ") && self.platform.managed.contains(name) {
            return Verdict::Managed(name.to_owned());
        }
        if (on(b"SCHEMA ") || on(b"PUBLICATION ") || on(b"POLICY ")) && !self.facts.superuser {
            return Verdict::Try(Class::PlatformDifference);
        }
        match schema_of(statement) {
            Some(schema) if self.platform.managed.contains(schema) => {
                Verdict::Managed(schema.to_owned())
            }
            _ => Verdict::Keep,
        }
    }

    /// A statement about an object of a managed schema.
    fn managed(&self, statement: &Statement, schema: &str) -> Verdict {
        let relation = statement.relation.as_ref();
        let there = relation.is_some_and(|relation| self.relations.contains(relation));
        // Triggers and policies of a platform's tables are mostly the
        // application's own: they call its functions, they are its rules.
        let own = match statement.kind {
            Kind::Trigger => {
                statement.other.as_ref().is_some_and(|f| !self.platform.managed.contains(&f.schema))
            }
            Kind::Policy => true,
            _ => false,
        };
        match (own, there) {
            (true, true) => Verdict::Try(Class::DataLoss),
            (true, false) => Verdict::Skip(Class::DataLoss, "the target has no such table".into()),
            (false, _) if statement.kind == Kind::SequenceValue => {
                Verdict::Try(Class::PlatformDifference)
            }
            (false, _) if self.lacks(statement) => {
                let reason = "the platform keeps its own, and has none of this name".to_owned();
                Verdict::Skip(Class::PlatformDifference, reason)
            }
            (false, _) => Verdict::Managed(schema.to_owned()),
        }
    }

    /// Whether the target has nothing of the name that a statement makes. What
    /// is lost with a table are its rows, and they are judged with its rows.
    fn lacks(&self, statement: &Statement) -> bool {
        let Some(object) = &statement.object else { return false };
        match statement.kind {
            Kind::View | Kind::MaterializedView | Kind::ForeignTable => {
                !self.relations.contains(object)
            }
            Kind::Routine | Kind::Type => {
                let mut others = self.facts.others.iter();
                !others.any(|(schema, name)| *schema == object.schema && *name == object.name)
            }
            _ => false,
        }
    }
}

/// The schema that a statement's object is in.
pub(super) fn schema_of(statement: &Statement) -> Option<&str> {
    [&statement.relation, &statement.object]
        .into_iter()
        .flatten()
        .map(|name| name.schema.as_str())
        .find(|schema| !schema.is_empty())
}

fn contains(statement: &Statement, words: &[u8]) -> bool {
    memchr::memmem::find(&statement.text, words).is_some()
}
