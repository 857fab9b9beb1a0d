//! Command lines that ask a running cluster: `synod status`, `synod members`, `synod backup` and `synod restore`.

use super::nodes::address;
use crate::commands::server::backup::BackupCommand;
use crate::commands::server::door::DoorOptions;
use crate::commands::server::members::{MembersAction, MembersCommand};
use crate::commands::server::status::StatusCommand;
use crate::values;
use clap::Args;
use core::net::SocketAddr;
use std::path::PathBuf;
use synod::{Duration, NodeId};

/// Examples in `synod members --help`.
const MEMBERS_AFTER: &str = "\
Examples:
  synod members list                 as the node at 127.0.0.1:7379 knows them
  synod members add 3                once node 3 runs as a learner
  synod members replace 1 3          node 1 is lost; node 3 takes its place
  synod members remove 3 --wait 0s   at once or not at all
  synod members list --connect 10.0.0.1 --tls-ca cluster-tls/ca.pem --password-file secret

Exit codes:
  0  done
  2  bad usage, refused, or nobody answered";

/// Examples in `synod backup --help`.
const BACKUP_AFTER: &str = "\
The file has all keys as of one slot, which is not older than what any client was told before. One that exists is replaced
once the new one is whole. Sessions (SYNOD.SESSION) are not in it.

Examples:
  synod backup monday.synod --connect 10.0.0.1:7379
  synod restore monday.synod --connect 10.0.1.1:7379      into another, empty cluster

Exit codes:
  0  done
  2  bad usage, refused, or nobody answered";

/// Examples in `synod restore --help`.
const RESTORE_AFTER: &str = "\
The cluster must be empty and have a number of its own: make its file with 'synod init', and start its nodes with --new. Keys
are set by decisions, like those of any client, and compared with the file at the end; let no client in before that. A
restore that was interrupted can be repeated. A key that lived for a time lives for the rest of it, counted from now.

Examples:
  synod restore monday.synod --connect 10.0.1.1:7379

Exit codes:
  0  all keys are there, or have expired
  2  bad usage, refused, or nobody answered";

// No documentation of the types, as `clap` would print it as the description of the command.
#[derive(Debug, Args)]
pub(in crate::cli) struct ConnectArgs {
    /// Address for clients of any node
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        value_parser = address,
        default_value = "127.0.0.1:7379"
    )]
    connect: SocketAddr,
    /// File with the certificate of the authority of a cluster that speaks TLS [default: plain text]
    #[arg(long, global = true, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Name in the certificate of the node [default: the address]
    #[arg(long, global = true, value_name = "NAME", requires = "tls_ca")]
    tls_name: Option<String>,
    /// File whose first line is the password of clients [default: none]
    #[arg(long, global = true, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(about = "Shows who leads a real cluster, how far a node is, and what is full")]
pub(in crate::cli) struct StatusArgs {
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
#[command(
    about = "Shows or changes the members of a real cluster",
    subcommand_required = true,
    arg_required_else_help = false,
    after_help = MEMBERS_AFTER
)]
pub(in crate::cli) struct MembersArgs {
    #[command(subcommand)]
    action: MembersActionArgs,
    /// How long to go on asking for a change that is refused for a reason that passes by itself
    #[arg(long, global = true, value_name = "TIME", value_parser = values::duration, default_value = "30s")]
    wait: Duration,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, clap::Subcommand)]
enum MembersActionArgs {
    /// Lists the members
    List,
    /// Makes a node a member that runs as a learner and has caught up
    Add {
        /// Number of the node, never used before
        #[arg(value_parser = values::real_node)]
        node: NodeId,
    },
    /// Removes a member for ever
    Remove {
        /// Number of the member
        #[arg(value_parser = values::real_node)]
        node: NodeId,
    },
    /// Removes a member and makes a node a member in its place, in one step
    Replace {
        /// Number of the member that is lost
        #[arg(value_parser = values::real_node)]
        lost: NodeId,
        /// Number of the new one, never used before
        #[arg(value_parser = values::real_node)]
        new: NodeId,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct FileArgs {
    /// File of the backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
#[command(about = "Writes the keys of a real cluster into a file", after_help = BACKUP_AFTER)]
pub(in crate::cli) struct BackupArgs {
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Debug, Args)]
#[command(about = "Sets the keys of a backup in a new real cluster", after_help = RESTORE_AFTER)]
pub(in crate::cli) struct RestoreArgs {
    #[command(flatten)]
    file: FileArgs,
}

impl StatusArgs {
    pub(in crate::cli) fn command(&self) -> StatusCommand {
        StatusCommand {
            door: self.connect.options(),
        }
    }
}

impl ConnectArgs {
    fn options(&self) -> DoorOptions {
        DoorOptions {
            address: self.connect,
            tls_ca: self.tls_ca.clone(),
            tls_name: self.tls_name.clone(),
            password_file: self.password_file.clone(),
        }
    }
}

impl FileArgs {
    fn command(self) -> BackupCommand {
        BackupCommand {
            file: self.file,
            door: self.connect.options(),
        }
    }
}

impl BackupArgs {
    pub(in crate::cli) fn command(self) -> BackupCommand {
        self.file.command()
    }
}

impl RestoreArgs {
    pub(in crate::cli) fn command(self) -> BackupCommand {
        self.file.command()
    }
}

impl MembersArgs {
    pub(in crate::cli) fn command(&self) -> MembersCommand {
        MembersCommand {
            door: self.connect.options(),
            wait: self.wait,
            action: match self.action {
                MembersActionArgs::List => MembersAction::List,
                MembersActionArgs::Add { node } => MembersAction::Add(node),
                MembersActionArgs::Remove { node } => MembersAction::Remove(node),
                MembersActionArgs::Replace { lost, new } => MembersAction::Replace { lost, new },
            },
        }
    }
}
