//! The nodes of a campaign as processes.

use crate::proxy::{Link, Links, lock};
use core::fmt::Write as _;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;

/// The first ports for clients and for nodes; node 0 has them, the next one those behind.
const CLIENTS: u16 = 7379;
const PEERS: u16 = 17_379;
/// The first port of the links.
const LINKS: u16 = 20_000;
/// The exit code of `synod judge` for records that are incomplete.
const INCOMPLETE: i32 = 6;
/// Links are numbered by their two nodes, each below this.
const LINK_NODES: u16 = 32;

/// What a campaign runs its nodes with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program.
    pub synod: PathBuf,
    /// More arguments of `synod node`.
    pub node_arguments: Vec<String>,
    /// Whether nodes record what they do, to be judged together at the end.
    pub record: bool,
}

/// The processes of a cluster, and the links between them.
#[derive(Debug)]
pub struct Cluster {
    settings: Settings,
    directory: PathBuf,
    address: Ipv4Addr,
    number: u64,
    patience_ms: u64,
    founders: u16,
    /// Each node with its process; the founders first, then those that may be added.
    nodes: Vec<Mutex<Node>>,
    /// The members, as far as the driver was told.
    pub members: Mutex<BTreeSet<u16>>,
    /// The links.
    pub links: Links,
}

#[derive(Debug, Default)]
struct Node {
    process: Option<Child>,
    /// How often it was started.
    starts: u32,
    /// True if it is not started again.
    is_gone: bool,
    /// True if it was told to end.
    is_ending: bool,
}

