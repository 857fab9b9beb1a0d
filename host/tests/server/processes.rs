//! What tests of real processes share: the program, directories, ports, and a client.

use core::sync::atomic::{AtomicU16, Ordering};
use core::time::Duration;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longer than a server keeps anybody waiting.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) fn synod() -> Command {
    Command::new(env!("CARGO_BIN_EXE_synod"))
}

pub(crate) fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    path
}

static TESTS: AtomicU16 = AtomicU16::new(0);

/// Returns a port such that it, the two after it, and those 10,000 above are free.
pub(crate) fn free_ports() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Tests run at the same time, so that each begins to look elsewhere. All ports are below those that systems give to
    // connections: a connection to one of those where nobody listens yet may reach itself.
    let process = u16::try_from(std::process::id() % 11).unwrap() * 900;
    let test = TESTS.fetch_add(1, Ordering::Relaxed) % 9 * 100;
    let start = 10_000 + process + test;
    let ports = (start..start + 98).step_by(3);
    let all_free =
        |port: &u16| (*port..port + 3).all(|port| is_free(port) && is_free(port + 10_000));
    ports.into_iter().find(all_free).unwrap()
}

/// Sends one command to the node that serves clients at a port of this machine, once it listens, and returns the first
/// line of the reply.
pub(crate) fn ask(port: u16, command: &str) -> String {
    let mut stream = loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            break stream;
        }
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}
