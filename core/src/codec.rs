//! Binary encoding of commands, outputs and snapshot pages.
//!
//! The byte order is little-endian everywhere, and an encoding never depends on the target. The same encoding feeds the
//! digest of a run, which is why it writes to a [`Sink`] and not to a buffer.

use core::fmt::Debug;
use core::hash::Hash;

/// The destination of encoded bytes: a buffer ([`Writer`]) or a digest ([`Digest`](crate::Digest)).
pub trait Sink {
    /// Writes bytes.
    ///
    /// A digest tells two strings of bytes from one: it folds in the length of each.
    fn put(&mut self, bytes: &[u8]);

    /// Writes a 64-bit word.
    fn put_u64(&mut self, word: u64) {
        self.put(&word.to_le_bytes());
    }

    /// Writes a 32-bit word.
    fn put_u32(&mut self, word: u32) {
        self.put(&word.to_le_bytes());
    }

    /// Writes one byte.
    fn put_u8(&mut self, byte: u8) {
        self.put(&[byte]);
    }
}

/// Writes to a buffer of fixed length. Bytes that do not fit are not written, and [`Writer::overflowed`] is true from
/// then on.
///
/// ```
/// use synod::{Sink, Writer};
///
/// let mut buffer = [0; 6];
/// let mut writer = Writer::new(&mut buffer);
/// writer.put_u32(7);
/// writer.put_u32(8);
/// assert!(writer.overflowed(), "two more bytes than there is room for");
/// assert_eq!(writer.len(), 4, "nothing of the second word");
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    /// How many bytes were written, from the start of the buffer.
    len: usize,
    /// True if a write did not fit. It is looked at once, at the end, which takes less code than a result of each
    /// write.
    overflowed: bool,
}

impl<'a> Writer<'a> {
    /// Creates a writer at the start of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self {
            buffer,
            len: 0,
            overflowed: false,
        }
    }

    /// Returns how many bytes have been written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns how many bytes still fit.
    pub fn room(&self) -> usize {
        self.buffer.len().saturating_sub(self.len)
    }

    /// Returns the bytes that have been written.
    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// True if something did not fit. The whole encoding is then worthless.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }
}

impl Sink for Writer<'_> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn put(&mut self, bytes: &[u8]) {
        debug_assert!(
            self.len <= self.buffer.len(),
            "wrote past the end of the buffer"
        );
        let end = self.len.saturating_add(bytes.len());
        match self.buffer.get_mut(self.len..end) {
            Some(room) if !self.overflowed => {
                // `copy_from_slice` would contain a panic for lengths that differ.
                for (place, byte) in room.iter_mut().zip(bytes) {
                    *place = *byte;
                }
                self.len = end;
            }
            _ => self.overflowed = true,
        }
        debug_assert!(
            self.overflowed || self.len == end,
            "a write is done as a whole, or reported as an overflow"
        );
    }
}

/// Reads what a [`Writer`] has written. Every method returns `None` if the bytes end too early.
///
/// ```
/// use synod::Reader;
///
/// let mut reader = Reader::new(&[7, 0, 0, 0, 1]);
/// assert_eq!((reader.u32(), reader.u32()), (Some(7), None));
/// assert!(!reader.is_empty(), "a byte is left over");
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// The bytes that were not read yet.
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Creates a reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// True if everything has been read. Bytes left over make an encoding as invalid as missing ones.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next `N` bytes.
    ///
    /// If fewer are left, none is read, and the encoding is to be given up: the caller does not know what they are.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*head)
    }

    /// Reads all bytes that are left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// Reads the next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// Reads the next 32-bit word.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads the next 64-bit word.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// A command or an output: small, plain data that can be compared, printed and encoded.
///
/// The encoding must be a function of the value alone, so that all nodes compute the same one, whatever their targets.
/// `Value` is implemented for integers of any fixed size, `bool`, byte arrays of fixed length, and `()`.
///
/// ```
/// use synod::{Reader, Sink, Value, Writer};
///
/// #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
/// struct Celsius(i16);
///
/// impl Value for Celsius {
///     const ENCODED_MAX: usize = 2;
///     fn encode(&self, sink: &mut impl Sink) {
///         sink.put(&self.0.to_le_bytes());
///     }
///     fn decode(reader: &mut Reader<'_>) -> Option<Self> {
///         reader.array().map(|bytes| Self(i16::from_le_bytes(bytes)))
///     }
/// }
///
/// let mut buffer = [0; Celsius::ENCODED_MAX];
/// Celsius(-7).encode(&mut Writer::new(&mut buffer));
/// assert_eq!(Celsius::decode(&mut Reader::new(&buffer)), Some(Celsius(-7)));
/// ```
pub trait Value: Copy + Eq + Hash + Debug + MaybeFormat {
    /// The maximum number of bytes that [`Value::encode`] writes.
    const ENCODED_MAX: usize;

