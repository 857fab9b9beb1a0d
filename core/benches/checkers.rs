//! The cost of the invariant checkers in a simulated run: `cargo bench --bench checkers`.
//!
//! The same runs, including their start, are measured without a checker and with [`Invariants`] in turn, so that
//! other load of the machine affects both; the result is the median of the ratios.

mod support;

use core::error::Error;
use support::{grouped, measures, median, nanoseconds, quotient, verdict};
use synod::machines::Kv;
use synod::simulation::{
    Fault, Faults, Faulty, Invariants, KvScript, Planned, Scenario, Simulation, Target, Verdict,
    Weather,
};
use synod::{Duration, Instant};

type Machine = Kv<64>;
type Stormy = Faulty<Machine, KvScript, 16, 1024>;
type Run = Simulation<Stormy, 64, 16, 2>;
type Checkers = Invariants<Stormy, 64, 16, 2>;

/// The budget: the greatest ratio of a run with all checkers to one without.
const TIMES_MAX: u64 = 2;

/// Returns a storm and a crash of the leader.
fn faults(scenario: &Scenario) -> Faults {
    let weather = Weather {
        loss_ppm: 100_000,
        duplicate_ppm: 100_000,
        reorder_ppm: 100_000,
        reorder: Duration::from_millis(200),
        storm: Duration::from_secs(1),
        calm: Duration::from_secs(1),
        until: Instant::from_micros(5_000_000),
        ..Weather::CALM
    };
    let crash = Planned {
        at: Instant::from_micros(1_500_000),
        lasts: Some(Duration::from_secs(1)),
        fault: Fault::Crash(Target::Leader),
    };
    Faults::new(scenario, weather, &[crash])
}

/// Runs a number of seeds in place; returns the number of events and the time.
fn runs(
    run: &mut Run,
    mut checkers: Option<&mut Checkers>,
    (nodes, requests): (u16, u32),
    seeds: u64,
) -> Result<(u64, u64), Box<dyn Error>> {
    let (mut events, mut result) = (0, Ok(()));
    let nanos = nanoseconds(|| {
        for seed in 0..seeds {
            let scenario = Scenario::of(seed, nodes);
            let faults = faults(&scenario);
            let started = run.start_against(&scenario, KvScript::new(requests), faults);
            let ended = match &mut checkers {
                None => run.run(&mut ()),
                Some(checkers) => {
                    checkers.reset();
                    run.run_observed(&mut (), *checkers)
                }
            };
            if started.is_err() || ended != Verdict::Done {
                result = Err(format!("seed {seed}: {started:?}, {ended:?}"));
            }
            events += run.report().events;
        }
    });
    result?;
    Ok((events, nanos))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (seeds, repetitions) = if measures() { (200, 15) } else { (2, 1) };
    println!(
        "runs with a storm and a crash, 5 % loss, 11 clients, no tracer; checkers of {} bytes",
        grouped(u64::try_from(size_of::<Checkers>())?)
    );
    println!("nodes  requests  ns an event without  with  ratio");
    let (mut run, mut checkers) = (Box::new(Run::idle()), Box::new(Checkers::new()));
    for (nodes, requests) in [(3, 11), (3, 200), (5, 11), (14, 11)] {
        let shape = (nodes, requests);
        let (mut bare, mut checked, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..repetitions {
            let (events, without) = runs(&mut run, None, shape, seeds)?;
            let (same, with) = runs(&mut run, Some(&mut checkers), shape, seeds)?;
            if events != same {
                return Err("the checkers changed the runs".into());
            }
            bare.push(without / events.max(1));
            checked.push(with / events.max(1));
            ratios.push(with.saturating_mul(100) / without.max(1));
        }
        let ratio = median(ratios);
        println!(
            "{nodes:>5}  {requests:>8}  {:>19}  {:>4}  {} {}",
            median(bare),
            median(checked),
            quotient(ratio, 100, 2),
            verdict(ratio <= TIMES_MAX * 100, &format!("at most {TIMES_MAX}"))
        );
    }
    Ok(())
}
