//! The `reliquary` program: parse, build the runtime, turn an error into an exit code.

use std::{
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

use clap::Parser;
use reliquary::cli::{self, Arguments};

/// What a shell says of a program that SIGPIPE ended.
const NOBODY_READS: u8 = 141;

/// Whether a panic is that of `println!` to a reader that has gone, as `head` has
/// after its lines: that is an end, and nobody's fault.
fn nobody_reads(said: &str) -> bool {
    said.starts_with("failed printing to stdout") && said.contains("Broken pipe")
}

fn main() -> ExitCode {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().is_some_and(nobody_reads) {
            report(panic);
        }
    }));
    let arguments = Arguments::parse();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let code = match runtime {
        Ok(runtime) => {
            // Caught, so that what was at work is still wound up in order.
            let run = || runtime.block_on(cli::run(arguments));
            let code = match panic::catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(code)) => code,
                Ok(Err(error)) => {
                    eprintln!("{}", cli::explain(&error));
                    cli::exit_code(&error)
                }
                Err(panic) => match panic.downcast_ref::<String>() {
                    Some(said) if nobody_reads(said) => NOBODY_READS,
                    _ => panic::resume_unwind(panic),
                },
            };
            // A thread that still blocks on a pipe must not hold the exit.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("error: start the runtime: {error}");
            1
        }
    };
    ExitCode::from(code)
}