    /// Writes the value.
    fn encode(&self, sink: &mut impl Sink);

    /// Reads a value; returns `None` if the bytes do not encode one.
    fn decode(reader: &mut Reader<'_>) -> Option<Self>;
}

impl Value for () {
    const ENCODED_MAX: usize = 0;

    fn encode(&self, _sink: &mut impl Sink) {}

    fn decode(_reader: &mut Reader<'_>) -> Option<Self> {
        Some(())
    }
}

impl Value for u32 {
    const ENCODED_MAX: usize = 4;

    fn encode(&self, sink: &mut impl Sink) {
        sink.put_u32(*self);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        reader.u32()
    }
}

impl Value for u64 {
    const ENCODED_MAX: usize = 8;

    fn encode(&self, sink: &mut impl Sink) {
        sink.put_u64(*self);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        reader.u64()
    }
}

/// Integers, in little-endian order.
macro_rules! integers {
    ($($integer:ident)*) => {$(
        impl Value for $integer {
            const ENCODED_MAX: usize = size_of::<Self>();

            fn encode(&self, sink: &mut impl Sink) {
                sink.put(&self.to_le_bytes());
            }

            fn decode(reader: &mut Reader<'_>) -> Option<Self> {
                reader.array().map(Self::from_le_bytes)
            }
        }
    )*};
}

integers! { u8 u16 u128 i8 i16 i32 i64 i128 }

/// One byte, 0 or 1; any other byte is invalid.
impl Value for bool {
    const ENCODED_MAX: usize = 1;

    fn encode(&self, sink: &mut impl Sink) {
        sink.put_u8(u8::from(*self));
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        match reader.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<const N: usize> Value for [u8; N] {
    const ENCODED_MAX: usize = N;

    fn encode(&self, sink: &mut impl Sink) {
        sink.put(self);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        reader.array()
    }
}

/// A bound that means `defmt::Format` with the feature `defmt`, and nothing without it.
#[cfg(feature = "defmt")]
pub trait MaybeFormat: defmt::Format {}
#[cfg(feature = "defmt")]
impl<T: defmt::Format> MaybeFormat for T {}

/// A bound that means `defmt::Format` with the feature `defmt`, and nothing without it.
#[cfg(not(feature = "defmt"))]
pub trait MaybeFormat {}
#[cfg(not(feature = "defmt"))]
impl<T> MaybeFormat for T {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn a_write_that_does_not_fit_is_reported_and_not_done_in_part() {
        let mut buffer = [0; 5];
        let mut writer = Writer::new(&mut buffer);
        writer.put_u32(7);
        assert_eq!((writer.len(), writer.room()), (4, 1));
        writer.put_u32(8);
        assert!(writer.overflowed());
        writer.put_u8(9);
        assert_eq!(writer.len(), 4, "nothing follows what is missing");
    }

    /// Asserts that a value survives encoding, takes at most `ENCODED_MAX` bytes, and is invalid if a byte is missing.
    fn survives<V: Value>(value: V, encoded: &[u8]) {
        let mut buffer = [0; 32];
        let mut writer = Writer::new(&mut buffer);
        value.encode(&mut writer);
        assert_eq!((writer.written(), writer.len()), (encoded, V::ENCODED_MAX));
        let mut reader = Reader::new(encoded);
        assert_eq!(V::decode(&mut reader), Some(value));
        assert!(reader.is_empty());
        if let Some((_, short)) = encoded.split_last() {
            assert_eq!(V::decode(&mut Reader::new(short)), None);
        }
    }

    #[test]
    fn plain_values_have_one_encoding_in_little_endian_order() {
        survives((), &[]);
        survives(false, &[0]);
        survives(true, &[1]);
        assert_eq!(bool::decode(&mut Reader::new(&[2])), None);
        survives(0xab_u8, &[0xab]);
        survives(-2_i8, &[0xfe]);
        survives(0x0102_u16, &[2, 1]);
        survives(-2_i16, &[0xfe, 0xff]);
        survives(0x0102_0304_u32, &[4, 3, 2, 1]);
        survives(i32::MIN, &[0, 0, 0, 0x80]);
        survives(0x0102_0304_0506_0708_u64, &[8, 7, 6, 5, 4, 3, 2, 1]);
        survives(-1_i64, &[0xff; 8]);
        survives(u128::MAX - 1, &[&[0xfe][..], &[0xff; 15]].concat());
        survives(-1_i128, &[0xff; 16]);
        survives(*b"abc", b"abc");
    }

    #[test]
    fn a_reader_stops_at_the_end() {
        let mut reader = Reader::new(&[1, 0, 0, 0, 9]);
        assert_eq!(reader.u32(), Some(1));
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.u8(), Some(9));
        assert!(reader.is_empty());
    }
}
