//! `synod members`: shows or changes the members of a real cluster.

use super::door::DoorOptions;
use crate::exit::{Exit, print_error};
use std::io::{self, Write};
use synod::{Duration, NodeId};
use synod_server::admin;

/// What to do with the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersCommand {
    /// How the node to ask is reached.
    pub door: DoorOptions,
    /// How long to go on asking for a change that is refused for a reason that passes by itself.
    pub wait: Duration,
    /// The action.
    pub action: MembersAction,
}

/// An action on the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersAction {
    /// Shows them.
    List,
    /// Adds one.
    Add(NodeId),
    /// Removes one.
    Remove(NodeId),
    /// Does both in one step.
    Replace {
        /// The member that is removed.
        lost: NodeId,
        /// The node that is added.
        new: NodeId,
    },
}

/// Executes the command.
pub fn run(command: &MembersCommand) -> Exit {
    let number = |node: NodeId| node.0.to_string();
    let words = match command.action {
        MembersAction::List => vec!["LIST".to_owned()],
        MembersAction::Add(node) => vec!["ADD".to_owned(), number(node)],
        MembersAction::Remove(node) => vec!["REMOVE".to_owned(), number(node)],
        MembersAction::Replace { lost, new } => {
            vec!["REPLACE".to_owned(), number(lost), number(new)]
        }
    };
    let mut args = vec!["SYNOD.MEMBERS"];
    args.extend(words.iter().map(String::as_str));
    let wait = core::time::Duration::from_micros(command.wait.as_micros());
    let door = match command.door.open() {
        Ok(door) => door,
        Err(error) => {
            print_error(&error);
            return Exit::Usage;
        }
    };
    let answer = admin::change((&door, wait), &args, |why| {
        // Nobody is worse off without the note.
        let _ = writeln!(io::stderr(), "waiting: {why}");
    });
    match answer {
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
