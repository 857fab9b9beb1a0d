//! Run digests: 64 bits that identify a whole run. Equal runs have equal digests, in every process, build and target.
//!
//! # The algorithm
//!
//! The state is a 64-bit word that starts at `0x9E37_79B9_7F4A_7C15`. A word is folded in by
//!
//! ```text
//! state = (state XOR word) × 0xBF58_476D_1CE4_E5B9   (modulo 2⁶⁴)
//! state = state XOR (state >> 32)
//! ```
//!
//! and a byte string by its length, then eight bytes at a time, little-endian, the last word padded with zeros. The
//! digest distinguishes runs; it does not resist an attacker who constructs two runs with the same digest.
//! `#[derive(Hash)]` would not do: what it feeds to a hasher differs between targets and compilers.
//!
//! # What is folded in
//!
//! Each record of a trace: its time, its node, its role, and its event with every field. So two runs with equal digests
//! have said and done the same at the same times. The numbers of kinds below are chosen once and for all: they are part
//! of golden digests, and those of outcomes part of the chain by which nodes of one cluster compare their histories.

use crate::message::{Entries, Proposals};
use crate::outbox::run_len;
use crate::simulation::{Fault, Planned, Target};
use crate::{
    ClientId, Divergence, Duration, Event, Halt, Message, NodeId, Outcome, Proposal, Queue, Record,
    Sink, SnapshotId, StateMachine, Tracer, Value,
};
use core::fmt;

