//! How many pages of a snapshot a fetching replica requests at once.

use crate::invariant::ensure;

/// The most pages in one run, however large the window is: with 90 bytes a page, what a host can take in one go.
const PAGES_MAX: usize = 64;

/// The pages that were requested together, from the missing one on.
///
/// Pages are taken in order, so a page that is lost also costs those of its run that arrive after it: a node keeps
/// nothing but its spare state, and has no room for pages that come early. The length of a run therefore follows what
/// the link can carry. The first run is one page, a run that arrives whole is followed by one of twice the length, and a
/// run with a gap by one of half the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct PageRun {
    /// The number of pages, from 1.
    len: u8,
    /// The number of pages that have not been taken yet.
    missing: u8,
    /// True if a page of it came early, so that the missing one was requested again. Further early pages of the same
    /// run do not request it once more.
    has_gap: bool,
}

impl PageRun {
    /// The most pages in a run for a node with a window of this many slots. A step has room in the outbox for a message
    /// for each slot of the window, and so for each page of a run.
    pub(super) const fn len_max(window: usize) -> u8 {
        let pages = if window < PAGES_MAX {
            window
        } else {
            PAGES_MAX
        };
        #[expect(
            clippy::as_conversions,
            clippy::cast_possible_truncation,
            reason = "at most 64, in a const fn"
        )]
        {
            pages as u8
        }
    }

    /// Returns the first run of a transfer: page 0 alone, which says how many there are.
    pub(super) const fn first() -> Self {
        Self {
            len: 1,
            missing: 1,
            has_gap: false,
        }
    }

    /// Notes that the next page was taken. Returns the number of pages to request after it, once the run is complete.
    pub(super) fn on_page(&mut self, len_max: u8) -> Option<u8> {
        debug_assert!(self.missing >= 1, "a complete run is followed by another");
        self.has_gap = false;
        self.missing = self.missing.saturating_sub(1);
        if self.missing > 0 {
            return None;
        }
        self.len = self.len.saturating_mul(2).min(len_max);
        Some(self.begin())
    }

    /// Notes that a later page than the next one has arrived, so that the next one is lost or late. Returns the number
    /// of pages to request again from there, unless that was done for this run.
    pub(super) fn on_gap(&mut self) -> Option<u8> {
        if self.has_gap {
            return None;
        }
        let len = self.on_silence();
        self.has_gap = true;
        Some(len)
    }

    /// Notes that nothing has arrived for a while. Returns the number of pages to request again from the next one on.
    pub(super) fn on_silence(&mut self) -> u8 {
        self.len = (self.len / 2).max(1);
        self.has_gap = false;
        self.begin()
    }

    /// Checks the invariants that hold between steps.
    pub(super) fn check_invariants(self, len_max: u8) -> Result<(), &'static str> {
        ensure(
            1 <= self.missing && self.missing <= self.len && self.len <= len_max,
            "a run of pages that are requested misses some of them, and no more than it may have (T4)",
        )
    }

    fn begin(&mut self) -> u8 {
        debug_assert!(self.len >= 1, "a run has a page");
        self.missing = self.len;
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t4_a_run_doubles_when_it_arrives_whole_up_to_the_window() {
        let mut run = PageRun::first();
        let mut lengths = heapless::Vec::<u8, 16>::new();
        for _ in 1..100 {
            if let Some(len) = run.on_page(PageRun::len_max(16)) {
                lengths.push(len).unwrap();
            }
        }
        assert_eq!(lengths[..], [2, 4, 8, 16, 16, 16, 16, 16, 16]);
        assert_eq!(PageRun::len_max(4096), 64);
    }

    #[test]
    fn t4_a_gap_is_requested_once_and_halves_the_run() {
        let mut run = PageRun::first();
        for _ in 0..7 {
            run.on_page(64);
        }
        // The run has eight pages, and its first one is missing.
        assert_eq!(run.on_gap(), Some(4));
        assert_eq!(run.on_gap(), None, "further pages of the same run");
        assert_eq!(run.on_page(64), None);
        assert_eq!(run.on_gap(), Some(2), "a gap in what was requested again");
        assert_eq!(run.on_silence(), 1, "as the link may carry no more");
        assert_eq!(run.on_silence(), 1);
        assert_eq!(run.on_page(64), Some(2));
    }
}
