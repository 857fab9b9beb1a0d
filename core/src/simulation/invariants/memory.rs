//! The durable state of each acceptor, and the messages that it permits.
//!
//! What an acceptor tells is checked against what it has written and nothing else: whatever it remembers beside that is
//! lost with the power. So this follows the writes of each node, holds what the node says against them, and after a
//! restart holds the node itself against them.

use super::ballots::{Ballots, Known};
use super::check_counts::Seen;
use super::duties::Transfers;
use super::facts::Restored;
use crate::simulation::capacities::Capacity;
use crate::simulation::observer::NodeProgress;
use crate::simulation::violation::{Rule, Violation};
use crate::window::Window;
use crate::{Ballot, Entry, Epoch, Message, NodeId, Slot, StateMachine};
use core::fmt::Debug;

/// What one node has made durable, as its writes say, and what it has said since its last start.
///
/// A write costs a comparison and a place in a window; what is said costs a look for each vote in it; a start costs a walk
/// through the window.
#[derive(Clone, Debug)]
pub(super) struct Memory<const WINDOW: usize> {
    /// The highest ballot that it wrote a promise or a vote of. Both raise it (rule A2), and are compared with it.
    promised: Ballot,
    /// The ballots of its votes above its low-water mark, by slot. Their values are in [`Ballots`], which has them of
    /// all nodes.
    votes: Window<Ballot, WINDOW>,
    /// The highest ballot that it has claimed.
    claimed: Ballot,
    /// The highest ballot that it had claimed before its last start. A node forgets what it has claimed when power
    /// fails, and must not use it again (rule S1).
    spent: Ballot,
    /// The highest ballot of another node that it has named since its last start. What it had heard of before, it has
    /// forgotten rightly, unless it has promised it.
    named: Ballot,
    /// Whether it has ever asked to join as one that votes, in any of its lives (rule J1).
    joins: bool,
    /// Whether it has ever led or answered a heartbeat, and so said how far it has applied the log.
    has_reported: bool,
    /// The snapshots that it sends and fetches in this life.
    pub(super) transfers: Transfers,
    /// How far it has applied the log.
    pub(super) applied: Slot,
    /// The epoch that it is in, which is written with the state, and not as a promise (rule V6).
    epoch: Epoch,
}

/// A page of a promise.
#[derive(Clone, Copy, Debug)]
struct Told<'a, C> {
    /// The ballot of the claim that it answers.
    ballot: Ballot,
    /// What the acceptor has promised by now: another ballot makes the page a refusal, which tells no votes.
    promised: Ballot,
    /// The page tells the votes from this slot on; those of earlier slots are in earlier pages.
    from: Slot,
    /// Whether no page follows, so that no vote may be left over.
    last: bool,
    entries: &'a [Entry<C>],
}

impl<const WINDOW: usize> Memory<WINDOW> {
    pub(super) const fn new() -> Self {
        Self {
            promised: Ballot::NULL,
            votes: Window::new(Slot::ZERO),
            claimed: Ballot::NULL,
            spent: Ballot::NULL,
            named: Ballot::NULL,
            joins: false,
            has_reported: false,
            transfers: Transfers::NONE,
            applied: Slot::ZERO,
            epoch: Epoch::FIRST,
        }
    }

    /// The epoch that it is in.
    pub(super) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The highest ballot that the node has promised: that which it has written, or the lower bound of its epoch.
    fn promised(&self) -> Ballot {
        self.promised.max(Ballot::floor(self.epoch))
    }

