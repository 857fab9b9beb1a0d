//! Batches: the commands of the replicated log. A batch has the operations of one or several clients, one after the other.
//!
//! A batch is plain data of fixed size, as the core wants its commands, and its encoding has only the bytes that are
//! used. What was decoded is a batch whose every operation is valid, so that applying one cannot fail.

use crate::op::{KEY_MAX, Op, VALUE_MAX};
use core::fmt;
use synod::{Reader, Sink, Value, Writer};

/// The number of a batch, chosen by the node that proposes it, by which it finds the replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub u64);

/// Operations that are applied together, in their order, with nothing between them.
///
/// ```
/// use synod_server::batch::{Batch, BatchId};
/// use synod_server::op::Op;
///
/// let mut batch = Batch::new(BatchId(7));
/// batch.push(&Op::Add { key: b"visits", by: 1 })?;
/// batch.push(&Op::Get(b"visits"))?;
/// assert_eq!(batch.ops().last(), Some(Op::Get(b"visits")));
/// # Ok::<(), synod_server::batch::BatchFull>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Batch {
    id: BatchId,
    /// How many of the bytes are used.
    len: u16,
    /// The operations, and zeros behind them, so that equal batches have equal bytes.
    bytes: [u8; Batch::MAX],
}

/// The bytes of an encoded batch before its operations: the number of the batch, and the length of the operations.
const HEADER: usize = 8 + 2;

/// The bytes of the longest `SET` without `IFEQ`: its kind, its key and its value after their lengths, its options, and
/// the time at which the key expires.
const SET_MAX: usize = 1 + 1 + KEY_MAX + 2 + VALUE_MAX + 1 + 8;

const _: () = assert!(
    SET_MAX <= Batch::MAX,
    "the longest key fits in a batch with the longest value"
);

impl Batch {
    /// The most bytes that the operations of a batch take.
    ///
    /// A journal of the core stores commands of at most 474 bytes.
    pub const MAX: usize = 474 - HEADER;

    /// Creates a batch without operations.
    pub const fn new(id: BatchId) -> Self {
        Self {
            id,
            len: 0,
            bytes: [0; Self::MAX],
        }
    }

    /// Returns the number of the batch.
    pub fn id(&self) -> BatchId {
        self.id
    }

    /// Appends an operation.
    ///
    /// # Errors
    ///
    /// [`BatchFull`] if the operation does not fit any more, or is not [valid](Op::is_valid). The batch is as before.
    pub fn push(&mut self, op: &Op<'_>) -> Result<(), BatchFull> {
        let (start, len) = (usize::from(self.len), op.encoded_len());
        if !op.is_valid() || len > self.room() {
            return Err(BatchFull);
        }
        let end = start + len;
        let room = self.bytes.get_mut(start..end).ok_or(BatchFull)?;
        op.encode(&mut Writer::new(room));
        self.len = u16::try_from(end).map_err(|_| BatchFull)?;
        Ok(())
    }

    /// Appends operations that are encoded already, all of them or none.
    ///
    /// # Errors
    ///
    /// [`BatchFull`] if they do not fit any more. The batch is as before.
    pub(crate) fn extend(&mut self, ops: &[u8]) -> Result<(), BatchFull> {
        let start = usize::from(self.len);
        let end = start + ops.len();
        let room = self.bytes.get_mut(start..end).ok_or(BatchFull)?;
        room.copy_from_slice(ops);
        self.len = u16::try_from(end).map_err(|_| BatchFull)?;
        debug_assert!(
            is_whole(self.used()),
            "operations that cannot be read again"
        );
        Ok(())
    }

    /// Returns the operations in their order.
    pub fn ops(&self) -> impl Iterator<Item = Op<'_>> {
        let mut rest = self.used();
        core::iter::from_fn(move || Op::decode(&mut rest))
    }

    /// True if the batch has no operations.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns how many more bytes of operations fit.
    pub fn room(&self) -> usize {
        Self::MAX.saturating_sub(usize::from(self.len))
    }

    /// Returns the bytes of the operations.
    fn used(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// True if the bytes are operations, without a rest.
fn is_whole(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        if Op::decode(&mut rest).is_none() {
            return false;
        }
    }
    true
}

/// Only how much there is: keys and values are nobody's business who reads a log.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, ops, bytes) = (self.id.0, self.ops().count(), self.len);
        write!(f, "batch({id:016x}, {ops} operations, {bytes} bytes)")
    }
}

impl Value for Batch {
    const ENCODED_MAX: usize = HEADER + Self::MAX;

    fn encode(&self, sink: &mut impl Sink) {
        sink.put_u64(self.id.0);
        sink.put(&self.len.to_le_bytes());
        sink.put(self.used());
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let mut batch = Self::new(BatchId(reader.u64()?));
        batch.len = reader.array().map(u16::from_le_bytes)?;
        let used = batch.bytes.get_mut(..usize::from(batch.len))?;
        let (chunks, rest) = used.as_chunks_mut::<16>();
        for chunk in chunks {
            *chunk = reader.array()?;
        }
        for byte in rest {
            *byte = reader.u8()?;
        }
        is_whole(batch.used()).then_some(batch)
    }
}

