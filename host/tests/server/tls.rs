//! TLS as an operator sets it up: the files that are made, the commands that use them, and `redis-cli`.

use super::processes::PATIENCE;
use super::{Cluster, directory, error_of, free_ports, run, synod};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A process that ends with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command until it succeeds, as a node takes its time to listen and to be elected.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever waits for a process is bounded by the clock"
)]
fn run_until_done(mut attempt: impl FnMut() -> std::process::Output) -> String {
    let begin = Instant::now();
    loop {
        let output = attempt();
        if output.status.success() {
            return String::from_utf8(output.stdout).unwrap();
        }
        assert!(begin.elapsed() < PATIENCE, "{output:?}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_makes_an_authority_and_certificates_and_certify_those_of_nodes_that_are_added() {
    let data = directory("tls-init");
    fs::create_dir_all(&data).unwrap();
    let file = data.join("cluster.toml");
    let name = file.to_str().unwrap();
    let init = [
        "init", name, "--tls", "--node", "10.0.0.1", "--node", "10.0.0.2",
    ];
    let made = run(&init);
    assert!(made.status.success(), "{made:?}");
    let said = String::from_utf8(made.stderr).unwrap();
    assert!(said.contains("cluster-tls/ca.key off the nodes"), "{said}");
    let folder = data.join("cluster-tls");
    assert_eq!(mode(&folder), 0o700);
    for key in ["ca.key", "node-0.key", "node-1.key"] {
        assert_eq!(mode(&folder.join(key)), 0o600, "{key}");
    }
    // Whoever writes it anew would have two authorities.
    assert!(error_of(&run(&init)).contains("exists"));

    assert!(error_of(&run(&["certify", name, "2"])).contains("add a [[node]] with id = 2 first"));
    let mut text = fs::read_to_string(&file).unwrap();
    text.push_str("\n[[node]]\nid = 2\npeers = \"10.0.0.3:17379\"\nclients = \"10.0.0.3:7379\"\n");
    fs::write(&file, text).unwrap();
    let other = data.join("other.toml");
    let made = run(&[
        "init",
        other.to_str().unwrap(),
        "--tls",
        "--node",
        "10.0.0.1",
    ]);
    assert!(made.status.success(), "{made:?}");
    let key = data.join("other-tls/ca.key");
    let wrong = error_of(&run(&[
        "certify",
        name,
        "2",
        "--ca-key",
        key.to_str().unwrap(),
    ]));
    assert!(
        wrong.contains("other-tls/ca.key is not the key of"),
        "{wrong}"
    );
    let made = run(&["certify", name, "2", "--name", "redis.example.com"]);
    assert!(made.status.success(), "{made:?}");
    assert_eq!(mode(&folder.join("node-2.key")), 0o600);
    assert!(error_of(&run(&["certify", name, "2"])).contains("exists"));
}

#[test]
fn commands_reach_a_cluster_in_tls_and_say_what_they_lack() {
    let data = directory("tls-cluster");
    let cluster = Cluster::start_with(&data, &["--tls"]);
    let address = format!("127.0.0.1:{}", cluster.port);
    let ca = data.join("cluster-tls/ca.pem");
    let ca = ca.to_str().unwrap();
    let ask = |words: &[&str]| run(&[words, &["--connect", &address]].concat());
    let status = run_until_done(|| ask(&["status", "--tls-ca", ca]));
    assert!(status.contains("node       NODE_0\n"), "{status}");
    let members = ask(&["members", "list", "--tls-ca", ca]);
    assert_eq!(members.stdout, b"0\n1\n2\n");
    let bench = [
        "bench",
        "--requests",
        "20",
        "--warm-up",
        "0",
        "--clients",
        "4",
    ];
    let table = run_until_done(|| ask(&[&bench[..], &["--tls-ca", ca]].concat()));
    assert!(table.contains("set"), "{table}");

    let plain = error_of(&ask(&["status"]));
    assert!(
        plain.contains("name the ca.pem of its cluster with --tls-ca"),
        "{plain}"
    );
    let plain = error_of(&ask(&["bench", "--clients", "1"]));
    assert!(plain.contains("this port speaks TLS"), "{plain}");
    let other = data.join("node-0");
    let none = error_of(&ask(&["status", "--tls-ca", other.to_str().unwrap()]));
    assert!(none.contains("node-0"), "{none}");
    let name = error_of(&ask(&["status", "--tls-ca", ca, "--tls-name", "db"]));
    assert!(name.contains("its certificate is not that of db"), "{name}");
    for error in [plain, none, name] {
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// Starts one node that speaks TLS and asks for a password, on an address that other machines reach. Nothing is insecure.
fn protected(data: &Path, port: u16) -> Running {
    fs::create_dir_all(data).unwrap();
    let file = data.join("cluster.toml");
    let name = file.to_str().unwrap();
    let address = format!("127.0.0.1:{port}");
    let init = run(&["init", name, "--tls", "--node", &address]);
    assert!(init.status.success(), "{init:?}");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("127.0.0.1", "0.0.0.0")).unwrap();
    fs::write(data.join("password"), "open sesame\n").unwrap();
    let process = synod()
        .args(["node", "--config", name, "--id", "0", "--new"])
        .args([
            "--password-file".as_ref(),
            data.join("password").as_os_str(),
        ])
        .args(["--data".as_ref(), data.join("node").as_os_str()])
        .stdout(Stdio::null())
        .spawn();
    Running(process.unwrap())
}

#[test]
fn with_tls_and_a_password_a_node_listens_everywhere_and_asks_whoever_comes() {
    let (data, port) = (directory("tls-password"), free_ports());
    let _node = protected(&data, port);
    let address = format!("127.0.0.1:{port}");
    let ca = data.join("cluster-tls/ca.pem");
    let password = data.join("password");
    let status = [
        "status",
        "--connect",
        &address,
        "--tls-ca",
        ca.to_str().unwrap(),
    ];
    let with = ["--password-file", password.to_str().unwrap()];
    let shown = run_until_done(|| run(&[&status[..], &with].concat()));
    assert!(shown.contains("node       NODE_0\n"), "{shown}");
    let without = error_of(&run(&status));
    assert!(
        without.contains("give the password with --password-file"),
        "{without}"
    );
}

#[test]
#[ignore = "needs a redis-cli that speaks TLS: apt-get install redis-tools"]
fn redis_cli_reaches_a_node_in_tls() {
    let (data, port) = (directory("tls-redis-cli"), free_ports());
    let _node = protected(&data, port);
    let redis_cli = |more: &[&str]| {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &port.to_string()]).args(more);
        command.output().expect("redis-cli is installed")
    };
    let ca = data.join("cluster-tls/ca.pem");
    let tls = ["--tls", "--cacert", ca.to_str().unwrap()];
    let set = ["-a", "open sesame", "--no-auth-warning", "set", "a", "1"];
    let done = |output: &std::process::Output| output.stdout == b"OK\n";
    let begin = run_until_done(|| {
        let mut output = redis_cli(&[&tls[..], &set].concat());
        if !done(&output) {
            output.status = run(&["status", "--connect", "127.0.0.1:1"]).status;
        }
        output
    });
    assert_eq!(begin, "OK\n");
    let refused = redis_cli(&[&tls[..], &["get", "a"]].concat());
    let refused = String::from_utf8(refused.stdout).unwrap();
    assert!(refused.starts_with("NOAUTH"), "{refused}");
    let plain = redis_cli(&["ping"]);
    let plain = String::from_utf8([plain.stdout, plain.stderr].concat()).unwrap();
    assert!(plain.contains("this port speaks TLS"), "{plain}");
    // It trusts those that the system trusts, which is not this authority.
    let distrust = redis_cli(&["--tls", "ping"]);
    assert!(!distrust.stdout.starts_with(b"PONG"), "{distrust:?}");
}
