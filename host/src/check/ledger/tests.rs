//! Violations of each invariant, reported to the ledger one by one.

use super::*;
use crate::check::{Explorer, Invariant};
use synod::{Change, Message, Outcome, Reply, RequestKey};

const N: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

fn ballot(round: u64, node: NodeId) -> Ballot {
    Ballot::new(round, node)
}

fn asks(command: u32) -> Asked {
    Proposal::Request {
        client: ClientId(u64::from(command) + 1),
        number: RequestNumber(1),
        command,
    }
}

fn vote(slot: u64, ballot: Ballot, command: u32) -> Entry<u32> {
    let (slot, proposal) = (Slot::new(slot), asks(command));
    Entry {
        slot,
        ballot,
        proposal,
    }
}

/// Returns three nodes with two slots in the log, and their ledger after two requests.
fn court() -> (Vec<Member>, Ledger) {
    let explorer = Explorer::new(Scope::small()).unwrap();
    let nodes: Vec<Member> = explorer.start().nodes().cloned().collect();
    let mut ledger = Ledger::new(nodes.iter());
    ledger.ask(asks(0));
    ledger.ask(asks(1));
    (nodes, ledger)
}

fn broken(verdict: Result<(), Broken>) -> Invariant {
    verdict.expect_err("a rule is broken").invariant
}

#[test]
fn a_correct_node_violates_nothing() {
    let (nodes, mut ledger) = court();
    ledger.see_promised(N[0], ballot(2, N[0])).unwrap();
    for node in N {
        ledger
            .see_accepted(node, &vote(3, ballot(2, N[0]), 0))
            .unwrap();
    }
    ledger.see_applied(N[1], Slot::new(3), &asks(0), 7).unwrap();
    ledger.see_claim(N[1], ballot(3, N[1])).unwrap();
    ledger
        .see_accepted(N[1], &vote(3, ballot(3, N[1]), 0))
        .unwrap();
    let page = [vote(3, ballot(3, N[1]), 0)];
    ledger
        .see_page(&nodes[1], Slot::new(3), true, &page)
        .unwrap();
}

#[test]
fn one_ballot_has_one_value() {
    let (_, mut ledger) = court();
    ledger
        .see_accepted(N[0], &vote(3, ballot(2, N[0]), 0))
        .unwrap();
    let other = ledger.see_accepted(N[1], &vote(3, ballot(2, N[0]), 1));
    assert_eq!(broken(other), Invariant::OneValue);
}

#[test]
fn no_two_quorums_choose_two_values() {
    let (_, mut ledger) = court();
    // Two of them reveal only now what they had accepted.
    ledger.poll(N[1], &vote(3, ballot(3, N[2]), 1));
    ledger.poll(N[2], &vote(3, ballot(3, N[2]), 1));
    ledger.poll(N[0], &vote(3, ballot(2, N[0]), 0));
    let second = ledger.see_accepted(N[1], &vote(3, ballot(2, N[0]), 0));
    assert_eq!(broken(second), Invariant::Agreement);
}

#[test]
fn no_other_value_is_accepted_after_one_was_chosen() {
    let (_, mut ledger) = court();
    for node in [N[0], N[1]] {
        ledger
            .see_accepted(node, &vote(3, ballot(2, N[0]), 0))
            .unwrap();
    }
    let other = ledger.see_accepted(N[2], &vote(3, ballot(3, N[2]), 1));
    assert_eq!(broken(other), Invariant::Succession);
}

