//! `synod backup` and `synod restore`: the keys of a real cluster in a file, and back into another cluster.

use super::door::DoorOptions;
use super::draw;
use crate::exit::{Exit, print_error};
use core::fmt;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use synod_server::backup::{Backup, LEN_MAX, client};

/// A file, and the cluster whose keys it has or gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupCommand {
    /// The path of the file.
    pub file: PathBuf,
    /// How a node of the cluster is reached.
    pub door: DoorOptions,
}

/// Executes `synod backup`.
pub fn backup(command: &BackupCommand) -> Exit {
    end(take(command))
}

/// Executes `synod restore`.
pub fn restore(command: &BackupCommand) -> Exit {
    end(put(command))
}

/// Says how a command has ended.
fn end(ended: Result<String, String>) -> Exit {
    match ended {
        Ok(text) => {
            print_error(&text);
            Exit::Done
        }
        Err(error) => {
            print_error(&error);
            Exit::Usage
        }
    }
}

fn take(command: &BackupCommand) -> Result<String, String> {
    let door = command.door.open()?;
    let (bytes, backup) = client::take(&door).map_err(|error| named(door.address, &error))?;
    write(&command.file, &bytes).map_err(|error| named(command.file.display(), &error))?;
    Ok(format!(
        "wrote {}: {} keys of the cluster {:016x} as of slot {}",
        command.file.display(),
        backup.entries.len(),
        backup.cluster,
        backup.slot
    ))
}

fn put(command: &BackupCommand) -> Result<String, String> {
    let of_file = |error: &dyn fmt::Display| named(command.file.display(), error);
    let bytes = read(&command.file).map_err(|error| of_file(&error))?;
    let backup = Backup::decode(&bytes).map_err(|error| of_file(&error))?;
    let door = command.door.open()?;
    let (restored, expired) =
        client::restore(&door, &backup).map_err(|error| named(door.address, &error))?;
    Ok(format!(
        "restored {restored} keys of the cluster {:016x} as of slot {}; {expired} have expired",
        backup.cluster, backup.slot
    ))
}

/// Returns an error behind what it concerns.
fn named(what: impl fmt::Display, error: &dyn fmt::Display) -> String {
    format!("{what}: {error}")
}

/// Reads a file, but no more than a byte beyond the longest backup.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let longest = u64::try_from(LEN_MAX).unwrap_or(u64::MAX);
    let file = File::open(path)?;
    file.take(longest.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file that only its owner can read, whole or not at all. One that exists is replaced.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(path);
    name.push(format!(".{:016x}.new", draw()));
    let temporary = PathBuf::from(name);
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error tells more.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    #[cfg(unix)]
    {
        let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
