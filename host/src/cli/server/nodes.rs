//! Command lines that make, run and judge nodes: `synod init`, `synod certify`, `synod node`, `synod cluster` and `synod judge`.

use crate::cli::run::FormatArgs;
use crate::commands::run::OutputFormat;
use crate::commands::server::certify::CertifyCommand;
use crate::commands::server::cluster::ClusterCommand;
use crate::commands::server::init::InitCommand;
use crate::commands::server::judge::JudgeCommand;
use crate::commands::server::node::{LogOptions, NodeCommand};
use crate::log::Level;
use crate::values;
use clap::Args;
use core::net::SocketAddr;
use std::path::PathBuf;
use synod::{Duration, NodeId};
use synod_server::Start;

/// Examples in `synod node --help`.
const NODE_AFTER: &str = "\
Examples:
  synod init cluster.toml --tls --node 10.0.0.1 --node 10.0.0.2 --node 10.0.0.3
  synod node --config cluster.toml --id 0 --data DIR --password-file FILE --new
                                                              the first time
  synod node --config cluster.toml --id 0 --data DIR --password-file FILE
                                                              ever after
  synod node --config cluster.toml --id 0 --data DIR --record node-0.record
                                                              and have all nodes judged: synod judge --help
  redis-cli --tls --cacert cluster-tls/ca.pem --askpass -h 10.0.0.1 -p 7379 set valve:3 open

Exit codes:
  0  stopped by Ctrl-C, SIGTERM or SIGHUP
  2  bad usage, or the node could not be started";

/// Examples in `synod cluster --help`.
const CLUSTER_AFTER: &str = "\
Examples:
  synod cluster                            three nodes; Ctrl-C ends them
  redis-cli -p 7379 set valve:3 open       any Redis client, at any of the three
  redis-cli -p 7380 get valve:3
  redis-cli -p 7381 set lock:pump me NX PX 10000
  synod cluster --data DIR                 keeps what was decided, and goes on with it
  synod cluster --tls                      all connections in TLS
  synod cluster --log-level info           every message of every node
  synod cluster --record RUN               and afterwards: synod judge RUN/node-*.record

Exit codes:
  0  ended by Ctrl-C, SIGTERM or SIGHUP
  2  bad usage, or a node could not be started";

/// Examples in `synod certify --help`.
const CERTIFY_AFTER: &str = "\
Examples:
  synod certify cluster.toml 3                            node 3 was added to the file
  synod certify cluster.toml 0 --name redis.example.com   once its old files were moved away

Exit codes:
  0  done
  2  bad usage, or a file cannot be used, or is there already";

// No documentation of the types, as `clap` would print it as the description of the command.
#[derive(Debug, Args)]
pub(in crate::cli) struct InitArgs {
    /// File to write; it must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Address of a node, such as 10.0.0.1 or 10.0.0.1:7379; given once for each node, in the order of their numbers
    ///
    /// The port is that for clients [default: 7379]. Other nodes use the port 10,000 above it.
    #[arg(long = "node", value_name = "ADDRESS", required = true, value_parser = address)]
    nodes: Vec<SocketAddr>,
    /// Make an authority and the certificates of the nodes in a folder beside the file, and have all connections in TLS
    #[arg(long)]
    tls: bool,
}

#[derive(Debug, Args)]
#[command(about = "Makes the certificate of a node, by the authority that 'synod init --tls' has made", after_help = CERTIFY_AFTER)]
pub(in crate::cli) struct CertifyArgs {
    /// File of the cluster, which names the node and its addresses
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Number of the node
    #[arg(value_name = "NODE", value_parser = values::real_node)]
    node: NodeId,
    /// Name under which clients reach the node, beside its addresses; given once for each
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// File with the key of the authority [default: ca.key beside ca.pem]
    #[arg(long, value_name = "FILE")]
    ca_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LogArgs {
    #[command(flatten)]
    format: FormatArgs,
    /// Detail of the log; info shows every message
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = Level::Warn)]
    log_level: Level,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ServeArgs {
    /// How long a client waits for an answer before it is told that there is none
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "5s")]
    timeout: Duration,
    /// Answer reads from the state of the node that is asked, however old it is
    #[arg(long)]
    stale_reads: bool,
    /// Greatest number of clients at a time
    #[arg(long, value_name = "N", value_parser = values::whole::<usize>(1..=1_000_000), allow_hyphen_values = true, default_value_t = 10_000)]
    max_clients: usize,
    /// File whose first line is the password that clients must give [default: none]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Address where metrics are served to Prometheus, such as 127.0.0.1:9379 [default: none]
    #[arg(long, value_name = "ADDRESS", value_parser = full_address)]
    metrics: Option<SocketAddr>,
    /// Listen on addresses that other machines reach, although not both TLS and a password protect them
    #[arg(long)]
    insecure: bool,
}

