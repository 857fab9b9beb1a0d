//! The file of a cluster: its number, its founding members and their addresses. It is the same on all machines.

use crate::tls::Files;
use core::fmt;
use core::fmt::Write as _;
use core::net::SocketAddr;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use synod::{Config, Duration, NODES_MAX, NodeId, NodeSet};

/// The settings of a cluster, as they stand in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterFile {
    /// The number that the operator has drawn for the cluster.
    pub cluster: u64,
    /// The longest usual round trip between two nodes. All timings follow from it.
    pub round_trip: Duration,
    /// The nodes that found the cluster.
    pub founders: NodeSet,
    /// Where each node is reached.
    pub nodes: BTreeMap<NodeId, Addresses>,
    /// Where the files for TLS are; `None` for plain text on all connections.
    pub tls: Option<TlsPaths>,
}

/// Where the files for TLS are, relative to the file of the cluster. `{id}` stands for the number of a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsPaths {
    /// The certificate of the authority.
    pub ca: String,
    /// The certificate of a node.
    pub certificate: String,
    /// The key of a node.
    pub key: String,
}

impl TlsPaths {
    /// Returns the paths within one directory, as `synod init` writes them.
    pub fn within(directory: &str) -> Self {
        Self {
            ca: format!("{directory}/ca.pem"),
            certificate: format!("{directory}/node-{{id}}.pem"),
            key: format!("{directory}/node-{{id}}.key"),
        }
    }

    /// Returns the files of a node. `file` is that of the cluster.
    pub fn files(&self, file: &Path, node: NodeId) -> Files {
        let directory = file.parent().unwrap_or(Path::new(""));
        let at = |path: &str| directory.join(path.replace("{id}", &node.0.to_string()));
        Files {
            ca: at(&self.ca),
            certificate: at(&self.certificate),
            key: at(&self.key),
        }
    }
}

/// The addresses of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For the other nodes.
    pub peers: SocketAddr,
    /// For clients.
    pub clients: SocketAddr,
}

/// Why the file of a cluster is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterFileError {
    /// It is no TOML, or has a key that does not exist, or one is missing.
    Syntax(String),
    /// It is well-formed, and says something that cannot be.
    Invalid(String),
}

impl fmt::Display for ClusterFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) | Self::Invalid(error) => f.write_str(error),
        }
    }
}

impl core::error::Error for ClusterFileError {}

/// How far the port for nodes is above that for clients, unless the file says otherwise.
pub const PEERS_ABOVE: u16 = 10_000;

/// The file as TOML.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Schema {
    cluster: String,
    #[serde(default = "default_round_trip")]
    round_trip_ms: u64,
    founders: Option<Vec<u16>>,
    tls: Option<TlsPaths>,
    node: Vec<NodeSchema>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeSchema {
    id: u16,
    peers: SocketAddr,
    clients: SocketAddr,
}

/// A network within one building, and processes that have to share a processor.
const ROUND_TRIP_MS: u64 = 50;

const fn default_round_trip() -> u64 {
    ROUND_TRIP_MS
}

impl ClusterFile {
    /// Creates the settings of a cluster with the usual timings, in which all nodes are founders.
    pub fn new(cluster: u64, nodes: impl IntoIterator<Item = Addresses>) -> Self {
        let numbers = (0..).map(NodeId);
        let nodes: BTreeMap<_, _> = numbers.zip(nodes).collect();
        Self {
            cluster,
            round_trip: Duration::from_millis(ROUND_TRIP_MS),
            founders: nodes.keys().copied().collect(),
            nodes,
            tls: None,
        }
    }

    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// [`ClusterFileError`], with the line or the key.
    pub fn parse(text: &str) -> Result<Self, ClusterFileError> {
        let schema: Schema =
            toml::from_str(text).map_err(|error| ClusterFileError::Syntax(error.to_string()))?;
        let invalid = |what: String| Err(ClusterFileError::Invalid(what));
        let Ok(cluster) = u64::from_str_radix(&schema.cluster, 16) else {
            return invalid(format!(
                "cluster: expected a hexadecimal number of up to 16 digits, found {:?}",
                schema.cluster
            ));
        };
        if !(1..=10_000).contains(&schema.round_trip_ms) {
            return invalid(format!(
                "round_trip_ms: expected 1 to 10000, found {}",
                schema.round_trip_ms
            ));
        }
        let mut nodes = BTreeMap::new();
        for NodeSchema { id, peers, clients } in schema.node {
            if id >= NODES_MAX {
                return invalid(format!(
                    "node {id}: nodes are numbered 0 to {}",
                    NODES_MAX - 1
                ));
            }
            if nodes
                .insert(NodeId(id), Addresses { peers, clients })
                .is_some()
            {
                return invalid(format!("node {id} stands there twice"));
            }
        }
        let founders: NodeSet = match schema.founders {
            Some(founders) => founders.into_iter().map(NodeId).collect(),
            None => nodes.keys().copied().collect(),
        };
        if let Some(tls) = &schema.tls {
            for (name, path) in [("certificate", &tls.certificate), ("key", &tls.key)] {
                if nodes.len() > 1 && !path.contains("{id}") {
                    return invalid(format!(
                        "tls.{name}: {{id}} is missing, for the number of the node: each has a {name} of its own"
                    ));
                }
            }
        }
        if founders.is_empty() {
            return invalid("founders: a cluster has at least one".to_owned());
        }
        Ok(Self {
            cluster,
            round_trip: Duration::from_millis(schema.round_trip_ms),
            founders,
            nodes,
            tls: schema.tls,
        })
    }

