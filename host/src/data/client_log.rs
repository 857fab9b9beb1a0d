//! The notes of the clients: which of their requests were answered.

use super::error::DataError;
use crate::store::{DataDir, FileStorage, Seen, StoreError};
use synod::simulation::{Answered, Observer, Past, Violation};
use synod::storage::Storage;
use synod::{ClientId, Outcome, Reader, RequestNumber, Sink, StateMachine, Writer};

/// How many notes are kept besides the last one of each client.
const SPARE: usize = 1_000;

/// Bytes of a note.
const NOTE: usize = 2 + 8 + 4 + 4;

/// Keeps in a file what the clients of a run know: so they can go on in the next run.
///
/// A note is durable before anybody is told that the answer has come: what the program has shown as answered is answered.
#[derive(Debug)]
pub(super) struct ClientLog {
    storage: FileStorage,
    /// The last note of each client.
    notes: Vec<Option<Past>>,
    /// How many notes there are in the file.
    count: usize,
    error: Option<DataError>,
}

impl ClientLog {
    pub(super) fn open(dir: &mut DataDir) -> Result<Self, DataError> {
        let mut storage = dir.clients().map_err(DataError::Store)?;
        let (mut notes, mut count, mut sound) = (Vec::new(), 0, true);
        storage
            .read(|record| match decode(record) {
                Some(past) => {
                    note(&mut notes, past);
                    count += 1;
                }
                None => sound = false,
            })
            .map_err(DataError::Store)?;
        if !sound {
            return Err(DataError::Notes(storage.path().to_path_buf()));
        }
        Ok(Self {
            storage,
            notes,
            count,
            error: None,
        })
    }

    /// Where the clients go on, as many as there ever were.
    pub(super) fn pasts(&self) -> Vec<Past> {
        self.notes.iter().copied().flatten().collect()
    }

    /// How many records there have been in the file.
    pub(super) fn seen(&self) -> Seen {
        Seen::of_notes(&self.storage)
    }

    pub(super) fn take_error(&mut self) -> Option<DataError> {
        self.error.take()
    }

    fn write(&mut self, past: Past) -> Result<(), StoreError> {
        note(&mut self.notes, past);
        self.append(past)?;
        if self.count >= SPARE + 2 * self.notes.len() {
            let mut stale = self.count;
            for past in self.notes.clone().into_iter().flatten() {
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

    fn append(&mut self, past: Past) -> Result<(), StoreError> {
        self.count += 1;
        self.storage.append(&encode(past))
    }
}

/// The last note of a client is what counts.
fn note(notes: &mut Vec<Option<Past>>, past: Past) {
    let index = usize::from(past.client);
    if notes.len() <= index {
        notes.resize(index + 1, None);
    }
    if let Some(place) = notes.get_mut(index) {
        *place = Some(past);
    }
}

fn encode(past: Past) -> [u8; NOTE] {
    let mut bytes = [0; NOTE];
    let mut writer = Writer::new(&mut bytes);
    writer.put(&past.client.to_le_bytes());
    writer.put_u64(past.session.0);
    writer.put_u32(past.number.0);
    writer.put_u32(past.answered);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Past> {
    let mut reader = Reader::new(bytes);
    let past = Past {
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
        let known = self.notes.get(usize::from(answered.client));
        let count = known.copied().flatten().map_or(0, |past| past.answered);
        let past = match answered.outcome {
            Outcome::Registered { client } => Past {
                client: answered.client,
                session: *client,
                number: RequestNumber::REGISTRATION,
                answered: count,
            },
            Outcome::Applied { .. } => Past {
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
