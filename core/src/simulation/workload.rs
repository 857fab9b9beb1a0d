//! Workloads: what clients ask for, and which answers are right.
//!
//! A workload is asked for commands and told the answers, client by client. One that can foretell each answer turns
//! every client into a checker: each has a key or an account of its own, in which only its own requests show.

use super::scenario::CLIENTS_MAX;
use crate::StateMachine;
use crate::machines::{Bank, BankCommand, BankReply, Key, Kv, KvCommand, KvReply};

/// What the clients of a run ask for, one thing after the other, and whether an answer is right.
pub trait Workload<M: StateMachine> {
    /// What client `client` asks for under `number`, which counts from 1; `None` when it is done. Called once for each.
    fn command(&mut self, client: u16, number: u32) -> Option<M::Command>;

    /// Whether the output of that request is right. Called once for each, in order.
    fn check(&mut self, client: u16, number: u32, output: &M::Output) -> bool;

    /// Whether a command changes nothing, whatever the state: then it does no harm if it is applied although the client has
    /// withdrawn it and asks for it under another number.
    fn is_read(&self, command: &M::Command) -> bool {
        let _ = command;
        false
    }

    /// How many requests a client makes in all.
    fn requests(&self, client: u16) -> u64;

    /// The requests of a client up to `number` were answered in an earlier run; called before anything else is asked about
    /// the client. What comes next, and what is right, must be as if they had been answered in this one.
    fn skip(&mut self, client: u16, number: u32) {
        for number in 1..=number {
            let _ = self.command(client, number);
        }
    }
}

/// What a [`KvScript`] does in turn: `None` gets, `Some` sets.
const KV_STEPS: [Option<i64>; 11] = [
    None,
    Some(9),
    None,
    Some(6),
    Some(32),
    None,
    Some(39),
    None,
    Some(66),
    Some(77),
    None,
];

/// Each client has a key of its own, named A, B and so on, and gets and sets it in eleven steps, over and over: get, set
/// 9, get, set 6, set 32, get, set 39, get, set 66, set 77, get.
#[derive(Clone, Debug)]
pub struct KvScript {
    /// How many requests each client makes.
    requests: u32,
    /// What each client's key must hold now.
    expected: [Option<i64>; CLIENTS_MAX],
}

impl KvScript {
    /// Each client makes so many requests.
    pub const fn new(requests: u32) -> Self {
        Self {
            requests,
            expected: [None; CLIENTS_MAX],
        }
    }

    /// What a request does: `None` gets, `Some` sets. Numbers count from 1.
    fn step(number: u32) -> Option<i64> {
        let steps = u32::try_from(KV_STEPS.len()).unwrap_or(1);
        let index = number.wrapping_sub(1) % steps;
        KV_STEPS
            .get(usize::try_from(index).unwrap_or(0))
            .copied()
            .flatten()
    }
}

impl KvScript {
    /// A request has changed what its key holds; what is right to answer. `None` for a client that there cannot be, whose
    /// every answer is wrong.
    fn go_on(&mut self, client: u16, number: u32) -> Option<KvReply> {
        let expected = self.expected.get_mut(usize::from(client))?;
        if let Some(value) = Self::step(number) {
            *expected = Some(value);
        }
        Some(expected.map_or(KvReply::None, KvReply::Value))
    }
}

impl<const KEYS: usize> Workload<Kv<KEYS>> for KvScript {
    fn command(&mut self, client: u16, number: u32) -> Option<KvCommand> {
        // A key of its own, so that nobody else's requests change the right answers, however they are ordered.
        let key = Key::numbered(u32::from(client));
        let command = match Self::step(number) {
            None => KvCommand::Get(key),
            Some(value) => KvCommand::Set(key, value),
        };
        (number <= self.requests).then_some(command)
    }

    fn is_read(&self, command: &KvCommand) -> bool {
        matches!(command, KvCommand::Get(_))
    }

    fn check(&mut self, client: u16, number: u32, output: &KvReply) -> bool {
        self.go_on(client, number)
            .is_some_and(|right| *output == right)
    }

    fn skip(&mut self, client: u16, number: u32) {
        for number in 1..=number {
            self.go_on(client, number);
        }
    }

    fn requests(&self, _client: u16) -> u64 {
        u64::from(self.requests)
    }
}

/// One step of a [`BankScript`].
#[derive(Clone, Copy, Debug)]
enum BankStep {
    Balance,
    Deposit(u64),
    Withdraw(u64),
}

/// What a [`BankScript`] does in turn. The last withdrawal is more than there ever is, and must be refused.
const BANK_STEPS: [BankStep; 8] = [
    BankStep::Balance,
    BankStep::Deposit(10),
    BankStep::Deposit(5),
    BankStep::Balance,
    BankStep::Withdraw(4),
    BankStep::Balance,
    BankStep::Withdraw(u64::MAX),
    BankStep::Balance,
];

