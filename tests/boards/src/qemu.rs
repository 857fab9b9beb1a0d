//! QEMU processes as boards.

use crate::Failure;
use crate::image::Board;
use core::time::Duration;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// The time limit of a run. QEMU itself has none.
const PATIENCE: Duration = Duration::from_mins(5);

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The log: the bytes that the program wrote to the debugger's standard output.
    pub log: Vec<u8>,
    /// The exit code of the program.
    pub code: i32,
}

/// Returns the command that runs an image on a board, with arguments for the program and without a serial line.
pub fn command(board: Board, image: &Path, words: &[&str]) -> Command {
    let mut command = bare(board, image, words);
    command.args(["-serial", "none"]);
    command
}

/// Returns the command without the option of the serial line.
pub fn bare(board: Board, image: &Path, words: &[&str]) -> Command {
    let mut services = String::from("enable=on,target=native,arg=program");
    for word in words {
        // QEMU expects a comma in a value to be doubled.
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

/// Checks that QEMU is installed, before minutes are spent on building images.
///
/// # Errors
///
/// Returns an error with the command that installs it.
pub fn look() -> Result<(), Failure> {
    let said = Command::new("qemu-system-arm").arg("--version").output();
    said.map_err(|error| missing(&error)).map(|_| ())
}

fn missing(error: &io::Error) -> Failure {
    Failure::new(format!(
        "qemu-system-arm did not start ({error}): apt-get install -y qemu-system-arm"
    ))
}

/// A running board. Dropping it cuts its power.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Powers on a board, and returns the stream of its log.
    ///
    /// # Errors
    ///
    /// Returns an error if QEMU does not start.
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

    /// Cuts the power.
    pub fn kill(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the end of a program whose log has ended, and returns its exit code.
    ///
    /// # Errors
    ///
    /// Returns an error if the program was killed.
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
/// Returns an error if QEMU does not start, or the program does not end.
pub fn run(board: Board, image: &Path, words: &[&str]) -> Result<Finished, Failure> {
    finish(command(board, image, words))
}

/// Runs a command to its end.
///
/// # Errors
///
/// As for [`run`].
pub fn finish(command: Command) -> Result<Finished, Failure> {
    let (mut running, mut log) = Running::start(command)?;
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = log.read_to_end(&mut bytes).map(|_| bytes);
        // The receiver is gone after the time limit.
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
