//! The protocol of etcd: its service for keys and values in gRPC, over HTTP/2 without encryption.
//!
//! A connection is that of any client of gRPC: one HTTP/2 connection, on which each request is a stream. Windows are as large
//! as the standard allows, so that etcd never waits for them, and headers that were sent once are sent as one byte.

mod frame;
mod hpack;
mod message;

use super::dialect::{Answer, Dialect, Garbled, Taken};
use super::workload::Request;
use frame::{ACK, END_HEADERS, END_STREAM, Frame, PAYLOAD_MAX, PREFACE};
use hpack::{Decoder, Encoder, Method};
use std::collections::VecDeque;

/// The window of a stream or a connection of which nothing was said.
const WINDOW: i64 = 65_535;
/// The largest window.
const WINDOW_MAX: u32 = 0x7fff_ffff;
/// Once so many bytes have arrived, the server may send as many more.
const CREDIT: u32 = 1 << 24;
/// The longest block of headers that is taken.
const BLOCK_MAX: usize = 16_384;
/// The longest answer that is taken: what clients of gRPC take.
const ANSWER_MAX: usize = 4 << 20;
/// As much of the message of an error is kept.
const REASON_MAX: usize = 200;

/// So many settings and pings in a row are answered: more of them would fill up the memory where they are not read.
const REPLIES_MAX: u32 = 1_000;

const SETTING_HEADER_TABLE_SIZE: u16 = 1;
const SETTING_ENABLE_PUSH: u16 = 2;
const SETTING_INITIAL_WINDOW_SIZE: u16 = 4;

/// etcd, in version 3.
#[derive(Clone, Debug)]
pub struct Etcd {
    encoder: Encoder,
    decoder: Decoder,
    /// The requests that are not answered, in the order in which they were made.
    streams: VecDeque<Stream>,
    /// So many streams, the last ones, have not sent their whole message.
    unsent: usize,
    /// The number of the next stream.
    next: u32,
    /// What may be sent on the connection, in bytes.
    window: i64,
    /// What may be sent on a new stream.
    window_of_streams: i64,
    /// What has arrived since the server was told that it may send more.
    arrived: u32,
    /// A block of headers that goes on in the next frame: its first frame's stream and flags, and what there is of it.
    block: Option<(u32, u8, Vec<u8>)>,
    /// What was answered to the server itself since a request was made or answered.
    replies: u32,
    /// True once the server has begun as HTTP/2 does.
    has_begun: bool,
}

/// A request that is not answered.
#[derive(Clone, Debug)]
struct Stream {
    number: u32,
    method: Method,
    /// The request, and how much of it was sent.
    message: Vec<u8>,
    sent: usize,
    /// What may be sent, in bytes.
    window: i64,
    /// What there is of the answer.
    answer: Vec<u8>,
    /// The status and the message of gRPC, once they are there.
    status: Option<Vec<u8>>,
    reason: Vec<u8>,
}

impl Default for Etcd {
    fn default() -> Self {
        Self {
            encoder: Encoder::default(),
            decoder: Decoder::default(),
            streams: VecDeque::new(),
            unsent: 0,
            next: 1,
            window: WINDOW,
            window_of_streams: WINDOW,
            arrived: 0,
            block: None,
            replies: 0,
            has_begun: false,
        }
    }
}

impl Dialect for Etcd {
    const NAME: &'static str = "the protocol of etcd";

