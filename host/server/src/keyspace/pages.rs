//! The pages of a snapshot.
//!
//! The state is written as one sequence of bytes: a header, and the entries in the order of their places. A page is a part
//! of it, and every page but the last is full.

use super::entry::{ENTRY_MAX, Entry};
use super::state::State;
use super::time::Time;
use synod::{MalformedPage, Reader, SNAPSHOT_PAGE, Sink, Value, Writer};

/// The bytes of the header: elapsed time, ballot, time since its beginning, time since 1970, keys that have expired, and
/// whether time is counting.
const HEADER: usize = 5 * 8 + 1;

const _: () = assert!(HEADER <= SNAPSHOT_PAGE, "the header is in the first page");

impl State {
    /// Returns the number of pages.
    pub(super) fn pages(&self) -> u32 {
        let len = HEADER + self.table.encoded_len();
        u32::try_from(len.div_ceil(SNAPSHOT_PAGE)).unwrap_or(u32::MAX)
    }

    /// Writes a page.
    pub(super) fn write_page(&self, page: u32, writer: &mut Writer<'_>) {
        let start =
            usize::try_from(page).map_or(usize::MAX, |page| page.saturating_mul(SNAPSHOT_PAGE));
        let mut room = SNAPSHOT_PAGE;
        if page == 0 {
            let time = &self.time;
            for word in [
                time.elapsed,
                time.ballot,
                time.since,
                time.unix,
                self.expired,
            ] {
                writer.put_u64(word);
            }
            writer.put_u8(u8::from(time.is_counting));
            room -= HEADER;
        }
        let (entries, mut skipped) = self.table.entries_from(start.saturating_sub(HEADER));
        for entry in entries {
            if room == 0 {
                break;
            }
            let mut buffer = [0; ENTRY_MAX];
            let mut encoded = Writer::new(&mut buffer);
            entry.encode(&mut encoded);
            let end = encoded.len();
            let bytes = buffer.get(skipped..end.min(skipped + room));
            let bytes = bytes.unwrap_or_default();
            writer.put(bytes);
            (room, skipped) = (room - bytes.len(), 0);
        }
    }

    /// Reads a page.
    pub(super) fn read_page(
        &mut self,
        page: u32,
        reader: &mut Reader<'_>,
    ) -> Result<(), MalformedPage> {
        if page == 0 {
            self.read_header(reader)?;
        } else {
            let read = HEADER + self.table.encoded_len() + self.partial.len();
            let start = usize::try_from(page).ok();
            let start = start.and_then(|page| page.checked_mul(SNAPSHOT_PAGE));
            if start != Some(read) {
                return Err(MalformedPage);
            }
        }
        let mut left = SNAPSHOT_PAGE;
        while let Some(byte) = reader.u8() {
            left = left.checked_sub(1).ok_or(MalformedPage)?;
            self.partial.push(byte);
        }
        let partial = core::mem::take(&mut self.partial);
        let mut rest = &*partial;
        while let Some(entry) = Entry::decode(&mut rest)? {
            self.read_entry(&entry)?;
        }
        self.partial = rest.to_vec();
        Ok(())
    }

    /// Reads the header into a state that began as the default.
    fn read_header(&mut self, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        if self.table.len() > 0 || !self.partial.is_empty() {
            return Err(MalformedPage);
        }
        let mut word = || reader.u64().ok_or(MalformedPage);
        self.time = Time {
            elapsed: word()?,
            ballot: word()?,
            since: word()?,
            unix: word()?,
            is_counting: false,
        };
        self.expired = word()?;
        self.time.is_counting = bool::decode(reader).ok_or(MalformedPage)?;
        Ok(())
    }

    /// Takes an entry that was read, unless it is one that no log gives.
    fn read_entry(&mut self, entry: &Entry) -> Result<(), MalformedPage> {
        let absent = self.table.find(entry.key()).err().ok_or(MalformedPage)?;
        if self.time.is_ahead(entry.deadline()) && self.table.insert(absent, entry) {
            Ok(())
        } else {
            Err(MalformedPage)
        }
    }
}
