//! `synod node`: one node of a real cluster, until it is stopped.

use super::draw;
use crate::commands::run::{Colour, OutputFormat};
use crate::exit::{Exit, print_error};
use crate::log::{Filter, Format, Json, Level, Output, Text};
use crate::signals::{self, FirstSignal};
use core::fmt;
use core::net::SocketAddr;
use std::fs;
use std::io::{self, Stdout};
use std::path::{Path, PathBuf};
use std::thread;
use synod::{Duration, Instant, NodeId, Record, Tracer};
use synod_server::capacity::{LOG_CAPACITY, PAGE};
use synod_server::cluster_file::{Addresses, ClusterFile};
use synod_server::keyspace::Keyspace;
use synod_server::{Notices, Options, STACK, Server, Severity, Start};

/// The node to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCommand {
    /// The file of the cluster.
    pub config: PathBuf,
    /// The number of the node.
    pub node: NodeId,
    /// The directory of its storage.
    pub data: PathBuf,
    /// Whether the storage exists.
    pub start: Start,
    /// How long a client waits for an answer.
    pub patience: Duration,
    /// Whether reads may be answered from an old state.
    pub stale_reads: bool,
    /// The most clients at a time.
    pub clients_max: usize,
    /// The file with the password of clients.
    pub password_file: Option<PathBuf>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Whether other machines may reach it without passwords and encryption.
    pub insecure: bool,
    /// The file that it is recorded in.
    pub record: Option<PathBuf>,
    /// Whether it stops when the standard input ends.
    pub until_input_ends: bool,
    /// How the log is shown.
    pub log: LogOptions,
}

/// How the log of a node is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Its format.
    pub form: OutputFormat,
    /// When it is coloured.
    pub colour: Colour,
    /// Its detail.
    pub level: Level,
}

/// Executes the command.
pub fn run(command: &NodeCommand) -> Exit {
    signals::install(FirstSignal::StopsRun);
    if command.until_input_ends {
        // It ends with the process.
        thread::spawn(|| {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            signals::request_stop();
        });
    }
    // The outbox and the messages of a node are large values, which debug builds move by the stack.
    let server = thread::Builder::new()
        .name("node".to_owned())
        .stack_size(STACK);
    let command = command.clone();
    let joined = server
        .spawn(move || serve(&command))
        .map(thread::JoinHandle::join);
    match joined {
        Ok(Ok(Ok(()))) => Exit::Done,
        Ok(Ok(Err(error))) => {
            print_error(&error);
            Exit::Usage
        }
        Ok(Err(_)) => {
            print_error(&"the node has stopped: this is a mistake in the program");
            Exit::Usage
        }
        Err(error) => {
            print_error(&error);
            Exit::Usage
        }
    }
}

fn serve(command: &NodeCommand) -> Result<(), String> {
    let named = |error: &dyn fmt::Display| format!("{}: {error}", command.config.display());
    let text = fs::read_to_string(&command.config).map_err(|error| named(&error))?;
    let cluster = ClusterFile::parse(&text).map_err(|error| named(&error))?;
    let password = command.password_file.as_deref().map(password).transpose()?;
    if !command.insecure {
        let addresses = cluster.nodes.get(&command.node);
        let protection = (cluster.tls.is_some(), password.is_some());
        let error = addresses.and_then(|addresses| unprotected(*addresses, protection));
        if let Some(error) = error.or_else(|| command.metrics.and_then(unprotected_metrics)) {
            return Err(error);
        }
    }
    let tls = cluster.tls.as_ref();
    let tls = tls.map(|paths| paths.files(&command.config, command.node));
    let options = Options {
        cluster,
        node: command.node,
        directory: command.data.clone(),
        start: command.start,
        patience: command.patience,
        stale_reads: command.stale_reads,
        clients_max: command.clients_max,
        record: command.record.clone(),
        log_capacity: LOG_CAPACITY,
        password,
        tls,
        metrics: command.metrics,
        random: (draw(), draw()),
    };
    let mut server = Server::bind(&options).map_err(|error| error.to_string())?;
    let stdout = io::stdout();
    let format = match command.log.form {
        OutputFormat::Json => Format::Json(Json),
        OutputFormat::Text if command.log.colour.is_on(&stdout) => Format::Text(Text::coloured()),
        OutputFormat::Text => Format::Text(Text::plain()),
    };
    let mut screen = Screen {
        format,
        filter: Filter {
            level: command.log.level,
            ..Filter::default()
        },
        output: Output::new(stdout),
    };
    server
        .run(&mut screen, signals::stop_flag())
        .map_err(|error| error.to_string())
}

