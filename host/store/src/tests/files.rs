//! Logs in real files: how they are created and opened, and what is refused.

use super::*;
use std::fs;
use std::path::PathBuf;
use std::sync::Barrier;

/// A directory that is removed at the end of a test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("synod-store-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the error of opening a file, in one line.
fn refusal(path: &Path) -> String {
    let error = FileLog::open(path, CAPACITY).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn a_file_has_its_records_after_it_was_closed_and_belongs_to_one_user() {
    let scratch = Scratch::new("reopened");
    let path = scratch.log();
    // What an interrupted creation has left is no obstacle.
    fs::write(scratch.0.join("log.new"), [7; 10_000]).unwrap();
    let mut log = FileLog::create(&path, CAPACITY).unwrap();
    append(&mut log, 0..5).unwrap();
    log.close().unwrap();
    let mut log = FileLog::open(&path, CAPACITY).unwrap();
    assert_eq!(numbers(&mut log), [0, 1, 2, 3, 4]);
    let names = fs::read_dir(&scratch.0).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["log"]);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.len(), 4 * 4096 + 2 * 4096);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let allocated = 512 * metadata.blocks();
        assert!(
            allocated >= metadata.len(),
            "{allocated} bytes have a place"
        );
    }
}

#[test]
fn a_log_that_was_closed_is_opened_without_a_change() {
    let scratch = Scratch::new("unchanged");
    let path = scratch.log();
    let mut log = FileLog::create(&path, CAPACITY).unwrap();
    let mut killed = 0;
    for turn in 0..40 {
        append(&mut log, 3 * turn..3 * (turn + 1)).unwrap();
        log.sync().unwrap();
        trim(&mut log, (3 * turn).saturating_sub(5)).unwrap();
        if turn % 2 == 0 {
            log.close().unwrap();
        } else {
            // As after a kill. The start that finds it writes a mark, and the next one nothing new.
            drop(log);
            let before = fs::read(&path).unwrap();
            drop(FileLog::open(&path, CAPACITY).unwrap());
            killed += u32::from(fs::read(&path).unwrap() != before);
        }
        let before = fs::read(&path).unwrap();
        log = FileLog::open(&path, CAPACITY).unwrap();
        assert!(fs::read(&path).unwrap() == before, "turn {turn}");
    }
    assert_eq!(killed, 20);
}

#[test]
fn two_new_files_have_different_keys() {
    let scratch = Scratch::new("keys");
    let [one, other] = ["one", "other"].map(|name| scratch.0.join(name));
    for path in [&one, &other] {
        FileLog::create(path, CAPACITY).unwrap().close().unwrap();
    }
    assert_ne!(fs::read(one).unwrap(), fs::read(other).unwrap());
}

#[test]
fn a_file_is_open_only_once_and_never_replaced() {
    let scratch = Scratch::new("once");
    let path = scratch.log();
    let log = FileLog::create(&path, CAPACITY).unwrap();
    assert!(
        refusal(&path).ends_with(
            "another process has this open: stop that process first, or name another path"
        )
    );
    let exists = FileLog::create(&path, CAPACITY).unwrap_err();
    assert!(matches!(exists.problem, Problem::Exists), "{exists}");
    drop(log);
    FileLog::open(&path, CAPACITY).unwrap();
}

