//! `synod cluster`: real nodes on this machine, one process each, to try things with.

use super::certify::{create, create_directory};
use super::draw;
use super::node::LogOptions;
use crate::commands::run::{Colour, OutputFormat};
use crate::exit::{Exit, print_error};
use crate::shell_quoting;
use crate::signals::{self, FirstSignal};
use clap::ValueEnum;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use synod::NodeId;
use synod_server::cluster_file::{Addresses, ClusterFile, PEERS_ABOVE, TlsPaths};

/// The folder for the files of TLS.
const TLS: &str = "cluster-tls";
/// How often the processes are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The cluster to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterCommand {
    /// The number of nodes.
    pub nodes: u16,
    /// The port of node 0 for clients.
    pub port: u16,
    /// The directory of the storage of all nodes; `None` for one that is removed at the end.
    pub data: Option<PathBuf>,
    /// Whether all connections are in TLS.
    pub tls: bool,
    /// The port of node 0 for metrics; `None` if they are not served.
    pub metrics: Option<u16>,
    /// How long a client waits for an answer.
    pub patience: synod::Duration,
    /// The directory of the records of all nodes.
    pub record: Option<PathBuf>,
    /// How the logs are shown.
    pub log: LogOptions,
}

/// Executes the command.
pub fn run(command: &ClusterCommand) -> Exit {
    signals::install(FirstSignal::StopsRun);
    if let Some(records) = &command.record
        && let Err(error) = create_directory(records)
    {
        print_error(&format_args!("{}: {error}", records.display()));
        return Exit::Usage;
    }
    let temporary = command.data.is_none();
    let directory = command
        .data
        .clone()
        .unwrap_or_else(|| env::temp_dir().join(format!("synod-cluster-{:016x}", draw())));
    let ended = serve(command, &directory);
    if temporary {
        // What cannot be removed is left to the system, like any temporary file.
        let _ = fs::remove_dir_all(&directory);
    }
    match ended {
        Ok(exit) => exit,
        Err(error) => {
            print_error(&format_args!("{}: {error}", directory.display()));
            Exit::Usage
        }
    }
}

fn serve(command: &ClusterCommand, directory: &Path) -> io::Result<Exit> {
    create_directory(directory)?;
    let file = directory.join("cluster.toml");
    let cluster = cluster_file(command, &file)?;
    let mut children = Vec::new();
    for node in cluster.nodes.keys() {
        let child = node_process(command, directory, &file, node.0)?.spawn()?;
        children.push((node.0, child));
    }
    for (node, addresses) in &cluster.nodes {
        print_error(&format_args!(
            "{node} serves clients at {}",
            addresses.clients
        ));
    }
    if let Some(tls) = &cluster.tls {
        let ca = tls.files(&file, NodeId(0)).ca;
        let mut line = "redis-cli --tls --cacert".to_owned();
        shell_quoting::push_operand(&mut line, ca.as_os_str());
        print_error(&format_args!("{line} -p {} reaches it", command.port));
    }
    let restart = |node| {
        let mut line = format!("{} node --config", shell_quoting::program());
        shell_quoting::push_operand(&mut line, file.as_os_str());
        line.push_str(" --data");
        shell_quoting::push_operand(&mut line, node_directory(directory, node).as_os_str());
        if let Some(records) = &command.record {
            line.push_str(" --record");
            shell_quoting::push_operand(&mut line, record_of(records, node).as_os_str());
        }
        format!("{line} --id {node}")
    };
    let exit = watch(&mut children, restart)?;
    for (_, child) in &mut children {
        drop(child.stdin.take());
    }
    for (_, child) in &mut children {
        child.wait()?;
    }
    Ok(exit)
}

/// Reads the file of the cluster, or writes a new one.
fn cluster_file(command: &ClusterCommand, file: &Path) -> io::Result<ClusterFile> {
    if file.try_exists()? {
        let text = fs::read_to_string(file)?;
        let cluster = ClusterFile::parse(&text).map_err(io::Error::other)?;
        if cluster.nodes.len() != usize::from(command.nodes) {
            return Err(io::Error::other(format!(
                "the cluster in this directory has {} nodes, and --nodes is {}",
                cluster.nodes.len(),
                command.nodes
            )));
        }
        if command.tls && cluster.tls.is_none() {
            let what = "the cluster in this directory was begun without --tls";
            return Err(io::Error::other(what));
        }
        return Ok(cluster);
    }
    let addresses = (0..command.nodes).map(|node| {
        let clients = command.port + node;
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Addresses {
            peers: at(clients + PEERS_ABOVE),
            clients: at(clients),
        }
    });
    let mut cluster = ClusterFile::new(draw(), addresses);
    if command.tls {
        let paths = TlsPaths::within(TLS);
        create(&cluster, &paths, file).map_err(io::Error::other)?;
        cluster.tls = Some(paths);
    }
    fs::write(file, cluster.to_text())?;
    Ok(cluster)
}

/// Returns the directory of a node's storage.
fn node_directory(directory: &Path, node: u16) -> PathBuf {
    directory.join(format!("node-{node}"))
}

/// Returns the record of a node.
fn record_of(records: &Path, node: u16) -> PathBuf {
    records.join(format!("node-{node}.record"))
}

/// Returns the process of a node.
fn node_process(
    command: &ClusterCommand,
    directory: &Path,
    file: &Path,
    node: u16,
) -> io::Result<Command> {
    let mut process = Command::new(env::current_exe()?);
    process.arg("node").arg("--config").arg(file);
    process.arg("--id").arg(node.to_string());
    process.arg("--data").arg(node_directory(directory, node));
    process.arg("--new-or-existing");
    process.arg("--timeout").arg(command.patience.to_string());
    if let Some(records) = &command.record {
        process.arg("--record").arg(record_of(records, node));
    }
    if let Some(port) = command.metrics {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port + node));
        process.arg("--metrics").arg(address.to_string());
    }
    let LogOptions {
        form,
        colour,
        level,
    } = command.log;
    let colour = match (form, colour.is_on(&io::stdout())) {
        (OutputFormat::Text, true) => Colour::Always,
        _ => Colour::Never,
    };
    for (option, value) in [
        ("--format", form.to_possible_value()),
        ("--color", colour.to_possible_value()),
        ("--log-level", level.to_possible_value()),
    ] {
        if let Some(value) = value {
            process.arg(option).arg(value.get_name());
        }
    }
    // Each node stops when this process lets go of its input, however this process ends.
    process.arg("--until-input-ends").stdin(Stdio::piped());
    // Ctrl-C reaches all processes of a terminal. The nodes are stopped by this one, so that their last lines come in order.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut process, 0);
    Ok(process)
}

/// Waits until a signal arrives or no node is left. A node that is killed is reported, with the command that starts it
/// again: the others go on, which is what one comes to see.
fn watch(children: &mut Vec<(u16, Child)>, restart: impl Fn(u16) -> String) -> io::Result<Exit> {
    while !signals::is_stop_requested() {
        let mut failed = false;
        for (node, child) in children.iter_mut() {
            if let Some(status) = child.try_wait()? {
                // An error of its start was said by the node itself, and concerns the others as well.
                failed |= status.code().is_some_and(|code| code != 0);
                print_error(&format_args!(
                    "NODE_{node} has ended ({status}); start it again with: {}",
                    restart(*node)
                ));
            }
        }
        children.retain_mut(|(_, child)| matches!(child.try_wait(), Ok(None)));
        if failed || children.is_empty() {
            return Ok(Exit::Usage);
        }
        thread::sleep(LOOK);
    }
    Ok(Exit::Done)
}
