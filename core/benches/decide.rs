//! The cost of one decided command: `cargo bench --bench decide`.
//!
//! Three nodes and three outboxes, and a loop that delivers every message at once: no simulation, link or storage,
//! and a state machine that does nothing. Time stands still, so that no message but those of commands is sent.
//! Nanoseconds are the median of several repetitions. Instructions are counted by callgrind as the difference between
//! two lengths of the same run, for which the program starts itself under valgrind, and repeat exactly.

mod support;

use core::alloc::{GlobalAlloc, Layout};
use core::error::Error;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};
use std::alloc::System;
use std::process::Command;
use support::{grouped, measures, median, nanoseconds, quotient, verdict};
use synod::machines::Opaque;
use synod::{ClientId, Config, Instant, Node, NodeId, Outbox, Outcome, RequestNumber};

const WINDOW: usize = 64;
const CLIENTS: usize = 64;
const NODES: u16 = 3;

/// The page of a radio or a small board, which sends one command at a time.
const SHORT: usize = 2;
/// The page of a server under load.
const LONG: usize = 32;
type Member<const PAGE: usize> = Node<Opaque, WINDOW, CLIENTS, PAGE>;

/// All clients may make a request before an outbox is emptied, and the last of them must still find room for a step.
const ROOM: usize = 256;
const _: () = assert!(Member::<SHORT>::OUTBOX_MIN + CLIENTS <= ROOM);

/// A global allocator that counts allocations.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static HEAP: Counting = Counting;

#[expect(
    unsafe_code,
    reason = "the trait of allocators is unsafe; this one only counts and passes on"
)]
// SAFETY: every method calls that of the system allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of this very method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from the system allocator, by the method above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// A client of the leader with the number of its last request.
#[derive(Clone, Copy)]
struct Client {
    id: ClientId,
    number: RequestNumber,
}

/// Three nodes with direct delivery.
struct Cluster<const PAGE: usize> {
    now: Instant,
    nodes: Vec<Member<PAGE>>,
    outboxes: Vec<Box<Outbox<Opaque, PAGE, ROOM>>>,
    /// Takes the place of the outbox that is being emptied.
    spare: Box<Outbox<Opaque, PAGE, ROOM>>,
    leader: usize,
    clients: Vec<Client>,
    messages: u64,
    writes: u64,
}

impl<const PAGE: usize> Cluster<PAGE> {
    /// Returns a cluster with a leader, and `outstanding` clients with open sessions.
    fn with_clients(outstanding: usize) -> Result<Self, Box<dyn Error>> {
        let now = Instant::ZERO;
        let mut nodes = vec![Member::<PAGE>::found(
            Config::new(NodeId(0), NODES),
            6,
            now,
        )?];
        for number in 1..NODES {
            nodes.push(Member::<PAGE>::join(
                Config::new(NodeId(number), NODES),
                6,
                now,
            )?);
        }
        let mut cluster = Self {
            now,
            outboxes: nodes.iter().map(|_| Box::default()).collect(),
            nodes,
            spare: Box::default(),
            leader: 0,
            clients: Vec::with_capacity(outstanding),
            messages: 0,
            writes: 0,
        };
        while !cluster.is_settled() {
            cluster.wake()?;
        }
        let leads = |node: &Member<PAGE>| node.leading().is_some();
        cluster.leader = cluster
            .nodes
            .iter()
            .position(leads)
            .ok_or("no node leads")?;
        for nonce in 0..u64::try_from(outstanding)? {
            let (node, outbox) = cluster.leading();
            node.register(now, nonce, outbox, &mut ())?;
            while cluster.clients.len() <= usize::try_from(nonce)? {
                cluster.round();
            }
        }
        Ok(cluster)
    }

    /// True if every node has joined, one leads, and all have applied the same slots.
    fn is_settled(&self) -> bool {
        let applied = self.nodes.first().map(Member::<PAGE>::applied);
        let settled = |node: &Member<PAGE>| node.is_active() && Some(node.applied()) == applied;
        self.nodes.iter().all(settled) && self.nodes.iter().any(|node| node.leading().is_some())
    }

