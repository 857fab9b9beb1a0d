//! Reduction of a trial: smaller trials that fail in the same way under some seed.
//!
//! A smaller cluster with the same seed is another run, in which the failure is most likely gone.
//! So each smaller trial is tried under several seeds, and what has to stay is the kind of failure
//! alone.

use super::Shrinking;
use crate::case::Case;
use crate::mutant;
use synod::simulation::{
    Fault, FaultKind, FaultSet, Placement, Planned, Swarm, Target, Trial, Weather,
};
use synod::{Duration, NodeId, NodeSet};

/// Number of seeds to try for each smaller trial. A failure that so few seeds show in the smaller
/// trial is left to the larger one.
const SEEDS: u64 = 60;

impl Shrinking<'_> {
    /// Reduces the trial as long as possible, with at most `tries_max` runs. Each round begins anew
    /// from the best trial, as a smaller cluster may make fewer requests sufficient.
    pub(super) fn trials(&mut self, tries_max: u64) {
        loop {
            let before = self.size;
            for make in smaller(&self.best.trial) {
                for more in 0..SEEDS {
                    if self.tries >= tries_max {
                        return;
                    }
                    let mut trial = make.clone();
                    trial.scenario.run_seed = trial.scenario.run_seed.wrapping_add(more);
                    if self.offer(Case::of(trial)) {
                        break;
                    }
                }
            }
            if self.size == before {
                return self.seeds(tries_max);
            }
        }
    }

    /// Looks among small trials without other kinds of faults for one that fails in the same way, with at most `tries`
    /// runs. A mistake that many trials reveal usually has a short explanation in one of them.
    ///
    /// Nodes, requests and clients are cut to small numbers in turn, but never above those of the
    /// original run.
    pub(super) fn redraw(&mut self, tries: u64) {
        let base = self.best.trial.clone();
        let faults = kinds(&base);
        for more in 0..tries {
            let nodes = 2 + u16::try_from(more % 4).unwrap_or(0).min(2);
            let swarm = Swarm {
                faults,
                nodes: Some(nodes.min(base.scenario.nodes)),
            };
            let mut trial = swarm.draw(base.scenario.run_seed.wrapping_add(more));
            let most = 2 + u32::try_from(more % 11).unwrap_or(0);
            trial.requests = trial.requests.min(most).min(base.requests);
            trial.scenario.clients = trial.scenario.clients.min(base.scenario.clients);
            // The bound may be the one that the original run has reached.
            trial.scenario.events_max = base.scenario.events_max;
            mutant::plant(&mut trial.scenario, mutant::of(&base.scenario));
            self.offer(Case::of(trial));
        }
    }

    /// Looks for the seed with the shortest failing run.
    fn seeds(&mut self, tries_max: u64) {
        let mut trial = self.best.trial.clone();
        while self.tries < tries_max {
            trial.scenario.run_seed = trial.scenario.run_seed.wrapping_add(1);
            self.offer(Case::of(trial.clone()));
        }
    }
}

/// Returns the kinds of faults in a trial. A redrawn trial has no others, since a counterexample is
/// not to have faults that its original lacks.
fn kinds(trial: &Trial) -> FaultSet {
    let weather = &trial.weather;
    let mut kinds = FaultSet::NONE;
    for (rate, kind) in [
        (weather.loss_ppm, FaultKind::Loss),
        (weather.duplicate_ppm, FaultKind::Duplicate),
        (weather.spike_ppm, FaultKind::Spike),
        (weather.reorder_ppm, FaultKind::Reorder),
    ] {
        if rate > 0 {
            kinds = kinds.with(kind);
        }
    }
    let planned = trial.plan.iter().map(Planned::kind);
    planned.fold(kinds, FaultSet::with)
}

/// Returns trials that are smaller in one way each.
///
/// What shortens explanations most comes first: fewer nodes, then fewer clients and requests, then
/// single faults.
fn smaller(trial: &Trial) -> Vec<Trial> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Trial)| {
        let mut other = trial.clone();
        change(&mut other);
        if other != *trial {
            all.push(other);
        }
    };
    let scenario = &trial.scenario;
    for nodes in (1..scenario.nodes.min(6)).filter(|nodes| *nodes >= 2) {
        add(&|trial| shrink_cluster(trial, nodes));
    }
    for clients in [1, 2, scenario.clients / 2] {
        if (1..scenario.clients).contains(&clients) {
            add(&|trial| trial.scenario.clients = clients);
        }
    }
    for requests in [1, 2, 3, 5, trial.requests / 2] {
        if (1..trial.requests).contains(&requests) {
            add(&|trial| trial.requests = requests);
        }
    }
    for index in 0..trial.plan.len() {
        add(&|trial| {
            trial.plan.remove(index);
        });
    }
    add(&|trial| trial.weather = Weather::CALM);
    for calm in [
        |weather: &mut Weather| weather.loss_ppm = 0,
        |weather: &mut Weather| weather.duplicate_ppm = 0,
        |weather: &mut Weather| weather.spike_ppm = 0,
        |weather: &mut Weather| weather.reorder_ppm = 0,
    ] {
        add(&|trial| calm(&mut trial.weather));
    }
    add(&|trial| trial.scenario.think = Duration::ZERO);
    add(&|trial| trial.scenario.round_trip = None);
    add(&|trial| trial.is_bank = false);
    all
}

/// Reduces the cluster to `nodes` nodes, without the faults that name others. Nodes are removed
/// from the last one on, so that the numbers of the others stay.
fn shrink_cluster(trial: &mut Trial, nodes: u16) {
    let all = NodeSet::first(nodes);
    let here = |set: NodeSet| set.minus(all).is_empty();
    let names_others = |planned: &Planned| match planned.fault {
        Fault::Partition(side) => !here(side),
        Fault::OneWay { from, to } | Fault::Clog { from, to } => !here(from) || !here(to),
        Fault::Partial { one, other } => !here(one) || !here(other),
        fault => matches!(fault.target(), Some(Target::Node(node)) if node.0 >= nodes),
    };
    trial.plan.retain(|planned| !names_others(planned));
    trial.scenario.nodes = nodes;
    // Clients on a node that is gone move to the last one.
    if let Placement::One(node) = &mut trial.scenario.placement {
        *node = NodeId(node.0.min(nodes - 1));
    }
}