#[test]
fn applied_values_were_chosen_and_are_the_same_everywhere() {
    let (_, mut ledger) = court();
    ledger
        .see_accepted(N[0], &vote(3, ballot(2, N[0]), 0))
        .unwrap();
    let early = ledger.see_applied(N[0], Slot::new(3), &asks(0), 7);
    assert_eq!(broken(early), Invariant::Decision);
    ledger
        .see_accepted(N[1], &vote(3, ballot(2, N[0]), 0))
        .unwrap();
    ledger.see_applied(N[0], Slot::new(3), &asks(0), 7).unwrap();
    ledger.poll(N[1], &vote(3, ballot(9, N[1]), 1));
    ledger.poll(N[2], &vote(3, ballot(9, N[1]), 1));
    let other = ledger.see_applied(N[2], Slot::new(3), &asks(1), 7);
    assert_eq!(broken(other), Invariant::Decision);
    let gap = ledger.see_applied(N[2], Slot::new(5), &asks(1), 7);
    assert_eq!(broken(gap), Invariant::Decision);
}

#[test]
fn only_requested_values_are_accepted() {
    let (_, mut ledger) = court();
    let invented = ledger.see_accepted(N[0], &vote(3, ballot(2, N[0]), 7));
    assert_eq!(broken(invented), Invariant::Validity);
}

#[test]
fn promises_never_decrease_and_ballots_are_claimed_once() {
    let (nodes, mut ledger) = court();
    ledger.see_promised(N[0], ballot(3, N[1])).unwrap();
    let lower = ledger.see_promised(N[0], ballot(2, N[1]));
    assert_eq!(broken(lower), Invariant::Promise);
    let under = ledger.see_accepted(N[0], &vote(3, ballot(2, N[1]), 0));
    assert_eq!(broken(under), Invariant::Promise);

    ledger.see_claim(N[1], ballot(4, N[1])).unwrap();
    ledger
        .see_claim(N[1], ballot(4, N[1]))
        .expect("it repeats itself");
    assert_eq!(
        broken(ledger.see_claim(N[1], ballot(3, N[1]))),
        Invariant::Promise
    );
    ledger.restart(&nodes[1], false).unwrap();
    assert_eq!(
        broken(ledger.see_claim(N[1], ballot(4, N[1]))),
        Invariant::Promise
    );
}

/// Returns the node after it has voted for slot 3.
fn voter(node: &Member) -> Member {
    let mut node = node.clone();
    let message = Message::Accept {
        ballot: ballot(2, N[0]),
        first: Slot::new(3),
        decided: Slot::new(2),
        proposals: [asks(0)].into_iter().collect(),
    };
    let message = synod::Envelope {
        cluster: node.fingerprint(),
        from: N[0],
        to: node.id(),
        message,
    };
    let mut outbox = Outbox::<_, PAGE, ROOM>::new();
    node.handle_message(synod::Instant::ZERO, &message, &mut outbox, &mut ());
    assert_eq!(node.votes().count(), 1);
    node
}

#[test]
fn an_acceptor_reports_all_its_votes() {
    let (nodes, mut ledger) = court();
    ledger
        .see_accepted(N[1], &vote(3, ballot(2, N[0]), 0))
        .unwrap();
    let silent = ledger.see_page(&nodes[1], Slot::new(3), true, &[]);
    assert_eq!(broken(silent), Invariant::Memory);
    ledger
        .see_page(&nodes[1], Slot::new(3), false, &[])
        .expect("more is to come");
    let old = [vote(3, ballot(1, N[0]), 0)];
    let other = ledger.see_page(&nodes[1], Slot::new(3), true, &old);
    assert_eq!(broken(other), Invariant::Memory);
    // Written votes must be in the node as well, and vice versa.
    assert_eq!(broken(ledger.restart(&nodes[1], false)), Invariant::Memory);
    let (_, mut forgetful) = court();
    forgetful.see_promised(N[1], ballot(2, N[0])).unwrap();
    let voted = voter(&nodes[1]);
    assert_eq!(broken(forgetful.restart(&voted, false)), Invariant::Memory);
    // A write during which power failed may be present or not.
    let (_, mut torn) = court();
    torn.restart(&voted, true).unwrap();
    assert!(torn.has_voted(N[1], &vote(3, ballot(2, N[0]), 0)));
    torn.restart(&voted, false).expect("now it is known");
}

