//! Clusters of three boards of different kinds on a serial bus: crashes, flash power loss, lost flash, line noise,
//! and a host node as a fourth member.

mod board_cluster;
mod checked_client;
mod host_node;

use board_cluster::BoardCluster;
use checked_client::{Client, set};
use example_firmware::member::{Machine, POWER_FAILED};
use example_firmware::relays::{Relays, Switch, To};
use host_node::HostNode;
use std::fs;
use std::path::Path;
use synod::machines::{Key, KvCommand};
use synod::{ChangeError, Epoch, NodeId, NodeState, StateMachine};
use synod_boards::image::{Board, firmware};
use synod_boards::log_decoder::Dictionary;
use synod_boards::qemu;

/// Returns the `index`th command of a sequence: two sets, then a get of their value.
fn command(index: u32) -> KvCommand {
    let key = Key::numbered(index / 3 % 8);
    match index % 3 {
        2 => KvCommand::Get(key),
        _ => KvCommand::Set(key, i64::from(index)),
    }
}

/// Returns a command whose output depends on all commands before it, so that a repeated one shows.
fn toggle(index: u32) -> Switch {
    Switch {
        to: To::Other,
        relay: u8::try_from(index * 7 % 16).unwrap(),
    }
}

/// Asserts that the boards reach the same state and never received different decisions.
fn assert_agreement<M: StateMachine>(
    cluster: &BoardCluster,
    client: &mut Client<M>,
    command: fn(u32) -> M::Command,
) {
    loop {
        while !client.slot().is_multiple_of(board_cluster::SLOTS_A_LINE) {
            client.ask(command);
        }
        if cluster.all_at(client.slot()) {
            break;
        }
        // A board may have received the state of a later slot.
        client.ask(command);
    }
    cluster.assert_one_log();
}

