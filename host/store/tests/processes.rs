//! Logs among processes: one is killed, two open the same log, one lacks the permission to write, and one has a full disk.
//! Each is this program started again as the test `child`.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests and their helpers may panic")]

use core::convert::Infallible;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use synod::storage::Storage;
use synod::{Digest, Sink};
use synod_store::{FileLog, FileLogError};

const CAPACITY: usize = 1 << 16;

/// The number of newest records that are kept.
const KEPT: u64 = 100;

/// The variable that names the log for a child.
const PATH: &str = "SYNOD_TEST_LOG";

fn draw(seed: u64, place: u64) -> u64 {
    let mut digest = Digest::new();
    digest.put_u64(seed);
    digest.put_u64(place);
    digest.put_u64(0);
    digest.value() >> 8
}

/// Returns a record that begins with its number and is determined by it.
fn record(number: u64) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    for place in 0..draw(number, 0) % 40 {
        bytes.extend(draw(number, place).to_le_bytes());
    }
    bytes
}

fn number(record: &[u8]) -> u64 {
    u64::from_le_bytes(*record.first_chunk().unwrap())
}

fn path(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path
}

/// Returns the first number, and the last plus one, of records that must be consecutive and as they were appended.
fn extent(log: &mut FileLog) -> (u64, u64) {
    let mut found: Option<(u64, u64)> = None;
    let read = log.read(|bytes| {
        let number = number(bytes);
        assert_eq!(bytes, record(number));
        let (first, end) = found.unwrap_or((number, number));
        assert_eq!(number, end, "what follows {first}..{end}");
        found = Some((first, end + 1));
    });
    read.unwrap();
    found.unwrap_or((0, 0))
}

/// Returns this program as the child that works on a log, started through another program if `through` names one.
fn process(through: &[&str], path: &Path) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut words = through.iter().map(Path::new).chain([exe.as_path()]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(["--exact", "child", "--ignored", "--nocapture"]);
    command.env(PATH, path).stdout(Stdio::piped());
    command
}

/// Returns the numbers in the lines that begin with a word; an incomplete last line is ignored.
fn said(line: &str, word: &str) -> Option<u64> {
    line.strip_suffix('\n')?.strip_prefix(word)?.parse().ok()
}

/// Waits for a child to end, and returns the number of records that it synced and its error.
fn ended(command: &mut Command) -> (u64, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let synced = text
        .split_inclusive('\n')
        .filter_map(|line| said(line, "synced "));
    let error = text.lines().find_map(|line| line.strip_prefix("error "));
    (
        synced.max().unwrap_or(0),
        error.unwrap_or_default().to_owned(),
    )
}

/// Appends and syncs until an error, and prints each synced number.
fn work(path: &Path) -> Result<Infallible, FileLogError> {
    let mut log = if path.exists() {
        FileLog::open(path, CAPACITY)?
    } else {
        FileLog::create(path, CAPACITY)?
    };
    let (_, mut end) = extent(&mut log);
    loop {
        for _ in 0..=draw(end, 1) % 3 {
            log.append(&record(end))?;
            end += 1;
        }
        if draw(end, 2).is_multiple_of(5) {
            log.trim(|record| number(record) + KEPT < end)?;
        }
        log.sync()?;
        println!("synced {end}");
    }
}

#[test]
#[ignore = "other tests start it as a process of its own"]
fn child() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    println!();
    let Err(error) = work(Path::new(&path));
    println!("error {error}");
}

#[test]
fn d1_twenty_kills_lose_no_synced_record() {
    let path = path("killed.log");
    let mut before = 0;
    for round in 0..20 {
        let mut child = process(&[], &path).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut synced = before;
        let mut left = draw(round, 3) % 120;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap() == 0 {
                break;
            }
            assert!(!line.starts_with("error"), "round {round}: {line}");
            if let Some(end) = said(&line, "synced ") {
                synced = end;
                left = left.saturating_sub(1);
            }
            if left == 0 {
                // At some point of the next operations; several overlapping kills do no harm.
                for _ in 0..draw(round, 4) % 300_000 {
                    core::hint::spin_loop();
                }
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        if !path.exists() {
            assert_eq!(synced, 0, "killed before it was made");
            continue;
        }
        let (first, end) = extent(&mut FileLog::open(&path, CAPACITY).unwrap());
        assert!(
            end >= synced,
            "round {round}: {first}..{end}, and {synced} were synced"
        );
        assert!(
            first + KEPT <= end || first == 0,
            "round {round}: {first}..{end}"
        );
        before = end;
    }
    assert!(before > 1000, "{before}");
}

#[test]
fn a_log_in_use_is_refused_to_another_process() {
    let path = path("in-use.log");
    let log = FileLog::create(&path, CAPACITY).unwrap();
    let (synced, error) = ended(&mut process(&[], &path));
    assert_eq!(synced, 0);
    assert!(
        error.contains("in-use.log: another process has this open: stop that process"),
        "{error}"
    );
    drop(log);
}

#[test]
fn a_full_disk_is_an_error_and_loses_no_synced_record() {
    let path = path("full.log");
    // No file may exceed 100 KiB; ignoring SIGXFSZ makes that an error.
    let limit = "trap '' XFSZ; ulimit -f 200; exec \"$@\"";
    let limited = || ended(&mut process(&["sh", "-c", limit, "sh"], &path));
    // A new log does not fit.
    let (synced, error) = limited();
    assert!(
        error.contains("full.log: there is no room for a file of 147456 bytes ("),
        "{error}"
    );
    assert!(synced == 0 && !path.exists());
    // Of a log that exists, most of the ring cannot be written.
    drop(FileLog::create(&path, CAPACITY).unwrap());
    let (synced, error) = limited();
    assert!(
        error.contains("full.log: this cannot be read or written ("),
        "{error}"
    );
    assert!(synced > 10, "{synced}");
    let mut log = FileLog::open(&path, CAPACITY).unwrap();
    let (first, end) = extent(&mut log);
    assert!(end >= synced, "{first}..{end}, and {synced} were synced");
    log.append(&record(end)).unwrap();
    log.sync().unwrap();
}

/// The superuser may write everything, unless the capability is dropped.
#[cfg(target_os = "linux")]
fn without_privileges() -> &'static [&'static str] {
    use std::os::unix::fs::MetadataExt;
    match fs::metadata("/proc/self").unwrap().uid() {
        0 => &["setpriv", "--bounding-set=-all", "--inh-caps=-all"],
        _ => &[],
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_without_write_permission_is_refused_and_unchanged() {
    use std::os::unix::fs::PermissionsExt;
    let allow =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let file = path("read-only.log");
    drop(FileLog::create(&file, CAPACITY).unwrap());
    let before = fs::read(&file).unwrap();
    allow(&file, 0o444);
    let (_, error) = ended(&mut process(without_privileges(), &file));
    assert!(
        error.contains("read-only.log: this must be readable and writable, and is not ("),
        "{error}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);

    let directory = path("read-only").join("inside");
    fs::create_dir_all(&directory).unwrap();
    allow(&directory, 0o555);
    let (_, error) = ended(&mut process(
        without_privileges(),
        &directory.join("new.log"),
    ));
    allow(&directory, 0o755);
    assert!(
        error.contains("new.log: this must be readable and writable, and is not ("),
        "{error}"
    );
    assert!(fs::read_dir(&directory).unwrap().next().is_none());
}
