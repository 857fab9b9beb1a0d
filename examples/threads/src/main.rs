//! An example of nodes on threads, joined by channels and driven by a real clock: `cargo run -p example-threads`.
//!
//! A client makes a hundred deposits of one each. Half way through, the thread of the leader is stopped; the other
//! two nodes elect a new leader and continue. The balance shows that every deposit was made exactly once, including
//! those that the client had to retry. The network is the only part that a program must provide: [`drive`] is all of
//! it.

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

/// An input to the thread of a node.
enum Input {
    Message(Envelope<Machine, PAGE>),
    Register(u64),
    Request(ClientId, RequestNumber, BankCommand),
    Stop,
}

/// An answer of a node to the client.
type ClientAnswer = (NodeId, Answer<BankReply>);

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

/// The wait without a deadline.
const IDLE: core::time::Duration = core::time::Duration::from_secs(1);

/// Drives one node until it is told to stop, in the order of the contract of [`Outbox`]: wait, handle the timeout,
/// handle input, make writes durable, send messages and replies.
fn drive(mut node: Member, clock: Clock, link: &Link) {
    // Room for two steps, so that their output leaves together.
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
            // The client retries refused requests, as it does after a lost message.
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

        for outgoing in outbox.early() {
            for to in outgoing.to.iter() {
                link.send(to, node.envelope(to, outgoing));
            }
        }
        // A node that must survive a restart passes `outbox.writes` to its journal here, and syncs it.
        for outgoing in outbox.late() {
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

/// The connections of a node to the others and to the client. Messages to a stopped thread are lost.
struct Link {
    node: NodeId,
    inbox: Receiver<Input>,
    nodes: Vec<Sender<Input>>,
    client: Sender<ClientAnswer>,
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

/// A client on a thread: the library decides which question to send to which node and when, and this sends it.
struct BankClient {
    nodes: Vec<Sender<Input>>,
    answers: Receiver<ClientAnswer>,
    clock: Clock,
    client: Client<Machine>,
    /// The number of questions sent.
    asked: u32,
}

impl BankClient {
    /// The time after which a silent node is replaced by another one; longer than an election takes.
    const PATIENCE: Duration = Duration::from_millis(500);
    /// The greatest number of questions for one request.
    const QUESTIONS_MAX: u32 = 40;

    /// Returns the balance after a command.
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

    /// Sends a question to a node. A stopped node does not answer, and another one will be asked.
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
            Proposal::Noop | Proposal::Reconfigure(_) => return,
        };
        self.asked += 1;
        if let Some(node) = self.nodes.get(usize::from(to.0)) {
            let _ = node.send(input);
        }
    }
}

/// The result of the program.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    stopped: NodeId,
    /// The number of questions beyond one for the session and one for each request.
    retries: u32,
    /// The balance on each of the other nodes.
    balances: Vec<u64>,
}

/// Runs the program; `None` if the client gave up or received a wrong answer.
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
    // There is one client, so its nonce is unique.
    let nonce = 2_718_281_828;
    let client = Client::new(NodeSet::first(NODES), BankClient::PATIENCE, nonce);
    let mut bank_client = BankClient {
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
        let summary = deposit(&mut bank_client);
        for node in &nodes {
            // One of the threads has stopped already.
            let _ = node.send(Input::Stop);
        }
        summary
    })
}

/// Makes the deposits, and stops the leader half way.
fn deposit(bank_client: &mut BankClient) -> Option<Summary> {
    let account = Key::new("savings")?;
    let mut stopped = None;
    for count in 1..=DEPOSITS {
        if count == DEPOSITS / 2 {
            let leader = bank_client.client.leader()?;
            let node = bank_client.nodes.get(usize::from(leader.0))?;
            node.send(Input::Stop).ok()?;
            stopped = Some(leader);
        }
        let balance = bank_client.request(BankCommand::Deposit(account, 1))?;
        if balance != u64::from(count) {
            return None;
        }
    }
    let (stopped, retries) = (stopped?, bank_client.asked.saturating_sub(1 + DEPOSITS));
    let mut balances = Vec::new();
    for number in (0..NODES).map(NodeId).filter(|node| *node != stopped) {
        // A client for each of the other nodes, which asks no other.
        let nonce = 3_141_592_653 + u64::from(number.0);
        bank_client.client =
            Client::new(NodeSet::only(number), BankClient::PATIENCE, nonce).ok()?;
        balances.push(bank_client.request(BankCommand::Balance(account))?);
    }
    Some(Summary {
        stopped,
        retries,
        balances,
    })
}

fn main() -> ExitCode {
    let Some(summary) = run() else {
        println!("failed: the client gave up or received a wrong answer");
        return ExitCode::FAILURE;
    };
    println!("{DEPOSITS} deposits of 1, one after the other");
    println!(
        "{}, the leader, was stopped half way through",
        summary.stopped
    );
    println!("{} retries", summary.retries);
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
    fn every_deposit_is_made_once_although_the_leader_is_stopped() {
        let summary = run().unwrap();
        assert_eq!(summary.balances, [u64::from(DEPOSITS); 2]);
        assert!(summary.stopped.0 < NODES);
    }
}
