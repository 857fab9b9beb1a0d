//! Manifest of a data directory: a file that names the cluster and its members, the nodes that have storage, and the
//! syncs of each.
//!
//! Stores alone cannot tell that one of them is missing, or older than the others. The manifest
//! can: it names the nodes that were ever given a store, and counts the syncs that each had when
//! the cluster last started or stopped. It names the nodes whose storage was lost for good, which are never started again,
//! and those in their place. It is small, is replaced as a whole, and is written by nobody else, so that any other text
//! than the one that was written is damage.
//!
//! ```toml
//! format = 4
//! cluster = "0x00000000000000a5"
//! nodes = 3
//! machine = "kv"
//! window = 64
//! clients = 16
//! page = 2
//! room = 262144
//! provisioned = [0, 1, 2, 3]
//! identity = "0x6a09e667f3bcc908"
//! epoch = 1
//! members = [0, 1, 3]
//! removed = [2]
//!
//! [syncs]
//! 0 = 52
//! 1 = 49
//! 3 = 31
//! clients = 33
//!
//! [replaced]
//! 2 = 3
//! ```

use super::error::Problem;
use core::fmt::Display;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use synod::{Digest, Epoch, NodeId, NodeSet, Sink};

/// Number of the format. Directories of formats 1 and 2 have stores with records of an earlier version, and those of
/// format 3 have stores in two areas; none of them can be read.
const FORMAT: u64 = 4;

/// Node number that stands for the clients, as the owner of the client log. No cluster has a node of this number.
pub(super) const CLIENTS: NodeId = NodeId(u16::MAX);

/// First lines of a manifest.
const HEAD: &str =
    "# Whose stores are in this directory. It is written by synod, and not to be changed.\n";

/// Properties of the cluster of a data directory, which must be the same whenever it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Number of the cluster, as in `Config::cluster`.
    pub number: u64,
    /// Number of nodes that founded the cluster.
    pub nodes: u16,
    /// Name of the state machine.
    pub machine: String,
    /// Capacities of the nodes: `WINDOW`, `CLIENTS` and `PAGE`.
    pub capacities: [u32; 3],
    /// Capacity of each store, in bytes of records; see `Storage::capacity`.
    pub room: u32,
}

/// A cluster, and its nodes that have storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Properties of the cluster.
    pub(super) cluster: Cluster,
    /// Nodes that have storage, and must never be given new storage.
    pub(super) provisioned: BTreeSet<NodeId>,
    /// Identity of the directory, which no other one has.
    pub(super) identity: u64,
    /// Membership when the cluster last stopped.
    pub(super) members: Members,
    /// Number of syncs of each store when it was last written down; a store never has fewer.
    pub(super) syncs: BTreeMap<NodeId, u64>,
    /// Nodes whose storage was lost for good, with the node that took the place of each.
    pub(super) replaced: BTreeMap<NodeId, NodeId>,
}

/// Membership of a cluster, as a directory remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members {
    /// The epoch.
    pub epoch: Epoch,
    /// Its members.
    pub members: NodeSet,
    /// Nodes that were members before, and never will be again.
    pub removed: NodeSet,
}

impl Members {
    /// Returns the membership of a new cluster.
    pub(super) const fn founding(nodes: u16) -> Self {
        Self {
            epoch: Epoch::FIRST,
            members: NodeSet::first(nodes),
            removed: NodeSet::EMPTY,
        }
    }
}

/// Contents of a manifest file.
///
/// The keys keep the order of the fields, as the digest is of the text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Number of the format.
    format: u64,
    /// Number of the cluster in hexadecimal digits, because TOML has no integers of 64 bits without
    /// a sign.
    cluster: String,
    nodes: u16,
    machine: String,
    /// Capacity of the window, in slots.
    window: u32,
    /// Number of sessions.
    clients: u32,
    /// Capacity of a page, in entries.
    page: u32,
    /// Capacity of each store, in bytes.
    room: u32,
    /// Nodes that have storage.
    provisioned: BTreeSet<u16>,
    /// Identity of the directory, in hexadecimal digits.
    identity: String,
    /// Epoch when the cluster last stopped.
    epoch: u16,
    /// Members of that epoch.
    members: BTreeSet<u16>,
    /// Nodes that were removed before.
    removed: BTreeSet<u16>,
    /// Number of syncs of each store, by its node, and of the client log under `clients`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    syncs: BTreeMap<String, u64>,
    /// Node in the place of each node whose storage was lost.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    replaced: BTreeMap<String, u16>,
}

/// Key of the client log in the table of syncs.
const CLIENT_LOG: &str = "clients";

/// Returns the key of a store in the table of syncs.
fn key_of(node: NodeId) -> String {
    if node == CLIENTS {
        CLIENT_LOG.to_owned()
    } else {
        node.0.to_string()
    }
}

/// Returns the node of a key.
fn node_of(key: &str) -> Result<NodeId, Problem> {
    match key {
        CLIENT_LOG => Ok(CLIENTS),
        _ => key.parse().map(NodeId).map_err(damaged),
    }
}

/// Parses hexadecimal digits after `0x`.
fn number_of(text: &str) -> Result<u64, Problem> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    u64::from_str_radix(digits, 16).map_err(|_| damaged("its cluster is no number"))
}

