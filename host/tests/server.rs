//! Real nodes as processes: killed, started again, and refused where they would break the cluster.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests and their helpers may panic")]

#[cfg(target_os = "linux")]
#[path = "server/judge.rs"]
mod judge;
#[path = "server/processes.rs"]
mod processes;
#[path = "server/tls.rs"]
mod tls;

use processes::{directory, free_ports, synod};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

fn run(args: &[&str]) -> Output {
    synod().args(args).output().unwrap()
}

fn error_of(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `synod cluster`, which ends with its value.
struct Cluster {
    process: Child,
    errors: BufReader<ChildStderr>,
    port: u16,
}

impl Cluster {
    fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    fn start_with(data: &Path, more: &[&str]) -> Self {
        let port = free_ports();
        let mut process = synod()
            .arg("cluster")
            .args(["--port", &port.to_string(), "--data"])
            .arg(data)
            // No answer is a time-out, however busy this machine is.
            .args(["--timeout", "1m"])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(process.stderr.take().unwrap());
        Self {
            process,
            errors,
            port,
        }
    }

    /// Waits for a line on the standard error that contains some text.
    fn said(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.errors.read_line(&mut line).unwrap(),
                0,
                "never said: {text}"
            );
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Sends one command to a node, once it listens, and returns the first line of the reply.
    fn ask(&self, node: u16, command: &str) -> String {
        processes::ask(self.port + node, command)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the process of a node of a cluster, as the system knows it.
fn process_of(data: &Path, node: u16) -> u32 {
    let wanted = data.join(format!("node-{node}"));
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let found = processes.filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let mut words = line.split(|byte| *byte == 0);
        words.find(|word| *word == wanted.as_os_str().as_encoded_bytes())?;
        entry.file_name().to_str()?.parse().ok()
    });
    found.into_iter().next().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_node_that_is_killed_is_missed_by_nobody_and_comes_back() {
    let data = directory("killed-node");
    let mut cluster = Cluster::start(&data);
    assert_eq!(cluster.ask(0, "SET a 1"), "+OK");
    let killed = process_of(&data, 1).to_string();
    assert!(
        Command::new("kill")
            .args(["-KILL", &killed])
            .status()
            .unwrap()
            .success()
    );
    let line = cluster.said("NODE_1 has ended");
    assert_eq!(cluster.ask(2, "INCR a"), ":2");

    let (_, restart) = line.trim_end().split_once("start it again with: ").unwrap();
    let mut again = Command::new("sh")
        .args(["-c", &format!("exec {restart}")])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(cluster.ask(1, "INCR a"), ":3");
    again.kill().unwrap();
    again.wait().unwrap();
}

#[test]
fn the_nodes_end_with_the_program_and_go_on_with_the_next() {
    let data = directory("restarted-cluster");
    let cluster = Cluster::start(&data);
    assert_eq!(cluster.ask(0, "SET a 1"), "+OK");
    let port = cluster.port;
    // Killed, so that it can tell the nodes nothing. They notice that their input has ended, and give up their ports.
    drop(cluster);
    for port in port..port + 3 {
        while TcpStream::connect(("127.0.0.1", port)).is_ok() {}
    }
    let mut again = Cluster::start(&data);
    // The file of the cluster keeps its ports.
    again.port = port;
    assert_eq!(again.ask(2, "INCR a"), ":2");
}

#[test]
#[ignore = "needs redis-py: pip install redis"]
fn programs_that_use_redis_py_work() {
    let data = directory("redis-py");
    let cluster = Cluster::start(&data);
    assert_eq!(cluster.ask(0, "PING"), "+PONG");
    let ports = [cluster.port, cluster.port + 2].map(|port| port.to_string());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/redis_client.py");
    let ended = Command::new("python3").arg(script).args(ports).output();
    let ended = ended.unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn an_operator_sees_who_leads_and_who_is_a_member() {
    let data = directory("shown-cluster");
    let cluster = Cluster::start(&data);
    assert_eq!(cluster.ask(0, "SET a 1"), "+OK");
    let address = format!("127.0.0.1:{}", cluster.port);
    let status = run(&["status", "--connect", &address]);
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("node       NODE_0\n"), "{status}");
    assert!(
        status.contains("members    NODE_0,NODE_1,NODE_2\n"),
        "{status}"
    );
    let members = run(&["members", "list", "--connect", &address]);
    assert_eq!(members.stdout, b"0\n1\n2\n");
    let change = |action: &str, node: &str, wait: &str| {
        let words = ["members", action, node, "--wait", wait];
        run(&[&words[..], &["--connect", &address]].concat())
    };
    // The leader may not have heard yet how far the others are.
    for (action, node) in [("add", "7"), ("add", "8"), ("remove", "7")] {
        let changed = change(action, node, "1m");
        assert!(changed.status.success(), "{action} {node}: {changed:?}");
    }
    let used = error_of(&change("add", "7", "1m"));
    assert!(used.contains("a number is never used again"), "{used}");
}

#[test]
fn a_change_of_members_waits_for_nodes_to_catch_up() {
    let data = directory("waiting-cluster");
    let cluster = Cluster::start(&data);
    assert_eq!(cluster.ask(0, "SET a 1"), "+OK");
    let address = format!("127.0.0.1:{}", cluster.port);
    let add = |node: &str, wait: &str| {
        let words = ["members", "add", node, "--wait", wait];
        run(&[&words[..], &["--connect", &address]].concat())
    };
    for node in ["7", "8"] {
        assert!(add(node, "1m").status.success());
    }
    // Four of six members would be needed, and three have caught up.
    let late = error_of(&add("9", "300ms"));
    let lines: Vec<_> = late.lines().collect();
    assert!(lines[0].starts_with("waiting: TRYAGAIN"), "{late}");
    assert!(
        late.contains("NODE_9") || late.contains("NODE_7") || late.contains("NODE_8"),
        "{late}"
    );
    let at_once = error_of(&add("9", "0s"));
    assert_eq!(at_once.lines().count(), 1, "{at_once}");
}

#[test]
fn a_benchmark_says_by_its_exit_code_whether_requests_failed() {
    let data = directory("measured-cluster");
    let cluster = Cluster::start(&data);
    assert_eq!(cluster.ask(0, "PING"), "+PONG");
    let address = format!("127.0.0.1:{}", cluster.port);
    let bench = |more: &[&str]| {
        let short = [
            "bench",
            "--requests",
            "20",
            "--warm-up",
            "0",
            "--clients",
            "4",
        ];
        let line = [&short[..], &["--connect", &address], more].concat();
        let output = run(&line);
        let stdout = String::from_utf8(output.stdout.clone()).unwrap();
        (output.status.code(), stdout, output)
    };
    let (code, table, output) = bench(&["--op", "mix"]);
    assert_eq!(code, Some(0), "{output:?}");
    assert!(table.contains("mix with 50% reads, 4 clients"), "{table}");

    let (code, json, output) = bench(&["--value-bytes", "257", "--format", "json"]);
    assert_eq!(code, Some(3), "{output:?}");
    let expected = "\"failed\":20,\"failures\":{\"ERR value is longer than 256 bytes\":20}";
    assert!(json.contains(expected), "{json}");

    let (code, table, output) = bench(&["--against", &address, "--rounds", "2"]);
    assert_eq!(code, Some(0), "{output:?}");
    assert_eq!(table.matches("median").count(), 2, "{table}");
    assert!(table.contains("first divided by second"), "{table}");

    let nobody = error_of(&run(&["bench", "--connect", "127.0.0.1:1"]));
    assert!(nobody.contains("start a server there"), "{nobody}");
    assert_eq!(nobody.lines().count(), 1, "{nobody}");
}

#[test]
fn a_mistake_of_the_operator_is_said_in_one_line() {
    let data = directory("mistakes");
    fs::create_dir_all(&data).unwrap();
    let file = data.join("cluster.toml");
    let (file, node) = (
        file.to_str().unwrap(),
        data.join("node").display().to_string(),
    );
    let init = run(&["init", file, "--node", "10.0.0.1"]);
    assert!(init.status.success(), "{init:?}");
    let cases: [(&[&str], &str); 12] = [
        (&["init", file, "--node", "10.0.0.1"], "exists"),
        (
            &[
                "node", "--config", file, "--id", "0", "--data", &node, "--new",
            ],
            "--insecure",
        ),
        (
            &[
                "node",
                "--config",
                "none.toml",
                "--id",
                "0",
                "--data",
                &node,
            ],
            "none.toml",
        ),
        (
            &["node", "--config", file, "--id", "64", "--data", &node],
            "--id",
        ),
        (
            &["node"],
            "--config <FILE> and --id <NODE> and --data <DIR> are missing",
        ),
        (
            &["cluster", "--nodes", "0"],
            "takes a whole number from 1 to 9",
        ),
        (
            &["cluster", "--port", "80"],
            "takes a whole number from 1024 to 55000",
        ),
        (
            &["bench", "--clients", "0"],
            "takes a whole number from 1 to 10000",
        ),
        (&["members"], "a command is missing: list or add"),
        (&["members", "add", "64"], "takes a node from 0 to 63"),
        (&["status", "--connect", "127.0.0.1:1"], "--connect"),
        (&["certify", file, "0"], "has no [tls]"),
    ];
    for (args, named) in cases {
        let error = error_of(&run(args));
        assert!(error.contains(named), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let mut text = String::new();
    fs::File::open(file)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    fs::write(file, text.replace("10.0.0.1", "127.0.0.1")).unwrap();
    let record = ["--new", "--record", "/nowhere/0.record"];
    let unrecorded = ["node", "--config", file, "--id", "0", "--data", &node];
    let unrecorded = error_of(&run(&[&unrecorded[..], &record].concat()));
    assert!(unrecorded.contains("/nowhere/0.record"), "{unrecorded}");
    assert!(!Path::new(&node).exists(), "nothing was created");
    let lost = run(&["node", "--config", file, "--id", "0", "--data", &node]);
    assert!(error_of(&lost).contains("start it with --new"), "{lost:?}");
}

/// Writes the file of a cluster of one node. Returns the words that start it, without `--new`, and the path of its log.
fn single_node(data: &Path) -> (Vec<String>, PathBuf) {
    fs::create_dir_all(data).unwrap();
    let (file, node) = (data.join("cluster.toml"), data.join("node"));
    let address = format!("127.0.0.1:{}", free_ports());
    let init = run(&["init", file.to_str().unwrap(), "--node", &address]);
    assert!(init.status.success(), "{init:?}");
    let words = ["node", "--id", "0", "--config", file.to_str().unwrap()];
    let mut words: Vec<_> = words.map(str::to_owned).into();
    words.extend(["--data".to_owned(), node.display().to_string()]);
    (words, node.join("node.log"))
}

#[test]
fn every_line_of_the_log_is_an_object_with_time_and_level() {
    let (words, log) = single_node(&directory("structured-log"));
    let mut process = synod()
        .args(&words)
        .args(["--new", "--format", "json", "--log-level", "info"])
        .arg("--until-input-ends")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut check = || {
        let line = lines.next()?.unwrap();
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        let time = object["time"].as_str().unwrap();
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "{line}");
        let levels = ["error", "warn", "info"];
        assert!(
            levels.contains(&object["level"].as_str().unwrap()),
            "{line}"
        );
        assert_eq!(object["node"], 0, "{line}");
        Some((object["event"].clone(), object["text"].clone()))
    };
    let is_leading =
        |said: &(serde_json::Value, serde_json::Value)| said.0 == "notice" && said.1 == "leading";
    while !check().is_some_and(|said| is_leading(&said)) {}
    drop(process.stdin.take());
    while check().is_some() {}
    assert!(process.wait().unwrap().success());

    // What is left of a log that was cut off has forgotten votes.
    for len in [1 << 20, 10] {
        let file = fs::File::options().write(true).open(&log).unwrap();
        file.set_len(len).unwrap();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let error = error_of(&run(&words));
        assert!(error.contains("synod members replace"), "{error}");
        assert_eq!(error.matches("node.log").count(), 1, "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_backup_is_private_and_a_damaged_one_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let data = directory("backed-up-cluster");
    let cluster = Cluster::start(&data);
    assert_eq!(cluster.ask(0, "SET a 1"), "+OK");
    let address = format!("127.0.0.1:{}", cluster.port);
    let file = data.join("keys.synod");
    let path = file.to_str().unwrap();
    for _ in 0..2 {
        let backup = run(&["backup", path, "--connect", &address]);
        assert!(backup.status.success(), "{backup:?}");
        let said = String::from_utf8(backup.stderr).unwrap();
        assert!(said.contains("keys.synod: 1 keys of the cluster"), "{said}");
    }
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let entries = fs::read_dir(&data).unwrap().flatten();
    let left = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".new"));
    assert_eq!(left.count(), 0);

    let refused = |named: &str| {
        let error = error_of(&run(&["restore", path, "--connect", &address]));
        assert!(error.contains(named), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    };
    refused("restore into a cluster with a file of its own (synod init)");
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    fs::write(&file, &bytes).unwrap();
    refused("this backup is damaged or cut off");
    fs::write(&file, "[cluster]").unwrap();
    refused("this is no backup of a cluster");
    fs::remove_file(&file).unwrap();
    refused("keys.synod: ");
    let nobody = run(&["backup", path, "--connect", "127.0.0.1:1"]);
    assert!(error_of(&nobody).contains("--connect"), "{nobody:?}");
    assert!(!file.exists());
}