    /// Advances time to the next deadline.
    fn wake(&mut self) -> Result<(), Box<dyn Error>> {
        let deadlines = self.nodes.iter().filter_map(Member::<PAGE>::next_deadline);
        self.now = deadlines.min().ok_or("nothing will ever happen")?;
        for (node, outbox) in self.nodes.iter_mut().zip(&mut self.outboxes) {
            node.handle_timeout(self.now, &mut **outbox, &mut ());
        }
        while self.outboxes.iter().any(|outbox| !outbox.is_empty()) {
            self.round();
        }
        Ok(())
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the leader is one of the nodes, and each has an outbox"
    )]
    fn leading(&mut self) -> (&mut Member<PAGE>, &mut Outbox<Opaque, PAGE, ROOM>) {
        (
            &mut self.nodes[self.leader],
            &mut self.outboxes[self.leader],
        )
    }

    /// Empties every outbox once, the leader's first; answers come with the next round.
    fn round(&mut self) {
        self.empty(self.leader);
        for from in 0..self.nodes.len() {
            if from != self.leader {
                self.empty(from);
            }
        }
    }

    /// Empties an outbox as a driver does: writes (here only counted), then messages, then replies.
    fn empty(&mut self, from: usize) {
        let Some(outbox) = self
            .outboxes
            .get_mut(from)
            .filter(|outbox| !outbox.is_empty())
        else {
            return;
        };
        core::mem::swap(outbox, &mut self.spare);
        self.writes += u64::try_from(self.spare.writes.len()).unwrap_or(0);
        for outgoing in &self.spare.messages {
            let Some(sender) = self.nodes.get(from) else {
                return;
            };
            // One copy serves every recipient in turn.
            let mut envelope = sender.envelope(NodeId(0), outgoing);
            for to in outgoing.to.iter() {
                envelope.to = to;
                let to = usize::from(to.0);
                if let (Some(node), Some(outbox)) =
                    (self.nodes.get_mut(to), self.outboxes.get_mut(to))
                {
                    node.handle_message(self.now, &envelope, &mut **outbox, &mut ());
                    self.messages += 1;
                }
            }
        }
        for reply in &self.spare.replies {
            if let Outcome::Registered { client: id } = reply.outcome {
                let number = RequestNumber(0);
                self.clients.push(Client { id, number });
            }
        }
        self.spare.clear();
    }

    /// Decides `commands` commands: each client sends its next request when it is answered, and the requests of all
    /// clients answered together are gathered before the leader's outbox is emptied. No client is left waiting.
    fn decide(&mut self, commands: u64) -> Result<(), Box<dyn Error>> {
        for index in 0..self.clients.len() {
            self.ask(index)?;
        }
        let mut decided = 0;
        while decided < commands {
            self.round();
            decided += self.answers(true)?;
        }
        let mut outstanding = self.clients.len();
        while outstanding > 0 {
            self.round();
            outstanding -= usize::try_from(self.answers(false)?)?;
        }
        self.round();
        Ok(())
    }

    /// Takes the answers out of the leader's outbox, sends the next request for each if `again`, and returns their
    /// number.
    fn answers(&mut self, again: bool) -> Result<u64, Box<dyn Error>> {
        if self.leading().1.replies.is_empty() {
            return Ok(0);
        }
        let first = self.clients.first().map_or(0, |client| client.id.0);
        let mut count = 0;
        while let Some(reply) = self.leading().1.replies.get(count).copied() {
            let Outcome::Applied { output, .. } = reply.outcome else {
                return Err("a command was not applied".into());
            };
            black_box(output);
            count += 1;
            // The clients registered one after the other, so their ids are consecutive slots.
            let index = usize::try_from(reply.key.client.0.wrapping_sub(first))?;
            if self.clients.get(index).map(|client| client.number) != Some(reply.key.number) {
                return Err("an answer without a request".into());
            }
            if again {
                self.ask(index)?;
            }
        }
        self.leading().1.replies.clear();
        Ok(u64::try_from(count)?)
    }

    fn ask(&mut self, index: usize) -> Result<(), Box<dyn Error>> {
        let client = self.clients.get_mut(index).ok_or("no such client")?;
        client.number.0 += 1;
        let (id, number, now) = (client.id, client.number, self.now);
        let (node, outbox) = self.leading();
        let command = [black_box(7); 16];
        node.request(now, id, number, command, outbox, &mut ())?;
        Ok(())
    }
}

/// A budget, in instructions for one command.
struct Budget {
    outstanding: usize,
    instructions: u64,
    aim: Option<u64>,
}

const BUDGETS: [Budget; 2] = [
    Budget {
        outstanding: 1,
        instructions: 2_600,
        aim: None,
    },
    Budget {
        outstanding: 64,
        instructions: 2_500,
        aim: Some(1_079),
    },
];

