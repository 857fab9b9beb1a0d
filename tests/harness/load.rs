//! Clients that keep a scripted cluster under load.

use crate::harness::cluster::{Cluster, millis};
use synod::machines::{Key, KvCommand};
use synod::{ClientId, Duration};

/// A closed-loop load: clients at one node, each of which sends its next request when the last one is answered.
pub(crate) struct Load {
    node: u16,
    /// Each client with the number of its last request.
    clients: Vec<(ClientId, u32)>,
    /// The shortest time between two rounds of requests.
    every: Duration,
}

impl Load {
    pub(crate) fn new(c: &mut Cluster, node: u16, clients: usize) -> Self {
        Self::paced(c, node, clients, millis(2))
    }

    /// Returns a load whose clients send their next requests together, at most once in `every`.
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