    /// Returns the settings of a node.
    pub fn config(&self, node: NodeId) -> Config {
        let founder = self.founders.iter().next().unwrap_or(NodeId(0));
        // Half as many heartbeats as usual, and a timeout that still outlasts the loss of two: an idle leader costs little.
        Config {
            members: self.founders,
            founder,
            cluster: self.cluster,
            heartbeat: self.round_trip * 2,
            election_timeout: self.round_trip * 7,
            ..Config::new(node, 1).with_round_trip(self.round_trip)
        }
    }

    /// Returns the text of the file, with a comment for each setting.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let _ = write!(
            text,
            "# The cluster, the same on all of its machines.\n\
             #\n\
             # Start a node on its machine, the first time with --new:\n\
             #     synod node --config FILE --id 0 --data DIR --new\n\
             \n\
             # The number of the cluster, drawn at random. Nodes of other clusters are ignored.\n\
             cluster = \"{:016x}\"\n\
             # The longest usual round trip between two nodes. A silent leader is suspected after seven of them.\n\
             round_trip_ms = {}\n\
             # The nodes that found the cluster. They stay the same for ever, whoever is a member later.\n\
             founders = {:?}\n",
            self.cluster,
            self.round_trip.as_micros() / 1_000,
            self.founders.iter().map(|node| node.0).collect::<Vec<_>>(),
        );
        if let Some(TlsPaths {
            ca,
            certificate,
            key,
        }) = &self.tls
        {
            let _ = write!(
                text,
                "\n# With this table all connections are in TLS, those of clients as well. The paths are relative to this file, and {{id}}\n\
                 # stands for the number of the node. A machine needs the certificate of the authority and the two files of its node.\n\
                 [tls]\nca = {ca:?}\ncertificate = {certificate:?}\nkey = {key:?}\n"
            );
        }
        for (node, addresses) in &self.nodes {
            let _ = write!(
                text,
                "\n[[node]]\nid = {}\n# Where the other nodes reach it, and where clients do.\npeers = \"{}\"\nclients = \"{}\"\n",
                node.0, addresses.peers, addresses.clients
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> ClusterFile {
        let nodes = (0..3).map(|number| Addresses {
            peers: format!("10.0.0.{}:7380", number + 1).parse().unwrap(),
            clients: format!("10.0.0.{}:7379", number + 1).parse().unwrap(),
        });
        ClusterFile::new(0xfeed, nodes)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut file = three();
        assert_eq!(ClusterFile::parse(&file.to_text()), Ok(file.clone()));
        file.tls = Some(TlsPaths::within("cluster-tls"));
        assert_eq!(ClusterFile::parse(&file.to_text()), Ok(file.clone()));
        for node in 0..3 {
            assert_eq!(file.config(NodeId(node)).validate(), Ok(()));
        }
    }

    #[test]
    fn the_files_of_a_node_are_beside_the_file_of_the_cluster() {
        let paths = TlsPaths::within("cluster-tls");
        let files = paths.files(Path::new("/etc/synod/cluster.toml"), NodeId(3));
        let key = Path::new("/etc/synod/cluster-tls/node-3.key");
        assert_eq!(files.key, key);
        let files = paths.files(Path::new("cluster.toml"), NodeId(3));
        assert_eq!(files.ca, Path::new("cluster-tls/ca.pem"));
    }

    #[test]
    fn an_error_names_what_is_wrong() {
        let mut three = three();
        three.tls = Some(TlsPaths::within("cluster-tls"));
        let text = three.to_text();
        for (from, to, named) in [
            ("id = 2", "id = 1", "node 1 stands there twice"),
            ("id = 2", "id = 64", "nodes are numbered 0 to 63"),
            ("id = 2", "id = 2\ncolour = 1", "colour"),
            (
                "round_trip_ms = 50",
                "round_trip_ms = 0",
                "round_trip_ms: expected 1 to 10000",
            ),
            ("founders = [0, 1, 2]", "founders = []", "at least one"),
            ("000000000000feed", "feet", "hexadecimal"),
            ("10.0.0.3:7379", "somewhere", "clients"),
            ("node-{id}.key", "node.key", "tls.key: {id} is missing"),
        ] {
            let error = ClusterFile::parse(&text.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
