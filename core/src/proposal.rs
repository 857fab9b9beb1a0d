//! Proposals, the keys that identify requests, and the outcomes of requests.

use crate::{Ballot, Change, ChangeError, Digest, Epoch, Reader, Sink, Slot, Value};
use core::fmt;

/// The identity of a client: the slot in which its registration was applied. No two registrations have the same slot,
/// so a client that has forgotten its request numbers registers under a new identity and never gets the answer to an
/// earlier request.
///
/// In the key of a registration, which has no slot yet, it holds the nonce that the client drew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientId(pub u64);

impl ClientId {
    /// The client of all changes of the members, which need no session: no registration has this slot, as the last one
    /// is never assigned.
    pub const OPERATOR: Self = Self(u64::MAX);
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}", self.0)
    }
}

/// The number of a client's request, rising from 1. A client that has used all numbers registers again. In keys and
/// answers, [`RequestNumber::REGISTRATION`] stands for a registration and [`RequestNumber::READ`] for a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestNumber(pub u32);

impl RequestNumber {
    /// The number of a registration.
    pub const REGISTRATION: Self = Self(0);
    /// The number of a read, which no request has.
    pub const READ: Self = Self(u32::MAX);
}

/// The key that identifies a request: a client and the number of its request; or the nonce of a registration or a read, and
/// [`RequestNumber::REGISTRATION`] or [`RequestNumber::READ`]; or, for a change of the members, [`ClientId::OPERATOR`] and the number of the epoch to
/// come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestKey {
    /// The client, or the nonce of a registration or a read.
    pub client: ClientId,
    /// The number of the request.
    pub number: RequestNumber,
}

impl RequestKey {
    /// Returns the key of a registration with a nonce.
    pub const fn registration(nonce: u64) -> Self {
        Self {
            client: ClientId(nonce),
            number: RequestNumber::REGISTRATION,
        }
    }

    /// Returns the key of a read with a nonce.
    pub const fn read(nonce: u64) -> Self {
        Self {
            client: ClientId(nonce),
            number: RequestNumber::READ,
        }
    }

    /// Returns the key of a change of the members that ends an epoch. The changes of one epoch have the same key: one
    /// of them can take effect.
    pub const fn change(epoch: Epoch) -> Self {
        // Widening a u16 loses nothing, and `From` is not callable in a `const fn`.
        #[expect(clippy::as_conversions, reason = "u16 to u32, in a const fn")]
        Self {
            client: ClientId::OPERATOR,
            number: RequestNumber(epoch.0 as u32 + 1),
        }
    }
}

/// A proposal for a slot of the log.
#[derive(Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Proposal<C> {
    /// A no-op: fills a hole that a former leader has left, and changes nothing.
    Noop,
    /// Opens a session for a client, whose identity is the slot of this proposal.
    Register {
        /// Drawn by the client, so that a retry finds the session that the first attempt opened.
        nonce: u64,
    },
    /// A command for the state machine, applied at most once for each client and number.
    Request {
        /// The client.
        client: ClientId,
        /// The number of the client's request.
        number: RequestNumber,
        /// The command for the state machine.
        command: C,
    },
    /// Ends the present epoch, and names the members of the next one (rules V1 to V9).
    Reconfigure(Change),
}

/// Equal to the derived implementation, but compiled once on small targets and not inlined wherever a page is copied.
#[expect(
    clippy::expl_impl_clone_on_copy,
    reason = "a derived one cannot have an attribute"
)]
impl<C: Clone> Clone for Proposal<C> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn clone(&self) -> Self {
        match self {
            Self::Noop => Self::Noop,
            Self::Register { nonce } => Self::Register { nonce: *nonce },
            Self::Request {
                client,
                number,
                command,
            } => Self::Request {
                client: *client,
                number: *number,
                command: command.clone(),
            },
            Self::Reconfigure(change) => Self::Reconfigure(*change),
        }
    }
}

impl<C> Proposal<C> {
    /// Returns the key of the request; `None` for a no-op, which nobody has requested.
    pub fn key(&self) -> Option<RequestKey> {
        match self {
            Self::Noop => None,
            Self::Register { nonce } => Some(RequestKey::registration(*nonce)),
            Self::Request { client, number, .. } => Some(RequestKey {
                client: *client,
                number: *number,
            }),
            Self::Reconfigure(change) => Some(RequestKey::change(change.epoch)),
        }
    }
}

impl<C: Eq> Proposal<C> {
    /// True if two proposals are equal: `==`, compiled once on small targets.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self == other
    }
}

impl<C: Value> Proposal<C> {
    /// Returns 32 bits of a digest of the command or of the new members, or 0 if there is neither. Together with the key
    /// it identifies the request that an answer belongs to: a client may use one number for two commands, by mistake or
    /// because it has lost its memory, and neither must be given the other's answer (rule X1).
    ///
    /// ```
    /// use synod::{ClientId, Proposal, RequestNumber};
    /// let ask = |command: u32| Proposal::Request { client: ClientId(1), number: RequestNumber(7), command };
    /// assert_eq!(ask(99).key(), ask(7).key());
    /// assert_ne!(ask(99).fingerprint(), ask(7).fingerprint());
    /// ```
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub fn fingerprint(&self) -> u32 {
        match self {
            Self::Request { command, .. } => fingerprint_of(digest_of(command)),
            Self::Noop | Self::Register { .. } => 0,
            Self::Reconfigure(change) => change.fingerprint(),
        }
    }

