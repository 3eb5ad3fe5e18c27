//! Finding and reading the settings file, and laying the environment over it.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use config::{Config, Environment, File, FileFormat, Value};

use super::{problem::Report, raw::Context};

/// What was written, file and environment together.
pub(super) struct Document {
    pub(super) file: Option<PathBuf>,
    pub(super) values: Vec<(String, Value)>,
}

/// Reads what was written. `None` when the file cannot be: whatever else could
/// be said then would be guesswork.
pub(super) fn read(context: &Context<'_>) -> Option<Document> {
    let overrides = overrides(context);
    let (file, text) = match locate(context)? {
        Some((file, label)) => {
            let text = read_file(context, &file, &label)?;
            (Some(file), text)
        }
        None => (None, String::new()),
    };
    let environment = Environment::with_prefix("RELIQUARY")
        .prefix_separator("__")
        .separator("__")
        .ignore_empty(true)
        .source(Some(overrides.into_iter().collect()));
    let merged = Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .add_source(environment)
        .build()
        .and_then(|merged| merged.cache.into_table());
    let Ok(values) = merged else {
        // The error's own text may repeat a line of the file. The syntax was
        // checked before, so what is left are numbers beyond every range.
        let place = file.map_or("environment".to_owned(), |file| file.display().to_string());
        context.report.problem(place, "cannot be read: a number in it is out of every range");
        return None;
    };
    Some(Document { file, values: values.into_iter().collect() })
}

/// The file to read, with the name to use for it in problems; the outer `None`
/// means that a problem was reported.
#[expect(clippy::option_option, reason = "no file is a good answer, a missing one is not")]
fn locate(context: &Context<'_>) -> Option<Option<(PathBuf, String)>> {
    let sources = context.sources;
    if sources.config.is_none() && sources.not_unicode.contains("RELIQUARY_CONFIG") {
        context.report.problem("RELIQUARY_CONFIG", "is not valid UTF-8");
        return None;
    }
    let variable = sources.env.get("RELIQUARY_CONFIG").filter(|path| !path.is_empty());
    let named = match (&sources.config, variable) {
        (Some(path), _) => Some((path.clone(), "--config")),
        (None, Some(path)) => Some((PathBuf::from(path), "RELIQUARY_CONFIG")),
        (None, None) => None,
    };
    if let Some((path, label)) = named {
        return Some(Some((sources.dir.join(path), label.to_owned())));
    }
    let usual = [Some(sources.dir.join("config/reliquary.toml")), sources.system_file.clone()];
    for path in usual.into_iter().flatten() {
        match path.try_exists() {
            Ok(false) => {}
            Ok(true) => {
                let label = path.display().to_string();
                return Some(Some((path, label)));
            }
            Err(error) => {
                let message = format!("cannot be looked for: {}", plain(&error));
                context.report.problem(path.display().to_string(), message);
                return None;
            }
        }
    }
    Some(None)
}

fn read_file(context: &Context<'_>, file: &Path, label: &str) -> Option<String> {
    let shown = file.display();
    let name = if label == shown.to_string() { String::new() } else { format!("{shown} ") };
    let refuse = |message: String| {
        context.report.problem(label, message);
        None
    };
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => return refuse(format!("{name}cannot be read: {}", plain(&error))),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return refuse(format!("{name}is not valid UTF-8"));
    };
    if let Ok(metadata) = fs::metadata(file) {
        context.file_is_open_to_all.set(metadata.permissions().mode() & 0o004 != 0);
    }
    if let Err(error) = toml::de::DeTable::parse(&text) {
        // Only the parser's own words and the place: the line may hold a secret.
        let (line, column) = place(&text, error.span().map_or(0, |span| span.start));
        context.report.problem(
            shown.to_string(),
            format!("line {line}, column {column}: not valid TOML: {}", error.message()),
        );
        return None;
    }
    Some(text)
}

/// Line and column, counted from one, of a byte of the text.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The variables that override keys. The ones whose names cannot be keys are
/// reported and left out, so that the merge cannot depend on their order.
fn overrides(context: &Context<'_>) -> BTreeMap<String, String> {
    let report = &context.report;
    let sources = context.sources;
    for name in sources.not_unicode.iter().filter(|name| is_override(name)) {
        report.problem(name, "is not valid UTF-8");
    }
    let mut kept: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    let given = sources.env.iter().filter(|(name, value)| is_override(name) && !value.is_empty());
    for (name, value) in given {
        if !is_well_formed(name, report) {
            continue;
        }
        if let Some((twin, _)) = kept.insert(name.to_lowercase(), (name, value)) {
            report.problem(name, format!("is also given as {twin}; keep one"));
        }
    }
    let lowered: Vec<_> = kept.keys().cloned().collect();
    kept.into_iter()
        .filter(|(lower, (name, _))| {
            let inner = format!("{lower}__");
            let is_section = lowered.iter().any(|other| other.starts_with(&inner));
            if is_section {
                report.problem(*name, "is a section: it cannot have a value beside its keys");
            }
            !is_section
        })
        .map(|(_, (name, value))| (name.to_owned(), value.to_owned()))
        .collect()
}

fn is_override(name: &str) -> bool {
    name.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("RELIQUARY__"))
}

fn is_well_formed(name: &str, report: &Report) -> bool {
    let keys: Vec<_> = name[11..].split("__").collect();
    let is_key = |key: &&str| {
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let good = keys.len() > 1 && keys.iter().all(is_key);
    if !good {
        let name = name.escape_debug().to_string();
        report.problem(
            name,
            "names no key: it is RELIQUARY__ with section and key, as in RELIQUARY__STORE__URL \
             or RELIQUARY__DATABASES__MAIN__URL",
        );
    }
    good
}

fn plain(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file",
        io::ErrorKind::PermissionDenied => "this user may not read it",
        io::ErrorKind::IsADirectory => "it is a folder",
        _ => "the system refuses",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_characters_from_one() {
        let text = "a = 1\nü = ?\n";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, text.find('?').unwrap()), (2, 5));
        assert_eq!(place(text, text.len()), (3, 1));
        assert_eq!(place(text, 9999), (3, 1));
    }
}
