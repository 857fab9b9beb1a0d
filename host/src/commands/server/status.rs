//! `synod status`: who leads a real cluster, how far a node is, and what is full.

use super::door::DoorOptions;
use crate::exit::{Exit, print_error};
use core::time::Duration;
use std::io::{self, Write};
use synod_server::admin;

/// How long the node may take to answer.
const WAIT: Duration = Duration::from_secs(10);

/// The node to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCommand {
    /// How it is reached.
    pub door: DoorOptions,
}

/// Executes the command.
pub fn run(command: &StatusCommand) -> Exit {
    let door = match command.door.open() {
        Ok(door) => door,
        Err(error) => {
            print_error(&error);
            return Exit::Usage;
        }
    };
    match admin::ask((&door, WAIT), &["SYNOD.STATUS"]) {
        Ok(text) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => Exit::Done,
            Err(error) => Exit::from_output(&error),
        },
        Err(error) => {
            print_error(&format_args!("{}: {error}", door.address));
            Exit::Usage
        }
    }
}