/// A running digest. As a [`Tracer`] it folds in every event.
///
/// ```
/// use synod::{Digest, Sink};
/// let mut digest = Digest::new();
/// digest.put_u64(6);
/// assert_eq!(digest.to_string(), "57c382ea657f2a51");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Digest(
    /// The state of the algorithm.
    u64,
);

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Digest {
    /// Returns the digest of nothing.
    pub const fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    /// Continues from a value that [`Digest::value`] returned.
    pub const fn resume(value: u64) -> Self {
        Self(value)
    }

    /// Returns the digest so far.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Folds in one word. The shift brings the upper bits, where a product is well mixed, to the lower ones.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn word(&mut self, word: u64) {
        let product = (self.0 ^ word).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        self.0 = product ^ product >> 32;
    }

    /// Folds in words, one after the other.
    fn words<const N: usize>(&mut self, words: [u64; N]) {
        for word in words {
            self.word(word);
        }
    }

    /// Folds in proposals, after their number, so that none is taken for what follows them.
    fn proposals<M: StateMachine, const PAGE: usize>(&mut self, proposals: &Proposals<M, PAGE>) {
        self.word(run_len(proposals.len()));
        for proposal in proposals {
            proposal.encode(self);
        }
    }

    /// Folds in accepted entries, after their number.
    fn entries<M: StateMachine, const PAGE: usize>(&mut self, entries: &Entries<M, PAGE>) {
        self.word(run_len(entries.len()));
        for entry in entries {
            self.words([entry.slot.number(), entry.ballot.bits()]);
            entry.proposal.encode(self);
        }
    }

    /// Continues a chain, after the digest of the proposal in a slot, with its outcome; except for an output that was
    /// produced by this very slot, which is put on the chain in its encoded form. So two replicas with the same chain
    /// have given the same answers, and keep the same sessions. If one of them follows another rule or has other
    /// capacities, the chains differ (rules R5 and X2).
    ///
    /// It is rare, and kept out of the way of slots whose output is their own.
    #[cold]
    pub(crate) fn chain_outcome<O: Value>(&mut self, outcome: &Outcome<O>) {
        self.outcome(outcome);
    }

    /// Continues a chain with the client whose session was evicted for a new one.
    pub(crate) fn chain_eviction(&mut self, evicted: Option<ClientId>) {
        self.word(evicted.map_or(0, |client| client.0));
    }

    /// Folds in an outcome. The numbers of the kinds are part of every chain, and so of every cluster's history: nodes
    /// in which they differ halt.
    fn outcome<O: Value>(&mut self, outcome: &Outcome<O>) {
        self.word(match outcome {
            Outcome::Applied { .. } => 0,
            Outcome::Registered { .. } => 1,
            Outcome::Stale => 2,
            Outcome::Evicted => 3,
            Outcome::Reused => 4,
            Outcome::Busy => 5,
            Outcome::Reconfigured { .. } => 6,
            Outcome::Unchanged(_) => 7,
            Outcome::Readable { .. } => 8,
            Outcome::NotNow => 9,
        });
        match outcome {
            Outcome::Applied { slot, output } => {
                self.word(slot.number());
                output.encode(self);
            }
            Outcome::Registered { client } => self.word(client.0),
            Outcome::Readable { applied } => self.word(applied.number()),
            Outcome::Stale
            | Outcome::Evicted
            | Outcome::Reused
            | Outcome::Busy
            | Outcome::NotNow => {}
            Outcome::Reconfigured { epoch } => self.word(u64::from(epoch.0)),
            Outcome::Unchanged(error) => error.encode(self),
        }
    }

    /// Folds in a message: its kind, then its fields.
    fn message<M: StateMachine, const PAGE: usize>(&mut self, message: &Message<M, PAGE>) {
        self.word(run_len(message.kind().index()));
        match message {
            Message::Join { .. } | Message::Welcome { .. } => self.about_snapshots(message),
            Message::Probe { ballot } => self.word(ballot.bits()),
            Message::ProbeReply {
                ballot,
                granted,
                highest,
            } => {
                self.words([ballot.bits(), u64::from(*granted), highest.bits()]);
            }
            Message::Prepare { ballot, from } => self.words([ballot.bits(), from.number()]),
            Message::Promise {
                ballot,
                promised,
                from,
                low_water,
                last,
                entries,
            } => {
                self.words([ballot.bits(), promised.bits(), from.number()]);
                self.words([low_water.number(), u64::from(*last)]);
                self.entries::<M, PAGE>(entries);
            }
            Message::Confirm { ballot, round } | Message::Confirmed { ballot, round } => {
                self.words([ballot.bits(), u64::from(*round)]);
            }
            Message::ReadIndex { nonce, reader } => self.words([*nonce, u64::from(reader.0)]),
            Message::ReadIndexReply { nonce, index } => self.words([*nonce, index.number()]),
            Message::Propose { proposal, retry } => {
                proposal.encode(self);
                self.word(u64::from(*retry));
            }
            Message::Accept { .. }
            | Message::Accepted { .. }
            | Message::Decision { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatReply { .. }
            | Message::Superseded { .. }
            | Message::Learn { .. }
            | Message::Decisions { .. } => self.about_slots(message),
            Message::Request { proposal } => proposal.encode(self),
            Message::Response {
                key,
                fingerprint,
                outcome,
            } => {
                // Fields of 32 bits share a word.
                let request = u64::from(*fingerprint) << 32 | u64::from(key.number.0);
                self.words([key.client.0, request]);
                self.outcome(outcome);
            }
        }
    }

    /// Folds in the fields of messages about snapshots.
    fn about_snapshots<M: StateMachine, const PAGE: usize>(&mut self, message: &Message<M, PAGE>) {
        match message {
            Message::Join {
                snapshot,
                page,
                count,
            } => {
                self.word(u64::from(snapshot.is_some()));
                if let Some(SnapshotId { at, digest }) = snapshot {
                    self.words([at.number(), *digest, u64::from(*count)]);
                }
                self.word(u64::from(*page));
            }
            Message::Welcome {
                snapshot,
                page,
                pages,
                bytes,
            } => {
                // Two numbers of 32 bits in one word, as each word costs a multiplication.
                let place = u64::from(*page) << 32 | u64::from(*pages);
                self.words([snapshot.at.number(), snapshot.digest, place]);
                self.put(bytes);
            }
            _ => debug_assert!(false, "{:?} is not about snapshots", message.kind()),
        }
    }

    /// Folds in the fields of messages about runs and prefixes of slots.
    fn about_slots<M: StateMachine, const PAGE: usize>(&mut self, message: &Message<M, PAGE>) {
        match message {
            Message::Accept {
                ballot,
                first,
                decided,
                proposals,
            } => {
                self.words([ballot.bits(), first.number(), decided.number()]);
                self.proposals::<M, PAGE>(proposals);
            }
            Message::Accepted {
                ballot,
                promised,
                first,
                count,
                low_water,
            } => {
                self.words([ballot.bits(), promised.bits(), first.number()]);
                self.words([u64::from(*count), low_water.number()]);
            }
            Message::Decision {
                ballot,
                decided: slot,
            }
            | Message::HeartbeatReply {
                ballot,
                applied: slot,
            }
            | Message::Superseded {
                ballot,
                applied: slot,
            } => self.words([ballot.bits(), slot.number()]),
            Message::Heartbeat {
                ballot,
                decided,
                chain,
            } => self.words([ballot.bits(), decided.number(), *chain]),
            Message::Learn { from } => self.word(from.number()),
            Message::Decisions {
                first,
                applied,
                proposals,
            } => {
                self.words([first.number(), applied.number()]);
                self.proposals::<M, PAGE>(proposals);
            }
            _ => debug_assert!(false, "{:?} is not about slots", message.kind()),
        }
    }

    /// Folds in what a link has done to a message.
    fn link<M: StateMachine, const PAGE: usize>(&mut self, event: &Event<'_, M, PAGE>) {
        let message = match event {
            Event::Lost { to, message } => {
                self.word(about(4, *to));
                message
            }
            Event::Duplicated { to, message } => {
                self.word(about(20, *to));
                message
            }
            Event::Delayed {
                to,
                message,
                by,
                cause,
            } => {
                self.words([about(21, *to), by.as_micros(), run_len(cause.index())]);
                message
            }
            _ => return debug_assert!(false, "no link does that"),
        };
        self.message(message);
    }

    /// Folds in a queue that was full, by its name, which outlives the order of the variants.
    fn full(&mut self, queue: Queue) {
        self.word(15);
        self.put(queue.name().as_bytes());
    }

    /// Folds in why a node has halted.
    fn halted<C: Value>(&mut self, cause: &Halt<C>) {
        self.word(16);
        match cause {
            Halt::DuplicateIdentity => self.word(0),
            Halt::Conflict(conflict) => {
                self.words([1, conflict.slot.number()]);
                conflict.known.encode(self);
                conflict.new.encode(self);
            }
            Halt::StorageFailed => self.word(2),
            Halt::Diverged(Divergence { slot, known, told }) => {
                self.words([3, slot.number(), *known, *told]);
            }
        }
    }

    /// Folds in an applied proposal and its outcome.
    fn applied<M: StateMachine>(
        &mut self,
        proposal: &Proposal<M::Command>,
        outcome: Option<&Outcome<M::Output>>,
    ) {
        proposal.encode(self);
        self.word(u64::from(outcome.is_some()));
        if let Some(outcome) = outcome {
            self.outcome(outcome);
        }
    }

    /// Folds in a planned fault, as an event of the given kind. One that lasts to the end has the greatest number.
    fn planned(&mut self, kind: u64, planned: &Planned) {
        let lasts = planned.lasts.map_or(u64::MAX, Duration::as_micros);
        self.words([kind, planned.at.as_micros(), lasts]);
        // No node has the number that stands for whoever leads.
        let target = |target: Target| match target {
            Target::Leader => u64::MAX,
            Target::Node(node) => u64::from(node.0),
        };
        match planned.fault {
            Fault::Crash(whom) => self.words([0, target(whom)]),
            Fault::Pause(whom) => self.words([1, target(whom)]),
            Fault::Partition(side) => self.words([2, side.bits()]),
            Fault::OneWay { from, to } => self.words([3, from.bits(), to.bits()]),
            Fault::Partial { one, other } => self.words([4, one.bits(), other.bits()]),
            Fault::Clog { from, to } => self.words([5, from.bits(), to.bits()]),
            Fault::Skew {
                target: whom,
                rate_ppm,
            } => self.words([6, target(whom), i64::from(rate_ppm).cast_unsigned()]),
            Fault::Jump {
                target: whom,
                by_micros,
            } => self.words([7, target(whom), by_micros.cast_unsigned()]),
            Fault::Torn(whom) => self.words([8, target(whom)]),
            Fault::SlowDisk { target: whom, sync } => {
                self.words([9, target(whom), sync.as_micros()]);
            }
            Fault::FailedWrite(whom) => self.words([10, target(whom)]),
            Fault::FullDisk(whom) => self.words([11, target(whom)]),
            Fault::Rot(whom) => self.words([12, target(whom)]),
            Fault::Change { add, remove } => self.words([13, add.bits(), remove.bits()]),
        }
    }

    /// Folds in the events of elections.
    fn election<M: StateMachine, const PAGE: usize>(&mut self, event: &Event<'_, M, PAGE>) {
        match event {
            Event::Suspected { leader } => self.word(about(6, *leader)),
            Event::BackedOff { delay } => self.words([7, delay.as_micros()]),
            Event::Adopted {
                ballot,
                reproposed,
                noops,
                next_slot,
            } => {
                let counts = u64::from(*reproposed) << 32 | u64::from(*noops);
                self.words([8, ballot.bits(), counts, next_slot.number()]);
            }
            Event::Preempted { ballot, by } => self.words([9, ballot.bits(), by.bits()]),
            Event::SteppedDown { ballot } => self.words([10, ballot.bits()]),
            Event::Accepting { leader } => self.word(about(11, *leader)),
            _ => debug_assert!(false, "not an event of an election"),
        }
    }

    /// Folds in an event. Each kind has a number that never changes, since the golden digests depend on it. A new kind
    /// takes the next free one, whatever its place among the variants.
    fn event<M: StateMachine, const PAGE: usize>(&mut self, event: &Event<'_, M, PAGE>) {
        match event {
            Event::Started => self.word(0),
            Event::Stopped => self.word(1),
            Event::Sent { to, message } => {
                self.words([2, to.bits()]);
                self.message(message);
            }
            Event::Received { from, message } => {
                self.word(about(3, *from));
                self.message(message);
            }
            Event::Ignored { from, kind, reason } => {
                self.words([about(5, *from), run_len(kind.index())]);
                self.put(reason.name().as_bytes());
            }
            Event::Suspected { .. }
            | Event::BackedOff { .. }
            | Event::Adopted { .. }
            | Event::Preempted { .. }
            | Event::SteppedDown { .. }
            | Event::Accepting { .. } => self.election(event),
            Event::Chosen {
                slot,
                ballot,
                proposal,
            } => {
                self.words([12, slot.number(), ballot.bits()]);
                proposal.encode(self);
            }
            Event::Applied {
                slot,
                proposal,
                outcome,
                chain,
            } => {
                self.words([13, slot.number()]);
                self.applied::<M>(proposal, *outcome);
                self.word(*chain);
            }
            Event::Installed { at, chain } => self.words([14, at.number(), *chain]),
            Event::Full { queue } => self.full(*queue),
            Event::Halted { cause } => self.halted(cause),
            Event::Killed => self.word(17),
            Event::Exhausted => self.word(18),
            Event::Restarted => self.word(19),
            Event::Lost { .. } | Event::Duplicated { .. } | Event::Delayed { .. } => {
                self.link(event);
            }
            Event::FaultBegan { planned } => self.planned(22, planned),
            Event::FaultEnded { planned } => self.planned(23, planned),
            Event::Fenced => self.word(24),
            Event::Reconfigured { epoch, members } => {
                self.words([25, u64::from(epoch.0), members.bits()]);
            }
        }
    }
}

