//! Reads what follows a statement's first words.

use super::{
    super::{
        kind::Kind,
        tokens::{Cursor, Token, TokenKind, qualified},
    },
    Statement,
};
use crate::archive::TableName;

/// What CREATE makes that has a name and needs no further reading.
const CREATED: [(&str, Kind); 22] = [
    ("schema", Kind::Schema),
    ("extension if not exists", Kind::Extension),
    ("extension", Kind::Extension),
    ("language", Kind::Language),
    ("type", Kind::Type),
    ("domain", Kind::Type),
    ("function", Kind::Routine),
    ("procedure", Kind::Routine),
    ("aggregate", Kind::Routine),
    ("operator class", Kind::OperatorClass),
    ("operator family", Kind::OperatorClass),
    ("collation", Kind::Collation),
    ("conversion", Kind::Conversion),
    ("text search configuration", Kind::TextSearch),
    ("text search dictionary", Kind::TextSearch),
    ("text search parser", Kind::TextSearch),
    ("text search template", Kind::TextSearch),
    ("access method", Kind::AccessMethod),
    ("foreign data wrapper", Kind::ForeignDataWrapper),
    ("server", Kind::Server),
    ("publication", Kind::Publication),
    ("subscription", Kind::Subscription),
];

impl Statement {
    pub(super) fn object(&mut self, kind: Kind, object: Option<TableName>) -> Option<()> {
        self.kind = kind;
        self.object = Some(object?);
        Some(())
    }

    pub(super) fn of_relation(&mut self, kind: Kind, relation: Option<TableName>) -> Option<()> {
        self.kind = kind;
        self.object.clone_from(&relation);
        self.relation = Some(relation?);
        Some(())
    }

    pub(super) fn create(&mut self, mut sql: Cursor<'_>) -> Option<()> {
        let _ = sql.words("or replace");
        let _ = sql.words("unlogged") || sql.words("unique") || sql.words("recursive");
        for (words, kind) in [
            ("table", Kind::Table),
            ("foreign table", Kind::ForeignTable),
            ("view", Kind::View),
            ("materialized view", Kind::MaterializedView),
            ("sequence", Kind::Sequence),
        ] {
            if sql.words(words) {
                return self.of_relation(kind, sql.name());
            }
        }
        if sql.words("index") {
            self.object(Kind::Index, sql.identifier().map(plain))?;
            sql.words("on").then_some(())?;
            let _ = sql.words("only");
            self.relation = Some(sql.name()?);
            // An index lives in its table's schema.
            self.qualify();
            return Some(());
        }
        if sql.words("event trigger") {
            return self.object(Kind::EventTrigger, sql.identifier().map(plain));
        }
        if sql.words("trigger") || sql.words("constraint trigger") {
            self.object(Kind::Trigger, sql.identifier().map(plain))?;
            sql.skip_to("on").then_some(())?;
            self.relation = Some(sql.name()?);
            let found = sql.skip_to("execute function") || sql.skip_to("execute procedure");
            self.other = found.then(|| sql.name()).flatten();
            return Some(());
        }
        if sql.words("rule") {
            self.object(Kind::Rule, sql.identifier().map(plain))?;
            sql.skip_to("to").then_some(())?;
            self.relation = Some(sql.name()?);
            return Some(());
        }
        if sql.words("policy") {
            self.object(Kind::Policy, sql.identifier().map(plain))?;
            sql.words("on").then_some(())?;
            self.relation = Some(sql.name()?);
            if sql.skip_to("to") {
                self.roles = roles(&mut sql);
            }
            return Some(());
        }
        if sql.words("statistics") {
            self.object(Kind::Statistics, sql.name())?;
            sql.skip_to("from").then_some(())?;
            self.relation = Some(sql.name()?);
            return Some(());
        }
        if sql.words("user mapping for") {
            self.kind = Kind::UserMapping;
            self.roles = roles(&mut sql);
            sql.words("server").then_some(())?;
            return self.object(Kind::UserMapping, sql.identifier().map(plain));
        }
        let _ = sql.words("trusted") || sql.words("procedural") || sql.words("default");
        for (words, kind) in CREATED {
            if sql.words(words) {
                self.object(kind, sql.name())?;
                if kind == Kind::Type {
                    self.other = multirange(sql);
                }
                return Some(());
            }
        }
        self.kind = if sql.words("cast") {
            Kind::Cast
        } else if sql.words("transform") {
            Kind::Transform
        } else if sql.words("operator") {
            self.object = sql.operator();
            Kind::Operator
        } else {
            Kind::Other
        };
        Some(())
    }

    pub(super) fn alter(&mut self, mut sql: Cursor<'_>) -> Option<()> {
        if sql.words("table") || sql.words("foreign table") || sql.words("view") {
            let _ = sql.words("only");
            self.relation = Some(sql.name()?);
            return self.alter_table(sql);
        }
        if sql.words("index") {
            self.object(Kind::AlterIndex, sql.name())?;
            if sql.words("attach partition") {
                self.kind = Kind::AttachIndex;
                self.other = Some(sql.name()?);
            }
            return Some(());
        }
        if sql.words("sequence") {
            self.object(Kind::SequenceOwner, sql.name())?;
            sql.words("owned by").then_some(())?;
            self.relation = Some(sql.name()?);
            return Some(());
        }
        for (words, kind) in [
            ("publication", Kind::PublicationMember),
            ("subscription", Kind::Subscription),
            ("event trigger", Kind::EventTrigger),
            ("statistics", Kind::Statistics),
            ("domain", Kind::Type),
            ("type", Kind::Type),
            ("text search configuration", Kind::TextSearch),
            ("operator family", Kind::OperatorClass),
            ("extension", Kind::Extension),
            ("language", Kind::Language),
        ] {
            if sql.words(words) {
                self.object(kind, sql.name())?;
                if kind == Kind::PublicationMember && sql.words("add table") {
                    let _ = sql.words("only");
                    self.relation = sql.name();
                }
                return Some(());
            }
        }
        Some(())
    }

