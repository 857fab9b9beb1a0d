//! The encoding of questions and answers between clients and nodes.

use super::body::{NOBODY, ballot, key, outcome, put_ballot, put_key, put_outcome, put_slot, slot};
use super::{FrameError, Unencodable};
use crate::client::{Answer, Question};
use crate::{Epoch, NodeId, NodeSet, NodeState, Proposal, Reader, Sink, Status, Value, Writer};

const _: () = assert!(
    kind::REQUEST == 128,
    "the upper half of all kinds is for clients"
);
const _: () = assert!(
    crate::MessageKind::ALL.len() <= 128,
    "a message between nodes would be taken for a question"
);

/// The kinds of frames between clients and nodes. Messages between nodes have lower numbers.
pub(super) mod kind {
    pub(in crate::wire) const REQUEST: u8 = 128;
    pub(in crate::wire) const WITHDRAW: u8 = 129;
    pub(in crate::wire) const ASK_STATUS: u8 = 130;
    pub(in crate::wire) const OUTCOME: u8 = 131;
    pub(in crate::wire) const STATUS: u8 = 132;
}

/// True if a frame is for a client.
pub(super) const fn is_answer(kind: u8) -> bool {
    matches!(kind, kind::OUTCOME | kind::STATUS)
}

/// Returns the kind of frame that carries a question.
pub(super) const fn kind_of_question<C>(question: &Question<C>) -> u8 {
    match question {
        Question::Request { .. } => kind::REQUEST,
        Question::Withdraw { .. } => kind::WITHDRAW,
        Question::Status => kind::ASK_STATUS,
    }
}

/// Returns the kind of frame that carries an answer.
pub(super) const fn kind_of_answer<O>(answer: &Answer<O>) -> u8 {
    match answer {
        Answer::Outcome { .. } => kind::OUTCOME,
        Answer::Status(_) => kind::STATUS,
    }
}

pub(super) fn write_question<C: Value>(question: &Question<C>, to: &mut Writer<'_>) {
    match question {
        Question::Request { proposal } => proposal.encode(to),
        Question::Withdraw { key } => put_key(to, *key),
        Question::Status => {}
    }
}

/// Reads a question. A no-op is none: nobody asks for it, and it has no key under which it could be answered.
pub(super) fn read_question<C: Value>(kind: u8, from: &mut Reader<'_>) -> Option<Question<C>> {
    Some(match kind {
        kind::REQUEST => Question::Request {
            proposal: Proposal::decode(from).filter(|proposal| proposal.key().is_some())?,
        },
        kind::WITHDRAW => Question::Withdraw { key: key(from)? },
        kind::ASK_STATUS => Question::Status,
        _ => return None,
    })
}

/// Writes an answer. The outcome comes last, as its output ends with the frame.
///
/// # Errors
///
/// [`Unencodable`]: the leader or the owner of a ballot has a number that no node can have.
pub(super) fn write_answer<O: Value>(
    answer: &Answer<O>,
    to: &mut Writer<'_>,
) -> Result<(), Unencodable> {
    match answer {
        Answer::Outcome {
            key,
            fingerprint,
            outcome,
            leader,
        } => {
            put_key(to, *key);
            to.put_u32(*fingerprint);
            put_leader(to, *leader)?;
            put_outcome(to, outcome);
        }
        Answer::Status(status) => {
            // The index in `NodeState::ALL`, by which the reader finds the state.
            to.put_u8(match status.state {
                NodeState::Joining => 0,
                NodeState::Learning => 1,
                NodeState::Voting => 2,
                NodeState::Leading => 3,
                NodeState::Halted => 4,
                NodeState::Retired => 5,
            });
            put_leader(to, status.leader)?;
            put_slot(to, status.applied);
            to.put_u64(status.chain);
            put_ballot(to, status.highest)?;
            to.put(&status.epoch.0.to_le_bytes());
            to.put_u64(status.members.bits());
        }
    }
    Ok(())
}

pub(super) fn read_answer<O: Value>(kind: u8, from: &mut Reader<'_>) -> Option<Answer<O>> {
    Some(match kind {
        kind::OUTCOME => {
            let (key, fingerprint) = (key(from)?, from.u32()?);
            let leader = leader(from).ok()?;
            Answer::Outcome {
                key,
                fingerprint,
                outcome: outcome(from)?,
                leader,
            }
        }
        kind::STATUS => Answer::Status(Status {
            state: NodeState::ALL.get(usize::from(from.u8()?)).copied()?,
            leader: leader(from).ok()?,
            applied: slot(from)?,
            chain: from.u64()?,
            highest: ballot(from)?,
            epoch: Epoch(u16::from_le_bytes(from.array()?)),
            members: NodeSet::from_bits(from.u64()?),
        }),
        _ => return None,
    })
}

/// Writes a node, or none.
fn put_leader(to: &mut Writer<'_>, leader: Option<NodeId>) -> Result<(), Unencodable> {
    to.put_u8(match leader {
        Some(node) => super::node_byte(node).ok_or(Unencodable)?,
        None => NOBODY,
    });
    Ok(())
}

/// Reads a node, or none.
fn leader(from: &mut Reader<'_>) -> Result<Option<NodeId>, FrameError> {
    match from.u8().ok_or(FrameError::Malformed)? {
        NOBODY => Ok(None),
        byte => super::node_of(byte).map(Some).ok_or(FrameError::Malformed),
    }
}
