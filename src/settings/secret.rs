//! Secrets: `X` itself, `X_file` for a mounted one, `X_env` for a variable's name.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use config::Value;
use secrecy::SecretString;

use super::{
    SecretFile,
    raw::{Section, is_from_environment},
};

/// More than any secret is long, in bytes: whatever is longer is another file.
const LONGEST: u64 = 64 * 1024;

/// The ways to give a secret, as endings of its key.
const FORMS: [&str; 3] = ["", "_file", "_env"];

impl Section<'_> {
    /// Whether a secret was given in any of its three forms.
    pub(super) fn has_secret(&self, key: &str) -> bool {
        FORMS.iter().any(|form| self.has(&format!("{key}{form}")))
    }

    /// Takes a secret, in whichever of its three forms it was given.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let mut given: Vec<(String, Value)> = FORMS
            .iter()
            .map(|form| format!("{key}{form}"))
            .filter_map(|name| self.take(&name).map(|value| (name, value)))
            .collect();
        if given.len() > 1 {
            let names: Vec<_> = given
                .iter()
                .map(|(name, value)| {
                    let place = if is_from_environment(value) { "environment" } else { "file" };
                    format!("`{}` ({place})", self.path_of(name))
                })
                .collect();
            self.problem(key, format!("is given twice: by {}; keep one", names.join(" and ")));
            return None;
        }
        let (name, value) = given.pop()?;
        let from_environment = is_from_environment(&value);
        let text = self.text_of(&name, value)?;
        let secret = if name.ends_with("_file") {
            self.read_secret(&name, &text)
        } else if name.ends_with("_env") {
            self.variable(&name, text.trim())
        } else {
            if !from_environment && self.context().file_is_open_to_all.get() {
                self.warning(
                    &name,
                    format!(
                        "stands in a settings file that every user of this machine may read: \
                         take that right away (`chmod 640`), or use `{key}_file` or `{key}_env`"
                    ),
                );
            }
            if !from_environment {
                // Which file that is, is known when all of it was read.
                self.note_secret_file(&name, PathBuf::new());
            }
            Some(text)
        };
        secret.map(SecretString::from)
    }

    fn read_secret(&self, name: &str, file: &str) -> Option<String> {
        // The path is not repeated: it may be the secret itself, put under the
        // wrong key.
        let refuse = |why: &str| {
            self.problem(name, why);
            None
        };
        let path = self.context().sources.dir.join(file);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = match opened {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return refuse("names a file that does not exist");
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return refuse("names a file that this user may not read");
            }
            Err(_) => return refuse("names a file that cannot be opened"),
        };
        if metadata.is_dir() {
            return refuse("names a folder, not a file");
        }
        let mut text = String::new();
        if file.take(LONGEST + 1).read_to_string(&mut text).is_err() {
            return refuse("names a file that cannot be read as UTF-8 text");
        }
        if text.len() as u64 > LONGEST {
            return refuse("names a file that is too long to hold nothing but a secret");
        }
        let secret = text.strip_suffix('\n').unwrap_or(&text);
        let secret = secret.strip_suffix('\r').unwrap_or(secret);
        if secret.trim().is_empty() {
            return refuse("names a file that is empty");
        }
        if metadata.is_file() && metadata.permissions().mode() & 0o004 != 0 {
            self.warning(
                name,
                "names a file that every user of this machine may read: \
                 take that right away (`chmod 640`)",
            );
        }
        self.note_secret_file(name, path);
        Some(secret.to_owned())
    }

    fn note_secret_file(&self, name: &str, path: PathBuf) {
        let key = self.path_of(name);
        self.context().secret_files.borrow_mut().push(SecretFile { key, path });
    }

    fn variable(&self, name: &str, variable: &str) -> Option<String> {
        let sources = self.context().sources;
        if let Some(value) = sources.env.get(variable).filter(|value| !value.trim().is_empty()) {
            return Some(value.clone());
        }
        let shown = if looks_like_a_variable(variable) {
            format!("names the environment variable {variable}, which")
        } else {
            "names an environment variable that".to_owned()
        };
        let why = if sources.not_unicode.contains(variable) {
            "is not valid UTF-8"
        } else if sources.env.contains_key(variable) {
            "is empty"
        } else {
            "is not set"
        };
        self.problem(name, format!("{shown} {why}"));
        None
    }
}

/// `DIRECT_URL` may be repeated in a message; what could be the secret itself,
/// put under the wrong key, may not.
fn looks_like_a_variable(name: &str) -> bool {
    name.contains('_')
        && name.split('_').all(|word| !word.is_empty())
        && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}
