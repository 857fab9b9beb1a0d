//! History of the clients' operations, and its linearizability check.
//!
//! A history is linearizable if each request can be assigned one instant between its invocation and its response, such
//! that a state machine that executes the requests in the order of these instants gives the same answers (Herlihy and
//! Wing, *Linearizability: A Correctness Condition for Concurrent Objects*, 1990). A history is linearizable if and
//! only if its part for each object is, which keeps the search small.
//!
//! A log that all nodes agree on is not enough for clients: an answer may come from a state that is
//! too old, or a request may take effect before it was made. Only the history of the clients shows
//! that, and it is judged without any look at the nodes.

mod objects;
pub mod search;
#[cfg(test)]
mod tests;

pub use objects::Objects;
use search::{Entry, Found, linearize};
use std::collections::{BTreeMap, BTreeSet};
use synod::machines::Key;
use synod::simulation::{Answered, Asked, Observer, Violation, WasRead};
use synod::{Outcome, RequestKey};

/// Greatest number of requests of one object that is checked, as the search takes memory for each.
/// A set of executed requests, of which it stores many, has a bit for each.
const OBJECT_MAX: usize = 10_000;
/// Greatest number of steps of the search for one object, far more than it takes to find an existing order.
const STEPS_MAX: u64 = 200_000;

/// An [`Observer`] that records the invocations and responses of the clients, to be checked after the run.
///
/// A request repeated under the same key is one request. A request without a response may have been executed or not, at
/// any time after its invocation. A registration touches no object and is not recorded.
///
/// ```
/// use synod::machines::Kv;
/// use synod::simulation::{Calm, Contention, Scenario, Simulation, Verdict};
/// use synod_host::linearizability::History;
///
/// let mut history = History::<Kv<16>>::new(10_000);
/// let mut simulation = Simulation::<Calm<_, _, 3, 256>, 16, 16, 2>::new(&Scenario::of(6, 3), Contention::new(6, 11, 2))?;
/// assert_eq!(simulation.run_observed(&mut (), &mut history), Verdict::Done);
/// let checked = history.check().expect("the log is one order of all requests");
/// assert_eq!((checked.requests, checked.unchecked), (121, 0));
/// # Ok::<(), synod::simulation::ScenarioError>(())
/// ```
#[derive(Clone, Debug)]
pub struct History<M: Objects> {
    /// Requests in the order of their first invocation.
    requests: Vec<Request<M>>,
    /// Greatest number of requests that are recorded.
    requests_max: usize,
    /// Last request of each client, as an index. A client waits for an answer before its next
    /// request, so that a response is to its last one.
    last: Vec<Option<usize>>,
    /// Number of invocations and responses so far, which serves as the clock.
    moments: u64,
    /// Number of requests that were not recorded for lack of room, by object.
    left_out: BTreeMap<Key, u64>,
}

/// A request of a client.
#[derive(Clone, Debug)]
struct Request<M: Objects> {
    /// Number of the client.
    client: u16,
    /// Session and number, which a repetition has as well.
    key: RequestKey,
    command: M::Command,
    /// Moment of the first invocation.
    asked: u64,
    /// Moment of the response and its output; `None` if none has arrived.
    answered: Option<(u64, M::Output)>,
}

/// Coverage of a check of a [`History`] that found no violation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Number of requests of objects for which an order was found.
    pub requests: u64,
    /// Number of requests of objects that were not fully checked, because there are too many requests or orders.
    pub unchecked: u64,
}

impl<M: Objects> History<M> {
    /// Returns an empty history with room for `requests_max` requests. An object with more is not checked.
    pub const fn new(requests_max: usize) -> Self {
        Self {
            requests: Vec::new(),
            requests_max,
            last: Vec::new(),
            moments: 0,
            left_out: BTreeMap::new(),
        }
    }

    /// Clears the history for the next run.
    pub fn clear(&mut self) {
        self.requests.clear();
        self.last.clear();
        self.moments = 0;
        self.left_out.clear();
    }

    /// Checks that the history is linearizable.
    ///
    /// The check takes about as many steps as there are requests if they do not overlap, and many more if they do. Its
    /// result depends only on the history, not on time.
    ///
    /// # Errors
    ///
    /// [`Violation::NotLinearizable`] if no order explains all responses, with the response that no order could pass.
    pub fn check(&self) -> Result<Checked, Violation> {
        self.check_within(STEPS_MAX)
    }

