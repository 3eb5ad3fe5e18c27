//! A restore that stopped in the middle: what happened, and what helps.

use std::fmt;

use serde::Serialize;

use super::{blame::Blame, unmakeable::INSTALL};
use crate::{figures::counted, words::RestoreStage};

/// What to do after a restore that stopped: the same once more, over what it has left.
/// `wants_word` as in [`Stopped::wants_word`].
#[must_use]
pub fn again(wants_word: bool) -> &'static str {
    if wants_word {
        "run it again with --clean and, where you know that this database is not the source, \
         --not-the-source: nothing else tells them apart, so that --clean alone is refused"
    } else {
        "run it again with --clean"
    }
}

/// A restore that stopped in the middle.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact")]
pub struct Stopped {
    /// Where.
    pub stage: RestoreStage,
    /// The statement and its object, or the table, where there is one.
    pub at: Option<String>,
    /// Why.
    pub message: String,
    /// Whose fault it is, as far as the server's answer tells.
    pub blame: Blame,
    /// Whether it was told to stop.
    pub cancelled: bool,
    /// What had been loaded by then; `None` where nobody can know.
    pub loaded: Option<Loaded>,
    /// Sessions of ours that the server would not end, where it could be asked.
    pub left_behind: Option<i64>,
    /// Whether anything of the target was changed.
    pub touched: bool,
    /// Of a part: tables that it made and that may lack keys, indexes and the
    /// like, named as SQL writes them; `None` where everything was wanted.
    pub not_whole: Option<Vec<String>>,
    /// Whether these say of themselves that they are not whole, so that `--clean` drops
    /// them and makes them anew.
    pub marked: bool,
    /// Whether it was to make tables and functions, and not only to fill what is there.
    pub defines: bool,
    /// Whether `--clean` would be refused without `--not-the-source`: what is known of
    /// the source does not tell the target from it.
    pub wants_word: bool,
    /// Extensions that the archive makes and the target does not have, or not where the
    /// source had them.
    pub lacking: Vec<String>,
    /// Extensions that may be needed and could not be created, and why.
    pub denied: Vec<(String, String)>,
}

/// Why code of the database most likely did not find something.
const WITHOUT_PATH: &str = "; code of the database looks for that, most likely by a name without \
     its schema, and a restore has no search_path";

/// What helps that code.
const MEND: &str = "give the function its search_path (ALTER FUNCTION … SET search_path = …)";

/// What drops tables on which other things of the same run stand.
const CASCADE: &str = "DROP TABLE … CASCADE";

/// What had been loaded when a restore stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// Tables whose rows were all there.
    pub tables: u64,
    /// Rows, of all tables.
    pub rows: u64,
}

impl Stopped {
    /// What happened, without what to do next.
    #[must_use]
    pub fn what(&self) -> String {
        let at = self.at.as_ref().map_or_else(String::new, |at| format!(", at {at}"));
        let why = if self.is_of_code() { WITHOUT_PATH } else { "" };
        let stopped =
            format!("the restore stopped at stage {}{at}: {}{why}", self.stage, self.message);
        if !self.touched {
            return format!("{stopped}; nothing was touched");
        }
        let loaded = self.loaded.map_or_else(
            || "how much was loaded until then is not known".to_owned(),
            |Loaded { tables, rows }| {
                let (rows, tables) = (counted(rows, "row"), counted(tables, "table"));
                format!("loaded until then: {rows}, {tables} whole")
            },
        );
        let left = match self.left_behind {
            Some(0) => String::new(),
            Some(1) => "; 1 session of it still runs on the server".to_owned(),
            Some(left) => format!("; {left} sessions of it still run on the server"),
            None => "; whether sessions of it still run on the server is unknown".to_owned(),
        };
        format!("{stopped}; {loaded}{left}")
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        if self.blame == Blame::Locale {
            f.write_str("; the server's machine lacks that locale: install it there")?;
        }
        self.install(f)?;
        if !self.touched {
            return Ok(());
        }
        if self.is_of_code() {
            return self.mend_code(f);
        }
        match self.not_whole.as_deref() {
            None => write!(f, "; {}", again(self.wants_word)),
            Some([]) => write!(f, "; run it again"),
            Some(tables) if self.marked => write!(
                f,
                "; made by this run and not whole: {}; to have that made anew, {}",
                tables.join(", "),
                again(self.wants_word)
            ),
            // With --clean, a table that is there is only filled: what it lacks
            // it would lack for ever.
            Some(tables) => {
                let them = if tables.len() == 1 { "it" } else { "them" };
                let tables = tables.join(", ");
                write!(
                    f,
                    "; made by this run and not whole: {tables}; drop {them} ({CASCADE}), then run \
                     again"
                )
            }
        }
    }
}