/// Returns the change by which node 2 leaves.
fn change() -> Asked {
    Proposal::Reconfigure(Change {
        epoch: Epoch::FIRST,
        members: NodeSet::first(2),
    })
}

/// Returns a vote for the change.
fn vote_to_change(slot: u64, ballot: Ballot) -> Entry<u32> {
    let (slot, proposal) = (Slot::new(slot), change());
    Entry {
        slot,
        ballot,
        proposal,
    }
}

/// Returns the ledger after the change in slot 3, above which nodes 1 and 2 had chosen command 0 before.
fn court_of_two() -> Ledger {
    let (_, mut ledger) = court();
    ledger.ask(change());
    for node in [N[1], N[2]] {
        ledger
            .see_accepted(node, &vote(4, ballot(2, N[1]), 0))
            .unwrap();
    }
    for node in [N[0], N[1]] {
        ledger
            .see_accepted(node, &vote_to_change(3, ballot(3, N[0])))
            .unwrap();
    }
    ledger
        .see_applied(N[0], Slot::new(3), &change(), 7)
        .unwrap();
    ledger
}

#[test]
fn a_decision_that_rests_on_void_votes_is_found() {
    let mut ledger = court_of_two();
    let void = ledger.see_applied(N[0], Slot::new(4), &asks(0), 8);
    assert_eq!(broken(void), Invariant::Decision);
    // The next epoch may choose something else, by a majority of its own members.
    let other = vote(4, Ballot::of(Epoch(1), 1, N[0]), 1);
    for node in [N[0], N[2]] {
        ledger.see_accepted(node, &other).unwrap();
    }
    let early = ledger.see_applied(N[0], Slot::new(4), &asks(1), 8);
    assert_eq!(broken(early), Invariant::Decision);
    ledger.see_accepted(N[1], &other).unwrap();
    ledger.see_applied(N[0], Slot::new(4), &asks(1), 8).unwrap();
}

#[test]
fn a_leader_proposes_nothing_above_the_end_of_its_epoch_and_nothing_below_its_beginning() {
    let (_, mut ledger) = court();
    ledger.ask(change());
    let (end, above) = (
        vote_to_change(3, ballot(2, N[0])),
        vote(4, ballot(2, N[0]), 0),
    );
    for (first, second) in [(&end, &above), (&above, &end)] {
        let mut ledger = ledger.clone();
        ledger.see_accepted(N[0], first).unwrap();
        let overtaken = ledger.see_accepted(N[0], second);
        assert_eq!(broken(overtaken), Invariant::Membership);
    }
    let late = vote(3, Ballot::of(Epoch(1), 1, N[0]), 0);
    let again = court_of_two().see_accepted(N[0], &late);
    assert_eq!(broken(again), Invariant::Membership);
}

#[test]
fn a_node_speaks_only_as_a_member_of_an_epoch_that_it_has_entered() {
    let (nodes, mut ledger) = court();
    let claim = |epoch, node| Message::Prepare {
        ballot: Ballot::of(Epoch(epoch), 2, node),
        from: Slot::new(3),
    };
    let early = ledger.see_message(&nodes[0], &claim(1, N[0]));
    assert_eq!(broken(early), Invariant::Membership);
    ledger.see_message(&nodes[2], &claim(0, N[2])).unwrap();
    ledger.epochs = vec![Reign {
        after: Slot::ZERO,
        members: NodeSet::first(2),
    }];
    let stranger = ledger.see_message(&nodes[2], &claim(0, N[2]));
    assert_eq!(broken(stranger), Invariant::Membership);
    let write = Write::Promised(Ballot::of(Epoch(1), 1, N[0]));
    let mut outbox = Outbox::new();
    outbox.writes.push(write).unwrap();
    let (facts, scope) = (Facts::default(), Scope::small());
    let promises = ledger.see(&nodes[0], &nodes[0], &outbox, &facts, &scope);
    assert_eq!(broken(promises), Invariant::Membership);
}