    /// A message of a node leaves: whatever it says of the node's own past is so.
    ///
    /// A promise and a vote are checked against what was written of them, a ballot under which the node leads against those
    /// that it used, and a slot that is decided or given up against what it has applied.
    pub(super) fn said<M: StateMachine, H: Capacity, const PAGE: usize>(
        &mut self,
        node: NodeId,
        message: &Message<M, PAGE>,
        ballots: &Ballots<M::Command, H>,
        seen: &mut Seen,
    ) -> Result<(), Violation> {
        match message {
            Message::Prepare { ballot, .. } => self.claims(node, *ballot, seen),
            Message::Heartbeat {
                ballot, decided, ..
            }
            | Message::Accept {
                ballot, decided, ..
            } => {
                self.claims(node, *ballot, seen)?;
                self.decides(node, *decided, seen)
            }
            Message::Promise {
                ballot,
                promised,
                from,
                low_water,
                last,
                entries,
            } => {
                self.gave_up(node, *low_water, seen)?;
                let told = Told {
                    ballot: *ballot,
                    promised: *promised,
                    from: *from,
                    last: *last,
                    entries,
                };
                self.tells(node, told, ballots, seen)
            }
            Message::Accepted {
                promised,
                low_water,
                ..
            } => {
                self.says(node, *promised, seen)?;
                self.gave_up(node, *low_water, seen)
            }
            Message::Decisions {
                applied: decided, ..
            }
            | Message::Decision { decided, .. } => self.decides(node, *decided, seen),
            _ => Ok(()),
        }
    }

    /// A promise or a vote is written.
    pub(super) fn write(
        &mut self,
        node: NodeId,
        ballot: Ballot,
        seen: &mut Seen,
    ) -> Result<(), Violation> {
        debug_assert!(
            self.spent <= self.claimed,
            "what was claimed before the last start was claimed"
        );
        seen.check(Rule::BallotWentBack);
        if ballot < self.promised {
            return Err(Violation::BallotWentBack { node, ballot });
        }
        self.promised = ballot;
        Ok(())
    }

    /// A vote is written; one that is given up in the same step need not be remembered.
    /// The write of its ballot was checked by [`Memory::write`].
    pub(super) fn vote(&mut self, slot: Slot, ballot: Ballot, seen: &mut Seen) {
        if !self.votes.put(slot, ballot) && slot > self.votes.floor() {
            seen.skip(Rule::Forgotten);
        }
    }

    /// How far a node has applied the log and given up its votes, after its steps and before their writes are looked at.
    /// Gives back how far it had applied before. What one that does not vote gives up it may have to remember again.
    pub(super) fn advance(
        &mut self,
        node: NodeId,
        progress: &NodeProgress,
        is_voter: bool,
        seen: &mut Seen,
    ) -> Result<Slot, Violation> {
        let before = self.applied;
        let NodeProgress {
            applied,
            low_water,
            epoch,
            ..
        } = *progress;
        self.epoch = epoch;
        seen.check(Rule::PrefixWentBack);
        // Of a node that does not vote the floor stays where it was.
        let low_water = if is_voter {
            low_water
        } else {
            self.votes.floor()
        };
        for (now, before) in [(applied, before), (low_water, self.votes.floor())] {
            if now < before {
                return Err(Violation::PrefixWentBack { node, slot: now });
            }
        }
        self.applied = applied;
        if low_water > self.votes.floor() {
            seen.check(Rule::ForgotUnapplied);
            if low_water > applied {
                let slot = low_water;
                return Err(Violation::ForgotUnapplied { node, slot });
            }
            self.votes.raise(low_water);
        }
        debug_assert!(
            !is_voter || self.votes.floor() <= self.applied,
            "votes were given up that are not applied (T1)"
        );
        Ok(before)
    }

    /// Whether the promise that a node holds is the one that it has written.
    /// More is a promise that would be lost with the power, and less is one that is forgotten already. Asked after each
    /// step of a node that votes.
    pub(super) fn holds(
        &self,
        node: NodeId,
        promised: Ballot,
        seen: &mut Seen,
    ) -> Result<(), Violation> {
        seen.check(Rule::UnwrittenPromise);
        if promised > self.promised() {
            let ballot = promised;
            return Err(Violation::UnwrittenPromise { node, ballot });
        }
        if promised < self.promised() {
            let ballot = promised;
            return Err(Violation::BallotWentBack { node, ballot });
        }
        Ok(())
    }

    /// A node says that it has promised a ballot: that is written.
    fn says(&self, node: NodeId, ballot: Ballot, seen: &mut Seen) -> Result<(), Violation> {
        seen.check(Rule::UnwrittenPromise);
        if ballot > self.promised() {
            return Err(Violation::UnwrittenPromise { node, ballot });
        }
        Ok(())
    }