impl Stopped {
    /// Whether it had begun with indexes and keys, which the same would find there.
    fn is_past_rows(&self) -> bool {
        matches!(
            self.stage,
            RestoreStage::Indexes | RestoreStage::ForeignKeys | RestoreStage::PostData
        )
    }

    /// What to do first where an extension is not there, or may be what is missing: the
    /// same would stop for ever.
    fn install(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let may_need = matches!(self.blame, Blame::Undefined | Blame::Definition | Blame::File);
        if may_need && !self.denied.is_empty() {
            let denied: Vec<String> =
                self.denied.iter().map(|(what, reason)| format!("{what} ({reason})")).collect();
            write!(
                f,
                "; this may need what could not be created: {}; before it is run again, let \
                 somebody create it who may",
                denied.join(", ")
            )?;
        }
        if !self.lacking.is_empty() && (may_need || self.blame == Blame::Extension) {
            let lacking = self.lacking.join(", ");
            write!(
                f,
                "; the archive makes extensions that the target does not have as the source had \
                 them, and this may need them: {lacking}; before it is run again, install what it needs (where a \
                 provider runs the server, turn it on in its dashboard), or leave out with --table \
                 and --schema what needs it"
            )
        } else if self.blame == Blame::Rights
            && self.at.as_ref().is_some_and(|at| at.starts_with("extension "))
        {
            f.write_str(
                "; before it is run again, let somebody create it who may: a superuser, or the \
                 provider's dashboard",
            )
        } else if self.blame == Blame::Extension {
            write!(f, "; before it is run again, {INSTALL}")
        } else {
            Ok(())
        }
    }

    /// Whether code of the database did not find something.
    fn is_of_code(&self) -> bool {
        self.blame == Blame::Code
    }

    /// What to do where the same would stop it again: code of the database wants a
    /// search path, in the target before rows come.
    fn mend_code(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "; the same would stop it again: ")?;
        let word = if self.wants_word { " --not-the-source" } else { "" };
        match self.not_whole.as_deref() {
            // Nothing stands in the target yet that could be mended.
            _ if matches!(self.stage, RestoreStage::Legacy | RestoreStage::PreData) => write!(
                f,
                "write it as SQL with --to -, {MEND} there, right behind its CREATE FUNCTION, and \
                 run that with psql -X -v ON_ERROR_STOP=1 on an empty database"
            )?,
            None if !self.defines && !self.is_past_rows() => {
                write!(f, "{MEND} in the target, then run it again with --clean{word}")?;
            }
            // Rows that no definition of the archive takes away are there since the first
            // time, and so it says --clean once more.
            None => write!(
                f,
                "run it with --clean{word} --section pre-data, which makes all functions anew, \
                 {MEND} in the target, and any other like it, then run it with --clean{word} \
                 --section data --section post-data"
            )?,
            Some([]) => write!(f, "{MEND} in the target, then run again")?,
            Some(tables) if self.marked => write!(
                f,
                "{MEND} in the target, then run it again with --clean{word}, which makes anew what \
                 is not whole ({})",
                tables.join(", ")
            )?,
            Some(tables) => write!(
                f,
                "{MEND} in the target, drop what this run made and is not whole ({}; {CASCADE}), \
                 then run again",
                tables.join(", ")
            )?,
        }
        write!(f, "; mend the source likewise")
    }
}

