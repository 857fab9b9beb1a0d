//! The cost of the simulation beside its event heap: `cargo bench --bench scheduler`.
//!
//! Compares the deliveries per second of a fault-free simulated run with a bare push and pop of the same heap, which
//! holds messages of such a run, as many as the run holds on average. Both are measured in turn, so that other load
//! of the machine affects both; the result is the median of the ratios.

mod support;

use core::error::Error;
use core::hint::black_box;
use support::{grouped, measures, median, nanoseconds, quotient, verdict};
use synod::machines::Kv;
use synod::simulation::{
    Calm, KvScript, Report, Scenario, Scheduled, Scheduler, SimEvent, Simulation, Verdict,
};
use synod::{Duration, Envelope, Event, Instant, Record, Tracer};

const PAGE: usize = 2;
const NODES: usize = 14;
const EVENTS: usize = 1024;

type Machine = Kv<64>;
type Run = Simulation<Calm<Machine, KvScript, NODES, EVENTS>, 16, 16, PAGE>;
type Heap = Scheduler<Machine, PAGE, EVENTS>;

/// The budget: the greatest ratio of a delivery to a push and a pop.
const TIMES_MAX: u64 = 3;

/// Returns the default scenario without loss and without end.
fn scenario() -> Scenario {
    let mut scenario = Scenario::new(6);
    scenario.link.loss_ppm = 0;
    scenario.time_max = Duration::from_secs(u64::MAX / 2_000_000);
    scenario.events_max = u64::MAX;
    scenario
}

/// The first messages after the cluster has settled.
struct Sample {
    skip: usize,
    envelopes: Vec<Envelope<Machine, PAGE>>,
    room: usize,
}

impl Tracer<Machine, PAGE> for Sample {
    fn record(&mut self, record: &Record<'_, Machine, PAGE>) {
        let Event::Received { from, message } = &record.event else {
            return;
        };
        if self.skip > 0 {
            self.skip -= 1;
        } else if *from != record.node && self.envelopes.len() < self.room {
            self.envelopes.push(Envelope {
                cluster: 0,
                from: *from,
                to: record.node,
                message: (*message).clone(),
            });
        }
    }
}

/// Simulates a whole run; returns its figures and the time, without that of its construction.
fn simulate(
    requests: u32,
    tracer: &mut impl Tracer<Machine, PAGE>,
) -> Result<(Report, u64), Box<dyn Error>> {
    let mut simulation = Box::new(Run::new(&scenario(), KvScript::new(requests))?);
    let mut outcome = None;
    let nanos = nanoseconds(|| outcome = Some(simulation.run(tracer)));
    match outcome {
        Some(Verdict::Done) => Ok((simulation.report(), nanos)),
        other => Err(format!("the run ended in {other:?}").into()),
    }
}

/// Returns the average number of events that the heap holds.
fn depth(report: &Report) -> Result<usize, Box<dyn Error>> {
    let link = scenario().link;
    let elapsed = report.at.as_micros().max(1);
    let flying = report.deliveries * link.delay.as_micros() / elapsed;
    Ok(usize::try_from(flying)? + NODES)
}

/// Returns a heap that holds `depth` messages of a run.
fn filled(sample: &[Envelope<Machine, PAGE>], depth: usize, delays: &[Duration]) -> Box<Heap> {
    let mut heap = Box::new(Heap::new());
    for (envelope, delay) in sample.iter().cycle().zip(delays.iter().cycle()).take(depth) {
        // The depth is far below the capacity.
        let _ = heap.push(Instant::ZERO + *delay, SimEvent::Deliver(envelope.clone()));
    }
    heap
}

/// Takes the earliest event and puts it back for later, `count` times.
fn hold(heap: &mut Heap, delays: &[Duration], count: u64) {
    let mut delays = delays.iter().cycle();
    for _ in 0..count {
        if let (Some(next), Some(delay)) = (heap.pop(), delays.next()) {
            let Scheduled { at, event, .. } = next;
            // One event was taken, so there is room for one.
            let _ = heap.push(at + *delay, black_box(event));
        }
    }
}

/// Returns delays in the range of the link, evenly distributed and in pseudo-random order.
fn delays() -> Vec<Duration> {
    let link = scenario().link;
    let (least, span) = (
        link.delay.saturating_sub(link.jitter),
        link.jitter.as_micros() * 2 + 1,
    );
    let mut state = 1_u64;
    let mut next = || {
        // One step of the minimal standard generator.
        state = state * 48_271 % 2_147_483_647;
        least.saturating_add(Duration::from_micros(state % span))
    };
    (0..4_096).map(|_| next()).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let (requests, repetitions) = if measures() { (3_000, 9) } else { (30, 1) };
    let mut sample = Sample {
        skip: 1_000,
        envelopes: Vec::new(),
        room: EVENTS,
    };
    let (report, _) = simulate(requests.min(300), &mut sample)?;
    let (depth, delays) = (depth(&report)?, delays());
    println!(
        "{NODES} nodes, 0 % loss, 11 clients with {} requests each, no tracer",
        grouped(u64::from(requests))
    );
    println!(
        "entries of {} bytes, {depth} of them held on average; a simulation of {} bytes",
        size_of::<Scheduled<Machine, PAGE>>(),
        grouped(u64::try_from(size_of::<Run>())?)
    );
    let (mut bare, mut simulated, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..repetitions {
        let (report, run_nanos) = simulate(requests, &mut ())?;
        let count = report.deliveries;
        let mut heap = filled(&sample.envelopes, depth, &delays);
        let heap_nanos = nanoseconds(|| hold(&mut heap, &delays, count));
        black_box(heap.len());
        simulated.push(count.saturating_mul(1_000_000_000) / run_nanos.max(1));
        bare.push(count.saturating_mul(1_000_000_000) / heap_nanos.max(1));
        ratios.push(run_nanos.saturating_mul(100) / heap_nanos.max(1));
    }
    let ratio = median(ratios);
    println!(
        "deliveries in the simulation  {:>12} a second",
        grouped(median(simulated))
    );
    println!(
        "bare pushes and pops          {:>12} a second",
        grouped(median(bare))
    );
    println!(
        "ratio                         {:>12} {}",
        quotient(ratio, 100, 2),
        verdict(
            ratio <= TIMES_MAX * 100,
            &format!("at most {TIMES_MAX}, median of {repetitions}")
        )
    );
    Ok(())
}
