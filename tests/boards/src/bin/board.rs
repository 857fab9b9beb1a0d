//! `board BOARD IMAGE [ARGUMENT]...`: runs an image under QEMU, prints its decoded log, and exits with its exit code.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use synod_boards::Failure;
use synod_boards::image::Board;
use synod_boards::log_decoder::Dictionary;
use synod_boards::qemu::{self, Running};
use synod_figures::command_line::exit;

fn main() -> ExitCode {
    exit(run())
}

fn run() -> Result<u8, Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [board, image, words @ ..] = words.as_slice() else {
        return Err(Failure::new("usage: board BOARD IMAGE [ARGUMENT]..."));
    };
    let board =
        Board::of(board).ok_or_else(|| Failure::new(format!("there is no board {board}")))?;
    let image = Path::new(image);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let dictionary = Dictionary::of(image)?;
    let mut decoder = dictionary.decoder();
    let (mut running, mut log) = Running::start(qemu::command(board, image, &words))?;
    let mut out = io::stdout().lock();
    let mut bytes = [0; 4096];
    loop {
        let read = log.read(&mut bytes).map_err(failed)?;
        let Some(bytes @ [_, ..]) = bytes.get(..read) else {
            break;
        };
        let mut written = Ok(());
        decoder.receive(bytes, |line| {
            if written.is_ok() {
                written = writeln!(out, "{:5} {}", line.level, line.text);
            }
        })?;
        written.map_err(failed)?;
    }
    Ok(u8::try_from(running.code()?).unwrap_or(u8::MAX))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that map_err expects"
)]
fn failed(error: io::Error) -> Failure {
    Failure::new(format!("the log cannot be copied: {error}"))
}