/// Reads the password of clients.
pub(super) fn password(path: &Path) -> Result<Vec<u8>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        return Err(format!(
            "{}: its first line is empty, and would be no password",
            path.display()
        ));
    }
    Ok(password.as_bytes().to_vec())
}

/// Returns why a node does not listen; `None` if whoever reaches it must prove who they are.
fn unprotected(addresses: Addresses, (has_tls, has_password): (bool, bool)) -> Option<String> {
    let is_open = |address: &SocketAddr| !address.ip().is_loopback();
    let all = [addresses.peers, addresses.clients];
    let plain = all.into_iter().find(|address| is_open(address) && !has_tls);
    if let Some(address) = plain {
        return Some(format!(
            "{address} can be reached from other machines, and nothing there is encrypted: have all connections in TLS (synod init \
             --tls), or keep it to a network that only your machines are in, and say so with --insecure"
        ));
    }
    (is_open(&addresses.clients) && !has_password).then(|| {
        format!(
            "{} can be reached from other machines, and no client there is asked who it is: give a password with --password-file, or \
             say with --insecure that everybody may change everything",
            addresses.clients
        )
    })
}

/// Returns why a node does not serve metrics, which are neither encrypted nor protected; `None` if this machine alone can ask.
fn unprotected_metrics(address: SocketAddr) -> Option<String> {
    (!address.ip().is_loopback()).then(|| {
        format!(
            "{address} can be reached from other machines, and whoever asks there is told all figures: name an address of loopback \
             with --metrics, or say so with --insecure"
        )
    })
}

/// The log of a node on the standard output. A closed output ends the log and not the node.
///
/// It has no annotations: the identity of a message follows from the records of all nodes, of which one process has its own.
struct Screen {
    format: Format,
    filter: Filter,
    output: Output<Stdout>,
}

impl Tracer<Keyspace, PAGE> for Screen {
    fn record(&mut self, record: &Record<'_, Keyspace, PAGE>) {
        if self.filter.admits(record) {
            let format = &self.format;
            self.output
                .append(|out| format.line_of_real_node(out, record));
        }
    }
}

impl Notices for Screen {
    fn notice(&mut self, at: Instant, node: NodeId, severity: Severity, text: &dyn fmt::Display) {
        let level = match severity {
            Severity::Error => Level::Error,
            Severity::Warn => Level::Warn,
            Severity::Info => Level::Info,
        };
        let format = &self.format;
        self.output
            .append(|out| format.notice(out, (at, node), (level, text)));
    }

    fn flush(&mut self) {
        self.output.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_reach_a_node_if_tls_and_a_password_protect_it() {
        let at = |peers: &str, clients: &str| Addresses {
            peers: format!("{peers}:17379").parse().unwrap(),
            clients: format!("{clients}:7379").parse().unwrap(),
        };
        let (inside, outside) = ("127.0.0.1", "10.0.0.1");
        let open = at(outside, outside);
        assert_eq!(unprotected(at(inside, inside), (false, false)), None);
        assert_eq!(unprotected(open, (true, true)), None);
        // The nodes prove who they are, and no client is there.
        assert_eq!(unprotected(at(outside, inside), (true, false)), None);
        for (addresses, has_tls, has_password, named) in [
            (open, false, false, "10.0.0.1:17379 can be reached"),
            (open, false, true, "nothing there is encrypted"),
            (
                at(inside, outside),
                false,
                true,
                "10.0.0.1:7379 can be reached",
            ),
            (open, true, false, "give a password with --password-file"),
        ] {
            let why = unprotected(addresses, (has_tls, has_password)).unwrap();
            assert!(why.contains(named), "{why}");
        }
    }
}
