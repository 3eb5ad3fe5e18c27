//! Log lines on stderr: what is written, and how it looks.
//!
//! A level alone, `info`, is about Reliquary; libraries stay at `warn`. Two of
//! sqlx's habits are never let through: it logs connection parameters that it
//! does not know, and lines of a passfile that it cannot read, with their values.

use std::{
    env,
    io::{self, IsTerminal},
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

use crate::settings::{LogFormat, LogSettings};

/// `log.filter` where nothing else is said.
pub const DEFAULT_FILTER: &str = "info";

/// Libraries, unless the filter says otherwise. sqlx logs each statement, and
/// `aws_config` dumps what our own error says in a sentence.
const LIBRARIES: &str = "warn,sqlx::query=off,aws_config=error";
/// Whatever the filter says: these lines hold passwords.
const NEVER: &str = "sqlx_postgres::options=off";

/// Starts logging to stderr. `verbosity` is the number of `-v` less the number
/// of `-q`. A command other than the daemon reports on stdout, so it logs
/// warnings only, unless the settings ask for something of their own.
///
/// Only the first call in a process has an effect.
pub fn init(settings: &LogSettings, verbosity: i8, for_daemon: bool) {
    let terminal = io::stderr().is_terminal();
    let json = match settings.format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let colour = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let directives = directives(&settings.filter, verbosity, for_daemon);
    // `parse_lossy` leaves out what it cannot read; the settings were checked
    // before, so that is nothing.
    let filter = EnvFilter::builder().parse_lossy(directives);
    // Whoever read the lines may be gone. To say that on stderr would be a panic, of
    // a daemon whose backups go on without a reader.
    let lines = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .with_env_filter(filter);
    // An error means that logging runs already, as it does in tests.
    let _ = if json {
        lines.json().flatten_event(true).with_span_list(false).finish().try_init()
    } else {
        lines.with_ansi(colour).with_target(false).finish().try_init()
    };
}

/// Whether `text` can be a filter.
#[must_use]
pub fn is_filter(text: &str) -> bool {
    !text.is_empty() && EnvFilter::builder().parse(text).is_ok()
}

fn directives(filter: &str, verbosity: i8, for_daemon: bool) -> String {
    let Ok(level) = filter.parse::<LevelFilter>() else {
        // Somebody who names targets means them; `-v` and `-q` only move
        // Reliquary's own level.
        let own = match verbosity {
            0 => String::new(),
            steps => format!(",reliquary={}", moved(LevelFilter::INFO, steps)),
        };
        return format!("{LIBRARIES},{filter}{own},{NEVER}");
    };
    let quiet_by_default = !for_daemon && filter == DEFAULT_FILTER;
    let base = if quiet_by_default { LevelFilter::WARN } else { level };
    let own = moved(base, verbosity);
    if own < LevelFilter::WARN {
        return format!("{own},{NEVER}");
    }
    format!("{LIBRARIES},reliquary={own},{NEVER}")
}

fn moved(level: LevelFilter, steps: i8) -> LevelFilter {
    const LEVELS: [LevelFilter; 6] = [
        LevelFilter::OFF,
        LevelFilter::ERROR,
        LevelFilter::WARN,
        LevelFilter::INFO,
        LevelFilter::DEBUG,
        LevelFilter::TRACE,
    ];
    let index = LEVELS.iter().position(|other| *other == level).unwrap_or(3);
    let moved = index.saturating_add_signed(isize::from(steps)).min(LEVELS.len() - 1);
    LEVELS[moved]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "info",
        0,
        true,
        "warn,sqlx::query=off,aws_config=error,reliquary=info,sqlx_postgres::options=off"
    )]
    #[case(
        "info",
        1,
        true,
        "warn,sqlx::query=off,aws_config=error,reliquary=debug,sqlx_postgres::options=off"
    )]
    #[case(
        "info",
        2,
        true,
        "warn,sqlx::query=off,aws_config=error,reliquary=trace,sqlx_postgres::options=off"
    )]
    #[case("info", -1, true, "warn,sqlx::query=off,aws_config=error,reliquary=warn,sqlx_postgres::options=off")]
    #[case(
        "info",
        0,
        false,
        "warn,sqlx::query=off,aws_config=error,reliquary=warn,sqlx_postgres::options=off"
    )]
    #[case(
        "info",
        1,
        false,
        "warn,sqlx::query=off,aws_config=error,reliquary=info,sqlx_postgres::options=off"
    )]
    #[case("info", -1, false, "error,sqlx_postgres::options=off")]
    #[case(
        "debug",
        0,
        false,
        "warn,sqlx::query=off,aws_config=error,reliquary=debug,sqlx_postgres::options=off"
    )]
    #[case("off", 0, true, "off,sqlx_postgres::options=off")]
    #[case(
        "info,hyper=debug",
        0,
        true,
        "warn,sqlx::query=off,aws_config=error,info,hyper=debug,sqlx_postgres::options=off"
    )]
    #[case("hyper=debug", -1, true,
        "warn,sqlx::query=off,aws_config=error,hyper=debug,reliquary=warn,sqlx_postgres::options=off")]
    fn libraries_stay_quiet_and_v_and_q_move_our_own_level(
        #[case] filter: &str,
        #[case] verbosity: i8,
        #[case] for_daemon: bool,
        #[case] expected: &str,
    ) {
        let directives = directives(filter, verbosity, for_daemon);
        assert_eq!(directives, expected);
        assert!(is_filter(&directives));
    }

    #[rstest]
    #[case("info", true)]
    #[case("INFO", true)]
    #[case("reliquary=debug,hyper=off", true)]
    #[case("", false)]
    #[case("reliquary=loud", false)]
    #[case("a=b=c", false)]
    fn a_filter_is_levels_of_targets(#[case] text: &str, #[case] good: bool) {
        assert_eq!(is_filter(text), good);
    }

    #[test]
    fn starting_twice_is_harmless() {
        let settings = LogSettings { filter: DEFAULT_FILTER.to_owned(), format: LogFormat::Json };
        init(&settings, 0, true);
        init(&settings, 1, false);
    }
}
