//! Whole frames: what stands around the body of a message.

use super::{Dropped, FrameError, Unencodable, VERSION, body, clients, len, node_byte, node_of};
use crate::checksum::crc32;
use crate::client::{Address, AnswerEnvelope, QuestionEnvelope};
use crate::{Envelope, MessageKind, Reader, Sink, StateMachine, Value, Writer};
use core::marker::PhantomData;

/// What a frame holds, to whoever drives a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Frame<M: StateMachine, const PAGE: usize> {
    /// What a node says to a node: for [`Node::handle_message`](crate::Node::handle_message).
    Message(Envelope<M, PAGE>),
    /// What a client asks: for [`Service::handle`](crate::client::Service::handle).
    Question(QuestionEnvelope<M::Command>),
    /// What some node answers a client, on a line that is heard by all. It was not looked into.
    Answer,
}

/// What one node puts on a link and takes from it: messages as frames of at most `MTU` bytes, for a state machine `M` and
/// pages of `PAGE` entries.
///
/// It does not compile where the longest message does not fit; the compiler's error says which number to change.
/// `const _: () = Frames::<M, PAGE, MTU>::FITS;` asks without building anything.
///
/// ```
/// use synod::machines::Opaque;
/// use synod::wire::{Frame, FrameError, Frames};
/// use synod::{Ballot, Config, Envelope, Message, Node, NodeId, Slot};
///
/// let cluster = Node::<Opaque, 16, 8, 2>::fingerprint_of(&Config::new(NodeId(0), 3));
/// let mut frames = Frames::<Opaque, 2, 127>::new(cluster);
/// let message = Message::Heartbeat { ballot: Ballot::new(1, NodeId(0)), decided: Slot::new(7), chain: 9 };
/// let envelope = Envelope { cluster, from: NodeId(0), to: NodeId(1), message };
///
/// let mut buffer = [0; 127];
/// let len = frames.encode(&envelope, &mut buffer)?;
/// assert_eq!(frames.decode(&buffer[..len]), Ok(Frame::Message(envelope)));
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
                version: 0,
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
        let kind = u8::try_from(envelope.message.kind().index()).map_err(|_| Unencodable)?;
        let (from, to) = (envelope.from, envelope.to);
        let (Some(from), Some(to)) = (node_byte(from), node_byte(to)) else {
            return Err(Unencodable);
        };
        open(&mut writer, kind, envelope.cluster, (from, to));
        body::write(&envelope.message, &mut writer)?;
        seal(writer)
    }

    /// Puts what a client asks into a buffer. How many bytes of it are the frame.
    ///
    /// # Errors
    ///
    /// [`Unencodable`]: it is for no node.
    pub fn encode_question(
        &self,
        asked: &QuestionEnvelope<M::Command>,
        buffer: &mut [u8; MTU],
    ) -> Result<usize, Unencodable> {
        let mut writer = Writer::new(buffer);
        let to = node_byte(asked.to).ok_or(Unencodable)?;
        let kind = clients::kind_of_question(&asked.question);
        open(&mut writer, kind, self.cluster, (asked.from.byte(), to));
        clients::write_question(&asked.question, &mut writer);
        seal(writer)
    }

    /// Puts what a node answers a client into a buffer. How many bytes of it are the frame.
    ///
    /// # Errors
    ///
    /// [`Unencodable`]: no node says that.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn encode_answer(
        &self,
        answered: &AnswerEnvelope<M::Output>,
        buffer: &mut [u8; MTU],
    ) -> Result<usize, Unencodable> {
        let mut writer = Writer::new(buffer);
        let from = node_byte(answered.from).ok_or(Unencodable)?;
        let kind = clients::kind_of_answer(&answered.answer);
        open(&mut writer, kind, self.cluster, (from, answered.to.byte()));
        clients::write_answer(&answered.answer, &mut writer)?;
        seal(writer)
    }

    /// What a frame holds, for whoever drives a node.
    ///
    /// # Errors
    ///
    /// Why it was dropped; it is counted.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn decode(&mut self, frame: &[u8]) -> Result<Frame<M, PAGE>, FrameError> {
        let decoded = self.read(frame);
        if let Err(error) = decoded {
            self.dropped.count(error);
        }
        decoded
    }

    /// What a frame holds, for a client: an answer, to whichever client; or `None` for what nodes and other clients say, which
    /// is not looked into.
    ///
    /// # Errors
    ///
    /// Why it was dropped; it is counted.
    pub fn decode_answer(
        &mut self,
        frame: &[u8],
    ) -> Result<Option<AnswerEnvelope<M::Output>>, FrameError> {
        let decoded = self.unseal(frame).and_then(|(kind, mut reader)| {
            if !clients::is_answer(kind) {
                return Ok(None);
            }
            let answered = answered(kind, &mut reader).filter(|_| reader.is_empty());
            answered.map(Some).ok_or(FrameError::Malformed)
        });
        if let Err(error) = decoded {
            self.dropped.count(error);
        }
        decoded
    }

    /// How many frames were dropped, and why.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn read(&self, frame: &[u8]) -> Result<Frame<M, PAGE>, FrameError> {
        let (kind, mut reader) = self.unseal(frame)?;
        if clients::is_answer(kind) {
            return Ok(Frame::Answer);
        }
        let held = self.held(kind, &mut reader);
        held.filter(|_| reader.is_empty())
            .ok_or(FrameError::Malformed)
    }

    /// The kind of a frame that is whole, of this version and of this cluster; and what is behind its cluster.
    fn unseal<'a>(&self, frame: &'a [u8]) -> Result<(u8, Reader<'a>), FrameError> {
        let (said, checksum) = frame.split_last_chunk().ok_or(FrameError::Damaged)?;
        if u32::from_le_bytes(*checksum) != crc32(said) {
            return Err(FrameError::Damaged);
        }
        let mut reader = Reader::new(said);
        if reader.u8().ok_or(FrameError::Damaged)? != VERSION {
            return Err(FrameError::Version);
        }
        let kind = reader.u8().ok_or(FrameError::Malformed)?;
        if reader.u32().ok_or(FrameError::Malformed)? != self.cluster {
            return Err(FrameError::Foreign);
        }
        Ok((kind, reader))
    }

    /// What is behind the cluster: the ends, and a body that follows from the kind.
    fn held(&self, kind: u8, reader: &mut Reader<'_>) -> Option<Frame<M, PAGE>> {
        let (from, to) = (reader.u8()?, node_of(reader.u8()?)?);
        if let Some(kind) = MessageKind::ALL.get(usize::from(kind)) {
            return Some(Frame::Message(Envelope {
                cluster: self.cluster,
                from: node_of(from)?,
                to,
                message: body::read(*kind, reader)?,
            }));
        }
        Some(Frame::Question(QuestionEnvelope {
            from: Address::new(from)?,
            to,
            question: clients::read_question(kind, reader)?,
        }))
    }
}

fn answered<O: Value>(kind: u8, reader: &mut Reader<'_>) -> Option<AnswerEnvelope<O>> {
    Some(AnswerEnvelope {
        from: node_of(reader.u8()?)?,
        to: Address::new(reader.u8()?)?,
        answer: clients::read_answer(kind, reader)?,
    })
}

/// What is ahead of the body.
#[cfg_attr(target_pointer_width = "32", inline(never))]
fn open(writer: &mut Writer<'_>, kind: u8, cluster: u32, (from, to): (u8, u8)) {
    writer.put_u8(VERSION);
    writer.put_u8(kind);
    writer.put_u32(cluster);
    writer.put_u8(from);
    writer.put_u8(to);
}

/// What is behind the body.
#[cfg_attr(target_pointer_width = "32", inline(never))]
fn seal(mut writer: Writer<'_>) -> Result<usize, Unencodable> {
    let len = writer.len();
    let checksum = crc32(writer.written());
    writer.put_u32(checksum);
    if writer.overflowed() {
        return Err(Unencodable);
    }
    Ok(len + 4)
}
