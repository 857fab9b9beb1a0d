//! An opaque state machine, to measure the size and the speed of a node alone.

use crate::{MalformedPage, Reader, Sink, StateMachine, Writer};

/// A state machine with 16-byte commands that keeps a sum of their first halves. Its own cost is next to nothing, so it
/// shows the cost of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Opaque {
    /// The sum of the first eight bytes of all commands, little-endian. It wraps around, which is as good a state.
    ///
    /// It depends on every command and not on their order, which a digest of the log shows instead.
    sum: u64,
}

impl StateMachine for Opaque {
    type Command = [u8; 16];
    type Output = u64;

    fn apply(&mut self, command: &[u8; 16]) -> u64 {
        // Sixteen bytes have eight first ones; the other half only makes a command as long as a usual one.
        let (first, _) = command.split_first_chunk().unwrap_or((&[0; 8], &[]));
        self.sum = self.sum.wrapping_add(u64::from_le_bytes(*first));
        self.sum
    }

    fn snapshot_pages(&self) -> u32 {
        1
    }

    fn write_page(&self, _page: u32, writer: &mut Writer<'_>) {
        writer.put_u64(self.sum);
    }

    fn read_page(&mut self, _page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        self.sum = reader.u64().ok_or(MalformedPage)?;
        Ok(())
    }
}
