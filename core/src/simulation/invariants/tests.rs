//! Tests that each rule is found broken, from steps that are forged to break it.

extern crate std;
use super::ballots::Ballots;
use super::epochs::Epochs;
use super::memory::Memory;
use super::*;
use crate::machines::{Key, Kv, KvCommand, KvReply};
use crate::message::{Entries, Proposals};
use crate::simulation::{
    Fixed, KvScript, Network, Perfect, Scenario, Simulation, Size, Verdict, Workload,
};
use crate::{
    Ballot, Change, ChangeError, ClientId, Config, Entry, Envelope, Epoch, MalformedPage, Message,
    NodeSet, Outbox, Outgoing, Reader, Reply, RequestKey, RequestNumber, Role, SnapshotId, Writer,
};
use core::cell::Cell;
use core::marker::PhantomData;
use std::boxed::Box;

type Machine = Kv<16>;
type Small = Node<Machine, 16, 16, 2>;
type Plain = Recent<Machine, KvScript, 64>;
type World = Simulation<Plain, 16, 16, 2>;
type Checkers = Invariants<Plain, 16, 16, 2>;
type Asks = Proposal<KvCommand>;
type Eyes = dyn Observer<Machine, 16, 16, 2>;

/// Three nodes, with checkers that look back for no more than `SLOTS` slots.
#[derive(Clone, Copy, Debug)]
struct Recent<M, L, const SLOTS: usize>(PhantomData<fn() -> (M, L)>);

impl<M: StateMachine, L: Workload<M>, const SLOTS: usize> Setting<16, 16, 2>
    for Recent<M, L, SLOTS>
{
    type Machine = M;
    type Workload = L;
    type Nemesis = Network;
    type Stores = Perfect;
    type Room = Fixed<3, 256, SLOTS>;
}

const LEADER: NodeId = NodeId(0);
const FOLLOWER: NodeId = NodeId(1);

/// A run that is under way, with everything in it seen.
struct Scene {
    world: Box<World>,
    checkers: Box<Checkers>,
}

impl Scene {
    fn new() -> Self {
        let mut scenario = Scenario::of(6, 3);
        scenario.link.loss_ppm = 0;
        let world = Box::new(World::new(&scenario, KvScript::new(11)).unwrap());
        let checkers = Box::new(Checkers::new());
        let mut scene = Self { world, checkers };
        scene.run_to(30);
        scene
    }

    /// Runs until the follower has applied so many slots, and holds votes that it has not.
    fn run_to(&mut self, applied: u64) {
        loop {
            let node = self.world.node(FOLLOWER).unwrap();
            let ahead = node.votes().any(|vote| vote.slot > node.applied());
            if node.applied() >= Slot::new(applied) && ahead {
                break;
            }
            let ended = self.world.step_observed(&mut (), &mut *self.checkers);
            assert_eq!(ended, None);
        }
        let leads = self.world.node(LEADER).unwrap().leading();
        assert!(leads.is_some(), "in this run the founder leads");
    }

    fn node(&self, node: NodeId) -> Small {
        self.world.node(node).unwrap().clone()
    }

    /// The next step of a node, as it would be with these writes, messages and replies.
    fn step(
        &mut self,
        node: &Small,
        writes: &[Write<KvCommand>],
        messages: &[Message<Machine, 2>],
        replies: &[Reply<KvReply>],
    ) -> Result<(), Violation> {
        let messages: std::vec::Vec<_> = messages
            .iter()
            .map(|message| Outgoing {
                role: Role::Node,
                to: NodeSet::only(NodeId(2)),
                message: message.clone(),
            })
            .collect();
        self.checkers.stepped(&StepsTaken {
            at: self.world.now(),
            since: self.world.now(),
            node,
            progress: NodeProgress::of(node),
            boundaries: &[],
            writes,
            messages: &messages,
            replies,
        })
    }

    fn writes(&mut self, node: NodeId, write: Write<KvCommand>) -> Violation {
        let node = self.node(node);
        self.step(&node, &[write], &[], &[]).unwrap_err()
    }

    fn says(&mut self, node: NodeId, message: Message<Machine, 2>) -> Violation {
        let node = self.node(node);
        self.step(&node, &[], &[message], &[]).unwrap_err()
    }

    fn replies(
        &mut self,
        client: ClientId,
        number: u32,
        outcome: Outcome<KvReply>,
    ) -> Result<(), Violation> {
        let node = self.node(FOLLOWER);
        let number = RequestNumber(number);
        let key = RequestKey { client, number };
        let slot = match outcome {
            Outcome::Applied { slot, .. } => slot,
            Outcome::Registered { client } => Slot::new(client.0),
            _ => Slot::ZERO,
        };
        let fingerprint = node.decision(slot).map_or(0, Proposal::fingerprint);
        let reply = Reply {
            key,
            fingerprint,
            outcome,
        };
        self.step(&node, &[], &[], &[reply])
    }

    fn ballot(&self) -> Ballot {
        self.node(LEADER).promised()
    }

    fn higher(&self) -> Ballot {
        Ballot::succeeding(self.ballot(), FOLLOWER).unwrap()
    }
}

fn unheard_of() -> Asks {
    Proposal::Request {
        client: ClientId(1),
        number: RequestNumber(7_000),
        command: KvCommand::Get(Key::numbered(0)),
    }
}

