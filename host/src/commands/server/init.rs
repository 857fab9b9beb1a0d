//! `synod init`: writes the file of a new cluster.

use super::certify::{create, write_new};
use super::draw;
use crate::exit::{Exit, print_error};
use core::fmt;
use core::net::SocketAddr;
use std::fs;
use std::path::{Path, PathBuf};
use synod::NODES_MAX;
use synod_server::cluster_file::{Addresses, ClusterFile, PEERS_ABOVE, TlsPaths};

/// The file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitCommand {
    /// Its path. It must not exist.
    pub file: PathBuf,
    /// The addresses of the nodes for clients.
    pub nodes: Vec<SocketAddr>,
    /// Whether all connections are in TLS.
    pub tls: bool,
}

/// Executes the command.
pub fn run(command: &InitCommand) -> Exit {
    match write(command) {
        Ok(None) => {
            print_error(&format_args!(
                "wrote {}: copy it to the machines, and start each node with --new",
                command.file.display()
            ));
            Exit::Done
        }
        Ok(Some(folder)) => {
            print_error(&format_args!(
                "wrote {file} and the folder {folder} beside it\n\
                 all machines need {file} and {folder}/ca.pem, and clients ca.pem alone\n\
                 the machine of node N needs {folder}/node-N.pem and {folder}/node-N.key as well; then start each node with --new\n\
                 keep {folder}/ca.key off the nodes: whoever has it can be any node. synod certify needs it for nodes that are added",
                file = command.file.display(),
            ));
            Exit::Done
        }
        Err(error) => {
            print_error(&error);
            Exit::Usage
        }
    }
}

/// Writes the file, and with TLS the folder beside it, whose name is returned.
fn write(command: &InitCommand) -> Result<Option<String>, String> {
    let path = &command.file;
    let at = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let mut cluster = cluster(&command.nodes).map_err(|error| at(&error))?;
    let folder = command.tls.then(|| folder(path));
    cluster.tls = folder.as_deref().map(TlsPaths::within);
    // An existing file may be that of a cluster, whose number would be lost.
    write_new(path, &cluster.to_text(), 0o600).map_err(|error| at(&error))?;
    if let Some(paths) = &cluster.tls
        && let Err(error) = create(&cluster, paths, path)
    {
        // Written a moment ago, and of no use.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(folder)
}

/// Returns the name of the folder for the files of TLS.
fn folder(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem}-tls")
}

/// Returns the settings of a new cluster.
fn cluster(nodes: &[SocketAddr]) -> Result<ClusterFile, String> {
    if nodes.len() > usize::from(NODES_MAX) {
        return Err(format!("a cluster has at most {NODES_MAX} nodes"));
    }
    let mut addresses = Vec::new();
    for (index, clients) in nodes.iter().enumerate() {
        if nodes.iter().take(index).any(|other| other == clients) {
            return Err(format!("{clients} is given twice"));
        }
        let Some(port) = clients.port().checked_add(PEERS_ABOVE) else {
            return Err(format!(
                "{clients}: other nodes use the port {PEERS_ABOVE} above that for clients, which must be at most {}",
                u16::MAX - PEERS_ABOVE
            ));
        };
        addresses.push(Addresses {
            peers: SocketAddr::new(clients.ip(), port),
            clients: *clients,
        });
    }
    Ok(ClusterFile::new(draw(), addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_one_that_can_be_read() {
        let nodes = ["10.0.0.1:7379", "[fd00::2]:7379"].map(|text| text.parse().unwrap());
        let file = ClusterFile::parse(&cluster(&nodes).unwrap().to_text()).unwrap();
        let peers = file.nodes.values().map(|node| node.peers.to_string());
        assert!(peers.eq(["10.0.0.1:17379", "[fd00::2]:17379"]));
    }

    #[test]
    fn addresses_that_cannot_be_used_together_are_named() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let twice = cluster(&[parse("10.0.0.1:7379"), parse("10.0.0.1:7379")]).unwrap_err();
        assert_eq!(twice, "10.0.0.1:7379 is given twice");
        assert!(
            cluster(&[parse("10.0.0.1:60000")])
                .unwrap_err()
                .contains("55535")
        );
    }
}