impl Cluster {
    /// Creates a cluster of which nothing runs yet, at a loopback address of its own.
    ///
    /// # Errors
    ///
    /// The directory cannot be written, or no address is free.
    pub fn create(
        settings: Settings,
        directory: &Path,
        (founders, spares): (u16, u16),
        (seed, patience_ms): (u64, u64),
    ) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let count = founders + spares;
        let mut last = io::Error::other("no loopback address is free");
        for offset in 0..50 {
            let address = own_address(seed, offset);
            match Links::open(links(address, count), seed) {
                Ok(links) => {
                    return Ok(Self {
                        settings,
                        directory: directory.to_owned(),
                        address,
                        // A cluster number is not zero.
                        number: seed.wrapping_add(1).max(1),
                        patience_ms,
                        founders,
                        nodes: (0..count).map(|_| Mutex::default()).collect(),
                        members: Mutex::new((0..founders).collect()),
                        links,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Returns the address of a node for clients.
    pub fn clients(&self, node: u16) -> SocketAddr {
        SocketAddr::from((self.address, CLIENTS + node))
    }

    /// Returns the members.
    pub fn members(&self) -> Vec<u16> {
        lock(&self.members).iter().copied().collect()
    }

    /// Returns the nodes that a client may ask.
    pub fn asked(&self) -> Vec<u16> {
        let runs = |node: &u16| self.with(*node, |node| node.process.is_some());
        self.all().filter(runs).collect()
    }

    /// Returns a node that was never started.
    pub fn spare(&self) -> Option<u16> {
        self.all().find(|node| {
            *node >= self.founders && self.with(*node, |node| node.starts == 0 && !node.is_gone)
        })
    }

    /// Returns all links between two sets of nodes, in one direction.
    pub fn links_between(&self, from: &[u16], to: &[u16]) -> Vec<Link> {
        let pairs = from
            .iter()
            .flat_map(|one| to.iter().map(|other| (*one, *other)));
        pairs.filter(|(one, other)| one != other).collect()
    }

    /// Returns all nodes, running or not.
    pub fn all(&self) -> core::ops::Range<u16> {
        0..u16::try_from(self.nodes.len()).unwrap_or(0)
    }

    fn with<R>(&self, node: u16, work: impl FnOnce(&mut Node) -> R) -> R {
        match self.nodes.get(usize::from(node)) {
            Some(known) => work(&mut lock(known)),
            None => work(&mut Node::default()),
        }
    }

    /// Starts a node, unless it runs or is gone.
    ///
    /// # Errors
    ///
    /// The program cannot be started.
    pub fn start(&self, node: u16) -> io::Result<()> {
        let directory = self.directory_of(node);
        self.with(node, |state| {
            if state.process.is_some() || state.is_gone {
                return Ok(());
            }
            let file = self.directory.join(format!("node-{node}.toml"));
            fs::write(&file, self.file_of(node))?;
            let log = OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.log_of(node))?;
            let mut command = Command::new(&self.settings.synod);
            command.arg("node").arg("--config").arg(&file);
            command.args(["--id", &node.to_string(), "--color", "never"]);
            command.arg("--data").arg(&directory);
            command.args(["--timeout", &format!("{}ms", self.patience_ms)]);
            command.args(&self.settings.node_arguments);
            // It is created once. A process that was killed before it had created anything has said nothing.
            if !directory.join("node.log").exists() {
                command.arg("--new");
            }
            if self.settings.record {
                command.arg("--record").arg(self.recording_of(node));
            }
            // A node ends with the driver.
            command.arg("--until-input-ends").stdin(Stdio::piped());
            command.stdout(log.try_clone()?).stderr(log);
            // Ctrl-C reaches all processes of a terminal, and the nodes are ended by this one.
            #[cfg(unix)]
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            state.process = Some(command.spawn()?);
            state.starts += 1;
            state.is_ending = false;
            Ok(())
        })
    }

    /// Ends a node with SIGKILL. Returns false if it did not run.
    pub fn kill(&self, node: u16) -> bool {
        self.with(node, |state| {
            let Some(mut process) = state.process.take() else {
                return false;
            };
            let _ = process.kill();
            process.wait().is_ok()
        })
    }

    /// Ends a node with SIGTERM, or with SIGKILL if that takes longer than `patience`. Returns whether it ended by itself.
    pub fn terminate(&self, node: u16, patience: Duration) -> bool {
        let starts = self.with(node, |state| {
            state.is_ending = true;
            state.starts
        });
        self.signal(node, Signal::TERM);
        let looks = patience.as_millis() / 10;
        for _ in 0..looks {
            let has_ended = self.with(node, |state| {
                // Whoever else strikes the node may have started it again.
                let Some(process) = state.process.as_mut().filter(|_| state.starts == starts)
                else {
                    return true;
                };
                let has_ended = !matches!(process.try_wait(), Ok(None));
                if has_ended {
                    state.process = None;
                }
                has_ended
            });
            if has_ended {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        !self.kill(node)
    }

    /// Sends a signal to a node. Returns false if it does not run.
    pub fn signal(&self, node: u16, signal: Signal) -> bool {
        self.with(node, |state| {
            let pid = state.process.as_ref().map(Child::id);
            let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
        })
    }

    /// Ends a node for ever, with its directory if `forget` says so.
    pub fn give_up(&self, node: u16, forget: bool) {
        self.with(node, |state| state.is_gone = true);
        self.signal(node, Signal::CONT);
        if forget {
            self.kill(node);
            let _ = fs::remove_dir_all(self.directory_of(node));
        } else {
            self.terminate(node, Duration::from_secs(20));
        }
    }

    /// Returns the nodes whose processes have ended though nobody told them to.
    pub fn ended(&self) -> Vec<(u16, ExitStatus)> {
        let ended = |node: u16| {
            self.with(node, |state| {
                let status = state.process.as_mut()?.try_wait().ok()??;
                state.process = None;
                (!state.is_ending).then_some((node, status))
            })
        };
        self.all().filter_map(ended).collect()
    }

    /// Starts every node that is a member or runs in any other way, and lets those go on that were paused.
    ///
    /// # Errors
    ///
    /// The program cannot be started.
    pub fn heal(&self) -> io::Result<()> {
        self.links.heal_all();
        for node in self.all() {
            self.signal(node, Signal::CONT);
            if self.with(node, |state| state.starts > 0) {
                self.start(node)?;
            }
        }
        Ok(())
    }

    /// Returns the directory of a node.
    fn directory_of(&self, node: u16) -> PathBuf {
        self.directory.join(format!("node-{node}"))
    }

    /// Returns the file with the log of a node.
    fn log_of(&self, node: u16) -> PathBuf {
        self.directory.join(format!("node-{node}.txt"))
    }

    /// Returns the file in which all processes of a node record what they do, one after the other.
    fn recording_of(&self, node: u16) -> PathBuf {
        self.directory.join(format!("node-{node}.record"))
    }

    /// Has the program judge what all processes have recorded. Returns what is wrong.
    pub fn judge_recordings(&self) -> Option<String> {
        if !self.settings.record {
            return None;
        }
        let mut command = Command::new(&self.settings.synod);
        command.arg("judge");
        // A process that was killed before it had created its file has said nothing.
        let recordings = self.all().map(|node| self.recording_of(node));
        command.args(recordings.filter(|file| file.exists()));
        match command.output() {
            Ok(output) if output.status.success() => None,
            // A busy disk has made a record incomplete, and no violation was found in the rest.
            Ok(output) if output.status.code() == Some(INCOMPLETE) => None,
            Ok(output) => Some(format!(
                "synod judge: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )),
            Err(error) => Some(format!("synod judge: {error}")),
        }
    }

    /// Returns the file of the cluster as a node has it. The founders do not know who is added later, and hear of it from
    /// those that dial them.
    fn file_of(&self, node: u16) -> String {
        let founders: Vec<u16> = (0..self.founders).collect();
        let mut text = format!("cluster = \"{:x}\"\nfounders = {founders:?}\n", self.number);
        for other in 0..self.founders.max(node + 1) {
            let peers = if other == node {
                SocketAddr::from((self.address, PEERS + node))
            } else {
                link_address(self.address, (node, other))
            };
            // A string takes everything.
            let _ = write!(
                text,
                "[[node]]\nid = {other}\npeers = \"{peers}\"\nclients = \"{}\"\n",
                self.clients(other)
            );
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in self.all() {
            self.kill(node);
        }
    }
}

/// Returns a loopback address for one campaign. Linux listens on all of 127.0.0.0/8.
fn own_address(seed: u64, offset: u64) -> Ipv4Addr {
    let drawn = u64::from(std::process::id()) * 61 + seed * 7 + offset;
    let part = |shift: u32| u8::try_from((drawn >> shift) & 127).unwrap_or(0);
    Ipv4Addr::new(127, 64 + part(14) / 2, 1 + part(7), 1 + part(0))
}

/// Returns where a node reaches another one.
fn link_address(address: Ipv4Addr, (from, to): Link) -> SocketAddr {
    SocketAddr::from((address, LINKS + from * LINK_NODES + to))
}

/// Returns the links between nodes, with their beginnings, their ends, and the beginnings of the ways back.
fn links(address: Ipv4Addr, count: u16) -> Vec<(Link, [SocketAddr; 3])> {
    let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let pairs = pairs.filter(|(from, to)| from != to);
    pairs
        .map(|(from, to)| {
            let end = SocketAddr::from((address, PEERS + to));
            let back = link_address(address, (to, from));
            ((from, to), [link_address(address, (from, to)), end, back])
        })
        .collect()
}
