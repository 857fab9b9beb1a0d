//! The simulated network, which loses and delays messages at random.
//!
//! A link has a mean delay, an even jitter around it, and a rate of loss, and all links are alike. Messages overtake
//! each other as far as the jitter allows. Everything worse than that is a fault: see [`Faults`](super::Faults).

use crate::Duration;
use crate::random::{Purpose, below, span_below, stream};
use rand_xorshift::XorShiftRng;

/// What every link between two nodes is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// How long a message takes on average.
    pub delay: Duration,
    /// By how much that varies, evenly to both sides; at most `delay`, and at most 35 minutes.
    pub jitter: Duration,
    /// How many messages of a million are lost; at most a million.
    pub loss_ppm: u32,
}

impl Link {
    /// A million: all messages are lost.
    pub const LOSS_MAX: u32 = 1_000_000;

    /// The most jitter that a scenario may have. A delay is drawn from twice as much and a microsecond, and a draw reaches no
    /// further than 2³² microseconds, which are 71 minutes.
    pub(super) const JITTER_MAX: Duration = Duration::from_secs(35 * 60);

    /// The longest that a message and its answer take together.
    ///
    /// ```
    /// use synod::Duration;
    /// use synod::simulation::Link;
    ///
    /// let [delay, jitter] = [30, 20].map(Duration::from_millis);
    /// let link = Link { delay, jitter, loss_ppm: 50_000 };
    /// assert_eq!(link.round_trip_max(), Duration::from_millis(100));
    /// ```
    pub fn round_trip_max(&self) -> Duration {
        self.delay.saturating_add(self.jitter) * 2
    }
}

const _: () = assert!(
    Link::JITTER_MAX.as_micros() * 2 + 1 < 1 << 32,
    "A draw reaches as far as the jitter to both sides."
);

/// Links that lose and delay, and do nothing worse: the [`Nemesis`](super::Nemesis) of a plain run.
#[derive(Clone, Debug)]
pub struct Network {
    link: Link,
    /// All links share the two streams: messages are sent in one order, which follows from the seed as well.
    loss: XorShiftRng,
    delay: XorShiftRng,
}

impl Default for Network {
    /// Links that lose nothing and take no time.
    fn default() -> Self {
        let link = Link {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss_ppm: 0,
        };
        Self::new(link, 0)
    }
}

impl Network {
    /// Links of one kind, with the chance of a run seed.
    pub fn new(link: Link, run_seed: u64) -> Self {
        Self {
            link,
            loss: stream(run_seed, Purpose::Loss),
            delay: stream(run_seed, Purpose::Delay),
        }
    }

    /// How long a message takes, or `None` when it is lost.
    ///
    /// Both streams are drawn from for every message, so that another rate of loss moves no delay.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn transit_time(&mut self) -> Option<Duration> {
        let lost = below(&mut self.loss, Link::LOSS_MAX) < self.link.loss_ppm;
        // Both ends are among what is drawn, so that the mean is the delay.
        let spread = (self.link.jitter * 2).saturating_add(Duration::from_micros(1));
        let delay = self
            .link
            .delay
            .saturating_sub(self.link.jitter)
            .saturating_add(span_below(&mut self.delay, spread));
        debug_assert!(
            delay >= self.link.delay.saturating_sub(self.link.jitter)
                && delay <= self.link.delay.saturating_add(self.link.jitter),
            "a message takes less or more time than the jitter allows"
        );
        (!lost).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn delays(loss_ppm: u32) -> Vec<Option<Duration>> {
        let link = Link {
            delay: Duration::from_millis(30),
            jitter: Duration::from_millis(20),
            loss_ppm,
        };
        let mut network = Network::new(link, 6);
        (0..2_000).map(|_| network.transit_time()).collect()
    }

    #[test]
    fn delays_stay_within_the_jitter_and_use_all_of_it() {
        let all: Vec<u64> = delays(0)
            .into_iter()
            .map(|delay| delay.unwrap().as_micros())
            .collect();
        assert!(all.iter().all(|delay| (10_000..=50_000).contains(delay)));
        assert!(all.iter().any(|delay| *delay < 11_000) && all.iter().any(|delay| *delay > 49_000));
    }

    #[test]
    fn another_rate_of_loss_moves_no_delay() {
        let (none, some) = (delays(0), delays(200_000));
        let lost = some.iter().filter(|delay| delay.is_none()).count();
        assert!((300..500).contains(&lost), "{lost} of 2,000 at 20 %");
        for (without, with) in none.iter().zip(&some) {
            assert!(with.is_none() || with == without);
        }
        assert!(delays(Link::LOSS_MAX).iter().all(Option::is_none));
    }
}
