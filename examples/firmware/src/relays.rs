//! A custom state machine: sixteen relays, replicated over several boards.

use synod::{MalformedPage, Reader, Sink, StateMachine, Value, Writer};

/// Sixteen relays, a bit each; all are open at the founding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(target_os = "none", derive(defmt::Format))]
pub struct Relays(pub u16);

/// A command: an action for a relay from 0 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(target_os = "none", derive(defmt::Format))]
pub struct Switch {
    /// The action.
    pub to: To,
    /// The relay.
    pub relay: u8,
}

/// An action on a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(target_os = "none", derive(defmt::Format))]
pub enum To {
    /// Open it.
    Open,
    /// Close it.
    Closed,
    /// Open it if it is closed, and close it if it is open.
    Other,
}

impl StateMachine for Relays {
    type Command = Switch;
    /// The state of all relays after the command.
    type Output = u32;

    /// A page of a snapshot has two bytes, so that messages fit into small frames.
    const PAGE_BYTES: usize = 28;

    fn apply(&mut self, command: &Switch) -> u32 {
        // A command for an unknown relay has no effect.
        let bit = 1_u16.checked_shl(command.relay.into()).unwrap_or(0);
        match command.to {
            To::Open => self.0 &= !bit,
            To::Closed => self.0 |= bit,
            To::Other => self.0 ^= bit,
        }
        self.0.into()
    }

    fn snapshot_pages(&self) -> u32 {
        1
    }

    fn write_page(&self, _page: u32, writer: &mut Writer<'_>) {
        writer.put(&self.0.to_le_bytes());
    }

    fn read_page(&mut self, _page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        self.0 = u16::from_le_bytes(reader.array().ok_or(MalformedPage)?);
        Ok(())
    }
}

impl Value for Switch {
    const ENCODED_MAX: usize = 2;

    fn encode(&self, sink: &mut impl Sink) {
        sink.put_u8(match self.to {
            To::Open => 0,
            To::Closed => 1,
            To::Other => 2,
        });
        sink.put_u8(self.relay);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let to = match reader.u8()? {
            0 => To::Open,
            1 => To::Closed,
            2 => To::Other,
            _ => return None,
        };
        let relay = reader.u8()?;
        Some(Self { to, relay })
    }
}
