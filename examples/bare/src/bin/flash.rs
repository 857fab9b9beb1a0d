//! A bare-metal image of a node with its journal in flash. The flash and the link are opaque to the compiler.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

use core::hint::black_box;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use synod::machines::Opaque;
use synod::storage::flash::Flash;
use synod::storage::{Journal, Opened};
use synod::{Config, Envelope, Instant, Node, NodeId, Outbox};

type Small = Node<Opaque, 16, 8, 2>;

/// The size of the flash, in bytes.
const FLASH: u32 = 32 * 1024;

/// A flash driver that is opaque to the compiler.
struct Driver;

/// The error type of the driver, which never occurs.
#[derive(Clone, Copy, Debug)]
struct Fault;

impl NorFlashError for Fault {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl ErrorType for Driver {
    type Error = Fault;
}

impl ReadNorFlash for Driver {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Fault> {
        black_box((offset, bytes));
        black_box(Ok(()))
    }

    fn capacity(&self) -> usize {
        black_box(32 * 1024)
    }
}

impl NorFlash for Driver {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 1024;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Fault> {
        black_box((from, to));
        black_box(Ok(()))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Fault> {
        black_box((offset, bytes));
        black_box(Ok(()))
    }
}

fn program() {
    let config = black_box(Config::new(NodeId(1), 3));
    let Ok(flash) = Flash::<_>::open(Driver, 0..FLASH) else {
        return;
    };
    let Ok(opened) = Journal::open::<Opaque, 16, 8>(flash, config) else {
        return;
    };
    let started = match opened {
        Opened::Intact(intact) => intact.start(black_box(6), Instant::ZERO),
        Opened::Empty(empty) => empty.provision(black_box(6), Instant::ZERO),
        Opened::Damaged(_) => return,
    };
    let Ok((mut journal, mut node)): Result<(_, Small), _> = started else {
        return;
    };
    let mut outbox = Outbox::<Opaque, 2, { Small::OUTBOX_MIN }>::new();
    for micros in 0.. {
        let now = Instant::from_micros(black_box(micros));
        if node.next_deadline().is_some_and(|deadline| deadline <= now) {
            node.handle_timeout(now, &mut outbox, &mut ());
        }
        // A message that is opaque to the compiler.
        let arrived: Option<Envelope<Opaque, 2>> = black_box(None);
        if let Some(envelope) = &arrived {
            node.handle_message(now, envelope, &mut outbox, &mut ());
        }
        let written = journal.write(now, &mut node, &outbox.writes);
        if written.and_then(|()| journal.sync()).is_err() {
            node.fence(now, &mut outbox, &mut ());
        }
        for outgoing in &outbox.messages {
            for to in outgoing.to.iter() {
                black_box(node.envelope(to, outgoing));
            }
        }
        black_box(&outbox);
        outbox.clear();
    }
}

example_bare::entry!(program);
