//! Booting: from the arguments of a board to a running node, restored from flash.

use crate::board::Board;
use crate::driver::drive;
use crate::flash::Flash;
use crate::member::{self, CLIENTS, Of, PAGE, Room, WINDOW};
use crate::semihosting::{Arguments, exit};
use embedded_storage::nor_flash::ReadNorFlash;
use synod::storage::flash::Flash as Records;
use synod::storage::{Journal, OpenError, Opened};
use synod::{Config, ConfigError, Durable, NodeId, StateMachine};

/// The log of records in flash, of up to 128 bytes each.
type Kept = Records<Flash, 128>;

/// The exit code of a board with invalid arguments.
const WORDS: u8 = 111;
/// The exit code of a board whose flash belongs to another node, or cannot be used.
const FLASH: u8 = 112;

/// The arguments of a board. On hardware most of them are built in, or stored in a page of flash of their own.
struct Words<'a> {
    node: NodeId,
    size: u16,
    seed: u64,
    flash: &'a str,
    is_new: bool,
    joins: Option<NodeId>,
    power: Option<u32>,
}

/// Parses `NODE SIZE SEED FLASH [new] [joins=NODE] [power=COUNT]`.
fn words<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Words<'a>> {
    let mut told = Words {
        node: NodeId(words.next()?.parse().ok()?),
        size: words.next()?.parse().ok()?,
        seed: words.next()?.parse().ok()?,
        flash: words.next()?,
        is_new: false,
        joins: None,
        power: None,
    };
    for word in words {
        match word.split_once('=') {
            Some(("power", count)) => told.power = Some(count.parse().ok()?),
            Some(("joins", node)) => told.joins = Some(NodeId(node.parse().ok()?)),
            None if word == "new" => told.is_new = true,
            _ => return None,
        }
    }
    Some(told)
}

/// Starts the node of this board and runs it for ever.
///
/// The arguments are:
///
/// - the node's number. Those below the second argument are the founding members. Any other number that no board ever
///   had, up to 63, is that of a learner, which takes the place of a board when the members are changed;
/// - the number of founding members, the same on all boards of a cluster for ever;
/// - a seed;
/// - the name of the file that holds the board's flash;
/// - `new` on the first start of a board and on no other;
/// - `joins=NODE`, a board that runs, for one that joins after board 0 is gone, until it has joined;
/// - `power=COUNT` to make the power fail after this many words and pages of flash were written and erased.
pub fn run<M: StateMachine>(outbox: &mut Room<M>) -> ! {
    let arguments = Arguments::<320>::get();
    let (Some(words), Some(mut board)) = (words(arguments.words()), Board::take()) else {
        defmt::error!("words: NODE SIZE SEED FLASH [new] [joins=NODE] [power=COUNT]");
        exit(WORDS)
    };
    let mut config = member::config(words.node, words.size);
    config.founder = words.joins.unwrap_or(config.founder);
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
        // Only an operator can know that this board has never voted: a board that lost its flash has, and must not
        // vote again.
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

/// Opens the journal in flash.
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
    match Journal::open(kept, config.clone()) {
        Ok(opened) => return opened,
        Err(OpenError::Foreign { expected, found }) if found.node != expected.node => {
            defmt::error!("the flash is that of NODE_{=u16}", found.node);
        }
        Err(OpenError::Foreign { .. }) => {
            defmt::error!("the flash is of another cluster, or of another program");
        }
        Err(OpenError::Config(_)) => {
            defmt::error!("the numbers are wrong");
            exit(WORDS)
        }
        Err(_) => defmt::error!("the flash cannot be read"),
    }
    exit(FLASH)
}

/// Runs a node with a vote. The node stays where it was created: each copy would take a sixth of the RAM of a
/// microbit.
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

/// Runs a node without a vote, as a learner.
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
