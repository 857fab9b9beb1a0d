//! Linearizability search: finds an order of requests that explains their responses.
//!
//! Source: Wing and Gong, *Testing and Verifying Concurrent Objects* (1993), with the memoization of Lowe, *Testing for
//! Linearizability* (2017): a set of executed requests with the same state is tried only once.

use std::collections::BTreeSet;

/// Invocation or response of the request at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Invocation.
    Asked(usize),
    /// Response.
    Answered(usize),
}

/// Result of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// An order explains every response.
    Order,
    /// No order exists: none passes the response of this request.
    None(usize),
    /// The search exceeded its number of steps.
    Unknown,
}

/// Entries that can be removed, and restored in reverse order (Knuth's dancing links). Place 0 is
/// before the first. Removed entries keep their own links, by which they find their way back.
struct Links {
    /// Place behind each place.
    next: Vec<usize>,
    /// Place in front of each place.
    before: Vec<usize>,
}

impl Links {
    /// Returns `len` entries in order, at the places from 1 on. The last place, behind them, has no
    /// entry.
    fn new(len: usize) -> Self {
        Self {
            next: (1..=len + 1).collect(),
            before: (0..=len + 1).map(|place| place.saturating_sub(1)).collect(),
        }
    }

    /// Returns the place behind a place.
    fn next(&self, place: usize) -> usize {
        self.next.get(place).copied().unwrap_or(usize::MAX)
    }

    /// Returns the places in front of and behind a place, as they are or were when it was removed.
    fn around(&self, place: usize) -> (usize, usize) {
        (
            self.before.get(place).copied().unwrap_or(0),
            self.next(place),
        )
    }

    /// Removes an entry.
    fn take(&mut self, place: usize) {
        let (before, next) = self.around(place);
        self.link(before, next);
    }

    /// Restores the entry that was removed last.
    fn put_back(&mut self, place: usize) {
        let (before, next) = self.around(place);
        self.link(before, place);
        self.link(place, next);
    }

    /// Makes two places neighbours.
    fn link(&mut self, one: usize, other: usize) {
        if let Some(next) = self.next.get_mut(one) {
            *next = other;
        }
        if let Some(before) = self.before.get_mut(other) {
            *before = one;
        }
    }
}

/// Set of executed requests. A bit for each, so that a set is compared and stored in a few words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Done(Vec<u64>);

impl Done {
    /// Adds a request, or removes it.
    fn flip(&mut self, request: usize) {
        if let Some(word) = self.0.get_mut(request / 64) {
            *word ^= 1 << (request % 64);
        }
    }
}

/// Returns the place of each request's response, and the number of responses. A request without a response need not be
/// explained.
fn answers(entries: &[Entry]) -> (Vec<Option<usize>>, usize) {
    let (mut answers, mut count) = (vec![None; entries.len()], 0);
    for (place, entry) in (1..).zip(entries) {
        if let Entry::Answered(request) = entry
            && let Some(answer) = answers.get_mut(*request)
        {
            *answer = Some(place);
            count += 1;
        }
    }
    (answers, count)
}

/// An order of requests that is built up, and taken back where it leads to a contradiction.
struct Search<'a, S> {
    /// Invocations and responses of all requests, in the order of time. Places count them from 1.
    entries: &'a [Entry],
    /// Place of each request's response, by request.
    answers: Vec<Option<usize>>,
    /// Entries of the requests that are not executed.
    links: Links,
    /// Executed requests, the same as those of `order`.
    done: Done,
    /// Sets of executed requests with the state after them, from which everything was or is being tried.
    tried: BTreeSet<(Done, S)>,
    /// Executed requests, each with the place of its invocation and the state before it.
    order: Vec<(usize, usize, S)>,
    /// State after the last executed request.
    state: S,
    /// Number of responses that are not explained yet.
    left: usize,
    /// Place of the entry that is looked at.
    place: usize,
    /// Whether requests without a response are tried.
    unanswered: bool,
    /// Length of the longest order that could not be continued, and the request whose response it did not pass. It is
    /// what a violation reports: all that was answered before can be explained.
    blocked: (usize, usize),
}

