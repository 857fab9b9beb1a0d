//! A bank: account balances that deposits raise and withdrawals lower, and that never fall below zero.
//!
//! Unlike a store, a bank shows a command that was applied twice or left out: a balance depends on all commands before
//! it. So it is the sharper of the two in tests of exactly-once semantics.

use super::{Key, version};
use crate::{MalformedPage, Reader, SNAPSHOT_PAGE, Sink, StateMachine, Value, Writer};
use core::fmt;
use heapless::Vec;

/// The commands of a [`Bank`]. Amounts are in the smallest unit of money.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum BankCommand {
    /// Returns the balance of an account; 0 if it never had a deposit.
    Balance(Key),
    /// Adds an amount to an account and returns the balance.
    Deposit(Key, u64),
    /// Subtracts an amount from an account and returns the balance; refused if the balance is lower.
    Withdraw(Key, u64),
}

impl fmt::Debug for BankCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balance(account) => write!(f, "balance({account})"),
            Self::Deposit(account, amount) => write!(f, "deposit({account}, {amount})"),
            Self::Withdraw(account, amount) => write!(f, "withdraw({account}, {amount})"),
        }
    }
}

/// The same words as `Debug`.
#[cfg(feature = "defmt")]
#[expect(
    clippy::match_same_arms,
    reason = "the words differ, which the lint does not see"
)]
impl defmt::Format for BankCommand {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::Balance(account) => defmt::write!(f, "balance({})", account),
            Self::Deposit(account, amount) => {
                defmt::write!(f, "deposit({}, {=u64})", account, amount);
            }
            Self::Withdraw(account, amount) => {
                defmt::write!(f, "withdraw({}, {=u64})", account, amount);
            }
        }
    }
}

impl Value for BankCommand {
    const ENCODED_MAX: usize = 1 + Key::ENCODED_MAX + 8;

    fn encode(&self, sink: &mut impl Sink) {
        // All commands have the same length. A balance has the amount 0, and the reader refuses any other, so that each
        // command has one encoding.
        let (tag, account, amount) = match self {
            Self::Balance(account) => (0, account, 0),
            Self::Deposit(account, amount) => (1, account, *amount),
            Self::Withdraw(account, amount) => (2, account, *amount),
        };
        sink.put_u8(tag);
        account.encode(sink);
        sink.put_u64(amount);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let (tag, account, amount) = (reader.u8()?, Key::decode(reader)?, reader.u64()?);
        match tag {
            0 if amount == 0 => Some(Self::Balance(account)),
            1 => Some(Self::Deposit(account, amount)),
            2 => Some(Self::Withdraw(account, amount)),
            _ => None,
        }
    }
}

/// The outputs of a [`Bank`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum BankReply {
    /// The balance after the command.
    Balance(u64),
    /// The withdrawal exceeds this balance, or the deposit would exceed the maximum balance; nothing was changed.
    Refused(u64),
    /// There is no room for a new account; nothing was changed.
    Full,
}

impl fmt::Debug for BankReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balance(balance) => balance.fmt(f),
            Self::Refused(balance) => write!(f, "refused({balance})"),
            Self::Full => f.write_str("full"),
        }
    }
}

/// The same words as `Debug`.
#[cfg(feature = "defmt")]
#[expect(
    clippy::match_same_arms,
    reason = "the words differ, which the lint does not see"
)]
impl defmt::Format for BankReply {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::Balance(balance) => defmt::write!(f, "{=u64}", balance),
            Self::Refused(balance) => defmt::write!(f, "refused({=u64})", balance),
            Self::Full => defmt::write!(f, "full"),
        }
    }
}

impl Value for BankReply {
    const ENCODED_MAX: usize = 9;

    fn encode(&self, sink: &mut impl Sink) {
        let (tag, balance) = match self {
            Self::Balance(balance) => (0, *balance),
            Self::Refused(balance) => (1, *balance),
            Self::Full => (2, 0),
        };
        sink.put_u8(tag);
        sink.put_u64(balance);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        match (reader.u8()?, reader.u64()?) {
            (0, balance) => Some(Self::Balance(balance)),
            (1, balance) => Some(Self::Refused(balance)),
            (2, 0) => Some(Self::Full),
            _ => None,
        }
    }
}

/// A bank with up to `ACCOUNTS` accounts.
///
/// ```
/// use synod::StateMachine;
/// use synod::machines::{Bank, BankCommand, BankReply, Key};
///
/// let mut bank = Bank::<4>::default();
/// let a = Key::new("A").unwrap();
/// bank.apply(&BankCommand::Deposit(a, 10));
/// assert_eq!(bank.apply(&BankCommand::Deposit(a, 5)), BankReply::Balance(15));
/// assert_eq!(bank.apply(&BankCommand::Withdraw(a, 16)), BankReply::Refused(15));
/// assert_eq!(bank.apply(&BankCommand::Withdraw(a, 15)), BankReply::Balance(0));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bank<const ACCOUNTS: usize> {
    /// In rising order of names, so that equal contents are equal bytes.
    accounts: Vec<(Key, u64), ACCOUNTS>,
}

