//! Snapshots in and out of a replica: one at a time, in the room of one spare state.

use super::Replica;
use crate::mutant::Mutant;
use crate::roles::snapshot::{Installing, PageBytes, State};
use crate::{MalformedPage, NodeId, NodeSet, SnapshotId, StateMachine};

/// What became of a page of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WelcomeVerdict {
    /// The next page is needed.
    Next(SnapshotId, u32),
    /// The snapshot is installed.
    Installed,
    /// It was not the page that is needed, or nothing new.
    Ignored,
    /// The snapshot was not what it was said to be; nothing was installed.
    Malformed,
}

/// A page of a snapshot with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) id: SnapshotId,
    pub(crate) index: u32,
    pub(crate) pages: u32,
    pub(crate) bytes: PageBytes,
}

/// Room for a second state, used for one thing at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Spare<M: StateMachine, const CLIENTS: usize> {
    Empty,
    /// A snapshot that others are fetching: it stays as it is while the state goes on (rule T4).
    Pinned {
        id: SnapshotId,
        pages: u32,
        /// Who is in the middle of it: has fetched a page of it, and not the last one. This node itself while it writes it
        /// to storage.
        fetching: NodeSet,
        state: State<M, CLIENTS>,
    },
    /// A snapshot that is being fetched, and from whom.
    Installing {
        from: NodeId,
        repeats: u8,
        installing: Installing<M, CLIENTS>,
    },
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize> Replica<M, WINDOW, CLIENTS> {
    /// A page of a snapshot of this state for those who lack it: of the one that they fetch, if it is still kept, or else
    /// the first page of one. `None` while this replica is itself fetching one, or while others fetch one that is of no use
    /// to whoever asks (rule J3).
    ///
    /// # Why nobody keeps another from getting one
    ///
    /// What is kept is given up for a new one only if it no longer leads on: then whoever installs it would find the
    /// decisions that come next forgotten here, and fetch again. And only if nobody else is in the middle of it, as that one
    /// would have to begin anew, and could then do the same to the one for whom it was given up, and neither would ever
    /// come to an end. So
    ///
    /// - whoever has begun to fetch a snapshot can fetch it to its end, and who dies in the middle holds it for no longer
    ///   than the transfer timer runs after the last page that anybody fetched;
    /// - who asks while what is kept leads on shares it from page 0, whichever snapshot it was fetching before: it is as
    ///   good as a new one;
    /// - who asks when it does not lead on waits for those who are in the middle, which have only so many pages to go, and
    ///   gets a new one then, or one from another replica at once.
    ///
    /// What is kept leads on if every decision after it is kept as well, and that is a question to the floor of the log: a
    /// burst of decisions ahead of a gap raises the floor while little is applied, so how much was applied since says
    /// nothing. And as a replica is offered a snapshot only for a slot at or under the floor, one that leads on is ahead of
    /// all that it has applied.
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
        // With the last page it has all of it.
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

    /// Keeps the present state as it is, for nobody yet.
    fn pin_state(&mut self) {
        self.spare = Spare::Pinned {
            id: self.state.snapshot_id(),
            pages: self.state.pages(),
            fetching: NodeSet::EMPTY,
            state: self.state.clone(),
        };
    }

    /// Keeps the present state as it is, in pages, for this node `me` to write it to storage; says which snapshot that is and
    /// how many pages it has. `None` while this replica is itself fetching one, or others are in the middle of another.
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

    /// A page of the snapshot that is kept, if it is still this one, for this node `me` to write it to storage.
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

    /// Nobody has fetched a page for a while: forgets the snapshot that was kept for it.
    pub(crate) fn unpin(&mut self) {
        if matches!(self.spare, Spare::Pinned { .. }) {
            self.spare = Spare::Empty;
        }
    }

    /// The snapshot that is being fetched: from whom, which one, and the page that is missing.
    pub(crate) fn fetching(&self) -> Option<(NodeId, SnapshotId, u32)> {
        match &self.spare {
            Spare::Installing {
                from, installing, ..
            } => Some((*from, installing.id, installing.next())),
            _ => None,
        }
    }

    /// A page did not come. Gives the transfer up when it was asked for often enough, and says whether it goes on.
    pub(crate) fn on_fetch_timeout(&mut self, repeats_max: u8) -> bool {
        let Spare::Installing { repeats, .. } = &mut self.spare else {
            return false;
        };
        *repeats = repeats.saturating_add(1);
        if *repeats > repeats_max {
            self.spare = Spare::Empty;
            return false;
        }
        true
    }

    /// A page of a snapshot arrived. `joining` nodes take any snapshot, others only one that is ahead of their state.
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
                installing,
            };
        }
        let Spare::Installing {
            from: source,
            repeats,
            installing,
        } = &mut self.spare
        else {
            return WelcomeVerdict::Ignored;
        };
        if *source != from || installing.id != page.id || installing.next() != page.index {
            return WelcomeVerdict::Ignored;
        }
        *repeats = 0;
        if installing.take(&page.bytes).is_err() {
            self.spare = Spare::Empty;
            return WelcomeVerdict::Malformed;
        }
        if !installing.is_complete() {
            return WelcomeVerdict::Next(installing.id, installing.next());
        }
        match self.install() {
            Ok(()) => WelcomeVerdict::Installed,
            Err(MalformedPage) => WelcomeVerdict::Malformed,
        }
    }

    /// Whether a transfer is to begin, or to begin anew because its source has another snapshot now.
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
                // Decisions may have closed the gap while the pages came; going back would apply slots twice.
                let goes_on = state.applied >= self.state.applied;
                if goes_on || self.mistake.is(Mutant::SnapshotGoesBack) {
                    self.state = state;
                    self.state.sessions.mistake = self.mistake;
                    self.log.raise(self.state.applied);
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

    /// Fetches a snapshot from one replica to another, page by page.
    fn fetch(
        source: &mut Small,
        target: &mut Small,
        meanwhile: impl Fn(&mut Small),
    ) -> WelcomeVerdict {
        let mut page = source.snapshot_page(THEM, None, 0).unwrap();
        loop {
            meanwhile(source);
            match target.on_welcome(NodeId(1), &page, false) {
                WelcomeVerdict::Next(id, next) => {
                    page = source.snapshot_page(THEM, Some(id), next).unwrap()
                }
                end => return end,
            }
        }
    }

    #[test]
    fn t4_a_snapshot_stays_as_it_was_while_its_source_goes_on() {
        let mut source = replica();
        decide(&mut source, 2, &set(1, 1, 20));
        let mut target = Small::new(State::genesis());
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
                WelcomeVerdict::Next(..)
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
        let mut target = Small::new(State::genesis());
        let from =
            |target: &mut Small, node, page: &Page| target.on_welcome(NodeId(node), page, false);
        let next = WelcomeVerdict::Next(first.id, 1);
        assert_eq!(from(&mut target, 1, &first), next);
        let mut other = second.clone();
        other.id.digest ^= 1;
        for (node, page) in [
            (2, &second),
            (1, &other),
            (1, &third),
            (1, &first),
            (2, &first),
        ] {
            assert_eq!(from(&mut target, node, page), WelcomeVerdict::Ignored);
            assert_eq!(target.fetching(), Some((NodeId(1), first.id, 1)));
        }
        assert_eq!(
            from(&mut target, 1, &second),
            WelcomeVerdict::Next(first.id, 2)
        );
        assert_eq!(from(&mut target, 1, &third), WelcomeVerdict::Installed);
        assert_eq!(target.applied(), Slot::new(2));
    }

    #[test]
    fn a_transfer_is_given_up_when_its_source_is_silent() {
        let (mut source, mut target) = (replica(), Small::new(State::genesis()));
        let page = source.snapshot_page(THEM, None, 0).unwrap();
        target.on_welcome(NodeId(1), &page, false);
        assert!(
            target.snapshot_page(THEM, None, 0).is_none(),
            "its spare room is taken"
        );
        assert!(target.on_fetch_timeout(1));
        assert!(!target.on_fetch_timeout(1));
        assert!(target.fetching().is_none());
    }

    /// A replica whose snapshot has a page for every few of its keys.
    type Long = Replica<Kv<64>, 16, 2>;

    /// One more slot is decided and applied.
    fn go_on(source: &mut Long) {
        let next = source.applied().next().unwrap();
        source.decide(next, &Proposal::Noop).unwrap();
        source.apply_next().unwrap();
    }

    /// A replica with a snapshot of many pages.
    fn long() -> Long {
        let mut source = Long::new(State::genesis());
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

    /// Who fetches, the page that it wants next, and whether it is done.
    type Target = (Long, Option<(SnapshotId, u32)>, bool);

    /// Lets several replicas fetch in turn, each from a turn of its own on, while a slot is decided before every question;
    /// says how many questions that took until all were done, and how many snapshots were begun.
    fn fetch_in_turn(begins: &[usize], questions_max: usize) -> (usize, usize) {
        let mut source = long();
        let mut targets: Vec<Target> = begins
            .iter()
            .map(|_| (Long::new(State::genesis()), None, false))
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
                WelcomeVerdict::Next(id, page) => *wanted = Some((id, page)),
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
    fn j3_those_who_fetch_at_once_do_not_starve_each_other() {
        let pages = usize::try_from(long().state.pages()).unwrap();
        assert!(pages > 8);
        for begins in [&[0, 0][..], &[0, 3], &[0, 20], &[0, 9, 40], &[0, 1, 2, 3]] {
            let (_, begun) = fetch_in_turn(begins, 200);
            assert!(begun <= 2 * begins.len(), "{begun} for {begins:?}");
        }
    }

    #[test]
    fn j3_who_is_in_the_middle_of_a_snapshot_may_end_it_and_who_is_silent_holds_nobody_up() {
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
    fn j3_storage_that_writes_a_snapshot_is_one_who_fetches_it() {
        let mut source = long();
        let (id, pages) = source.pin(NodeId(0)).unwrap();
        (0..17).for_each(|_| go_on(&mut source));
        assert_eq!(source.snapshot_page(THEM, None, 0), None);
        assert!(source.pinned_page(NodeId(0), id, pages - 1).is_some());
        let fresh = source.snapshot_page(THEM, None, 0).unwrap();
        assert!(fresh.id.at > id.at);
    }

    #[test]
    fn t4_what_is_kept_is_given_up_when_the_log_has_forgotten_what_comes_next() {
        let mut source = replica();
        decide(&mut source, 2, &Proposal::Noop);
        let old = source.snapshot_page(THEM, None, 0).unwrap();
        source.unpin();
        let old = (old.id, source.snapshot_page(THEM, Some(old.id), 0).unwrap());
        source
            .snapshot_page(THEM, Some(old.0), old.1.pages - 1)
            .unwrap();
        decide(&mut source, 3, &Proposal::Noop);
        // Ahead of a gap: there is room for it only where the third slot was.
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
