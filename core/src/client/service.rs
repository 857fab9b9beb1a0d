//! The service for clients outside: passes their questions from a link to the node, and remembers who has asked.
//!
//! A node answers requests of its own board. The service makes it answer clients on a link: it remembers for each
//! request where the answer goes, and forgets that with the answer. It decides nothing about requests; whatever it
//! drops is as if lost on the link, and the client asks again.

use super::{Address, Answer, AnswerEnvelope, Question, QuestionEnvelope};
use crate::{
    AnyOutbox, Instant, Node, Outcome, Proposal, Reply, RequestError, RequestKey, RequestNumber,
    StateMachine, Tracer,
};

/// Serves the clients of one node. The driver owns a service beside its node: each question that arrives goes to
/// [`Service::handle`], and each [`Reply`] in the outbox to [`Service::answer`].
///
/// It takes 16 bytes for each of the `CLIENTS` requests that can be outstanding at the node, and must be created with
/// the same number.
#[derive(Clone, Debug)]
pub struct Service<const CLIENTS: usize> {
    /// One place for each requester of the node. A place outlives its requester if the reply was lost on its way here;
    /// then it is used again when there is no free one.
    askers: [Option<Asker>; CLIENTS],
}

/// The client that waits for a request. The fields are not a key and an address, which would take a third more memory.
#[derive(Clone, Copy, Debug)]
struct Asker {
    /// The session, or the nonce of a registration: [`RequestKey::client`].
    client: u64,
    /// The number of the request.
    number: RequestNumber,
    /// Where the answer goes. Another client with the same key has another address.
    from: Address,
}

const _: () = assert!(size_of::<Option<Asker>>() == 16, "as is said above");

impl Asker {
    /// Returns the key of the request that is waited for.
    fn key(&self) -> RequestKey {
        RequestKey {
            client: crate::ClientId(self.client),
            number: self.number,
        }
    }

    /// True if it waits for a request of the same session, or for a registration with the same nonce.
    fn is_of(&self, key: RequestKey) -> bool {
        let registers = |number| number == RequestNumber::REGISTRATION;
        self.client == key.client.0 && registers(self.number) == registers(key.number)
    }
}

impl<const CLIENTS: usize> Default for Service<CLIENTS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CLIENTS: usize> Service<CLIENTS> {
    /// Creates a service without outstanding requests.
    pub const fn new() -> Self {
        Self {
            askers: [None; CLIENTS],
        }
    }