impl<'a, S: Clone + Default + Ord> Search<'a, S> {
    fn new(entries: &'a [Entry]) -> Self {
        let (answers, left) = answers(entries);
        let links = Links::new(entries.len());
        Self {
            entries,
            answers,
            place: links.next(0),
            links,
            // A request has at least one entry, so that there are no more requests than entries.
            done: Done(vec![0; entries.len().div_ceil(64)]),
            tried: BTreeSet::new(),
            order: Vec::new(),
            state: S::default(),
            left,
            unanswered: false,
            blocked: (0, 0),
        }
    }

    /// Returns the entry that is looked at; `None` behind the last one.
    fn entry(&self) -> Option<Entry> {
        let index = self.place.checked_sub(1)?;
        self.entries.get(index).copied()
    }

    fn answer_of(&self, request: usize) -> Option<usize> {
        self.answers.get(request).copied().flatten()
    }

    /// True if a request is of the kind that is tried at present.
    fn is_due(&self, request: usize) -> bool {
        self.answer_of(request).is_none() == self.unanswered
    }

    fn skip(&mut self) {
        self.place = self.links.next(self.place);
    }

    /// Looks at all entries again, at requests with or without a response.
    fn look_again(&mut self, unanswered: bool) {
        (self.place, self.unanswered) = (self.links.next(0), unanswered);
    }

    /// Executes the request that is looked at, with the state after it, unless that was tried before.
    fn execute(&mut self, request: usize, after: S) {
        self.done.flip(request);
        if !self.tried.insert((self.done.clone(), after.clone())) {
            self.done.flip(request);
            return self.skip();
        }
        debug_assert_eq!(
            self.entry(),
            Some(Entry::Asked(request)),
            "a request is executed at the place of its invocation"
        );
        self.links.take(self.place);
        if let Some(answer) = self.answer_of(request) {
            self.links.take(answer);
            self.left -= 1;
        }
        let before = core::mem::replace(&mut self.state, after);
        self.order.push((self.place, request, before));
        self.look_again(false);
    }

    /// Notes that the order cannot be continued beyond the response of a request, if no longer one could.
    fn block(&mut self, request: usize) {
        if self.order.len() >= self.blocked.0 {
            self.blocked = (self.order.len(), request);
        }
    }

    /// Takes back the last request, and goes on behind it. Returns false if none is left.
    fn take_back(&mut self) -> bool {
        let Some((place, request, before)) = self.order.pop() else {
            return false;
        };
        self.state = before;
        self.done.flip(request);
        // In the reverse order of `execute`, as the links require.
        if let Some(answer) = self.answer_of(request) {
            self.links.put_back(answer);
            self.left += 1;
        }
        self.links.put_back(place);
        self.unanswered = self.answer_of(request).is_none();
        self.place = self.links.next(place);
        true
    }
}

/// Searches for an order in at most `steps_max` steps. `step` returns the state after a request, if the request can
/// have had its response in this state.
///
/// Requests with a response are tried first, and those without one only if none of the former fits. The latter fit
/// anywhere, and trying them first would double the number of orders with each of them.
pub fn linearize<S: Clone + Default + Ord>(
    entries: &[Entry],
    steps_max: u64,
    step: impl Fn(&S, usize) -> Option<S>,
) -> Found {
    let mut search = Search::new(entries);
    for _ in 0..steps_max {
        if search.left == 0 {
            return Found::Order;
        }
        match search.entry() {
            Some(Entry::Asked(request)) if search.is_due(request) => {
                match step(&search.state, request) {
                    Some(after) => search.execute(request, after),
                    None => search.skip(),
                }
            }
            Some(Entry::Asked(_)) => search.skip(),
            _ if !search.unanswered => search.look_again(true),
            end => {
                // The request of this response is not executed yet, so no request invoked after it can be executed
                // first.
                if let Some(Entry::Answered(request)) = end {
                    search.block(request);
                }
                if !search.take_back() {
                    return Found::None(search.blocked.1);
                }
            }
        }
    }
    Found::Unknown
}
