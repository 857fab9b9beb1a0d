//! What a data directory holds, as a file.

use super::error::Problem;
use super::superblock::CLIENTS;
use core::fmt::Display;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use synod::{Digest, NodeId, Sink};

/// The format that is written here; the one before it, which is read as well, has neither an identity nor records.
const FORMAT: u64 = 2;
const FORMAT_BEFORE: u64 = 1;

/// What a file begins with.
const HEAD: &str =
    "# Whose stores are in this directory. It is written by synod, and not to be changed.\n";

/// The cluster that a data directory belongs to: everything that must be the same when it is opened again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its number, as in `Config::cluster`.
    pub number: u64,
    /// How many nodes it has.
    pub nodes: u16,
    /// The name of its state machine.
    pub machine: String,
    /// The capacities of its nodes: `WINDOW`, `CLIENTS` and `PAGE`.
    pub capacities: [u32; 3],
    /// How many bytes of records each store has room for; see `Storage::capacity`.
    pub room: u32,
}

/// A cluster, and which of its nodes have storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) cluster: Cluster,
    /// The nodes that have storage, and must never be given new one.
    pub(super) provisioned: BTreeSet<NodeId>,
    /// A number that no other directory has.
    pub(super) identity: Option<u64>,
    /// How many records there had been in each store when that was last written down: there are never fewer.
    pub(super) records: BTreeMap<NodeId, u64>,
}

/// A manifest as it stands in its file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    format: u64,
    cluster: String,
    nodes: u16,
    machine: String,
    window: u32,
    clients: u32,
    page: u32,
    room: u32,
    provisioned: BTreeSet<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    records: BTreeMap<String, u64>,
}

/// The key of the clients among the records.
const NOTES: &str = "clients";

fn key_of(node: NodeId) -> String {
    if node == CLIENTS {
        NOTES.to_owned()
    } else {
        node.0.to_string()
    }
}

fn node_of(key: &str) -> Result<NodeId, Problem> {
    match key {
        NOTES => Ok(CLIENTS),
        _ => key.parse().map(NodeId).map_err(damaged),
    }
}

fn number_of(text: &str) -> Result<u64, Problem> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    u64::from_str_radix(digits, 16).map_err(|_| damaged("its cluster is no number"))
}

/// What is read before anything else is.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl Manifest {
    /// As the text of a file: the last line is the digest of the others.
    pub(super) fn print(&self) -> Result<String, Problem> {
        let Cluster {
            number,
            nodes,
            ref machine,
            capacities: [window, clients, page],
            room,
        } = self.cluster;
        let is_before = self.identity.is_none() && self.records.is_empty();
        let table = Table {
            format: if is_before { FORMAT_BEFORE } else { FORMAT },
            cluster: format!("{number:#018x}"),
            nodes,
            machine: machine.clone(),
            window,
            clients,
            page,
            room,
            provisioned: self.provisioned.iter().map(|node| node.0).collect(),
            identity: self.identity.map(|identity| format!("{identity:#018x}")),
            records: self
                .records
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

    /// From the text of a file, which must be to the byte what was once written.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let Format { format } = toml::from_str(text).map_err(damaged)?;
        if !(FORMAT_BEFORE..=FORMAT).contains(&format) {
            return Err(Problem::Version(format));
        }
        let table: Table = toml::from_str(text).map_err(damaged)?;
        let records = table.records.iter();
        let records = records.map(|(key, count)| node_of(key).map(|node| (node, *count)));
        let manifest = Self {
            cluster: Cluster {
                number: number_of(&table.cluster)?,
                nodes: table.nodes,
                machine: table.machine,
                capacities: [table.window, table.clients, table.page],
                room: table.room,
            },
            provisioned: table.provisioned.into_iter().map(NodeId).collect(),
            identity: table.identity.as_deref().map(number_of).transpose()?,
            records: records.collect::<Result<_, Problem>>()?,
        };
        if manifest.print()? == text {
            Ok(manifest)
        } else {
            Err(damaged("its digest is that of another text"))
        }
    }
}

impl Cluster {
    /// Compares with the cluster of a directory.
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
            identity: Some(7),
            records: [(NodeId(0), 12), (NodeId(4), 13), (CLIENTS, 14)].into(),
        }
    }

    #[test]
    fn one_without_records_is_of_the_format_before() {
        let before = Manifest {
            identity: None,
            records: BTreeMap::new(),
            ..manifest()
        };
        let text = before.print().unwrap();
        assert!(
            text.contains("\nformat = 1\n") && !text.contains("records"),
            "{text}"
        );
        assert_eq!(Manifest::parse(&text).unwrap(), before);
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let text = manifest().print().unwrap();
        assert_eq!(Manifest::parse(&text).unwrap(), manifest());
        assert!(text.contains("\nprovisioned = [0, 4]\n"), "{text}");
    }

    #[test]
    fn not_a_bit_of_it_can_change_unnoticed() {
        let text = manifest().print().unwrap();
        for bit in 0..8 * text.len() {
            let mut changed = text.clone().into_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            // What is no text at all is refused when the file is read.
            if let Ok(changed) = core::str::from_utf8(&changed) {
                assert!(Manifest::parse(changed).is_err(), "{changed}");
            }
        }
        for len in (0..text.len()).filter(|len| text.is_char_boundary(*len)) {
            assert!(Manifest::parse(&text[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn another_format_is_named_before_anything_else_is_looked_at() {
        let newer = "format = 3\nwhat = \"else\"\n";
        assert!(matches!(Manifest::parse(newer), Err(Problem::Version(3))));
    }

    #[test]
    fn what_differs_between_two_clusters_is_named() {
        let Manifest { cluster, .. } = manifest();
        assert!(cluster.must_be(&cluster).is_ok());
        let mut other = cluster.clone();
        other.capacities = [32, 8, 2];
        let problem = cluster.must_be(&other).unwrap_err().to_string();
        assert!(
            problem.starts_with("this has window 16, where 32 was expected"),
            "{problem}"
        );
    }
}