/// The kind of an event, and a node that it names.
fn about(kind: u64, node: NodeId) -> u64 {
    kind << 16 | u64::from(node.0)
}

impl Sink for Digest {
    fn put(&mut self, bytes: &[u8]) {
        self.word(run_len(bytes.len()));
        // The length came first, so that the zeros that fill the last word are not taken for bytes.
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            for (place, byte) in last.iter_mut().zip(rest) {
                *place = *byte;
            }
            self.word(u64::from_le_bytes(last));
        }
    }

    fn put_u64(&mut self, word: u64) {
        self.word(word);
    }

    fn put_u32(&mut self, word: u32) {
        self.word(u64::from(word));
    }

    fn put_u8(&mut self, byte: u8) {
        self.word(u64::from(byte));
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Digest {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        self.word(record.at.as_micros());
        self.word(run_len(record.role.index()) << 16 | u64::from(record.node.0));
        self.event(&record.event);
    }
}

impl fmt::Display for Digest {
    /// Sixteen hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_folded_with_their_count() {
        let digest = |bytes: &[u8]| {
            let mut digest = Digest::new();
            digest.put(bytes);
            digest
        };
        assert_ne!(
            digest(&[1]),
            digest(&[1, 0]),
            "filling up with zeros must not hide a length"
        );
        assert_ne!(digest(&[]), Digest::new());
        assert_eq!(digest(b"twelve bytes"), digest(b"twelve bytes"));
    }

    #[test]
    fn order_matters() {
        let (mut ab, mut ba) = (Digest::new(), Digest::new());
        ab.put_u64(1);
        ab.put_u64(2);
        ba.put_u64(2);
        ba.put_u64(1);
        assert_ne!(ab, ba);
    }
}
