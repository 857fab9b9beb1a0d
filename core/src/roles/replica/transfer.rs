//! Snapshots in and out of a replica: one at a time, in the room of one spare state.

use super::Replica;
#[cfg(feature = "mutants")]
use crate::Mutant;
use crate::roles::snapshot::{Installing, PageBytes, State};
use crate::{MalformedPage, NodeId, SnapshotId, StateMachine};

/// What became of a page of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Welcomed {
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
    /// A page of a snapshot of this state for somebody who lacks it: of the one that was asked for, if it is still kept,
    /// or else the first page of one. `None` while this replica is itself fetching one (rule J3).
    pub(crate) fn welcome(&mut self, wanted: Option<SnapshotId>, page: u32) -> Option<Page> {
        let window = crate::outbox::run_len(WINDOW);
        let keeps = match &self.spare {
            Spare::Installing { .. } => return None,
            Spare::Empty => false,
            Spare::Pinned { id, .. } => match wanted {
                Some(wanted) => wanted == *id,
                // A snapshot from which the decisions that are kept lead on is as good as a new one.
                None => self.state.applied.distance(id.at) < window,
            },
        };
        if !keeps {
            let (id, pages) = (self.state.snapshot_id(), self.state.pages());
            self.spare = Spare::Pinned {
                id,
                pages,
                state: self.state.clone(),
            };
        }
        let Spare::Pinned { id, pages, state } = &self.spare else {
            return None;
        };
        #[cfg(feature = "mutants")]
        let state = match self.mutant {
            Some(Mutant::SnapshotTorn) => &self.state,
            _ => state,
        };
        let page = if keeps && wanted.is_some() { page } else { 0 };
        (page < *pages).then(|| Page {
            id: *id,
            index: page,
            pages: *pages,
            bytes: state.write_page(page),
        })
    }

    /// Keeps the present state as it is, in pages, and says which snapshot that is and how many pages it has; `None` while
    /// this replica is itself fetching one.
    pub(crate) fn pin(&mut self) -> Option<(SnapshotId, u32)> {
        match &self.spare {
            Spare::Installing { .. } => None,
            Spare::Pinned { id, pages, .. } if id.at == self.state.applied => Some((*id, *pages)),
            Spare::Pinned { .. } | Spare::Empty => {
                let (id, pages) = (self.state.snapshot_id(), self.state.pages());
                let state = self.state.clone();
                self.spare = Spare::Pinned { id, pages, state };
                Some((id, pages))
            }
        }
    }

    /// A page of the snapshot that is kept, if it is still this one.
    pub(crate) fn pinned_page(&self, wanted: SnapshotId, page: u32) -> Option<PageBytes> {
        match &self.spare {
            Spare::Pinned { id, pages, state } if *id == wanted && page < *pages => {
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
    pub(crate) fn on_welcome(&mut self, from: NodeId, page: &Page, joining: bool) -> Welcomed {
        if page.index == 0 && self.wants(from, page.id, joining) {
            let installing = Installing::new(page.id, page.pages);
            #[cfg(feature = "mutants")]
            let installing = installing.making(self.mutant);
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
            return Welcomed::Ignored;
        };
        if *source != from || installing.id != page.id || installing.next() != page.index {
            return Welcomed::Ignored;
        }
        *repeats = 0;
        if installing.take(&page.bytes).is_err() {
            self.spare = Spare::Empty;
            return Welcomed::Malformed;
        }
        if !installing.is_complete() {
            return Welcomed::Next(installing.id, installing.next());
        }
        match self.install() {
            Ok(()) => Welcomed::Installed,
            Err(MalformedPage) => Welcomed::Malformed,
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
                #[cfg(feature = "mutants")]
                let goes_on = goes_on || self.mutant == Some(Mutant::SnapshotGoesBack);
                if goes_on {
                    self.state = state;
                    #[cfg(feature = "mutants")]
                    {
                        self.state.sessions.mutant = self.mutant;
                    }
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
    use super::*;
    use crate::machines::Key;
    use crate::roles::replica::tests::{Small, decide, replica, set};
    use crate::{Proposal, Slot};

    /// Fetches a snapshot from one replica to another, page by page.
    fn fetch(source: &mut Small, target: &mut Small, meanwhile: impl Fn(&mut Small)) -> Welcomed {
        let mut page = source.welcome(None, 0).unwrap();
        loop {
            meanwhile(source);
            match target.on_welcome(NodeId(1), &page, false) {
                Welcomed::Next(id, next) => page = source.welcome(Some(id), next).unwrap(),
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
        assert_eq!(end, Welcomed::Installed);
        assert_eq!(target.applied(), Slot::new(2));
        assert_eq!(target.machine().get(Key::numbered(0)), Some(20));
        assert!(source.applied() > Slot::new(4));
    }

    #[test]
    fn a_snapshot_that_is_behind_is_not_wanted() {
        let (mut source, mut target) = (replica(), replica());
        let page = source.welcome(None, 0).unwrap();
        assert_eq!(
            target.on_welcome(NodeId(1), &page, false),
            Welcomed::Ignored
        );
        assert!(
            matches!(
                target.on_welcome(NodeId(1), &page, true),
                Welcomed::Next(..)
            ),
            "but a joining node takes it"
        );
    }

    #[test]
    fn t4_only_the_page_that_is_missing_is_taken_and_only_from_its_source() {
        let mut source = replica();
        decide(&mut source, 2, &set(1, 1, 20));
        let first = source.welcome(None, 0).unwrap();
        let page = |source: &mut Small, index| source.welcome(Some(first.id), index);
        let (second, third) = (page(&mut source, 1).unwrap(), page(&mut source, 2).unwrap());
        assert_eq!(
            (first.pages, page(&mut source, 3)),
            (3, None),
            "there is no fourth page"
        );
        let mut target = Small::new(State::genesis());
        let from =
            |target: &mut Small, node, page: &Page| target.on_welcome(NodeId(node), page, false);
        let next = Welcomed::Next(first.id, 1);
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
            assert_eq!(from(&mut target, node, page), Welcomed::Ignored);
            assert_eq!(target.fetching(), Some((NodeId(1), first.id, 1)));
        }
        assert_eq!(from(&mut target, 1, &second), Welcomed::Next(first.id, 2));
        assert_eq!(from(&mut target, 1, &third), Welcomed::Installed);
        assert_eq!(target.applied(), Slot::new(2));
    }

    #[test]
    fn a_transfer_is_given_up_when_its_source_is_silent() {
        let (mut source, mut target) = (replica(), Small::new(State::genesis()));
        let page = source.welcome(None, 0).unwrap();
        target.on_welcome(NodeId(1), &page, false);
        assert!(target.welcome(None, 0).is_none(), "its spare room is taken");
        assert!(target.on_fetch_timeout(1));
        assert!(!target.on_fetch_timeout(1));
        assert!(target.fetching().is_none());
    }
}
