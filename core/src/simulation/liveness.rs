//! The time within which a healthy cluster must have answered all requests; a run that takes longer is stuck.
//!
//! Liveness has no bound without assumptions. Those here: from some time on a majority of the nodes is up, all nodes that
//! are up hear each other, messages take what the [`Link`] says and are lost as often as it says, and nodes take no longer
//! round trips for usual than there are. A thing that is repeated until it succeeds is taken to fail no more often in a
//! row than happens once in 10⁹ times; so a run in many thousands may be called stuck that was only unlucky, and none was
//! yet.

use super::network::Link;
use super::scenario::Scenario;
use crate::{Config, Duration, NodeId};

/// How many pages a snapshot, or what an acceptor has to tell, is taken to have at most. A larger state takes longer.
const PAGES: u64 = 64;
/// One in so many: what happens more rarely is taken not to happen.
const RARE: u64 = 1_000_000_000;
const _: () = assert!(
    RARE.checked_mul(TRIES).is_some(),
    "`repeats_max` multiplies what is left of the one by as many as the other."
);
/// A repetition comes after its span and up to half as much again (rule S7).
const JITTERED: u64 = 3;

/// How often in a hundred million tries a message or its answer is lost, if so many of a million are.
const fn failures(loss_ppm: u32) -> u64 {
    #[expect(clippy::as_conversions, reason = "u32 to u64, in a const fn")]
    let arrives = (Link::LOSS_MAX.saturating_sub(loss_ppm)) as u64;
    (1_000_000 * 1_000_000 - arrives * arrives) / 10_000
}

/// All of a hundred million tries: fine enough for a loss of a millionth, and coarse enough to be multiplied by [`RARE`].
const TRIES: u64 = 100_000_000;
const _: () = assert!(
    failures(0) == 0 && failures(Link::LOSS_MAX) == TRIES,
    "None of the tries fails without loss, and all of them if everything is lost."
);

/// How often something that fails so often is repeated before it succeeds, if it fails no more often in a row than once
/// in [`RARE`] times.
fn repeats_max(failures: u64) -> u64 {
    let (mut rest, mut repeats) = (RARE, 1);
    // Where everything is lost this would not end.
    while rest > 1 && repeats < 1_000 {
        rest = rest * failures / TRIES;
        repeats += 1;
    }
    repeats
}

/// Spans are added with saturation: a bound that is too long to be told is for ever.
fn sum(spans: &[Duration]) -> Duration {
    let zero = Duration::ZERO;
    spans
        .iter()
        .fold(zero, |sum, span| sum.saturating_add(*span))
}

impl Scenario {
    /// How long a cluster of this scenario may take, from when a majority of its nodes is up and hears each other again,
    /// until every client has the answers to its next `requests` requests, and all live nodes have joined and agree. It is
    /// the sum of
    ///
    /// - finding a leader: to miss the old one, and all back-offs from the shortest to the longest (rule L5), and the
    ///   repetitions of a probe and a prepare;
    /// - bringing everybody up to date: a question for each page of a snapshot, and as many for what acceptors tell;
    /// - the answers: twice what a request takes on average with the repetitions that the loss calls for, and once the
    ///   most repetitions;
    /// - the news of the last decision.
    ///
    /// A run that is given the time from its beginning to the end of its faults ([`Faults::healed`](super::Faults::healed))
    /// and this much more as [`Scenario::time_max`], and ends with [`Verdict::Stalled`](super::Verdict::Stalled), was not
    /// live. Where all messages are lost the bound means nothing.
    ///
    /// ```
    /// use synod::Duration;
    /// use synod::simulation::Scenario;
    ///
    /// let scenario = Scenario::of(6, 3);
    /// let bound = scenario.settles_within(11);
    /// assert!(bound > Duration::from_secs(30) && bound < Duration::from_secs(120));
    /// ```
    pub fn settles_within(&self, requests: u32) -> Duration {
        let config = self.config(NodeId(0));
        let (failures, trip) = (failures(self.link.loss_ppm), self.trip());
        let repeats = repeats_max(failures);
        let page = sum(&[trip, repeated(config.join_retransmit, failures)]);
        let answer = sum(&[
            config.request_retransmit,
            config.propose_retransmit,
            config.accept_retransmit,
        ]);
        let request = sum(&[self.think, trip * 2, repeated(answer, failures)]);
        let news = sum(&[config.heartbeat, config.learn_delay * 2, trip]);
        sum(&[
            self.elects_within(),
            page * (2 * PAGES),
            config.join_retransmit * (repeats * JITTERED) / 2,
            request * (2 * u64::from(requests)),
            answer * repeats,
            news * repeats,
        ])
    }

    /// How long it may take until somebody leads.
    pub(super) fn elects_within(&self) -> Duration {
        let config = self.config(NodeId(0));
        let repeats = repeats_max(failures(self.link.loss_ppm));
        let trips = sum(&[self.trip(), config.prepare_retransmit]);
        sum(&[
            // All nodes miss the leader after one timeout, and the first of them claims within two more (rule L5).
            config.election_timeout * 3,
            backoffs(&config),
            // A probe and a prepare, each repeated as often as it may have to be.
            trips * (2 * repeats * JITTERED) / 2,
        ])
    }

    /// The longest round trip, as it is and as the nodes take it to be.
    pub(super) fn trip(&self) -> Duration {
        let trip = self.link.round_trip_max();
        trip.max(self.round_trip.unwrap_or(trip))
    }
}

/// What repetitions add on average to something that fails so often: a span, and half of that as jitter on top of it at
/// most, for each failure before the first success. There are f / (1 − f) of those on average where a share f fails.
fn repeated(span: Duration, failures: u64) -> Duration {
    let succeeds = TRIES.saturating_sub(failures).max(1);
    let micros = span.as_micros().saturating_mul(failures) / succeeds;
    Duration::from_micros(micros.saturating_mul(JITTERED)) / 2
}

/// The longest back-offs of each length, one after the other: the sum of 2T·2ᵏ for k from 0 to the most doublings d
/// (rule L5), which is T·(2ᵈ⁺² − 2).
fn backoffs(config: &Config) -> Duration {
    let doublings = u32::from(config.backoff_doublings_max);
    let (doubled, _) = 2_u64.overflowing_pow(doublings + 2);
    config.election_timeout * doubled.saturating_sub(2)
}
