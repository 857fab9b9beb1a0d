//! How a server is started, and why it has not.

use crate::cluster_file::ClusterFile;
use crate::record::RecordError;
use crate::start::{Start, StartError};
use crate::tls::{Files, TlsError};
use core::fmt;
use core::net::SocketAddr;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use synod::{Duration, NodeId};

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster.
    pub cluster: ClusterFile,
    /// The number of the node.
    pub node: NodeId,
    /// The directory of its storage.
    pub directory: PathBuf,
    /// Whether the storage exists.
    pub start: Start,
    /// How long a client waits for an answer.
    pub patience: Duration,
    /// True if reads are answered from the state of this node, however old it is.
    pub stale_reads: bool,
    /// The most clients at a time.
    pub clients_max: usize,
    /// The password of clients; `None` if there is none.
    pub password: Option<Vec<u8>>,
    /// The file that the turns of the node are recorded in, for a [judge](crate::judge); `None` for no record.
    pub record: Option<PathBuf>,
    /// The files for TLS; `None` for plain text on all connections.
    pub tls: Option<Files>,
    /// Where metrics are served; `None` if they are not.
    pub metrics: Option<SocketAddr>,
    /// The size of the log, in bytes: [`LOG_CAPACITY`](crate::capacity::LOG_CAPACITY), unless the node holds little.
    pub log_capacity: usize,
    /// Random numbers: the seed of the node's jitter, and the nonce of this process.
    pub random: (u64, u64),
}

/// Why a server has not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerError {
    /// The node has no addresses in the file of the cluster.
    NotInFile(NodeId),
    /// The storage was not used.
    Start(StartError),
    /// A file for TLS was not used.
    Tls(TlsError),
    /// An address cannot be listened to.
    Listen(SocketAddr, io::Error),
    /// The node cannot be recorded.
    Record(RecordError),
    /// The system has refused what every server needs.
    System(io::Error),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInFile(node) => write!(
                f,
                "the file of the cluster has no addresses of {node}: add a [[node]] with id = {}, or name another --id",
                node.0
            ),
            Self::Start(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Listen(address, error) if error.kind() == ErrorKind::AddrInUse => write!(
                f,
                "{address} is in use: another process listens there, perhaps this node itself; stop it, or change the address in \
                 the file of the cluster"
            ),
            Self::Listen(address, error) => write!(f, "{address} cannot be listened to: {error}"),
            Self::Record(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ServerError {}