fn vote(slot: Slot, ballot: Ballot, proposal: Asks) -> Write<KvCommand> {
    Write::Accepted(Entry {
        slot,
        ballot,
        proposal,
    })
}

#[test]
fn what_the_nodes_do_breaks_nothing() {
    let mut scene = Scene::new();
    for node in [LEADER, FOLLOWER] {
        let node = scene.node(node);
        assert_eq!(scene.step(&node, &[], &[], &[]), Ok(()));
    }
    let ended = scene.world.run_observed(&mut (), &mut *scene.checkers);
    assert_eq!(ended, Verdict::Done);
    assert_eq!(scene.checkers.ended(scene.world.nodes()), Ok(()));
}

#[test]
fn a_second_value_under_one_ballot_is_found() {
    let mut scene = Scene::new();
    let known = scene.node(FOLLOWER).votes().last().unwrap();
    let found = scene.writes(FOLLOWER, vote(known.slot, known.ballot, Proposal::Noop));
    let (node, slot, ballot) = (FOLLOWER, known.slot, known.ballot);
    assert_eq!(found, Violation::TwoValues { node, slot, ballot });
}

#[test]
fn another_value_above_a_chosen_one_is_found() {
    let mut scene = Scene::new();
    let (node, slot, ballot) = (FOLLOWER, Slot::new(20), scene.higher());
    assert_eq!(
        scene.writes(node, vote(slot, ballot, Proposal::Noop)),
        Violation::UnsafeProposal { node, slot, ballot }
    );
}

#[test]
fn a_value_that_nobody_asked_for_is_found() {
    let mut scene = Scene::new();
    let (node, ballot) = (FOLLOWER, scene.ballot());
    let slot = scene.node(LEADER).applied().checked_add(12).unwrap();
    assert_eq!(
        scene.writes(node, vote(slot, ballot, unheard_of())),
        Violation::Invented { node, slot, ballot }
    );
    let mut scene = Scene::new();
    let (node, first, decided) = (LEADER, slot, Slot::new(1));
    let proposals = Proposals::<Machine, 2>::from_slice(&[unheard_of()]).unwrap();
    let accept = Message::Accept {
        ballot,
        first,
        decided,
        proposals,
    };
    assert_eq!(
        scene.says(node, accept),
        Violation::Invented { node, slot, ballot }
    );
}

/// The third node has answered heartbeats, and whoever is not of the cluster yet has told nobody how far it is.
#[test]
fn v8_a_leader_that_proposes_members_which_have_said_nothing_is_found() {
    let strangers = NodeSet::only(NodeId(40)).union(NodeSet::only(LEADER));
    for (members, found) in [(NodeSet::first(3), false), (strangers, true)] {
        let mut scene = Scene::new();
        let (epoch, ballot) = (Epoch::FIRST, scene.ballot());
        let change = Change { epoch, members };
        scene.checkers.asked_change(&change);
        let leader = scene.node(LEADER);
        let proposals = [Proposal::Reconfigure(change)];
        let accept = Message::Accept {
            ballot,
            first: leader.applied().checked_add(12).unwrap(),
            decided: Slot::new(1),
            proposals: Proposals::<Machine, 2>::from_slice(&proposals).unwrap(),
        };
        let hasty = Err(Violation::HastyChange { node: LEADER });
        let judged = scene.step(&leader, &[], &[accept], &[]);
        assert_eq!(judged == hasty, found, "{judged:?}");
    }
}

/// A message arrives at a node, which does nothing about it.
fn passes_over(scene: &mut Scene, node: NodeId, from: NodeId, message: Message<Machine, 2>) {
    let (kind, member) = (message.kind(), scene.node(node));
    let envelope = Envelope {
        cluster: member.fingerprint(),
        from,
        to: node,
        message,
    };
    scene.checkers.arrives(&member, &envelope);
    let handled = scene.checkers.handled(&Handled {
        now: scene.world.now(),
        node: &member,
        envelope: &envelope,
        waiting: &[],
        added: 0,
    });
    let neglected = Violation::Neglected {
        node,
        message: kind,
    };
    assert_eq!(handled, Err(neglected), "{kind:?}");
}

#[test]
fn a_node_that_passes_over_a_message_is_found() {
    let mut scene = Scene::new();
    let (leads, next) = (scene.ballot(), scene.higher());
    let follower = scene.node(FOLLOWER);
    let (applied, vote) = (follower.applied(), follower.votes().last().unwrap());
    let later = applied.checked_add(100).unwrap();
    let proposals = Proposals::<Machine, 2>::from_slice(&[vote.proposal]).unwrap();
    let claim = Ballot::succeeding(next, LEADER).unwrap();
    let of_leader = [
        Message::Probe { ballot: claim },
        Message::Prepare {
            ballot: claim,
            from: applied,
        },
        Message::Accept {
            ballot: leads,
            first: vote.slot,
            decided: Slot::ZERO,
            proposals: proposals.clone(),
        },
        Message::Decision {
            ballot: leads,
            decided: later,
        },
        Message::Heartbeat {
            ballot: leads,
            decided: Slot::ZERO,
            chain: 0,
        },
        Message::Confirm {
            ballot: leads,
            round: 1,
        },
        Message::Learn { from: applied },
        Message::Decisions {
            first: applied,
            applied: later,
            proposals,
        },
        Message::Join {
            snapshot: None,
            page: 0,
            count: 1,
        },
    ];
    for message in of_leader {
        passes_over(&mut scene, FOLLOWER, LEADER, message);
    }
    let nonce = 7;
    let of_others = [
        Message::Propose {
            proposal: Proposal::Register { nonce },
            retry: false,
        },
        Message::ReadIndex {
            nonce,
            reader: NodeId(2),
        },
    ];
    for message in of_others {
        passes_over(&mut scene, FOLLOWER, NodeId(2), message);
    }
}

