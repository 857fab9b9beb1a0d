//! Checks of a simulation that all live nodes agree on what they have applied.
//!
//! Two digests stand for everything that a node has done: that of the prefix it has applied, with the answers that it
//! gave, and that of its state. The first node to apply a slot puts its digest into a ledger, and every other node is
//! compared with it. So a difference is found at the first slot that has one, and costs a word a slot.

use super::capacities::Ring;
use super::event_loop::Simulation;
use super::setting::Setting;
use super::violation::Violation;
use crate::{Node, NodeId, Slot};

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P> {
    /// The nodes that are up, in the order of their numbers. What a node holds that is down is compared once it is
    /// back.
    ///
    /// The founder or any other node may be missing: nothing here hangs on a certain node.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn live_nodes(&self) -> impl Iterator<Item = &Node<S::Machine, W, C, P>> {
        let live = self.members.iter().filter(|member| member.live);
        live.map(|member| &member.node)
    }

    /// Whether every live node has joined and has applied the same prefix of the log.
    /// The chains stand for the prefixes and for what came of them (rule N3). So this costs a few words for each node,
    /// and may be asked after every event; the states themselves are compared once, by [`Simulation::diverged`].
    pub(super) fn all_agree(&self) -> bool {
        let mut live = self.live_nodes();
        let Some(first) = live.next() else {
            // Without a node that is up nothing is agreed upon, so a run in which all were killed is stalled and not
            // done.
            return false;
        };
        let same = |node: &Node<S::Machine, W, C, P>| {
            node.is_active() && node.applied() == first.applied() && node.chain() == first.chain()
        };
        same(first) && live.all(same)
    }

    /// Rule R5: a live node whose state machine differs from that of the first live node, although both have applied the
    /// same prefix.
    /// Called once all agree, as nodes that have applied different prefixes are rightly in different states.
    pub(super) fn diverged(&self) -> Option<NodeId> {
        debug_assert!(
            self.all_agree(),
            "states are compared that follow from different prefixes"
        );
        let mut live = self.live_nodes();
        let first = live.next()?;
        let differs = |node: &&Node<S::Machine, W, C, P>| node.machine() != first.machine();
        live.find(differs).map(Node::id)
    }

    /// Checks the rules that a step of a node may have broken.
    /// Called after each step of a node on storage that loses nothing. On any other, what a node has applied may be
    /// lost with the power and was never said, so it is compared when it leaves the node: see
    /// [`Simulation::check_dispatched`].
    pub(super) fn check(&mut self, node: NodeId) {
        let Some(member) = self.members.get(usize::from(node.0)) else {
            return;
        };
        if member.node.halted().is_some() {
            self.violation = Some(Violation::Halted { node });
            return;
        }
        let (slot, chain) = (member.node.applied(), member.node.chain());
        self.check_prefix(node, slot, chain);
    }

    /// Compares the digest of an applied prefix with that of the first node to have applied as much.
    /// A slot that is older than the ledger is not compared. A node that is so far behind differs from the others in
    /// every later slot as well, because a chain covers the whole prefix, and is found when it has caught up.
    #[inline]
    pub(super) fn check_prefix(&mut self, node: NodeId, slot: Slot, chain: u64) {
        if let Some(known) = self.ledger.get(slot) {
            if *known != chain {
                self.violation = Some(Violation::Disagreement { node, slot });
            }
        } else if let Some(place) = self.ledger.admit(slot) {
            *place = Some(chain);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use crate::machines::{Key, Kv, KvCommand, KvReply};
    use crate::simulation::{Calm, KvScript, Scenario, Simulation, Verdict, Violation, Workload};
    use crate::{MalformedPage, NodeId, Reader, RequestNumber, Slot, StateMachine, Value, Writer};
    use core::cell::Cell;

    /// A workload with a wrong expectation.
    struct Liar;

    impl Workload<Kv<4>> for Liar {
        fn command(&mut self, _client: u16, number: u32) -> Option<KvCommand> {
            (number == 1).then_some(KvCommand::Get(Key::numbered(0)))
        }

        fn check(&mut self, _client: u16, _number: u32, output: &KvReply) -> bool {
            *output == KvReply::Value(9)
        }

        fn requests(&self, _client: u16) -> u64 {
            1
        }
    }

    #[test]
    fn a_wrong_answer_is_a_violation() {
        let mut simulation =
            Simulation::<Calm<Kv<4>, Liar, 3, 256>, 8, 16, 2>::new(&Scenario::of(6, 3), Liar)
                .unwrap();
        assert!(matches!(
            simulation.run(&mut ()),
            Verdict::Violated(Violation::WrongAnswer {
                number: RequestNumber(1),
                ..
            })
        ));
    }

    std::thread_local! {
        static CHANCE: Cell<u64> = const { Cell::new(0) };
    }

    /// A faulty state machine: its answers follow from its commands, and its state does not.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    struct Moody(u64);

    impl StateMachine for Moody {
        type Command = u32;
        type Output = ();

        fn apply(&mut self, _command: &u32) {
            CHANCE.set(CHANCE.get() + 1);
            self.0 = CHANCE.get();
        }

        fn snapshot_pages(&self) -> u32 {
            0
        }

        fn write_page(&self, _page: u32, _writer: &mut Writer<'_>) {}

        fn read_page(&mut self, _page: u32, _: &mut Reader<'_>) -> Result<(), MalformedPage> {
            Ok(())
        }
    }

    struct Once;

    impl<M: StateMachine<Command = u32, Output: Value>> Workload<M> for Once {
        fn command(&mut self, _client: u16, number: u32) -> Option<u32> {
            (number == 1).then_some(7)
        }

        fn check(&mut self, _client: u16, _number: u32, _output: &M::Output) -> bool {
            true
        }

        fn requests(&self, _client: u16) -> u64 {
            1
        }
    }

    #[test]
    fn r5_a_state_machine_that_follows_its_mood_is_a_violation() {
        let mut simulation =
            Simulation::<Calm<Moody, Once, 3, 256>, 8, 16, 2>::new(&Scenario::of(6, 3), Once)
                .unwrap();
        assert_eq!(
            simulation.run(&mut ()),
            Verdict::Violated(Violation::Divergence { node: NodeId(1) })
        );
    }

    #[test]
    fn a_node_that_applied_something_else_is_a_violation() {
        let scenario = Scenario::of(6, 3);
        let mut simulation = Simulation::<Calm<Kv<16>, KvScript, 3, 256>, 8, 16, 2>::new(
            &scenario,
            KvScript::new(11),
        )
        .unwrap();
        let (slot, node) = (Slot::new(20), NodeId(2));
        while simulation.node(node).unwrap().applied() < slot {
            assert_eq!(simulation.step(&mut ()), None);
        }
        // As if whoever was at the next slots first had applied something else there.
        for ahead in 1..=20 {
            let ahead = slot.checked_add(ahead).unwrap();
            simulation.ledger.put(ahead, 1);
        }
        let verdict = simulation.run(&mut ());
        assert!(
            matches!(verdict, Verdict::Violated(Violation::Disagreement { .. })),
            "{verdict:?}"
        );
    }
}