#[test]
fn a_log_that_several_create_at_once_belongs_to_one() {
    let scratch = Scratch::new("race");
    for round in 0..40 {
        let path = scratch.0.join(format!("{round}"));
        let start = Barrier::new(4);
        // A lock belongs to an open file, so a thread is refused like a process.
        let created: Vec<_> = std::thread::scope(|scope| {
            let create = |_| {
                scope.spawn(|| {
                    start.wait();
                    FileLog::create(&path, CAPACITY)
                })
            };
            let threads: Vec<_> = (0..4).map(create).collect();
            let joined = threads.into_iter().map(|thread| thread.join().unwrap());
            joined.collect()
        });
        let (mut mine, others): (Vec<_>, Vec<_>) = created.into_iter().partition(Result::is_ok);
        for error in others {
            let problem = error.unwrap_err().problem;
            let is_right = matches!(problem, Problem::InUse | Problem::Exists);
            assert!(is_right, "round {round}: {problem}");
        }
        assert_eq!(mine.len(), 1, "round {round}");
        let mut log = mine.pop().unwrap().unwrap();
        append(&mut log, 0..3).unwrap();
        log.sync().unwrap();
        assert!(refusal(&path).contains("another process has this open"));
        drop(log);
        let mut log = FileLog::open(&path, CAPACITY).unwrap();
        assert_eq!(numbers(&mut log), [0, 1, 2], "round {round}");
    }
}

#[test]
fn a_log_is_locked_and_complete_from_the_moment_at_which_it_appears() {
    let scratch = Scratch::new("appears");
    for round in 0..40 {
        let path = scratch.0.join(format!("{round}"));
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                loop {
                    match FileLog::open(&path, CAPACITY).unwrap_err().problem {
                        Problem::Missing => {}
                        Problem::InUse => return,
                        problem => panic!("round {round}: {problem}"),
                    }
                }
            });
            let log = FileLog::create(&path, CAPACITY).unwrap();
            other.join().unwrap();
            drop(log);
        });
    }
}

#[test]
fn the_log_of_another_owner_is_refused_and_left_as_it_is() {
    let scratch = Scratch::new("owner");
    let path = scratch.log();
    let mut log = FileLog::create_with_key(&path, CAPACITY, 6).unwrap();
    append(&mut log, 0..3).unwrap();
    log.sync().unwrap();
    // As after a kill, when an owner would write a mark.
    drop(log);
    let whole = fs::read(&path).unwrap();
    let other = FileLog::open_with_key(&path, CAPACITY, 7).unwrap_err();
    assert!(matches!(other.problem, Problem::OtherKey(6)), "{other}");
    assert!(
        !other.is_lost() && other.to_string().ends_with("name the right path"),
        "{other}"
    );
    assert!(fs::read(&path).unwrap() == whole);
    let mut log = FileLog::open_with_key(&path, CAPACITY, 6).unwrap();
    assert_eq!((log.key(), numbers(&mut log).len()), (6, 3));
}

#[test]
fn a_store_of_an_earlier_format_is_refused_and_left_as_it_is() {
    // The label of a store in two areas, and one of its marks.
    let label = [
        0x53, 0x59, 0x4e, 0x4f, 0x44, 0x4c, 0x4f, 0x47, 0x02, 0x00, 0x00, 0x00, 0x5e, 0xb5, 0x7d,
        0x3b, 0x89, 0x0b, 0x8d, 0xa2, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x4c, 0xac, 0x5b, 0x8a, 0xf2, 0x62, 0x77, 0xff,
    ];
    let mark = [
        0x8e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x22, 0x01, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x15, 0x1f, 0x3d, 0xaa, 0xe8, 0xed, 0x76, 0x64,
    ];
    let scratch = Scratch::new("earlier");
    let path = scratch.log();
    let mut bytes = vec![0; 3 * 4096 + 2 * (1 << 18)];
    bytes[..40].copy_from_slice(&label);
    bytes[4096..4136].copy_from_slice(&mark);
    fs::write(&path, &bytes).unwrap();
    let refused = refusal(&path);
    assert!(
        refused.ends_with(
            "this has format 2, which this program cannot read: use the version of the program that wrote it"
        ),
        "{refused}"
    );
    assert!(fs::read(&path).unwrap() == bytes);
}

