//! Stores and data directories as files, intact and with every kind of problem.

use super::*;
use crate::store::{Cluster, DataDir};
use core::sync::atomic::{AtomicBool, Ordering};
use std::fs;
use std::path::PathBuf;
use std::sync::Barrier;

/// A temporary directory of a test, removed afterwards.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("synod-store-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns every file in a directory with its bytes.
fn contents(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(path).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn cluster() -> Cluster {
    Cluster {
        number: 6,
        nodes: 5,
        machine: "kv".to_owned(),
        capacities: [16, 8, 2],
        room: 1 << 16,
    }
}

/// Returns the error of an operation that must fail and change nothing in a directory.
fn refusal<T: core::fmt::Debug>(
    place: &Place,
    attempt: impl FnOnce() -> Result<T, StoreError>,
) -> String {
    let before = contents(&place.0);
    let line = attempt().unwrap_err().to_string();
    assert_eq!(contents(&place.0), before, "{line}");
    assert!(!line.contains('\n'), "{line}");
    line.replace(&*place.0.to_string_lossy(), "DIR")
}

#[test]
fn a_store_can_be_opened_only_once_at_a_time() {
    let place = Place::new("one");
    let path = place.join("a");
    let mut storage = FileStorage::create(&path, LABEL).unwrap();
    append(&mut storage, 0..3).unwrap();
    storage.sync().unwrap();
    let line = refusal(&place, || FileStorage::open(&path, LABEL));
    assert_eq!(
        line,
        "DIR/a: another process has this open: stop that process first, or name another directory"
    );
    drop(storage);
    assert_eq!(
        numbers(&mut FileStorage::open(&path, LABEL).unwrap()),
        [0, 1, 2]
    );
    let line = refusal(&place, || FileStorage::create(&path, LABEL));
    assert!(
        line.starts_with("DIR/a: a new store cannot be created here"),
        "{line}"
    );
}

#[test]
fn no_other_process_can_open_a_store_while_it_is_trimmed() {
    let place = Place::new("trimmed");
    let path = place.join("a");
    let mut storage = FileStorage::create(&path, LABEL).unwrap();
    let is_done = AtomicBool::new(false);
    let mut end = 0;
    // A lock belongs to an open file, so a thread is refused like a process.
    let tries = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut tries = 0_u32;
            while !is_done.load(Ordering::Relaxed) {
                let error = FileStorage::open(&path, LABEL).unwrap_err();
                assert!(matches!(error.problem, Problem::InUse), "{error}");
                tries += 1;
            }
            tries
        });
        while end < 600 {
            append(&mut storage, end..end + 3).unwrap();
            end += 3;
            storage.sync().unwrap();
            trim(&mut storage, end - 1).unwrap();
        }
        is_done.store(true, Ordering::Relaxed);
        other.join().unwrap()
    });
    assert!(tries > 100, "{tries}");
    assert_eq!(
        contents(&place.0).len(),
        1,
        "there never is another file of the store"
    );
    drop(storage);
    let mut storage = FileStorage::open(&path, LABEL).unwrap();
    assert_eq!(numbers(&mut storage), [end - 1]);
}

