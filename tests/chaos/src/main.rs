//! `cargo chaos`: campaigns against real nodes.

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    synod_chaos::cli::main()
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    synod_figures::command_line::report("campaigns need the signals of Unix");
    ExitCode::from(2)
}
