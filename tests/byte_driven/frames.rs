//! Frames off a link: any bytes that decode as a message are the encoding of that message.

use super::choices::Choices;
use crc::{CRC_32_ISO_HDLC, Crc};
use synod::StateMachine;
use synod::machines::{Bank, Kv, Opaque};
use synod::wire::{Frame, Frames};

const MTU: usize = 250;
/// The cluster fingerprint of the frames, as bytes.
const CLUSTER: [u8; 4] = [7; 4];

/// Decodes the bytes as the contents of a frame of this cluster, and then as a whole frame. Returns true if one of
/// them is a message.
pub fn run(bytes: &[u8]) -> bool {
    let mut choices = Choices::new(bytes);
    match choices.below(4) {
        0 => frame::<Kv<4>, 1>(choices.rest()),
        1 => frame::<Kv<4>, 5>(choices.rest()),
        2 => frame::<Bank<4>, 2>(choices.rest()),
        _ => frame::<Opaque, 2>(choices.rest()),
    }
}

fn frame<M: StateMachine, const PAGE: usize>(bytes: &[u8]) -> bool {
    let mut frames = Frames::<M, PAGE, MTU>::new(u32::from_le_bytes(CLUSTER));
    let mut whole = bytes.to_vec();
    if let Some(place) = whole.get_mut(2..6) {
        place.copy_from_slice(&CLUSTER);
    }
    let checksum = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(&whole);
    whole.extend(checksum.to_le_bytes());
    let mut taken = 0;
    for frame in [bytes, &whole] {
        let mut buffer = [0; MTU];
        let len = match frames.decode(frame) {
            Ok(Frame::Message(envelope)) => frames.encode(&envelope, &mut buffer),
            Ok(Frame::Question(asked)) => frames.encode_question(&asked, &mut buffer),
            Ok(Frame::Answer) => match frames.decode_answer(frame) {
                Ok(answered) => frames.encode_answer(&answered.unwrap(), &mut buffer),
                Err(_) => continue,
            },
            Err(_) => continue,
        };
        let len = len.unwrap();
        assert_eq!(&buffer[..len], frame, "a message has two encodings");
        taken += 1;
    }
    assert_eq!(frames.dropped().total(), 2 - taken);
    taken > 0
}
