//! Clients that keep a scripted cluster at work.

use crate::harness::cluster::{Cluster, millis};
use synod::machines::{Key, KvCommand};
use synod::{ClientId, Duration};

/// Clients at one node, each of which asks again as soon as it is answered, so that the log moves on all the time.
pub(crate) struct Load {
    node: u16,
    /// Each with the number of its last request.
    clients: Vec<(ClientId, u32)>,
    /// How often they ask at most.
    every: Duration,
}

impl Load {
    pub(crate) fn new(c: &mut Cluster, node: u16, clients: usize) -> Self {
        Self::paced(c, node, clients, millis(2))
    }

    /// As [`Load::new`], but those that are answered ask together, and only every so often.
    pub(crate) fn paced(c: &mut Cluster, node: u16, clients: usize, every: Duration) -> Self {
        let clients = (0..clients).map(|_| (c.client(node), 0)).collect();
        Self {
            node,
            clients,
            every,
        }
    }

    pub(crate) fn run_for(&mut self, c: &mut Cluster, span: Duration) {
        let end = c.now() + span;
        while c.now() < end {
            c.run_for(self.every);
            for (index, (client, number)) in (0..).zip(&mut self.clients) {
                if *number == 0 || c.outcome(*client, *number).is_some() {
                    *number += 1;
                    let command = KvCommand::Set(Key::numbered(index), i64::from(*number));
                    c.ask(self.node, *client, *number, command).unwrap();
                }
            }
        }
    }
}
