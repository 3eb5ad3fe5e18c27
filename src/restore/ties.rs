//! Which extensions a statement stands on, as far as an archive tells.
//!
//! It says of an extension its name and its schema, and of what an extension makes
//! nothing at all: an operator class that is its type's default is not even named. So
//! some are sure, and others are guessed: one too many does little harm, where it is no
//! harm that it cannot be had, and without one the restore stops. Yet those in
//! `pg_catalog` make what works in the background (`pg_cron`, say), or languages, and
//! are not created on a guess.

use std::collections::{BTreeSet, HashSet};

use super::{
    brings,
    kind::Kind,
    statement::Statement,
    tokens::{Cursor, Token, TokenKind, bodies, mentions, tokens},
};
use crate::archive::{TableName, manifest::Extension};

/// The schema of what every database has, and of extensions that keep out of sight.
pub(super) const CATALOG: &str = "pg_catalog";

/// Languages that no extension has to bring.
const LANGUAGES: [&str; 4] = ["sql", "c", "internal", "plpgsql"];

/// How the names of extensions begin that bring a language.
const OF_LANGUAGES: &str = "pl";

/// Extensions that something stands on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// Nothing else can be meant.
    pub(super) sure: BTreeSet<&'a str>,
    /// Those that may be meant.
    pub(super) guessed: BTreeSet<&'a str>,
}

impl<'a> Found<'a> {
    /// Adds these: one for sure, and of several any.
    fn add(&mut self, extensions: Vec<&'a str>) {
        match extensions[..] {
            [one] => drop(self.sure.insert(one)),
            _ => self.guessed.extend(extensions),
        }
    }

    fn guess(&mut self, extensions: impl IntoIterator<Item = &'a str>) {
        self.guessed.extend(extensions);
    }

    /// All of both.
    pub(super) fn extend(&mut self, other: Self) {
        self.sure.extend(other.sure);
        self.guessed.extend(other.guessed);
    }
}

/// The extensions of an archive, and what else it makes of what they could.
#[derive(Debug)]
pub(super) struct Ties<'a> {
    extensions: &'a [Extension],
    /// Access methods and languages that the archive makes itself.
    made: HashSet<&'a str>,
}

impl<'a> Ties<'a> {
    /// Those of an archive.
    pub(super) fn new(extensions: &'a [Extension], pre_data: &'a [Statement]) -> Self {
        let made = pre_data
            .iter()
            .filter(|made| matches!(made.kind, Kind::AccessMethod | Kind::Language))
            .filter_map(|made| Some(made.object.as_ref()?.name.as_str()))
            .collect();
        Self { extensions, made }
    }

