//! `synod init`: writes the file of a new cluster.

use super::draw;
use crate::exit::{Exit, print_error};
use core::net::SocketAddr;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use synod::NODES_MAX;
use synod_server::cluster_file::{Addresses, ClusterFile, PEERS_ABOVE};

/// The file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitCommand {
    /// Its path. It must not exist.
    pub file: PathBuf,
    /// The addresses of the nodes for clients.
    pub nodes: Vec<SocketAddr>,
}

/// Executes the command.
pub fn run(command: &InitCommand) -> Exit {
    match write(command) {
        Ok(()) => {
            print_error(&format_args!(
                "wrote {}: copy it to the machines, and start each node with --new",
                command.file.display()
            ));
            Exit::Done
        }
        Err(error) => {
            print_error(&format_args!("{}: {error}", command.file.display()));
            Exit::Usage
        }
    }
}

fn write(command: &InitCommand) -> io::Result<()> {
    let text = text(&command.nodes).map_err(io::Error::other)?;
    // An existing file may be that of a cluster, whose number would be lost.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&command.file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Returns the text of the file of a new cluster.
fn text(nodes: &[SocketAddr]) -> Result<String, String> {
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
    Ok(ClusterFile::new(draw(), addresses).to_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_one_that_can_be_read() {
        let nodes = ["10.0.0.1:7379", "[fd00::2]:7379"].map(|text| text.parse().unwrap());
        let file = ClusterFile::parse(&text(&nodes).unwrap()).unwrap();
        let peers = file.nodes.values().map(|node| node.peers.to_string());
        assert!(peers.eq(["10.0.0.1:17379", "[fd00::2]:17379"]));
    }

    #[test]
    fn addresses_that_cannot_be_used_together_are_named() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let twice = text(&[parse("10.0.0.1:7379"), parse("10.0.0.1:7379")]).unwrap_err();
        assert_eq!(twice, "10.0.0.1:7379 is given twice");
        assert!(
            text(&[parse("10.0.0.1:60000")])
                .unwrap_err()
                .contains("55535")
        );
    }
}