/// The part that is read first. Manifests of later formats may have keys that this program does not
/// know, and are not called damaged.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl Manifest {
    /// Formats the manifest. The last line is the digest of the others.
    pub(super) fn print(&self) -> Result<String, Problem> {
        let Cluster {
            number,
            nodes,
            ref machine,
            capacities: [window, clients, page],
            room,
        } = self.cluster;
        let numbers = |nodes: NodeSet| nodes.iter().map(|node| node.0).collect();
        let Members {
            epoch,
            members,
            removed,
        } = self.members;
        let replaced = self.replaced.iter();
        let table = Table {
            format: FORMAT,
            cluster: format!("{number:#018x}"),
            nodes,
            machine: machine.clone(),
            window,
            clients,
            page,
            room,
            provisioned: self.provisioned.iter().map(|node| node.0).collect(),
            identity: format!("{:#018x}", self.identity),
            epoch: epoch.0,
            members: numbers(members),
            removed: numbers(removed),
            replaced: replaced.map(|(lost, by)| (key_of(*lost), by.0)).collect(),
            syncs: self
                .syncs
                .iter()
                .map(|(node, count)| (key_of(*node), *count))
                .collect(),
        };
        let table = toml::to_string(&table).map_err(damaged)?;
        let text = format!("{HEAD}{table}");
        let mut digest = Digest::new();
        digest.put(text.as_bytes());
        Ok(format!("{text}# digest {digest}\n"))
    }

    /// Parses a manifest, which must equal what was written, byte for byte.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let Format { format } = toml::from_str(text).map_err(damaged)?;
        // Before anything else is read: what another format means by the other keys is not known
        // here.
        if format != FORMAT {
            return Err(Problem::Version(format));
        }
        let table: Table = toml::from_str(text).map_err(damaged)?;
        let syncs = table.syncs.iter();
        let syncs = syncs.map(|(key, count)| node_of(key).map(|node| (node, *count)));
        let replaced = table.replaced.iter();
        let replaced = replaced.map(|(key, by)| node_of(key).map(|lost| (lost, NodeId(*by))));
        let set = |nodes: &BTreeSet<u16>| nodes.iter().map(|node| NodeId(*node)).collect();
        let manifest = Self {
            cluster: Cluster {
                number: number_of(&table.cluster)?,
                nodes: table.nodes,
                machine: table.machine,
                capacities: [table.window, table.clients, table.page],
                room: table.room,
            },
            provisioned: table.provisioned.into_iter().map(NodeId).collect(),
            identity: number_of(&table.identity)?,
            members: Members {
                epoch: Epoch(table.epoch),
                members: set(&table.members),
                removed: set(&table.removed),
            },
            replaced: replaced.collect::<Result<_, Problem>>()?,
            syncs: syncs.collect::<Result<_, Problem>>()?,
        };
        // Stricter than a comparison of digests: it refuses a text that someone has formatted anew,
        // too.
        if manifest.print()? == text {
            Ok(manifest)
        } else {
            Err(damaged("its digest is that of another text"))
        }
    }
}

impl Cluster {
    /// Compares the manifest with the expected one. The first property that differs is named, with
    /// both values.
    pub(super) fn must_be(&self, expected: &Self) -> Result<(), Problem> {
        let pairs = |cluster: &Self| {
            let [window, clients, page] = cluster.capacities;
            [
                ("cluster", format!("{:#018x}", cluster.number)),
                ("nodes", cluster.nodes.to_string()),
                ("machine", cluster.machine.clone()),
                ("window", window.to_string()),
                ("clients", clients.to_string()),
                ("page", page.to_string()),
                ("room", cluster.room.to_string()),
            ]
        };
        for ((what, found), (_, expected)) in pairs(self).into_iter().zip(pairs(expected)) {
            if found != expected {
                return Err(Problem::Other {
                    what,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }
}

/// Returns the problem of a manifest that cannot be read, in one line.
fn damaged(what: impl Display) -> Problem {
    Problem::ManifestDamaged(what.to_string().trim_end().replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            cluster: Cluster {
                number: 0xfeed_0000_0000_0006,
                nodes: 5,
                machine: "kv".to_owned(),
                capacities: [16, 8, 2],
                room: 1 << 16,
            },
            provisioned: [NodeId(0), NodeId(4)].into(),
            identity: 7,
            members: Members {
                epoch: Epoch(1),
                members: NodeSet::first(3),
                removed: NodeSet::only(NodeId(3)),
            },
            syncs: [(NodeId(0), 12), (NodeId(4), 13), (CLIENTS, 14)].into(),
            replaced: [(NodeId(3), NodeId(5))].into(),
        }
    }

    #[test]
    fn a_printed_manifest_parses_to_the_same_manifest() {
        let text = manifest().print().unwrap();
        assert_eq!(Manifest::parse(&text).unwrap(), manifest());
        assert!(text.contains("\nprovisioned = [0, 4]\n"), "{text}");
    }

    #[test]
    fn every_changed_bit_is_detected() {
        let text = manifest().print().unwrap();
        for bit in 0..8 * text.len() {
            let mut changed = text.clone().into_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            // Bytes that are not text are refused when the file is read.
            if let Ok(changed) = core::str::from_utf8(&changed) {
                assert!(Manifest::parse(changed).is_err(), "{changed}");
            }
        }
        for len in (0..text.len()).filter(|len| text.is_char_boundary(*len)) {
            assert!(Manifest::parse(&text[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn another_format_is_reported_before_any_other_problem() {
        for format in [1, 2, 3, 5] {
            let other = format!("format = {format}\nwhat = \"else\"\n");
            let problem = Manifest::parse(&other).unwrap_err();
            assert!(matches!(problem, Problem::Version(found) if found == format));
        }
    }

    #[test]
    fn differences_between_two_clusters_are_named() {
        let Manifest { cluster, .. } = manifest();
        assert!(cluster.must_be(&cluster).is_ok());
        let mut other = cluster.clone();
        other.capacities = [32, 8, 2];
        let problem = cluster.must_be(&other).unwrap_err().to_string();
        assert!(
            problem.starts_with("this has window 16, but 32 was expected"),
            "{problem}"
        );
    }
}