#[test]
fn what_is_not_this_log_is_refused_with_a_remedy_and_left_as_it_is() {
    let scratch = Scratch::new("refused");
    let path = scratch.log();
    let missing = FileLog::open(&path, CAPACITY).unwrap_err();
    assert!(
        missing.is_lost()
            && missing
                .to_string()
                .contains("restart the node as a learner")
    );
    assert!(refusal(&scratch.0).contains("this is not a file"));
    let nowhere = FileLog::create(&path.join("deeper"), CAPACITY).unwrap_err();
    assert!(matches!(nowhere.problem, Problem::NoDirectory), "{nowhere}");
    for capacity in [0, 4095, (1 << 31) + 1] {
        let error = FileLog::create(&path, capacity).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("must be between 4096 and 2147483648"),
            "{error}"
        );
    }

    let mut log = FileLog::create(&path, CAPACITY).unwrap();
    append(&mut log, 0..3).unwrap();
    log.close().unwrap();
    let whole = fs::read(&path).unwrap();
    let capacity = FileLog::open(&path, 8192).unwrap_err();
    assert!(
        capacity
            .to_string()
            .contains("a capacity of 4096 bytes, but 8192 were expected"),
        "{capacity}"
    );

    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        let text = refusal(&path);
        assert_eq!(fs::read(&path).unwrap(), bytes, "it is left as it is");
        text
    };
    let both = |bytes: &mut Vec<u8>, at: usize| {
        bytes[at] ^= 2;
        bytes[4096 + at] ^= 2;
    };
    assert!(changed(&|bytes| bytes.clear()).contains("damaged at byte 0 (the file has another"));
    assert!(
        changed(&|bytes| bytes.truncate(100)).contains("damaged at byte 100 (the file has another")
    );
    let text = |bytes: &mut Vec<u8>| *bytes = b"some other file".to_vec();
    assert!(changed(&text).contains("not the log of a node"));
    assert!(changed(&|bytes| both(bytes, 3)).contains("not the log of a node"));
    assert!(changed(&|bytes| both(bytes, 8)).contains("this has format 3"));
    assert!(
        changed(&|bytes| both(bytes, 16))
            .contains("damaged at byte 0 (both superblocks have changed)")
    );
    assert!(
        changed(&|bytes| bytes.truncate(20_000))
            .contains("damaged at byte 20000 (the file has another length)")
    );
    assert!(
        changed(&|bytes| bytes.push(0))
            .contains("damaged at byte 24576 (the file has another length)")
    );
    assert!(
        changed(&|bytes| bytes[4 * 4096 + 50] ^= 1)
            .contains("damaged at byte 16384 (records that were synced")
    );
    let is_lost = FileLog::open(&path, CAPACITY).unwrap_err().is_lost();
    assert!(is_lost, "only a learner can be started");
}

#[test]
fn a_superblock_that_has_changed_is_written_again_from_the_other() {
    let scratch = Scratch::new("superblock");
    let path = scratch.log();
    let mut log = FileLog::create(&path, CAPACITY).unwrap();
    append(&mut log, 0..3).unwrap();
    log.close().unwrap();
    let whole = fs::read(&path).unwrap();
    for at in [0, 9, 17, 30, 4096, 4096 + 39] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let mut log = FileLog::open(&path, CAPACITY).unwrap();
        assert_eq!(numbers(&mut log), [0, 1, 2]);
        drop(log);
        assert_eq!(fs::read(&path).unwrap()[..8192], whole[..8192], "byte {at}");
    }
}

#[cfg(unix)]
#[test]
fn records_of_a_process_that_was_killed_are_there() {
    let scratch = Scratch::new("killed");
    let path = scratch.log();
    let mut log = FileLog::create(&path, 1 << 16).unwrap();
    for end in 1..100 {
        append(&mut log, 5 * (end - 1)..5 * end).unwrap();
        log.sync().unwrap();
        trim(&mut log, (5 * end).saturating_sub(100)).unwrap();
        // Neither closed nor marked.
        drop(log);
        log = FileLog::open(&path, 1 << 16).unwrap();
        let found = numbers(&mut log);
        assert_eq!(found.last(), Some(&(5 * end - 1)));
        assert!(*found.first().unwrap() <= (5 * end).saturating_sub(100));
    }
}
