//! The network of a scripted cluster: cut links, rules for messages, and messages that are held back or injected.

use super::{Cluster, StepOutput, TestEnvelope, TestMessage, TestNode, millis};
use synod::{Duration, NodeId};

/// What the network does with the messages that a rule matches.
enum Action {
    Drop,
    Hold,
    Duplicate,
}

/// A rule of the simulated network.
pub(super) struct NetworkRule {
    matches: Box<dyn Fn(&TestEnvelope) -> bool>,
    action: Action,
}

impl Cluster {
    /// Drops every message in one direction between two nodes.
    pub(crate) fn cut_one_way(&mut self, from: u16, to: u16) {
        self.cuts.insert((from, to));
    }

    /// Drops every message between two groups of nodes.
    pub(crate) fn cut(&mut self, group: &[u16], others: &[u16]) {
        for (from, to) in pairs(group, others) {
            self.cuts.extend([(from, to), (to, from)]);
        }
    }

    /// Drops every message between a node and the others.
    pub(crate) fn isolate(&mut self, node: u16) {
        let others: Vec<u16> = (0..self.size).filter(|other| *other != node).collect();
        self.cut(&[node], &others);
    }

    /// Restores every link; the rules stay in force.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Drops the messages that match, from now on.
    pub(crate) fn drop_matching(&mut self, matches: impl Fn(&TestEnvelope) -> bool + 'static) {
        self.rule(matches, Action::Drop);
    }

    /// Holds back the messages that match, from now on until they are released.
    pub(crate) fn hold_matching(&mut self, matches: impl Fn(&TestEnvelope) -> bool + 'static) {
        self.rule(matches, Action::Hold);
    }

    /// Duplicates the messages that match, from now on.
    pub(crate) fn duplicate_matching(&mut self, matches: impl Fn(&TestEnvelope) -> bool + 'static) {
        self.rule(matches, Action::Duplicate);
    }

    fn rule(&mut self, matches: impl Fn(&TestEnvelope) -> bool + 'static, action: Action) {
        let matches = Box::new(matches);
        self.rules.push(NetworkRule { matches, action });
    }

    /// Sets the share of messages that are lost, in percent.
    pub(crate) fn set_loss_percent(&mut self, percent: u64) {
        self.loss_percent = percent;
    }

    /// Removes all rules and the loss; cut links stay cut, and held messages stay held.
    pub(crate) fn clear_rules(&mut self) {
        self.rules.clear();
        self.loss_percent = 0;
    }

    /// Returns the messages that are held back.
    pub(crate) fn held(&self) -> &[TestEnvelope] {
        &self.held
    }

    /// Drops the held messages that match.
    pub(crate) fn drop_held(&mut self, matches: impl Fn(&TestEnvelope) -> bool) {
        self.held.retain(|envelope| !matches(envelope));
    }

    /// Delivers all held messages at once, the last first if `reversed`.
    pub(crate) fn release(&mut self, reversed: bool) {
        let mut envelopes = core::mem::take(&mut self.held);
        if reversed {
            envelopes.reverse();
        }
        for envelope in envelopes {
            self.deliver(&envelope);
        }
    }

    /// Returns a pseudo-random number below `bound`.
    pub(crate) fn random_below(&mut self, bound: u64) -> u64 {
        // A linear congruential generator with Knuth's constants; its high bits are good enough for network
        // conditions.
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % bound
    }

    /// Delivers the first of the held messages.
    pub(crate) fn release_first(&mut self) {
        let envelope = self.held.remove(0);
        self.deliver(&envelope);
    }

    pub(super) fn send(&mut self, envelope: TestEnvelope) {
        let (delay, again) = (self.random_below(40_000), self.random_below(40_000));
        let lost = self.random_below(100) < self.loss_percent;
        if lost || self.cuts.contains(&(envelope.from.0, envelope.to.0)) {
            return;
        }
        let rule = self.rules.iter().find(|rule| (rule.matches)(&envelope));
        match rule.map(|rule| &rule.action) {
            Some(Action::Drop) => {}
            Some(Action::Hold) => self.held.push(envelope),
            Some(Action::Duplicate) => {
                self.schedule(envelope.clone(), delay);
                self.schedule(envelope, again);
            }
            None => self.schedule(envelope, delay),
        }
    }

    /// Schedules delivery of a message after 10 ms and `delay`, which is in microseconds and below 40 ms.
    fn schedule(&mut self, envelope: TestEnvelope, delay: u64) {
        let at = self.now + Duration::from_micros(10_000 + delay);
        self.sequence += 1;
        self.in_flight.insert((at, self.sequence), envelope);
    }

    pub(super) fn deliver(&mut self, envelope: &TestEnvelope) -> Option<StepOutput> {
        self.cause = envelope.message.kind().name();
        self.step_node(envelope.to.0, |now, node, outbox, trace| {
            node.handle_message(now, envelope, outbox, trace);
        })
    }

    /// Delivers a message at once, and returns the output of the step.
    pub(crate) fn inject(&mut self, from: u16, to: u16, message: TestMessage) -> StepOutput {
        let envelope = self.envelope(from, to, message);
        self.deliver(&envelope).unwrap()
    }

    pub(crate) fn envelope(&self, from: u16, to: u16, message: TestMessage) -> TestEnvelope {
        TestEnvelope {
            cluster: TestNode::fingerprint_of(&self.config(0)),
            from: NodeId(from),
            to: NodeId(to),
            message,
        }
    }

    /// Runs until a node leads: its rivals are cut off until then.
    pub(crate) fn make_leader(&mut self, node: u16) {
        let all: Vec<u16> = (0..self.size).collect();
        self.make_leader_of(node, &all);
    }

    /// Runs until a node leads with a quorum of `voters`: whenever another one leads, that one is cut off for a while.
    pub(crate) fn make_leader_of(&mut self, node: u16, voters: &[u16]) {
        while self.node(node).leading().is_none() {
            let rival = self.leader().filter(|rival| voters.contains(rival));
            let cuts = self.cuts.clone();
            if let Some(rival) = rival {
                self.isolate(rival);
            }
            self.happens_within(millis(3_000), |c| c.node(node).leading().is_some());
            self.cuts = cuts;
        }
    }
}

fn pairs(group: &[u16], others: &[u16]) -> Vec<(u16, u16)> {
    let with_others = |from: &u16| {
        let from = *from;
        others.iter().map(move |to| (from, *to))
    };
    group.iter().flat_map(with_others).collect()
}
