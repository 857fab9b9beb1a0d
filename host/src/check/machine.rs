//! State machine of the model checker: the smallest one in which a command applied twice is visible.

use synod::{MalformedPage, Reader, Sink, StateMachine, Writer};

/// Greatest number of commands that are stored; further ones are only counted. As many as a scope
/// has requests at most; the liveness check adds two.
const KEPT: usize = 8;

/// Stores the applied commands in order, and answers with their number.
///
/// A page is the count and the stored commands, each as a word of 32 bits, and is written even if
/// most of them are unused: a snapshot has one page or, of an empty tape, none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tape {
    /// Number of commands applied, including those that are not stored.
    count: u32,
    /// The first commands; places that are not used are 0.
    kept: [u32; KEPT],
}

impl Tape {
    /// Returns the number of commands applied.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }
}

impl StateMachine for Tape {
    type Command = u32;
    type Output = u32;

    fn apply(&mut self, command: &u32) -> u32 {
        // Commands beyond the places are counted, so that a second application still shows in the
        // count.
        let end = usize::try_from(self.count).unwrap_or(KEPT);
        if let Some(place) = self.kept.get_mut(end) {
            *place = *command;
        }
        self.count = self.count.saturating_add(1);
        self.count
    }

    fn snapshot_pages(&self) -> u32 {
        u32::from(self.count > 0)
    }

    fn write_page(&self, _page: u32, writer: &mut Writer<'_>) {
        writer.put_u32(self.count);
        for command in self.kept {
            writer.put_u32(command);
        }
    }

    fn read_page(&mut self, _page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        self.count = reader.u32().ok_or(MalformedPage)?;
        for place in &mut self.kept {
            *place = reader.u32().ok_or(MalformedPage)?;
        }
        Ok(())
    }
}
