//! QEMU: a board that is a process.

use crate::Failure;
use crate::image::Board;
use core::time::Duration;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// How long a board may take before it is taken for hung. QEMU itself never gives up.
const PATIENCE: Duration = Duration::from_mins(5);

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The bytes that the program wrote to the debugger's standard output: its log.
    pub log: Vec<u8>,
    /// Its exit code.
    pub code: i32,
}

/// The command that runs an image on a board, with words for the program. It has no serial line.
pub fn command(board: Board, image: &Path, words: &[&str]) -> Command {
    let mut command = bare(board, image, words);
    command.args(["-serial", "none"]);
    command
}

/// The same without a word about the serial line.
pub fn bare(board: Board, image: &Path, words: &[&str]) -> Command {
    let mut services = String::from("enable=on,target=native,arg=program");
    for word in words {
        // A comma in a value is doubled.
        services.push_str(",arg=");
        services.push_str(&word.replace(',', ",,"));
    }
    let mut command = Command::new("qemu-system-arm");
    command
        .args(["-M", board.name(), "-display", "none", "-monitor", "none"])
        .args(["-semihosting-config", &services])
        .arg("-kernel")
        .arg(image)
        .stdin(Stdio::null());
    command
}

/// Looks whether there is a QEMU, before minutes are spent on images for it.
///
/// # Errors
///
/// There is none; the sentence says what installs it.
pub fn look() -> Result<(), Failure> {
    let said = Command::new("qemu-system-arm").arg("--version").output();
    said.map_err(|error| missing(&error)).map(|_| ())
}

fn missing(error: &io::Error) -> Failure {
    Failure::new(format!(
        "qemu-system-arm did not start ({error}): apt-get install -y qemu-system-arm"
    ))
}

/// A board that runs. Dropped, it is switched off.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Switches a board on; what it logs comes out of the stream.
    ///
    /// # Errors
    ///
    /// QEMU did not start.
    pub fn start(mut command: Command) -> Result<(Self, ChildStdout), Failure> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| missing(&error))?;
        let log = child.stdout.take();
        let running = Self { child };
        let log = log.ok_or_else(|| Failure::new("QEMU has no standard output"))?;
        Ok((running, log))
    }

    /// Switches it off, as a loss of power does.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the end of a program whose log has ended, and answers its exit code.
    ///
    /// # Errors
    ///
    /// It was killed.
    pub fn code(&mut self) -> Result<i32, Failure> {
        let status = self.child.wait();
        let code = status.ok().and_then(|status| status.code());
        code.ok_or_else(|| Failure::new("QEMU was killed"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end.
///
/// # Errors
///
/// QEMU did not start, or the program did not end.
pub fn run(board: Board, image: &Path, words: &[&str]) -> Result<Finished, Failure> {
    finish(command(board, image, words))
}

/// Runs what a command starts to its end.
///
/// # Errors
///
/// As [`run`].
pub fn finish(command: Command) -> Result<Finished, Failure> {
    let (mut running, mut log) = Running::start(command)?;
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = log.read_to_end(&mut bytes).map(|_| bytes);
        // Nobody listens any more to what comes too late.
        let _ = sender.send(read);
    });
    let Ok(read) = receiver.recv_timeout(PATIENCE) else {
        running.kill();
        return Err(Failure::new(format!(
            "the program did not end within {} s",
            PATIENCE.as_secs()
        )));
    };
    let log = read.map_err(|error| Failure::new(format!("the log cannot be read: {error}")))?;
    let _ = reader.join();
    let code = running.code()?;
    Ok(Finished { log, code })
}
