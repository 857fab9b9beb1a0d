//! Real runs that are recorded and judged: nodes that are killed, and an operator who makes a mistake.

#![expect(clippy::indexing_slicing, reason = "tests and their helpers may panic")]

use crate::processes::{self, directory, free_ports, synod};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Three nodes, each a process with a record.
struct Cluster {
    directory: PathBuf,
    port: u16,
    nodes: Vec<Option<Child>>,
}

impl Cluster {
    fn start(name: &str) -> Self {
        let directory = directory(name);
        fs::create_dir_all(&directory).unwrap();
        let port = free_ports();
        let mut init = synod();
        init.arg("init").arg(directory.join("cluster.toml"));
        for port in port..port + 3 {
            init.args(["--node", &format!("127.0.0.1:{port}")]);
        }
        assert!(init.status().unwrap().success());
        let mut cluster = Self {
            directory,
            port,
            nodes: vec![None, None, None],
        };
        for node in 0..3 {
            cluster.run(node, true);
        }
        cluster
    }

    fn data(&self, node: usize) -> PathBuf {
        self.directory.join(format!("node-{node}"))
    }

    fn records(&self) -> Vec<PathBuf> {
        (0..3)
            .map(|node| self.directory.join(format!("{node}.record")))
            .collect()
    }

    fn run(&mut self, node: usize, is_new: bool) {
        let mut process = synod();
        process.arg("node").arg("--config");
        process.arg(self.directory.join("cluster.toml"));
        process.args(["--id", &node.to_string(), "--data"]);
        process.arg(self.data(node));
        process.arg("--record").arg(&self.records()[node]);
        if is_new {
            process.arg("--new");
        }
        self.nodes[node] = Some(process.stdout(Stdio::null()).spawn().unwrap());
    }

    /// Waits until the start of a node is in its record: what was not written yet when it is killed is missing there.
    fn wait_until_recorded(&self, node: usize) {
        let record = &self.records()[node];
        while !fs::read(record).is_ok_and(|bytes| bytes.contains(&b'\n')) {
            std::thread::yield_now();
        }
    }

    /// Ends a node by a signal, and waits until it has.
    fn end(&mut self, node: usize, signal: &str) {
        let mut process = self.nodes[node].take().unwrap();
        let id = process.id().to_string();
        let killed = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(killed.success());
        process.wait().unwrap();
    }

    /// Counts up until it has worked so often, at a node that is up.
    fn load(&self, node: u16, times: u32) {
        let mut done = 0;
        while done < times {
            if processes::ask(self.port + node, "INCR a").starts_with(':') {
                done += 1;
            }
        }
    }

    fn judge(&self, options: &[&str]) -> Output {
        synod()
            .arg("judge")
            .args(self.records())
            .args(options)
            .output()
            .unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_run_in_which_a_node_is_killed_and_comes_back_keeps_every_rule() {
    let mut cluster = Cluster::start("judged-cluster");
    cluster.load(0, 40);
    cluster.wait_until_recorded(1);
    cluster.end(1, "-KILL");
    cluster.load(2, 20);
    cluster.run(1, false);
    cluster.load(1, 20);
    // The records of nodes that still run end early, and are judged as far as they go.
    let running = cluster.judge(&[]);
    assert_eq!(running.status.code(), Some(0), "{running:?}");
    for node in 0..3 {
        cluster.end(node, "-TERM");
    }
    let judged = cluster.judge(&["--format", "json"]);
    assert_eq!(judged.status.code(), Some(0), "{judged:?}");
    let report: serde_json::Value = serde_json::from_slice(&judged.stdout).unwrap();
    assert_eq!(report["outcome"], "kept");
    let (decided, unproven) = (&report["slots"], &report["unproven"]);
    let all = decided.as_u64().unwrap() + unproven.as_u64().unwrap();
    assert!(all >= 80, "each of 80 commands has a slot: {report}");
    assert_eq!(report["nodes"][1]["starts"], 2);
    assert_eq!(report["nodes"][1]["cut"], 1);
    assert_eq!(report["nodes"][0]["cut"], 0, "it has stopped in good order");

    let alone = synod().arg("judge").arg(&cluster.records()[0]).output();
    let alone = alone.unwrap();
    assert_eq!(alone.status.code(), Some(5), "{alone:?}");
    assert!(text(&alone).contains("a record of one node agrees with itself"));
}

#[test]
fn a_node_that_is_started_from_an_older_copy_of_its_storage_is_found() {
    let mut cluster = Cluster::start("copied-storage");
    cluster.load(0, 10);
    cluster.end(1, "-TERM");
    let copy = cluster.directory.join("copy");
    fs::rename(cluster.data(1), &copy).unwrap();
    fs::create_dir(cluster.data(1)).unwrap();
    for file in fs::read_dir(&copy).unwrap().flatten() {
        fs::copy(file.path(), cluster.data(1).join(file.file_name())).unwrap();
    }
    // It votes, and then the operator puts the older storage back.
    cluster.run(1, false);
    cluster.load(1, 20);
    cluster.end(1, "-TERM");
    fs::remove_dir_all(cluster.data(1)).unwrap();
    fs::rename(&copy, cluster.data(1)).unwrap();
    cluster.run(1, false);
    cluster.load(0, 5);
    for node in 0..3 {
        cluster.end(node, "-TERM");
    }
    let judged = cluster.judge(&[]);
    assert_eq!(judged.status.code(), Some(1), "{judged:?}");
    let text = text(&judged);
    let found = "violated: forgotten: NODE_1 came back without what it had written";
    assert!(text.contains(found), "{text}");
    let lost = |line: &str| line.contains("against") && line.contains("1.record");
    assert!(text.lines().any(lost), "{text}");
}

#[test]
fn a_file_that_is_no_record_is_refused() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no.record");
    fs::write(&path, "start 1 1f 0 6 7 1\nvoted 6 x\n").unwrap();
    let judged = synod().arg("judge").arg(&path).output().unwrap();
    assert_eq!(judged.status.code(), Some(2));
    let error = String::from_utf8(judged.stderr).unwrap();
    let expected = "no.record:2: expected a ballot such as 0.1.2, found 'x'";
    assert!(error.contains(expected), "{error}");
}
