//! Clients that mostly follow the rules, and sometimes break them.

use super::Asked;
use super::random_source::RandomSource;
use synod::machines::{Key, KvCommand, KvReply};
use synod::{ClientId, Outcome, Proposal, Reply, RequestKey, RequestNumber};

struct Client {
    nonce: u64,
    id: Option<ClientId>,
    number: u32,
    last: Option<KvCommand>,
}

/// All clients.
pub(super) struct Clients {
    known: Vec<Client>,
    nonce: u64,
    value: i64,
}

impl Clients {
    pub(super) const fn new() -> Self {
        Self {
            known: Vec::new(),
            nonce: 1 << 40,
            value: 0,
        }
    }

    /// Draws an unused nonce.
    pub(super) fn draw_nonce(&mut self) -> u64 {
        self.nonce += 1;
        self.nonce
    }

    /// Returns the next request of a random client.
    pub(super) fn ask(&mut self, random: &mut RandomSource, clients_max: usize) -> Asked {
        if self.known.len() < clients_max {
            let nonce = self.draw_nonce();
            self.known.push(Client {
                nonce,
                id: None,
                number: 0,
                last: None,
            });
        }
        let which = random.index(self.known.len());
        self.value += 1;
        let key = Key::numbered(u32::from(random.number(6)));
        let command = if random.percent(20) {
            KvCommand::Get(key)
        } else {
            KvCommand::Set(key, self.value)
        };
        let habit = random.below(100);
        let Some(client) = self.known.get_mut(which) else {
            return Proposal::Noop;
        };
        let Some(id) = client.id.filter(|_| habit > 0) else {
            let nonce = client.nonce;
            return Proposal::Register { nonce };
        };
        let (number, command) = match (habit, client.last) {
            // A repetition of the last request, perhaps at another node.
            (1..30, Some(last)) => (client.number, last),
            // Another command under the same number, or an old number.
            (30..34, Some(_)) => (client.number, command),
            (34..38, Some(_)) if client.number > 1 => (client.number - 1, command),
            _ => {
                client.number += 1;
                client.last = Some(command);
                (client.number, command)
            }
        };
        Proposal::Request {
            client: id,
            number: RequestNumber(number),
            command,
        }
    }

    /// Updates the client with the identity of its session, or with the loss of it.
    pub(super) fn see_reply(&mut self, reply: &Reply<KvReply>) {
        for client in &mut self.known {
            match reply.outcome {
                Outcome::Registered { client: id }
                    if reply.key == RequestKey::registration(client.nonce)
                        && client.id != Some(id) =>
                {
                    (client.id, client.number, client.last) = (Some(id), 0, None);
                }
                Outcome::Evicted if client.id == Some(reply.key.client) => {
                    self.nonce += 1;
                    (client.nonce, client.id) = (self.nonce, None);
                }
                _ => {}
            }
        }
    }
}