    /// The extensions that a statement stands on; `is_made` says what the archive makes.
    pub(super) fn of(
        &self,
        statement: &Statement,
        is_made: impl Fn(&TableName) -> bool,
    ) -> Found<'a> {
        let mut found = Found::default();
        if statement.kind == Kind::Setting {
            let object = statement.object.as_ref();
            if object.is_some_and(|object| object.name == "default_table_access_method")
                && let Some(method) = statement.words().last()
            {
                self.for_method(method, &mut found);
            }
            return found;
        }
        // It would say nothing that what it is about does not say.
        if statement.kind == Kind::Comment {
            return found;
        }
        let all = tokens(&statement.text);
        found.guess(words(&all).filter_map(|word| self.named(word)));
        for makers in self.unmade(&all, &is_made) {
            found.add(makers);
        }
        let mut sql = Cursor::new(&all);
        match statement.kind {
            Kind::Index if sql.skip_to("using") => {
                if let Some(method) = sql.identifier() {
                    self.for_method(&method, &mut found);
                }
            }
            Kind::Key if sql.skip_to("exclude using") => {
                if let Some(method) = sql.identifier() {
                    self.for_method(&method, &mut found);
                }
            }
            Kind::Server if sql.skip_to("foreign data wrapper") => {
                let wrapper = sql.identifier();
                let wrapper = wrapper.filter(|wrapper| !self.made.contains(wrapper.as_str()));
                found.sure.extend(wrapper.and_then(|wrapper| self.named(&wrapper)));
            }
            Kind::Routine => {
                let said = sql.skip_to("language");
                if let Some(language) = sql.identifier().filter(|_| said) {
                    self.for_language(&language, &mut found);
                }
                // A function is made without what it calls, and run with it: an index of
                // its results runs it at once.
                for body in bodies(&statement.text, &all) {
                    let body = tokens(body);
                    let makers = words(&body).filter_map(brings::maker);
                    found.guess(makers.filter_map(|maker| self.named(maker)));
                    found.guess(words(&body).filter_map(|word| self.named(word)));
                    found.guess(self.unmade(&body, &is_made).flatten());
                }
            }
            _ => {}
        }
        found
    }

    /// Who may make each of the names that the archive does not make.
    fn unmade(
        &self,
        tokens: &[Token],
        is_made: &impl Fn(&TableName) -> bool,
    ) -> impl Iterator<Item = Vec<&'a str>> {
        let names = mentions(tokens).into_iter().filter(|name| !is_made(name));
        names.map(|name| self.makers(&name)).collect::<Vec<_>>().into_iter()
    }

    /// The extensions that may make something of this name.
    pub(super) fn makers(&self, name: &TableName) -> Vec<&'a str> {
        if name.schema == CATALOG {
            return Vec::new();
        }
        let within: Vec<&str> = self
            .extensions
            .iter()
            .filter(|extension| extension.schema == name.schema)
            .map(|extension| extension.name.as_str())
            .collect();
        let maker = brings::maker(&name.name).unwrap_or(&name.name);
        match within.iter().find(|&&extension| extension == maker) {
            Some(extension) => vec![extension],
            None => within,
        }
    }

    fn for_method(&self, method: &str, found: &mut Found<'a>) {
        match brings::for_method(method) {
            _ if self.made.contains(method) => {}
            Some(brings::Method::Own(extensions)) => {
                found.guess(extensions.iter().filter_map(|name| self.named(name)));
            }
            Some(brings::Method::Of(extensions)) => {
                found.add(extensions.iter().filter_map(|name| self.named(name)).collect());
            }
            None => found.guess(self.visible(|_| false)),
        }
    }

    fn for_language(&self, language: &str, found: &mut Found<'a>) {
        if LANGUAGES.contains(&language) || self.made.contains(language) {
            return;
        }
        match self.named(language) {
            Some(extension) => drop(found.sure.insert(extension)),
            None => found.guess(self.visible(|name| name.starts_with(OF_LANGUAGES))),
        }
    }

    fn named(&self, name: &str) -> Option<&'a str> {
        self.extensions.iter().map(|extension| extension.name.as_str()).find(|known| *known == name)
    }

    /// Every extension that makes something where one looks for it, or is meant anyway.
    fn visible(&self, meant: impl Fn(&str) -> bool) -> Vec<&'a str> {
        let names = self.extensions.iter().filter(|e| e.schema != CATALOG || meant(&e.name));
        names.map(|extension| extension.name.as_str()).collect()
    }
}

