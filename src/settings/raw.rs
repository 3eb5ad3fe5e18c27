//! The settings as they were written: sections of keys with loose leaves.
//!
//! A leaf from a file has a type, one from the environment is always text, and
//! serde's type errors print the value. So nothing here is deserialized: each
//! key is asked for by name and checked where it is asked for, a key nobody
//! asked for is unknown, and no message holds a value.

use std::{
    collections::BTreeMap, fmt::Display, net::SocketAddr, ops::RangeInclusive, time::Duration,
};

use config::{Value, ValueKind};

use super::{
    Sources,
    problem::Report,
    units::{duration_text, parse_duration, parse_size, size_text},
};

/// What every section needs beside its own keys.
pub(super) struct Context<'s> {
    pub(super) sources: &'s Sources,
    pub(super) report: Report,
    /// The settings file may be read by every user of the machine.
    pub(super) file_is_open_to_all: std::cell::Cell<bool>,
    /// Files in which secrets were found.
    pub(super) secret_files: std::cell::RefCell<Vec<super::SecretFile>>,
}

/// One section, `[store]` say, whose keys are taken out as they are understood.
pub(super) struct Section<'c> {
    path: String,
    values: BTreeMap<String, Value>,
    asked: Vec<String>,
    context: &'c Context<'c>,
}

impl<'c> Section<'c> {
    /// The section that holds all others.
    pub(super) fn root(
        values: impl IntoIterator<Item = (String, Value)>,
        context: &'c Context<'c>,
    ) -> Self {
        Self::new(String::new(), values.into_iter().collect(), context)
    }

    /// The section `name` within this one; empty where it was not written.
    pub(super) fn section(&mut self, name: &str) -> Self {
        self.asked.push(name.to_owned());
        let path = self.path_of(name);
        let values = match self.values.remove(name).map(|value| value.kind) {
            None | Some(ValueKind::Nil) => BTreeMap::new(),
            Some(ValueKind::Table(values)) => values.into_iter().collect(),
            Some(_) => {
                self.problem(name, format!("is a section: write its keys under `[{path}]`"));
                BTreeMap::new()
            }
        };
        Self::new(path, values, self.context)
    }

    /// Every section within this one, whatever its name, as under `[databases]`.
    pub(super) fn sections(mut self) -> Vec<(String, Self)> {
        let names: Vec<_> = self.values.keys().cloned().collect();
        names.into_iter().map(|name| (name.clone(), self.section(&name))).collect()
    }

    /// Whether anything was written in it, and not taken yet.
    pub(super) fn is_written(&self) -> bool {
        !self.values.is_empty()
    }