impl std::error::Error for Stopped {}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped() -> Stopped {
        Stopped {
            stage: RestoreStage::Legacy,
            at: None,
            message: "no".to_owned(),
            blame: Blame::Unknown,
            cancelled: false,
            loaded: Some(Loaded { tables: 1, rows: 2 }),
            left_behind: Some(0),
            touched: true,
            not_whole: None,
            marked: false,
            defines: true,
            wants_word: false,
            lacking: Vec::new(),
            denied: Vec::new(),
        }
    }

    #[test]
    fn what_nobody_can_know_is_not_counted() {
        let said = stopped().to_string();
        assert!(said.contains("loaded until then: 2 rows, 1 table whole; "), "{said}");
        let said = Stopped { loaded: None, ..stopped() }.to_string();
        assert!(said.contains("how much was loaded until then is not known"), "{said}");
        assert!(!said.contains("rows"), "{said}");
    }

    #[test]
    fn the_advice_is_not_refused() {
        assert!(stopped().to_string().ends_with("; run it again with --clean"));
        let said = Stopped { wants_word: true, ..stopped() }.to_string();
        for part in ["run it again with --clean and", "--not-the-source"] {
            assert!(said.contains(part), "{said}");
        }
        // A part is not run with --clean.
        let part = Stopped { wants_word: true, not_whole: Some(Vec::new()), ..stopped() };
        assert!(part.to_string().ends_with("; run it again"), "{part}");
    }

    #[test]
    fn what_says_of_itself_that_it_is_not_whole_is_made_anew_with_clean() {
        let part = |marked, blame, wants_word| {
            let not_whole = Some(vec!["gift".to_owned()]);
            let stage = RestoreStage::Data;
            let stopped = Stopped { stage, blame, not_whole, marked, wants_word, ..stopped() };
            stopped.to_string()
        };
        let said = part(true, Blame::Unknown, false);
        let anew = "not whole: gift; to have that made anew, run it again with --clean";
        assert!(said.ends_with(anew), "{said}");
        assert!(part(true, Blame::Unknown, true).contains("--not-the-source"));
        let code = part(true, Blame::Code, true);
        assert!(code.contains("again with --clean --not-the-source, which makes anew"), "{code}");
        // One that says nothing would only be filled.
        assert!(part(false, Blame::Unknown, false).ends_with("CASCADE), then run again"));
    }

    #[test]
    fn a_locale_that_is_not_there_is_to_be_installed_on_the_server_s_machine() {
        let said = Stopped { blame: Blame::Locale, ..stopped() }.to_string();
        assert!(said.contains("lacks that locale: install it there; run it again"), "{said}");
        assert!(!stopped().to_string().contains("locale"));
    }

    #[test]
    fn an_extension_that_may_be_needed_is_to_be_installed_before_the_same_is_run_again() {
        let lacking = vec!["postgis".to_owned(), "vector".to_owned()];
        let of = |blame| Stopped { blame, lacking: lacking.clone(), ..stopped() }.to_string();
        for blame in [Blame::Undefined, Blame::Definition, Blame::Extension] {
            let said = of(blame);
            for part in ["need them: postgis, vector; before it is run again, install", "--table"] {
                assert!(said.contains(part), "{part}: {said}");
            }
            assert!(!said.contains("  "), "{said}");
        }
        assert!(!of(Blame::Unknown).contains("postgis") && !of(Blame::Server).contains("postgis"));
        let denied = vec![("extension btree_gist".to_owned(), "permission denied".to_owned())];
        let of = |blame| Stopped { blame, denied: denied.clone(), ..stopped() }.to_string();
        let needs = "need what could not be created: extension btree_gist (permission denied); ";
        assert!(of(Blame::Undefined).contains(needs) && !of(Blame::Unknown).contains("gist"));
        let at = Some("extension bloom".to_owned());
        let said = Stopped { blame: Blame::Rights, at, ..stopped() }.to_string();
        assert!(said.contains("before it is run again, let somebody create it who may"), "{said}");
        // Its statement names it.
        let said = Stopped { blame: Blame::Extension, ..stopped() }.to_string();
        assert!(said.contains("before it is run again, install it there"), "{said}");
    }

    /// The same command would fail for ever.
    #[test]
    fn what_code_does_not_find_is_not_mended_by_the_same_command() {
        let blame = Blame::Code;
        let code = || Stopped { blame, stage: RestoreStage::Data, ..stopped() };
        let said = code().to_string();
        for part in [
            "no; code of the database looks for that, most likely by a name without its schema",
            "run it with --clean --section pre-data, which makes all functions anew, give the \
             function its search_path",
            "then run it with --clean --section data --section post-data; mend the source",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let said = Stopped { wants_word: true, ..code() }.to_string();
        assert!(said.contains("with --clean --not-the-source --section pre-data, "), "{said}");
        for stage in [RestoreStage::Legacy, RestoreStage::PreData] {
            let said = Stopped { stage, ..code() }.to_string();
            assert!(said.contains("--to -") && !said.contains("--section"), "{said}");
        }
        let later = Stopped { defines: false, stage: RestoreStage::Indexes, ..code() }.to_string();
        assert!(later.contains("--clean --section pre-data"), "{later}");
        let filling = Stopped { defines: false, wants_word: true, ..code() }.to_string();
        let again = "in the target, then run it again with --clean --not-the-source; mend";
        assert!(filling.contains(again) && !filling.contains("--section"), "{filling}");
        let part = |tables: &[&str]| {
            let tables = tables.iter().map(|&table| table.to_owned()).collect();
            Stopped { not_whole: Some(tables), ..code() }.to_string()
        };
        let said = part(&["gift"]);
        assert!(
            said.contains(
                "in the target, drop what this run made and is not whole (gift; DROP TABLE"
            )
        );
        assert!(part(&[]).contains("in the target, then run again"), "{said}");
        assert!(stopped().to_string().ends_with("; run it again with --clean"));
    }
}
