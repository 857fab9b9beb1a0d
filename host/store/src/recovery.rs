//! Recovery: what a file holds when it is opened. Nothing is written here.

use crate::block::{ALIGN, Blocks, Found, Header, OVERHEAD, Records};
use crate::error::Problem;
use crate::layout::{Mark, Oldest, Ring, Superblock};
use crate::medium::Medium;

/// The log in a file, all of which was read and is intact.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The sequence number of the last block, 0 without one.
    pub(crate) last: u64,
    /// The last block as it is in the file, with its offset.
    pub(crate) last_block: Option<(u64, Vec<u8>)>,
    /// The offset behind it.
    pub(crate) end: u64,
    pub(crate) oldest: Oldest,
    /// The offset of the oldest block.
    pub(crate) begin: u64,
    /// The bytes of records that are not dropped, with [`OVERHEAD`] each.
    pub(crate) used: usize,
}

/// What was found in a search of the whole ring.
#[derive(Clone, Copy, Debug, Default)]
struct Search {
    /// The intact block with the highest number, and its offset.
    last: Option<(Header, u64)>,
    /// The number of a block that was synced: a block is written only after the one before it was synced, so each header
    /// says so of the block before it.
    synced: u64,
}

/// Reads the log in a file.
///
/// All blocks from the oldest one that is needed to the last one must be intact, and nothing may say that there was a
/// later one which was synced.
pub(crate) fn recover(
    medium: &impl Medium,
    superblock: Superblock,
    mark: Mark,
) -> Result<Recovered, Problem> {
    let ring = Ring {
        len: superblock.ring_len(),
    };
    let mut blocks = Blocks::new(medium, ring, superblock.key);
    let search = search(&mut blocks, ring)?;
    let Some((header, offset)) = search.last else {
        return empty(ring, mark, search.synced);
    };
    let last = header.sequence;
    let end = offset.saturating_add(len_of(&header));
    if search.synced.max(mark.synced) > last {
        return Err(missing(ring, end));
    }
    // Each of them was true at its time, and what is dropped stays so.
    let oldest = header.oldest().max(mark.oldest);
    let (used, len) = walk(&mut blocks, ring, oldest, last)?;
    // Offsets count from the turn of the ring in which the oldest block lies.
    let begin = oldest.place;
    let end_of_walk = begin.saturating_add(len);
    if ring.place(end_of_walk) != ring.place(end) || len > ring.len {
        return Err(missing(ring, end_of_walk));
    }
    let block_len = header.block_len();
    let mut block = vec![0; block_len];
    ring.read(medium, offset, &mut block)?;
    Ok(Recovered {
        last,
        last_block: Some((offset, block)),
        end: end_of_walk,
        oldest,
        begin,
        used,
    })
}

/// Returns a log without a block. It is empty only if none was ever synced.
fn empty(ring: Ring, mark: Mark, synced: u64) -> Result<Recovered, Problem> {
    if mark != Mark::FIRST || synced > 0 {
        return Err(missing(ring, mark.oldest.place));
    }
    let oldest = mark.oldest;
    Ok(Recovered {
        last: 0,
        last_block: None,
        end: oldest.place,
        oldest,
        begin: oldest.place,
        used: 0,
    })
}

/// Looks for a block at every place where one may begin.
fn search<M: Medium>(blocks: &mut Blocks<'_, M>, ring: Ring) -> Result<Search, Problem> {
    let mut search = Search::default();
    let mut offset = 0;
    while offset < ring.len {
        let (header, len) = match blocks.at(offset)? {
            Found::Block(header, _) => {
                if search
                    .last
                    .is_none_or(|(last, _)| header.sequence > last.sequence)
                {
                    search.last = Some((header, offset));
                }
                (Some(header), len_of(&header))
            }
            // Torn, or overwritten in part. Other blocks may lie in the rest.
            Found::Header(header) => (Some(header), len_in_file(ALIGN)),
            Found::Nothing => (None, len_in_file(ALIGN)),
        };
        if let Some(header) = header {
            search.synced = search.synced.max(header.sequence.saturating_sub(1));
        }
        offset = offset.saturating_add(len);
    }
    Ok(search)
}

/// Reads all blocks that are needed. Returns the bytes of their records, and the length of the blocks.
fn walk<M: Medium>(
    blocks: &mut Blocks<'_, M>,
    ring: Ring,
    oldest: Oldest,
    last: u64,
) -> Result<(usize, u64), Problem> {
    let (mut used, mut len) = (0_usize, 0_u64);
    let mut skip = oldest.skip;
    for sequence in oldest.sequence..=last {
        let offset = oldest.place.saturating_add(len);
        let (header, records) = block(blocks, ring, offset, sequence)?;
        for record in records {
            if let Some(fewer) = skip.checked_sub(1) {
                skip = fewer;
            } else {
                used = used.saturating_add(record.len()).saturating_add(OVERHEAD);
            }
        }
        len = len.saturating_add(len_of(&header));
    }
    if skip > 0 {
        return Err(missing(ring, oldest.place));
    }
    Ok((used, len))
}

/// Returns a block that must be at an offset.
pub(crate) fn block<'a, M: Medium>(
    blocks: &'a mut Blocks<'_, M>,
    ring: Ring,
    offset: u64,
    sequence: u64,
) -> Result<(Header, Records<'a>), Problem> {
    match blocks.at(offset)? {
        Found::Block(header, records) if header.sequence == sequence => Ok((header, records)),
        _ => Err(missing(ring, offset)),
    }
}

fn missing(ring: Ring, offset: u64) -> Problem {
    Problem::Damaged {
        at: ring.in_file(offset),
        what: "records that were synced are missing or have changed",
    }
}

/// Returns the length of a block in the file.
pub(crate) fn len_of(header: &Header) -> u64 {
    len_in_file(header.block_len())
}

/// Converts a length.
pub(crate) fn len_in_file(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
