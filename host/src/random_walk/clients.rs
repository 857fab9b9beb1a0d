//! Clients that mostly follow the rules, and sometimes break them.
//!
//! Breaking the rules is the point: two commands under one number, old numbers, a second
//! registration. A cluster must answer these, too, without harm to the clients that keep the rules.

use super::Asked;
use super::random_source::RandomSource;
use synod::machines::{Key, KvCommand, KvReply};
use synod::{ClientId, Outcome, Proposal, Reply, RequestKey, RequestNumber};

/// A client outside of the cluster, with what it remembers.
struct Client {
    /// Number in its registration, by which it knows its session in an answer.
    nonce: u64,
    /// Its session; `None` until it is registered, and again after it was evicted.
    id: Option<ClientId>,
    /// Number of its last request in this session; 0 before the first.
    number: u32,
    /// Command of its last request, which it repeats at times.
    last: Option<KvCommand>,
}

/// All clients.
///
/// A client waits for nothing: it may make a request before the last one was answered.
pub(super) struct Clients {
    /// Clients that have made a request.
    known: Vec<Client>,
    /// Last nonce drawn. They begin at 2⁴⁰, far from slots, so that a nonce taken for a session is
    /// noticed.
    nonce: u64,
    /// Last value written. Each command writes another one, so that a value tells which command
    /// wrote it.
    value: i64,
}

impl Clients {
    /// Returns no clients. They appear one at a time, with each request that is made.
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
        // Counted for reads as well: a gap among the values does no harm.
        self.value += 1;
        // Two more keys than the store has room for.
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
        // One request in a hundred is a registration although there is a session.
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
