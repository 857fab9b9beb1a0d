//! The requests of clients, and when each was made.
//!
//! Requests are remembered to find values that nobody asked for, and to find answers that are older than they may be: a
//! request takes effect after everything that was answered before it was made, which is what linearizability asks of
//! time.

use super::ballots::Known;
use super::check_counts::Seen;
use crate::simulation::scenario::CLIENTS_MAX;
use crate::simulation::violation::{Rule, Violation};
use crate::{Proposal, RequestKey, Slot, Value};

/// How many places a set of digests has, and how many of them are used, so that what is not in it is found missing soon.
/// Two sets take 16 KiB. A simulation of 64 clients can look back over a dozen requests of each of them at least.
const PLACES: usize = 1024;
const USED_MAX: usize = PLACES / 4 * 3;
const _: () = assert!(
    USED_MAX < PLACES && CLIENTS_MAX < USED_MAX,
    "A free place ends every search, and what all clients wait for is in the two sets."
);

/// What was asked, by its digest; and of each client when it asked what it waits for.
///
/// A question costs a digest of its command and a look into a table, and so does a value that is new in its slot; an
/// answer costs a comparison.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    /// The last requests, and those before them: when there are too many the older ones are forgotten.
    recent: Digests,
    older: Digests,
    /// Whether a set with anything in it was cleared, so that a digest that is missing may have been there.
    forgot: bool,
    /// By the number of the client.
    waiting: [Option<Waiting>; CLIENTS_MAX],
    /// The highest slot in which a request took effect that was answered.
    done: Slot,
}

/// A set of digests, each in the first free place from where it belongs; 0 is a free place, so that a digest of 0
/// counts as 1. Nothing is removed from it alone, so that no search ends at a gap before what it is for.
#[derive(Clone, Debug)]
struct Digests {
    places: [u64; PLACES],
    len: usize,
}

impl Digests {
    const fn new() -> Self {
        Self {
            places: [0; PLACES],
            len: 0,
        }
    }

    fn clear(&mut self) {
        self.places.fill(0);
        self.len = 0;
    }

    /// The index of a digest, or of the free place where it belongs, and whether it is there.
    fn find(&self, digest: u64) -> (usize, bool) {
        // A digest is as good as random in any of its bits; these fit into any `usize`.
        let low = usize::try_from(digest & 0xffff_ffff).unwrap_or(0);
        let mut index = low % PLACES;
        for _ in 0..PLACES {
            match self.places.get(index) {
                Some(known) if *known == digest => return (index, true),
                Some(0) | None => break,
                Some(_) => index = (index + 1) % PLACES,
            }
        }
        (index, false)
    }

    fn contains(&self, digest: u64) -> bool {
        let (_, known) = self.find(digest);
        known
    }

    fn insert(&mut self, digest: u64) {
        debug_assert!(digest != 0, "0 is a free place");
        let (index, known) = self.find(digest);
        if let Some(place) = self.places.get_mut(index).filter(|_| !known) {
            debug_assert!(*place == 0, "a digest takes the place of another");
            *place = digest;
            self.len += 1;
            debug_assert!(
                self.len < PLACES,
                "without a free place a search ends nowhere"
            );
        }
    }
}

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    key: RequestKey,
    /// The highest slot of an answered request when it was asked first.
    after: Slot,
}

impl Requests {
    pub(super) const fn new() -> Self {
        Self {
            recent: Digests::new(),
            older: Digests::new(),
            forgot: false,
            waiting: [None; CLIENTS_MAX],
            done: Slot::ZERO,
        }
    }

    pub(super) fn clear(&mut self) {
        self.recent.clear();
        self.older.clear();
        self.forgot = false;
        self.waiting.fill(None);
        self.done = Slot::ZERO;
    }

    /// A client asks, or asks again.
    pub(super) fn ask<C: Value>(&mut self, client: u16, key: RequestKey, command: Option<&C>) {
        let proposal = match command {
            // The key of a registration has the nonce in the place of the client.
            None => Proposal::Register {
                nonce: key.client.0,
            },
            Some(command) => Proposal::Request {
                client: key.client,
                number: key.number,
                command: *command,
            },
        };
        let digest = proposal.digest().0.max(1);
        if self.recent.len >= USED_MAX && !self.recent.contains(digest) {
            // The older set is forgotten as a whole, so that what was asked last is always known for as long.
            self.forgot |= self.older.len > 0;
            core::mem::swap(&mut self.recent, &mut self.older);
            self.recent.clear();
        }
        self.recent.insert(digest);
        debug_assert!(
            self.recent.len <= USED_MAX && self.older.len <= USED_MAX,
            "a set is cleared before it is full"
        );
        let after = self.done;
        // The first time counts: a request that is repeated may have taken effect since then.
        if let Some(waiting) = self.waiting.get_mut(usize::from(client))
            && waiting.is_none_or(|waiting| waiting.key != key)
        {
            *waiting = Some(Waiting { key, after });
        }
    }

    /// Whether anybody asked for a proposal.
    /// By digests of 64 bits: that one of a value that nobody has asked for is among some thousand others does not
    /// happen.
    pub(super) fn knows<C: Value>(&self, proposal: &Proposal<C>) -> Known<()> {
        let digest = proposal.digest().0.max(1);
        if self.recent.contains(digest) || self.older.contains(digest) {
            Known::Is(())
        } else if self.forgot {
            Known::Forgotten
        } else {
            Known::Not
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
        debug_assert!(
            self.waiting
                .iter()
                .flatten()
                .all(|waiting| waiting.after <= self.done),
            "a request was made after an answer that was not given yet"
        );
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
