//! From power to a node: the words that a board is given, and the flash in which it finds itself again.

use crate::board::Board;
use crate::driver::drive;
use crate::flash::Flash;
use crate::member::{self, CLIENTS, Of, PAGE, Room, WINDOW};
use crate::semihosting::{Arguments, exit};
use embedded_storage::nor_flash::ReadNorFlash;
use synod::storage::flash::Flash as Records;
use synod::storage::{Journal, Opened};
use synod::{Config, ConfigError, Durable, NodeId, StateMachine};

/// Records of up to so many bytes, in flash.
type Kept = Records<Flash, 128>;

/// The exit code of a board that was not told what it must know.
const WORDS: u8 = 111;
/// The exit code of a board whose flash is not its own, or cannot be used.
const FLASH: u8 = 112;

/// What a board is told. On silicon most of this is built in, or stands in a page of flash of its own.
struct Words<'a> {
    node: NodeId,
    size: u16,
    seed: u64,
    flash: &'a str,
    is_new: bool,
    power: Option<u32>,
}

/// Reads `NODE SIZE SEED FLASH [new] [power=COUNT]`.
fn words<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Words<'a>> {
    let mut told = Words {
        node: NodeId(words.next()?.parse().ok()?),
        size: words.next()?.parse().ok()?,
        seed: words.next()?.parse().ok()?,
        flash: words.next()?,
        is_new: false,
        power: None,
    };
    for word in words {
        match word.strip_prefix("power=") {
            Some(count) => told.power = Some(count.parse().ok()?),
            None if word == "new" => told.is_new = true,
            None => return None,
        }
    }
    Some(told)
}

/// Starts the node that this board is, and lets it run for ever.
///
/// The words are the node's number, how many nodes there are, a seed, and the name of the file that is the board's flash;
/// then `new` on the first start of a board, and on no other; then `power=COUNT` where the power is to fail after so many
/// words and pages of flash were written and erased.
pub fn run<M: StateMachine>(outbox: &mut Room<M>) -> ! {
    let arguments = Arguments::<320>::get();
    let (Some(words), Some(mut board)) = (words(arguments.words()), Board::take()) else {
        defmt::error!("words: NODE SIZE SEED FLASH [new] [power=COUNT]");
        exit(WORDS)
    };
    let config = member::config(words.node, words.size);
    let now = board.now();
    match open::<M>(&words, &config) {
        Opened::Intact(intact) => {
            let past = intact.durable();
            defmt::info!(
                "goes on as NODE_{=u16}: slot={=u64} chain={=u64:016x}",
                words.node.0,
                past.map_or(0, |past| past.applied().number()),
                past.map_or(0, Durable::chain),
            );
            go(board, outbox, || intact.start::<PAGE>(words.seed, now))
        }
        // Only somebody who knows that this board has never voted may say so: a board that lost its flash has, and must
        // not vote again.
        Opened::Empty(empty) if words.is_new => {
            defmt::info!("begins as NODE_{=u16}", words.node.0);
            go(board, outbox, || empty.provision(words.seed, now))
        }
        Opened::Empty(_) | Opened::Damaged(_) => {
            defmt::warn!(
                "only learns: NODE_{=u16} has lost what it said",
                words.node.0
            );
            learn::<M>(board, outbox, || Of::<M>::learn(config, words.seed, now))
        }
    }
}

/// Reads what is in the flash.
#[inline(never)]
fn open<M: StateMachine>(words: &Words<'_>, config: &Config) -> Opened<Kept, M, WINDOW, CLIENTS> {
    let Ok(driver) = Flash::open(words.flash) else {
        defmt::error!("the flash cannot be opened");
        exit(FLASH)
    };
    let driver = driver.with_power_for(words.power.unwrap_or(u32::MAX));
    let end = u32::try_from(driver.capacity()).unwrap_or(u32::MAX);
    let Ok(kept) = Kept::open(driver, 0..end) else {
        defmt::error!("the flash holds something else, or is damaged");
        exit(FLASH)
    };
    let Ok(opened) = Journal::open(kept, config.clone()) else {
        defmt::error!("the flash is another node's");
        exit(FLASH)
    };
    opened
}

/// Lets a node run that may vote. It stays where it was made: each copy of it would be a sixth of a microbit.
#[inline(never)]
fn go<M: StateMachine, E>(
    mut board: Board,
    outbox: &mut Room<M>,
    start: impl FnOnce() -> Result<(Journal<Kept>, Of<M>), E>,
) -> ! {
    let Ok((journal, node)) = &mut start() else {
        defmt::error!("the flash cannot be written, or the numbers are wrong");
        exit(FLASH)
    };
    drive(&mut board, node, Some(journal), outbox)
}

/// Lets a node run that only learns.
#[inline(never)]
fn learn<M: StateMachine>(
    mut board: Board,
    outbox: &mut Room<M>,
    learn: impl FnOnce() -> Result<Of<M>, ConfigError>,
) -> ! {
    let Ok(node) = &mut learn() else {
        defmt::error!("the numbers are wrong");
        exit(WORDS)
    };
    drive::<_, Kept, _, _, _, _>(&mut board, node, None, outbox)
}
