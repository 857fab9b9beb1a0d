//! Directories of a cluster: intact, after an interrupted creation, and with every kind of problem.

#![expect(clippy::unwrap_used, reason = "tests and their helpers may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use synod::NodeId;
use synod::storage::Storage;
use synod_host::store::{Cluster, DataDir, StoreError};
use synod_store::FileLog;

/// An empty directory of a test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("data-dir-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
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

/// Appends a record of one byte for each number.
fn append(log: &mut FileLog, numbers: core::ops::Range<u8>) {
    for number in numbers {
        log.append(&[number]).unwrap();
    }
    log.sync().unwrap();
}

/// Returns the numbers of all records.
fn numbers(log: &mut FileLog) -> Vec<u8> {
    let mut numbers = Vec::new();
    log.read(|record| numbers.extend_from_slice(record))
        .unwrap();
    numbers
}

/// Returns the error of an operation that must fail and change nothing in a directory.
fn refusal<T: core::fmt::Debug>(
    path: &Path,
    attempt: impl FnOnce() -> Result<T, StoreError>,
) -> String {
    let before = contents(path);
    let line = attempt().unwrap_err().to_string();
    assert!(contents(path) == before, "something was changed: {line}");
    assert!(!line.contains('\n'), "{line}");
    line.replace(&*path.to_string_lossy(), "DIR")
}

#[test]
fn leftovers_of_an_interrupted_creation_do_no_harm() {
    let data = Place::new("cut-off").join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("cluster.toml.new"), "half").unwrap();
    let mut dir = DataDir::open_or_found(&data, &cluster()).unwrap();
    let founded = fs::read(data.join("cluster.toml")).unwrap();
    drop(dir.storage(NodeId(0)).unwrap());
    drop(dir);
    // The loss of power came after the store was created and before the manifest listed it.
    fs::write(data.join("cluster.toml"), founded).unwrap();
    let mut dir = DataDir::open_or_found(&data, &cluster()).unwrap();
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
        append(&mut storage, u8::try_from(node).unwrap()..10);
    }
    let line = refusal(&place.0, || DataDir::open_or_found(&data, &cluster()));
    assert!(
        line.starts_with("DIR/data: another process has this open"),
        "{line}"
    );
    let line = refusal(&place.0, || dir.storage(NodeId(5)));
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
    drop(dir.clients().unwrap());
    drop(dir.storage(NodeId(2)).unwrap());
    fs::remove_file(place.join("data/node-2.store")).unwrap();
    let missing = "DIR/node-2.store: the storage of NODE_2 is missing, and with it the votes of the node: restore \
                   this file as it was when the node last stopped, never an older copy; or restart the node as a \
                   learner, which never votes";
    assert_eq!(
        refusal(&place.join("data"), || dir.storage(NodeId(2))),
        missing
    );
    drop(dir);
    let mut dir = DataDir::open_or_found(&place.join("data"), &cluster()).unwrap();
    assert_eq!(
        refusal(&place.join("data"), || dir.storage(NodeId(2))),
        missing
    );
    drop(dir.storage(NodeId(3)).unwrap());

    // A store of another node is not accepted.
    fs::copy(
        place.join("data/node-3.store"),
        place.join("data/node-2.store"),
    )
    .unwrap();
    let line = refusal(&place.join("data"), || dir.storage(NodeId(2)));
    assert!(
        line.starts_with("DIR/node-2.store: this has node NODE_3, but NODE_2"),
        "{line}"
    );
    fs::copy(
        place.join("data/clients.store"),
        place.join("data/node-2.store"),
    )
    .unwrap();
    let line = refusal(&place.join("data"), || dir.storage(NodeId(2)));
    assert!(
        line.starts_with("DIR/node-2.store: this is not the log of a node"),
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
    let open = |expected: &Cluster| refusal(&data, || DataDir::open_or_found(&data, expected));
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
    let line = refusal(&data, || DataDir::open_or_found(&file, &cluster()));
    assert_eq!(
        line,
        "DIR/thesis: this is not a directory, but one was expected"
    );
}
