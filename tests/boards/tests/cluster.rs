//! Three boards of three kinds agree over a serial line, whatever happens to one of them.

mod board_cluster;
mod checked_client;
mod host_node;

use board_cluster::Rig;
use checked_client::Client;
use example_firmware::member::{Machine, POWER_FAILED};
use example_firmware::relays::{Relays, Switch, To};
use host_node::Host;
use synod::StateMachine;
use synod::machines::{Key, KvCommand};

/// The `index`th of a row of commands: two sets, then a get of what is there.
fn command(index: u32) -> KvCommand {
    let key = Key::numbered(index / 3 % 8);
    match index % 3 {
        2 => KvCommand::Get(key),
        _ => KvCommand::Set(key, i64::from(index)),
    }
}

/// Every output depends on all commands before it, so that one too many shows.
fn toggle(index: u32) -> Switch {
    Switch {
        to: To::Other,
        relay: u8::try_from(index * 7 % 16).unwrap(),
    }
}

/// The boards end in the same state, and were never told different things.
fn agree<M: StateMachine>(rig: &Rig, client: &mut Client<M>, command: fn(u32) -> M::Command) {
    loop {
        while !client.slot().is_multiple_of(board_cluster::SLOTS_A_LINE) {
            client.ask(command);
        }
        if rig.all_at(client.slot()) {
            break;
        }
        // A board may have been told the state as it was a little later.
        client.ask(command);
    }
    rig.assert_one_log();
}

fn thousand() {
    let mut rig = Rig::new("thousand", "node", 3);
    rig.switch_on_all();
    let mut client = Client::<Machine>::of(rig.client(), 3);
    client.ask_until(300, command);
    rig.switch_off(1);
    client.ask_until(600, command);
    rig.switch_on(1, &[]);
    client.ask_until(1_000, command);
    // All that it had applied, but what was under way.
    assert!(rig.went_on_from(1) > 300 - 2 * 8, "from its flash");
    agree(&rig, &mut client, command);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_board_is_killed_and_comes_back_while_the_rest_decide_a_thousand_commands() {
    thousand();
}

#[test]
#[ignore = "takes three minutes: --ignored"]
fn twenty_times_in_a_row() {
    for _ in 0..20 {
        thousand();
    }
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_leader_is_killed_again_and_again() {
    let mut rig = Rig::new("leader", "relays", 3);
    rig.switch_on_all();
    let mut client = Client::<Relays>::of(rig.client(), 3);
    for round in 1..=4 {
        client.ask_until(round * 50 - 25, toggle);
        let leader = rig.leader();
        rig.switch_off(leader);
        client.ask_until(round * 50, toggle);
        rig.switch_on(leader, &[]);
    }
    agree(&rig, &mut client, toggle);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn power_fails_in_the_middle_of_writes_to_flash() {
    let mut rig = Rig::new("power", "node", 3);
    rig.switch_on_all();
    let mut client = Client::<Machine>::of(rig.client(), 3);
    for index in 0..15_u32 {
        let board = usize::try_from(index % 3).unwrap();
        client.ask(command);
        rig.switch_off(board);
        let power = format!("power={}", 1 + index * index * 5);
        rig.switch_on(board, &[&power]);
        while rig.is_on(board) {
            client.ask(command);
        }
        assert_eq!(rig.code(board), i32::from(POWER_FAILED));
        rig.switch_on(board, &[]);
    }
    agree(&rig, &mut client, command);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_board_that_lost_its_flash_learns_and_does_not_vote() {
    let mut rig = Rig::new("lost", "node", 3);
    rig.switch_on_all();
    let mut client = Client::<Machine>::of(rig.client(), 3);
    client.ask_until(50, command);
    rig.switch_off(0);
    rig.erase(0);
    rig.switch_on(0, &[]);
    assert!(rig.has_said(0, "only learns: NODE_0 has lost what it said"));
    client.ask_until(100, command);
    agree(&rig, &mut client, command);
    assert_ne!(rig.leader(), 0);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_garbled_line_stops_nobody_and_corrupts_nothing() {
    let mut rig = Rig::new("garbled", "node", 3);
    rig.switch_on_all();
    let mut client = Client::<Machine>::of(rig.client(), 3);
    // The same cluster, but with another member: what its nodes say looks the same.
    let foreign = checked_client::foreign_frames();
    rig.hub().garble(6, foreign);
    client.ask_until(100, command);
    let struck = rig.hub().clear();
    assert!(struck > 30, "a line that was garbled {struck} times");
    agree(&rig, &mut client, command);
    for board in 0..3 {
        let dropped = rig.dropped(board);
        assert!(dropped.damaged > 0 && dropped.foreign > 0, "{dropped:?}");
    }
    assert!(client.dropped().total() > 0);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm; rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf"
)]
fn a_process_of_the_host_is_the_fourth_node() {
    let mut rig = Rig::new("fourth", "node", 4);
    let mut host = Host::new(4);
    host.start(&mut rig);
    rig.switch_on_all();
    let mut client = Client::<Machine>::of(rig.client(), 3);
    client.ask_until(100, command);

    // Three of four are a quorum: without the host, and then with it and without a board.
    host.stop();
    client.ask_until(200, command);
    host.start(&mut rig);
    client.ask_until(300, command);
    rig.switch_off(2);
    client.ask_until(400, command);
    rig.switch_on(2, &[]);
    agree(&rig, &mut client, command);
    host.stop();
}
