//! The invariants of a leader, which hold between steps.

use super::{Leader, LeaderState, Leadership};
use crate::invariant::ensure;
use crate::{NodeSet, Slot};

impl<C: Copy + Eq, const WINDOW: usize, const CLIENTS: usize> Leader<C, WINDOW, CLIENTS> {
    /// Checks the invariants that hold between steps.
    pub(crate) fn check_invariants(
        &self,
        applied: Slot,
        members: NodeSet,
    ) -> Result<(), &'static str> {
        ensure(
            self.waiting.is_empty() || self.leading().is_some(),
            "proposals wait for a slot although nobody leads here (L4)",
        )?;
        ensure(
            self.waiting_peak <= CLIENTS,
            "more proposals have waited than the queue holds (T5)",
        )?;
        match &self.state {
            LeaderState::Idle | LeaderState::Leading(_) => {}
            LeaderState::Probing(probe) => probe.check_invariants(members)?,
            LeaderState::Scouting(scout) => scout.check_invariants()?,
        }
        ensure(
            !self.can_start(),
            "a proposal waits although the window has a slot for it (L3)",
        )?;
        ensure(
            self.next_chosen().is_none(),
            "a chosen slot that could be applied was left (R2)",
        )?;
        if let LeaderState::Leading(leadership) = &self.state {
            leadership.check_audience(members)?;
            ensure(
                leadership.commanders.floor() == applied,
                "the leader's prefix is what its replica applied",
            )?;
            ensure(
                leadership.next_slot > applied,
                "would assign a decided slot",
            )?;
            ensure(
                leadership.announced == leadership.commanders.floor(),
                "announced more than is decided, or less",
            )?;
            ensure(
                leadership
                    .commanders
                    .iter_from(Slot::ZERO)
                    .all(|(_, commander)| commander.is_consistent(members)),
                "a slot is chosen exactly if a quorum has accepted it (C2)",
            )?;
            let unchosen = leadership.commanders.iter_from(Slot::ZERO);
            let unchosen = unchosen.filter(|(_, commander)| !commander.is_chosen());
            ensure(
                unchosen.count() == leadership.in_flight(),
                "the slots in flight are those with a commander that is not done",
            )?;
            ensure(
                leadership.next_slot.distance(applied) <= crate::outbox::run_len(WINDOW) + 1,
                "assigned a slot beyond the window (L3)",
            )?;
            let assigned = crate::outbox::run_len(leadership.commanders.occupied());
            ensure(
                leadership.next_slot.distance(applied) == assigned + 1,
                "a slot below the next one has no commander (L1)",
            )?;
        }
        Ok(())
    }
}

impl<C, const WINDOW: usize> Leadership<C, WINDOW> {
    /// Checks that all other members are told what is proposed and decided, and that the leader does not tell itself.
    fn check_audience(&self, members: NodeSet) -> Result<(), &'static str> {
        let me = self.ballot.leader();
        ensure(
            members.without(me).minus(self.audience).is_empty(),
            "a leader does not tell a member what it proposes (L1)",
        )?;
        ensure(
            !self.audience.contains(me),
            "a leader tells itself what it proposes",
        )
    }
}
