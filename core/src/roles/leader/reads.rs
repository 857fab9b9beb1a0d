//! The reads that a leader answers for: the questions of the nodes that read, and the round that confirms that this node
//! still leads (rules Q2 and Q3).

use super::{Leader, LeaderState};
use crate::mutant::Mutant;
use crate::{NodeId, NodeSet, Slot};

/// A question for the read index. A node has one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Question {
    /// The newest read that it covers, by which the node knows the answer.
    nonce: u64,
    /// The node that asks, which may be the leader itself.
    from: NodeId,
    /// True if the present round began after the question came.
    is_covered: bool,
}

/// A round of confirmation: the leader asks all members whether they still follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Round {
    /// The number of the round, from 1; 0 before the first one.
    number: u32,
    /// The members that have answered this round.
    confirmed: NodeSet,
    /// The last slot that was adopted. Before it is decided, no round begins (rule Q3).
    adopted: Slot,
}

impl Round {
    /// Returns the state of a leader that has adopted everything up to a slot.
    pub(super) const fn after(adopted: Slot) -> Self {
        Self {
            number: 0,
            confirmed: NodeSet::EMPTY,
            adopted,
        }
    }
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadIndex {
    /// The node that has asked.
    pub(crate) to: NodeId,
    /// Its question.
    pub(crate) nonce: u64,
    /// The slot that it has to apply first.
    pub(crate) index: Slot,
}

impl<C: Copy + Eq, const WINDOW: usize, const CLIENTS: usize> Leader<C, WINDOW, CLIENTS> {
    /// Takes a question. One of the same node that was not answered yet gives way to it: the node no longer waits for that
    /// answer. Returns false if there is no room.
    pub(crate) fn ask_index(&mut self, from: NodeId, nonce: u64) -> bool {
        let question = Question {
            nonce,
            from,
            is_covered: false,
        };
        match self.questions.iter_mut().find(|known| known.from == from) {
            // A repetition stays covered by the round that began after the question came first.
            Some(known) if known.nonce == nonce => true,
            Some(known) => {
                *known = question;
                true
            }
            None => self.questions.push(question).is_ok(),
        }
    }

    /// Rules Q2 and Q3: begins a round if a question waits for one, none is under way, and everything that was adopted is
    /// decided. Returns the number of the round.
    pub(crate) fn begin_round(&mut self) -> Option<u32> {
        let LeaderState::Leading(leadership) = &mut self.state else {
            return None;
        };
        let is_busy = self.questions.iter().any(|known| known.is_covered);
        if self.questions.is_empty() || is_busy {
            return None;
        }
        let round = &mut leadership.round;
        let decided = leadership.commanders.floor();
        if decided < round.adopted && !self.mistake.is(Mutant::ReadBeforeAdopted) {
            return None;
        }
        // Where the numbers are used up no round begins any more, and reads are not served by this leader (rule N1).
        round.number = round.number.checked_add(1)?;
        round.confirmed = NodeSet::only(leadership.ballot.leader());
        for known in &mut self.questions {
            known.is_covered = true;
        }
        Some(round.number)
    }

    /// Returns the round under way and the members that have not answered it.
    pub(crate) fn unconfirmed(&self, members: NodeSet) -> Option<(u32, NodeSet)> {
        let LeaderState::Leading(leadership) = &self.state else {
            return None;
        };
        let is_busy = self.questions.iter().any(|known| known.is_covered);
        let round = leadership.round;
        is_busy.then(|| (round.number, members.minus(round.confirmed)))
    }

    /// Rule Q2: counts an answer to a round. One to an earlier round says nothing of this one.
    pub(crate) fn on_confirmed(&mut self, from: NodeId, round: u32) -> bool {
        let is_any = self.mistake.is(Mutant::RoundOverlooked);
        match &mut self.state {
            LeaderState::Leading(leadership) if leadership.round.number == round || is_any => {
                leadership.round.confirmed.insert(from);
                true
            }
            _ => false,
        }
    }

