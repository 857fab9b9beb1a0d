//! Snapshot transfer in both directions, one at a time, with the room of one spare state.

use super::Replica;
use super::page_run::PageRun;
use crate::invariant::ensure;
use crate::mutant::Mutant;
use crate::roles::snapshot::{Installing, PageBytes, State};
use crate::{MalformedPage, NodeId, NodeSet, SnapshotId, StateMachine};

/// The verdict of the replica on a page of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WelcomeVerdict {
    /// Pages of the same snapshot are to be requested: the index of the first, and their number.
    Fetch(u32, u8),
    /// The page was taken, and the next ones of its run are under way.
    Taken,
    /// The snapshot is installed.
    Installed,
    /// Not the page that is needed, or a snapshot that is not ahead.
    Ignored,
    /// The snapshot does not match its digest, or cannot be decoded; nothing was installed.
    Malformed,
}

/// Consecutive pages of a snapshot that are to be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) id: SnapshotId,
    /// The index of the first page.
    pub(crate) page: u32,
    /// The number of pages, from 1.
    pub(crate) count: u8,
}

/// A page of a snapshot, with the id of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) id: SnapshotId,
    pub(crate) index: u32,
    pub(crate) pages: u32,
    pub(crate) bytes: PageBytes,
}

/// What the spare state is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpareUse {
    Nothing,
    /// A snapshot is kept for others, and for the storage of this node as well, if it is `stored`.
    Kept {
        stored: bool,
    },
    /// A snapshot is fetched from a node.
    Fetched {
        from: NodeId,
        id: SnapshotId,
        /// The next page that is needed.
        next: u32,
    },
}

