//! A bare-metal image of a node alone, with a link that is opaque to the compiler.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", no_main)]

use core::hint::black_box;
use synod::machines::Opaque;
use synod::{ClientId, Config, Envelope, Instant, Node, NodeId, Outbox, RequestNumber};

type Small = Node<Opaque, 16, 8, 2>;

fn program() {
    let config = black_box(Config::new(NodeId(1), 3));
    let Ok(mut node) = Small::join(config, black_box(6), Instant::ZERO) else {
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
        let asked: Option<(u64, u32, [u8; 16])> = black_box(None);
        if let Some((client, number, command)) = asked {
            let (client, number) = (ClientId(client), RequestNumber(number));
            let _ = black_box(node.request(now, client, number, command, &mut outbox, &mut ()));
            let _ = black_box(node.register(now, client.0, &mut outbox, &mut ()));
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