    /// Returns a digest of the whole proposal, and the fingerprint; both are computed together.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn digest(&self) -> (u64, u32) {
        match self {
            Self::Noop => (0, 0),
            Self::Register { nonce } => {
                let mut digest = Digest::new();
                digest.put_u64(*nonce);
                (digest.value(), 0)
            }
            Self::Request {
                client,
                number,
                command,
            } => {
                // The command comes first, so that the fingerprint is a state on the way to the digest.
                let mut digest = digest_of(command);
                let fingerprint = fingerprint_of(digest);
                debug_assert!(
                    fingerprint == self.fingerprint(),
                    "an answer would not be recognised by its request (X1)"
                );
                digest.put_u64(client.0);
                digest.put_u32(number.0);
                (digest.value(), fingerprint)
            }
            Self::Reconfigure(change) => {
                let mut digest = Digest::new();
                change.encode(&mut digest);
                (digest.value(), change.fingerprint())
            }
        }
    }
}

/// Returns the digest of a command alone.
#[cfg_attr(target_pointer_width = "64", inline)]
fn digest_of<C: Value>(command: &C) -> Digest {
    let mut digest = Digest::new();
    command.encode(&mut digest);
    digest
}

/// Returns the 32 bits of a command's digest that answers carry.
#[cfg_attr(target_pointer_width = "64", inline)]
fn fingerprint_of(digest: Digest) -> u32 {
    u32::try_from(digest.value() & 0xffff_ffff).unwrap_or(0)
}

impl<C: Value> Value for Proposal<C> {
    /// A request is the longest: its kind, the client in eight bytes, the number in four, and the command. A change of
    /// the members is two bytes shorter than one without a command.
    const ENCODED_MAX: usize = 13 + C::ENCODED_MAX;

    fn encode(&self, sink: &mut impl Sink) {
        match self {
            Self::Noop => sink.put_u8(0),
            Self::Register { nonce } => {
                sink.put_u8(1);
                sink.put_u64(*nonce);
            }
            Self::Request {
                client,
                number,
                command,
            } => {
                sink.put_u8(2);
                sink.put_u64(client.0);
                sink.put_u32(number.0);
                command.encode(sink);
            }
            Self::Reconfigure(change) => {
                sink.put_u8(3);
                change.encode(sink);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.u8()? {
            0 => Self::Noop,
            1 => Self::Register {
                nonce: reader.u64()?,
            },
            2 => Self::Request {
                client: ClientId(reader.u64()?),
                number: RequestNumber(reader.u32()?),
                command: C::decode(reader)?,
            },
            3 => Self::Reconfigure(Change::decode(reader)?),
            _ => return None,
        })
    }
}

/// An accepted proposal: a slot, a ballot and a proposal. Known as *pvalue* in *Paxos Made Moderately Complex*.
#[doc(alias = "pvalue")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Entry<C> {
    /// The slot of the log.
    pub slot: Slot,
    /// The ballot under which the proposal was accepted.
    pub ballot: Ballot,
    /// The proposal.
    pub proposal: Proposal<C>,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome<O> {
    /// The command was applied in `slot`, exactly once, with this output. A retry gets the same outcome.
    Applied {
        /// The slot in which the command was applied.
        slot: Slot,
        /// The output of the state machine.
        output: O,
    },
    /// A session is open, whose identity the client's requests carry from now on.
    Registered {
        /// The identity of the client.
        client: ClientId,
    },
    /// A later request of the same client was applied already; the output of this one is no longer kept.
    Stale,
    /// The session was evicted to make room for others, so it is not known what was applied in it: this request was not
    /// applied now, but an earlier attempt may have been. Register again.
    Evicted,
    /// The same number was used before for another command; nothing was applied.
    Reused,
    /// The replica has no room at present; nothing was proposed. Ask again later.
    Busy,
    /// The change of the members has taken effect, and this epoch has begun. A retry gets the same outcome, as long as
    /// no other change has followed.
    Reconfigured {
        /// The epoch of the new members.
        epoch: Epoch,
    },
    /// The change of the members has no effect.
    Unchanged(
        /// The reason.
        ChangeError,
    ),
    /// Of a read ([`Node::read`](crate::Node::read)): the state of this node includes all that was answered anywhere before
    /// the read was asked for, and may be looked at.
    Readable {
        /// The slot up to which the state includes the log.
        applied: Slot,
    },
    /// Of a read: no leader has confirmed in time that the state of this node is new enough. Ask again, or read through the
    /// log.
    NotNow,
}

impl<O> From<Result<Epoch, ChangeError>> for Outcome<O> {
    fn from(result: Result<Epoch, ChangeError>) -> Self {
        match result {
            Ok(epoch) => Self::Reconfigured { epoch },
            Err(error) => Self::Unchanged(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Writer;

    #[test]
    fn proposals_survive_their_encoding() {
        let proposals: [Proposal<u64>; 3] = [
            Proposal::Noop,
            Proposal::Register { nonce: u64::MAX },
            Proposal::Request {
                client: ClientId(3),
                number: RequestNumber(9),
                command: 77,
            },
        ];
        for proposal in proposals {
            let mut buffer = [0; Proposal::<u64>::ENCODED_MAX];
            let mut writer = Writer::new(&mut buffer);
            proposal.encode(&mut writer);
            let len = writer.len();
            assert!(!writer.overflowed());
            let mut reader = Reader::new(&buffer[..len]);
            assert_eq!(Proposal::decode(&mut reader), Some(proposal));
            assert!(reader.is_empty());
            assert_eq!(
                Proposal::<u64>::decode(&mut Reader::new(&buffer[..len - 1])),
                None
            );
        }
        assert_eq!(
            Proposal::<u64>::decode(&mut Reader::new(&[3])),
            None,
            "no such kind"
        );
    }
}
