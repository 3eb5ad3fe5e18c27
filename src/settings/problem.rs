//! What is wrong with the settings, and what is only doubtful.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt::{self, Display, Formatter},
};

/// One mistake, and where it stands.
///
/// No message repeats a text from the settings: whoever puts a password under
/// the wrong key must not find it in a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The key (`databases.main.url`), or the file or variable that could not be read.
    pub path: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Every mistake there is, sorted by where it stands; displayed one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The mistakes, in order; there is at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

impl Display for Problems {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// Collects while the settings are read, so that one run names every mistake.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: RefCell<BTreeSet<Problem>>,
    warnings: RefCell<BTreeSet<Problem>>,
    known_keys: RefCell<BTreeSet<String>>,
}

impl Report {
    pub(super) fn problem(&self, path: impl Into<String>, message: impl Into<String>) {
        let problem = Problem { path: path.into(), message: message.into() };
        self.problems.borrow_mut().insert(problem);
    }

    pub(super) fn warning(&self, path: impl Into<String>, message: impl Into<String>) {
        let warning = Problem { path: path.into(), message: message.into() };
        self.warnings.borrow_mut().insert(warning);
    }

    /// Turns the problems of one key into warnings; whether it had any.
    pub(super) fn forgive(&self, path: &str) -> bool {
        let mut problems = self.problems.borrow_mut();
        let forgiven: Vec<_> = problems.extract_if(.., |found| found.path == path).collect();
        let any = !forgiven.is_empty();
        self.warnings.borrow_mut().extend(forgiven);
        any
    }

    /// Turns the problems of a section into warnings.
    pub(super) fn forgive_below(&self, section: &str) {
        let mut problems = self.problems.borrow_mut();
        let below = |path: &str| path.strip_prefix(section).is_some_and(|p| p.starts_with('.'));
        let forgiven: Vec<_> = problems.extract_if(.., |found| below(&found.path)).collect();
        self.warnings.borrow_mut().extend(forgiven);
    }

    /// Notes that a key is a real one: it was asked for.
    pub(super) fn know(&self, path: String) {
        self.known_keys.borrow_mut().insert(path);
    }

    /// Every key that was asked for; the test of the reference compares with it.
    #[cfg(test)]
    pub(super) fn known_keys(&self) -> BTreeSet<String> {
        self.known_keys.borrow().clone()
    }

    /// The warnings, or the problems where there are any.
    pub(super) fn verdict(self) -> Result<Vec<Problem>, Problems> {
        let problems: Vec<_> = self.problems.into_inner().into_iter().collect();
        if problems.is_empty() {
            Ok(self.warnings.into_inner().into_iter().collect())
        } else {
            Err(Problems(problems))
        }
    }
}
