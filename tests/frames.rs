//! Frames of three radio and field-bus links: every message of a simulated run is encoded and decoded to the same
//! message, and no frame is longer than its documented bound.

use std::collections::BTreeMap;
use synod::machines::Kv;
use synod::simulation::{
    Fault, Faults, Faulty, KvScript, Planned, Scenario, Simulation, Target, Verdict, Weather,
    Workload,
};
use synod::wire::{Dropped, Frame, Frames, len_max};
use synod::{
    Config, Duration, Envelope, Event, Instant, MalformedPage, MessageKind, Node, NodeId, Reader,
    Record, Sink, StateMachine, Tracer, Writer,
};

/// The length of a frame on each link, in bytes.
const CAN_FD: usize = 64;
const IEEE_802_15_4: usize = 127;
const ESP_NOW: usize = 250;

/// A state machine of sixteen registers of 24 bits, small enough for the smallest frames. A command has the register
/// in its highest byte and the new value in the others; the output is the old value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Registers([u32; 16]);

impl Registers {
    const A_PAGE: usize = Self::PAGE_BYTES / 4;
}

impl StateMachine for Registers {
    type Command = u32;
    type Output = u32;
    const PAGE_BYTES: usize = 28;

    fn apply(&mut self, command: &u32) -> u32 {
        let [dial, value @ ..] = command.to_be_bytes();
        let [b, c, d] = value;
        let place = &mut self.0[usize::from(dial % 16)];
        core::mem::replace(place, u32::from_be_bytes([0, b, c, d]))
    }
    fn snapshot_pages(&self) -> u32 {
        3
    }
    fn write_page(&self, page: u32, writer: &mut Writer<'_>) {
        let mut pages = self.0.chunks(Self::A_PAGE);
        for value in pages.nth(usize::try_from(page).unwrap()).unwrap() {
            writer.put_u32(*value);
        }
    }
    fn read_page(&mut self, page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        let page = usize::try_from(page).map_err(|_| MalformedPage)?;
        let mut pages = self.0.chunks_mut(Self::A_PAGE);
        for value in pages.nth(page).ok_or(MalformedPage)? {
            *value = reader.u32().ok_or(MalformedPage)?;
        }
        Ok(())
    }
}

/// A workload in which each client sets a register of its own to 1, 2, 3 and so on, so that it knows the old value.
#[derive(Clone, Debug)]
struct RegisterScript(u32);

impl Workload<Registers> for RegisterScript {
    fn command(&mut self, client: u16, number: u32) -> Option<u32> {
        (number <= self.0).then_some(u32::from(client) << 24 | number)
    }
    fn check(&mut self, _client: u16, number: u32, output: &u32) -> bool {
        *output == number - 1
    }
    fn requests(&self, _client: u16) -> u64 {
        u64::from(self.0)
    }
}

/// A tracer that encodes each message as a frame, decodes it, and compares.
struct FrameCheck<M, const PAGE: usize, const MTU: usize> {
    cluster: u32,
    frames: Frames<M, PAGE, MTU>,
    /// The longest frame of each kind of message.
    longest: BTreeMap<MessageKind, usize>,
}

impl<M: StateMachine, const PAGE: usize, const MTU: usize> Tracer<M, PAGE>
    for FrameCheck<M, PAGE, MTU>
{
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        let Event::Sent { to, message } = &record.event else {
            return;
        };
        for to in to.iter() {
            let envelope = Envelope {
                cluster: self.cluster,
                from: record.node,
                to,
                message: (*message).clone(),
            };
            let mut buffer = [0; MTU];
            let len = self.frames.encode(&envelope, &mut buffer).unwrap();
            let heard = self.frames.decode(&buffer[..len]);
            assert_eq!(heard, Ok(Frame::Message(envelope)));
            let longest = self.longest.entry(message.kind()).or_default();
            *longest = len.max(*longest);
        }
    }
}

/// Runs a lossy cluster over a link. One node is cut off for longer than decisions are kept, and another one crashes.
fn run<M, L, const PAGE: usize, const MTU: usize>(
    work: fn(u32) -> L,
) -> BTreeMap<MessageKind, usize>
where
    M: StateMachine,
    L: Workload<M> + 'static,
{
    let cluster = Node::<M, 8, 8, PAGE>::fingerprint_of(&Config::new(NodeId(0), 3));
    let mut line = FrameCheck::<M, PAGE, MTU> {
        cluster,
        frames: Frames::new(cluster),
        longest: BTreeMap::new(),
    };
    for run_seed in 0..8 {
        let mut scenario = Scenario::of(run_seed, 3);
        scenario.clients = 4;
        scenario.link.loss_ppm = 100_000;
        let plan = [(1, 2), (5, 1), (8, 0)].map(|(at, node)| Planned {
            at: Instant::ZERO + Duration::from_secs(at),
            lasts: Some(Duration::from_secs(2)),
            fault: Fault::Crash(Target::Node(NodeId(node))),
        });
        let faults = Faults::new(&scenario, Weather::CALM, &plan);
        let mut simulation = Box::new(Simulation::<Faulty<M, L, 3, 512>, 8, 8, PAGE>::idle());
        simulation
            .start_against(&scenario, work(60), faults)
            .unwrap();
        let verdict = simulation.run(&mut line);
        assert_eq!(verdict, Verdict::Done, "seed {run_seed}");
        let report = simulation.report();
        assert_eq!(report.right, 4 * 60, "seed {run_seed}");
    }
    assert_eq!(line.frames.dropped(), Dropped::default());
    println!(
        "{MTU:>3} bytes: at most {} of {}, {:?}",
        line.longest.values().max().unwrap(),
        len_max::<M, PAGE>(),
        line.longest
    );
    line.longest
}

/// Returns the bytes by which the bound exceeds the longest frame; asserts that no frame exceeds it.
fn spare(longest: &BTreeMap<MessageKind, usize>, len_max: usize) -> usize {
    len_max - longest.values().max().unwrap()
}

#[test]
fn every_message_fits_into_a_can_fd_frame() {
    let longest = run::<Registers, _, 1, CAN_FD>(RegisterScript);
    assert_eq!(spare(&longest, len_max::<Registers, 1>()), 0);
    assert_eq!(len_max::<Registers, 1>(), 64);
}

#[test]
fn every_message_fits_into_an_802_15_4_frame() {
    let longest = run::<Kv<16>, _, 2, IEEE_802_15_4>(KvScript::new);
    assert_eq!(len_max::<Kv<16>, 2>(), 126);
    assert!(spare(&longest, 126) <= 8, "one of the commands is a get");
}

#[test]
fn every_message_fits_into_an_esp_now_frame() {
    let longest = run::<Kv<16>, _, 5, ESP_NOW>(KvScript::new);
    assert_eq!(len_max::<Kv<16>, 5>(), 226);
    assert!(
        spare(&longest, 226) <= 5 * 8,
        "some of the commands are gets"
    );
}
