//! Changes of the members that an operator requests through a client.

use super::*;
use crate::{Change, ChangeError, Epoch};

fn change(epoch: u16, members: impl IntoIterator<Item = u16>) -> Change {
    Change {
        epoch: Epoch(epoch),
        members: members.into_iter().map(NodeId).collect(),
    }
}

/// Has a client ask for a change, and returns the result.
fn result(world: &mut World, index: usize, change: Change) -> Result<Epoch, ChangeError> {
    let now = world.now;
    let client = &mut world.clients[index].client;
    client.reconfigure(now, change).unwrap();
    world.poll(index);
    for _ in 0..200_000 {
        if let Some(result) = world.clients[index].client.poll_changed() {
            return result;
        }
        world.step();
    }
    panic!("never: an answer to {change:?}");
}

#[test]
fn v4_an_operator_changes_the_members_once_and_sees_each_refusal() {
    for seed in 0..few(8, 1) {
        let mut world = World::new(seed, 25);
        let operator = world.add(Address::FIRST, seed * 2 + 1);
        let other = world.add(Address::LAST, seed * 2 + 2);
        let unknown = NodeId(3);
        let refused = |by, node| Err(ChangeError::Behind { node, by });
        assert_eq!(
            result(&mut world, operator, change(0, [2, 3])),
            refused(u16::MAX, unknown),
            "nobody has heard of it"
        );
        assert_eq!(
            result(&mut world, operator, change(0, [])),
            Err(ChangeError::NoMembers)
        );
        assert_eq!(
            result(&mut world, operator, change(0, [0, 1])),
            Ok(Epoch(1))
        );
        // The same change takes effect once, whoever asks for it; another one of its epoch comes too late.
        assert_eq!(result(&mut world, other, change(0, [0, 1])), Ok(Epoch(1)));
        assert_eq!(
            result(&mut world, other, change(0, [1, 2])),
            Err(ChangeError::Epoch { present: Epoch(1) })
        );
        assert_eq!(
            result(&mut world, other, change(1, [0, 1, 2])),
            Err(ChangeError::Removed { node: NodeId(2) })
        );
        for number in [0, 1] {
            let status = status_of(&mut world, number);
            assert_eq!(
                (status.epoch, status.members),
                (Epoch(1), NodeSet::first(2))
            );
        }
    }
}

#[test]
fn a_session_outlives_a_change_of_the_members_and_follows_those_that_may_be_asked() {
    let (mut world, _) = led_world();
    let index = world.add(Address::FIRST, 3);
    let deposit = |world: &mut World, count| {
        world.deposit(index);
        world.poll(index);
        let answered = |world: &World| world.clients[index].answers.len() == count;
        world.run_until("it is answered", answered);
        world.clients[index].client.session().unwrap()
    };
    let before = deposit(&mut world, 1);
    assert_eq!(
        result(&mut world, index, change(0, [1, 2])),
        Ok(Epoch(1)),
        "by whichever node leads"
    );
    let only = NodeSet::only(NodeId(1));
    let client = &mut world.clients[index].client;
    assert_eq!(
        client.set_members(NodeSet::EMPTY),
        Err(ClientError::NoMembers)
    );
    client.set_members(only).unwrap();
    world.nodes[0] = None;
    let after = deposit(&mut world, 2);
    assert_eq!(after.client, before.client);
    assert_eq!(after.number, RequestNumber(2), "a change has no number");
    assert_eq!(world.balance(index), 2);
    assert!(
        world.clients[index]
            .client
            .leader()
            .is_none_or(|leader| only.contains(leader))
    );
}

#[test]
fn a_client_has_one_request_or_change_at_a_time() {
    let (mut client, now) = (alone(), Instant::ZERO);
    let (change, command) = (change(4, [1, 5]), BankCommand::Balance(key_of(0)));
    client.reconfigure(now, change).unwrap();
    assert_eq!(client.request(now, command), Err(ClientError::Outstanding));
    let (to, question) = client.poll_question().unwrap();
    let proposal = Proposal::Reconfigure(change);
    assert_eq!(
        question,
        Question::Request { proposal },
        "without a session"
    );
    let answer = |outcome| Answer::Outcome {
        key: RequestKey::change(change.epoch),
        fingerprint: proposal.fingerprint(),
        outcome,
        leader: None,
    };
    // A node that is busy keeps its time, and one that was asked before changes nothing.
    client.handle_answer(now, NodeId(2), &answer(Outcome::Busy));
    client.handle_answer(now, to, &answer(Outcome::Stale));
    client.handle_answer(now + PATIENCE, to, &answer(Outcome::Busy));
    assert!(client.next_deadline().unwrap() >= now + PATIENCE * 2);
    client.handle_timeout(client.next_deadline().unwrap());
    assert_eq!(client.poll_question().unwrap().0, NodeId(1));

    let error = ChangeError::Epoch { present: Epoch(7) };
    client.handle_answer(now, to, &answer(Outcome::Unchanged(error)));
    assert!(!client.is_outstanding());
    assert_eq!(client.reconfigure(now, change), Err(ClientError::NotTaken));
    assert_eq!(client.poll_changed(), Some(Err(error)));
    assert_eq!(client.poll_changed(), None);
    assert_eq!(client.poll_done(), None, "it was no command");
}

#[test]
fn x4_a_change_is_withdrawn_like_a_request() {
    let (mut client, now) = (alone(), Instant::ZERO);
    let change = change(4, [1, 5]);
    client.reconfigure(now, change).unwrap();
    assert_eq!(client.withdraw(), Ok(Withdrawn::NeverAsked));
    assert_eq!(client.poll_question(), None, "nothing had left");
    client.reconfigure(now, change).unwrap();
    let (to, _) = client.poll_question().unwrap();
    let key = RequestKey::change(change.epoch);
    assert_eq!(client.withdraw(), Ok(Withdrawn::MayBeApplied(key)));
    assert_eq!(
        client.poll_question(),
        Some((to, Question::Withdraw { key }))
    );
    assert_eq!(client.next_deadline(), None);
}
