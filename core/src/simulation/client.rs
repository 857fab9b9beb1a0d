//! A client of the simulation: registers, asks one thing after the other, and goes elsewhere when its node is gone.

use crate::{ClientId, NodeId, RequestKey, RequestNumber};

/// Where a client is in its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It wants a session, under this nonce.
    Registering,
    /// It has a session and asks for nothing at the moment.
    Ready,
    /// It has asked and waits.
    Waiting,
    /// It has all of its answers.
    Done,
}

/// One client.
#[derive(Clone, Debug)]
pub(super) struct Client<C> {
    pub(super) node: NodeId,
    pub(super) nonce: u64,
    pub(super) progress: Progress,
    pub(super) id: ClientId,
    pub(super) number: RequestNumber,
    /// The command of the present number, kept for asking again elsewhere.
    pub(super) command: Option<C>,
}

impl<C> Client<C> {
    pub(super) const fn new(node: NodeId, nonce: u64) -> Self {
        Self {
            node,
            nonce,
            progress: Progress::Registering,
            id: ClientId(0),
            number: RequestNumber::REGISTRATION,
            command: None,
        }
    }

    /// Whether an answer is the one that it waits for.
    pub(super) fn awaits(&self, key: RequestKey) -> bool {
        match self.progress {
            Progress::Registering => key == RequestKey::registration(self.nonce),
            Progress::Waiting => {
                key == RequestKey {
                    client: self.id,
                    number: self.number,
                }
            }
            Progress::Ready | Progress::Done => false,
        }
    }
}
