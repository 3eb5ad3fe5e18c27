//! The `reliquary` program: parse, build the runtime, turn an error into an exit code.

use std::process::ExitCode;

use clap::Parser;
use reliquary::cli::{self, Arguments};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let code = match runtime {
        Ok(runtime) => {
            let code = cli::while_somebody_reads(|| match runtime.block_on(cli::run(arguments)) {
                Ok(code) => code,
                Err(error) => {
                    eprintln!("{}", cli::explain(&error));
                    cli::exit_code(&error)
                }
            });
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
