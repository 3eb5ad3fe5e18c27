//! Which extensions a statement stands on, as far as an archive tells.
//!
//! It says of an extension its name and its schema, and of what an extension makes
//! nothing at all: an operator class that is its type's default is not even named. One
//! extension too many does little harm, and without one the restore stops; yet those in
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
    ) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        if statement.kind == Kind::Setting {
            let object = statement.object.as_ref();
            if object.is_some_and(|object| object.name == "default_table_access_method") {
                found.extend(
                    statement.words().last().map(|m| self.for_method(m)).into_iter().flatten(),
                );
            }
            return found;
        }
        // It would say nothing that what it is about does not say.
        if statement.kind == Kind::Comment {
            return found;
        }
        let all = tokens(&statement.text);
        self.read(&all, &is_made, &mut found);
        let mut sql = Cursor::new(&all);
        match statement.kind {
            Kind::Index if sql.skip_to("using") => {
                let method = sql.identifier();
                found.extend(method.iter().flat_map(|method| self.for_method(method)));
            }
            Kind::Key if sql.skip_to("exclude using") => {
                let method = sql.identifier();
                found.extend(method.iter().flat_map(|method| self.for_method(method)));
            }
            Kind::Routine => {
                if sql.skip_to("language") {
                    let language = sql.identifier();
                    found.extend(language.iter().flat_map(|language| self.for_language(language)));
                }
                // A function is made without what it calls, and run with it: an index of
                // its results runs it at once.
                for body in bodies(&statement.text, &all) {
                    let body = tokens(body);
                    self.read(&body, &is_made, &mut found);
                    let makers = words(&body).filter_map(brings::maker);
                    found.extend(makers.filter_map(|maker| self.named(maker)));
                }
            }
            _ => {}
        }
        found
    }

    /// What is named: extensions themselves, and what they make.
    fn read(
        &self,
        tokens: &[Token],
        is_made: &impl Fn(&TableName) -> bool,
        found: &mut BTreeSet<&'a str>,
    ) {
        found.extend(words(tokens).filter_map(|word| self.named(word)));
        for name in mentions(tokens).iter().filter(|name| !is_made(name)) {
            found.extend(self.makers(name));
        }
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

    fn for_method(&self, method: &str) -> Vec<&'a str> {
        match brings::for_method(method) {
            _ if self.made.contains(method) => Vec::new(),
            Some(extensions) => extensions.iter().filter_map(|name| self.named(name)).collect(),
            None => self.visible(|_| false),
        }
    }

    fn for_language(&self, language: &str) -> Vec<&'a str> {
        let is_known = LANGUAGES.contains(&language) || self.named(language).is_some();
        if is_known || self.made.contains(language) {
            return Vec::new();
        }
        self.visible(|name| name.starts_with(OF_LANGUAGES))
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

    fn of(sql: &'static str) -> Vec<String> {
        let extensions = extensions();
        let method = Bytes::from_static(b"CREATE ACCESS METHOD own TYPE INDEX HANDLER public.h;");
        let pre_data = [Statement::read(&method)];
        let statement = Statement::read(&Bytes::from_static(sql.as_bytes()));
        let ties = Ties::new(&extensions, &pre_data);
        let is_made = |name: &TableName| ["t", "own_f", "h"].contains(&name.name.as_str());
        ties.of(&statement, is_made).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn what_comes_after_the_rows_needs_extensions_too() {
        for (sql, wanted) in [
            ("CREATE INDEX i ON public.t USING gin (a public.gin_trgm_ops);", &["pg_trgm"][..]),
            (
                "CREATE TRIGGER g BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION public.moddatetime('seen');",
                &["moddatetime"],
            ),
            // The operator class is not named.
            (
                "ALTER TABLE ONLY public.t ADD CONSTRAINT k EXCLUDE USING gist (room WITH =, during WITH &&);",
                &["btree_gist"],
            ),
            ("CREATE INDEX i ON public.t USING gist (room);", &["btree_gist"]),
            ("CREATE INDEX i ON public.t USING btree (room);", &[]),
            ("ALTER TABLE ONLY public.t ADD CONSTRAINT k PRIMARY KEY (id);", &[]),
            ("CREATE INDEX i ON public.t USING own (room);", &[]),
            // Whose it is nobody knows.
            (
                "CREATE INDEX i ON public.t USING strange (room);",
                &["btree_gist", "moddatetime", "obscure", "pg_trgm", "postgres_fdw", "unaccent"],
            ),
            ("CREATE INDEX i ON public.t USING btree (ext.f(a));", &["obscure", "unaccent"]),
            ("CREATE INDEX i ON public.t USING btree (public.own_f(a));", &[]),
        ] {
            assert_eq!(of(sql), wanted, "{sql}");
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
            let found = of(sql);
            assert!(found.iter().all(|name| name == "plpgsql"), "{sql}: {found:?}");
        }
    }

    #[test]
    fn functions_need_their_language_and_what_they_call() {
        for (sql, wanted) in [
            (
                "CREATE FUNCTION public.own_f(a text) RETURNS text LANGUAGE sql IMMUTABLE AS $_$ SELECT ext.unaccent('ext.unaccent', $1) $_$;",
                &["unaccent"][..],
            ),
            (
                "CREATE FUNCTION public.own_f(a text) RETURNS real LANGUAGE sql AS $$ SELECT similarity(a, 'x') $$;",
                &["pg_trgm"],
            ),
            ("CREATE FUNCTION public.own_f() RETURNS int LANGUAGE plv8 AS $$ 1 $$;", &["plv8"]),
            ("CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;", &["postgres_fdw"]),
        ] {
            assert_eq!(of(sql), wanted, "{sql}");
        }
        let strange = of("CREATE FUNCTION public.own_f() RETURNS int LANGUAGE strange AS 'x';");
        assert!(strange.contains(&"plv8".into()) && !strange.contains(&"pg_cron".into()));
    }
}
