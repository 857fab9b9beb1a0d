//! Commands of a client that go to the service together, and the replies that come of them.

use crate::command::{MembersCommand, Queued};
use crate::op::Op;
use crate::reply::Reply;
use crate::resp::Protocol;
use crate::service::{Asked, Token, Work};

/// Commands that go to the service together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) what: What,
    /// What the client is replied, in order.
    pub(super) shapes: Vec<Shape>,
}

/// What goes to the service.
#[derive(Debug)]
pub(super) enum What {
    /// Operations on the keyspace.
    Work(Work),
    /// A change of the members.
    Change(MembersCommand),
    /// A request in a session of the client's own.
    Asked(Asked),
    /// It was sent.
    Sent,
}

/// A reply to the client.
#[derive(Debug)]
pub(super) enum Shape {
    /// The reply to the next operation.
    One,
    /// The replies to the next `count` operations, as the reply of a transaction.
    Transaction { queued: Queued, count: usize },
    /// A reply that is known already.
    Known(Reply),
    /// No reply: the next ones are in this version of the protocol.
    Speak(Protocol),
}

/// The greatest number of replies of a group.
const SHAPES_MAX: usize = 1024;

impl Group {
    /// Returns a group of operations, without replies; `None` if they do not fit in a batch. They are read from the state if
    /// all of them only read and `may_read` is true.
    pub(super) fn of_ops(token: Token, ops: &[Op<'_>], may_read: bool) -> Option<Self> {
        let is_read = may_read && !ops.iter().any(Op::is_write);
        let mut work = Work::new(token, is_read);
        for op in ops {
            work.push(op);
        }
        work.fits().then_some(Self {
            what: What::Work(work),
            shapes: Vec::new(),
        })
    }

    /// Adds what comes after, or returns it if the two do not go together.
    pub(super) fn join(&mut self, after: Self) -> Option<Self> {
        let (What::Work(work), What::Work(more)) = (&mut self.what, &after.what) else {
            return Some(after);
        };
        if self.shapes.len() >= SHAPES_MAX || !work.join(more) {
            return Some(after);
        }
        self.shapes.extend(after.shapes);
        None
    }
}
