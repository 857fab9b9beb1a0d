//! A workload of clients that contend for the same keys, so that the right answers are not known beforehand.
//!
//! With [`KvScript`](super::KvScript) and [`BankScript`](super::BankScript) each client has a key of its own and knows
//! every answer. That would never show two clients that see each other's writes in different orders. Here they share a
//! few keys, and a checker of linearizability has to judge.

use super::workload::Workload;
use crate::StateMachine;
use crate::machines::{Bank, BankCommand, Key, Kv, KvCommand};
use crate::random::mix;

/// Each client uses a few keys that it shares with all the others, as a seed says; half of the requests change them. Every
/// set writes a value that no other one writes, so that an answer tells which one it saw.
///
/// Any answer is right here: what the clients were answered together is for an observer to judge.
///
/// ```
/// use synod::machines::Kv;
/// use synod::simulation::{Contention, Workload};
///
/// let mut contention = Contention::new(6, 11, 2);
/// let first = Workload::<Kv<4>>::command(&mut contention, 0, 1);
/// assert!(first.is_some());
/// assert_eq!(first, Workload::<Kv<4>>::command(&mut contention, 0, 1), "asked for once more");
/// assert_eq!(None, Workload::<Kv<4>>::command(&mut contention, 0, 12), "after eleven requests");
/// ```
#[derive(Clone, Debug)]
pub struct Contention {
    /// What the draws of every request follow from.
    seed: u64,
    /// How many requests each client makes.
    requests: u32,
    /// How many keys there are for all of them together.
    keys: u32,
}

impl Contention {
    /// Each client makes so many requests, about so many keys: the fewer, the more they are in each other's way.
    pub const fn new(seed: u64, requests: u32, keys: u32) -> Self {
        Self {
            seed,
            requests,
            keys,
        }
    }

    /// The key, the kind and the amount of a request. They follow from the seed, the client and the number alone, so
    /// that a client gives the same command however often and in whichever order it is asked.
    fn draw(&self, client: u16, number: u32) -> Option<(Key, u32, u32)> {
        let request = u64::from(client) << 32 | u64::from(number);
        let drawn = mix(self.seed ^ mix(request));
        // The halves of a mixed word are independent: what is done does not hang on the key.
        let low = u32::try_from(drawn & 0xffff_ffff).unwrap_or(0);
        let high = u32::try_from(drawn >> 32).unwrap_or(0);
        let key = Key::numbered(low % self.keys.max(1));
        (number <= self.requests).then_some((key, high % 4, high / 4))
    }
}

impl<const KEYS: usize> Workload<Kv<KEYS>> for Contention {
    fn command(&mut self, client: u16, number: u32) -> Option<KvCommand> {
        let (key, kind, _) = self.draw(client, number)?;
        // A client uses each number once, so that no two sets write the same.
        let value = i64::from(client) << 32 | i64::from(number);
        Some(match kind {
            0 | 1 => KvCommand::Get(key),
            _ => KvCommand::Set(key, value),
        })
    }

    fn is_read(&self, command: &KvCommand) -> bool {
        matches!(command, KvCommand::Get(_))
    }

    fn check(
        &mut self,
        _client: u16,
        _number: u32,
        _output: &<Kv<KEYS> as StateMachine>::Output,
    ) -> bool {
        true
    }

    fn requests(&self, _client: u16) -> u64 {
        u64::from(self.requests)
    }
}

impl<const ACCOUNTS: usize> Workload<Bank<ACCOUNTS>> for Contention {
    fn command(&mut self, client: u16, number: u32) -> Option<BankCommand> {
        let (account, kind, amount) = self.draw(client, number)?;
        Some(match kind {
            // Twice as many deposits as withdrawals, of as much on average, so that some withdrawals have cover and
            // some are refused.
            0 => BankCommand::Balance(account),
            1 => BankCommand::Withdraw(account, u64::from(amount)),
            _ => BankCommand::Deposit(account, u64::from(amount)),
        })
    }

    fn is_read(&self, command: &BankCommand) -> bool {
        matches!(command, BankCommand::Balance(_))
    }

    fn check(
        &mut self,
        _client: u16,
        _number: u32,
        _output: &<Bank<ACCOUNTS> as StateMachine>::Output,
    ) -> bool {
        true
    }

    fn requests(&self, _client: u16) -> u64 {
        u64::from(self.requests)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_clients_use_the_same_keys_and_never_write_the_same() {
        let mut contest = Contention::new(6, 50, 3);
        let (mut keys, mut values, mut sets) = (BTreeSet::new(), BTreeSet::new(), 0);
        for client in 0..4 {
            for number in 1..=50 {
                let command = Workload::<Kv<4>>::command(&mut contest, client, number);
                if let Some(KvCommand::Set(key, value)) = command {
                    keys.insert(key);
                    values.insert(value);
                    sets += 1;
                }
            }
            assert_eq!(Workload::<Kv<4>>::command(&mut contest, client, 51), None);
        }
        assert_eq!((keys.len(), values.len()), (3, sets));
        assert!((60..140).contains(&sets), "{sets} of 200 requests are sets");
    }
}