    fn alter_table(&mut self, mut sql: Cursor<'_>) -> Option<()> {
        self.kind = Kind::AlterTable;
        if sql.words("add constraint") {
            self.object = Some(plain(sql.identifier()?));
            self.kind = if sql.words("primary key") || sql.words("unique") || sql.words("exclude") {
                Kind::Key
            } else if sql.words("foreign key") {
                sql.skip_to("references").then_some(())?;
                self.other = Some(sql.name()?);
                Kind::ForeignKey
            } else {
                Kind::Constraint
            };
        } else if sql.words("attach partition") {
            self.kind = Kind::AttachTable;
            self.other = self.relation.replace(sql.name()?);
            self.object.clone_from(&self.relation);
        } else if sql.words("alter column") {
            self.object = Some(plain(sql.identifier()?));
            if sql.words("set default") {
                self.kind = Kind::Default;
            } else if sql.words("add generated") {
                self.kind = Kind::Identity;
                let mut inside = sql.clone();
                self.other = inside
                    .rest()
                    .iter()
                    .position(|token| matches!(&token.kind, TokenKind::Word(w) if w == "SEQUENCE"))
                    .and_then(|at| {
                        inside = Cursor::new(&sql.rest()[at..]);
                        inside.words("sequence name").then(|| inside.name()).flatten()
                    });
            }
        } else if ["disable", "enable", "enable always", "enable replica"]
            .iter()
            .any(|words| sql.words(&format!("{words} trigger")))
        {
            self.object = sql.identifier().map(plain);
        } else if sql.words("enable row level security") || sql.words("force row level security") {
            self.kind = Kind::RowSecurity;
        }
        Some(())
    }

    pub(super) fn comment(&mut self, mut sql: Cursor<'_>) -> Option<()> {
        self.kind = Kind::Comment;
        for words in ["table", "view", "materialized view", "foreign table", "sequence"] {
            if sql.words(words) {
                return self.of_relation(Kind::Comment, sql.name());
            }
        }
        if sql.words("column") {
            self.relation = Some(sql.name()?);
            sql.symbol(b'.').then_some(())?;
            return self.object(Kind::Comment, sql.identifier().map(plain));
        }
        for words in ["constraint", "trigger", "rule", "policy"] {
            if sql.words(words) {
                self.object = Some(plain(sql.identifier()?));
                sql.words("on").then_some(())?;
                // A domain is no relation.
                if !sql.words("domain") {
                    self.relation = Some(sql.name()?);
                }
                return Some(());
            }
        }
        let schemaless = [
            "schema",
            "extension",
            "publication",
            "subscription",
            "event trigger",
            "access method",
            "foreign data wrapper",
            "server",
            "language",
            "procedural language",
        ];
        for words in ["index", "statistics", "type", "domain", "function", "procedure", "aggregate"]
            .into_iter()
            .chain(schemaless)
        {
            if sql.words(words) {
                return self.object(Kind::Comment, sql.name());
            }
        }
        Some(())
    }

    pub(super) fn call(&mut self, mut sql: Cursor<'_>) -> Option<()> {
        sql.symbol(b'.').then_some(())?;
        let function = sql.identifier()?;
        sql.symbol(b'(').then_some(())?;
        match function.as_str() {
            "setval" => self.object(Kind::SequenceValue, qualified(&sql.text()?)),
            "set_config" => self.object(Kind::Setting, sql.text().map(plain)),
            "lo_create" => self.object(Kind::LargeObject, sql.text().map(plain)),
            "lo_open" | "lowrite" | "lo_close" => {
                self.kind = Kind::LargeObjectData;
                Some(())
            }
            _ => None,
        }
    }

    fn qualify(&mut self) {
        if let (Some(object), Some(relation)) = (&mut self.object, &self.relation) {
            object.schema.clone_from(&relation.schema);
        }
    }
}

/// The type that comes with a range type: no statement of its own makes it.
fn multirange(mut sql: Cursor<'_>) -> Option<TableName> {
    let named = sql.words("as range")
        && sql.symbol(b'(')
        && sql.skip_to("multirange_type_name")
        && sql.symbol(b'=');
    named.then(|| sql.name()).flatten()
}

pub(super) fn plain(name: String) -> TableName {
    TableName { schema: String::new(), name }
}

/// `a, "b"`, without the words that stand for whoever it is.
fn roles(sql: &mut Cursor<'_>) -> Vec<String> {
    const ANYONE: [&str; 4] = ["public", "current_user", "session_user", "current_role"];
    let mut roles = Vec::new();
    loop {
        let quoted = matches!(sql.rest(), [Token { kind: TokenKind::Quoted(_), .. }, ..]);
        let Some(role) = sql.identifier() else { return roles };
        if quoted || !ANYONE.contains(&role.to_ascii_lowercase().as_str()) {
            roles.push(role);
        }
        if !sql.symbol(b',') {
            return roles;
        }
    }
}