const _: () = assert!(
    Key::ENCODED_MAX + 8 <= SNAPSHOT_PAGE,
    "an account fits in a page of a snapshot"
);

impl<const ACCOUNTS: usize> Bank<ACCOUNTS> {
    /// Accounts in a page: each is a name and eight bytes of balance.
    const ACCOUNTS_A_PAGE: usize = SNAPSHOT_PAGE / (Key::ENCODED_MAX + 8);

    /// Returns the index of an account; or where it belongs, if it never had a deposit.
    fn find(&self, account: Key) -> Result<usize, usize> {
        self.accounts
            .binary_search_by_key(&account, |(known, _)| *known)
    }

    /// Returns the balance of an account; 0 if it never had a deposit.
    pub fn balance(&self, account: Key) -> u64 {
        let index = self.find(account).ok();
        index
            .and_then(|index| self.accounts.get(index))
            .map_or(0, |(_, balance)| *balance)
    }

    /// Sets the balance of an account, and opens the account if necessary. An account stays open when it is empty.
    fn store(&mut self, account: Key, balance: u64) -> BankReply {
        match self.find(account) {
            Ok(index) => {
                if let Some(known) = self.accounts.get_mut(index) {
                    known.1 = balance;
                }
            }
            Err(index) => {
                if !super::insert(&mut self.accounts, index, (account, balance)) {
                    return BankReply::Full;
                }
            }
        }
        debug_assert!(
            self.accounts.is_sorted_by(|(one, _), (next, _)| one < next),
            "equal contents are equal bytes only in one order (R5)"
        );
        BankReply::Balance(balance)
    }
}

impl<const ACCOUNTS: usize> StateMachine for Bank<ACCOUNTS> {
    type Command = BankCommand;
    type Output = BankReply;

    /// Depends on the capacity, since a larger bank takes an account that a full one rejects.
    const VERSION: u32 = version(b'b', ACCOUNTS);

    fn apply(&mut self, command: &BankCommand) -> BankReply {
        match command {
            BankCommand::Balance(account) => BankReply::Balance(self.balance(*account)),
            BankCommand::Deposit(account, amount) => {
                let balance = self.balance(*account);
                match balance.checked_add(*amount) {
                    Some(sum) => self.store(*account, sum),
                    None => BankReply::Refused(balance),
                }
            }
            BankCommand::Withdraw(account, amount) => {
                let balance = self.balance(*account);
                match balance.checked_sub(*amount) {
                    // A withdrawal of nothing must not create an account.
                    Some(_) if *amount == 0 => BankReply::Balance(balance),
                    Some(rest) => self.store(*account, rest),
                    None => BankReply::Refused(balance),
                }
            }
        }
    }

    fn snapshot_pages(&self) -> u32 {
        u32::try_from(self.accounts.len().div_ceil(Self::ACCOUNTS_A_PAGE)).unwrap_or(u32::MAX)
    }

    fn write_page(&self, page: u32, writer: &mut Writer<'_>) {
        // As in the store: a page has whole accounts.
        let skip = usize::try_from(page)
            .unwrap_or(usize::MAX)
            .saturating_mul(Self::ACCOUNTS_A_PAGE);
        for (account, balance) in self.accounts.iter().skip(skip).take(Self::ACCOUNTS_A_PAGE) {
            account.encode(writer);
            writer.put_u64(*balance);
        }
    }

    fn read_page(&mut self, _page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        while !reader.is_empty() {
            let account = Key::decode(reader).ok_or(MalformedPage)?;
            let balance = reader.u64().ok_or(MalformedPage)?;
            if self.store(account, balance) == BankReply::Full {
                return Err(MalformedPage);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_added_and_subtracted_and_never_overwritten() {
        let a = Key::numbered(0);
        let mut bank = Bank::<2>::default();
        for (command, reply) in [
            (BankCommand::Balance(a), BankReply::Balance(0)),
            (BankCommand::Withdraw(a, 1), BankReply::Refused(0)),
            (BankCommand::Deposit(a, 10), BankReply::Balance(10)),
            (BankCommand::Deposit(a, 5), BankReply::Balance(15)),
            (BankCommand::Withdraw(a, 4), BankReply::Balance(11)),
            (BankCommand::Withdraw(a, 12), BankReply::Refused(11)),
            (BankCommand::Deposit(a, u64::MAX), BankReply::Refused(11)),
            (BankCommand::Balance(a), BankReply::Balance(11)),
        ] {
            assert_eq!(bank.apply(&command), reply, "{command:?}");
        }
    }

    #[test]
    fn a_full_bank_opens_no_account() {
        let mut bank = Bank::<1>::default();
        bank.apply(&BankCommand::Deposit(Key::numbered(0), 1));
        assert_eq!(
            bank.apply(&BankCommand::Deposit(Key::numbered(1), 1)),
            BankReply::Full
        );
        assert_eq!(
            bank.apply(&BankCommand::Withdraw(Key::numbered(1), 0)),
            BankReply::Balance(0)
        );
    }
}
