//! Client log: a durable file of the answers that the clients have received.

use super::error::DataError;
use crate::store::{DataDir, FileStorage, Seen, StoreError};
use synod::simulation::{Answered, ClientResume, Observer, Violation};
use synod::storage::Storage;
use synod::{ClientId, Outcome, Reader, RequestNumber, Sink, StateMachine, Writer};

/// Number of entries kept besides the last one of each client.
const SPARE_ENTRIES: usize = 1_000;

/// Size of an entry, in bytes.
const ENTRY_BYTES: usize = 2 + 8 + 4 + 4;

/// Records the answers to the clients of a run, so that they continue in the next run.
///
/// An entry is durable before the answer is shown, so that an answer shown by the program is never lost.
#[derive(Debug)]
pub(super) struct ClientLog {
    storage: FileStorage,
    /// Last entry of each client.
    entries: Vec<Option<ClientResume>>,
    /// Number of entries in the file.
    count: usize,
    error: Option<DataError>,
}

impl ClientLog {
    pub(super) fn open(dir: &mut DataDir) -> Result<Self, DataError> {
        let mut storage = dir.clients().map_err(DataError::Store)?;
        let (mut entries, mut count, mut sound) = (Vec::new(), 0, true);
        storage
            .read(|record| match decode(record) {
                Some(past) => {
                    entry(&mut entries, past);
                    count += 1;
                }
                None => sound = false,
            })
            .map_err(DataError::Store)?;
        if !sound {
            return Err(DataError::ClientLog(storage.path().to_path_buf()));
        }
        Ok(Self {
            storage,
            entries,
            count,
            error: None,
        })
    }

    /// Returns the state of every client that ever had an entry.
    pub(super) fn pasts(&self) -> Vec<ClientResume> {
        self.entries.iter().copied().flatten().collect()
    }

    /// Returns the number of records that the file has had.
    pub(super) fn seen(&self) -> Seen {
        Seen::of_client_log(&self.storage)
    }

    pub(super) fn take_error(&mut self) -> Option<DataError> {
        self.error.take()
    }

    fn write(&mut self, past: ClientResume) -> Result<(), StoreError> {
        entry(&mut self.entries, past);
        self.append(past)?;
        if self.count >= SPARE_ENTRIES + 2 * self.entries.len() {
            let mut stale = self.count;
            for past in self.entries.clone().into_iter().flatten() {
                self.append(past)?;
            }
            self.storage.sync()?;
            self.count -= stale;
            self.storage.trim(|_| {
                let is_stale = stale > 0;
                stale = stale.saturating_sub(1);
                is_stale
            })?;
        }
        self.storage.sync()
    }

    fn append(&mut self, past: ClientResume) -> Result<(), StoreError> {
        self.count += 1;
        self.storage.append(&encode(past))
    }
}

/// Replaces the last entry of a client.
fn entry(entries: &mut Vec<Option<ClientResume>>, past: ClientResume) {
    let index = usize::from(past.client);
    if entries.len() <= index {
        entries.resize(index + 1, None);
    }
    if let Some(place) = entries.get_mut(index) {
        *place = Some(past);
    }
}

fn encode(past: ClientResume) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    let mut writer = Writer::new(&mut bytes);
    writer.put(&past.client.to_le_bytes());
    writer.put_u64(past.session.0);
    writer.put_u32(past.number.0);
    writer.put_u32(past.answered);
    bytes
}

fn decode(bytes: &[u8]) -> Option<ClientResume> {
    let mut reader = Reader::new(bytes);
    let past = ClientResume {
        client: u16::from_le_bytes(reader.array()?),
        session: ClientId(reader.u64()?),
        number: RequestNumber(reader.u32()?),
        answered: reader.u32()?,
    };
    reader.is_empty().then_some(past)
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Observer<M, WINDOW, CLIENTS, PAGE> for ClientLog
{
    fn answered(&mut self, answered: &Answered<'_, M::Output>) -> Result<(), Violation> {
        let known = self.entries.get(usize::from(answered.client));
        let count = known.copied().flatten().map_or(0, |past| past.answered);
        let past = match answered.outcome {
            Outcome::Registered { client } => ClientResume {
                client: answered.client,
                session: *client,
                number: RequestNumber::REGISTRATION,
                answered: count,
            },
            Outcome::Applied { .. } => ClientResume {
                client: answered.client,
                session: answered.key.client,
                number: answered.key.number,
                answered: count.saturating_add(1),
            },
            _ => return Ok(()),
        };
        if self.error.is_none() {
            self.error = self.write(past).err().map(DataError::Store);
        }
        Ok(())
    }
}
