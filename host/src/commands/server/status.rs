//! `synod status`: who leads a real cluster, how far a node is, and what is full.

use crate::exit::{Exit, print_error};
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Write};
use synod_server::admin;

/// How long the node may take to answer.
const WAIT: Duration = Duration::from_secs(10);

/// The node to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusCommand {
    /// Its address for clients.
    pub address: SocketAddr,
}

/// Executes the command.
pub fn run(command: &StatusCommand) -> Exit {
    match admin::ask((command.address, WAIT), &["SYNOD.STATUS"]) {
        Ok(text) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => Exit::Done,
            Err(error) => Exit::from_output(&error),
        },
        Err(error) => {
            print_error(&format_args!("{}: {error}", command.address));
            Exit::Usage
        }
    }
}
