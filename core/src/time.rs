//! Time as the core knows it: microseconds in 64 bits, passed in by the driver of a node.
//!
//! Nothing here reads a clock. An [`Instant`] is a distance from an origin that the driver chooses (power-on, or the
//! start of the simulation). Only differences and order matter to the protocol, and its safety depends on neither.

use core::fmt;
use core::ops::{Add, Div, Mul};

/// A span of time in whole microseconds; the maximum is about 584,000 years.
///
/// ```
/// use synod::Duration;
/// assert_eq!(Duration::from_millis(30).as_micros(), 30_000);
/// assert_eq!(Duration::from_millis(1500).to_string(), "1.5s");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Duration(u64);

impl Duration {
    /// The empty span.
    pub const ZERO: Self = Self(0);

    /// Returns a span in microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns a span in milliseconds; saturates at the maximum.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Returns a span in seconds; saturates at the maximum.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Returns the span in microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the sum, saturating at the maximum.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns the difference, or zero if `other` is longer.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<u64> for Duration {
    type Output = Self;

    fn mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Div<u64> for Duration {
    type Output = Self;

    /// Rounds down; division by zero returns the maximum, as a saturating operation.
    fn div(self, divisor: u64) -> Self {
        Self(self.0.checked_div(divisor).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Duration {
    /// The shortest exact form in seconds, milliseconds or microseconds: `1.5s`, `30ms`, `250us`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            0 => return f.write_str("0s"),
            micros if micros >= 1_000_000 => (1_000_000, "s"),
            micros if micros >= 1_000 => (1_000, "ms"),
            _ => (1, "us"),
        };
        write!(f, "{}", self.0 / unit)?;
        let (mut rest, mut place) = (self.0 % unit, unit / 10);
        if rest > 0 {
            f.write_str(".")?;
        }
        while rest > 0 {
            write!(f, "{}", rest / place)?;
            rest %= place;
            place /= 10;
        }
        f.write_str(name)
    }
}

/// A point in time: microseconds since the driver's origin.
///
/// ```
/// use synod::{Duration, Instant};
/// let start = Instant::ZERO;
/// let later = start + Duration::from_secs(2);
/// assert_eq!(later.since(start), Duration::from_secs(2));
/// assert_eq!(start.since(later), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Instant(u64);

impl Instant {
    /// The driver's origin.
    pub const ZERO: Self = Self(0);
    /// The last instant; a timer armed for it never fires.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// Returns the instant this many microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the span since `earlier`, or zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// Returns the instant one span before this one, or the origin if there is none.
    pub(crate) const fn back(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at [`Instant::FAR_FUTURE`].
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl fmt::Display for Instant {
    /// Seconds with four decimal places, truncated and not rounded, as in the log: `1.0518`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04}", self.0 / 1_000_000, self.0 % 1_000_000 / 100)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn durations_print_as_people_write_them() {
        for (micros, text) in [
            (0, "0s"),
            (7, "7us"),
            (30_000, "30ms"),
            (30_500, "30.5ms"),
            (1_000_001, "1.000001s"),
            (90_000_000, "90s"),
        ] {
            assert_eq!(Duration::from_micros(micros).to_string(), text);
        }
    }

    #[test]
    fn instants_never_wrap() {
        assert_eq!(
            Instant::FAR_FUTURE + Duration::from_secs(1),
            Instant::FAR_FUTURE
        );
        assert_eq!(Instant::from_micros(1_051_899).to_string(), "1.0518");
    }
}