#[test]
fn a_leader_that_passes_over_an_answer_is_found() {
    let mut scene = Scene::new();
    let (leads, next) = (scene.ballot(), scene.higher());
    let vote = scene.node(FOLLOWER).votes().last().unwrap();
    let later = vote.slot.checked_add(100).unwrap();
    let accepted = |promised, low_water| Message::Accepted {
        ballot: leads,
        promised,
        first: vote.slot,
        count: 0,
        low_water,
    };
    passes_over(&mut scene, LEADER, FOLLOWER, accepted(leads, later));
    passes_over(&mut scene, LEADER, FOLLOWER, accepted(next, Slot::ZERO));
}

#[test]
fn l8_a_proposal_that_is_passed_on_otherwise_than_it_came_is_found() {
    let mut scene = Scene::new();
    let (follower, proposal) = (scene.node(FOLLOWER), Proposal::Register { nonce: 7 });
    let other = NodeId(2);
    let passed = |to, retry| Outgoing {
        role: Role::Replica,
        to: NodeSet::only(to),
        message: Message::Propose { proposal, retry },
    };
    let envelope = Envelope {
        cluster: follower.fingerprint(),
        from: other,
        to: FOLLOWER,
        message: Message::Propose {
            proposal,
            retry: true,
        },
    };
    for (waiting, is_right) in [
        (passed(LEADER, true), true),
        (passed(LEADER, false), false),
        (passed(other, true), false),
    ] {
        scene.checkers.arrives(&follower, &envelope);
        let handled = scene.checkers.handled(&Handled {
            now: scene.world.now(),
            node: &follower,
            envelope: &envelope,
            waiting: &[waiting],
            added: 0,
        });
        assert_eq!(handled.is_ok(), is_right);
    }
}

#[test]
fn t4_a_missing_page_is_asked_for_again_when_a_later_one_comes_first() {
    let id = SnapshotId {
        at: Slot::new(9),
        digest: 4,
    };
    let mut node = Small::join(Config::new(FOLLOWER, 3), 6, Instant::ZERO).unwrap();
    let mut scene = Scene::new();
    let page = |index, bytes: &[u8]| Envelope {
        cluster: node.fingerprint(),
        from: LEADER,
        to: FOLLOWER,
        message: Message::Welcome {
            snapshot: id,
            page: index,
            pages: 4,
            bytes: Vec::from_slice(bytes).unwrap(),
        },
    };
    // A header as of a snapshot without sessions.
    let mut head = std::vec![0; 38];
    (head[0], head[20], head[28]) = (9, 7, 7);
    let (first, early) = (page(0, &head), page(2, &[]));
    let mut outbox = Outbox::<Machine, 2, { Small::OUTBOX_MIN }>::new();
    node.handle_message(Instant::ZERO, &first, &mut outbox, &mut ());
    outbox.clear();
    let mut done = node.clone();
    done.handle_message(Instant::ZERO, &early, &mut outbox, &mut ());
    for (after, waiting, is_right) in [(&node, &[][..], false), (&done, &outbox.messages, true)] {
        scene.checkers.arrives(&node, &early);
        let handled = scene.checkers.handled(&Handled {
            now: Instant::ZERO,
            node: after,
            envelope: &early,
            waiting,
            added: 0,
        });
        assert_eq!(handled.is_ok(), is_right, "{waiting:?}");
    }
}

#[test]
fn f2_a_timer_that_is_armed_for_another_span_is_found() {
    let mut scene = Scene::new();
    let mut node = scene.node(LEADER);
    let now = node.next_deadline().unwrap();
    scene.checkers.note_timers_now(&node);
    let mut outbox = Outbox::<Machine, 2, { Small::OUTBOX_MIN }>::new();
    node.handle_timeout(now, &mut outbox, &mut ());
    assert_eq!(scene.checkers.fired(now, &node), Ok(()));
    scene.checkers.note_timers_now(&scene.node(LEADER));
    let before = Instant::from_micros(now.as_micros() - 1);
    assert_eq!(
        scene.checkers.fired(before, &node),
        Err(Violation::WrongSpan { node: LEADER })
    );
}

#[test]
fn v4_one_change_of_an_epoch_is_answered_with_its_effect_and_the_others_are_not() {
    let mut scene = Scene::new();
    let (took_effect, lost) = (NodeSet::first(2), NodeSet::first(4));
    let epoch = Epoch::FIRST;
    let change = |members| Change { epoch, members };
    let begun = scene
        .checkers
        .facts
        .epochs
        .play(Slot::new(90), &change(took_effect));
    assert_eq!(begun, Ok(Epoch(1)));
    let (won, late) = (
        Outcome::Reconfigured { epoch: Epoch(1) },
        Outcome::Unchanged(ChangeError::Epoch { present: Epoch(1) }),
    );
    for (members, outcome, is_right) in [
        (took_effect, won, true),
        (took_effect, late, false),
        (lost, won, false),
        (lost, late, true),
    ] {
        let reply = Reply {
            key: RequestKey::change(epoch),
            fingerprint: change(members).fingerprint(),
            outcome,
        };
        assert_eq!(scene.checkers.replied(LEADER, &reply).is_ok(), is_right);
    }
}