/// The spare state, used for one purpose at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Spare<M: StateMachine, const CLIENTS: usize> {
    Empty,
    /// A snapshot that other nodes are fetching. It does not change while the state goes on (rule T4).
    Pinned {
        id: SnapshotId,
        pages: u32,
        /// The nodes that have fetched a page of it and not yet the last one; includes this node while it writes the
        /// snapshot to storage.
        fetching: NodeSet,
        state: State<M, CLIENTS>,
    },
    /// A snapshot that is being fetched, and its source.
    Installing {
        from: NodeId,
        /// How often pages were requested again since the last one was taken.
        repeats: u8,
        run: PageRun,
        installing: Installing<M, CLIENTS>,
    },
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize> Replica<M, WINDOW, CLIENTS> {
    /// The most pages that are requested, and sent, at once.
    pub(crate) const RUN_MAX: u8 = PageRun::len_max(WINDOW);

    /// Returns a page of a snapshot of this state for nodes that lack it: the requested page if that snapshot is still
    /// pinned, otherwise the first page of the current one. `None` while this replica is fetching a snapshot itself, or
    /// while others fetch one that is of no use to the requesting node (rule J3).
    ///
    /// # Why every node gets a snapshot in the end
    ///
    /// The pinned snapshot is replaced only if it no longer *leads on*: a node that installs it would find that the
    /// decisions after it are no longer kept here, and would have to fetch again. And it is replaced only if no other
    /// node is in the middle of fetching it: that node would have to start over, could then do the same to the node
    /// that has replaced its snapshot, and neither would ever finish. Therefore
    ///
    /// - a node that has begun to fetch a snapshot can finish it, and a node that dies in the middle blocks others for
    ///   no longer than the transfer timer runs after the last page that was fetched by anybody;
    /// - a node that asks while the pinned snapshot leads on gets that one from page 0, whichever snapshot it was
    ///   fetching before: it is as good as a new one;
    /// - a node that asks when it does not lead on waits for those that are in the middle, which have a limited number
    ///   of pages left, and then gets a new one, or gets one from another replica at once.
    ///
    /// The pinned snapshot leads on if every decision after it is still kept, which the floor of the log tells. The
    /// number of slots applied since says nothing: a burst of decisions ahead of a gap raises the floor while little is
    /// applied. As a replica offers a snapshot only for a slot at or below the floor, one that leads on is ahead of
    /// everything that the requesting node has applied.
    pub(crate) fn snapshot_page(
        &mut self,
        to: NodeSet,
        wanted: Option<SnapshotId>,
        page: u32,
    ) -> Option<Page> {
        let kept = match &self.spare {
            Spare::Installing { .. } => return None,
            Spare::Empty => None,
            Spare::Pinned { id, fetching, .. } if wanted == Some(*id) => Some((*id, *fetching)),
            Spare::Pinned { id, fetching, .. } => {
                let leads_on = id.at >= self.log.floor();
                if !leads_on && !fetching.minus(to).is_empty() {
                    return None;
                }
                leads_on.then_some((*id, *fetching))
            }
        };
        if kept.is_none() {
            self.pin_state();
        }
        let page = match kept {
            Some((id, _)) if wanted == Some(id) => page,
            _ => 0,
        };
        let Spare::Pinned {
            id,
            pages,
            fetching,
            state,
        } = &mut self.spare
        else {
            return None;
        };
        if page >= *pages {
            return None;
        }
        // With the last page the node has the whole snapshot.
        *fetching = if page + 1 < *pages {
            fetching.union(to)
        } else {
            fetching.minus(to)
        };
        let state = if self.mistake.is(Mutant::SnapshotTorn) {
            &self.state
        } else {
            &*state
        };
        Some(Page {
            id: *id,
            index: page,
            pages: *pages,
            bytes: state.write_page(page),
        })
    }

    /// Pins the current state, with no node fetching it yet.
    fn pin_state(&mut self) {
        self.spare = Spare::Pinned {
            id: self.state.snapshot_id(),
            pages: self.state.pages(),
            fetching: NodeSet::EMPTY,
            state: self.state.clone(),
        };
    }

    /// Pins the current state so that this node, `me`, can write it to storage. Returns the id of the snapshot and its
    /// number of pages; `None` while this replica fetches a snapshot, or other nodes are in the middle of fetching
    /// another one.
    pub(crate) fn pin(&mut self, me: NodeId) -> Option<(SnapshotId, u32)> {
        match &self.spare {
            Spare::Installing { .. } => return None,
            Spare::Pinned { id, .. } if id.at == self.state.applied => {}
            Spare::Pinned { fetching, .. } if !fetching.without(me).is_empty() => return None,
            Spare::Pinned { .. } | Spare::Empty => self.pin_state(),
        }
        let Spare::Pinned {
            id,
            pages,
            fetching,
            ..
        } = &mut self.spare
        else {
            return None;
        };
        fetching.insert(me);
        Some((*id, *pages))
    }

    /// Returns a page of the pinned snapshot, if it is still the one `wanted`, so that this node, `me`, can write it to
    /// storage.
    pub(crate) fn pinned_page(
        &mut self,
        me: NodeId,
        wanted: SnapshotId,
        page: u32,
    ) -> Option<PageBytes> {
        match &mut self.spare {
            Spare::Pinned {
                id,
                pages,
                fetching,
                state,
            } if *id == wanted && page < *pages => {
                if page + 1 == *pages {
                    *fetching = fetching.without(me);
                }
                Some(state.write_page(page))
            }
            _ => None,
        }
    }

    /// Checks the invariants of the spare state that hold between steps.
    pub(super) fn check_transfer_invariants(&self) -> Result<(), &'static str> {
        match &self.spare {
            Spare::Empty => {}
            Spare::Pinned { id, state, .. } => {
                ensure(
                    id.at <= self.state.applied && state.applied == id.at,
                    "a pinned snapshot is of a state that was applied here, and does not change (T4)",
                )?;
            }
            Spare::Installing {
                installing, run, ..
            } => {
                run.check_invariants(Self::RUN_MAX)?;
                ensure(
                    !installing.is_complete(),
                    "a complete snapshot is installed at once (T4)",
                )?;
            }
        }
        Ok(())
    }

    /// Drops the pinned snapshot, as no page of it has been fetched for a while.
    pub(crate) fn unpin(&mut self) {
        if matches!(self.spare, Spare::Pinned { .. }) {
            self.spare = Spare::Empty;
        }
    }

    /// True while a snapshot is pinned, for other nodes or for the storage of this one.
    pub(crate) fn is_pinned(&self) -> bool {
        matches!(self.spare, Spare::Pinned { .. })
    }

    /// Returns what the spare state is used for at the node `me`.
    pub(crate) fn spare_use(&self, me: NodeId) -> SpareUse {
        match &self.spare {
            Spare::Empty => SpareUse::Nothing,
            Spare::Pinned { fetching, .. } => SpareUse::Kept {
                stored: fetching.contains(me),
            },
            Spare::Installing {
                from, installing, ..
            } => SpareUse::Fetched {
                from: *from,
                id: installing.id,
                next: installing.next(),
            },
        }
    }

    /// True while a snapshot is being fetched.
    pub(crate) fn is_fetching(&self) -> bool {
        matches!(self.spare, Spare::Installing { .. })
    }

    /// Handles a page that did not arrive in time. Returns the source and the pages to request again; `None` if nothing
    /// is being fetched, or if the transfer ends here as pages were requested often enough.
    pub(crate) fn on_fetch_timeout(&mut self, repeats_max: u8) -> Option<(NodeId, Wanted)> {
        let Spare::Installing {
            from,
            repeats,
            run,
            installing,
        } = &mut self.spare
        else {
            return None;
        };
        *repeats = repeats.saturating_add(1);
        if *repeats > repeats_max {
            self.spare = Spare::Empty;
            return None;
        }
        let (id, page) = (installing.id, installing.next());
        let count = run.on_silence();
        Some((*from, Wanted { id, page, count }))
    }

    /// Handles a page of a snapshot. Nodes that are `joining` take any snapshot, others only one that is ahead of their
    /// state.
    pub(crate) fn on_welcome(
        &mut self,
        from: NodeId,
        page: &Page,
        joining: bool,
    ) -> WelcomeVerdict {
        if page.index == 0 && self.wants(from, page.id, joining) {
            let mut installing = Installing::new(page.id, page.pages);
            installing.mistake = self.mistake;
            self.spare = Spare::Installing {
                from,
                repeats: 0,
                run: PageRun::first(),
                installing,
            };
        }
        let Spare::Installing {
            from: source,
            repeats,
            run,
            installing,
        } = &mut self.spare
        else {
            return WelcomeVerdict::Ignored;
        };
        let (id, next) = (installing.id, installing.next());
        if *source != from || id != page.id || next > page.index {
            return WelcomeVerdict::Ignored;
        }
        if next < page.index {
            // A page before it was lost, or is slower.
            let again = run.on_gap();
            return again.map_or(WelcomeVerdict::Ignored, |count| {
                WelcomeVerdict::Fetch(next, count)
            });
        }
        *repeats = 0;
        if installing.take(&page.bytes).is_err() {
            self.spare = Spare::Empty;
            return WelcomeVerdict::Malformed;
        }
        if !installing.is_complete() {
            let page = installing.next();
            let count = run.on_page(Self::RUN_MAX);
            return count.map_or(WelcomeVerdict::Taken, |count| {
                WelcomeVerdict::Fetch(page, count)
            });
        }
        match self.install() {
            Ok(()) => WelcomeVerdict::Installed,
            Err(MalformedPage) => WelcomeVerdict::Malformed,
        }
    }

    /// True if a transfer is to begin, or to start over because its source has another snapshot now.
    fn wants(&self, from: NodeId, id: SnapshotId, joining: bool) -> bool {
        let useful = joining || id.at > self.state.applied;
        match &self.spare {
            Spare::Installing {
                from: source,
                installing,
                ..
            } => useful && *source == from && installing.id != id,
            Spare::Empty | Spare::Pinned { .. } => useful,
        }
    }

    fn install(&mut self) -> Result<(), MalformedPage> {
        match core::mem::replace(&mut self.spare, Spare::Empty) {
            Spare::Installing { installing, .. } => {
                let state = installing.finish()?;
                // Decisions may have closed the gap while the pages arrived; going back would apply slots twice.
                let goes_on = state.applied >= self.state.applied;
                let before = self.state.membership;
                if goes_on && !before.may_become(&state.membership) {
                    return Err(MalformedPage);
                }
                if goes_on || self.mistake.is(Mutant::SnapshotGoesBack) {
                    self.state = state;
                    if self.mistake.is(Mutant::MembersNotInSnapshot) {
                        self.state.membership = before;
                    }
                    self.set_mistake(self.mistake);
                    self.log.raise(self.state.applied);
                    debug_assert!(
                        self.mistake.is_any() || self.log.floor() <= self.state.applied,
                        "dropped decisions that the snapshot does not include (T3)"
                    );
                }
                Ok(())
            }
            other => {
                self.spare = other;
                Err(MalformedPage)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::machines::{Key, Kv, KvCommand};
    use crate::roles::replica::tests::{Small, decide, replica, set};
    use crate::{ClientId, Proposal, RequestNumber, Slot};
    use std::vec::Vec;

    const THEM: NodeSet = NodeSet::only(NodeId(2));

    /// Transfers a snapshot from one replica to another, page by page.
    fn fetch(
        source: &mut Small,
        target: &mut Small,
        meanwhile: impl Fn(&mut Small),
    ) -> WelcomeVerdict {
        let mut page = source.snapshot_page(THEM, None, 0).unwrap();
        loop {
            meanwhile(source);
            match target.on_welcome(NodeId(1), &page, false) {
                WelcomeVerdict::Fetch(..) | WelcomeVerdict::Taken => {
                    let next = page.index + 1;
                    page = source.snapshot_page(THEM, Some(page.id), next).unwrap();
                }
                end => return end,
            }
        }
    }

    #[test]
    fn t4_a_pinned_snapshot_does_not_change_while_its_source_goes_on() {
        let mut source = replica();
        decide(&mut source, 2, &set(1, 1, 20));
        let mut target = Small::new(State::genesis(NodeSet::first(3)));
        let end = fetch(&mut source, &mut target, |source| {
            let slot = source.applied().next().unwrap();
            decide(source, slot.number(), &Proposal::Noop);
        });
        assert_eq!(end, WelcomeVerdict::Installed);
        assert_eq!(target.applied(), Slot::new(2));
        assert_eq!(target.machine().get(Key::numbered(0)), Some(20));
        assert!(source.applied() > Slot::new(4));
    }

    #[test]
    fn a_snapshot_that_is_behind_is_not_wanted() {
        let (mut source, mut target) = (replica(), replica());
        let page = source.snapshot_page(THEM, None, 0).unwrap();
        assert_eq!(
            target.on_welcome(NodeId(1), &page, false),
            WelcomeVerdict::Ignored
        );
        assert!(
            matches!(
                target.on_welcome(NodeId(1), &page, true),
                WelcomeVerdict::Fetch(..)
            ),
            "but a joining node takes it"
        );
    }

    #[test]
    fn t4_only_the_page_that_is_missing_is_taken_and_only_from_its_source() {
        let mut source = replica();
        decide(&mut source, 2, &set(1, 1, 20));
        let first = source.snapshot_page(THEM, None, 0).unwrap();
        let page = |source: &mut Small, index| source.snapshot_page(THEM, Some(first.id), index);
        let (second, third) = (page(&mut source, 1).unwrap(), page(&mut source, 2).unwrap());
        assert_eq!(
            (first.pages, page(&mut source, 3)),
            (3, None),
            "there is no fourth page"
        );
        let mut target = Small::new(State::genesis(NodeSet::first(3)));
        let from =
            |target: &mut Small, node, page: &Page| target.on_welcome(NodeId(node), page, false);
        let fetch = WelcomeVerdict::Fetch;
        assert_eq!(from(&mut target, 1, &first), fetch(1, 2));
        let mut other = second.clone();
        other.id.digest ^= 1;
        for (node, page) in [(2, &second), (1, &other), (1, &first), (2, &first)] {
            assert_eq!(from(&mut target, node, page), WelcomeVerdict::Ignored);
        }
        assert_eq!(from(&mut target, 1, &third), fetch(1, 1), "again");
        assert_eq!(from(&mut target, 1, &third), WelcomeVerdict::Ignored);
        assert_eq!(from(&mut target, 1, &second), fetch(2, 2));
        assert_eq!(from(&mut target, 1, &third), WelcomeVerdict::Installed);
        assert_eq!(target.applied(), Slot::new(2));
    }

    #[test]
    fn a_transfer_is_given_up_when_its_source_is_silent() {
        let (mut source, mut target) = (replica(), Small::new(State::genesis(NodeSet::first(3))));
        let page = source.snapshot_page(THEM, None, 0).unwrap();
        target.on_welcome(NodeId(1), &page, false);
        assert!(
            target.snapshot_page(THEM, None, 0).is_none(),
            "its spare room is taken"
        );
        let (source, wanted) = target.on_fetch_timeout(1).unwrap();
        assert_eq!((source, wanted.page, wanted.count), (NodeId(1), 1, 1));
        assert_eq!(target.on_fetch_timeout(1), None);
        assert!(!target.is_fetching());
    }

    #[test]
    fn t4_a_transfer_goes_on_for_as_long_as_pages_of_its_source_arrive() {
        let (mut source, mut target) = (replica(), Small::new(State::genesis(NodeSet::first(3))));
        decide(&mut source, 2, &set(1, 1, 20));
        let first = source.snapshot_page(THEM, None, 0).unwrap();
        target.on_welcome(NodeId(1), &first, false);
        assert!(target.on_fetch_timeout(1).is_some());
        let second = source.snapshot_page(THEM, Some(first.id), 1).unwrap();
        let next = target.on_welcome(NodeId(1), &second, false);
        assert!(matches!(next, WelcomeVerdict::Fetch(..)), "{next:?}");
        let again = target.on_fetch_timeout(1);
        let (from, wanted) = again.expect("it has waited for one page");
        assert_eq!((from, wanted.id, wanted.page), (NodeId(1), first.id, 2));
        // Another source begins another snapshot, which does not end this transfer.
        let mut other = first.clone();
        other.id.digest ^= 1;
        let begun = target.on_welcome(NodeId(2), &other, false);
        assert_eq!(begun, WelcomeVerdict::Ignored);
        let third = source.snapshot_page(THEM, Some(first.id), 2).unwrap();
        let end = target.on_welcome(NodeId(1), &third, false);
        assert_eq!(end, WelcomeVerdict::Installed);
    }

    /// A replica whose snapshot has a page for every few keys.
    type Long = Replica<Kv<64>, 16, 2>;

    /// Decides and applies one more slot.
    fn go_on(source: &mut Long) {
        let next = source.applied().next().unwrap();
        source.decide(next, &Proposal::Noop).unwrap();
        source.apply_next().unwrap();
    }

    /// A replica with a snapshot of many pages.
    fn long() -> Long {
        let mut source = Long::new(State::genesis(NodeSet::first(3)));
        let register = Proposal::Register { nonce: 77 };
        source.decide(Slot::FIRST, &register).unwrap();
        source.apply_next().unwrap();
        for number in 1..=50 {
            let command = KvCommand::Set(Key::numbered(number), 7);
            let request = Proposal::Request {
                client: ClientId(1),
                number: RequestNumber(number),
                command,
            };
            let next = source.applied().next().unwrap();
            source.decide(next, &request).unwrap();
            source.apply_next().unwrap();
        }
        source
    }

    /// A target of a transfer: its replica, the page that it wants next, and whether it is done.
    type Target = (Long, Option<(SnapshotId, u32)>, bool);

    /// Lets several replicas fetch in turn, each from a turn of its own on, while one slot is decided before every
    /// request. Returns how many requests it took until all were done, and how many snapshots were begun.
    fn fetch_in_turn(begins: &[usize], questions_max: usize) -> (usize, usize) {
        let mut source = long();
        let mut targets: Vec<Target> = begins
            .iter()
            .map(|_| (Long::new(State::genesis(NodeSet::first(3))), None, false))
            .collect();
        let mut begun = 0;
        for question in 0..questions_max {
            let index = question % targets.len();
            let me = NodeSet::only(NodeId(u16::try_from(index).unwrap()));
            let (target, wanted, done) = &mut targets[index];
            if *done || question < begins[index] {
                continue;
            }
            go_on(&mut source);
            let (snapshot, page) = wanted.map_or((None, 0), |(id, page)| (Some(id), page));
            let Some(page) = source.snapshot_page(me, snapshot, page) else {
                continue;
            };
            begun += usize::from(page.index == 0);
            match target.on_welcome(NodeId(9), &page, false) {
                WelcomeVerdict::Fetch(..) | WelcomeVerdict::Taken => {
                    *wanted = Some((page.id, page.index + 1));
                }
                WelcomeVerdict::Installed => *done = true,
                other => panic!("{other:?}"),
            }
            if targets.iter().all(|(_, _, done)| *done) {
                return (question, begun);
            }
        }
        panic!("{begun} were begun, and they are not done");
    }

    #[test]
    fn j3_concurrent_fetches_do_not_starve_each_other() {
        let pages = usize::try_from(long().state.pages()).unwrap();
        assert!(pages > 8);
        for begins in [&[0, 0][..], &[0, 3], &[0, 20], &[0, 9, 40], &[0, 1, 2, 3]] {
            let (_, begun) = fetch_in_turn(begins, 200);
            assert!(begun <= 2 * begins.len(), "{begun} for {begins:?}");
        }
    }

    #[test]
    fn j3_a_node_finishes_the_snapshot_it_fetches_and_a_silent_one_blocks_nobody() {
        let [first, second] = [1, 2].map(|node| NodeSet::only(NodeId(node)));
        for ends in [true, false] {
            let mut source = long();
            let begun = source.snapshot_page(first, None, 0).unwrap();
            (0..17).for_each(|_| go_on(&mut source));
            assert_eq!(
                source.snapshot_page(second, None, 0),
                None,
                "it would be too old"
            );
            assert_eq!(
                source.pin(NodeId(0)),
                None,
                "nor does storage take the room"
            );
            let next = source.snapshot_page(first, Some(begun.id), 1).unwrap();
            assert_eq!((next.id, next.index), (begun.id, 1));
            if ends {
                source
                    .snapshot_page(first, Some(begun.id), begun.pages - 1)
                    .unwrap();
            } else {
                source.unpin();
            }
            let fresh = source.snapshot_page(second, None, 0).unwrap();
            assert_eq!((fresh.id.at, fresh.index), (source.applied(), 0));
            let shared = source.snapshot_page(first, Some(begun.id), 2).unwrap();
            assert_eq!(
                (shared.id, shared.index),
                (fresh.id, 0),
                "the one that is kept"
            );
        }
    }

    #[test]
    fn j3_a_snapshot_is_kept_until_a_decision_after_it_is_dropped() {
        let mut source = long();
        let kept = source.snapshot_page(THEM, None, 0).unwrap().id;
        source.snapshot_page(THEM, Some(kept), 1).unwrap();
        let ask = |source: &mut Long| source.snapshot_page(THEM, None, 0).unwrap().id;
        (0..16).for_each(|_| go_on(&mut source));
        assert_eq!(ask(&mut source), kept, "a whole window leads on from it");
        go_on(&mut source);
        assert_eq!(ask(&mut source).at, source.applied());
    }

    #[test]
    fn j3_storage_that_writes_a_snapshot_counts_as_fetching_it() {
        let mut source = long();
        let (id, pages) = source.pin(NodeId(0)).unwrap();
        (0..17).for_each(|_| go_on(&mut source));
        assert_eq!(source.snapshot_page(THEM, None, 0), None);
        assert!(source.pinned_page(NodeId(0), id, pages - 1).is_some());
        let fresh = source.snapshot_page(THEM, None, 0).unwrap();
        assert!(fresh.id.at > id.at);
    }

    #[test]
    fn t4_a_snapshot_is_replaced_when_the_decisions_after_it_are_dropped() {
        let mut source = replica();
        decide(&mut source, 2, &Proposal::Noop);
        let old = source.snapshot_page(THEM, None, 0).unwrap();
        source.unpin();
        let old = (old.id, source.snapshot_page(THEM, Some(old.id), 0).unwrap());
        source
            .snapshot_page(THEM, Some(old.0), old.1.pages - 1)
            .unwrap();
        decide(&mut source, 3, &Proposal::Noop);
        // Ahead of a gap: there is room for it only in place of the third slot.
        decide(&mut source, 7, &Proposal::Noop);
        assert_eq!(source.applied(), Slot::new(3));
        assert!(source.decision(Slot::new(3)).is_none());
        let new = source.snapshot_page(THEM, None, 0).unwrap();
        assert_eq!(
            new.id.at,
            Slot::new(3),
            "of the second slot nothing leads on"
        );
    }
}