#[test]
fn nodes_that_have_applied_the_same_slots_have_the_same_state() {
    let (nodes, mut ledger) = court();
    ledger.base.1 ^= 1;
    assert_eq!(broken(ledger.restart(&nodes[0], false)), Invariant::State);
}

#[test]
fn a_request_takes_effect_once() {
    let (nodes, mut ledger) = court();
    // The ledger has a request in slot 2 that the node lacks.
    let (proposal, chain) = (asks(0), Some(ledger.base.1));
    ledger.base = (Slot::new(1), 0);
    ledger.log.push(Decided { proposal, chain });
    assert_eq!(broken(ledger.restart(&nodes[0], false)), Invariant::Once);
    // A repeated request has no effect, and the same answer.
    ledger.log.push(Decided { proposal, chain });
    let key = RequestKey {
        client: ClientId(1),
        number: RequestNumber(1),
    };
    let reply = |slot, output| Reply {
        key,
        fingerprint: proposal.fingerprint(),
        outcome: Outcome::Applied {
            slot: Slot::new(slot),
            output,
        },
    };
    ledger.see_reply(N[0], &reply(2, 1)).unwrap();
    for wrong in [reply(3, 1), reply(2, 2)] {
        assert_eq!(broken(ledger.see_reply(N[0], &wrong)), Invariant::Once);
    }
}

#[test]
fn a_value_announced_by_a_leader_was_accepted_by_a_quorum() {
    let (nodes, mut ledger) = court();
    let scope = Scope::small();
    let mut facts = Facts::default();
    facts.chosen.push((Slot::new(3), ballot(2, N[0]), asks(0)));
    let verdict = ledger.see(&nodes[0], &nodes[0], &Outbox::new(), &facts, &scope);
    assert_eq!(broken(verdict), Invariant::Decision);
}

#[test]
fn a_read_is_as_new_as_what_clients_were_told_before_it() {
    let (nodes, mut ledger) = court();
    let scope = Scope {
        reads: 4,
        ..Scope::small()
    };
    let reply = |nonce, outcome| Reply {
        key: RequestKey::read(nonce),
        fingerprint: 0,
        outcome,
    };
    let applied = nodes[0].applied();
    let readable = |nonce| reply(nonce, Outcome::Readable { applied });
    assert_eq!(ledger.ask_read(N[0], &scope), 1);
    ledger.note_told(1, &scope);
    assert_eq!(ledger.ask_read(N[0], &scope), 2);
    assert_eq!(ledger.ask_read(N[0], &scope), 3);
    // What was told meanwhile, the first read need not show; no request has taken effect at this node.
    ledger.see_read(&nodes[0], &readable(1), &scope).unwrap();
    let not_now = reply(2, Outcome::NotNow);
    ledger.see_read(&nodes[0], &not_now, &scope).unwrap();
    let stale = ledger.see_read(&nodes[0], &readable(3), &scope);
    assert_eq!(broken(stale), Invariant::Read);
    // Once each, and at the node that was asked.
    assert_eq!(ledger.ask_read(N[0], &scope), 4);
    for (node, nonce) in [(0, 1), (1, 4), (0, 5)] {
        let answered = ledger.see_read(&nodes[node], &readable(nonce), &scope);
        assert_eq!(broken(answered), Invariant::Once, "read {nonce}");
    }
    assert!(!ledger.may_read(&scope));
}

#[test]
fn a_read_is_lost_with_the_power_of_its_node() {
    let (nodes, mut ledger) = court();
    let scope = Scope {
        reads: 1,
        ..Scope::small()
    };
    let nonce = ledger.ask_read(N[0], &scope);
    ledger.restart(&nodes[0], false).unwrap();
    let reply = Reply {
        key: RequestKey::read(nonce),
        fingerprint: 0,
        outcome: Outcome::NotNow,
    };
    let answered = ledger.see_read(&nodes[0], &reply, &scope);
    assert_eq!(broken(answered), Invariant::Once);
}