#[test]
fn what_was_asked_is_known_until_much_more_was_asked() {
    let mut requests = Requests::new();
    let request = |nonce| Proposal::<KvCommand>::Register { nonce };
    let mut ask = |nonce| {
        requests.ask::<KvCommand>(0, RequestKey::registration(nonce), None);
        (
            requests.knows(&request(0)),
            requests.knows(&request(nonce)),
            requests.knows(&request(u64::MAX)),
        )
    };
    for nonce in 0..1_500 {
        assert_eq!(ask(nonce), (Known::Is(()), Known::Is(()), Known::Not));
    }
    for nonce in 1_500..5_000 {
        let (first, last, never) = ask(nonce);
        assert_eq!(last, Known::Is(()));
        if nonce >= 1_600 {
            assert_eq!((first, never), (Known::Forgotten, Known::Forgotten));
        }
    }
}

#[test]
fn a_promise_below_the_promise_is_found() {
    let mut scene = Scene::new();
    let (node, ballot) = (FOLLOWER, Ballot::new(1, NodeId(0)));
    let ballot = if ballot < scene.ballot() {
        ballot
    } else {
        Ballot::NULL
    };
    assert_eq!(
        scene.writes(node, Write::Promised(ballot)),
        Violation::BallotWentBack { node, ballot }
    );
}

#[test]
fn a_node_that_does_not_hold_what_it_wrote_is_found() {
    let mut scene = Scene::new();
    let (node, written) = (FOLLOWER, scene.higher());
    let ballot = scene.ballot();
    assert_eq!(
        scene.writes(node, Write::Promised(written)),
        Violation::BallotWentBack { node, ballot }
    );
}

#[test]
fn a_promise_that_is_told_before_it_is_written_is_found() {
    let mut scene = Scene::new();
    let (node, ballot) = (FOLLOWER, scene.higher());
    let promise = Message::Promise {
        ballot,
        promised: ballot,
        from: Slot::FIRST,
        low_water: Slot::ZERO,
        last: true,
        entries: Entries::<Machine, 2>::new(),
    };
    let unwritten = Violation::UnwrittenPromise { node, ballot };
    assert_eq!(scene.says(node, promise), unwritten);
    let from = Slot::FIRST;
    let claim = Message::Prepare { ballot, from };
    assert_eq!(scene.says(node, claim), unwritten);
    // And one that nobody was told of yet.
    let silent = scene.node(node);
    scene.checkers.reset();
    let found = scene.step(&silent, &[], &[], &[]).unwrap_err();
    let ballot = silent.promised();
    assert_eq!(found, Violation::UnwrittenPromise { node, ballot });
}

#[test]
fn a_vote_that_is_told_before_it_is_written_is_found() {
    let mut scene = Scene::new();
    let (node, ballot) = (FOLLOWER, scene.ballot());
    let slot = scene.node(LEADER).applied().checked_add(12).unwrap();
    let accepted = Message::Accepted {
        ballot,
        promised: ballot,
        first: slot,
        count: 1,
        low_water: Slot::ZERO,
    };
    assert_eq!(
        scene.says(node, accepted),
        Violation::UnwrittenVote { node, slot, ballot }
    );
}

#[test]
fn a_promise_that_leaves_out_or_changes_a_vote_is_found() {
    let mut scene = Scene::new();
    let (node, ballot) = (FOLLOWER, scene.ballot());
    let first = scene.node(node).votes().next().unwrap();
    let promise = |entries: &[Entry<KvCommand>]| Message::Promise {
        ballot,
        promised: ballot,
        from: first.slot,
        low_water: Slot::ZERO,
        last: true,
        entries: Entries::<Machine, 2>::from_slice(entries).unwrap(),
    };
    let slot = first.slot;
    let untold = Violation::UntoldVote { node, slot, ballot };
    assert_eq!(scene.says(node, promise(&[])), untold, "left out");
    let proposal = Proposal::Noop;
    let changed = Entry { proposal, ..first };
    assert_eq!(scene.says(node, promise(&[changed])), untold, "changed");
    let ballot = Ballot::new(1_000, NodeId(2));
    let newer = Entry { ballot, ..first };
    assert_eq!(scene.says(node, promise(&[newer])), untold, "made newer");
}