    /// A node claims a ballot, or leads under it: it has promised it itself, and never used it before it was last started.
    pub(super) fn claims(
        &mut self,
        node: NodeId,
        ballot: Ballot,
        seen: &mut Seen,
    ) -> Result<(), Violation> {
        self.says(node, ballot, seen)?;
        // A node that was never started again, or never claimed before that, has nothing to use twice.
        if self.spent != Ballot::NULL {
            seen.check(Rule::BallotUsedTwice);
            if ballot <= self.spent {
                return Err(Violation::BallotUsedTwice { node, ballot });
            }
        }
        self.claimed = self.claimed.max(ballot);
        Ok(())
    }

    /// A node asks for promises under a ballot: where that is a new one its round is above all that it has named.
    /// A ballot that it has claimed already is repeated, whatever it has heard of since (rule S7). This is asked before
    /// the message counts as a claim: see [`Memory::said`].
    pub(super) fn prepares(
        &mut self,
        node: NodeId,
        ballot: Ballot,
        seen: &mut Seen,
    ) -> Result<(), Violation> {
        if ballot > self.claimed {
            seen.check(Rule::ClaimTooLow);
            let round = |ballot: Ballot| (ballot.epoch(), ballot.round());
            if round(ballot) <= round(self.named) {
                return Err(Violation::ClaimTooLow { node, ballot });
            }
        }
        Ok(())
    }

    /// A node tells others of a ballot, and so has seen it. What it claims itself is not what it has heard of.
    pub(super) fn names(&mut self, node: NodeId, ballot: Ballot) {
        if ballot.leader() != node {
            self.named = self.named.max(ballot);
        }
    }

    /// A node that votes asks to join.
    pub(super) fn joins(&mut self) {
        self.joins = true;
    }

    /// Whether a node has ever asked to join as one that votes.
    pub(super) fn has_joined(&self) -> bool {
        self.joins
    }

    /// A node says how far it has applied the log, as one that leads or follows.
    pub(super) fn reports(&mut self) {
        self.has_reported = true;
    }

    /// Whether a node has ever said how far it is.
    pub(super) fn has_reported(&self) -> bool {
        self.has_reported
    }

    /// A node says that the log is decided up to a slot: it has applied that.
    fn decides(&self, node: NodeId, decided: Slot, seen: &mut Seen) -> Result<(), Violation> {
        seen.check(Rule::NotChosen);
        if decided > self.applied {
            let slot = decided;
            return Err(Violation::NotChosen { node, slot });
        }
        Ok(())
    }

    /// A node says up to where it has given up its votes: it has applied that.
    fn gave_up(&self, node: NodeId, low_water: Slot, seen: &mut Seen) -> Result<(), Violation> {
        seen.check(Rule::ForgotUnapplied);
        if low_water > self.applied {
            let slot = low_water;
            return Err(Violation::ForgotUnapplied { node, slot });
        }
        Ok(())
    }

    /// A page of a promise: it tells the votes from a slot on as they were written, and leaves out none of them.
    fn tells<C: Copy + Debug + Eq, H: Capacity>(
        &self,
        node: NodeId,
        told: Told<'_, C>,
        ballots: &Ballots<C, H>,
        seen: &mut Seen,
    ) -> Result<(), Violation> {
        self.says(node, told.promised, seen)?;
        if told.promised != told.ballot {
            return Ok(());
        }
        let ballot = told.ballot;
        let untold = |slot| Err(Violation::UntoldVote { node, slot, ballot });
        // Both are in the order of slots: what was written and what is told have to be the same, one after the other.
        // Votes of earlier epochs for these slots are void, and told to nobody (rule V3).
        let epoch = ballot.epoch();
        let of_epoch = |(_, written): &(Slot, &Ballot)| written.epoch() == epoch;
        let mut written = self.votes.iter_from(told.from).filter(of_epoch);
        let floor = self.votes.floor();
        // Votes up to the floor were given up since, maybe in the very step that tells them.
        for entry in told.entries.iter().filter(|entry| entry.slot > floor) {
            seen.check(Rule::UntoldVote);
            let next = written.next().map(|(slot, ballot)| (slot, *ballot));
            // The lower of the two slots is the one that was left out, or that was never voted for.
            if next != Some((entry.slot, entry.ballot)) {
                return untold(next.map_or(entry.slot, |(slot, _)| slot.min(entry.slot)));
            }
            match ballots.tried(entry.slot, entry.ballot) {
                Known::Is((proposal, _)) if *proposal == entry.proposal => {}
                Known::Forgotten => seen.skip(Rule::UntoldVote),
                _ => return untold(entry.slot),
            }
        }
        match written.next() {
            // What is left over belongs to the pages that follow.
            Some((slot, _)) if told.last => untold(slot),
            _ => Ok(()),
        }
    }

