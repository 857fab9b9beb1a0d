//! What stands in a slot of the log, who asked for it, and what came of it.

use crate::{Ballot, Digest, Reader, Sink, Slot, Value};
use core::fmt;

/// A client's identity: the slot in which its registration was applied. No two registrations share a slot, so that a
/// client that forgot its request numbers starts anew under a new identity and cannot be given another's answer.
///
/// In the key of a registration, before there is such a slot, it holds the nonce that the client drew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}", self.0)
    }
}

/// The number of a client's request, from 1 and rising; a client that has used them all registers anew.
/// [`RequestNumber::REGISTRATION`] is the number of a registration in keys and answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestNumber(pub u32);

impl RequestNumber {
    /// The number under which a registration is asked and answered.
    pub const REGISTRATION: Self = Self(0);
}

/// Which request is meant: a client's number of it, or a registration's nonce with
/// [`RequestNumber::REGISTRATION`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RequestKey {
    /// The client, or the nonce of a registration.
    pub client: ClientId,
    /// The number of the request.
    pub number: RequestNumber,
}

impl RequestKey {
    /// The key of a registration under a nonce.
    pub const fn registration(nonce: u64) -> Self {
        Self {
            client: ClientId(nonce),
            number: RequestNumber::REGISTRATION,
        }
    }
}

/// What a leader proposes for a slot.
#[derive(Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Proposal<C> {
    /// Fills a hole that a former leader left; changes nothing.
    Noop,
    /// Opens a client's session; its slot becomes the client's identity.
    Register {
        /// Drawn by the client so that a retry finds the session that the first try opened.
        nonce: u64,
    },
    /// A command for the state machine, applied at most once for each client and number.
    Request {
        /// Whose request it is.
        client: ClientId,
        /// Which of that client's requests.
        number: RequestNumber,
        /// What the state machine is asked to do.
        command: C,
    },
}

/// As it would be derived, compiled once on small targets and not in the midst of each page that is copied.
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
        }
    }
}

impl<C> Proposal<C> {
    /// Whose request it is; `None` for a no-op, which nobody asked for.
    pub fn key(&self) -> Option<RequestKey> {
        match self {
            Self::Noop => None,
            Self::Register { nonce } => Some(RequestKey::registration(*nonce)),
            Self::Request { client, number, .. } => Some(RequestKey {
                client: *client,
                number: *number,
            }),
        }
    }
}

impl<C: Eq> Proposal<C> {
    /// Whether two proposals are the same: `==`, compiled once on small targets.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self == other
    }
}

impl<C: Value> Proposal<C> {
    /// Thirty-two bits of a digest of the command; 0 where there is none. With its key it says which request an answer is
    /// for: a client may ask for two commands under one number, by mistake or because it forgot, and neither may be given
    /// the other's answer (rule X1).
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
        }
    }

    /// A digest of all of it, and the fingerprint, which are made in one go.
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
                let mut digest = digest_of(command);
                let fingerprint = fingerprint_of(digest);
                digest.put_u64(client.0);
                digest.put_u32(number.0);
                (digest.value(), fingerprint)
            }
        }
    }
}

#[cfg_attr(target_pointer_width = "64", inline)]
fn digest_of<C: Value>(command: &C) -> Digest {
    let mut digest = Digest::new();
    command.encode(&mut digest);
    digest
}

#[cfg_attr(target_pointer_width = "64", inline)]
fn fingerprint_of(digest: Digest) -> u32 {
    u32::try_from(digest.value() & 0xffff_ffff).unwrap_or(0)
}

impl<C: Value> Value for Proposal<C> {
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
            _ => return None,
        })
    }
}

/// A proposal that an acceptor accepted for a slot under a ballot.
#[doc(alias = "pvalue")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Entry<C> {
    /// Where in the log.
    pub slot: Slot,
    /// Under which leader's claim.
    pub ballot: Ballot,
    /// What was accepted.
    pub proposal: Proposal<C>,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome<O> {
    /// The command was applied in `slot`, once, and this is its output. A retry gets the same.
    Applied {
        /// The slot whose application produced the output.
        slot: Slot,
        /// What the state machine answered.
        output: O,
    },
    /// A session is open; the client's requests carry this identity from now on.
    Registered {
        /// The identity to use.
        client: ClientId,
    },
    /// A later request of the same client was applied already; the output of this one is no longer kept.
    Stale,
    /// The session was given up to make room for others, and with it the memory of what was applied in it: this request was
    /// not applied now, but an earlier try of it may have been. Register again.
    Evicted,
    /// The same number came before with another command; nothing was applied.
    Reused,
    /// The replica that was asked has no room now; nothing was proposed. Ask again later.
    Busy,
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
