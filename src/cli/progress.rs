//! Shows how far a run is: a line that changes on a terminal, a line now and
//! then elsewhere. On stderr, always.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

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

/// Begins to show how much of `total` bytes of archive was read.
pub(super) fn show_reading(progress: &Progress, total: u64, quiet: bool) -> Shown {
    let terminal = std::io::stderr().is_terminal();
    if quiet {
        return Shown { bar: ProgressBar::hidden(), task: None };
    }
    let bar = if terminal { ProgressBar::new(total) } else { ProgressBar::hidden() };
    let template = "{elapsed} {wide_bar} {binary_bytes} of {binary_total_bytes}, \
                    {binary_bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    let (progress, shown) = (progress.clone(), bar.clone());
    let began = Instant::now();
    let task = tokio::spawn(async move {
        let mut tick = tokio::time::interval(if terminal { OFTEN } else { SELDOM });
        tick.tick().await;
        loop {
            tick.tick().await;
            let read = progress.report().archive_bytes;
            if terminal {
                // What looks damaged is read twice, which nobody knew before.
                shown.set_length(total.max(read));
                shown.set_position(read);
            } else {
                eprintln!("{}", reading(read, total, began.elapsed()));
            }
        }
    });
    Shown { bar, task: Some(task) }
}

/// `12.0 MiB of 40.0 MiB read, 4.0 MiB/s, 7s left`
fn reading(read: u64, total: u64, elapsed: Duration) -> String {
    let rate = read as f64 / elapsed.as_secs_f64().max(0.001);
    let mut line = format!("{} of {} read", print::size(read), print::size(total.max(read)));
    if read > 0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
        let per_second = print::size(rate as u64);
        let left = total.saturating_sub(read) as f64 / rate;
        line += &format!(", {per_second}/s, {left:.0}s left");
    }
    line
}

impl Shown {
    /// Prints something else while the line stands.
    pub(super) fn aside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Takes the line away.
    pub(super) fn end(self) {
        if let Some(task) = self.task {
            task.abort();
        }
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_how_fast_and_how_long_still() {
        let mib = 1 << 20;
        let line = |read: u64, total: u64| reading(read * mib, total * mib, Duration::from_secs(3));
        assert_eq!(line(0, 40), "0 B of 40.0 MiB read");
        assert_eq!(line(12, 40), "12.0 MiB of 40.0 MiB read, 4.0 MiB/s, 7s left");
        assert_eq!(line(60, 40), "60.0 MiB of 60.0 MiB read, 20.0 MiB/s, 0s left");
    }
}
