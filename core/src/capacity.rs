//! Capacities: their bounds, and the room that a step needs in the outbox.
//!
//! A capacity out of bounds is a compile-time error that names the number. All bounds of a [`Node`](crate::Node) are
//! defined here, and every other type with the same capacities takes them from here.

use crate::StateMachine;
use crate::roles::sessions::{HEAD, TAIL};
use crate::{SNAPSHOT_PAGE, Value};

/// Returns the smallest `ROOM` of an [`Outbox`](crate::Outbox) for a node with these capacities: the most that one step
/// may put in it, which is the larger of two sums.
///
/// - Messages: a page for every part of the window, a reply and a proposal for every client, and six single ones (a
///   heartbeat, a decision, a promise, and requests for more).
/// - Writes: one for every slot of the window, one for every proposal that waited for a slot, one for every decision of
///   a page, two promises and a state.
///
/// Where the type of the node is known, [`Node::OUTBOX_MIN`](crate::Node::OUTBOX_MIN) is the same number. Code that is
/// generic over the capacities cannot compute the `ROOM` of an outbox from them, as the language does not support that
/// yet: it takes `ROOM` as one more parameter, which is chosen together with the capacities. A `ROOM` that is too small
/// is a compile-time error there as well.
///
/// ```
/// use synod::machines::Kv;
/// use synod::{Config, ConfigError, Instant, Node, NodeId, Outbox, StateMachine, outbox_min};
///
/// struct Driver<M: StateMachine, const PAGE: usize, const ROOM: usize> {
///     node: Node<M, 8, 4, PAGE>,
///     outbox: Outbox<M, PAGE, ROOM>,
/// }
///
/// impl<M: StateMachine, const PAGE: usize, const ROOM: usize> Driver<M, PAGE, ROOM> {
///     fn tick(&mut self, now: Instant) {
///         self.node.handle_timeout(now, &mut self.outbox, &mut ());
///     }
/// }
///
/// // Room for two steps.
/// let node = Node::found(Config::new(NodeId(0), 1), 6, Instant::ZERO)?;
/// let mut driver = Driver::<Kv<4>, 2, { 2 * outbox_min(8, 4, 2) }> { node, outbox: Outbox::new() };
/// driver.tick(Instant::ZERO);
/// # Ok::<(), ConfigError>(())
/// ```
pub const fn outbox_min(window: usize, clients: usize, page: usize) -> usize {
    // A page without entries is rejected elsewhere.
    let page_len = if page == 0 { 1 } else { page };
    let messages = window
        .div_ceil(page_len)
        .saturating_add(clients.saturating_mul(2))
        .saturating_add(6);
    let writes = window
        .saturating_add(clients)
        .saturating_add(page)
        .saturating_add(3);
    if messages > writes { messages } else { writes }
}

/// True if a window can have this many slots: a power of two, so that a slot finds its place without a division.
/// The maximum keeps a distance within a window in 16 bits, as frames and the cursors of a scout have it.
pub(crate) const fn is_window(slots: usize) -> bool {
    slots >= 2 && slots <= 4096 && slots.is_power_of_two()
}

/// Returns which number to change if a node cannot have these capacities; `None` if it can.
pub(crate) const fn misfit<M: StateMachine>(
    window: usize,
    clients: usize,
    page: usize,
) -> Option<&'static str> {
    if !is_window(window) {
        Some("WINDOW must be a power of two from 2 to 4096")
    } else if clients < 1 || clients > 65_535 {
        // The records in storage hold it in 16 bits.
        Some("CLIENTS must be from 1 to 65535")
    } else if page < 1 || page > 128 {
        Some("PAGE must be from 1 to 128")
    } else if M::PAGE_BYTES < HEAD || M::PAGE_BYTES > SNAPSHOT_PAGE {
        Some("PAGE_BYTES of the state machine must be from 28 to SNAPSHOT_PAGE, which is 90")
    } else if TAIL + M::Output::ENCODED_MAX > M::PAGE_BYTES {
        Some(
            "an encoded output must fit in a page of a snapshot with 5 bytes more: lower ENCODED_MAX of the output, or raise PAGE_BYTES of the state machine",
        )
    } else {
        None
    }
}

const _: () = assert!(
    outbox_min(16, 8, 2) == 30,
    "the documentation of the outbox names it"
);

const _: () = assert!(
    HEAD == 28 && SNAPSHOT_PAGE == 90 && TAIL == 5,
    "the words above say so"
);

/// The compiler's error for an outbox that is too small.
const TOO_SMALL: &[u8] = b"ROOM of the outbox must be at least OUTBOX_MIN of the node, which is ";
/// The maximum number of decimal digits.
const DIGITS_MAX: usize = 20;
const _: () = assert!(
    usize::MAX.ilog10() < 20,
    "a room has no more digits than there is room for"
);

/// A sentence that ends with a number, built at compile time.
///
/// An assertion in a constant shows a string as it is and formats nothing, so the digits are written one by one.
pub(crate) struct Sentence {
    /// The sentence, followed by zeros.
    bytes: [u8; TOO_SMALL.len() + DIGITS_MAX],
    /// Its length in bytes.
    len: usize,
}

impl Sentence {
    /// Returns the sentence that says that the outbox is too small, and its smallest `ROOM`.
    #[expect(
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "evaluated by the compiler"
    )]
    pub(crate) const fn too_small(needed: usize) -> Self {
        let mut bytes = [0; TOO_SMALL.len() + DIGITS_MAX];
        let mut len = 0;
        while len < TOO_SMALL.len() {
            bytes[len] = TOO_SMALL[len];
            len += 1;
        }
        // The place of the first digit: the greatest power of ten that is not above the number.
        let mut place = 1;
        while needed / place >= 10 {
            place *= 10;
        }
        while place > 0 {
            bytes[len] = b'0' + (needed / place % 10) as u8;
            len += 1;
            place /= 10;
        }
        Self { bytes, len }
    }

    /// Returns the sentence as text.
    pub(crate) const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(sentence) => sentence,
            Err(_) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::Kv;

    #[test]
    fn the_sentence_ends_with_the_number() {
        let said = Sentence::too_small(7);
        assert_eq!(
            said.as_str(),
            "ROOM of the outbox must be at least OUTBOX_MIN of the node, which is 7"
        );
        for (needed, end) in [(0, " 0"), (30, " 30"), (1_000, " 1000"), (109, " 109")] {
            let said = Sentence::too_small(needed);
            assert!(said.as_str().ends_with(end), "{}", said.as_str());
        }
    }

    #[test]
    fn each_capacity_is_looked_at_from_both_sides() {
        let fits = |window, clients, page| misfit::<Kv<4>>(window, clients, page).is_none();
        assert!(fits(2, 1, 1) && fits(4096, 65_535, 128));
        for window in [0, 1, 3, 6, 8192] {
            assert!(!fits(window, 1, 1), "a window of {window}");
        }
        for clients in [0, 65_536] {
            assert!(!fits(2, clients, 1), "{clients} clients");
        }
        for page in [0, 129] {
            assert!(!fits(2, 1, page), "a page of {page}");
        }
    }

    #[test]
    fn n4_room_is_counted_for_whatever_is_asked() {
        assert_eq!(outbox_min(16, 8, 2), 30);
        assert_eq!(outbox_min(4, 8, 1), 26, "messages");
        assert_eq!(outbox_min(usize::MAX, usize::MAX, 0), usize::MAX);
    }
}
