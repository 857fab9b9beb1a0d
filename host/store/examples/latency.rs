//! Measures what a commit takes on the disk of a directory: one record, appended and made durable.
//!
//! Three ways, in turn, so that all of them meet the same disk:
//!
//! - a write in place and `fdatasync`, without any format: the disk itself;
//! - a [`FileLog`], with one sync a commit;
//! - the same with a mark after each commit, which takes a second sync.
//!
//! ```sh
//! cargo run --release -p synod-store --example latency -- 1000 DIR     # commits of each kind, and where
//! ```

#![expect(
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    clippy::disallowed_methods,
    reason = "a measurement for people"
)]

use core::time::Duration;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use synod::storage::Storage;
use synod_store::{FileLog, FileLogError};

const CAPACITY: usize = 1 << 20;
/// Commits of one kind before the next kind has its turn.
const ROUND: usize = 50;

/// Appends a record and makes it durable.
type Commit = dyn FnMut(&[u8]) -> Result<(), FileLogError>;

/// A way to commit.
struct Way {
    name: &'static str,
    commit: Box<Commit>,
    latencies: Vec<Duration>,
}

impl Way {
    fn new(
        name: &'static str,
        commit: impl FnMut(&[u8]) -> Result<(), FileLogError> + 'static,
    ) -> Self {
        Self {
            name,
            commit: Box::new(commit),
            latencies: Vec::new(),
        }
    }

    /// Returns the latency, in microseconds, below which a share of the commits is.
    fn microseconds(&mut self, per_mille: usize) -> f64 {
        self.latencies.sort_unstable();
        let place = self.latencies.len().saturating_sub(1) * per_mille / 1000;
        let latency = self.latencies.get(place).copied().unwrap_or_default();
        latency.as_nanos() as f64 / 1000.0
    }
}

/// Returns an error of a file without a format.
fn refused(path: &Path, error: io::Error) -> FileLogError {
    FileLogError {
        path: path.to_path_buf(),
        problem: error.into(),
    }
}

/// Overwrites places of a file that has its length, one after the other.
fn plain(path: PathBuf) -> Result<Way, FileLogError> {
    let create = || {
        let mut file = File::create(&path)?;
        file.write_all(&vec![0; CAPACITY])?;
        file.sync_all()?;
        io::Result::Ok(file)
    };
    let mut file = create().map_err(|error| refused(&path, error))?;
    let mut at = 0;
    Ok(Way::new("write and fdatasync", move |record| {
        at = (at + 512) % (CAPACITY as u64);
        let mut write = || {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(record)?;
            file.sync_data()
        };
        write().map_err(|error| refused(&path, error))
    }))
}

/// Commits to a log, in which a few hundred records are kept.
fn log(name: &'static str, path: &Path, with_mark: bool) -> Result<Way, FileLogError> {
    let mut log = FileLog::create(path, CAPACITY)?;
    let mut count = 0_u32;
    Ok(Way::new(name, move |record| {
        log.append(record)?;
        log.sync()?;
        if with_mark {
            log.mark()?;
        }
        count += 1;
        if count.is_multiple_of(256) {
            let mut left = 256;
            log.trim(|_| {
                left -= 1;
                left >= 0
            })?;
        }
        Ok(())
    }))
}

/// Prints a table of some commits of each way.
fn measure(directory: &Path, commits: usize, len: usize) -> Result<(), FileLogError> {
    let mut ways = [
        plain(directory.join(format!("plain-{len}")))?,
        log("FileLog", &directory.join(format!("log-{len}")), false)?,
        log(
            "FileLog with a mark each",
            &directory.join(format!("marked-{len}")),
            true,
        )?,
    ];
    let record = vec![0x5a; len];
    for round in 0..=commits.div_ceil(ROUND) {
        for way in &mut ways {
            for _ in 0..ROUND {
                let began = Instant::now();
                (way.commit)(&record)?;
                // The first round fills caches.
                if round > 0 {
                    way.latencies.push(began.elapsed());
                }
            }
        }
    }
    println!("\n{len} bytes, {commits} commits    median      p99   of the disk");
    let disk = ways.first_mut().map_or(1.0, |way| way.microseconds(500));
    for way in &mut ways {
        let (median, p99) = (way.microseconds(500), way.microseconds(990));
        let ratio = median / disk;
        println!("{:24} {median:8.1} µs {p99:8.1} µs {ratio:6.2}", way.name);
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let commits = arguments.next().map_or(Ok(2000), |text| text.parse())?;
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = parent.join(format!("synod-store-latency-{}", std::process::id()));
    fs::create_dir(&directory)?;
    let measured = [40, 400]
        .into_iter()
        .try_for_each(|len| measure(&directory, commits, len));
    fs::remove_dir_all(&directory)?;
    Ok(measured?)
}