/// Each client has an account of its own, named A, B and so on, and uses it in eight steps, over and over: balance,
/// deposit 10, deposit 5, balance, withdraw 4, balance, a withdrawal that must be refused, balance.
///
/// ```
/// use synod::machines::{Bank, BankReply};
/// use synod::simulation::{BankScript, Workload};
///
/// let mut script = BankScript::new(8);
/// assert!(Workload::<Bank<1>>::check(&mut script, 0, 1, &BankReply::Balance(0)));
/// assert!(Workload::<Bank<1>>::check(&mut script, 0, 2, &BankReply::Balance(10)), "a deposit");
/// assert!(!Workload::<Bank<1>>::check(&mut script, 0, 3, &BankReply::Balance(5)), "it is lost");
/// ```
#[derive(Clone, Debug)]
pub struct BankScript {
    /// How many requests each client makes.
    requests: u32,
    /// What each client's account must hold now.
    expected: [u64; CLIENTS_MAX],
}

impl BankScript {
    /// Each client makes so many requests.
    pub const fn new(requests: u32) -> Self {
        Self {
            requests,
            expected: [0; CLIENTS_MAX],
        }
    }

    /// What a request does. Numbers count from 1.
    fn step(number: u32) -> BankStep {
        let steps = u32::try_from(BANK_STEPS.len()).unwrap_or(1);
        let index = number.wrapping_sub(1) % steps;
        BANK_STEPS
            .get(usize::try_from(index).unwrap_or(0))
            .copied()
            .unwrap_or(BankStep::Balance)
    }
}

impl BankScript {
    /// A request has changed the balance; what is right to answer.
    fn go_on(&mut self, client: u16, number: u32) -> Option<BankReply> {
        let expected = self.expected.get_mut(usize::from(client))?;
        let refused = match Self::step(number) {
            BankStep::Balance => false,
            // A round of the script adds 11, so that no run comes near the end of the numbers.
            BankStep::Deposit(amount) => {
                *expected += amount;
                false
            }
            BankStep::Withdraw(amount) => match expected.checked_sub(amount) {
                Some(rest) => {
                    *expected = rest;
                    false
                }
                None => true,
            },
        };
        Some(if refused {
            BankReply::Refused(*expected)
        } else {
            BankReply::Balance(*expected)
        })
    }
}

impl<const ACCOUNTS: usize> Workload<Bank<ACCOUNTS>> for BankScript {
    fn command(&mut self, client: u16, number: u32) -> Option<BankCommand> {
        let account = Key::numbered(u32::from(client));
        let command = match Self::step(number) {
            BankStep::Balance => BankCommand::Balance(account),
            BankStep::Deposit(amount) => BankCommand::Deposit(account, amount),
            BankStep::Withdraw(amount) => BankCommand::Withdraw(account, amount),
        };
        (number <= self.requests).then_some(command)
    }

    fn is_read(&self, command: &BankCommand) -> bool {
        matches!(command, BankCommand::Balance(_))
    }

    fn check(&mut self, client: u16, number: u32, output: &BankReply) -> bool {
        self.go_on(client, number)
            .is_some_and(|right| *output == right)
    }

    fn skip(&mut self, client: u16, number: u32) {
        for number in 1..=number {
            self.go_on(client, number);
        }
    }

    fn requests(&self, _client: u16) -> u64 {
        u64::from(self.requests)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_default_client_expects_what_the_script_implies() {
        let mut machine = Kv::<64>::default();
        let mut script = KvScript::new(11);
        let mut answers = Vec::new();
        for number in 1.. {
            let Some(command) = Workload::<Kv<64>>::command(&mut script, 0, number) else {
                break;
            };
            let output = machine.apply(&command);
            assert!(Workload::<Kv<64>>::check(&mut script, 0, number, &output));
            answers.push(match output {
                KvReply::Value(value) => value,
                _ => 0,
            });
        }
        assert_eq!(answers, [0, 9, 9, 6, 32, 32, 39, 39, 66, 77, 77]);
    }

    /// Whether a client that skips some requests finds right what the machine answers that has seen them.
    fn goes_on<M: StateMachine>(script: &(impl Workload<M> + Clone)) {
        for skipped in 0..=20 {
            let (mut machine, mut first, mut again) =
                (M::default(), script.clone(), script.clone());
            for number in 1..=skipped {
                machine.apply(&first.command(3, number).unwrap());
            }
            again.skip(3, skipped);
            for number in skipped + 1..=30 {
                let output = machine.apply(&again.command(3, number).unwrap());
                assert!(again.check(3, number, &output), "{number} after {skipped}");
            }
        }
    }

    #[test]
    fn a_client_goes_on_where_an_earlier_run_left_it() {
        goes_on::<Kv<64>>(&KvScript::new(30));
        goes_on::<Bank<64>>(&BankScript::new(30));
    }

    #[test]
    fn a_wrong_answer_is_noticed() {
        let mut script = KvScript::new(11);
        assert!(!Workload::<Kv<64>>::check(
            &mut script,
            0,
            1,
            &KvReply::Value(9)
        ));
        assert!(!Workload::<Kv<64>>::check(
            &mut script,
            64,
            1,
            &KvReply::None
        ));
        let mut script = BankScript::new(8);
        assert!(Workload::<Bank<1>>::check(
            &mut script,
            0,
            2,
            &BankReply::Balance(10)
        ));
        assert!(
            !Workload::<Bank<1>>::check(&mut script, 0, 3, &BankReply::Balance(5)),
            "overwritten"
        );
        assert!(
            !Workload::<Bank<1>>::check(&mut script, 0, 7, &BankReply::Balance(0)),
            "overdrawn"
        );
    }
}