#[test]
fn a_promise_tells_what_was_accepted_by_its_step_and_not_what_a_later_one_accepts() {
    for (boundaries, found) in [(1, true), (0, false)] {
        let mut scene = Scene::new();
        let (node, ballot) = (scene.node(FOLLOWER), scene.higher());
        // What nobody has voted for yet.
        let slot = scene.node(LEADER).votes().last().unwrap().slot;
        let slot = slot.next().unwrap();
        let promise = Message::Promise {
            ballot,
            promised: ballot,
            from: slot,
            low_water: Slot::ZERO,
            last: true,
            entries: Entries::<Machine, 2>::new(),
        };
        let messages = [Outgoing {
            role: Role::Acceptor,
            to: NodeSet::only(LEADER),
            message: promise,
        }];
        let boundary = StepBoundary {
            writes: 1,
            messages: 1,
        };
        let stepped = scene.checkers.stepped(&StepsTaken {
            at: scene.world.now(),
            since: scene.world.now(),
            node: &node,
            progress: NodeProgress {
                promised: ballot,
                low_water: node.applied(),
                ..NodeProgress::of(&node)
            },
            boundaries: &[boundary][..boundaries],
            writes: &[Write::Promised(ballot), vote(slot, ballot, Proposal::Noop)],
            messages: &messages,
            replies: &[],
        });
        let node = FOLLOWER;
        let untold = Err(Violation::UntoldVote { node, slot, ballot });
        assert_eq!(stepped, if found { Ok(()) } else { untold });
    }
}

#[test]
fn a_node_that_comes_back_with_less_is_found() {
    let mut scene = Scene::new();
    let node = FOLLOWER;
    let stale = scene.node(node);
    let now = scene.world.now();
    scene.run_to(40);
    let (config, durable) = (stale.config().clone(), stale.durable().unwrap());
    let old = Small::recover(config.clone(), durable, 6, 1, now).unwrap();
    let empty = Small::join(config, 6, now).unwrap();
    let mut checkers = scene.checkers.clone();
    let (slot, ballot) = (Slot::ZERO, scene.ballot());
    assert_eq!(
        checkers.recovered(now, &empty),
        Err(Violation::Forgotten { node, slot, ballot })
    );
    let found = scene.checkers.recovered(now, &old);
    assert!(
        matches!(found, Err(Violation::Forgotten { slot, .. }) if slot > old.applied()),
        "{found:?}"
    );
}

#[test]
fn d2_a_node_that_does_not_vote_may_have_forgotten() {
    let mut scene = Scene::new();
    let now = scene.world.now();
    let config = scene.node(FOLLOWER).config().clone();
    let learner = Small::learn(config, 6, now).unwrap();
    assert_eq!(scene.checkers.recovered(now, &learner), Ok(()));
    assert_eq!(scene.step(&learner, &[], &[], &[]), Ok(()));
}

#[test]
fn d1_what_a_fenced_node_keeps_need_not_be_written() {
    for fences in [false, true] {
        let mut scene = Scene::new();
        let mut node = scene.node(FOLLOWER);
        let mut outbox = Outbox::<Machine, 2, { Small::OUTBOX_MIN }>::new();
        if fences {
            node.fence(scene.world.now(), &mut outbox, &mut ());
        }
        let ballot = Ballot::new(scene.ballot().round() + 1, LEADER);
        let first = node.applied().next().unwrap();
        let accept = Message::Accept {
            ballot,
            first,
            decided: Slot::ZERO,
            proposals: Proposals::<Machine, 2>::from_slice(&[Proposal::Noop]).unwrap(),
        };
        let letter = Envelope {
            cluster: node.fingerprint(),
            from: LEADER,
            to: FOLLOWER,
            message: accept,
        };
        node.handle_message(scene.world.now(), &letter, &mut outbox, &mut ());
        assert_eq!(outbox.writes.is_empty(), fences);
        assert_eq!(node.promised(), ballot);
        let unwritten = Violation::UnwrittenPromise {
            node: FOLLOWER,
            ballot,
        };
        let judged = scene.step(&node, &[], &[], &[]);
        assert_eq!(judged, if fences { Ok(()) } else { Err(unwritten) });
    }
}

#[test]
fn a_node_that_leads_on_after_a_restart_is_found() {
    let mut scene = Scene::new();
    let leader = scene.node(LEADER);
    assert_eq!(scene.checkers.recovered(scene.world.now(), &leader), Ok(()));
    let (node, ballot) = (LEADER, scene.ballot());
    let decided = Slot::FIRST;
    let beat = Message::Heartbeat {
        ballot,
        decided,
        chain: 0,
    };
    assert_eq!(
        scene.says(node, beat),
        Violation::BallotUsedTwice { node, ballot }
    );
}

#[test]
fn s1_a_claim_under_a_round_that_was_heard_of_is_found() {
    let (above, heard) = (Ballot::new(90, FOLLOWER), Ballot::new(90, LEADER));
    let reply = Message::HeartbeatReply {
        ballot: heard,
        applied: Slot::ZERO,
    };
    let probe_reply = Message::ProbeReply {
        ballot: heard,
        granted: true,
        highest: heard,
    };
    let from = Slot::FIRST;
    let prepare = |ballot| Message::Prepare { ballot, from };
    let node = FOLLOWER;
    let low = Violation::ClaimTooLow {
        node,
        ballot: above,
    };
    for named in [reply, probe_reply] {
        let mut scene = Scene::new();
        let follower = scene.node(node);
        assert_eq!(scene.step(&follower, &[], &[named], &[]), Ok(()));
        let mut again = scene.checkers.clone();
        // The round is as high, and only the node's number is higher.
        assert!(above > heard);
        assert_eq!(scene.says(node, prepare(above)), low);
        // The next round is high enough, and a restart forgets what was not written.
        let ballot = Ballot::new(91, node);
        let unwritten = Violation::UnwrittenPromise { node, ballot };
        assert_eq!(scene.says(node, prepare(ballot)), unwritten);
        assert_eq!(again.recovered(scene.world.now(), &follower), Ok(()));
        scene.checkers = again;
        let ballot = above;
        let unwritten = Violation::UnwrittenPromise { node, ballot };
        assert_eq!(scene.says(node, prepare(above)), unwritten);
    }
}

