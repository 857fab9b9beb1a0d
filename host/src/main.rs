//! Entry point of the binary `synod`; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    synod_host::cli::main(std::env::args_os()).into()
}
