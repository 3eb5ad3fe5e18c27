//! What somebody wrote into the document by hand.
//!
//! The document is made again with each entry. So before that its lines are held
//! against those that it was made with: what is new becomes an entry of its own,
//! and a box that was ticked is ticked in the log. What was deleted by hand comes
//! back: a log only grows.

use std::collections::HashMap;

use super::steps::STEPS;

/// What is new in an edited document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Lines that were not there before, in their order.
    pub lines: Vec<String>,
    /// Steps that were ticked, from 1.
    pub steps: Vec<u8>,
}

impl Edits {
    /// Whether there is nothing new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.steps.is_empty()
    }
}

/// How the line of a step begins, ticked or not.
pub(super) fn step_line(number: usize, done: bool) -> String {
    format!("- [{}] **{number}. ", if done { 'x' } else { ' ' })
}

/// What an edited document holds that the made one did not.
#[must_use]
pub fn edits(made: &str, edited: &str) -> Edits {
    let mut known: HashMap<&str, usize> = HashMap::new();
    for line in made.lines() {
        *known.entry(line.trim()).or_default() += 1;
    }
    let mut edits = Edits::default();
    for line in edited.lines() {
        let bare = line.trim();
        if bare.is_empty() {
            continue;
        }
        if let Some(count) = known.get_mut(bare).filter(|count| **count > 0) {
            *count -= 1;
            continue;
        }
        if let Some(step) = ticked(bare, &mut known) {
            edits.steps.push(step);
            continue;
        }
        edits.lines.push(line.trim_end().to_owned());
    }
    edits
}

/// The step whose box was ticked in this line, where nothing else was changed in it.
fn ticked(line: &str, known: &mut HashMap<&str, usize>) -> Option<u8> {
    let plain = line.replacen("- [X]", "- [x]", 1);
    (1..=STEPS.len()).find_map(|number| {
        let rest = plain.strip_prefix(&step_line(number, true))?;
        let before = format!("{}{rest}", step_line(number, false));
        let count = known.get_mut(before.as_str()).filter(|count| **count > 0)?;
        *count -= 1;
        u8::try_from(number).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: &str =
        "# Incident\n\n- [ ] **1. Assess scope**\n- [ ] **2. Stabilize**\n\nsame\nsame\n";

    #[test]
    fn nothing_new_is_no_edit_also_where_lines_went() {
        assert!(edits(MADE, MADE).is_empty());
        assert!(edits(MADE, "# Incident\n  same\n\n\n").is_empty());
    }

    #[test]
    fn new_lines_and_ticks_are_found() {
        let edited = "# Incident\n\n- [X] **1. Assess scope**\n- [ ] **2. Stabilize** with Ann\n\
                      \nsame\nsame\nsame\n  the load balancer had\n";
        let found = edits(MADE, edited);
        assert_eq!(found.steps, [1]);
        assert_eq!(
            found.lines,
            ["- [ ] **2. Stabilize** with Ann", "same", "  the load balancer had"]
        );
    }
}
