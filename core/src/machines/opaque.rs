//! A state machine of nothing, for sizes and measures.

use crate::{Digest, MalformedPage, Reader, Sink, StateMachine, Writer};

/// Takes commands of sixteen bytes and keeps a digest of them: what a node costs when its state machine costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Opaque {
    digest: u64,
}

impl StateMachine for Opaque {
    type Command = [u8; 16];
    type Output = u64;

    fn apply(&mut self, command: &[u8; 16]) -> u64 {
        let mut digest = Digest::resume(self.digest);
        digest.put(command);
        self.digest = digest.value();
        self.digest
    }

    fn snapshot_pages(&self) -> u32 {
        1
    }

    fn write_page(&self, _page: u32, writer: &mut Writer<'_>) {
        writer.put_u64(self.digest);
    }

    fn read_page(&mut self, _page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        self.digest = reader.u64().ok_or(MalformedPage)?;
        Ok(())
    }
}