    /// The sections of a list of them, as under `[[drill.checks]]`; `None` where
    /// it was not written.
    pub(super) fn list_of_sections(&mut self, key: &str) -> Option<Vec<Self>> {
        let value = self.take(key)?;
        let ValueKind::Array(items) = value.kind else {
            let path = self.path_of(key);
            self.problem(key, format!("is a list of sections: write each under `[[{path}]]`"));
            return Some(Vec::new());
        };
        let mut sections = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let path = format!("{}[{at}]", self.path_of(key));
            match item.kind {
                ValueKind::Table(values) => {
                    let values = values.into_iter().collect();
                    sections.push(Self::new(path, values, self.context));
                }
                _ => self.context.report.problem(path, "is a section of keys"),
            }
        }
        Some(sections)
    }

    pub(super) fn context(&self) -> &'c Context<'c> {
        self.context
    }

    /// Where this section stands, as in `databases.main`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Whether the key was written, well or badly, and not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Where a key stands, as in `databases.main.url`.
    pub(super) fn path_of(&self, key: &str) -> String {
        let key = if key.is_empty() || key.contains(|c: char| c.is_control() || c == '.') {
            format!("{key:?}")
        } else {
            key.to_owned()
        };
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn problem(&self, key: &str, message: impl Into<String>) {
        self.context.report.problem(self.path_of(key), message);
    }

    pub(super) fn warning(&self, key: &str, message: impl Into<String>) {
        self.context.report.warning(self.path_of(key), message);
    }

    /// Takes a key out. That it was asked for makes it a real one.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.context.report.know(self.path_of(key));
        self.asked.push(key.to_owned());
        self.values.remove(key).filter(|value| value.kind != ValueKind::Nil)
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let value = self.take(key)?;
        self.text_of(key, value)
    }

    /// The text of a leaf that was taken out before.
    pub(super) fn text_of(&self, key: &str, value: Value) -> Option<String> {
        match value.kind {
            ValueKind::String(text) if text.trim().is_empty() => {
                self.problem(key, "is empty");
                None
            }
            ValueKind::String(text) => Some(text),
            ValueKind::Table(_) | ValueKind::Array(_) => {
                self.problem(key, "must be a text in quotes");
                None
            }
            _ => {
                self.problem(key, "must be a text: put quotes around it");
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        let Some(value) = self.take(key) else { return default };
        match value.kind {
            ValueKind::Boolean(flag) => return flag,
            ValueKind::String(text) if text.trim().eq_ignore_ascii_case("true") => return true,
            ValueKind::String(text) if text.trim().eq_ignore_ascii_case("false") => return false,
            _ => self.problem(key, "must be `true` or `false`"),
        }
        default
    }

    pub(super) fn count<N>(&mut self, key: &str, default: N, range: RangeInclusive<N>) -> N
    where
        N: TryFrom<i128> + PartialOrd + Display + Copy,
    {
        let Some(value) = self.take(key) else { return default };
        let Some(number) = whole_number(&value.kind) else {
            self.problem(key, "must be a whole number");
            return default;
        };
        match N::try_from(number) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (low, high) = (range.start(), range.end());
                self.problem(key, format!("must be between {low} and {high}"));
                default
            }
        }
    }

    pub(super) fn duration(
        &mut self,
        key: &str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(value) = self.take(key) else { return default };
        let parsed = match value.kind {
            ValueKind::String(text) => parse_duration(&text),
            _ => None,
        };
        match parsed {
            Some(duration) if range.contains(&duration) => return duration,
            Some(_) => {
                let (low, high) = (duration_text(*range.start()), duration_text(*range.end()));
                self.problem(key, format!("must be between {low} and {high}"));
            }
            None => self.problem(
                key,
                "must be a duration: a number with its unit, in quotes, such as \
                 \"30s\", \"90m\", \"2h\" or \"30d\"",
            ),
        }
        default
    }

    /// A size in bytes.
    pub(super) fn size(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.take(key) else { return default };
        let parsed = match &value.kind {
            ValueKind::String(text) => parse_size(text).map(i128::from),
            kind => whole_number(kind),
        };
        let Some(bytes) = parsed else {
            self.problem(key, "must be a size, in quotes, such as \"8MiB\" or \"64KiB\"");
            return default;
        };
        match u64::try_from(bytes) {
            Ok(bytes) if range.contains(&bytes) => bytes,
            _ => {
                let (low, high) = (size_text(*range.start()), size_text(*range.end()));
                self.problem(key, format!("must be between {low} and {high}"));
                default
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &str,
        default: T,
        choices: &[(&'static str, T)],
    ) -> T {
        let Some(text) = self.text(key) else { return default };
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text.trim()) {
            return *choice;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        self.problem(key, format!("must be one of {}", words.join(", ")));
        default
    }

    /// A list of texts; from the environment, separated by commas.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let from_environment = is_from_environment(&value);
        match value.kind {
            ValueKind::String(text) if from_environment => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect(),
            ValueKind::Array(items) => {
                let count = items.len();
                let texts: Vec<_> = items
                    .into_iter()
                    .filter_map(|item| match item.kind {
                        ValueKind::String(text) if !text.trim().is_empty() => Some(text),
                        _ => None,
                    })
                    .collect();
                if texts.len() < count {
                    self.problem(key, "must hold nothing but texts in quotes, none of them empty");
                }
                texts
            }
            _ => {
                self.problem(key, "must be a list, such as [\"one\", \"two\"]");
                Vec::new()
            }
        }
    }

    pub(super) fn address(&mut self, key: &str, default: SocketAddr) -> SocketAddr {
        let Some(text) = self.text(key) else { return default };
        text.trim().parse().unwrap_or_else(|_| {
            self.problem(
                key,
                "must be an IP address with a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"",
            );
            default
        })
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.values.keys() {
            let message = match nearest(key, &self.asked) {
                Some(known) => format!("is no setting; did you mean `{known}`?"),
                None if self.asked.is_empty() => "is no setting".to_owned(),
                None => format!("is no setting; there are {}", listed(&self.asked)),
            };
            self.problem(key, message);
        }
    }

    fn new(path: String, values: BTreeMap<String, Value>, context: &'c Context<'c>) -> Self {
        Self { path, values, asked: Vec::new(), context }
    }
}

/// Whether a leaf came from a variable rather than from the file.
pub(super) fn is_from_environment(value: &Value) -> bool {
    // The name that `config::Environment` gives its values; a file that was
    // handed over as text gives none.
    value.origin() == Some("the environment")
}

fn whole_number(kind: &ValueKind) -> Option<i128> {
    match kind {
        ValueKind::I64(number) => Some(i128::from(*number)),
        ValueKind::U64(number) => Some(i128::from(*number)),
        ValueKind::I128(number) => Some(*number),
        ValueKind::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The known key that a mistyped one was probably meant to be.
fn nearest<'k>(key: &str, known: &'k [String]) -> Option<&'k str> {
    let plain = key.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&plain, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate.as_str())
}

fn listed(keys: &[String]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