fn thousand() {
    let mut cluster = BoardCluster::new("thousand", "node", 3);
    cluster.switch_on_all();
    let mut client = Client::<Machine>::of(cluster.client(), 3);
    client.ask_until(300, command);
    cluster.switch_off(1);
    client.ask_until(600, command);
    cluster.switch_on(1, &[]);
    client.ask_until(1_000, command);
    // Everything that it had applied, except commands in flight.
    assert!(cluster.went_on_from(1) > 300 - 2 * 8, "from its flash");
    assert_agreement(&cluster, &mut client, command);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_killed_board_rejoins_while_the_others_decide_a_thousand_commands() {
    thousand();
}

#[test]
#[ignore = "takes three minutes: --ignored"]
fn a_killed_board_rejoins_twenty_times_in_a_row() {
    for _ in 0..20 {
        thousand();
    }
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn the_cluster_survives_repeated_crashes_of_the_leader() {
    let mut cluster = BoardCluster::new("leader", "relays", 3);
    cluster.switch_on_all();
    let mut client = Client::<Relays>::of(cluster.client(), 3);
    for round in 1..=4 {
        client.ask_until(round * 50 - 25, toggle);
        let leader = cluster.leader();
        cluster.switch_off(leader);
        client.ask_until(round * 50, toggle);
        cluster.switch_on(leader, &[]);
    }
    assert_agreement(&cluster, &mut client, toggle);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn the_cluster_survives_power_loss_during_flash_writes() {
    let mut cluster = BoardCluster::new("power", "node", 3);
    cluster.switch_on_all();
    let mut client = Client::<Machine>::of(cluster.client(), 3);
    for index in 0..15_u32 {
        let board = usize::try_from(index % 3).unwrap();
        client.ask(command);
        cluster.switch_off(board);
        let power = format!("power={}", 1 + index * index * 5);
        cluster.switch_on(board, &[&power]);
        while cluster.is_on(board) {
            client.ask(command);
        }
        assert_eq!(cluster.code(board), i32::from(POWER_FAILED));
        cluster.switch_on(board, &[]);
    }
    assert_agreement(&cluster, &mut client, command);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_board_that_lost_its_flash_becomes_a_learner() {
    let mut cluster = BoardCluster::new("lost", "node", 3);
    cluster.switch_on_all();
    let mut client = Client::<Machine>::of(cluster.client(), 3);
    client.ask_until(50, command);
    cluster.switch_off(0);
    cluster.erase(0);
    cluster.switch_on(0, &[]);
    assert!(cluster.has_said(0, "only learns: NODE_0 has lost what it said"));
    client.ask_until(100, command);
    assert_agreement(&cluster, &mut client, command);
    assert_ne!(cluster.leader(), 0);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_board_with_a_new_number_takes_the_place_of_a_lost_one_and_votes() {
    let mut cluster = BoardCluster::new("replaced", "relays", 3);
    cluster.switch_on_all();
    let mut client = Client::<Relays>::of(cluster.client(), 3);
    client.ask_until(70, toggle);

    // Board 2 is broken: nobody starts it again soon. Board 3 joins through board 1 while commands go on.
    cluster.switch_off(2);
    cluster.throw_away(2);
    client.set_members(&[0, 1]);
    assert_eq!(
        client.reconfigure(0, &[1, 3]),
        Err(ChangeError::Behind {
            node: NodeId(3),
            by: u16::MAX
        }),
        "a majority of the new members is not there yet"
    );
    assert_eq!(cluster.add(), 3);
    cluster.switch_on(3, &["new", "joins=1"]);
    client.ask_until(100, toggle);
    let learning = client.status_once(3, |status| status.state != NodeState::Joining);
    assert_eq!(learning.state, NodeState::Learning, "it has no vote yet");
    assert!(cluster.has_said(3, "learns until NODE_3 is made a member"));

    // An operator puts it in the place of board 2. The same request again has the same answer.
    let change = client.replace(2, 3, 1);
    assert_eq!((change.epoch, change.members), (Epoch(0), set(&[0, 1, 3])));
    assert_eq!(client.reconfigure(0, &[0, 1, 3]), Ok(Epoch(1)));
    client.set_members(&[0, 1, 3]);
    client.ask_until(130, toggle);
    for board in [0, 1, 3] {
        assert!(cluster.has_said(board, "epoch 1 begins with the members 0 1 3"));
    }
    assert!(cluster.has_said(3, "is a member from epoch 1 on"));
    assert_agreement(&cluster, &mut client, toggle);

    // Two of three are left, and board 3 is one of them: each decision has its vote. Each output depends on every
    // command since the founding.
    cluster.switch_off(0);
    client.set_members(&[1, 3]);
    client.ask_until(200, toggle);
    let voting = client.status_once(3, |status| status.leader.is_some());
    assert!(matches!(
        voting.state,
        NodeState::Voting | NodeState::Leading
    ));

    // It votes after a loss of its power as well, and without it nothing is decided.
    let decided = client.slot();
    cluster.switch_off(3);
    client.ask_in_vain(toggle);
    assert_eq!(client.slot(), decided);
    cluster.switch_on(3, &[]);
    assert!(cluster.went_on_from(3) > 0);
    client.set_members(&[3]);
    client.ask(toggle);
    cluster.switch_on(0, &[]);

    a_removed_board_is_told_so(&mut cluster, &mut client);
}

/// Board 2 comes back, first with its old flash and then with an empty one, after board 3 has taken its place.
fn a_removed_board_is_told_so(cluster: &mut BoardCluster, client: &mut Client<Relays>) {
    // It votes no more, and its number is refused for ever.
    cluster.switch_on(2, &[]);
    assert!(cluster.has_said(
        2,
        "is retired: NODE_2 was removed, and its number is never used again"
    ));
    assert!(cluster.has_said(2, "can be switched off: others lead in epoch 1"));
    let retired = client.status_once(2, |status| status.leader.is_some());
    assert_eq!(
        (retired.state, retired.epoch, retired.members),
        (NodeState::Retired, Epoch(1), set(&[0, 1, 3]))
    );
    let removed = ChangeError::Removed { node: NodeId(2) };
    assert_eq!(client.reconfigure(1, &[0, 1, 2]), Err(removed));
    client.set_members(&[2]);
    client.ask(toggle);
    client.set_members(&[0, 1, 3]);
    assert_agreement(cluster, client, toggle);

    // With empty flash it learns, and says as much.
    cluster.switch_off(2);
    cluster.erase(2);
    cluster.switch_on(2, &["new"]);
    client.status_once(2, |status| status.state == NodeState::Retired);
    assert_agreement(cluster, client, toggle);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_board_refuses_the_flash_of_another_number_and_numbers_that_no_board_can_have() {
    let flash = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flash-of-another");
    let _ = fs::remove_file(&flash);
    let flash = flash.to_str().unwrap();
    let (board, begun) = (Board::Lm3s6965evb, "power=35");
    let image = firmware(board, "node").unwrap();
    for (words, code, says) in [
        (
            ["0", "1", "6", flash, "new", begun],
            POWER_FAILED,
            "begins as NODE_0",
        ),
        (
            ["3", "1", "6", flash, "new", "joins=0"],
            112,
            "the flash is that of NODE_0",
        ),
        (
            ["0", "2", "6", flash, "new", "joins=1"],
            112,
            "the flash is of another cluster, or of another program",
        ),
        (
            ["64", "1", "6", flash, "new", "joins=0"],
            111,
            "the numbers are wrong",
        ),
        (
            ["3", "1", "6", flash, "new", "joins=3"],
            111,
            "the numbers are wrong",
        ),
    ] {
        let ran = qemu::run(board, &image, &words).unwrap();
        let log = Dictionary::of(&image).unwrap().decode(&ran.log).unwrap();
        assert_eq!(ran.code, i32::from(code), "{words:?}: {log:?}");
        assert!(
            log.iter().any(|line| line.text == says),
            "{words:?}: {log:?}"
        );
    }
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn d1_a_board_that_is_a_quorum_alone_tells_a_learner_nothing_that_its_flash_may_lose() {
    let mut cluster = BoardCluster::new("alone", "node", 1);
    let mut learner = HostNode::learner(1);
    cluster.switch_on(0, &["new"]);
    learner.start(&mut cluster);
    let mut client = Client::<Machine>::of(cluster.client(), 1);
    client.ask_until(5, command);
    for cut in 0..6_u32 {
        cluster.switch_off(0);
        cluster.switch_on(0, &[&format!("power={}", 60 + 13 * cut)]);
        // Each command is another one, so that the next one takes the slot of one that was lost.
        while cluster.is_on(0) {
            client.ask_in_vain(command);
        }
        assert_eq!(cluster.code(0), i32::from(POWER_FAILED));
        cluster.switch_on(0, &[]);
        client.ask_in_vain(command);
        assert!(cluster.host_is_at(client.slot()), "the learner goes on");
    }
    learner.stop();
    cluster.assert_one_log();
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn line_noise_neither_stops_nor_corrupts_the_cluster() {
    let mut cluster = BoardCluster::new("garbled", "node", 3);
    cluster.switch_on_all();
    let mut client = Client::<Machine>::of(cluster.client(), 3);
    // The same cluster number with other members: the frames look the same.
    let foreign = checked_client::foreign_frames();
    cluster.bus().garble(6, foreign);
    client.ask_until(100, command);
    let garbled = cluster.bus().clear();
    assert!(garbled > 30, "a line that was garbled {garbled} times");
    assert_agreement(&cluster, &mut client, command);
    for board in 0..3 {
        let dropped = cluster.dropped(board);
        assert!(dropped.damaged > 0 && dropped.foreign > 0, "{dropped:?}");
    }
    assert!(client.dropped().total() > 0);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_host_process_is_the_fourth_node() {
    let mut cluster = BoardCluster::new("fourth", "node", 4);
    let mut host = HostNode::new(4);
    host.start(&mut cluster);
    cluster.switch_on_all();
    let mut client = Client::<Machine>::of(cluster.client(), 3);
    client.ask_until(100, command);

    // Three of four are a quorum: first without the host node, then with it and without a board.
    host.stop();
    client.ask_until(200, command);
    host.start(&mut cluster);
    client.ask_until(300, command);
    cluster.switch_off(2);
    client.ask_until(400, command);
    cluster.switch_on(2, &[]);
    assert_agreement(&cluster, &mut client, command);
    host.stop();
}
