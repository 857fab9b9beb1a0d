//! Benchmarks of a real etcd: what the client that is written here says is understood, and what it hears.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests and their helpers may panic"
)]

use core::net::SocketAddr;
use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use synod_server::bench::{BenchError, Etcd, Length, Operation, Pace, Plan, Summary, Watch, run};

/// A member of etcd that is a cluster by itself, and ends with the test.
struct Member {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Member {
    /// Starts it, and waits until it serves.
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("synod-etcd-{}", std::process::id()));
        let [address, peers] = free_addresses();
        let [clients_url, peers_url] = [address, peers].map(|address| format!("http://{address}"));
        let child = Command::new("etcd")
            .arg("--data-dir")
            .arg(&folder)
            .args(["--listen-client-urls", &clients_url])
            .args(["--advertise-client-urls", &clients_url])
            .args(["--listen-peer-urls", &peers_url])
            .args(["--initial-advertise-peer-urls", &peers_url])
            .args(["--initial-cluster", &format!("default={peers_url}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is installed");
        let mut member = Self {
            child,
            folder,
            address,
        };
        let first = member.plan(Operation::Get, 1);
        while let Err(error) = measure(&first) {
            let ended = member.child.try_wait().unwrap();
            assert!(ended.is_none(), "etcd ended: {ended:?}, {error}");
            std::thread::yield_now();
        }
        member
    }

    fn plan(&self, operation: Operation, requests: u64) -> Plan {
        Plan {
            trust: None,
            addresses: vec![self.address],
            clients: 3,
            depth: 4,
            pace: Pace::Closed,
            length: Length::Requests(requests),
            warm_up: Duration::ZERO,
            operation,
            keys: 20,
            value_bytes: 32,
            timeout: Duration::from_mins(1),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns two addresses that are free.
fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

fn measure(plan: &Plan) -> Result<Summary, BenchError> {
    let stop = AtomicBool::new(false);
    let watch = Watch {
        stop: &stop,
        progress: &|_| {},
    };
    run(plan, Etcd::default, watch)
}

#[test]
#[ignore = "needs etcd 3: apt-get install etcd-server"]
fn etcd_understands_its_requests() {
    let etcd = Member::start();
    let reads = etcd.plan(Operation::Get, 200);
    let empty = measure(&reads).unwrap();
    assert_eq!(
        (empty.done, empty.missing, empty.failed),
        (200, 200, 0),
        "{empty:?}"
    );
    let filled = measure(&reads.fill().unwrap()).unwrap();
    assert_eq!((filled.done, filled.failed), (20, 0), "{filled:?}");
    let mix = Operation::Mix { reads_ppm: 500_000 };
    let found = measure(&etcd.plan(mix, 500)).unwrap();
    assert_eq!(
        (found.done, found.missing, found.failed),
        (500, 0, 0),
        "{found:?}"
    );

    // Values that need many frames and more credit than a connection begins with, and one that etcd refuses.
    let mut long = etcd.plan(Operation::Set, 12);
    long.value_bytes = 1_000_000;
    let kept = measure(&long).unwrap();
    assert_eq!((kept.done, kept.failed), (12, 0), "{kept:?}");
    long.value_bytes = 1_600_000;
    let refused = measure(&long).unwrap();
    assert_eq!((refused.done, refused.failed), (0, 12), "{refused:?}");
    let reasons: Vec<_> = refused.failures.keys().collect();
    assert_eq!(
        reasons,
        ["etcdserver: request is too large (status 3 of gRPC)"]
    );
}