    /// Handles a question from a client. Returns an answer at once to a status question, and if the node is busy or has
    /// halted. Such an answer leaves after the writes in the outbox are durable, like a reply. All other answers come
    /// through the outbox, in this step or in a later one.
    ///
    /// A request with a later number than one that is outstanding for the same session withdraws the earlier one. A
    /// question for another node, or one that no client can ask, is ignored.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn handle<M: StateMachine, const WINDOW: usize, const PAGE: usize, T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        node: &mut Node<M, WINDOW, CLIENTS, PAGE>,
        asked: &QuestionEnvelope<M::Command>,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) -> Option<AnswerEnvelope<M::Output>> {
        if asked.to != node.id() {
            return None;
        }
        // A status needs no step of the node, so that a node answers it even if it has halted.
        let answer = match &asked.question {
            Question::Status => Answer::Status(node.status()),
            Question::Withdraw { key } => {
                let place = self.find(*key)?;
                // A client cannot withdraw the request of another client.
                if place.take_if(|asker| asker.from == asked.from).is_some() {
                    // It may have been answered just now.
                    let _ = node.withdraw(*key);
                }
                return None;
            }
            Question::Request { proposal } => {
                self.request(now, node, (proposal, asked.from), (outbox, tracer))?
            }
        };
        Some(AnswerEnvelope {
            from: node.id(),
            to: asked.from,
            answer,
        })
    }

    /// Returns the answer that a reply of the node is for a client; `None` if the request was not made through this
    /// service, for example by an application on the node's own board.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn answer<M: StateMachine, const WINDOW: usize, const PAGE: usize>(
        &mut self,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
        reply: &Reply<M::Output>,
    ) -> Option<AnswerEnvelope<M::Output>> {
        let asker = self.find(reply.key)?.take()?;
        Some(AnswerEnvelope {
            from: node.id(),
            to: asker.from,
            answer: Answer::Outcome {
                key: reply.key,
                fingerprint: reply.fingerprint,
                outcome: reply.outcome,
                leader: node.leader_hint(),
            },
        })
    }

    /// Makes the request at the node. Returns the answer if there is one at once.
    fn request<M: StateMachine, const WINDOW: usize, const PAGE: usize, T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        node: &mut Node<M, WINDOW, CLIENTS, PAGE>,
        (proposal, from): (&Proposal<M::Command>, Address),
        (outbox, tracer): (&mut impl AnyOutbox<M, PAGE>, &mut T),
    ) -> Option<Answer<M::Output>> {
        let key = proposal.key()?;
        if outbox.replies().iter().any(|reply| reply.key == key) {
            // The answer is on its way to the client that asked first. A client that made the same request asks again;
            // one that requests something else under this key must not be given that answer (rule X1).
            return None;
        }
        let place = self.place(node, key);
        let mut known = None;
        let asked = match &place {
            Some(place) => {
                known = place.filter(|asker| asker.is_of(key));
                if let Some(asker) = known
                    && asker.number < key.number
                {
                    // It may have been answered just now.
                    let _ = node.withdraw(asker.key());
                }
                node.ask(now, *proposal, outbox, tracer)
            }
            None => Err(RequestError::Full { capacity: CLIENTS }),
        };
        match asked {
            Ok(()) => {}
            // The same request again, perhaps from another address; not another command under its number (rule X1).
            Err(RequestError::Outstanding { .. })
                if known.is_some() && node.is_requesting(proposal) => {}
            Err(RequestError::Full { .. }) => {
                return Some(Answer::Outcome {
                    key,
                    fingerprint: proposal.fingerprint(),
                    outcome: Outcome::Busy,
                    leader: node.leader_hint(),
                });
            }
            Err(RequestError::Halted) => return Some(Answer::Status(node.status())),
            // As if lost: the client asks again.
            Err(_) => return None,
        }
        *place? = Some(Asker {
            client: key.client.0,
            number: key.number,
            from,
        });
        None
    }

    /// Returns the place for a request with this key: that of the session's last request, a free one, or one whose
    /// reply is on its way or was dropped, which is then as if lost.
    fn place<M: StateMachine, const WINDOW: usize, const PAGE: usize>(
        &mut self,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
        key: RequestKey,
    ) -> Option<&mut Option<Asker>> {
        debug_assert!(
            self.askers
                .iter()
                .flatten()
                .filter(|asker| asker.is_of(key))
                .count()
                <= 1,
            "a session has one request at a time, and takes one place"
        );
        let (mut own, mut free, mut spare) = (None, None, None);
        for place in &mut self.askers {
            let kind = match place {
                Some(asker) if asker.is_of(key) => &mut own,
                Some(asker) if node.is_outstanding(asker.key()) => continue,
                Some(_) => &mut spare,
                None => &mut free,
            };
            *kind = Some(place);
        }
        own.or(free).or(spare)
    }

    /// Returns the place of a request.
    fn find(&mut self, key: RequestKey) -> Option<&mut Option<Asker>> {
        debug_assert!(
            self.askers
                .iter()
                .flatten()
                .filter(|asker| asker.key() == key)
                .count()
                <= 1,
            "one reply would have two addressees, of which the second waits for ever"
        );
        let fits = |place: &&mut Option<Asker>| place.is_some_and(|asker| asker.key() == key);
        self.askers.iter_mut().find(fits)
    }
}