#[test]
fn d1_a_fenced_node_that_speaks_as_a_voter_is_found() {
    let mut scene = Scene::new();
    let mut fenced = scene.node(FOLLOWER);
    let mut outbox = Outbox::<Machine, 2, { Small::OUTBOX_MIN }>::new();
    fenced.fence(scene.world.now(), &mut outbox, &mut ());
    let (ballot, node) = (scene.ballot(), FOLLOWER);
    let from = fenced.applied();
    let learn = Message::Learn { from };
    assert_eq!(scene.step(&fenced, &[], &[learn], &[]), Ok(()));
    let highest = ballot;
    let granted = false;
    for message in [
        Message::HeartbeatReply {
            ballot,
            applied: Slot::ZERO,
        },
        Message::ProbeReply {
            ballot,
            granted,
            highest,
        },
        Message::Prepare { ballot, from },
        Message::Decision {
            ballot,
            decided: from,
        },
    ] {
        assert_eq!(
            scene.step(&fenced, &[], &[message], &[]),
            Err(Violation::NotVoting { node })
        );
    }
}

#[test]
fn j1_a_founder_that_counts_a_node_that_does_not_vote_is_found() {
    for (page, found) in [(0, false), (1, true)] {
        let mut scene = Scene::new();
        scene.checkers.reset();
        let config = |node| scene.node(node).config().clone();
        let now = scene.world.now();
        let founder = Small::found(config(LEADER), 6, now).unwrap();
        let joiner = if page == 0 {
            Small::join(config(FOLLOWER), 6, now).unwrap()
        } else {
            Small::learn(config(FOLLOWER), 6, now).unwrap()
        };
        let snapshot = None;
        let join = Message::Join {
            snapshot,
            page,
            count: 1,
        };
        assert_eq!(scene.step(&joiner, &[], &[join], &[]), Ok(()));
        let welcome = Message::Welcome {
            snapshot: SnapshotId {
                at: Slot::ZERO,
                digest: 0,
            },
            page: 0,
            pages: 2,
            bytes: Vec::new(),
        };
        let messages = [Outgoing {
            role: Role::Seed,
            to: NodeSet::only(FOLLOWER),
            message: welcome,
        }];
        let stepped = scene.checkers.stepped(&StepsTaken {
            at: now,
            since: now,
            node: &founder,
            progress: NodeProgress::of(&founder),
            boundaries: &[],
            writes: &[],
            messages: &messages,
            replies: &[],
        });
        let counted = Err(Violation::NotVoting { node: LEADER });
        assert_eq!(stepped, if found { counted } else { Ok(()) });
    }
}

#[test]
fn c3_who_says_that_more_is_decided_than_it_has_applied_is_found() {
    let mut scene = Scene::new();
    let (node, ballot) = (LEADER, scene.ballot());
    let applied = scene.node(node).applied();
    let decided = applied.next().unwrap();
    let (chain, slot) = (0, decided);
    let proposals = Proposals::<Machine, 2>::from_slice(&[Proposal::Noop]).unwrap();
    let first = decided.checked_add(9).unwrap();
    for message in [
        Message::Decision { ballot, decided },
        Message::Heartbeat {
            ballot,
            decided,
            chain,
        },
        Message::Accept {
            ballot,
            first,
            decided,
            proposals: proposals.clone(),
        },
        Message::Decisions {
            first: applied,
            applied: decided,
            proposals,
        },
    ] {
        assert_eq!(
            scene.says(node, message),
            Violation::NotChosen { node, slot }
        );
    }
    let leader = scene.node(node);
    let decided = applied;
    let told = Message::Decision { ballot, decided };
    assert_eq!(scene.step(&leader, &[], &[told], &[]), Ok(()));
}

#[test]
fn t1_who_says_that_it_gave_up_more_than_it_has_applied_is_found() {
    let mut scene = Scene::new();
    let (node, ballot) = (FOLLOWER, scene.ballot());
    let slot = scene.node(node).applied().next().unwrap();
    let (low_water, from) = (slot, slot);
    let accepted = Message::Accepted {
        ballot,
        promised: ballot,
        first: slot,
        count: 0,
        low_water,
    };
    let promise = Message::Promise {
        ballot,
        promised: ballot,
        from,
        low_water,
        last: true,
        entries: Entries::<Machine, 2>::new(),
    };
    for message in [accepted, promise] {
        let gave_up = Violation::ForgotUnapplied { node, slot };
        assert_eq!(scene.says(node, message), gave_up);
    }
}

#[test]
fn a_prefix_that_goes_back_is_found() {
    let mut scene = Scene::new();
    let old = scene.node(FOLLOWER);
    scene.run_to(40);
    let found = scene.step(&old, &[], &[], &[]);
    let (node, slot) = (FOLLOWER, old.applied());
    assert_eq!(found, Err(Violation::PrefixWentBack { node, slot }));
}

