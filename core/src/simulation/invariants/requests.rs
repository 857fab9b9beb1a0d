//! What clients have asked for, and since when.

use super::ballots::Known;
use super::seen::Seen;
use crate::simulation::scenario::CLIENTS_MAX;
use crate::simulation::violation::{Rule, Violation};
use crate::{Digest, Proposal, RequestKey, Slot, Value};

/// How many different requests are told from what nobody asked for; a power of two.
const ASKED: usize = 4096;
/// The last quarter stays free, so that what was never asked is found missing soon.
const ASKED_MAX: usize = ASKED / 4 * 3;

/// Everything that was asked, by its digest; and of each client when it asked what it waits for.
///
/// A question costs a digest of its command and a look into a table; an answer costs a comparison.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    /// Digests, each in the first free place from where it belongs; 0 is a free place.
    asked: [u64; ASKED],
    len: usize,
    waiting: [Option<Waiting>; CLIENTS_MAX],
    /// The highest slot in which a request took effect that was answered.
    done: Slot,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    key: RequestKey,
    /// The highest slot of an answered request when it was asked first.
    after: Slot,
}

/// The digest of a proposal; never 0.
pub(super) fn digest_of<C: Value>(proposal: &Proposal<C>) -> u64 {
    let mut digest = Digest::new();
    proposal.encode(&mut digest);
    digest.value()
}

impl Requests {
    pub(super) const fn new() -> Self {
        Self {
            asked: [0; ASKED],
            len: 0,
            waiting: [None; CLIENTS_MAX],
            done: Slot::ZERO,
        }
    }

    /// The place of a digest, or the free one where it belongs.
    fn place(&mut self, digest: u64) -> Option<&mut u64> {
        let low = usize::try_from(digest & 0xffff_ffff).unwrap_or(0);
        let mut index = low % ASKED;
        for _ in 0..ASKED {
            let known = *self.asked.get(index)?;
            if known == digest || known == 0 {
                break;
            }
            index = (index + 1) % ASKED;
        }
        self.asked.get_mut(index)
    }

    /// A client asks, or asks again.
    pub(super) fn ask<C: Value>(&mut self, client: u16, key: RequestKey, command: Option<&C>) {
        let proposal = match command {
            None => Proposal::Register {
                nonce: key.client.0,
            },
            Some(command) => Proposal::Request {
                client: key.client,
                number: key.number,
                command: *command,
            },
        };
        let digest = digest_of(&proposal).max(1);
        let is_full = self.len >= ASKED_MAX;
        if let Some(place) = self.place(digest)
            && *place == 0
        {
            // Past that it only counts, so that it is known that something is missing.
            if !is_full {
                *place = digest;
            }
            self.len += 1;
        }
        let after = self.done;
        if let Some(waiting) = self.waiting.get_mut(usize::from(client))
            && waiting.is_none_or(|waiting| waiting.key != key)
        {
            *waiting = Some(Waiting { key, after });
        }
    }

    /// Whether anybody asked for a proposal.
    pub(super) fn knows<C: Value>(&mut self, proposal: &Proposal<C>) -> Known<()> {
        let digest = digest_of(proposal).max(1);
        let forgot = self.len > ASKED_MAX;
        match self.place(digest) {
            Some(place) if *place == digest => Known::Is(()),
            _ if forgot => Known::Forgotten,
            _ => Known::Not,
        }
    }

    /// A client's request took effect in a slot, and it was told: later than everything that was answered before it asked.
    pub(super) fn answered(
        &mut self,
        client: u16,
        key: RequestKey,
        slot: Slot,
        seen: &mut Seen,
    ) -> Result<(), Violation> {
        self.done = self.done.max(slot);
        match self.waiting.get(usize::from(client)).copied().flatten() {
            Some(waiting) if waiting.key == key => {
                seen.check(Rule::TooEarly);
                if slot <= waiting.after {
                    return Err(Violation::TooEarly { client, slot });
                }
                Ok(())
            }
            _ => {
                seen.skip(Rule::TooEarly);
                Ok(())
            }
        }
    }
}