/// An operation was not appended to a [`Batch`], as it does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFull;

impl fmt::Display for BatchFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation does not fit in the batch; nothing was appended")
    }
}

impl core::error::Error for BatchFull {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Condition, Expiry, SetAnswer};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn encoded(batch: &Batch) -> Vec<u8> {
        let mut buffer = [0; Batch::ENCODED_MAX];
        let mut writer = Writer::new(&mut buffer);
        batch.encode(&mut writer);
        assert!(!writer.overflowed());
        let len = writer.len();
        buffer[..len].to_vec()
    }

    fn decoded(bytes: &[u8]) -> Option<Batch> {
        let mut reader = Reader::new(bytes);
        Batch::decode(&mut reader).filter(|_| reader.is_empty())
    }

    fn longest_set<'a>(condition: Condition<'a>, value: &'a [u8]) -> Op<'a> {
        Op::Set {
            key: &[b'k'; KEY_MAX],
            value,
            condition,
            expiry: Expiry::At(u64::MAX),
            answer: SetAnswer::Old,
        }
    }

    proptest! {
        #[test]
        fn a_batch_has_the_operations_that_it_took_and_survives_encoding(
            ops in vec(crate::op::tests::any_op(), 0..8),
            id in any::<u64>(),
        ) {
            let (mut batch, mut taken) = (Batch::new(BatchId(id)), Vec::new());
            for op in ops {
                let before = batch;
                if batch.push(&op) == Ok(()) {
                    taken.push(op);
                } else {
                    prop_assert!(op.encoded_len() > before.room());
                    prop_assert_eq!(batch, before);
                }
            }
            prop_assert_eq!(batch.is_empty(), taken.is_empty());
            prop_assert_eq!(batch.ops().collect::<Vec<_>>(), taken);
            let bytes = encoded(&batch);
            prop_assert_eq!(bytes.len() + batch.room(), Batch::ENCODED_MAX);
            prop_assert_eq!(decoded(&bytes), Some(batch));
            for len in 0..bytes.len() {
                prop_assert_eq!(decoded(&bytes[..len]), None);
            }
        }

        #[test]
        fn bytes_of_any_kind_are_a_batch_of_whole_operations_or_none(
            len in 0..100_u16,
            ops in vec(prop_oneof![0..4_u8, any::<u8>()], 100),
        ) {
            let used = usize::from(len);
            let bytes = [&[0; 8][..], &len.to_le_bytes(), &ops[..used]].concat();
            if let Some(batch) = decoded(&bytes) {
                let lens = batch.ops().map(|op| op.encoded_len());
                prop_assert_eq!(lens.sum::<usize>(), used);
            }
        }
    }

    #[test]
    fn the_longest_key_and_value_fit_with_all_options_but_a_long_value_to_compare_with() {
        let value = [b'v'; VALUE_MAX];
        for condition in [Condition::Absent, Condition::Equals(&[b'o'; 65])] {
            let mut batch = Batch::new(BatchId(1));
            let set = longest_set(condition, &value);
            assert_eq!(batch.push(&set), Ok(()));
            assert_eq!(batch.ops().collect::<Vec<_>>(), [set]);
        }
        let mut batch = Batch::new(BatchId(1));
        let too_long = longest_set(Condition::Equals(&[b'o'; 66]), &value);
        assert_eq!(batch.push(&too_long), Err(BatchFull));
        assert!(batch.is_empty());
    }

    #[test]
    fn an_operation_that_no_batch_can_hold_is_not_appended() {
        let mut batch = Batch::new(BatchId(1));
        assert_eq!(batch.push(&Op::Get(&[0; KEY_MAX + 1])), Err(BatchFull));
        assert_eq!(batch.push(&Op::Delete(vec![])), Err(BatchFull));
        assert_eq!(batch, Batch::new(BatchId(1)));
    }

    #[test]
    fn bytes_behind_the_last_operation_are_refused() {
        let mut batch = Batch::new(BatchId(1));
        batch.push(&Op::Size).unwrap();
        let mut bytes = encoded(&batch);
        bytes.push(200);
        bytes[8] += 1;
        assert_eq!(decoded(&bytes), None);
        let longer_than_any = [&[0; 8][..], &[0xff, 0xff], &[6; 500]].concat();
        assert_eq!(decoded(&longer_than_any), None);
    }

    #[test]
    fn what_is_printed_has_no_key_and_no_value() {
        let mut batch = Batch::new(BatchId(0x1f));
        batch.push(&Op::Get(b"secret")).unwrap();
        let printed = format!("{batch:?}");
        assert_eq!(printed, "batch(000000000000001f, 1 operations, 8 bytes)");
    }
}