fn words(tokens: &[Token]) -> impl Iterator<Item = &str> {
    tokens.iter().filter_map(|token| match &token.kind {
        TokenKind::Word(word) | TokenKind::Quoted(word) => Some(word.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn extensions() -> Vec<Extension> {
        [
            ("plpgsql", "pg_catalog"),
            ("pg_cron", "pg_catalog"),
            ("plv8", "pg_catalog"),
            ("btree_gist", "public"),
            ("pg_trgm", "public"),
            ("moddatetime", "public"),
            ("unaccent", "ext"),
            ("obscure", "ext"),
            ("postgres_fdw", "far"),
        ]
        .map(|(name, schema)| Extension {
            name: name.into(),
            version: "1".into(),
            schema: schema.into(),
        })
        .to_vec()
    }

    /// Those that are sure, and those that are guessed beside them.
    fn of(sql: &'static str) -> (Vec<String>, Vec<String>) {
        let extensions = extensions();
        let method = Bytes::from_static(b"CREATE ACCESS METHOD own TYPE INDEX HANDLER public.h;");
        let pre_data = [Statement::read(&method)];
        let statement = Statement::read(&Bytes::from_static(sql.as_bytes()));
        let ties = Ties::new(&extensions, &pre_data);
        let is_made = |name: &TableName| ["t", "own_f", "h"].contains(&name.name.as_str());
        let Found { sure, guessed } = ties.of(&statement, is_made);
        let guessed: Vec<&str> = guessed.difference(&sure).copied().collect();
        (owned(&Vec::from_iter(sure)), owned(&guessed))
    }

    #[test]
    fn what_comes_after_the_rows_needs_extensions_too() {
        for (sql, sure, guessed) in [
            (
                "CREATE INDEX i ON public.t USING gin (a public.gin_trgm_ops);",
                &["pg_trgm"][..],
                &[][..],
            ),
            (
                "CREATE TRIGGER g BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION public.moddatetime('seen');",
                &["moddatetime"],
                &[],
            ),
            // The operator class is not named.
            (
                "ALTER TABLE ONLY public.t ADD CONSTRAINT k EXCLUDE USING gist (room WITH =, during WITH &&);",
                &[],
                &["btree_gist"],
            ),
            ("CREATE INDEX i ON public.t USING gist (room);", &[], &["btree_gist"]),
            ("CREATE INDEX i ON public.t USING btree (room);", &[], &[]),
            ("ALTER TABLE ONLY public.t ADD CONSTRAINT k PRIMARY KEY (id);", &[], &[]),
            ("CREATE INDEX i ON public.t USING own (room);", &[], &[]),
            // Whose it is nobody knows.
            (
                "CREATE INDEX i ON public.t USING strange (room);",
                &[],
                &["btree_gist", "moddatetime", "obscure", "pg_trgm", "postgres_fdw", "unaccent"],
            ),
            ("CREATE INDEX i ON public.t USING btree (ext.f(a));", &[], &["obscure", "unaccent"]),
            ("CREATE INDEX i ON public.t USING btree (far.f(a));", &["postgres_fdw"], &[]),
            ("CREATE INDEX i ON public.t USING btree (public.own_f(a));", &[], &[]),
            // A column may be called so.
            ("CREATE TABLE public.t (obscure text);", &[], &["obscure"]),
        ] {
            let (found, may_be) = of(sql);
            assert_eq!((&found[..], &may_be[..]), (&owned(sure)[..], &owned(guessed)[..]), "{sql}");
        }
    }

    #[test]
    fn what_works_in_the_background_is_not_made_on_a_guess() {
        for sql in [
            "SELECT pg_catalog.set_config('search_path', '', false);",
            "CREATE TABLE public.t (a text COLLATE pg_catalog.\"C\");",
            "CREATE FUNCTION public.own_f() RETURNS int LANGUAGE plpgsql AS $$ begin perform cron.schedule(); end $$;",
            "COMMENT ON FUNCTION ext.f(ext.a) IS 'x';",
            "SET default_table_access_method = heap;",
        ] {
            let (sure, guessed) = of(sql);
            let mut found = sure.iter().chain(&guessed);
            assert!(found.all(|name| name == "plpgsql"), "{sql}: {sure:?} {guessed:?}");
        }
    }

    #[test]
    fn functions_need_their_language_and_perhaps_what_they_call() {
        for (sql, sure, guessed) in [
            (
                "CREATE FUNCTION public.own_f(a text) RETURNS text LANGUAGE sql IMMUTABLE AS $_$ SELECT ext.unaccent('ext.unaccent', $1) $_$;",
                &[][..],
                &["unaccent"][..],
            ),
            (
                "CREATE FUNCTION public.own_f(a text) RETURNS real LANGUAGE sql AS $$ SELECT similarity(a, 'x') $$;",
                &[],
                &["pg_trgm"],
            ),
            (
                "CREATE FUNCTION public.own_f() RETURNS int LANGUAGE plv8 AS $$ 1 $$;",
                &["plv8"],
                &[],
            ),
            ("CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;", &["postgres_fdw"], &[]),
        ] {
            let (found, may_be) = of(sql);
            assert_eq!((&found[..], &may_be[..]), (&owned(sure)[..], &owned(guessed)[..]), "{sql}");
        }
        let (sure, strange) =
            of("CREATE FUNCTION public.own_f() RETURNS int LANGUAGE strange AS 'x';");
        assert!(sure.is_empty() && strange.contains(&"plv8".into()));
        assert!(!strange.contains(&"pg_cron".into()));
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }
}
