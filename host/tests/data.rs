//! Runs on files, each in a process of its own: killed at any instant, continued, and refused if files are
//! inconsistent.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests and their helpers may panic")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use synod::machines::Kv;
use synod::storage::Storage;
use synod::{Digest, NodeId, NodeSet, Proposal, RequestKey, Sink};
use synod_host::Options;
use synod_host::data::{Contents, Data, inspect};
use synod_host::run::KEYS;
use synod_store::FileLog;

/// A cluster so small that a run takes no time, with three clients.
const SMALL: &str = "6 --nodes 3 --clients 3 --quiet";

fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    path
}

fn synod(options: &str, path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synod"));
    command.arg0("synod");
    command.args(options.split_whitespace());
    command.arg("--data").arg(path);
    command
}

fn finished(options: &str, path: &Path) -> Output {
    synod(options, path).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap()
}

/// Returns the rest of a line of the summary.
fn line<'a>(output: &'a Output, name: &str) -> &'a str {
    let lines = text(&output.stdout).lines();
    let found = lines.into_iter().find_map(|line| line.strip_prefix(name));
    found.map_or("", str::trim)
}

/// Asserts that a run was refused with a one-line error, and returns it.
fn refused(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error = text(&output.stderr);
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// Returns every file of a directory with its contents.
fn bytes(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(path).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn d1_a_run_continues_an_earlier_one() {
    let path = directory("goes-on");
    let first = finished(SMALL, &path);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert_eq!(line(&first, "requests"), "33 of 33 answered, 33 right");
    assert_eq!(line(&first, "earlier"), "");
    let more = format!("{SMALL} --requests 25");
    let second = finished(&more, &path);
    assert_eq!(line(&second, "requests"), "75 of 75 answered, 75 right");
    assert_eq!(
        line(&second, "earlier"),
        "33 of them answered in earlier runs"
    );
    assert_eq!(
        line(&second, "command"),
        format!(
            "synod 6 --nodes 3 --requests 25 --clients 3 --data {}",
            path.display()
        )
    );
    let third = finished(&more, &path);
    assert_eq!(
        line(&third, "earlier"),
        "75 of them answered in earlier runs"
    );
    assert_eq!(third.status.code(), Some(0));
}

/// Asserts that the files imply everything that was acknowledged: a majority has applied it or voted for it.
fn check(path: &Path) -> u32 {
    let mut options = Options::new(6);
    (options.nodes, options.clients) = (3, 3);
    let data = Data {
        path: path.to_path_buf(),
        learners: Vec::new(),
        replace: Vec::new(),
    };
    let Contents { clients, nodes } = inspect::<Kv<KEYS>>(&options, &data).unwrap();
    for past in &clients {
        let key = RequestKey {
            client: past.session,
            number: past.number,
        };
        let holds = nodes.iter().flatten().filter(|durable| {
            let votes = |vote: synod::Entry<_>| match vote.proposal {
                Proposal::Register { .. } => vote.slot.number() == past.session.0,
                proposal => proposal.key() == Some(key),
            };
            durable.last_request(past.session) >= Some(past.number) || durable.votes().any(votes)
        });
        let holds = holds.count();
        assert!(holds >= 2, "{past:?} is held by {holds} of 3");
    }
    clients.iter().map(|past| past.answered).sum()
}

/// Kills a run with SIGKILL at instants drawn from a seed, and checks the files after each kill.
fn kill_at_any_moment(name: &str, rounds: u64) {
    let path = directory(name);
    let (mut answered, mut progressed) = (0, 0);
    for round in 0..rounds {
        let mut child = synod("6 --nodes 3 --clients 3 --requests 1000000", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut digest = Digest::new();
        digest.put_u64(round);
        // The run continues while its log is read. Every fourth kill comes shortly after the start.
        let lines = digest.value() % if round % 4 == 0 { 2 } else { 3_000 };
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..lines {
            log.next().unwrap().unwrap();
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "round {round}: it ended by itself");
        if !path.join("cluster.toml").exists() {
            continue;
        }
        let now = check(&path);
        assert!(
            now >= answered,
            "round {round}: {answered} were answered, and {now} are"
        );
        progressed += u32::from(now > answered);
        answered = now;
    }
    println!(
        "{rounds} kills, {answered} requests answered between them, progress in {progressed} rounds"
    );
    assert!(progressed > 3, "it was killed too early");
    let requests = answered / 3 + 20;
    let last = finished(&format!("{SMALL} --requests {requests}"), &path);
    assert_eq!(last.status.code(), Some(0), "{}", text(&last.stdout));
    assert_eq!(
        line(&last, "earlier"),
        format!("{answered} of them answered in earlier runs")
    );
}

#[test]
fn d1_a_killed_process_loses_no_acknowledged_request() {
    kill_at_any_moment("killed", 25);
}

#[test]
#[ignore = "the same a hundred times"]
fn d1_a_hundred_kills_lose_no_acknowledged_request() {
    kill_at_any_moment("killed-a-hundred-times", 100);
}

/// Restores the files of a directory.
fn restore(path: &Path, files: &[(PathBuf, Vec<u8>)]) {
    fs::remove_dir_all(path).unwrap();
    fs::create_dir(path).unwrap();
    for (file, bytes) in files {
        fs::write(file, bytes).unwrap();
    }
}

/// Alters a file of a cluster that has run, and asserts that the next run is refused with an error and without changing
/// the file, and that nothing is lost after the file is restored.
fn is_refused(name: &str, options: &str, file: &str, spoil: impl FnOnce(&Path), says: &[&str]) {
    let path = directory(name);
    assert_eq!(finished(SMALL, &path).status.code(), Some(0));
    let file = path.join(file);
    let whole = fs::read(&file).unwrap();
    spoil(&file);
    let spoilt = fs::read(&file).ok();
    let output = finished(options, &path);
    let error = refused(&output);
    for words in says {
        assert!(error.contains(words), "{error}");
    }
    assert!(fs::read(&file).ok() == spoilt, "it was changed");
    fs::write(&file, whole).unwrap();
    let more = finished(&format!("{SMALL} --requests 20"), &path);
    assert_eq!(
        line(&more, "earlier"),
        "33 of them answered in earlier runs"
    );
    assert_eq!(line(&more, "requests"), "60 of 60 answered, 60 right");
}

#[test]
fn d3_a_truncated_file_is_refused() {
    let cut = |file: &Path| {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    };
    let says = ["node-1.store", "damaged", "learner"];
    is_refused("cut-short", SMALL, "node-1.store", cut, &says);
    let clear = |file: &Path| fs::write(file, "").unwrap();
    is_refused("cut-to-nothing", SMALL, "node-1.store", clear, &says);
}

#[test]
fn d3_a_changed_bit_in_a_record_in_use_is_refused() {
    let path = directory("bit");
    assert_eq!(finished(SMALL, &path).status.code(), Some(0));
    let before = bytes(&path);
    let file = path.join("node-2.store");
    let whole = fs::read(&file).unwrap();
    // The last entry of the client log, at every place of the file: in records in use, and in pages that are free
    // again.
    let needle = 77_i64.to_le_bytes();
    let found = whole.windows(8).enumerate();
    let places = found.filter_map(|(at, window)| (window == needle).then_some(at));
    let (mut damaged, mut harmless) = (0, 0);
    for at in places {
        restore(&path, &before);
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let output = finished(&format!("{SMALL} --requests 12"), &path);
        if output.status.code() == Some(0) {
            assert_eq!(line(&output, "requests"), "36 of 36 answered, 36 right");
            harmless += 1;
        } else {
            let error = refused(&output);
            assert!(
                error.contains("node-2.store: this store is damaged"),
                "{error}"
            );
            assert!(fs::read(&file).unwrap() == bytes, "it was changed");
            damaged += 1;
        }
    }
    println!("{damaged} places were needed, {harmless} were not");
    assert!(damaged >= 3, "{damaged} and {harmless}");
}

#[test]
fn d3_decay_of_what_was_synced_last_is_refused_after_a_run_that_has_ended() {
    // The ring is not full yet, so that the last block is the last in the file.
    let decay = |file: &Path| {
        let mut bytes = fs::read(file).unwrap();
        let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[last] ^= 1;
        fs::write(file, bytes).unwrap();
    };
    let says = ["node-1.store: this store is damaged", "learner"];
    is_refused("decayed-node", SMALL, "node-1.store", decay, &says);
    let says = ["clients.store: the client log is damaged", "new directory"];
    is_refused("decayed-notes", SMALL, "clients.store", decay, &says);
}

#[test]
fn d2_the_directory_of_another_cluster_is_refused() {
    let other = "6 --nodes 5 --clients 3 --quiet";
    let manifest = "cluster.toml";
    is_refused("other-nodes", other, manifest, |_| {}, &["nodes 3, but 5"]);
    let bank = "6 --nodes 3 --clients 3 --machine bank --quiet";
    is_refused("other-machine", bank, manifest, |_| {}, &["kv, but bank"]);
    let swap = |file: &Path| {
        fs::copy(file.with_file_name("node-1.store"), file).unwrap();
    };
    let says = ["node-2.store", "NODE_1", "NODE_2"];
    is_refused("swapped", SMALL, "node-2.store", swap, &says);
}

/// Copies a directory, runs the cluster again, and restores some files from the copy. The copy is returned, too.
fn with_older_files(name: &str, files: &[&str]) -> (PathBuf, Vec<(PathBuf, Vec<u8>)>) {
    let (path, copy) = (directory(name), directory(&format!("{name}-copy")));
    let of = |requests| format!("6 --nodes 3 --clients 2 -q --requests {requests}");
    assert_eq!(finished(&of(20), &path).status.code(), Some(0));
    fs::create_dir(&copy).unwrap();
    for (file, bytes) in bytes(&path) {
        fs::write(copy.join(file.file_name().unwrap()), bytes).unwrap();
    }
    let second = finished(&of(60), &path);
    assert_eq!(line(&second, "requests"), "120 of 120 answered, 120 right");
    let newest = bytes(&path);
    for file in files {
        fs::copy(copy.join(file), path.join(file)).unwrap();
    }
    (path, newest)
}

/// Stores of all nodes.
const STORES: [&str; 3] = ["node-0.store", "node-1.store", "node-2.store"];
/// The words by which an error names what must not be restored.
const NEVER: &str = "never an older copy";

/// Asserts that the program refuses to go on beside older copies of these files, each time and with these words, and goes
/// on when the newest ones are back.
fn assert_older_files_are_refused(name: &str, files: &[&str], says: &[&str]) {
    let (path, newest) = with_older_files(name, files);
    for requests in [10, 60, 70] {
        let output = finished(
            &format!("6 --nodes 3 --clients 2 -q --requests {requests}"),
            &path,
        );
        let error = refused(&output);
        for words in says {
            assert!(error.contains(words), "{name}: {error}");
        }
    }
    let other_client = finished("6 --nodes 3 --clients 1 -q", &path);
    refused(&other_client);
    restore(&path, &newest);
    let output = finished("6 --nodes 3 --clients 2 -q --requests 70", &path);
    assert_eq!(line(&output, "requests"), "140 of 140 answered, 140 right");
}

#[test]
fn d2_older_copies_of_the_stores_of_nodes_are_refused() {
    let [node, other, last] = STORES;
    let older = "clients.store: according to this client log request 60 of client_";
    let says = [older, "no node's store has it", NEVER];
    assert_older_files_are_refused("old-nodes", &STORES, &says);
    let one = "so 2 stores of nodes must have it, but only that of NODE_1 does";
    let says = ["clients.store: ", one, NEVER];
    assert_older_files_are_refused("old-majority", &[node, last], &says);
    let copy = "node-1.store: this is an older copy";
    let says = [copy, "when the cluster last ran", "learner"];
    assert_older_files_are_refused("old-node", &[other], &says);
}

#[test]
fn d2_an_older_copy_of_the_client_log_is_refused() {
    let request = "request 60 of client_";
    let unanswered = "has no answer after that to request 20";
    let says = ["clients.store: ", request, unanswered, NEVER];
    assert_older_files_are_refused("old-notes", &["clients.store"], &says);
}

#[test]
fn d2_older_copies_beside_an_older_manifest_are_refused() {
    let [node, other, last] = STORES;
    let manifest = "cluster.toml";
    let says = ["no node's store has it", NEVER];
    let files = [node, other, last, manifest];
    assert_older_files_are_refused("old-nodes-and-manifest", &files, &says);
    let says = ["this client log is an older copy", NEVER];
    let files = ["clients.store", manifest];
    assert_older_files_are_refused("old-notes-and-manifest", &files, &says);
}

#[test]
fn d2_an_older_copy_is_detected_after_a_kill_too() {
    let path = directory("old-after-kill");
    assert_eq!(finished(SMALL, &path).status.code(), Some(0));
    let copy = fs::read(path.join("node-1.store")).unwrap();
    let mut child = synod("6 --nodes 3 --clients 3 --requests 1000000", &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(log.take(2_000).count(), 2_000);
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = finished(&format!("{SMALL} --requests 5"), &path);
    assert_eq!(killed.status.code(), Some(0), "{}", text(&killed.stderr));
    fs::write(path.join("node-1.store"), copy).unwrap();
    let output = finished(SMALL, &path);
    assert!(refused(&output).contains("node-1.store: this is an older copy"));
}

#[test]
fn d2_an_older_copy_of_a_whole_directory_is_the_earlier_cluster() {
    let mut files = STORES.to_vec();
    files.extend(["clients.store", "cluster.toml"]);
    let (path, _) = with_older_files("old-whole", &files);
    let output = finished("6 --nodes 3 --clients 2 -q --requests 25", &path);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(
        line(&output, "earlier"),
        "40 of them answered in earlier runs"
    );
}

#[test]
fn d2_the_files_of_another_directory_are_refused() {
    let (path, other) = (directory("here"), directory("there"));
    // The directories differ only in their identities.
    for path in [&path, &other] {
        assert_eq!(finished(SMALL, path).status.code(), Some(0));
    }
    let before = bytes(&path);
    for (file, says) in [
        (
            "node-1.store",
            "node-1.store: this is the store of another directory",
        ),
        (
            "clients.store",
            "clients.store: this is not the client log of this directory",
        ),
        (
            "cluster.toml",
            "clients.store: this is not the client log of this directory",
        ),
    ] {
        fs::copy(other.join(file), path.join(file)).unwrap();
        let output = finished(SMALL, &path);
        let error = refused(&output);
        assert!(error.contains(says), "{error}");
        restore(&path, &before);
    }
    for (file, bytes) in bytes(&other) {
        fs::write(path.join(file.file_name().unwrap()), bytes).unwrap();
    }
    let moved = finished(SMALL, &path);
    assert_eq!(
        moved.status.code(),
        Some(0),
        "a directory may be moved: {}",
        text(&moved.stderr)
    );
}

#[test]
fn d3_a_damaged_client_log_has_errors_of_its_own() {
    let cut = |file: &Path| {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    };
    let says = ["clients.store: the client log is damaged", "new directory"];
    is_refused("notes-cut", SMALL, "clients.store", cut, &says);
    let garble = |file: &Path| {
        // In both superblocks.
        let mut bytes = fs::read(file).unwrap();
        bytes[5] ^= 1;
        bytes[4096 + 5] ^= 1;
        fs::write(file, bytes).unwrap();
    };
    is_refused(
        "notes-garbled",
        SMALL,
        "clients.store",
        garble,
        &["this is not the client log"],
    );
    let swap = |file: &Path| {
        fs::copy(file.with_file_name("node-1.store"), file).unwrap();
    };
    is_refused(
        "notes-swapped",
        SMALL,
        "clients.store",
        swap,
        &["this is not the client log"],
    );
    let gone = |file: &Path| fs::remove_file(file).unwrap();
    is_refused(
        "notes-gone",
        SMALL,
        "clients.store",
        gone,
        &["the client log is missing"],
    );
    // Remedies for nodes do not apply here.
    for name in ["notes-cut", "notes-garbled", "notes-swapped", "notes-gone"] {
        let path = directory(name);
        assert_eq!(finished(SMALL, &path).status.code(), Some(0));
        let file = path.join("clients.store");
        match name {
            "notes-cut" => cut(&file),
            "notes-garbled" => garble(&file),
            "notes-swapped" => swap(&file),
            _ => gone(&file),
        }
        let output = finished(SMALL, &path);
        let error = refused(&output);
        assert!(
            !error.contains("learner") && !error.contains("node last"),
            "{error}"
        );
    }
}

#[test]
fn d3_a_damaged_or_missing_manifest_is_refused() {
    let manifest = "cluster.toml";
    let gone = |file: &Path| fs::remove_file(file).unwrap();
    is_refused(
        "manifest-gone",
        SMALL,
        manifest,
        gone,
        &["its manifest is missing"],
    );
    let older = |file: &Path| {
        let text = fs::read_to_string(file).unwrap();
        fs::write(file, text.replace("nodes = 3", "nodes = 4")).unwrap();
    };
    is_refused(
        "manifest-changed",
        SMALL,
        manifest,
        older,
        &["the manifest is damaged"],
    );
    let only_notes = directory("only-notes");
    assert_eq!(finished(SMALL, &only_notes).status.code(), Some(0));
    for file in STORES.into_iter().chain([manifest]) {
        fs::remove_file(only_notes.join(file)).unwrap();
    }
    assert!(refused(&finished(SMALL, &only_notes)).contains("its manifest is missing"));
    let without_notes = directory("only-nodes");
    assert_eq!(finished(SMALL, &without_notes).status.code(), Some(0));
    fs::remove_file(without_notes.join("clients.store")).unwrap();
    assert!(refused(&finished(SMALL, &without_notes)).contains("the client log is missing"));
    let no_nodes = directory("no-nodes");
    assert_eq!(finished(SMALL, &no_nodes).status.code(), Some(0));
    for file in STORES {
        fs::remove_file(no_nodes.join(file)).unwrap();
    }
    assert!(refused(&finished(SMALL, &no_nodes)).contains("the storage of NODE_0 is missing"));
}

#[test]
fn d1_other_clients_and_fewer_requests_continue_with_the_same_files() {
    let path = directory("other-numbers");
    assert_eq!(finished(SMALL, &path).status.code(), Some(0));
    for (options, requests, earlier) in [
        (
            "6 --nodes 3 -q --clients 3 --requests 4",
            "33 of 33 answered, 33 right",
            "33",
        ),
        (
            "6 --nodes 3 -q --clients 1 --requests 12",
            "12 of 12 answered, 12 right",
            "11",
        ),
        (
            "6 --nodes 3 -q --clients 5 --requests 11",
            "56 of 56 answered, 56 right",
            "34",
        ),
        (
            "7 --nodes 3 -q --clients 5 --requests 15",
            "75 of 75 answered, 75 right",
            "56",
        ),
    ] {
        let output = finished(options, &path);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{options}: {}",
            text(&output.stderr)
        );
        assert_eq!(line(&output, "requests"), requests, "{options}");
        assert_eq!(
            line(&output, "earlier"),
            format!("{earlier} of them answered in earlier runs")
        );
    }
    assert!(
        refused(&finished("6 --nodes 3 -q --clients 17", &path))
            .contains("clients 16, but 64 was expected")
    );
}

#[test]
fn files_without_write_permission_are_refused() {
    let path = directory("read-only");
    assert_eq!(finished(SMALL, &path).status.code(), Some(0));
    let before = bytes(&path);
    for entry in fs::read_dir(&path).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
    let command = synod(SMALL, &path);
    // The superuser may write everything, unless the capability was dropped.
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let output = if is_root {
        Command::new("setpriv")
            .args(["--bounding-set=-all", "--inh-caps=-all"])
            .arg(command.get_program())
            .args(command.get_args())
            .output()
            .unwrap()
    } else {
        finished(SMALL, &path)
    };
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(refused(&output).contains("must be readable and writable"));
    assert!(bytes(&path) == before, "something was changed");
}

#[test]
fn d2_a_node_without_its_file_restarts_only_as_a_learner() {
    let path = directory("gone");
    assert_eq!(finished(SMALL, &path).status.code(), Some(0));
    let file = path.join("node-0.store");
    fs::remove_file(&file).unwrap();
    let output = finished(SMALL, &path);
    let error = refused(&output);
    assert!(
        error.contains("NODE_0 is missing") && error.contains("learner"),
        "{error}"
    );
    let output = finished(&format!("{SMALL} --requests 20 --learner 0"), &path);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(line(&output, "requests"), "60 of 60 answered, 60 right");
    assert!(!file.exists());
}

#[test]
fn a_full_disk_ends_a_run_with_one_line_and_loses_nothing() {
    let path = directory("full-disk");
    assert_eq!(finished(SMALL, &path).status.code(), Some(0));
    let more = synod(&format!("{SMALL} --requests 4000"), &path);
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh"])
        .arg(more.get_program())
        .args(more.get_args())
        .output()
        .unwrap();
    let error = refused(&limited);
    assert!(error.contains(".store"), "{error}");
    assert!(check(&path) >= 33);
    let again = finished(&format!("{SMALL} --requests 40"), &path);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
}

#[test]
fn a_directory_in_use_is_refused() {
    let path = directory("in-use");
    let mut child = synod("6 --nodes 3 --clients 3 --quiet --requests 1000000", &path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !path.join("node-2.store").exists() {
        thread::yield_now();
    }
    let output = finished(SMALL, &path);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(refused(&output).contains("another process has this open"));
}

#[test]
fn paths_that_cannot_hold_a_cluster_are_refused() {
    let nowhere = directory("nowhere").join("below");
    assert!(refused(&finished(SMALL, &nowhere)).contains("create it first"));
    let taken = directory("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("letter"), "dear").unwrap();
    assert!(refused(&finished(SMALL, &taken)).contains("it holds letter"));
    let file = taken.join("letter");
    assert!(refused(&finished(SMALL, &file)).contains("this is not a directory"));
    assert_eq!(fs::read(file).unwrap(), b"dear");
}

#[test]
fn options_without_meaning_on_files_are_refused() {
    let path = directory("options");
    for options in ["6 --verify", "6 --faults all", "6 --learner 1 --nodes 1"] {
        let output = finished(options, &path);
        if options.contains("learner") {
            let error = refused(&output);
            assert!(error.contains("--learner got '1'"), "{error}");
        } else {
            refused(&output);
        }
        assert!(!path.exists(), "{options}");
    }
}

/// Returns the stored epoch and members as the furthest node has them, whether a node is among them, and the number of
/// answers.
fn stored(path: &Path, founders: u16) -> (u16, NodeSet, u32) {
    let mut options = Options::new(6);
    (options.nodes, options.clients) = (founders, 3);
    let data = Data {
        path: path.to_path_buf(),
        learners: Vec::new(),
        replace: Vec::new(),
    };
    let Contents { clients, nodes } = inspect::<Kv<KEYS>>(&options, &data).unwrap();
    let furthest = nodes.iter().flatten().max_by_key(|node| node.applied());
    let furthest = furthest.unwrap();
    let answered = clients.iter().map(|past| past.answered).sum();
    (furthest.epoch().0, furthest.members(), answered)
}

fn nodes<const N: usize>(numbers: [u16; N]) -> NodeSet {
    numbers.into_iter().map(NodeId).collect()
}

/// Runs a cluster and asserts that it is done.
fn done(options: &str, path: &Path) -> Output {
    let output = finished(options, path);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{options}: {}{}",
        text(&output.stderr),
        text(&output.stdout)
    );
    output
}

#[test]
fn v5_a_node_without_its_file_is_replaced_by_a_new_one_that_votes() {
    let path = directory("replaced");
    done(SMALL, &path);
    fs::remove_file(path.join("node-2.store")).unwrap();
    let error = finished(SMALL, &path);
    assert!(refused(&error).contains("(--replace 2)"));
    let output = done(&format!("{SMALL} --requests 20 --replace 2"), &path);
    assert_eq!(line(&output, "requests"), "60 of 60 answered, 60 right");
    assert_eq!(
        line(&output, "earlier"),
        "33 of them answered in earlier runs"
    );
    assert_eq!(line(&output, "replaced"), "NODE_2 by NODE_3, which votes");
    assert_eq!(
        line(&output, "members"),
        "NODE_0, NODE_1, NODE_3 vote in epoch 1"
    );
    let manifest = fs::read_to_string(path.join("cluster.toml")).unwrap();
    for words in [
        "\nepoch = 1\n",
        "\nmembers = [0, 1, 3]\n",
        "\nremoved = [2]\n",
        "\n[replaced]\n2 = 3\n",
    ] {
        assert!(manifest.contains(words), "{manifest}");
    }
    // The new node starts from its own file from here on, and the lost one never.
    let again = done(&format!("{SMALL} --requests 30"), &path);
    assert_eq!(line(&again, "requests"), "90 of 90 answered, 90 right");
    assert_eq!(line(&again, "nodes"), "3 of 4 live, 3 joined");
    assert_eq!(line(&again, "replaced"), "");
    assert!(!path.join("node-2.store").exists());
    assert_eq!(stored(&path, 3), (1, nodes([0, 1, 3]), 90));
    // Its vote counts: with it and another node there is a majority.
    let learner = done(&format!("{SMALL} --requests 40 --learner 1"), &path);
    assert_eq!(line(&learner, "requests"), "120 of 120 answered, 120 right");
    // A second number is not taken for the same node, and a file of the lost one is not used.
    let twice = finished(&format!("{SMALL} --replace 2"), &path);
    assert!(refused(&twice).contains("NODE_3 has taken the place of NODE_2"));
    let back = finished(&format!("{SMALL} --change 1s:+4+2"), &path);
    assert!(refused(&back).contains("a number is never used again: name a new one, such as +4"));
}

#[test]
fn v5_a_replacement_that_is_killed_at_any_moment_continues() {
    for (round, lines) in [0, 60, 700, 840, 872, 895].into_iter().enumerate() {
        let path = directory(&format!("replaced-killed-{round}"));
        done(SMALL, &path);
        fs::remove_file(path.join("node-0.store")).unwrap();
        let mut child = synod("6 --nodes 3 --clients 3 --requests 1000 --replace 0", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..lines {
            log.next().unwrap().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let manifest = fs::read_to_string(path.join("cluster.toml")).unwrap();
        let again = if manifest.contains("[replaced]") {
            "--requests 60"
        } else {
            "--requests 60 --replace 0"
        };
        let output = done(&format!("{SMALL} {again}"), &path);
        assert_eq!(
            line(&output, "members"),
            "NODE_1, NODE_2, NODE_3 vote in epoch 1",
            "after {lines} lines"
        );
        assert_eq!(stored(&path, 3).0, 1);
    }
}

#[test]
fn v5_all_founders_are_replaced_one_after_the_other() {
    let path = directory("replaced-all");
    done(SMALL, &path);
    let mut requests = 11;
    for lost in 0..4 {
        let file = path.join(format!("node-{lost}.store"));
        let whole = fs::read(&file).unwrap();
        // A damaged file stays as it is.
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        requests += 5;
        let output = done(
            &format!("{SMALL} --requests {requests} --replace {lost}"),
            &path,
        );
        let replaced = format!("NODE_{lost} by NODE_{}, which votes", lost + 3);
        assert_eq!(line(&output, "replaced"), replaced);
        assert_eq!(fs::read(&file).unwrap().len(), whole.len() / 2);
    }
    assert_eq!(
        stored(&path, 3),
        (4, nodes([4, 5, 6]), 3 * requests),
        "no founder is left"
    );
}

#[test]
fn v4_members_change_on_files_and_a_removed_node_may_be_deleted() {
    let path = directory("changed");
    let one = "6 --nodes 1 --clients 3 --quiet";
    let output = done(&format!("{one} --change 100ms:+1+2"), &path);
    assert_eq!(
        line(&output, "members"),
        "NODE_0, NODE_1, NODE_2 vote in epoch 1"
    );
    // The same command asks for what is so already.
    let again = done(&format!("{one} --change 100ms:+1+2 --requests 12"), &path);
    assert_eq!(line(&again, "epochs"), "");
    let swapped = done(&format!("{one} --change 1s:+3+4-0-1 --requests 15"), &path);
    assert_eq!(
        line(&swapped, "members"),
        "NODE_2, NODE_3, NODE_4 vote in epoch 2"
    );
    fs::remove_file(path.join("node-0.store")).unwrap();
    let output = done(&format!("{one} --requests 20"), &path);
    assert_eq!(line(&output, "requests"), "60 of 60 answered, 60 right");
    assert_eq!(line(&output, "nodes"), "4 of 5 live, 4 joined");
    // A lost member is replaced although the founder is gone, whom a new node asks first otherwise.
    fs::remove_file(path.join("node-3.store")).unwrap();
    let output = done(&format!("{one} --requests 25 --replace 3"), &path);
    assert_eq!(line(&output, "replaced"), "NODE_3 by NODE_5, which votes");
    assert_eq!(stored(&path, 1), (3, nodes([2, 4, 5]), 75));
}

#[test]
fn a_node_that_cannot_be_replaced_is_refused_and_nothing_is_changed() {
    let path = directory("not-replaced");
    let early = finished(&format!("{SMALL} --replace 1"), &path);
    assert!(refused(&early).contains("no NODE_1 has storage in this directory"));
    assert!(!path.exists());
    done(SMALL, &path);
    let before = bytes(&path);
    for (options, says) in [
        ("--replace 1", "the storage of NODE_1 is intact"),
        ("--replace 3", "no NODE_3 has storage in this directory"),
    ] {
        let output = finished(&format!("{SMALL} {options}"), &path);
        assert!(refused(&output).contains(says), "{}", refused(&output));
        assert!(bytes(&path) == before, "something was changed");
    }
    for file in ["node-1.store", "node-2.store"] {
        fs::remove_file(path.join(file)).unwrap();
    }
    let spoilt = bytes(&path);
    for (options, says) in [
        ("--replace 1", "NODE_2 is missing"),
        (
            "--replace 1 --learner 1 --learner 2",
            "NODE_1 cannot restart as a learner and be replaced",
        ),
        (
            "--replace 1 --replace 2",
            "the storage of NODE_1, NODE_2 is lost, and with it a majority of the members NODE_0, NODE_1, NODE_2",
        ),
        (
            "--replace 1 --learner 2",
            "the storage of NODE_1, NODE_2 is lost, and with it a majority",
        ),
    ] {
        let output = finished(&format!("{SMALL} {options}"), &path);
        assert!(refused(&output).contains(says), "{}", refused(&output));
        assert!(bytes(&path) == spoilt, "something was changed");
    }
    restore(&path, &before);
    done(&format!("{SMALL} --requests 12"), &path);
}

/// Returns the checksum of a record in a journal: the CRC-32 of IEEE 802.3.
fn crc32(bytes: &[u8]) -> u32 {
    let shifted = |crc: u32| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    let step = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shifted(crc));
    !bytes.iter().fold(u32::MAX, step)
}

#[test]
fn a_directory_of_an_earlier_version_is_refused_with_what_to_do() {
    let says = "use the version of the program that wrote it, or begin with a new directory";
    let path = directory("earlier-manifest");
    done(SMALL, &path);
    // The beginning of a manifest of format 3, and of a store in two areas.
    let manifest = "format = 3\ncluster = \"0x0000000000000000\"\nnodes = 3\nmachine = \"kv\"\n";
    let label = b"SYNODLOG\x02\0\0\0\x5e\xb5\x7d\x3b\x89\x0b\x8d\xa2\x01\0\0\0\0\0\x04\0\0\0\0\0\x4c\xac\x5b\x8a\xf2\x62\x77\xff";
    let mut store = label.to_vec();
    store.resize(3 * 4096 + 2 * (1 << 18), 0);
    for (file, format, earlier) in [
        ("cluster.toml", 3, manifest.as_bytes()),
        ("node-1.store", 2, &store),
    ] {
        let whole = fs::read(path.join(file)).unwrap();
        fs::write(path.join(file), earlier).unwrap();
        let before = bytes(&path);
        let output = finished(SMALL, &path);
        let error = refused(&output);
        let found = format!("{file}: this has format {format}, which this program cannot read");
        assert!(error.contains(&found), "{error}");
        assert!(error.contains(says), "{error}");
        assert!(bytes(&path) == before, "something was changed");
        fs::write(path.join(file), whole).unwrap();
    }
    done(SMALL, &path);

    // A store whose identity record names version 2.
    let path = directory("earlier-records");
    done(SMALL, &path);
    let file = path.join("node-0.store");
    let mut records = Vec::new();
    let mut storage = FileLog::open(&file, 1 << 18).unwrap();
    let key = storage.key();
    storage
        .read(|record| records.push(record.to_vec()))
        .unwrap();
    drop(storage);
    fs::remove_file(&file).unwrap();
    let mut storage = FileLog::create_with_key(&file, 1 << 18, key).unwrap();
    let mut patched = 0;
    for mut record in records {
        // The version, a fingerprint, and the numbers of the node, its window and its sessions.
        let at = record
            .windows(11)
            .position(|window| window[0] == 3 && window[5..] == [0, 0, 64, 0, 16, 0]);
        if let Some(at) = at {
            record[at] = 2;
            let checksum = crc32(&record[4..]).to_le_bytes();
            record[..4].copy_from_slice(&checksum);
            patched += 1;
        }
        storage.append(&record).unwrap();
    }
    storage.close().unwrap();
    assert!(patched > 0);
    let before = bytes(&path);
    let output = finished(SMALL, &path);
    let error = refused(&output);
    assert!(
        error.contains(
            "node-0.store: this store has records of version 2, and this program reads version 3"
        ),
        "{error}"
    );
    assert!(error.contains(says), "{error}");
    assert!(bytes(&path) == before, "something was changed");
}
