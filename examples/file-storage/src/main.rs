//! Counts how often it was started, in a file that survives power loss at any instant: `cargo run -p
//! example-file-storage -- counter.log`, as often as you like. With `--trace` it prints the events of its node.

use example_file_storage::{Counter, PAGE, count};
use std::path::Path;
use std::process::ExitCode;
use synod::{Record, Tracer};

/// A tracer that prints every event.
struct Print;

impl Tracer<Counter, PAGE> for Print {
    fn record(&mut self, record: &Record<'_, Counter, PAGE>) {
        println!("{record}");
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, counted) = match arguments.as_slice() {
        [path] => (path, count(Path::new(path), &mut ())),
        [path, flag] if flag == "--trace" => (path, count(Path::new(path), &mut Print)),
        _ => {
            eprintln!("usage: example-file-storage FILE [--trace]");
            return ExitCode::from(2);
        }
    };
    match counted {
        Ok(count) => {
            println!("start {count}, as {path} says");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
