//! Three nodes on three threads, joined by channels and a real clock.
//!
//! `cargo run -p example-threads`
//!
//! A client makes a hundred deposits of one each. In the middle of it the thread of the leader is stopped; the other two
//! elect a new one and go on. The balance shows that every deposit was made exactly once, those included that the client
//! had to ask for again. The network is the only thing that this program brings itself: [`drive`] is the whole of it.

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use synod::client::{Answer, Applied, Client, Question};
use synod::machines::{Bank, BankCommand, BankReply, Key};
use synod::{
    ClientId, Config, Duration, Envelope, Instant, Node, NodeId, NodeSet, Outbox, Proposal, Reply,
    RequestNumber,
};

const NODES: u16 = 3;
const DEPOSITS: u32 = 100;
const PAGE: usize = 2;

type Machine = Bank<4>;
type Member = Node<Machine, 16, 8, PAGE>;

/// What reaches the thread of a node.
enum Input {
    Message(Envelope<Machine, PAGE>),
    Register(u64),
    Request(ClientId, RequestNumber, BankCommand),
    Stop,
}

/// What a node tells the client, and which node it is.
type Told = (NodeId, Answer<BankReply>);

/// The time since the program began.
#[derive(Clone, Copy)]
struct Clock(std::time::Instant);

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver of a real link is where the clock is read"
    )]
    fn start() -> Self {
        Self(std::time::Instant::now())
    }

    fn now(self) -> Instant {
        let micros = self.0.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn until(self, deadline: Instant) -> core::time::Duration {
        core::time::Duration::from_micros(deadline.since(self.now()).as_micros())
    }
}

/// How long to wait where no deadline is set.
const IDLE: core::time::Duration = core::time::Duration::from_secs(1);

/// Drives one node until it is told to stop, in the order that the contract at [`Outbox`] has: wait, what is due, what has
/// arrived, what must be durable, messages and replies.
fn drive(mut node: Member, clock: Clock, link: &Link) {
    // Room for two steps, so that what they say leaves together.
    let mut outbox = Outbox::<Machine, PAGE, { 2 * Member::OUTBOX_MIN }>::new();
    let mut arrived = None;
    loop {
        let wait = node.next_deadline().map_or(IDLE, |at| clock.until(at));
        if arrived.is_none() {
            arrived = match link.inbox.recv_timeout(wait) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
        }
        let now = clock.now();
        node.handle_timeout(now, &mut outbox, &mut ());
        while outbox.room() >= Member::OUTBOX_MIN
            && let Some(input) = arrived.take()
        {
            // What is refused, the client asks for again, as it does when a message was lost.
            let _ = match input {
                Input::Message(envelope) => {
                    node.handle_message(now, &envelope, &mut outbox, &mut ());
                    Ok(())
                }
                Input::Register(nonce) => node.register(now, nonce, &mut outbox, &mut ()),
                Input::Request(client, number, command) => {
                    node.request(now, client, number, command, &mut outbox, &mut ())
                }
                Input::Stop => return,
            };
            arrived = link.inbox.try_recv().ok();
        }

        // Here a node that is to survive a restart hands outbox.writes to its journal, and syncs that.
        for outgoing in &outbox.messages {
            for to in outgoing.to.iter() {
                link.send(to, node.envelope(to, outgoing));
            }
        }
        for reply in outbox.replies.iter().copied() {
            link.answer(reply, node.leader_hint());
        }
        outbox.clear();
    }
}

/// What joins a node to the others and to the client. What is sent to somebody who has stopped is lost.
struct Link {
    node: NodeId,
    inbox: Receiver<Input>,
    nodes: Vec<Sender<Input>>,
    client: Sender<Told>,
}

impl Link {
    fn send(&self, to: NodeId, envelope: Envelope<Machine, PAGE>) {
        if let Some(node) = self.nodes.get(usize::from(to.0)) {
            let _ = node.send(Input::Message(envelope));
        }
    }

    fn answer(&self, reply: Reply<BankReply>, leader: Option<NodeId>) {
        let Reply {
            key,
            fingerprint,
            outcome,
        } = reply;
        let answer = Answer::Outcome {
            key,
            fingerprint,
            outcome,
            leader,
        };
        let _ = self.client.send((self.node, answer));
    }
}

/// A client on a thread: the library decides what to ask of whom and when, and this carries it.
struct Teller {
    nodes: Vec<Sender<Input>>,
    answers: Receiver<Told>,
    clock: Clock,
    client: Client<Machine>,
    /// How many questions it took.
    asked: u32,
}

impl Teller {
    /// How long a node may be silent; longer than an election takes.
    const PATIENCE: Duration = Duration::from_millis(500);
    /// How many questions one thing is worth.
    const QUESTIONS_MAX: u32 = 40;