#[test]
fn a_store_that_several_processes_create_at_once_belongs_to_one() {
    let place = Place::new("race");
    for round in 0..40 {
        let path = place.join(&format!("{round}"));
        let start = Barrier::new(4);
        let created: Vec<_> = std::thread::scope(|scope| {
            let create = |_| {
                scope.spawn(|| {
                    start.wait();
                    FileStorage::create(&path, LABEL)
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
        let mut storage = mine.pop().unwrap().unwrap();
        append(&mut storage, 0..3).unwrap();
        storage.sync().unwrap();
        let error = FileStorage::open(&path, LABEL).unwrap_err();
        assert!(matches!(error.problem, Problem::InUse), "{error}");
        drop(storage);
        let mut storage = FileStorage::open(&path, LABEL).unwrap();
        assert_eq!(numbers(&mut storage), [0, 1, 2], "round {round}");
    }
}

#[test]
fn a_store_is_locked_and_complete_from_the_moment_at_which_it_appears() {
    let place = Place::new("appears");
    for round in 0..40 {
        let path = place.join(&format!("{round}"));
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                loop {
                    match FileStorage::open(&path, LABEL).unwrap_err().problem {
                        Problem::Gone(_) => {}
                        Problem::InUse => return,
                        problem => panic!("round {round}: {problem}"),
                    }
                }
            });
            let storage = FileStorage::create(&path, LABEL).unwrap();
            other.join().unwrap();
            drop(storage);
        });
    }
}

#[test]
fn files_other_than_the_store_of_the_node_are_refused_and_unchanged() {
    let place = Place::new("refused");
    drop(FileStorage::create(&place.join("store"), LABEL).unwrap());
    fs::write(place.join("empty"), "").unwrap();
    fs::write(place.join("text"), "some other file\n".repeat(1000)).unwrap();
    fs::create_dir(place.join("directory")).unwrap();

    let open = |name: &str, label| refusal(&place, || FileStorage::open(&place.join(name), label));
    let is = |line: String, start: &str| assert!(line.starts_with(start), "{line}");
    is(
        open("nothing", LABEL),
        "DIR/nothing: the storage of NODE_3 is missing, ",
    );
    is(
        open("empty", LABEL),
        "DIR/empty: this store is damaged (it has 0 bytes, ",
    );
    is(
        open("text", LABEL),
        "DIR/text: this is not the store of a node: ",
    );
    is(
        open("directory", LABEL),
        "DIR/directory: this is not a file, ",
    );
    let other = Label {
        node: NodeId(4),
        ..LABEL
    };
    is(
        open("store", other),
        "DIR/store: this has node NODE_3, but NODE_4 was expected",
    );
    let other = Label {
        cluster: 7,
        ..LABEL
    };
    is(
        open("store", other),
        "DIR/store: this has cluster 0x0000000000000006, but 0x",
    );
    let other = Label {
        capacity: 9,
        ..LABEL
    };
    is(
        open("store", other),
        "DIR/store: this has capacity 65536, but 9 was expected",
    );
}

#[test]
fn leftovers_of_an_interrupted_creation_do_no_harm() {
    let place = Place::new("cut-off");
    fs::write(place.join("a.new"), "half").unwrap();
    drop(FileStorage::create(&place.join("a"), LABEL).unwrap());
    assert!(!place.join("a.new").exists());

    let data = place.join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("cluster.toml.new"), "half").unwrap();
    let mut dir = DataDir::open_or_found(&data, &cluster()).unwrap();
    // The loss of power came after the store was created and before the manifest listed it.
    let label = dir.label(NodeId(0), cluster().room);
    drop(FileStorage::create(&data.join("node-0.store"), label).unwrap());
    assert!(!dir.is_provisioned(NodeId(0)));
    drop(dir.storage(NodeId(0)).unwrap());
    assert!(dir.is_provisioned(NodeId(0)));
}

#[test]
fn a_directory_holds_the_stores_of_a_cluster() {
    let place = Place::new("cluster");
    let data = place.join("data");
    let mut dir = DataDir::open_or_found(&data, &cluster()).unwrap();
    for node in [0, 4] {
        let mut storage = dir.storage(NodeId(node)).unwrap();
        append(&mut storage, u64::from(node)..10).unwrap();
        storage.sync().unwrap();
    }
    let line = refusal(&place, || DataDir::open_or_found(&data, &cluster()));
    assert!(
        line.starts_with("DIR/data: another process has this open"),
        "{line}"
    );
    let line = refusal(&place, || dir.storage(NodeId(5)));
    assert_eq!(
        line,
        "DIR/data: there is no NODE_5 in the cluster of this directory"
    );
    drop(dir);

    let mut dir = DataDir::open_or_found(&data, &cluster()).unwrap();
    let provisioned = (0..5).filter(|node| dir.is_provisioned(NodeId(*node)));
    assert!(provisioned.eq([0, 4]));
    assert_eq!(
        numbers(&mut dir.storage(NodeId(4)).unwrap()),
        [4, 5, 6, 7, 8, 9]
    );
    assert!(numbers(&mut dir.storage(NodeId(1)).unwrap()).is_empty());
}

