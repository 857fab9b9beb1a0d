//! Linearizability search: finds an order of requests that explains their responses.
//!
//! Source: Wing and Gong, *Testing and Verifying Concurrent Objects* (1993), with the memoization of Lowe, *Testing for
//! Linearizability* (2017): a set of executed requests with the same state is tried only once.

use std::collections::BTreeSet;

/// Invocation or response of the request at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Asked(usize),
    Answered(usize),
}

/// Result of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An order explains every response.
    Order,
    /// No order exists: none passes the response of this request.
    None(usize),
    /// The search exceeded its number of steps.
    Unknown,
}

/// Entries that can be removed, and restored in reverse order (Knuth's dancing links). Place 0 is before the first.
struct Links {
    next: Vec<usize>,
    before: Vec<usize>,
}

impl Links {
    fn new(len: usize) -> Self {
        Self {
            next: (1..=len + 1).collect(),
            before: (0..=len + 1).map(|place| place.saturating_sub(1)).collect(),
        }
    }

    fn next(&self, place: usize) -> usize {
        self.next.get(place).copied().unwrap_or(usize::MAX)
    }

    fn around(&self, place: usize) -> (usize, usize) {
        (
            self.before.get(place).copied().unwrap_or(0),
            self.next(place),
        )
    }

    fn take(&mut self, place: usize) {
        let (before, next) = self.around(place);
        self.link(before, next);
    }

    fn put_back(&mut self, place: usize) {
        let (before, next) = self.around(place);
        self.link(before, place);
        self.link(place, next);
    }

    fn link(&mut self, one: usize, other: usize) {
        if let Some(next) = self.next.get_mut(one) {
            *next = other;
        }
        if let Some(before) = self.before.get_mut(other) {
            *before = one;
        }
    }
}

/// Set of executed requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Done(Vec<u64>);

impl Done {
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

/// Searches for an order in at most `steps_max` steps. `step` returns the state after a request, if the request can
/// have had its response in this state.
///
/// Requests with a response are tried first, and those without one only if none of the former fits. The latter fit
/// anywhere, and trying them first would double the number of orders with each of them.
pub(super) fn linearize<S: Clone + Default + Ord>(
    entries: &[Entry],
    steps_max: u64,
    step: impl Fn(&S, usize) -> Option<S>,
) -> Found {
    let (answers, mut left) = answers(entries);
    let answer_of = |request: usize| answers.get(request).copied().flatten();
    let mut links = Links::new(entries.len());
    let mut done = Done(vec![0; entries.len().div_ceil(64)]);
    let mut tried = BTreeSet::new();
    let mut order: Vec<(usize, usize, S)> = Vec::new();
    let mut state = S::default();
    let (mut deepest, mut blocked) = (0, 0);
    let (mut place, mut unanswered) = (links.next(0), false);
    for _ in 0..steps_max {
        if left == 0 {
            return Found::Order;
        }
        match place.checked_sub(1).and_then(|index| entries.get(index)) {
            Some(Entry::Asked(request)) if answer_of(*request).is_none() != unanswered => {
                place = links.next(place);
            }
            Some(Entry::Asked(request)) => {
                let request = *request;
                let after = step(&state, request).filter(|after| {
                    done.flip(request);
                    let is_new = tried.insert((done.clone(), after.clone()));
                    done.flip(request);
                    is_new
                });
                let Some(after) = after else {
                    place = links.next(place);
                    continue;
                };
                done.flip(request);
                links.take(place);
                if let Some(answer) = answer_of(request) {
                    links.take(answer);
                    left -= 1;
                }
                order.push((place, request, core::mem::replace(&mut state, after)));
                (place, unanswered) = (links.next(0), false);
            }
            _ if !unanswered => (place, unanswered) = (links.next(0), true),
            end => {
                // The request of this response is not executed yet, so no request invoked after it can be executed
                // first.
                if let Some(Entry::Answered(request)) = end
                    && order.len() >= deepest
                {
                    (deepest, blocked) = (order.len(), *request);
                }
                let Some((taken, request, before)) = order.pop() else {
                    return Found::None(blocked);
                };
                state = before;
                done.flip(request);
                unanswered = true;
                if let Some(answer) = answer_of(request) {
                    links.put_back(answer);
                    left += 1;
                    unanswered = false;
                }
                links.put_back(taken);
                place = links.next(taken);
            }
        }
    }
    Found::Unknown
}
