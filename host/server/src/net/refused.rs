//! Who was refused, and why: everybody is counted, and each is named once for each reason.

use crate::tls::Refusal;
use core::net::{IpAddr, SocketAddr};

/// The most that are named. A stranger that comes from many addresses fills no disk with the log.
const NAMED: usize = 64;

/// Connections that were refused.
#[derive(Debug, Default)]
pub(super) struct Refused {
    count: u64,
    named: Vec<(IpAddr, Refusal)>,
    new: Vec<(SocketAddr, Refusal)>,
}

impl Refused {
    /// Adds a connection.
    pub(super) fn add(&mut self, address: SocketAddr, refusal: Refusal) {
        self.count += 1;
        let known = |(ip, why): &(IpAddr, Refusal)| *ip == address.ip() && *why == refusal;
        if self.named.len() < NAMED && !self.named.iter().any(known) {
            self.named.push((address.ip(), refusal.clone()));
            self.new.push((address, refusal));
        }
    }

    /// Returns how many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns those to name since the last call.
    pub(super) fn take(&mut self) -> Vec<(SocketAddr, Refusal)> {
        core::mem::take(&mut self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_each_is_named_once_for_each_reason_up_to_a_bound() {
        let mut refused = Refused::default();
        let from = |last: u8| SocketAddr::from(([10, 0, 0, last], 1));
        for _ in 0..3 {
            refused.add(from(1), Refusal::NoTls);
            refused.add(from(1), Refusal::Expired);
        }
        let expected = [(from(1), Refusal::NoTls), (from(1), Refusal::Expired)];
        assert_eq!(refused.take(), expected);
        for last in 2..=200 {
            refused.add(from(last), Refusal::NoTls);
        }
        assert_eq!((refused.take().len(), refused.count()), (NAMED - 2, 205));
    }
}
