//! Frame lengths, known at compile time.

use crate::roles::sessions::HEAD;
use crate::{SNAPSHOT_PAGE, StateMachine, Value};

/// The length of a frame without its body in bytes: version, kind, cluster, from, to, and the checksum at the end.
pub const OVERHEAD: usize = 1 + 1 + 4 + 1 + 1 + 4;

/// The smallest maximum frame length of a link in bytes, whatever is replicated: enough for a snapshot page of 28
/// bytes. A CAN FD frame is long enough.
pub const LEN_MIN: usize = OVERHEAD + SLOT + 8 + 4 + 4 + HEAD;

const _: () = assert!(LEN_MIN <= 64, "a frame of CAN FD is long enough");
const _: () = assert!(
    OVERHEAD + SLOT + 8 + 4 + 4 + SNAPSHOT_PAGE <= 127,
    "the longest page of a snapshot fits into a frame of IEEE 802.15.4"
);

/// The length of a ballot in bytes: round, epoch and node.
const BALLOT: usize = 4 + 2 + 1;
/// The length of a slot in bytes.
const SLOT: usize = 8;
/// The length of the key of a request in bytes: client and number.
const KEY: usize = 8 + 4;

/// Returns the length of the longest frame of a cluster that replicates `M` in pages of `PAGE` entries, in bytes.
///
/// ```
/// use synod::machines::Opaque;
/// // Commands of 16 bytes, two in a message: they fit into a frame of IEEE 802.15.4.
/// const { assert!(synod::wire::len_max::<Opaque, 2>() <= 127) };
/// ```
pub const fn len_max<M: StateMachine, const PAGE: usize>() -> usize {
    let (mut len, others) = (
        promise_max::<M, PAGE>(),
        [welcome_max::<M>(), answer_max::<M>()],
    );
    let mut index = 0;
    while index < others.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        let other = others[index];
        len = if other < len { len } else { other };
        index += 1;
    }
    len
}

/// The length of a promise with `PAGE` entries: flags, ballot, two slots; for each entry the distance of its slot,
/// ballot and proposal. It is longer than a refusal, which has one more ballot and no entry, and than any other message
/// with as many commands.
const fn promise_max<M: StateMachine, const PAGE: usize>() -> usize {
    OVERHEAD + 1 + BALLOT + SLOT + SLOT + PAGE * (2 + BALLOT + proposal_max::<M>())
}

/// The length of a welcome: the snapshot's slot and digest, page index, number of pages, and the page.
const fn welcome_max<M: StateMachine>() -> usize {
    assert!(
        M::PAGE_BYTES <= SNAPSHOT_PAGE,
        "PAGE_BYTES of the state machine must be at most SNAPSHOT_PAGE"
    );
    OVERHEAD + SLOT + 8 + 4 + 4 + M::PAGE_BYTES
}

/// The length of an answer to a client: the key and the fingerprint of the request, the leader, and the outcome. The
/// answer of a node to another node has the same fields without the leader.
const fn answer_max<M: StateMachine>() -> usize {
    OVERHEAD + KEY + 4 + 1 + 1 + SLOT + M::Output::ENCODED_MAX
}

/// The length of a status: state, leader, two numbers, a ballot, the epoch and its members.
const STATUS: usize = OVERHEAD + 1 + 1 + SLOT + 8 + BALLOT + 2 + 8;
const _: () = assert!(STATUS <= LEN_MIN, "every link carries it");

/// The length of a proposal: its kind, the key of the request, and the command. A registration and a no-op are shorter.
const fn proposal_max<M: StateMachine>() -> usize {
    1 + KEY + M::Command::ENCODED_MAX
}

/// Returns which number to change if a message may be longer than a frame; `None` if all of them fit. What is wrong
/// whatever the others are comes first, so that the number that is named is one whose change helps.
pub(super) const fn misfit<M: StateMachine, const PAGE: usize>(mtu: usize) -> Option<&'static str> {
    if M::PAGE_BYTES > SNAPSHOT_PAGE {
        Some("PAGE_BYTES of the state machine must be at most SNAPSHOT_PAGE")
    } else if mtu < LEN_MIN {
        Some("a frame must have at least wire::LEN_MIN bytes: raise MTU")
    } else if promise_max::<M, 1>() > mtu {
        Some(
            "one command does not fit into a promise: lower ENCODED_MAX of the command, or raise MTU",
        )
    } else if promise_max::<M, PAGE>() > mtu {
        Some(
            "a promise of PAGE entries does not fit into a frame: lower PAGE or ENCODED_MAX of the command, or raise MTU",
        )
    } else if welcome_max::<M>() > mtu {
        Some(
            "a page of a snapshot does not fit into a frame: lower PAGE_BYTES of the state machine, or raise MTU",
        )
    } else if answer_max::<M>() > mtu {
        Some("an answer does not fit into a frame: lower ENCODED_MAX of the output, or raise MTU")
    } else {
        None
    }
}
