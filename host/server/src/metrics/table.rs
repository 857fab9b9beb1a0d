//! The table of all figures.

use super::{Family, Figure, Kind, Section};
use crate::capacity::{CLIENTS, WINDOW};
use crate::keyspace::{BYTES_MAX, KEYS_MAX};
use synod::NodeState;

/// Builds the families. Each line has the section, the kind, the name for Prometheus and what it is, and then the figures: the
/// name in `INFO`, the label, and where the value comes from.
macro_rules! families {
    ($($section:ident $kind:ident $name:literal, $help:literal: $($key:literal [$label:literal] $value:expr),+;)*) => {
        &[$(Family {
            section: Section::$section,
            name: $name,
            kind: Kind::$kind,
            help: $help,
            figures: &[$(Figure { key: $key, label: $label, value: $value }),+],
        }),*]
    };
}

/// All figures. A counter's name ends in `_total`.
pub(super) const FAMILIES: &[Family] = families! {
    Clients Gauge "synod_clients", "Connections of clients":
        "connected_clients" [""] |f| count(f.outside.clients);
    Clients Counter "synod_clients_accepted_total", "Connections of clients that were accepted":
        "total_connections_received" [""] |f| f.outside.connections.0;
    Clients Counter "synod_clients_rejected_total", "Connections of clients that were rejected because there were too many":
        "rejected_connections" [""] |f| f.outside.connections.1;

    Memory Gauge "process_resident_memory_bytes", "Memory of the process; 0 where the system does not tell":
        "used_memory_rss" [""] |f| f.memory;
    Memory Gauge "synod_keyspace_bytes", "Bytes of all keys and values":
        "used_memory_dataset" [""] |f| count(f.keys.2);
    Memory Gauge "synod_keyspace_bytes_max", "The most bytes that all keys and values may have":
        "maxmemory" [""] |_| count(BYTES_MAX);

    Synod Flag "synod_is_leader", "1 if the node leads":
        "is_leader" [""] |f| u64::from(f.state == NodeState::Leading);
    Synod Flag "synod_has_leader", "1 if the node leads or follows a leader":
        "has_leader" [""] |f| u64::from(f.leader.is_some());
    Synod Flag "synod_is_member", "1 if the node is a member":
        "is_member" [""] |f| u64::from(f.is_member);
    Synod Flag "synod_is_durable", "0 once the storage has failed, so that the node does not vote":
        "durable" [""] |f| u64::from(f.is_durable);
    Synod Flag "synod_is_halted", "1 once the node has seen proof that its history is not that of the others":
        "halted" [""] |f| u64::from(f.state == NodeState::Halted);
    Synod Flag "synod_is_joined", "1 if the node has joined its cluster":
        "joined" [""] |f| u64::from(f.state != NodeState::Joining);
    Synod Gauge "synod_epoch", "Epoch of the members":
        "epoch" [""] |f| u64::from(f.epoch);
    Synod Gauge "synod_members", "Members of the cluster":
        "members_count" [""] |f| count(f.members);
    Synod Gauge "synod_nodes_reached", "Other nodes to which there is a connection":
        "nodes_reached" [""] |f| count(f.reached.0);
    Synod Gauge "synod_members_reached", "Other members to which there is a connection":
        "members_reached" [""] |f| count(f.reached.1);
    Synod Gauge "synod_applied_slot", "Last slot that the node has applied; all up to it are decided":
        "applied" [""] |f| f.applied.number();
    Synod Gauge "synod_keys", "Keys":
        "keys" [""] |f| count(f.keys.0);
    Synod Gauge "synod_keys_max", "The most keys":
        "keys_max" [""] |_| count(KEYS_MAX);
    Synod Gauge "synod_keys_expiring", "Keys that expire":
        "keys_expiring" [""] |f| count(f.keys.1);
    Synod Gauge "synod_keys_expired", "Keys that have expired since the cluster was founded, as of the applied slot":
        "keys_expired" [""] |f| f.expired;
    Synod Gauge "synod_waiting", "Operations of clients that wait at the node":
        "waiting" [""] |f| count(f.waiting);
    Synod Counter "synod_syncs_total", "Turns that made something durable":
        "syncs" [""] |f| f.counters.syncs;
    Synod Counter "synod_batches_total", "Batches proposed at the node":
        "batches" [""] |f| f.counters.batches;
    Synod Counter "synod_operations_total", "Operations in these batches":
        "operations" [""] |f| f.counters.operations;
    Synod Counter "synod_reads_total", "Groups of reads that were answered without a slot":
        "reads_without_slot" [""] |f| f.counters.reads;
    Synod Counter "synod_timeouts_total", "Work of clients that was not answered in time":
        "timeouts" [""] |f| f.counters.timeouts;
    Synod Counter "synod_refused_total", "Work of clients that was refused because too much waited":
        "refused" [""] |f| f.counters.refused;
    Synod Counter "synod_strangers_total", "Connections of nodes that do not belong to the cluster":
        "strangers" [""] |f| f.strangers;
    Synod Counter "synod_tls_refused_total", "Connections that did not get through TLS, by who has connected":
        "tls_refused_clients" ["from=\"clients\""] |f| f.outside.refused,
        "tls_refused_nodes" ["from=\"nodes\""] |f| f.refused;
    Synod Counter "synod_frames_unsent_total", "Frames to other nodes that were dropped because too many waited":
        "frames_unsent" [""] |f| f.unsent;
    Synod Counter "synod_frames_dropped_total", "Frames from other nodes that were dropped, by the reason":
        "frames_damaged" ["reason=\"damaged\""] |f| u64::from(f.dropped.damaged),
        "frames_foreign" ["reason=\"foreign\""] |f| u64::from(f.dropped.foreign),
        "frames_malformed" ["reason=\"malformed\""] |f| u64::from(f.dropped.malformed),
        "frames_other_version" ["reason=\"version\""] |f| u64::from(f.dropped.version);
    Synod Gauge "synod_capacity_peak", "The most that a structure of fixed size has held":
        "window_peak" ["structure=\"window\""] |f| count(f.marks.window),
        "votes_peak" ["structure=\"votes\""] |f| count(f.marks.votes),
        "waiting_peak" ["structure=\"waiting\""] |f| count(f.marks.waiting),
        "pending_peak" ["structure=\"pending\""] |f| count(f.marks.pending),
        "requesters_peak" ["structure=\"requesters\""] |f| count(f.marks.requesters),
        "sessions_peak" ["structure=\"sessions\""] |f| count(f.marks.sessions);
    Synod Gauge "synod_capacity", "The size of such a structure":
        "window" ["structure=\"window\""] |_| count(WINDOW),
        "votes_max" ["structure=\"votes\""] |_| count(WINDOW),
        "waiting_max" ["structure=\"waiting\""] |_| count(CLIENTS),
        "pending_max" ["structure=\"pending\""] |_| count(CLIENTS),
        "requesters_max" ["structure=\"requesters\""] |_| count(CLIENTS),
        "sessions_max" ["structure=\"sessions\""] |_| count(CLIENTS);
    Synod Gauge "synod_journal_bytes", "Bytes of records in the journal":
        "journal_bytes" [""] |f| count(f.journal.used);
    Synod Gauge "synod_journal_bytes_peak", "The most bytes of records that the journal has held":
        "journal_bytes_peak" [""] |f| count(f.journal.peak);
    Synod Gauge "synod_journal_capacity_bytes", "Bytes of records that fit in the journal; 0 without one":
        "journal_capacity" [""] |f| count(f.journal.capacity);
    Synod Counter "synod_journal_checkpoints_total", "Checkpoints that were completed":
        "journal_checkpoints" [""] |f| u64::from(f.journal.checkpoints);
    Synod Counter "synod_scrapes_total", "Requests for metrics, by what became of them":
        "scrapes_served" ["outcome=\"served\""] |f| f.outside.scrapes.served,
        "scrapes_refused" ["outcome=\"refused\""] |f| f.outside.scrapes.refused;
    Synod Gauge "process_start_time_seconds", "When the process began, since 1970":
        "started_at" [""] |f| f.outside.start;
    Synod Gauge "synod_clock_seconds", "The time of the wall clock, since 1970":
        "clock" [""] |f| f.outside.unix;
};

/// Returns a count as a figure.
fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
