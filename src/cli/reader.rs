//! What becomes of a command when nobody reads what it prints any more, as `head`
//! does not after its lines: that is an end, and nobody's fault.

use std::panic::{self, AssertUnwindSafe};

/// What a shell says of a program that SIGPIPE ended.
pub(super) const NOBODY_READS: u8 = 141;

/// Runs a command to its exit code. Where its reader goes away meanwhile, that
/// ends it without a word, and with the exit code of such a program.
#[must_use]
pub fn while_somebody_reads(command: impl FnOnce() -> u8) -> u8 {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().is_some_and(nobody_reads) {
            report(panic);
        }
    }));
    // Caught, so that what was at work is still wound up in order.
    match panic::catch_unwind(AssertUnwindSafe(command)) {
        Ok(code) => code,
        Err(panic) => match panic.downcast_ref::<String>() {
            Some(said) if nobody_reads(said) => NOBODY_READS,
            _ => panic::resume_unwind(panic),
        },
    }
}

/// Whether a panic is that of `println!` or `eprintln!` to a reader that has gone.
fn nobody_reads(said: &str) -> bool {
    let prints = ["failed printing to stdout", "failed printing to stderr"];
    prints.iter().any(|print| said.starts_with(print)) && said.contains("Broken pipe")
}