/// The argument of the process under valgrind, followed by the outstanding requests and the number of commands.
const UNDER_VALGRIND: &str = "--under-valgrind";
/// The two run lengths whose difference is counted, in commands.
const LENGTHS: [u64; 2] = [6_400, 19_200];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, outstanding, commands] = arguments.as_slice()
        && flag == UNDER_VALGRIND
    {
        let (outstanding, commands) = (outstanding.parse()?, commands.parse()?);
        return match outstanding {
            1 => Cluster::<SHORT>::with_clients(1)?.decide(commands),
            many => Cluster::<LONG>::with_clients(many)?.decide(commands),
        };
    }
    println!("one decided command, {NODES} nodes driven directly, 16-byte commands, nothing lost");
    println!("window {WINDOW}, {CLIENTS} clients");
    let mut missed = false;
    let [one, many] = BUDGETS;
    missed |= !report::<SHORT>(&one)?;
    missed |= !report::<LONG>(&many)?;
    if missed && measures() {
        println!("a budget is missed");
    }
    Ok(())
}

/// Measures and prints one of the two cases; returns true if it is within its budgets.
fn report<const PAGE: usize>(budget: &Budget) -> Result<bool, Box<dyn Error>> {
    let (commands, repetitions) = if measures() { (640_000, 7) } else { (640, 1) };
    let mut cluster = Cluster::<PAGE>::with_clients(budget.outstanding)?;
    cluster.decide(commands / 10)?;
    let (messages, writes) = (cluster.messages, cluster.writes);
    let mut times = Vec::with_capacity(repetitions);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed);
    for _ in 0..repetitions {
        let mut outcome = Ok(());
        times.push(nanoseconds(|| outcome = cluster.decide(commands)));
        outcome?;
    }
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - allocations;
    let all = commands * u64::try_from(repetitions)?;
    println!();
    println!(
        "{} outstanding, pages of {PAGE}: a node is {} bytes, a message {}",
        budget.outstanding,
        grouped(u64::try_from(size_of::<Member<PAGE>>())?),
        size_of::<synod::Message<Opaque, PAGE>>(),
    );
    println!(
        "  nanoseconds   {:>8}  median of {repetitions} runs of {} commands",
        quotient(median(times), commands, 0),
        grouped(commands)
    );
    println!(
        "  messages      {:>8}  delivered",
        quotient(cluster.messages - messages, all, 3)
    );
    println!(
        "  writes        {:>8}  to be made durable",
        quotient(cluster.writes - writes, all, 3)
    );
    let heap_holds = allocations == 0;
    println!(
        "  allocations   {allocations:>8}  {}",
        verdict(heap_holds, "none in the whole run")
    );
    let instructions = match instructions(budget.outstanding) {
        Ok(instructions) => instructions,
        Err(reason) => {
            println!("  instructions   unknown  {reason}");
            return Ok(heap_holds);
        }
    };
    let holds = instructions <= budget.instructions;
    let limit = format!("at most {}", grouped(budget.instructions));
    println!(
        "  instructions  {:>8}  {}",
        grouped(instructions),
        verdict(holds, &limit)
    );
    if let Some(aim) = budget.aim {
        let reached = if instructions <= aim {
            "reached"
        } else {
            "not reached"
        };
        println!("  aim           {:>8}  {reached}", grouped(aim));
    }
    Ok(holds && heap_holds)
}

/// Returns the instructions of one command: the difference between two lengths of one run, under callgrind.
fn instructions(outstanding: usize) -> Result<u64, Box<dyn Error>> {
    if !measures() {
        return Err("not counted in a test run".into());
    }
    let [short, long] = LENGTHS;
    let difference = collected(outstanding, long)?.saturating_sub(collected(outstanding, short)?);
    Ok(difference / (long - short))
}

/// Runs this program under callgrind and returns the number of its instructions.
fn collected(outstanding: usize, commands: u64) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([
            UNDER_VALGRIND,
            &outstanding.to_string(),
            &commands.to_string(),
        ])
        .output()
        .map_err(|error| format!("valgrind cannot be run ({error}); install it to count them"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("under valgrind the run failed:\n{said}").into());
    }
    let total = said.lines().find_map(|line| {
        let (_, number) = line.split_once("Collected :")?;
        number.trim().parse().ok()
    });
    total.ok_or_else(|| "valgrind did not say how many".into())
}
