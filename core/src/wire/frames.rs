//! Whole frames: what stands around the body of a message.

use super::{Dropped, FrameError, Unencodable, VERSION, body, len};
use crate::checksum::crc32;
use crate::{Envelope, MessageKind, NODES_MAX, NodeId, Reader, Sink, StateMachine, Writer};
use core::marker::PhantomData;

/// What one node puts on a link and takes from it: messages as frames of at most `MTU` bytes, for a state machine `M` and
/// pages of `PAGE` entries.
///
/// It does not compile where the longest message does not fit; the compiler's error says which number to change.
/// `const _: () = Frames::<M, PAGE, MTU>::FITS;` asks without building anything.
///
/// ```
/// use synod::machines::Opaque;
/// use synod::wire::{FrameError, Frames};
/// use synod::{Ballot, Config, Envelope, Message, Node, NodeId, Slot};
///
/// let cluster = Node::<Opaque, 16, 8, 2>::fingerprint_of(&Config::new(NodeId(0), 3));
/// let mut frames = Frames::<Opaque, 2, 127>::new(cluster);
/// let message = Message::Heartbeat { ballot: Ballot::new(1, NodeId(0)), decided: Slot::new(7), chain: 9 };
/// let envelope = Envelope { cluster, from: NodeId(0), to: NodeId(1), message };
///
/// let mut buffer = [0; 127];
/// let len = frames.encode(&envelope, &mut buffer)?;
/// assert_eq!(frames.decode(&buffer[..len]), Ok(envelope));
///
/// buffer[9] ^= 1;
/// assert_eq!(frames.decode(&buffer[..len]), Err(FrameError::Damaged));
/// assert_eq!(frames.dropped().damaged, 1);
/// # Ok::<(), synod::wire::Unencodable>(())
/// ```
///
/// Commands of 16 bytes do not fit into CAN FD:
///
/// ```compile_fail,E0080
/// use synod::{machines::Opaque, wire::Frames};
/// const _: () = Frames::<Opaque, 1, 64>::FITS;
/// ```
#[derive(Clone, Debug)]
pub struct Frames<M, const PAGE: usize, const MTU: usize> {
    cluster: u32,
    dropped: Dropped,
    of: PhantomData<fn(M)>,
}

impl<M: StateMachine, const PAGE: usize, const MTU: usize> Frames<M, PAGE, MTU> {
    /// Compiles where every message fits into a frame.
    pub const FITS: () = if let Some(number_to_change) = len::misfit::<M, PAGE>(MTU) {
        panic!("{}", number_to_change);
    };

    /// The frames of the cluster with a [fingerprint](crate::Node::fingerprint_of).
    pub const fn new(cluster: u32) -> Self {
        let () = Self::FITS;
        Self {
            cluster,
            dropped: Dropped {
                damaged: 0,
                future: 0,
                foreign: 0,
                malformed: 0,
            },
            of: PhantomData,
        }
    }

    /// Puts a message into a buffer. How many bytes of it are the frame.
    ///
    /// # Errors
    ///
    /// [`Unencodable`]: no node says that.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn encode(
        &self,
        envelope: &Envelope<M, PAGE>,
        buffer: &mut [u8; MTU],
    ) -> Result<usize, Unencodable> {
        let mut writer = Writer::new(buffer);
        writer.put_u8(VERSION);
        writer.put_u8(u8::try_from(envelope.message.kind().index()).unwrap_or(u8::MAX));
        writer.put_u32(envelope.cluster);
        for end in [envelope.from, envelope.to] {
            writer.put_u8(u8::try_from(end.0).map_err(|_| Unencodable)?);
        }
        body::write(&envelope.message, &mut writer)?;
        let len = writer.len();
        let checksum = crc32(writer.written());
        writer.put_u32(checksum);
        if writer.overflowed() {
            return Err(Unencodable);
        }
        Ok(len + 4)
    }

    /// The message of a frame.
    ///
    /// # Errors
    ///
    /// Why it was dropped; it is counted.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn decode(&mut self, frame: &[u8]) -> Result<Envelope<M, PAGE>, FrameError> {
        let decoded = self.read(frame);
        if let Err(error) = decoded {
            self.dropped.count(error);
        }
        decoded
    }

    /// How many frames were dropped, and why.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn read(&self, frame: &[u8]) -> Result<Envelope<M, PAGE>, FrameError> {
        let (said, checksum) = frame.split_last_chunk().ok_or(FrameError::Damaged)?;
        if u32::from_le_bytes(*checksum) != crc32(said) {
            return Err(FrameError::Damaged);
        }
        let mut reader = Reader::new(said);
        if reader.u8().ok_or(FrameError::Damaged)? != VERSION {
            return Err(FrameError::Future);
        }
        let kind = reader.u8().and_then(kind_of).ok_or(FrameError::Malformed);
        let cluster = reader.u32().ok_or(FrameError::Malformed)?;
        if cluster != self.cluster {
            return Err(FrameError::Foreign);
        }
        let (from, to) = (address(&mut reader)?, address(&mut reader)?);
        let message = body::read(kind?, &mut reader).filter(|_| reader.is_empty());
        Ok(Envelope {
            cluster,
            from,
            to,
            message: message.ok_or(FrameError::Malformed)?,
        })
    }
}

fn kind_of(index: u8) -> Option<MessageKind> {
    MessageKind::ALL.get(usize::from(index)).copied()
}

/// A node of a cluster, or a client.
fn address(reader: &mut Reader<'_>) -> Result<NodeId, FrameError> {
    let node = NodeId(u16::from(reader.u8().ok_or(FrameError::Malformed)?));
    if node.0 < NODES_MAX || node == super::CLIENT {
        Ok(node)
    } else {
        Err(FrameError::Malformed)
    }
}
