//! Clusters of three boards of different kinds on a serial bus: crashes, flash power loss, lost flash, line noise,
//! and a host node as a fourth member.

mod board_cluster;
mod checked_client;
mod host_node;

use board_cluster::BoardCluster;
use checked_client::Client;
use example_firmware::member::{Machine, POWER_FAILED};
use example_firmware::relays::{Relays, Switch, To};
use host_node::HostNode;
use synod::StateMachine;
use synod::machines::{Key, KvCommand};

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