#[test]
fn d2_a_node_whose_store_is_missing_gets_no_new_one() {
    let place = Place::new("gone");
    let mut dir = DataDir::open_or_found(&place.join("data"), &cluster()).unwrap();
    drop(dir.storage(NodeId(2)).unwrap());
    fs::remove_file(place.join("data/node-2.store")).unwrap();
    let missing = "DIR/data/node-2.store: the storage of NODE_2 is missing, and with it the votes of the node: restore \
                   this file as it was when the node last stopped, never an older copy; or restart the node as a \
                   learner, which never votes";
    assert_eq!(refusal(&place, || dir.storage(NodeId(2))), missing);
    drop(dir);
    let mut dir = DataDir::open_or_found(&place.join("data"), &cluster()).unwrap();
    assert_eq!(refusal(&place, || dir.storage(NodeId(2))), missing);
    drop(dir.storage(NodeId(3)).unwrap());

    // A store of another node is not accepted.
    fs::copy(
        place.join("data/node-3.store"),
        place.join("data/node-2.store"),
    )
    .unwrap();
    let line = refusal(&place, || dir.storage(NodeId(2)));
    assert!(
        line.starts_with("DIR/data/node-2.store: this has node NODE_3, but NODE_2"),
        "{line}"
    );
}

#[test]
fn a_directory_with_other_contents_is_refused_and_unchanged() {
    let place = Place::new("foreign");
    let data = place.join("data");
    let mut dir = DataDir::open_or_found(&data, &cluster()).unwrap();
    drop(dir.storage(NodeId(0)).unwrap());
    drop(dir);
    let inside = Place(data.clone());
    let open = |expected: &Cluster| refusal(&inside, || DataDir::open_or_found(&data, expected));
    let mut others = [(); 4].map(|()| cluster());
    others[0].number = 7;
    others[1].nodes = 3;
    others[2].machine = "bank".to_owned();
    others[3].room = 1 << 20;
    let lines = [
        "cluster 0x0000000000000006, but 0x0000000000000007 was expected",
        "nodes 5, but 3 was expected",
        "machine kv, but bank was expected",
        "room 65536, but 1048576 was expected",
    ];
    for (other, line) in others.iter().zip(lines) {
        let hint = "use the options of this cluster, or another directory";
        assert_eq!(
            open(other),
            format!("DIR/cluster.toml: this has {line}: {hint}")
        );
    }

    let manifest = data.join("cluster.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("[0]", "[]")).unwrap();
    let line = open(&cluster());
    assert!(
        line.starts_with("DIR/cluster.toml: the manifest is damaged ("),
        "{line}"
    );
    fs::write(&manifest, [0xff; 100]).unwrap();
    let line = open(&cluster());
    assert!(
        line.starts_with("DIR/cluster.toml: the manifest is damaged ("),
        "{line}"
    );
    fs::remove_file(&manifest).unwrap();
    let line = open(&cluster());
    assert!(
        line.starts_with("DIR/cluster.toml: this directory holds stores, but "),
        "{line}"
    );
    fs::remove_file(data.join("node-0.store")).unwrap();
    fs::write(data.join("thesis"), "much work").unwrap();
    let line = open(&cluster());
    assert!(
        line.starts_with("DIR: this directory holds no cluster, but it holds thesis"),
        "{line}"
    );

    let file = data.join("thesis");
    let line = refusal(&inside, || DataDir::open_or_found(&file, &cluster()));
    assert_eq!(
        line,
        "DIR/thesis: this is not a directory, but one was expected"
    );
}
