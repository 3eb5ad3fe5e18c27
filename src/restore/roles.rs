//! The roles that a dump names, and that must be there before it runs. A legacy
//! archive says of none of them beforehand.

use std::collections::BTreeSet;

use super::{
    statement::Statement,
    tokens::{Cursor, Token, TokenKind, tokens},
};

/// Words that stand for whoever it is, or for nobody.
const NO_ROLES: [&str; 6] =
    ["public", "current_user", "session_user", "current_role", "default", "none"];

/// How statements begin that may name a role.
const BEGINNINGS: [&[u8]; 5] = [b"alter", b"create", b"grant", b"revoke", b"set"];

/// Roles that statements name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    named: BTreeSet<String>,
    /// Those that the dump makes itself.
    made: BTreeSet<String>,
}

impl Roles {
    /// Notes those of a statement.
    pub(super) fn note(&mut self, statement: &Statement) {
        let text = statement.text.as_ref();
        let first = text.split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
        if !BEGINNINGS.iter().any(|beginning| first.eq_ignore_ascii_case(beginning)) {
            return;
        }
        let tokens = tokens(text);
        let mut sql = Cursor::new(&tokens);
        if sql.words("alter") {
            self.alter(sql);
        } else if sql.words("create") {
            self.create(sql);
        } else if sql.words("grant") {
            self.grant(sql, "to");
        } else if sql.words("revoke") {
            let _ = sql.words("admin option for");
            self.grant(sql, "from");
        } else if sql.words("set session authorization") || sql.words("set role") {
            match sql.text() {
                Some(role) => drop(self.named.insert(role)),
                None => self.list(&mut sql),
            }
        }
    }

    /// Those that must be there before the dump runs.
    pub(super) fn wanted(&self) -> Vec<String> {
        self.named.difference(&self.made).cloned().collect()
    }

    fn alter(&mut self, mut sql: Cursor<'_>) {
        if sql.words("default privileges") {
            if sql.words("for role") || sql.words("for user") {
                self.list(&mut sql);
            }
            if sql.skip_to("to") || sql.skip_to("from") {
                self.list(&mut sql);
            }
        } else if sql.words("user mapping") {
            self.after("for", sql);
        } else if is_role(&mut sql) {
            self.list(&mut sql);
        } else {
            self.after("owner to", sql);
        }
    }

    fn create(&mut self, mut sql: Cursor<'_>) {
        if sql.words("schema") {
            self.after("authorization", sql);
        } else if sql.words("policy") {
            self.after("to", sql);
        } else if sql.words("user mapping") {
            self.after("for", sql);
        } else if is_role(&mut sql) {
            self.made.extend(role(&mut sql));
        }
    }

    /// Rights on something, or a role's membership in another.
    fn grant(&mut self, mut sql: Cursor<'_>, word: &str) {
        if !sql.clone().skip_to("on") {
            self.list(&mut sql);
        }
        if sql.skip_to(word) {
            self.list(&mut sql);
        }
        self.after("granted by", sql);
    }

    fn after(&mut self, words: &str, mut sql: Cursor<'_>) {
        if sql.skip_to(words) {
            self.list(&mut sql);
        }
    }

    /// `a, "B"`
    fn list(&mut self, sql: &mut Cursor<'_>) {
        loop {
            let _ = sql.words("group");
            let before = sql.rest().len();
            self.named.extend(role(sql));
            if sql.rest().len() == before || !sql.symbol(b',') {
                return;
            }
        }
    }
}

fn is_role(sql: &mut Cursor<'_>) -> bool {
    ["role", "user", "group"].iter().any(|word| sql.words(word))
}

/// Takes a role's name, as the server stores it.
fn role(sql: &mut Cursor<'_>) -> Option<String> {
    let quoted = matches!(sql.rest(), [Token { kind: TokenKind::Quoted(_), .. }, ..]);
    let name = sql.identifier()?;
    if quoted {
        return Some(name);
    }
    let name = name.to_ascii_lowercase();
    (!NO_ROLES.contains(&name.as_str())).then_some(name)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn wanted(statements: &[&'static str]) -> Vec<String> {
        let mut roles = Roles::default();
        for sql in statements {
            roles.note(&Statement::read(&Bytes::from_static(sql.as_bytes())));
        }
        roles.wanted()
    }

    #[test]
    fn every_role_that_a_dump_names_is_wanted() {
        for (sql, roles) in [
            ("ALTER TABLE public.t OWNER TO app;", &["app"][..]),
            ("ALTER TABLE public.owner OWNER TO App;", &["app"]),
            ("ALTER FUNCTION public.f(a integer, owner text) OWNER TO \"The App\";", &["The App"]),
            ("ALTER LARGE OBJECT 12 OWNER TO app;", &["app"]),
            ("ALTER OPERATOR public.<> (integer, integer) OWNER TO app;", &["app"]),
            (
                "GRANT SELECT(a),UPDATE(b) ON TABLE public.t TO r, \"W\" WITH GRANT OPTION;",
                &["W", "r"],
            ),
            ("GRANT ALL ON FUNCTION public.f(\"to\" text) TO PUBLIC;", &[]),
            ("GRANT USAGE ON SCHEMA s TO GROUP g GRANTED BY boss;", &["boss", "g"]),
            ("GRANT staff TO jane;", &["jane", "staff"]),
            ("REVOKE ALL ON SCHEMA public FROM PUBLIC, app;", &["app"]),
            ("REVOKE ADMIN OPTION FOR staff FROM jane;", &["jane", "staff"]),
            (
                "ALTER DEFAULT PRIVILEGES FOR ROLE boss IN SCHEMA s GRANT SELECT ON TABLES TO r;",
                &["boss", "r"],
            ),
            ("ALTER DEFAULT PRIVILEGES FOR USER boss REVOKE ALL ON TABLES FROM r;", &["boss", "r"]),
            (
                "CREATE POLICY p ON public.t FOR SELECT TO a, authenticated USING (true);",
                &["a", "authenticated"],
            ),
            ("CREATE SCHEMA s AUTHORIZATION app;", &["app"]),
            ("CREATE USER MAPPING FOR app SERVER s;", &["app"]),
            ("ALTER ROLE app SET search_path TO 'x';", &["app"]),
            ("SET SESSION AUTHORIZATION 'app';", &["app"]),
            ("SET SESSION AUTHORIZATION DEFAULT;", &[]),
            ("SET ROLE app;", &["app"]),
        ] {
            assert_eq!(wanted(&[sql]), roles, "{sql}");
        }
    }

    #[test]
    fn what_only_looks_like_a_role_is_none_and_what_the_dump_makes_is_not_wanted() {
        let made = ["CREATE ROLE app;", "ALTER TABLE public.t OWNER TO app;", "GRANT b TO app;"];
        assert_eq!(wanted(&made), ["b"]);
        let others = [
            "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS $$ALTER TABLE t OWNER TO x;$$;",
            "COMMENT ON TABLE public.t IS 'GRANT ALL ON t TO x;';",
            "ALTER TABLE ONLY public.t ADD CONSTRAINT k PRIMARY KEY (id);",
            "INSERT INTO public.t VALUES ('OWNER TO x');",
            "SET row_security = off;",
        ];
        assert_eq!(wanted(&others), [""; 0]);
    }
}