#[test]
fn votes_that_are_given_up_too_early_are_found() {
    let mut memory = Memory::<16>::new();
    let mut seen = Seen::new();
    let (node, applied, slot) = (FOLLOWER, Slot::new(3), Slot::new(4));
    let progress = |low_water| NodeProgress {
        low_water,
        applied,
        ..NodeProgress::NONE
    };
    assert_eq!(
        memory.advance(node, &progress(applied), true, &mut seen),
        Ok(Slot::ZERO)
    );
    assert_eq!(
        memory.advance(node, &progress(slot), true, &mut seen),
        Err(Violation::ForgotUnapplied { node, slot })
    );
}

#[test]
fn what_was_never_chosen_is_found_where_it_is_applied_or_told() {
    let mut scene = Scene::new();
    let (node, slot) = (FOLLOWER, Slot::new(20));
    let decisions = |first| Message::Decisions {
        first,
        applied: Slot::new(21),
        proposals: Proposals::<Machine, 2>::from_slice(&[Proposal::Noop]).unwrap(),
    };
    let ahead = scene.node(LEADER).applied().checked_add(12).unwrap();
    for slot in [slot, ahead] {
        assert_eq!(
            scene.says(node, decisions(slot)),
            Violation::NotChosen { node, slot }
        );
    }
    // As if the writes of all nodes had been lost on the way to the disk.
    scene.checkers.reset();
    let leader = scene.node(LEADER);
    let promise = Write::Promised(leader.promised());
    assert_eq!(
        scene.step(&leader, &[promise], &[], &[]),
        Err(Violation::NotChosen {
            node: LEADER,
            slot: Slot::FIRST
        })
    );
}

/// Sees no-ops written for one slot, whatever is.
struct Blind(Box<Checkers>, Slot);

impl Observer<Machine, 16, 16, 2> for Blind {
    fn stepped(&mut self, taken: &StepsTaken<'_, Machine, 16, 16, 2>) -> Result<(), Violation> {
        let blind = |write: &Write<KvCommand>| match *write {
            Write::Accepted(entry) if entry.slot == self.1 => {
                vote(entry.slot, entry.ballot, Proposal::Noop)
            }
            write => write,
        };
        let writes: std::vec::Vec<_> = taken.writes.iter().map(blind).collect();
        let (writes, messages) = (&writes[..], &[][..]);
        self.0.stepped(&StepsTaken {
            writes,
            messages,
            ..*taken
        })
    }

    fn asked(&mut self, asked: &Asked<'_, KvCommand>) {
        let eyes: &mut Eyes = &mut *self.0;
        eyes.asked(asked);
    }
}

#[test]
fn a_node_that_applies_another_value_is_found() {
    let slot = Slot::new(20);
    let mut world = World::new(&Scenario::of(6, 3), KvScript::new(11)).unwrap();
    let ended = world.run_observed(&mut (), &mut Blind(Box::default(), slot));
    assert!(
        matches!(ended, Verdict::Violated(Violation::NotChosen { slot: found, .. }) if found == slot),
        "{ended:?}"
    );
}

