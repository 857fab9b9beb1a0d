//! Objects of the state machines in this package, in their simplest sequential specification.
//!
//! They share no code with the machines: a specification that applied commands by the machine
//! itself would agree with whatever the machine does.

use core::fmt::Debug;
use synod::StateMachine;
use synod::machines::{Bank, BankCommand, BankReply, Key, Kv, KvCommand, KvReply};

/// A state machine that consists of independent objects, so that the history of each can be checked alone.
///
/// ```
/// use synod::machines::{Key, Kv, KvCommand, KvReply};
/// use synod_host::linearizability::Objects;
///
/// let get = KvCommand::Get(Key::numbered(0));
/// assert_eq!(Kv::<4>::step(&Some(9), &get, Some(&KvReply::Value(9))), Some(Some(9)));
/// assert_eq!(Kv::<4>::step(&Some(9), &get, Some(&KvReply::Value(7))), None, "not that answer");
/// assert_eq!(Kv::<4>::step(&Some(9), &get, None), Some(Some(9)), "none has arrived");
/// ```
pub trait Objects: StateMachine {
    /// State of one object; [`Default`] is the initial one.
    type State: Clone + Default + Ord + Debug;

    /// Returns the object of a command.
    fn object(command: &Self::Command) -> Key;

    /// Applies a command to an object and returns the new state, or `None` if the command cannot have had this output.
    /// Without an output, any outcome is possible.
    fn step(
        state: &Self::State,
        command: &Self::Command,
        output: Option<&Self::Output>,
    ) -> Option<Self::State>;
}

/// An object is the value of a key. The output that the store is full depends on the other keys, and implies that this
/// one has no value.
impl<const KEYS: usize> Objects for Kv<KEYS> {
    type State = Option<i64>;

    fn object(command: &KvCommand) -> Key {
        match command {
            KvCommand::Get(key) | KvCommand::Set(key, _) => *key,
        }
    }

    fn step(
        state: &Self::State,
        command: &KvCommand,
        output: Option<&KvReply>,
    ) -> Option<Self::State> {
        match (command, output) {
            (KvCommand::Get(_), Some(KvReply::Value(told))) if *state != Some(*told) => None,
            (KvCommand::Get(_), Some(KvReply::None)) if state.is_some() => None,
            (KvCommand::Get(_), Some(KvReply::Full))
            | (KvCommand::Set(..), Some(KvReply::None)) => None,
            (KvCommand::Get(_), _) => Some(*state),
            (KvCommand::Set(_, value), Some(KvReply::Value(told))) if value != told => None,
            // A key that is known can always be set. A store that is full leaves it without a
            // value.
            (KvCommand::Set(..), Some(KvReply::Full)) => state.is_none().then_some(None),
            (KvCommand::Set(_, value), _) => Some(Some(*value)),
        }
    }
}

/// An object is the balance of an account. The output that the bank is full implies that the account does not exist.
impl<const ACCOUNTS: usize> Objects for Bank<ACCOUNTS> {
    type State = u64;

    fn object(command: &BankCommand) -> Key {
        match command {
            BankCommand::Balance(account)
            | BankCommand::Deposit(account, _)
            | BankCommand::Withdraw(account, _) => *account,
        }
    }

    fn step(
        balance: &Self::State,
        command: &BankCommand,
        output: Option<&BankReply>,
    ) -> Option<Self::State> {
        let after = match command {
            BankCommand::Balance(_) => Some(*balance),
            BankCommand::Deposit(_, amount) => balance.checked_add(*amount),
            BankCommand::Withdraw(_, amount) => balance.checked_sub(*amount),
        };
        // Without cover, or beyond 64 bits, the balance stays and is told.
        let reply = after.map_or(BankReply::Refused(*balance), BankReply::Balance);
        let full = BankReply::Full;
        match (command, output) {
            (BankCommand::Deposit(..), Some(told)) if *told == full && *balance == 0 => Some(0),
            (_, Some(told)) if *told != reply => None,
            _ => Some(after.unwrap_or(*balance)),
        }
    }
}
