//! Client log: a durable file of the answers that the clients have received.
//!
//! Clients outside of a simulation remember themselves what they were answered. These do not
//! outlive the process, so that the log remembers for them. It is evidence at the same time: what
//! was answered must be in the nodes, see [`consistency`](super::consistency).

use super::error::DataError;
use crate::store::{DataDir, Seen, StoreError};
use synod::simulation::{Answered, ClientResume, Observer, Violation, WasRead};
use synod::storage::Storage;
use synod::{ClientId, Outcome, Reader, RequestNumber, Sink, StateMachine, Writer};
use synod_store::{FileLog, FileLogError};

/// Number of entries kept besides the last one of each client. It is the number of answers between
/// two trims, before each of which the last entry of each client is written again.
const SPARE_ENTRIES: usize = 1_000;

/// Size of an entry, in bytes. Client, session, number of the request and number of answers, all
/// little-endian.
const ENTRY_BYTES: usize = 2 + 8 + 4 + 4;

/// Records the answers to the clients of a run, so that they continue in the next run.
///
/// An entry is durable before the answer is shown, so that an answer shown by the program is never lost.
///
/// The last entry of each client is enough to continue. Older ones are trimmed away from time to
/// time.
#[derive(Debug)]
pub(super) struct ClientLog {
    /// The file.
    storage: FileLog,
    /// Last entry of each client. By the number of the client.
    entries: Vec<Option<ClientResume>>,
    /// Number of entries in the file.
    count: usize,
    /// First error of the file. Nothing is written after it, and the run ends.
    error: Option<DataError>,
}

impl ClientLog {
    /// Opens the log and reads all entries. A later entry of a client replaces an earlier one.
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
            .map_err(of_client_log)?;
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

    /// Returns the number of syncs that the file has had.
    pub(super) fn seen(&self) -> Seen {
        Seen::of_client_log(&self.storage)
    }

    /// Marks the file, so that decay of the last entry is noticed, too.
    pub(super) fn mark(&mut self) -> Result<(), DataError> {
        self.storage.mark().map_err(of_client_log)
    }

    /// Takes the error of the file, if there was one since the last call.
    pub(super) fn take_error(&mut self) -> Option<DataError> {
        self.error.take()
    }

    /// Writes an entry durably. When too many are stale, the last ones are written again and all
    /// before them trimmed.
    fn write(&mut self, past: ClientResume) -> Result<(), FileLogError> {
        entry(&mut self.entries, past);
        self.append(past)?;
        debug_assert!(
            self.count >= self.entries.iter().flatten().count(),
            "the last entry of each client is in the file"
        );
        // By then at least half of the entries are stale, however many clients there are.
        if self.count >= SPARE_ENTRIES + 2 * self.entries.len() {
            // All entries before the copies are stale. The copies are durable before anything is
            // trimmed, so that a loss of power between the two loses none.
            let mut stale = self.count;
            for past in self.entries.clone().into_iter().flatten() {
                self.append(past)?;
            }
            self.storage.sync()?;
            debug_assert!(stale <= self.count, "the copies were added to it");
            self.count -= stale;
            self.storage.trim(|_| {
                let is_stale = stale > 0;
                stale = stale.saturating_sub(1);
                is_stale
            })?;
        }
        self.storage.sync()
    }

    /// Appends an entry, which is durable only after a sync.
    fn append(&mut self, past: ClientResume) -> Result<(), FileLogError> {
        self.count += 1;
        self.storage.append(&encode(past))
    }
}

fn of_client_log(error: FileLogError) -> DataError {
    DataError::Store(StoreError::of_client_log(error))
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

/// Returns the bytes of an entry.
fn encode(past: ClientResume) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    let mut writer = Writer::new(&mut bytes);
    writer.put(&past.client.to_le_bytes());
    writer.put_u64(past.session.0);
    writer.put_u32(past.number.0);
    writer.put_u32(past.answered);
    bytes
}

/// Returns an entry; `None` if there are too few or too many bytes.
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

impl ClientLog {
    /// Records where a client is, unless that has failed before.
    fn record(&mut self, past: ClientResume) {
        if self.error.is_none() {
            self.error = self.write(past).err().map(of_client_log);
        }
    }
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Observer<M, WINDOW, CLIENTS, PAGE> for ClientLog
{
    /// Records an answer before the log of the run shows it. Only answers that move a client on are
    /// recorded: a new session, and an output.
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
        self.record(past);
        Ok(())
    }

    /// An answer that was read without the log moves a client on as well.
    fn was_read(&mut self, read: &WasRead<'_, M::Output>) {
        let known = self.entries.get(usize::from(read.client));
        let count = known.copied().flatten().map_or(0, |past| past.answered);
        self.record(ClientResume {
            client: read.client,
            session: read.key.client,
            number: read.key.number,
            answered: count.saturating_add(1),
        });
    }
}