#[test]
fn answers_that_the_log_does_not_give_are_found() {
    let mut scene = Scene::new();
    let slot = Slot::new(20);
    let leader = scene.node(LEADER);
    let key = leader.decision(slot).unwrap().key().unwrap();
    let (client, number) = (key.client, key.number.0);
    let right = match scene.checkers.log.decision(slot) {
        Known::Is(Proposal::Request { .. }) => scene.checkers.log.outcome(slot).unwrap(),
        _ => panic!("a request is decided there"),
    };
    assert_eq!(scene.replies(client, number, right), Ok(()));
    let stranger = ClientId(5_000);
    for (client, number, outcome) in [
        (client, number + 1, right),
        (stranger, number, right),
        (
            client,
            number,
            Outcome::Applied {
                slot,
                output: KvReply::Full,
            },
        ),
        (client, number, Outcome::Evicted),
        (client, 1_000, Outcome::Stale),
        (client, 1_000, Outcome::Reused),
        (client, number, Outcome::Busy),
        (stranger, number, Outcome::Evicted),
        (stranger, number, Outcome::Stale),
        (client, 0, Outcome::Registered { client }),
    ] {
        let (node, number) = (FOLLOWER, RequestNumber(number));
        assert_eq!(
            scene.replies(client, number.0, outcome),
            Err(Violation::WrongReply { node, number }),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_request_that_took_effect_before_it_was_made_is_found() {
    let mut scene = Scene::new();
    let (at, node, output) = (scene.world.now(), LEADER, KvReply::None);
    let eyes: &mut Eyes = &mut *scene.checkers;
    let mut ask = |client: u16, number: u32, slot: u64| {
        let key = RequestKey {
            client: ClientId(u64::from(client)),
            number: RequestNumber(number),
        };
        let command = Some(&KvCommand::Get(Key::numbered(0)));
        eyes.asked(&Asked {
            at,
            client,
            node,
            key,
            command,
        });
        let slot = Slot::new(slot);
        let outcome = &Outcome::Applied { slot, output };
        eyes.answered(&Answered {
            at,
            client,
            key,
            outcome,
        })
    };
    assert_eq!(ask(1, 1, 900), Ok(()));
    let (client, slot) = (2, Slot::new(900));
    assert_eq!(ask(2, 1, 900), Err(Violation::TooEarly { client, slot }));
    assert_eq!(
        ask(2, 1, 901),
        Ok(()),
        "asked before the other was answered"
    );
}

#[test]
fn what_is_fuller_than_full_is_found() {
    let mut checkers = Box::new(Checkers::new());
    let full = Marks {
        window: 16,
        votes: 16,
        waiting: 16,
        pending: 16,
        requesters: 16,
        sessions: 16,
    };
    assert_eq!(checkers.room(LEADER, &full), Ok(()));
    for marks in [
        Marks { votes: 17, ..full },
        Marks {
            sessions: 17,
            ..full
        },
    ] {
        assert_eq!(
            checkers.room(LEADER, &marks),
            Err(Violation::Overfull { node: LEADER })
        );
    }
}

std::thread_local! {
    static CHANCE: Cell<u64> = const { Cell::new(0) };
}

/// Does what no state machine may: keeps something that its commands do not imply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Moody(u64);

impl StateMachine for Moody {
    type Command = u32;
    type Output = ();

    fn apply(&mut self, _command: &u32) {
        CHANCE.set(CHANCE.get() + 1);
        self.0 = CHANCE.get();
    }

    fn snapshot_pages(&self) -> u32 {
        0
    }

    fn write_page(&self, _page: u32, _writer: &mut Writer<'_>) {}

    fn read_page(&mut self, _page: u32, _: &mut Reader<'_>) -> Result<(), MalformedPage> {
        Ok(())
    }
}

struct Forty;

impl Workload<Moody> for Forty {
    fn command(&mut self, _client: u16, number: u32) -> Option<u32> {
        (number <= 40).then_some(number)
    }

    fn check(&mut self, _client: u16, _number: u32, _output: &()) -> bool {
        true
    }

    fn requests(&self, _client: u16) -> u64 {
        40
    }
}

#[test]
fn a_state_that_the_log_does_not_give_is_found() {
    let mut world =
        Simulation::<Recent<Moody, Forty, 64>, 16, 16, 2>::new(&Scenario::of(6, 3), Forty).unwrap();
    let mut checkers = Box::new(Invariants::<Recent<Moody, Forty, 64>, 16, 16, 2>::new());
    let ended = world.run_observed(&mut (), &mut *checkers);
    assert!(
        matches!(ended, Verdict::Violated(Violation::WrongState { .. })),
        "{ended:?}"
    );
}

/// Quorums of three in five, one by one, as no node writes them: agreement is broken after the fact.
#[test]
fn two_chosen_values_are_found_whichever_is_chosen_first() {
    let members = NodeSet::first(5);
    let mut epochs = Epochs::new();
    assert!(epochs.enter(members, Epoch::FIRST, members));
    let (low, high) = (Ballot::new(1, NodeId(0)), Ballot::new(2, NodeId(4)));
    let (slot, asked) = (Slot::FIRST, unheard_of());
    let run = |votes: &[(u16, Ballot, Asks)]| {
        let (mut ballots, mut seen) = (Ballots::<KvCommand, Size<16>>::new(), Seen::new());
        let mut results = votes.iter().map(|(node, ballot, proposal)| {
            let (node, ballot) = (NodeId(*node), *ballot);
            let claim = Claim {
                node,
                slot,
                ballot,
                proposal,
            };
            ballots.vote(claim, &epochs, &mut seen)
        });
        results.find_map(Result::err)
    };
    let noop = Proposal::Noop;
    let split = [(0, low, asked), (2, low, asked), (2, high, noop)];
    let then_high = [(3, high, noop), (4, high, noop), (1, low, asked)];
    let node = NodeId(1);
    assert_eq!(
        run(&[split, then_high].concat()),
        Some(Violation::TwoChosen {
            node,
            slot,
            ballot: low
        })
    );
    let then_low = [(1, low, asked)];
    assert_eq!(
        run(&[&split[..], &then_low[..]].concat()),
        Some(Violation::UnsafeProposal {
            node,
            slot,
            ballot: high
        })
    );
    assert_eq!(run(&split), None, "nothing is chosen yet");
}

#[test]
fn a_checker_that_is_reset_is_as_a_new_one() {
    let scenario = Scenario::of(6, 3);
    let mut world = World::new(&scenario, KvScript::new(11)).unwrap();
    let mut checkers = Box::new(Checkers::new());
    let mut run = |checkers: &mut Checkers| {
        world.start(&scenario, KvScript::new(11)).unwrap();
        assert_eq!(world.run_observed(&mut (), checkers), Verdict::Done);
        *checkers.seen()
    };
    let first = run(&mut checkers);
    checkers.reset();
    assert_eq!(run(&mut checkers), first);
}

#[test]
fn what_is_too_old_is_counted_and_not_taken_for_broken() {
    // Two slots are kept, and nodes are further apart than that.
    let mut world = World::new(&Scenario::of(6, 3), KvScript::new(60)).unwrap();
    let mut checkers = Box::new(Invariants::<Recent<Machine, KvScript, 2>, 16, 16, 2>::new());
    let ended = world.run_observed(&mut (), &mut *checkers);
    assert_eq!(ended, Verdict::Done);
    assert_eq!(checkers.ended(world.nodes()), Ok(()));
    assert!(checkers.seen().unchecked_total() > 0);
}