    fn open(&mut self, out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(PREFACE);
        let mut settings = Vec::new();
        for (setting, value) in [
            (SETTING_ENABLE_PUSH, 0),
            (SETTING_INITIAL_WINDOW_SIZE, WINDOW_MAX),
        ] {
            settings.extend_from_slice(&setting.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        push(frame::SETTINGS, 0, 0, &settings, out);
        let more = i64::from(WINDOW_MAX) - WINDOW;
        push_credit(u32::try_from(more).unwrap_or(0), out);
        // Whoever answers it is etcd, and lets this client in.
        self.ask(Request::Get { key: 0 }, out);
        1
    }

    fn ask(&mut self, request: Request<'_>, out: &mut Vec<u8>) {
        let (method, message) = match request {
            Request::Set { key, value } => (Method::Put, message::put(key, value)),
            // etcd has no counters. The command line refuses to ask for them.
            Request::Get { key } | Request::Incr { key } => (Method::Range, message::range(key)),
        };
        let mut block = Vec::new();
        self.encoder.push(method, &mut block);
        push(frame::HEADERS, END_HEADERS, self.next, &block, out);
        self.streams.push_back(Stream {
            number: self.next,
            method,
            message,
            sent: 0,
            window: self.window_of_streams,
            answer: Vec::new(),
            status: None,
            reason: Vec::new(),
        });
        self.replies = 0;
        // A connection that has used up all numbers is closed by the server, and dialled again.
        self.next = self.next.saturating_add(2);
        self.unsent += 1;
        self.send(out);
    }

    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<Taken>, Garbled> {
        let Some((frame, len)) = Frame::parse(input)? else {
            return Ok(None);
        };
        let answered = self.on_frame(&frame, out)?;
        let (turn, answer) = answered.map_or((0, None), |(turn, answer)| (turn, Some(answer)));
        Ok(Some(Taken { len, turn, answer }))
    }
}

impl Etcd {
    /// Handles a frame. Returns the answer that it completes, and how many older requests wait.
    fn on_frame(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, Answer)>, Garbled> {
        let is_first = !core::mem::replace(&mut self.has_begun, true);
        let goes_on = self.block.as_ref().map(|(stream, ..)| *stream);
        let is_next = match goes_on {
            Some(stream) => frame.kind == frame::CONTINUATION && frame.stream == stream,
            None => frame.kind != frame::CONTINUATION,
        };
        if !is_next || is_first && (frame.kind != frame::SETTINGS || frame.has(ACK)) {
            return Err(Garbled);
        }
        match frame.kind {
            frame::DATA => return self.on_data(frame, out),
            frame::HEADERS | frame::CONTINUATION => return self.on_headers(frame),
            frame::RST_STREAM => {
                let reason = format!("etcd has given up the request (code {})", frame.number()?);
                let turn = self.turn(frame.stream)?;
                return Ok(turn.map(|turn| self.answered(turn, Answer::Refused(reason))));
            }
            frame::SETTINGS if !frame.has(ACK) => self.on_settings(frame, out)?,
            frame::PING if !frame.has(ACK) => self.reply(frame::PING, frame.payload, out)?,
            frame::WINDOW_UPDATE => self.on_credit(frame, out)?,
            frame::PUSH_PROMISE => return Err(Garbled),
            // Acknowledgements, and that the connection is about to be closed, which shows by itself. What the standard does
            // not know is ignored.
            _ => {}
        }
        Ok(None)
    }

    fn on_data(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, Answer)>, Garbled> {
        self.arrived += u32::try_from(frame.payload.len()).unwrap_or(0);
        if self.arrived >= CREDIT {
            push_credit(self.arrived, out);
            self.arrived = 0;
        }
        let content = frame.content()?;
        let Some(turn) = self.turn(frame.stream)? else {
            return Ok(None);
        };
        let stream = self.streams.get_mut(turn).ok_or(Garbled)?;
        if stream.answer.len() + content.len() > ANSWER_MAX {
            return Err(Garbled);
        }
        stream.answer.extend_from_slice(content);
        self.on_end(turn, frame)
    }

    fn on_headers(&mut self, frame: &Frame<'_>) -> Result<Option<(usize, Answer)>, Garbled> {
        let (number, flags, mut block) = match self.block.take() {
            Some(begun) => begun,
            None => (frame.stream, frame.flags, Vec::new()),
        };
        let content = if frame.kind == frame::HEADERS {
            frame.content()?
        } else {
            frame.payload
        };
        block.extend_from_slice(content);
        if block.len() > BLOCK_MAX {
            return Err(Garbled);
        }
        if !frame.has(END_HEADERS) {
            self.block = Some((number, flags, block));
            return Ok(None);
        }
        let turn = self.turn(number)?;
        let mut stream = turn.and_then(|turn| self.streams.get_mut(turn));
        // It is read even if nobody waits for it, as it changes what later ones mean.
        self.decoder.decode(&block, |name, value| {
            if let Some(stream) = &mut stream {
                match name {
                    b"grpc-status" => stream.status = Some(start_of(value)),
                    b"grpc-message" => stream.reason = start_of(value),
                    _ => {}
                }
            }
        })?;
        let whole = Frame {
            flags,
            payload: &[],
            ..*frame
        };
        turn.map_or(Ok(None), |turn| self.on_end(turn, &whole))
    }

    /// Returns the answer of a stream, if the frame is its last one.
    fn on_end(
        &mut self,
        turn: usize,
        frame: &Frame<'_>,
    ) -> Result<Option<(usize, Answer)>, Garbled> {
        if !frame.has(END_STREAM) {
            return Ok(None);
        }
        let stream = self.streams.get(turn).ok_or(Garbled)?;
        let answer = stream.verdict()?;
        Ok(Some(self.answered(turn, answer)))
    }

    /// Forgets a request that was answered.
    fn answered(&mut self, turn: usize, answer: Answer) -> (usize, Answer) {
        self.replies = 0;
        if let Some(stream) = self.streams.remove(turn)
            && stream.sent < stream.message.len()
        {
            self.unsent -= 1;
        }
        (turn, answer)
    }

    /// Returns the place of a stream among the requests that wait; `None` if it does not wait any more.
    fn turn(&self, number: u32) -> Result<Option<usize>, Garbled> {
        if number.is_multiple_of(2) || number >= self.next {
            return Err(Garbled);
        }
        let found = self
            .streams
            .binary_search_by_key(&number, |stream| stream.number);
        Ok(found.ok())
    }

    fn on_settings(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), Garbled> {
        let (settings, []) = frame.payload.as_chunks::<6>() else {
            return Err(Garbled);
        };
        for [setting_high, setting_low, value @ ..] in settings {
            let value = u32::from_be_bytes(*value);
            match u16::from_be_bytes([*setting_high, *setting_low]) {
                SETTING_INITIAL_WINDOW_SIZE if value > WINDOW_MAX => return Err(Garbled),
                SETTING_INITIAL_WINDOW_SIZE => {
                    let more = i64::from(value) - self.window_of_streams;
                    self.window_of_streams = value.into();
                    self.streams
                        .iter_mut()
                        .for_each(|stream| stream.window += more);
                }
                // What was sent as one byte would not be there any more. No version of etcd lowers it.
                SETTING_HEADER_TABLE_SIZE
                    if usize::try_from(value).is_ok_and(|size| size < hpack::TABLE) =>
                {
                    return Err(Garbled);
                }
                _ => {}
            }
        }
        self.reply(frame::SETTINGS, &[], out)?;
        self.send(out);
        Ok(())
    }

    /// Acknowledges settings or a ping.
    fn reply(&mut self, kind: u8, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Garbled> {
        self.replies += 1;
        if self.replies > REPLIES_MAX {
            return Err(Garbled);
        }
        push(kind, ACK, 0, payload, out);
        Ok(())
    }

    fn on_credit(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), Garbled> {
        let more = i64::from(frame.number()? & WINDOW_MAX);
        let window = if frame.stream == 0 {
            &mut self.window
        } else {
            let turn = self.turn(frame.stream)?;
            let Some(stream) = turn.and_then(|turn| self.streams.get_mut(turn)) else {
                return Ok(());
            };
            &mut stream.window
        };
        *window += more;
        if *window > i64::from(WINDOW_MAX) {
            return Err(Garbled);
        }
        self.send(out);
        Ok(())
    }

    /// Sends messages, in the order of their requests, as far as the windows allow it.
    fn send(&mut self, out: &mut Vec<u8>) {
        let sent = self.streams.len().saturating_sub(self.unsent);
        for stream in self.streams.range_mut(sent..) {
            while let Some(rest) = stream.message.get(stream.sent..)
                && !rest.is_empty()
            {
                let window = self.window.min(stream.window);
                let window = usize::try_from(window).unwrap_or(0).min(PAYLOAD_MAX);
                let piece = rest.get(..window).unwrap_or(rest);
                if piece.is_empty() {
                    return;
                }
                let is_last = piece.len() == rest.len();
                let flags = if is_last { END_STREAM } else { 0 };
                push(frame::DATA, flags, stream.number, piece, out);
                let len = i64::try_from(piece.len()).unwrap_or(0);
                self.window -= len;
                stream.window -= len;
                stream.sent += piece.len();
            }
            self.unsent -= 1;
        }
    }
}

impl Stream {
    /// Returns what a whole answer says.
    fn verdict(&self) -> Result<Answer, Garbled> {
        match (self.status.as_deref(), self.method) {
            (Some(b"0"), Method::Put) => message::message(&self.answer).map(|_| Answer::Done),
            (Some(b"0"), Method::Range) => Ok(if message::has_pair(&self.answer)? {
                Answer::Done
            } else {
                Answer::Missing
            }),
            (Some(status), _) => {
                let [status, reason] = [status, &self.reason].map(String::from_utf8_lossy);
                Ok(Answer::Refused(format!(
                    "{reason} (status {status} of gRPC)"
                )))
            }
            (None, _) => Err(Garbled),
        }
    }
}

fn push(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let frame = Frame {
        kind,
        flags,
        stream,
        payload,
    };
    frame.push(out);
}

/// Lets the server send so many more bytes on the connection.
fn push_credit(bytes: u32, out: &mut Vec<u8>) {
    push(frame::WINDOW_UPDATE, 0, 0, &bytes.to_be_bytes(), out);
}

/// Returns the start of a text that may be long.
fn start_of(text: &[u8]) -> Vec<u8> {
    text.get(..REASON_MAX).unwrap_or(text).to_vec()
}

#[cfg(test)]
mod tests;
