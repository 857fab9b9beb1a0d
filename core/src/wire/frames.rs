//! Frames: headers, checksums, and the dispatch by kind.

use super::{Dropped, FrameError, Unencodable, VERSION, body, clients, len, node_byte, node_of};
use crate::checksum::crc32;
use crate::client::{Address, AnswerEnvelope, QuestionEnvelope};
use crate::{Envelope, MessageKind, Reader, Sink, StateMachine, Value, Writer};
use core::marker::PhantomData;

/// The contents of a frame, for the driver of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Frame<M: StateMachine, const PAGE: usize> {
    /// A message from another node: for [`Node::handle_message`](crate::Node::handle_message).
    Message(Envelope<M, PAGE>),
    /// A question from a client: for [`Service::handle`](crate::client::Service::handle).
    Question(QuestionEnvelope<M::Command>),
    /// An answer from some node to a client, on a shared medium. It was not decoded.
    Answer,
}

/// Encodes and decodes the frames of one node: messages as frames of at most `MTU` bytes, for a state machine `M` and
/// pages of `PAGE` entries.
///
/// It does not compile if the longest message does not fit; the compiler's error names the number to change. `const _:
/// () = Frames::<M, PAGE, MTU>::FITS;` checks it without constructing one.
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
    /// The fingerprint that frames of this cluster carry (rule N2).
    cluster: u32,
    /// What was dropped since these frames were created.
    dropped: Dropped,
    /// The state machine is in the type alone: frames hold none of it.
    of: PhantomData<fn(M)>,
}

impl<M: StateMachine, const PAGE: usize, const MTU: usize> Frames<M, PAGE, MTU> {
    /// Compiles only if every message fits into a frame.
    pub const FITS: () = if let Some(number_to_change) = len::misfit::<M, PAGE>(MTU) {
        panic!("{}", number_to_change);
    };

    /// Creates the frames of the cluster with a [fingerprint](crate::Node::fingerprint_of).
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

    /// Encodes a message into a buffer. Returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// [`Unencodable`]: no node sends such a message.
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

    /// Encodes a client's question into a buffer. Returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// [`Unencodable`]: the recipient is not a possible node.
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

    /// Encodes a node's answer to a client into a buffer. Returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// [`Unencodable`]: no node sends such an answer.
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

    /// Decodes a frame, for the driver of a node.
    ///
    /// # Errors
    ///
    /// The reason for which the frame was dropped; it is counted.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn decode(&mut self, frame: &[u8]) -> Result<Frame<M, PAGE>, FrameError> {
        let decoded = self.read(frame);
        if let Err(error) = decoded {
            self.dropped.count(error);
        }
        decoded
    }

    /// Decodes a frame, for a client: returns an answer, for whichever client; or `None` for a frame from another
    /// client or between nodes, which is not decoded.
    ///
    /// # Errors
    ///
    /// The reason for which the frame was dropped; it is counted.
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

    /// Returns the number of dropped frames for each reason.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Reads a frame for a node. Answers are not for nodes, and are not decoded: on a shared medium most frames may be
    /// some.
    fn read(&self, frame: &[u8]) -> Result<Frame<M, PAGE>, FrameError> {
        let (kind, mut reader) = self.unseal(frame)?;
        if clients::is_answer(kind) {
            return Ok(Frame::Answer);
        }
        let held = self.held(kind, &mut reader);
        held.filter(|_| reader.is_empty())
            .ok_or(FrameError::Malformed)
    }

    /// Checks the checksum, the version and the cluster. Returns the kind of the frame and the bytes after the cluster.
    ///
    /// In this order: a frame whose version byte was garbled is damaged, not of another version; and what follows the
    /// version of another encoding may be anything.
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

    /// Decodes the bytes after the cluster: sender, recipient, and the body for the kind.
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

/// Reads an answer to a client, from its sender on.
fn answered<O: Value>(kind: u8, reader: &mut Reader<'_>) -> Option<AnswerEnvelope<O>> {
    Some(AnswerEnvelope {
        from: node_of(reader.u8()?)?,
        to: Address::new(reader.u8()?)?,
        answer: clients::read_answer(kind, reader)?,
    })
}

/// Writes the header of a frame.
fn open(writer: &mut Writer<'_>, kind: u8, cluster: u32, (from, to): (u8, u8)) {
    writer.put_u8(VERSION);
    writer.put_u8(kind);
    writer.put_u32(cluster);
    writer.put_u8(from);
    writer.put_u8(to);
}

/// Writes the checksum; returns the length of the frame. A frame that does not fit fails here, once for all fields: a
/// writer that has overflowed takes nothing more.
fn seal(mut writer: Writer<'_>) -> Result<usize, Unencodable> {
    let len = writer.len();
    debug_assert!(
        len + 4 >= len::OVERHEAD || writer.overflowed(),
        "seals a frame without a header"
    );
    let checksum = crc32(writer.written());
    writer.put_u32(checksum);
    if writer.overflowed() {
        return Err(Unencodable);
    }
    Ok(len + 4)
}
