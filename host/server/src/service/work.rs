//! Work of clients: operations that are proposed, or read, together.

use crate::batch::{Batch, BatchId};
use crate::op::Op;
use crate::reply::Reply;
use synod::{ClientId, Instant, Proposal, RequestNumber};

/// Names a client's connection, so that its answer finds it. The service does not know what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Operations of one client, which are applied in their order with nothing in between, or read from one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Who asks.
    pub token: Token,
    /// When it is given up.
    pub(super) until: Instant,
    /// The encoded operations.
    bytes: Vec<u8>,
    count: u16,
    is_read: bool,
    /// True if the whole state is read, and no operation.
    is_backup: bool,
}

impl Work {
    /// Creates work without operations. It is to read, or to be proposed, for as long as it lasts.
    pub fn new(token: Token, is_read: bool) -> Self {
        Self {
            token,
            until: Instant::ZERO,
            bytes: Vec::new(),
            count: 0,
            is_read,
            is_backup: false,
        }
    }

    /// Creates the work of a backup. Its reply is a [`Backup`](crate::backup::Backup), encoded.
    pub fn backup(token: Token) -> Self {
        Self {
            count: 1,
            is_backup: true,
            ..Self::new(token, true)
        }
    }

    /// True if it is a backup.
    pub(super) fn is_backup(&self) -> bool {
        self.is_backup
    }

    /// Sets when it is given up.
    pub(super) fn until(mut self, until: Instant) -> Self {
        self.until = until;
        self
    }

    /// Adds an operation. Work that is proposed must fit in a batch.
    pub fn push(&mut self, op: &Op<'_>) {
        op.encode(&mut Bytes(&mut self.bytes));
        self.count = self.count.saturating_add(1);
    }

    /// True if the operations fit in a batch, or in one read.
    pub fn fits(&self) -> bool {
        self.has_room(0, 0)
    }

    /// True if so many more operations, of so many bytes in all, fit.
    fn has_room(&self, count: u16, bytes: usize) -> bool {
        let max = if self.is_read {
            Self::READ_MAX
        } else {
            Batch::MAX
        };
        self.bytes.len().saturating_add(bytes) <= max
            && self.count.saturating_add(count) <= Self::COUNT_MAX
    }

    /// Adds the operations of other work that comes after. Returns false, and adds nothing, if they do not go together.
    pub fn join(&mut self, more: &Self) -> bool {
        if self.is_backup || more.is_backup {
            return false;
        }
        if self.is_read != more.is_read || !self.has_room(more.count, more.bytes.len()) {
            return false;
        }
        self.bytes.extend_from_slice(&more.bytes);
        self.count = self.count.saturating_add(more.count);
        true
    }

    /// The greatest number of operations.
    const COUNT_MAX: u16 = 256;
    /// The greatest length of operations that are read together, in bytes.
    const READ_MAX: usize = 16 * 1024;

    /// Returns the number of operations.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// True if it is read, and not proposed.
    pub fn is_read(&self) -> bool {
        self.is_read
    }

    /// Returns the encoded operations.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Evaluates the operations, all of which read.
    pub(super) fn evaluate(&self, evaluate: impl Fn(&Op<'_>) -> Reply) -> Vec<Reply> {
        let mut rest = self.bytes.as_slice();
        let mut replies = Vec::with_capacity(self.count());
        while let Some(op) = Op::decode(&mut rest) {
            replies.push(evaluate(&op));
        }
        debug_assert_eq!(replies.len(), self.count(), "work that does not decode");
        replies
    }
}

/// What a client asks for in a session of its own, so that it can repeat it without effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To open a session, or find the one of this nonce.
    Session {
        /// What the client has drawn.
        nonce: u64,
    },
    /// To apply operations once under this number.
    Request {
        /// The session.
        client: ClientId,
        /// The number of the request in it.
        number: RequestNumber,
        /// The operations.
        batch: Box<Batch>,
    },
}

impl Asked {
    /// Returns the request to apply one operation; `None` if it does not fit in a batch.
    pub fn request(client: ClientId, number: RequestNumber, op: &Op<'_>) -> Option<Self> {
        // Its identity is the same for each repetition, as a repetition is the same command.
        let mut batch = Batch::new(BatchId(0));
        batch.push(op).ok()?;
        Some(Self::Request {
            client,
            number,
            batch: Box::new(batch),
        })
    }

    /// Returns what is proposed.
    pub(super) fn proposal(&self) -> Proposal<Batch> {
        match self {
            Self::Session { nonce } => Proposal::Register { nonce: *nonce },
            Self::Request {
                client,
                number,
                batch,
            } => Proposal::Request {
                client: *client,
                number: *number,
                command: **batch,
            },
        }
    }
}

/// A vector as the destination of an encoding.
struct Bytes<'a>(&'a mut Vec<u8>);

impl synod::Sink for Bytes<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}
