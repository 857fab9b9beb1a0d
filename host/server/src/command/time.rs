//! Times at which keys expire, as arguments of commands.

use super::{CommandError, args::is};
use crate::op::{Expiry, Unit};
use crate::resp::integer;

/// The longest time from now at which a key can expire, in milliseconds. The time of day that it comes to fits in a signed
/// integer of 64 bits until the year 2248.
const RELATIVE_MAX: i64 = i64::MAX - (1 << 43);

/// How a time is given: `EX`, `PX`, `EXAT` or `PXAT`, or the command whose argument it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The unit.
    pub(super) unit: Unit,
    /// Whether it counts from now, and otherwise from 1970.
    pub(super) from_now: bool,
}

impl Form {
    pub(super) const SECONDS: Self = Self::new(Unit::Seconds, true);
    pub(super) const MILLISECONDS: Self = Self::new(Unit::Milliseconds, true);
    pub(super) const AT_SECONDS: Self = Self::new(Unit::Seconds, false);
    pub(super) const AT_MILLISECONDS: Self = Self::new(Unit::Milliseconds, false);

    const fn new(unit: Unit, from_now: bool) -> Self {
        Self { unit, from_now }
    }

    /// Returns the form that an option stands for.
    fn of(option: &[u8]) -> Option<Self> {
        [
            ("ex", Self::SECONDS),
            ("px", Self::MILLISECONDS),
            ("exat", Self::AT_SECONDS),
            ("pxat", Self::AT_MILLISECONDS),
        ]
        .into_iter()
        .find_map(|(name, form)| is(option, name).then_some(form))
    }

    /// Reads a time that must be positive, for the command `name`.
    pub(super) fn positive(self, text: &[u8], name: &'static str) -> Result<Expiry, CommandError> {
        match self.read(text, name)? {
            time if time <= 0 => Err(CommandError::ExpireTime(name)),
            time => Ok(self.expiry(time)),
        }
    }

    /// Reads a time that may have passed, for the command `name`. Such a time becomes the beginning of 1970.
    pub(super) fn any(self, text: &[u8], name: &'static str) -> Result<Expiry, CommandError> {
        self.read(text, name).map(|time| self.expiry(time))
    }

    /// Reads a time in milliseconds.
    fn read(self, text: &[u8], name: &'static str) -> Result<i64, CommandError> {
        let time = integer(text).ok_or(CommandError::NotAnInteger)?;
        let time = match self.unit {
            Unit::Seconds => time.checked_mul(1_000),
            Unit::Milliseconds => Some(time),
        };
        time.filter(|time| !self.from_now || *time <= RELATIVE_MAX)
            .ok_or(CommandError::ExpireTime(name))
    }

    /// Returns when a key expires that is given this time in milliseconds.
    fn expiry(self, time: i64) -> Expiry {
        match u64::try_from(time) {
            Ok(time) if self.from_now && time > 0 => Expiry::In(time),
            Ok(time) if !self.from_now => Expiry::At(time),
            _ => Expiry::At(0),
        }
    }
}

/// The options of `SET` and `GETEX` that say when the key expires. At most one kind of them can be given; the last one of a
/// kind counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timing<'a> {
    /// No option so far.
    Unsaid,
    /// The option without a time: `KEEPTTL` or `PERSIST`.
    Word,
    /// An option with a time, which is not read before all options are known.
    Time(Form, &'a [u8]),
}

impl<'a> Timing<'a> {
    /// Takes an option, with its time from `rest`, if it is one of these or `word`. Returns whether it is.
    pub(super) fn take(
        &mut self,
        option: &[u8],
        word: &str,
        rest: &mut impl Iterator<Item = &'a [u8]>,
    ) -> Result<bool, CommandError> {
        let new = if is(option, word) {
            Self::Word
        } else if let Some(form) = Form::of(option) {
            Self::Time(form, rest.next().ok_or(CommandError::Syntax)?)
        } else {
            return Ok(false);
        };
        let agree = match (*self, new) {
            (Self::Unsaid, _) | (Self::Word, Self::Word) => true,
            (Self::Time(before, _), Self::Time(form, _)) => before == form,
            _ => false,
        };
        if !agree {
            return Err(CommandError::Syntax);
        }
        *self = new;
        Ok(true)
    }

    /// Returns when the key expires, for the command `name`, given what it means to say nothing and to say the word.
    pub(super) fn expiry(
        self,
        unsaid: Expiry,
        word: Expiry,
        name: &'static str,
    ) -> Result<Expiry, CommandError> {
        match self {
            Self::Unsaid => Ok(unsaid),
            Self::Word => Ok(word),
            Self::Time(form, text) => form.positive(text, name),
        }
    }
}