    /// A node has come back: with its promise, and with every vote above its low-water mark, or with a later one. What it
    /// had applied it may have to apply again. One that does not vote comes back with nothing; what it has forgotten is
    /// kept here, for the day when it finds it again.
    pub(super) fn recovered<C: Copy + Debug + Eq, H: Capacity>(
        &mut self,
        restored: &Restored,
        votes: impl IntoIterator<Item = (Slot, Ballot)>,
        ballots: &Ballots<C, H>,
        seen: &mut Seen,
    ) -> Result<(), Violation> {
        let Restored {
            node: id,
            is_voter,
            progress,
            ..
        } = *restored;
        // From here on this is another life of the node.
        self.spent = self.claimed;
        self.named = Ballot::NULL;
        self.transfers = Transfers::NONE;
        self.applied = progress.applied;
        self.epoch = progress.epoch;
        if !is_voter {
            return Ok(());
        }
        seen.check(Rule::Forgotten);
        let forgotten = |slot, ballot| {
            Err(Violation::Forgotten {
                node: id,
                slot,
                ballot,
            })
        };
        if progress.promised < self.promised {
            return forgotten(Slot::ZERO, self.promised);
        }
        let low_water = progress.low_water;
        if low_water > progress.applied {
            return Err(Violation::ForgotUnapplied {
                node: id,
                slot: low_water,
            });
        }
        let votes = ballots_of(low_water, votes);
        // What it had given up as applied, and has not applied any more.
        let mut given_up = low_water.next().filter(|slot| *slot <= self.votes.floor());
        while let Some(slot) = given_up {
            // A later vote for the slot tells as much to whoever asks for promises (rule S4).
            match ballots.voted(slot, id) {
                Known::Is(ballot)
                    if ballot.epoch() == progress.epoch
                        && votes.get(slot).is_none_or(|kept| *kept < ballot) =>
                {
                    return forgotten(slot, ballot);
                }
                Known::Forgotten => seen.skip(Rule::Forgotten),
                Known::Is(_) | Known::Not => {}
            }
            given_up = slot.next().filter(|slot| *slot <= self.votes.floor());
        }
        for (slot, ballot) in self.votes.iter_from(low_water.next().unwrap_or(Slot::ZERO)) {
            // Rule V3: votes of an epoch that has ended are void, or for slots that are applied.
            if ballot.epoch() == progress.epoch && votes.get(slot).is_none_or(|kept| kept < ballot)
            {
                return forgotten(slot, *ballot);
            }
        }
        // It may have more than it had said: what it wrote last, and had no time to say. `Facts::survived` counts that.
        self.votes = votes;
        self.promised = progress.promised;
        Ok(())
    }
}

/// The ballots of the votes that a node has, by slot.
fn ballots_of<const WINDOW: usize>(
    low_water: Slot,
    told: impl IntoIterator<Item = (Slot, Ballot)>,
) -> Window<Ballot, WINDOW> {
    // The window of a node holds no vote beyond `WINDOW` slots above its low-water mark (rule A5), so all find room.
    let mut votes = Window::new(low_water);
    for (slot, ballot) in told {
        let kept = votes.put(slot, ballot);
        debug_assert!(
            kept,
            "a vote is taken for forgotten for which there was no room"
        );
    }
    votes
}