    /// The balance after a command.
    fn request(&mut self, command: BankCommand) -> Option<u64> {
        self.client.request(self.clock.now(), command).ok()?;
        let give_up = self.asked + Self::QUESTIONS_MAX;
        while self.asked < give_up {
            while let Some((to, question)) = self.client.poll_question() {
                self.ask(to, &question);
            }
            if let Some(done) = self.client.poll_done() {
                return match done.result.ok()? {
                    Applied {
                        output: BankReply::Balance(balance),
                        ..
                    } => Some(balance),
                    Applied { .. } => None,
                };
            }
            let wait = self.client.next_deadline().map(|at| self.clock.until(at));
            if let Ok((from, answer)) = self.answers.recv_timeout(wait.unwrap_or(IDLE)) {
                self.client.handle_answer(self.clock.now(), from, &answer);
            }
            self.client.handle_timeout(self.clock.now());
        }
        None
    }

    /// Puts a question to a node. One that has stopped will not answer, and then another one is asked.
    fn ask(&mut self, to: NodeId, question: &Question<BankCommand>) {
        let Question::Request { proposal } = *question else {
            return;
        };
        let input = match proposal {
            Proposal::Register { nonce } => Input::Register(nonce),
            Proposal::Request {
                client,
                number,
                command,
            } => Input::Request(client, number, command),
            Proposal::Noop => return,
        };
        self.asked += 1;
        if let Some(node) = self.nodes.get(usize::from(to.0)) {
            let _ = node.send(input);
        }
    }
}

/// What came of it all.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    stopped: NodeId,
    /// How many questions there were, beside one for the session and one for each thing that was asked.
    retries: u32,
    /// The balance as each of the other nodes has it.
    balances: Vec<u64>,
}

/// The whole story; `None` when the client gave up or was answered wrongly.
fn run() -> Option<Summary> {
    let clock = Clock::start();
    let (client_end, answers) = channel();
    let (nodes, inboxes): (Vec<_>, Vec<_>) = (0..NODES).map(|_| channel()).unzip();
    let mut members = Vec::new();
    for number in 0..NODES {
        let config = Config::new(NodeId(number), NODES).with_round_trip(Duration::from_millis(10));
        let node = match number {
            0 => Member::found(config, 6, clock.now()),
            _ => Member::join(config, 6, clock.now()),
        };
        members.push(node.ok()?);
    }
    // There is one client: it shares its nonce with nobody.
    let nonce = 2_718_281_828;
    let client = Client::new(NodeSet::first(NODES), Teller::PATIENCE, nonce);
    let mut teller = Teller {
        nodes: nodes.clone(),
        answers,
        clock,
        client: client.ok()?,
        asked: 0,
    };
    thread::scope(|scope| {
        for (node, inbox) in members.into_iter().zip(inboxes) {
            let (nodes, client) = (nodes.clone(), client_end.clone());
            let link = Link {
                node: node.id(),
                inbox,
                nodes,
                client,
            };
            scope.spawn(move || drive(node, clock, &link));
        }
        let summary = deposit(&mut teller);
        for node in &nodes {
            // One of them has stopped already.
            let _ = node.send(Input::Stop);
        }
        summary
    })
}

/// The client's part: deposits, and stops the leader half way.
fn deposit(teller: &mut Teller) -> Option<Summary> {
    let account = Key::new("savings")?;
    let mut stopped = None;
    for count in 1..=DEPOSITS {
        if count == DEPOSITS / 2 {
            let leader = teller.client.leader()?;
            let node = teller.nodes.get(usize::from(leader.0))?;
            node.send(Input::Stop).ok()?;
            stopped = Some(leader);
        }
        let balance = teller.request(BankCommand::Deposit(account, 1))?;
        if balance != u64::from(count) {
            return None;
        }
    }
    let (stopped, retries) = (stopped?, teller.asked.saturating_sub(1 + DEPOSITS));
    let mut balances = Vec::new();
    for number in (0..NODES).map(NodeId).filter(|node| *node != stopped) {
        // A client of its own for each of the others, which asks nobody else.
        let nonce = 3_141_592_653 + u64::from(number.0);
        teller.client = Client::new(NodeSet::only(number), Teller::PATIENCE, nonce).ok()?;
        balances.push(teller.request(BankCommand::Balance(account))?);
    }
    Some(Summary {
        stopped,
        retries,
        balances,
    })
}

fn main() -> ExitCode {
    let Some(summary) = run() else {
        println!("the client did not get what it should have got");
        return ExitCode::FAILURE;
    };
    println!("{DEPOSITS} deposits of 1, one after the other");
    println!("{} led, and was stopped at half of them", summary.stopped);
    println!("asked again {} times", summary.retries);
    println!("balances on the other nodes: {:?}", summary.balances);
    if summary
        .balances
        .iter()
        .all(|balance| *balance == u64::from(DEPOSITS))
    {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_deposit_is_made_once_although_the_leader_dies() {
        let summary = run().unwrap();
        assert_eq!(summary.balances, [u64::from(DEPOSITS); 2]);
        assert!(summary.stopped.0 < NODES);
    }
}
