//! Shows how far a backup or a restore is: a line that changes on a terminal, a line now and
//! then elsewhere. On stderr, always.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use super::print;
use crate::state::Progress;

/// On a terminal.
const OFTEN: Duration = Duration::from_millis(200);
/// Elsewhere.
const SELDOM: Duration = Duration::from_secs(10);

/// A progress display; ends with [`Shown::end`].
pub(super) struct Shown {
    bar: ProgressBar,
    task: Option<JoinHandle<()>>,
}

/// Begins to show a backup.
pub(super) fn show(progress: &Progress, quiet: bool) -> Shown {
    let progress = progress.clone();
    let line = move || {
        let report = progress.report();
        format!(
            "{}: {} of dump, {} of archive",
            report.stage,
            print::size(report.dump_bytes),
            print::size(report.archive_bytes)
        )
    };
    show_line(line, quiet)
}

/// Begins to show a line that is made anew each time.
pub(super) fn show_line(line: impl Fn() -> String + Send + 'static, quiet: bool) -> Shown {
    let terminal = std::io::stderr().is_terminal();
    if quiet {
        return Shown { bar: ProgressBar::hidden(), task: None };
    }
    let bar = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let shown = bar.clone();
    let task = tokio::spawn(async move {
        let mut tick = tokio::time::interval(if terminal { OFTEN } else { SELDOM });
        // The first tick comes at once, when there is nothing to say yet.
        tick.tick().await;
        loop {
            tick.tick().await;
            let line = line();
            if terminal {
                shown.set_message(line);
                shown.tick();
            } else {
                eprintln!("{line}");
            }
        }
    });
    Shown { bar, task: Some(task) }
}

impl Shown {
    /// Takes the line away.
    pub(super) fn end(self) {
        if let Some(task) = self.task {
            task.abort();
        }
        self.bar.finish_and_clear();
    }
}
