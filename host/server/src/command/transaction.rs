//! The transaction of a connection: commands that are kept from `MULTI` to `EXEC`, and are then executed as one.

use super::args::is;
use super::{Access, Command, CommandError, SessionCommand, read};
use crate::op::Op;
use crate::reply::Reply;

/// The greatest length of a transaction, in bytes: its operations are one batch in the log. Each command counts as twelve
/// bytes, and each of its arguments as its own and two.
pub const TRANSACTION_MAX: usize = 432;
/// What a command takes in a batch beside its arguments, in bytes: its kind, its options, a time or a number.
const COMMAND_COST: usize = 12;
/// What an argument takes beside its bytes: its length.
const ARGUMENT_COST: usize = 2;

/// A command that begins or ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionCommand {
    /// `MULTI`.
    Multi,
    /// `EXEC`.
    Exec,
    /// `DISCARD`.
    Discard,
}

/// What is to be done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The request is answered with this.
    Reply(Reply),
    /// The command is executed.
    Run(Command<'a>),
    /// The operations of a transaction are executed as one. The request is answered with [`Queued::reply`].
    Execute(Queued),
}

/// The state of `MULTI` on a connection.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The commands so far; `None` outside of a transaction.
    queue: Option<Queue>,
}

/// The commands of an open transaction.
#[derive(Debug, Default)]
struct Queue {
    slots: Vec<Slot>,
    /// The length so far, as [`TRANSACTION_MAX`] counts it.
    len: usize,
    /// Whether a command was refused, so that `EXEC` does nothing.
    doomed: bool,
}

/// A command of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    /// An operation, as the arguments of its request.
    Op(Vec<Vec<u8>>),
    /// A command whose reply is known, which may be an error.
    Known(Reply),
}

/// The commands of a transaction that is to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    slots: Vec<Slot>,
}

impl Transaction {
    /// Returns whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.queue.is_some()
    }

    /// Makes the next `EXEC` do nothing, if a transaction is open. To be called when a request was refused before it was
    /// read.
    pub fn doom(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.doom();
        }
    }

    /// Handles a request: reads it, and keeps it if a transaction is open.
    pub fn handle<'a>(&mut self, request: &[&'a [u8]], access: Access) -> Step<'a> {
        let command = match read(request, access) {
            Ok(command) => command,
            Err(error) => return Step::Reply(self.handle_error(request, error)),
        };
        match (command, &mut self.queue) {
            (Command::Transaction(command), _) => self.control(command),
            (Command::Session(SessionCommand::Reset), queue) => {
                *queue = None;
                Step::Run(Command::Session(SessionCommand::Reset))
            }
            (command @ Command::Session(SessionCommand::Quit), _) | (command, None) => {
                Step::Run(command)
            }
            (command, Some(queue)) => Step::Reply(queue.push(request, &command)),
        }
    }

    /// Begins or ends a transaction.
    fn control(&mut self, command: TransactionCommand) -> Step<'static> {
        match (command, self.queue.take()) {
            (TransactionCommand::Multi, None) => {
                self.queue = Some(Queue::default());
                Step::Reply(Reply::OK)
            }
            (TransactionCommand::Multi, queue) => {
                self.queue = queue;
                refuse("ERR MULTI calls can not be nested")
            }
            (TransactionCommand::Exec, None) => refuse("ERR EXEC without MULTI"),
            (TransactionCommand::Exec, Some(queue)) if queue.doomed => {
                refuse("EXECABORT Transaction discarded because of previous errors.")
            }
            (TransactionCommand::Exec, Some(queue)) => {
                let slots = queue.slots;
                Step::Execute(Queued { slots })
            }
            (TransactionCommand::Discard, None) => refuse("ERR DISCARD without MULTI"),
            (TransactionCommand::Discard, Some(_)) => Step::Reply(Reply::OK),
        }
    }

    /// Returns the reply to a request that could not be read.
    fn handle_error(&mut self, request: &[&[u8]], error: CommandError) -> Reply {
        if error.dooms_transaction() && request.first().is_some_and(|name| is(name, "exec")) {
            self.queue = None;
            let error = error.to_string();
            let reason = error.strip_prefix("ERR ").unwrap_or(&error);
            return Reply::Error(format!(
                "EXECABORT Transaction discarded because of: {reason}"
            ));
        }
        match &mut self.queue {
            Some(queue) if error.dooms_transaction() => {
                queue.doom();
                error.into()
            }
            Some(queue) => queue.keep(request, Slot::Known(error.into())),
            None => error.into(),
        }
    }
}

impl Queue {
    /// Appends a command, unless it cannot be a part of a transaction.
    fn push(&mut self, request: &[&[u8]], command: &Command<'_>) -> Reply {
        let slot = match command {
            Command::Op(_) => Slot::Op(request.iter().map(|arg| arg.to_vec()).collect()),
            Command::Session(
                command @ (SessionCommand::Ping(_)
                | SessionCommand::Echo(_)
                | SessionCommand::Select),
            ) => Slot::Known(command.reply().unwrap_or(Reply::Nil)),
            _ => {
                self.doom();
                return CommandError::InTransaction.into();
            }
        };
        self.keep(request, slot)
    }

    /// Keeps a command, as long as there is room for it.
    fn keep(&mut self, request: &[&[u8]], slot: Slot) -> Reply {
        let args = request.iter().skip(1);
        self.len += COMMAND_COST + args.map(|arg| arg.len() + ARGUMENT_COST).sum::<usize>();
        if self.doomed {
            return Reply::Status("QUEUED");
        }
        if self.len > TRANSACTION_MAX {
            self.doom();
            let (what, max) = ("transaction", TRANSACTION_MAX);
            return CommandError::TooLong { what, max }.into();
        }
        self.slots.push(slot);
        Reply::Status("QUEUED")
    }

    /// Gives the transaction up. Its commands are not needed any more.
    fn doom(&mut self) {
        self.doomed = true;
        self.slots = Vec::new();
    }
}

impl Slot {
    /// Returns the operation, if it is one.
    fn op(&self) -> Option<Op<'_>> {
        let Self::Op(args) = self else {
            return None;
        };
        let request: Vec<_> = args.iter().map(Vec::as_slice).collect();
        match read(&request, Access::Open) {
            Ok(Command::Op(op)) => Some(op),
            _ => None,
        }
    }
}

impl Queued {
    /// Returns the operations, in their order; none if all replies are known.
    pub fn ops(&self) -> Vec<Op<'_>> {
        self.slots.iter().filter_map(Slot::op).collect()
    }

    /// Returns the reply of `EXEC`, given the replies of the operations in their order.
    pub fn reply(self, results: impl IntoIterator<Item = Reply>) -> Reply {
        let mut results = results.into_iter();
        let replies = self.slots.into_iter().map(|slot| match slot {
            Slot::Op(_) => results.next().unwrap_or(Reply::Nil),
            Slot::Known(reply) => reply,
        });
        Reply::Array(replies.collect())
    }
}

fn refuse(text: &str) -> Step<'static> {
    Step::Reply(Reply::Error(text.to_owned()))
}
