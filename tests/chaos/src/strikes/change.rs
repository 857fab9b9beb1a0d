//! Changes of the members, as an operator makes them: again and again until one is done.

use super::Striker;
use crate::clock::Clock;
use crate::connection::{ask, status};
use crate::nodes::Cluster;
use crate::proxy::lock;
use crate::resp::Reply;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeSet;

/// How long a change may take after all faults.
const DONE_WITHIN: Duration = Duration::from_secs(30);
/// Members are removed as long as there are more than these.
const MEMBERS_MIN: usize = 3;
/// How long a removed node goes on, and is asked by clients.
const LINGERS: Duration = Duration::from_millis(700);

/// Returns the greatest epoch that a node knows.
pub(super) fn epoch(cluster: &Cluster, clock: Clock) -> u64 {
    let known = |node: u16| epoch_and_members(cluster, clock, node);
    let epochs = cluster.members().into_iter().filter_map(known);
    epochs.map(|(epoch, _)| epoch).max().unwrap_or(0)
}

/// Returns the epoch of a node, and its members.
fn epoch_and_members(cluster: &Cluster, clock: Clock, node: u16) -> Option<(u64, BTreeSet<u16>)> {
    let status = status(cluster.clients(node), clock)?;
    let epoch = status.get("epoch")?.parse().ok()?;
    let members = status.get("members")?.split(',');
    let members = members.filter_map(|name| name.strip_prefix("NODE_")?.parse().ok());
    Some((epoch, members.collect()))
}

impl Striker<'_> {
    pub(super) fn add(&self) -> Vec<u16> {
        let mut epoch = lock(&self.epoch);
        let Some(new) = self.cluster.spare().filter(|_| self.may_begin()) else {
            return Vec::new();
        };
        self.start(new);
        self.change(&mut epoch, &["ADD", &new.to_string()], |members| {
            members.contains(&new)
        });
        vec![new]
    }

    pub(super) fn remove(&self, place: u64) -> Vec<u16> {
        let mut epoch = lock(&self.epoch);
        let members = self.cluster.members();
        let Some(old) = self.member(place).filter(|_| self.may_begin()) else {
            return Vec::new();
        };
        if members.len() <= MEMBERS_MIN {
            return Vec::new();
        }
        let is_done = self.change(&mut epoch, &["REMOVE", &old.to_string()], |members| {
            !members.contains(&old)
        });
        if is_done {
            self.clock.sleep(LINGERS, &AtomicBool::new(false));
            self.cluster.give_up(old, false);
        }
        vec![old]
    }

    pub(super) fn replace(&self, place: u64) -> Vec<u16> {
        let mut epoch = lock(&self.epoch);
        let (Some(old), Some(new)) = (self.member(place), self.cluster.spare()) else {
            return Vec::new();
        };
        if !self.may_begin() {
            return Vec::new();
        }
        self.cluster.give_up(old, true);
        self.start(new);
        let words = ["REPLACE", &old.to_string(), &new.to_string()];
        self.change(&mut epoch, &words, |members| {
            members.contains(&new) && !members.contains(&old)
        });
        vec![old, new]
    }

    /// True unless the faults are over.
    fn may_begin(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Returns the member at a place, counted around.
    fn member(&self, place: u64) -> Option<u16> {
        let members = self.cluster.members();
        let place = usize::try_from(place).ok()?;
        members.get(place.checked_rem(members.len())?).copied()
    }

    /// Makes a change. Returns false, with an alarm, if it was not done in time. A later epoch says that it is done, as
    /// changes are made one at a time: a node that is behind may show members of an earlier one.
    fn change(
        &self,
        epoch: &mut u64,
        words: &[&str],
        is_done: impl Fn(&BTreeSet<u16>) -> bool,
    ) -> bool {
        let command = [&["SYNOD.MEMBERS"], words].concat();
        let mut until = None;
        let mut answer = String::new();
        loop {
            for node in self.cluster.asked() {
                if let Some((now, members)) = epoch_and_members(self.cluster, self.clock, node)
                    && now > *epoch
                    && is_done(&members)
                {
                    *epoch = now;
                    *lock(&self.cluster.members) = members;
                    return true;
                }
                let address = self.cluster.clients(node);
                match ask(address, self.clock, Duration::from_secs(3), &command) {
                    // It is looked at whether it is done.
                    Ok(Reply::Error(error)) => answer = error,
                    Ok(_) => {}
                    Err(error) => answer = error.to_string(),
                }
            }
            self.clock
                .sleep(Duration::from_millis(100), &AtomicBool::new(false));
            if !self.may_begin() {
                let now = self.clock.elapsed();
                if now > *until.get_or_insert(now + DONE_WITHIN) {
                    self.alarm(format!(
                        "members {words:?}: not done {DONE_WITHIN:?} after all faults; last answer: {answer}"
                    ));
                    return false;
                }
            }
        }
    }
}