    /// Checks each object with a bound on the steps for it. An object of which requests were left
    /// out is not checked, since they may explain what the others do not.
    fn check_within(&self, steps_max: u64) -> Result<Checked, Violation> {
        let mut checked = Checked::default();
        let mut objects: BTreeMap<Key, Vec<&Request<M>>> = BTreeMap::new();
        for request in &self.requests {
            let object = M::object(&request.command);
            objects.entry(object).or_default().push(request);
        }
        let spoilt: BTreeSet<Key> = self.left_out.keys().copied().collect();
        checked.unchecked += self.left_out.values().sum::<u64>();
        for (object, requests) in objects {
            let count = u64::try_from(requests.len()).unwrap_or(u64::MAX);
            let found = if requests.len() > OBJECT_MAX || spoilt.contains(&object) {
                Found::Unknown
            } else {
                linearize(&entries(&requests), steps_max, |state, index| {
                    let request: &Request<M> = requests.get(index)?;
                    let output = request.answered.as_ref().map(|(_, output)| output);
                    M::step(state, &request.command, output)
                })
            };
            match found {
                Found::Order => checked.requests += count,
                Found::Unknown => checked.unchecked += count,
                Found::None(index) => {
                    let (client, number) = requests
                        .get(index)
                        .map(|request| (request.client, request.key.number))
                        .unwrap_or_default();
                    return Err(Violation::NotLinearizable { client, number });
                }
            }
        }
        Ok(checked)
    }

    /// Records the response to a request, if it is the first one.
    fn respond(&mut self, client: u16, key: RequestKey, output: M::Output) {
        // Moments are counted and not measured: only their order matters, and events of one instant
        // have an order, too.
        let moment = self.moments + 1;
        if let Some(request) = self.known(client, key)
            && request.answered.is_none()
        {
            request.answered = Some((moment, output));
            self.moments = moment;
        }
    }

    /// Returns the last request of a client, if it has this key.
    fn known(&mut self, client: u16, key: RequestKey) -> Option<&mut Request<M>> {
        let last = self.last.get(usize::from(client)).copied().flatten()?;
        self.requests
            .get_mut(last)
            .filter(|request| request.key == key)
    }
}

/// Returns the invocations and responses of some requests in the order of time.
fn entries<M: Objects>(requests: &[&Request<M>]) -> Vec<Entry> {
    let mut moments = BTreeMap::new();
    for (index, request) in requests.iter().enumerate() {
        moments.insert(request.asked, Entry::Asked(index));
        if let Some((answered, _)) = request.answered {
            moments.insert(answered, Entry::Answered(index));
        }
    }
    moments.into_values().collect()
}

impl<M: Objects, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Observer<M, WINDOW, CLIENTS, PAGE> for History<M>
{
    fn asked(&mut self, asked: &Asked<'_, M::Command>) {
        let (client, key) = (asked.client, asked.key);
        let Some(command) = asked.command else {
            return;
        };
        // A repetition at another node.
        if self.known(client, key).is_some() {
            return;
        }
        let place = usize::from(client);
        if self.last.len() <= place {
            self.last.resize(place + 1, None);
        }
        // Without an index, a response to a request that is not recorded is not taken for one to an
        // earlier request.
        let is_full = self.requests.len() >= self.requests_max;
        if let Some(last) = self.last.get_mut(place) {
            *last = (!is_full).then_some(self.requests.len());
        }
        if is_full {
            *self.left_out.entry(M::object(command)).or_default() += 1;
            return;
        }
        self.moments += 1;
        debug_assert!(
            self.requests.len() < self.requests_max,
            "a full history was left alone"
        );
        self.requests.push(Request {
            client,
            key,
            command: *command,
            asked: self.moments,
            answered: None,
        });
    }

    /// Only an output counts as a response: a client whose session was evicted does not know whether its request was
    /// executed.
    fn answered(&mut self, answered: &Answered<'_, M::Output>) -> Result<(), Violation> {
        if let Outcome::Applied { output, .. } = answered.outcome {
            self.respond(answered.client, answered.key, *output);
        }
        Ok(())
    }

    /// What was read without the log is a response like any other.
    fn was_read(&mut self, read: &WasRead<'_, M::Output>) {
        self.respond(read.client, read.key, *read.output);
    }
}