    /// Takes the next question that is answered, once a quorum has confirmed the round that covers it.
    pub(crate) fn next_index(&mut self, members: NodeSet) -> Option<ReadIndex> {
        let LeaderState::Leading(leadership) = &self.state else {
            return None;
        };
        let is_confirmed = leadership.round.confirmed.is_quorum(members)
            || self.mistake.is(Mutant::ReadUnconfirmed);
        let place = self.questions.iter().position(|known| known.is_covered);
        let place = place.filter(|_| is_confirmed)?;
        // Later than when the round began, if at all: who reads sees what was decided meanwhile as well.
        let index = leadership.commanders.floor();
        let Question { nonce, from, .. } = *self.questions.get(place)?;
        // The last one takes its place. A copy field by field needs no `memmove`, which is as large as all of this file.
        let Question {
            nonce: last_nonce,
            from: last_from,
            is_covered,
        } = self.questions.pop()?;
        if let Some(free) = self.questions.get_mut(place) {
            (free.nonce, free.from, free.is_covered) = (last_nonce, last_from, is_covered);
        }
        Some(ReadIndex {
            to: from,
            nonce,
            index,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{entry, leading};
    use super::*;

    const ALL: NodeSet = NodeSet::first(3);
    const OTHER: NodeId = NodeId(1);

    #[test]
    fn q3_no_round_begins_before_all_that_was_adopted_is_decided() {
        let (mut leader, _) = leading(0, &[entry(1, 7)]);
        assert!(leader.ask_index(OTHER, 5));
        assert_eq!(leader.begin_round(), None);
        leader.on_accepted(NodeId(0), Slot::FIRST, ALL);
        leader.on_accepted(OTHER, Slot::FIRST, ALL);
        leader.advance(Slot::FIRST);
        assert_eq!(leader.begin_round(), Some(1));
        leader.on_confirmed(OTHER, 1);
        let index = leader.next_index(ALL).unwrap();
        assert_eq!(
            (index.to, index.nonce, index.index),
            (OTHER, 5, Slot::FIRST)
        );
    }

    #[test]
    fn q2_only_a_round_that_began_after_the_question_confirms_it() {
        let (mut leader, _) = leading(3, &[]);
        assert!(leader.ask_index(OTHER, 5));
        assert_eq!(leader.begin_round(), Some(1));
        // This one comes while the first round is under way.
        assert!(leader.ask_index(NodeId(2), 6));
        assert_eq!(leader.begin_round(), None, "one at a time");
        assert_eq!(leader.next_index(ALL), None, "nobody has answered");
        assert!(leader.on_confirmed(OTHER, 1));
        assert_eq!(leader.next_index(ALL).map(|of| of.nonce), Some(5));
        assert_eq!(leader.next_index(ALL), None, "not that one");
        assert_eq!(leader.begin_round(), Some(2));
        assert!(
            !leader.on_confirmed(OTHER, 1),
            "an answer to the round before"
        );
        assert_eq!(leader.next_index(ALL), None);
        assert!(leader.on_confirmed(NodeId(2), 2));
        assert_eq!(leader.next_index(ALL).map(|of| of.nonce), Some(6));
    }

    #[test]
    fn a_node_that_asks_something_else_has_no_use_for_the_first_answer() {
        let (mut leader, _) = leading(3, &[]);
        leader.ask_index(OTHER, 5);
        leader.begin_round();
        leader.ask_index(OTHER, 5);
        assert_eq!(
            leader.unconfirmed(ALL).map(|(round, _)| round),
            Some(1),
            "repeated"
        );
        leader.ask_index(OTHER, 6);
        assert_eq!(
            leader.unconfirmed(ALL),
            None,
            "the new one needs another round"
        );
        assert_eq!(leader.begin_round(), Some(2));
    }

    #[test]
    fn a_leader_that_resigns_answers_nobody() {
        let (mut leader, _) = leading(3, &[]);
        leader.ask_index(OTHER, 5);
        leader.begin_round();
        leader.resign();
        assert!(!leader.on_confirmed(OTHER, 1));
        assert_eq!(leader.next_index(ALL), None);
    }
}