#[derive(Debug, Args)]
#[command(about = "Runs one node of a real cluster, and serves Redis clients", after_help = NODE_AFTER)]
pub(in crate::cli) struct NodeArgs {
    /// File of the cluster, as 'synod init' writes it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Number of the node
    #[arg(long, value_name = "NODE", value_parser = values::real_node)]
    id: NodeId,
    /// Directory of the node's storage
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Create the storage: this number has never run before
    #[arg(long, conflicts_with = "new_or_existing")]
    new: bool,
    /// Create the storage if it does not exist
    #[arg(long, hide = true)]
    new_or_existing: bool,
    /// File that records what the node has made durable, said and applied, for 'synod judge'; appended to if it exists
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Stop when the standard input ends
    #[arg(long, hide = true)]
    until_input_ends: bool,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Args)]
#[command(about = "Runs a real cluster on this machine, one process a node, to try it out", after_help = CLUSTER_AFTER)]
pub(in crate::cli) struct ClusterArgs {
    /// Number of nodes, 1 to 9
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = values::whole::<u16>(1..=9))]
    nodes: u16,
    /// Port for clients of node 0; the others have the ports after it, and the nodes those 10,000 above
    #[arg(long, value_name = "PORT", default_value_t = 7379, value_parser = values::whole::<u16>(1_024..=55_000))]
    port: u16,
    /// Directory of the storage of all nodes [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Make certificates, and have all connections in TLS
    #[arg(long)]
    tls: bool,
    /// Port where node 0 serves metrics to Prometheus; the others have the ports after it [default: none]
    #[arg(long, value_name = "PORT", value_parser = values::whole::<u16>(1_024..=65_000))]
    metrics: Option<u16>,
    /// How long a client waits for an answer before it is told that there is none
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "5s")]
    timeout: Duration,
    /// Directory of a record of each node, for 'synod judge'
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
}

/// Examples in `synod judge --help`.
const JUDGE_AFTER: &str = "\
Examples:
  synod cluster --record RUN               use it, kill nodes, and end it with Ctrl-C
  synod judge RUN/node-*.record            was agreement kept?
  synod judge a.record b.record c.record --format json

A node is recorded by 'synod node --record FILE'. Copy the records of all nodes to one machine. Their clocks may differ
by any amount, and a node may have been killed and started again any number of times.

Exit codes:
  0  no rule was violated
  1  a rule was violated: the lines of the records that show it are printed
  2  bad usage, or a record that cannot be read
  5  nothing to judge: fewer than two nodes, or no decision
  6  no rule was violated, but facts are missing: a disk was full or too slow for its record";

#[derive(Debug, Args)]
#[command(
    about = "Judges the records of a real run: whether the nodes have kept the rules of agreement",
    after_help = JUDGE_AFTER
)]
pub(in crate::cli) struct JudgeArgs {
    /// Records of all nodes, one of each
    #[arg(value_name = "FILE", required = true)]
    records: Vec<PathBuf>,
    /// Format of the report
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    format: OutputFormat,
}

/// The port for clients if none is given.
pub(super) const PORT: u16 = 7379;

/// Parses an address with or without a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse() {
        return Ok(SocketAddr::new(ip, PORT));
    }
    text.parse()
        .map_err(|_| "an address such as 10.0.0.1, 10.0.0.1:7379 or [fd00::1]:7379".to_owned())
}

/// Parses an address with a port.
fn full_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "an address with a port, such as 127.0.0.1:9379".to_owned())
}

impl InitArgs {
    pub(in crate::cli) fn command(self) -> InitCommand {
        InitCommand {
            file: self.file,
            nodes: self.nodes,
            tls: self.tls,
        }
    }
}

impl CertifyArgs {
    pub(in crate::cli) fn command(self) -> CertifyCommand {
        CertifyCommand {
            file: self.file,
            node: self.node,
            names: self.names,
            ca_key: self.ca_key,
        }
    }
}

impl LogArgs {
    fn options(&self) -> LogOptions {
        LogOptions {
            form: self.format.format,
            colour: self.format.color,
            level: self.log_level,
        }
    }
}

impl NodeArgs {
    pub(in crate::cli) fn command(self) -> NodeCommand {
        NodeCommand {
            config: self.config,
            node: self.id,
            data: self.data,
            start: match (self.new, self.new_or_existing) {
                (true, _) => Start::New,
                (false, true) => Start::Either,
                (false, false) => Start::Existing,
            },
            patience: self.serve.timeout,
            stale_reads: self.serve.stale_reads,
            clients_max: self.serve.max_clients,
            password_file: self.serve.password_file,
            metrics: self.serve.metrics,
            insecure: self.serve.insecure,
            record: self.record,
            until_input_ends: self.until_input_ends,
            log: self.log.options(),
        }
    }
}

impl ClusterArgs {
    pub(in crate::cli) fn command(self) -> ClusterCommand {
        ClusterCommand {
            nodes: self.nodes,
            port: self.port,
            data: self.data,
            tls: self.tls,
            metrics: self.metrics,
            patience: self.timeout,
            record: self.record,
            log: self.log.options(),
        }
    }
}

impl JudgeArgs {
    pub(in crate::cli) fn command(self) -> JudgeCommand {
        JudgeCommand {
            records: self.records,
            format: self.format,
        }
    }
}
