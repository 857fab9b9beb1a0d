//! Clients that do a server harm as far as they can: garbage, half commands, lengths that nobody has memory for, replies that
//! nobody reads, and thousands of connections that say nothing.
//!
//! ```console
//! $ cargo run --release -p synod-server --example hostile-clients -- 127.0.0.1:7379
//! ```
//!
//! It goes on until its standard input ends, and then prints what it has done. Words behind the addresses choose attacks. What good clients get meanwhile is measured
//! by `.ci/compare-servers`.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

/// Connections that say nothing, for all servers together.
const IDLE: usize = 2_000;
/// The time from one attack of a kind to the next. Without it, the processor that the attackers take would be measured.
const PAUSE: Duration = Duration::from_millis(2);
/// How long an attacker waits for a server that does not take what it sends.
const PATIENCE: Duration = Duration::from_millis(200);

/// An attack on one connection. An error is how most of them should end.
type Attack = fn(TcpStream) -> io::Result<()>;

const ATTACKS: [(&str, Attack); 6] = [
    ("garbage", garbage),
    ("half a command", half_a_command),
    ("a length of 100 MB", long_argument),
    ("a million arguments", many_arguments),
    ("replies that nobody reads", unread),
    ("one byte at a time", bytes_apart),
];

static ENDED: AtomicBool = AtomicBool::new(false);

fn main() {
    let (mut servers, mut chosen) = (Vec::new(), Vec::new());
    for arg in std::env::args().skip(1) {
        match arg.parse::<SocketAddr>() {
            Ok(server) => servers.push(server),
            Err(_) => chosen.push(arg),
        }
    }
    let is_known = |word: &String| ATTACKS.iter().any(|(what, _)| what.contains(word.as_str()));
    if servers.is_empty() || !chosen.iter().all(is_known) {
        eprintln!(
            "usage: hostile-clients ADDRESS... [ATTACK...]   such as 127.0.0.1:7379 garbage; the attacks:"
        );
        for (what, _) in ATTACKS {
            eprintln!("  {what}");
        }
        std::process::exit(2);
    }
    let is_chosen = |what: &str| chosen.is_empty() || chosen.iter().any(|word| what.contains(word));
    // What a system refuses to open is not there.
    let idle: Vec<_> = servers
        .iter()
        .cycle()
        .take(IDLE)
        .filter_map(|server| TcpStream::connect_timeout(server, PATIENCE).ok())
        .collect();
    let counts: [AtomicU64; ATTACKS.len()] = Default::default();
    thread::scope(|threads| {
        for ((what, attack), count) in ATTACKS.iter().zip(&counts) {
            if !is_chosen(what) {
                continue;
            }
            let servers = &servers;
            threads.spawn(move || attack_all(servers, *attack, count));
        }
        let mut rest = [0; 64];
        while io::stdin().read(&mut rest).is_ok_and(|count| count > 0) {}
        ENDED.store(true, Ordering::Relaxed);
    });
    println!("{} idle connections", idle.len());
    for ((what, _), count) in ATTACKS.iter().zip(counts) {
        println!("{} times {what}", count.into_inner());
    }
}

fn attack_all(servers: &[SocketAddr], attack: Attack, count: &AtomicU64) {
    for server in servers.iter().cycle() {
        if ENDED.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(stream) = TcpStream::connect_timeout(server, PATIENCE)
            && stream.set_write_timeout(Some(PATIENCE)).is_ok()
            && stream.set_read_timeout(Some(PATIENCE)).is_ok()
        {
            // Whatever becomes of it is the matter of the server.
            let _ = attack(stream);
            count.fetch_add(1, Ordering::Relaxed);
        }
        thread::sleep(PAUSE);
    }
}

fn garbage(mut stream: TcpStream) -> io::Result<()> {
    let bytes: Vec<u8> = (0_u32..4_096)
        .map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    stream.write_all(&bytes)
}

fn half_a_command(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$300\r\nhal")
}

fn long_argument(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$104857600\r\n")?;
    let piece = [b'x'; 1 << 13];
    for _ in 0..128 {
        stream.write_all(&piece)?;
    }
    Ok(())
}

fn many_arguments(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"*1000000\r\n$4\r\nMGET\r\n")?;
    stream.write_all(&b"$1\r\na\r\n".repeat(10_000))
}

fn unread(mut stream: TcpStream) -> io::Result<()> {
    // Its replies are longer than what fits into the buffers of the two systems.
    stream.write_all(&b"INFO\r\n".repeat(2_000))
}

fn bytes_apart(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    for byte in b"*1\r\n$4\r\nPING\r\n" {
        stream.write_all(&[*byte])?;
    }
    stream.read_exact(&mut [0; 7])
}
