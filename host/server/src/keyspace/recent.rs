//! The replies to the batches that were applied last, for the clients that wait for them.

use super::{REPLIES_BYTES_MAX, REPLIES_KEPT};
use crate::batch::BatchId;
use crate::reply::Reply;
use std::collections::VecDeque;

/// The replies to up to [`REPLIES_KEPT`] batches, in up to [`REPLIES_BYTES_MAX`] bytes. It is no part of the state.
#[derive(Default)]
pub(super) struct Recent {
    batches: VecDeque<Kept>,
    /// The memory of all replies.
    bytes: usize,
}

/// The replies to a batch.
struct Kept {
    id: BatchId,
    replies: Vec<Reply>,
    /// The memory of the replies.
    bytes: usize,
}

impl Recent {
    /// Adds the replies to a batch, and forgets the oldest ones that have no room then. The newest are always kept.
    pub(super) fn push(&mut self, id: BatchId, replies: Vec<Reply>) {
        let bytes = replies.iter().map(memory).sum();
        self.bytes += bytes;
        while self.batches.len() >= REPLIES_KEPT || self.bytes > REPLIES_BYTES_MAX {
            let Some(oldest) = self.batches.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes;
        }
        self.batches.push_back(Kept { id, replies, bytes });
    }

    /// Returns the replies to the last batch with this number.
    pub(super) fn replies(&self, id: BatchId) -> Option<&[Reply]> {
        let kept = self.batches.iter().rev().find(|kept| kept.id == id)?;
        Some(&kept.replies)
    }
}

/// Returns how much memory a reply takes.
fn memory(reply: &Reply) -> usize {
    let rest = match reply {
        Reply::Status(_) | Reply::Integer(_) | Reply::Nil => 0,
        Reply::Bulk(bytes) => bytes.capacity(),
        Reply::Error(text) => text.capacity(),
        Reply::Array(replies) => replies.iter().map(memory).sum(),
        Reply::Map(pairs) => {
            let pairs = pairs.iter();
            pairs.map(|(key, value)| memory(key) + memory(value)).sum()
        }
    };
    size_of::<Reply>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replies_to_the_last_batches_are_kept_and_no_others() {
        let mut recent = Recent::default();
        for number in 0..2000 {
            recent.push(BatchId(number), vec![Reply::Nil]);
        }
        assert_eq!(recent.replies(BatchId(1999)), Some(&[Reply::Nil][..]));
        assert!(recent.replies(BatchId(2000 - 512)).is_some());
        assert!(recent.replies(BatchId(2000 - 513)).is_none());
        recent.push(BatchId(1999), vec![Reply::OK]);
        assert_eq!(recent.replies(BatchId(1999)), Some(&[Reply::OK][..]));
    }

    #[test]
    fn long_replies_push_earlier_ones_out() {
        let mut recent = Recent::default();
        let long = Reply::Bulk(vec![0; REPLIES_BYTES_MAX / 4]);
        for number in 0..5 {
            recent.push(BatchId(number), vec![long.clone()]);
        }
        let kept = (0..5).filter(|number| recent.replies(BatchId(*number)).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), [2, 3, 4]);
        let longer_than_all = Reply::Bulk(vec![0; REPLIES_BYTES_MAX + 1]);
        recent.push(BatchId(5), vec![longer_than_all.clone()]);
        assert_eq!(recent.replies(BatchId(5)), Some(&[longer_than_all][..]));
        assert_eq!(recent.replies(BatchId(4)), None);
    }
}
