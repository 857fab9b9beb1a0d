//! Liveness at the end of a walk: all faults end, and everything that was requested must be answered.
//!
//! Liveness cannot be judged while anything may go wrong: a cluster may rightly do nothing for as
//! long as messages are lost. So the faults are suspended, every message arrives in the order of
//! sending, and clocks advance together. Whatever is not done after hundreds of deadlines of that
//! will never be done.

use super::check::Violation;
use super::walk::Walk;
use synod::machines::{Key, KvCommand};
use synod::{Node, Outcome, Proposal, RequestKey, RequestNumber, Role};

/// Greatest number of messages that arrive before time passes: far more than follow from one deadline, unless nodes send
/// each other the same ones round and round.
const DELIVERIES_MAX: u32 = 5_000;
/// How many deadlines in a row may pass with messages still on their way. Proposals may go around a ring of relays for two
/// election timeouts and the repeats of a probe (rule L8, at `Node::forward_target`); a deadline of some node comes every
/// few milliseconds. Nodes that go on for longer answer each other without end.
const RESTLESS_MAX: u32 = 300;

impl<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> Walk<'_, WINDOW, CLIENTS, PAGE> {
    /// Delivers every message in the order of sending before any clock advances. Returns true if a condition holds
    /// within a number of deadlines.
    pub(super) fn eventually(
        &mut self,
        ticks: u64,
        is_so: impl Fn(&Self) -> bool,
    ) -> Result<bool, Violation> {
        // Nothing is lost, repeated or cut from here on, and every outbox is emptied after its
        // step.
        self.healing = true;
        for number in self.live() {
            self.flush(number)?;
        }
        let mut restless = 0;
        for _ in 0..ticks {
            // Messages take no time here, as if every timeout were longer than any round trip.
            restless = if self.deliver_all()? { 0 } else { restless + 1 };
            self.expect(restless < RESTLESS_MAX, "the nodes do not stop sending")?;
            if is_so(self) {
                self.healing = false;
                return Ok(true);
            }
            self.wait()?;
        }
        self.healing = false;
        Ok(false)
    }

    /// Checks that the cluster comes to rest, and that the leader that all follow then stays. A change of the members that
    /// is still under way ends a leadership, after which the cluster comes to rest once more.
    pub(super) fn comes_to_rest(&mut self) -> Result<(), Violation> {
        let leads = |walk: &Self| {
            let live = walk.live().into_iter();
            live.filter_map(|it| walk.node(it)?.leading()).max()
        };
        let mut stays = false;
        // Each change takes effect once.
        for _ in 0..=self.operator.asked.len() {
            let at_rest = self.eventually(3_000, Self::is_at_rest)?;
            self.expect(at_rest, "the cluster does not come to rest")?;
            let epoch = self.checker.ledger.epochs.present();
            // Far longer than any election timeout.
            // The ballot and not the node: a leader that is elected once more has not stayed.
            let leader = leads(self);
            self.eventually(80, |_| false)?;
            stays = leads(self) == leader;
            if stays || self.checker.ledger.epochs.present() == epoch {
                break;
            }
        }
        self.expect(stays, "a leader that all follow does not stay")
    }

    /// Delivers messages, and those that follow from them, before time passes. Returns true if these were all.
    fn deliver_all(&mut self) -> Result<bool, Violation> {
        let mut delivered = 0;
        while !self.in_flight.is_empty() {
            if delivered >= DELIVERIES_MAX {
                return Ok(false);
            }
            for envelope in core::mem::take(&mut self.in_flight) {
                self.deliver(&envelope)?;
                delivered += 1;
            }
        }
        Ok(true)
    }

    /// Advances all clocks to the next deadline of any node.
    fn wait(&mut self) -> Result<(), Violation> {
        let live = self.live();
        // Clocks are not synchronized, so that spans are compared, and not deadlines.
        let rest = |number: &u16| {
            let deadline = self.node(*number)?.next_deadline()?;
            let clock = self.members.get(usize::from(*number))?.clock;
            Some((deadline.since(clock), *number))
        };
        // The shortest span of all, so that no deadline is jumped over.
        let Some((span, number)) = live.iter().filter_map(rest).min() else {
            return Ok(());
        };
        for number in live {
            if let Some(member) = self.members.get_mut(usize::from(number)) {
                member.clock = member.clock + span;
            }
        }
        self.tick(number)
    }

    /// True if all nodes follow one leader, have applied the same slots, and have no pending
    /// request. Only then can a walk expect that nothing but heartbeats happens.
    pub(super) fn is_at_rest(&self) -> bool {
        let live: Vec<_> = self
            .live()
            .into_iter()
            .filter_map(|it| self.node(it))
            .collect();
        let Some(leader) = live.iter().filter_map(|node| node.leading()).max() else {
            return false;
        };
        let applied = self.node(leader.leader().0).map(Node::applied);
        live.iter().all(|node| {
            let follows = node.leader_hint() == Some(leader.leader());
            let waits = node.roles().any(|role| role == Role::Requester);
            let waits = waits || node.is_reading();
            node.is_active() && follows && Some(node.applied()) == applied && !waits
        })
    }

    /// True if a new client gets a session and an answer. It registers first, so that a full
    /// session table must make room. In a walk with reads, it also reads the state of a node.
    pub(super) fn is_served(&mut self) -> Result<bool, Violation> {
        let Some(node) = self.any_live() else {
            return Ok(false);
        };
        let answer = |walk: &Self, key| {
            let mut replies = walk.replies.iter().rev();
            let reply = replies.find(|reply| reply.key == key);
            reply.map(|reply| reply.outcome)
        };
        let nonce = self.clients.draw_nonce();
        let key = RequestKey::registration(nonce);
        self.ask(node, Proposal::Register { nonce })?;
        // Hundreds of deadlines are seconds of the nodes' clocks, in which a request is repeated
        // many times.
        self.eventually(500, |walk| answer(walk, key).is_some())?;
        let Some(Outcome::Registered { client }) = answer(self, key) else {
            return Ok(false);
        };
        let number = RequestNumber(1);
        let command = KvCommand::Get(Key::numbered(0));
        let proposal = Proposal::Request {
            client,
            number,
            command,
        };
        let key = RequestKey { client, number };
        self.ask(node, proposal)?;
        self.eventually(500, |walk| answer(walk, key).is_some())?;
        if !matches!(answer(self, key), Some(Outcome::Applied { .. })) {
            return Ok(false);
        }
        if self.operator.read == 0 {
            return Ok(true);
        }
        let Some(key) = self.read(node)? else {
            return Ok(false);
        };
        self.eventually(500, |walk| answer(walk, key).is_some())?;
        Ok(matches!(answer(self, key), Some(Outcome::Readable { .. })))
    }
}
