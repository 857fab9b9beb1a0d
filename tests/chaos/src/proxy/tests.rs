//! What the strikes do to a connection over a link.

use super::*;
use std::io::{Read, Write};

const LINK: Link = (0, 1);

/// A link to a listener.
struct Scene {
    links: Links,
    begin: SocketAddr,
    listener: TcpListener,
}

impl Scene {
    fn new() -> Self {
        let any = || TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = any();
        let begin = any().local_addr().unwrap();
        let back = "127.9.9.9:9".parse().unwrap();
        let ends = [begin, listener.local_addr().unwrap(), back];
        let links = Links::open([(LINK, ends)], 1).unwrap();
        Self {
            links,
            begin,
            listener,
        }
    }

    /// Connects over the link, and says hello. Returns both ends of the connection.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let mut near = TcpStream::connect(self.begin).unwrap();
        near.write_all(&hello("127.0.0.1:1")).unwrap();
        let (far, _) = self.listener.accept().unwrap();
        (near, far)
    }

    fn strike(&self, effect: Effect) {
        self.links.strike(7, vec![LINK], effect);
    }
}

fn hello(address: &str) -> Vec<u8> {
    let frame = [&[1; 19][..], address.as_bytes()].concat();
    let len = u16::try_from(frame.len()).unwrap();
    [&len.to_le_bytes(), &frame[..]].concat()
}

/// Reads as many bytes as are expected, and compares them.
#[track_caller]
fn arrives(stream: &mut TcpStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, expected);
}

/// True if the other side ends the connection, perhaps after some bytes.
fn ends(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn bytes_pass_and_the_hello_names_the_way_back() {
    let scene = Scene::new();
    let (mut near, mut far) = scene.connect();
    near.write_all(b"frames").unwrap();
    arrives(&mut far, &hello("127.9.9.9:9"));
    arrives(&mut far, b"frames");
    drop(far);
    assert!(ends(&mut near), "the end is noticed at the beginning");
}

#[test]
fn a_refused_link_ends_its_connections_and_takes_new_ones_when_it_is_healed() {
    let scene = Scene::new();
    let (mut near, mut far) = scene.connect();
    scene.strike(Effect {
        refused: true,
        ..Effect::default()
    });
    assert!(ends(&mut near));
    assert!(ends(&mut far));
    assert!(ends(&mut TcpStream::connect(scene.begin).unwrap()));
    scene.links.heal(7);
    let (_near, mut far) = scene.connect();
    arrives(&mut far, &hello("127.9.9.9:9"));
}

#[test]
fn withheld_and_late_bytes_arrive_when_the_link_is_healed() {
    for effect in [
        Effect {
            withheld: true,
            ..Effect::default()
        },
        Effect {
            delay: Duration::from_hours(1),
            ..Effect::default()
        },
        Effect {
            bytes_per_second: 1,
            ..Effect::default()
        },
    ] {
        let scene = Scene::new();
        scene.strike(effect);
        let (_near, mut far) = scene.connect();
        far.set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        assert!(far.read(&mut [0]).is_err(), "nothing arrives: {effect:?}");
        far.set_read_timeout(None).unwrap();
        scene.links.heal_all();
        arrives(&mut far, &hello("127.9.9.9:9"));
    }
}

#[test]
fn a_torn_connection_ends_in_the_middle_of_what_passes() {
    let scene = Scene::new();
    scene.strike(Effect {
        torn_once_in: 1,
        ..Effect::default()
    });
    let (_near, mut far) = scene.connect();
    let whole = hello("127.9.9.9:9");
    arrives(&mut far, &whole[..whole.len() / 2]);
    assert!(ends(&mut far));
}

#[test]
fn two_strikes_on_a_link_have_the_effects_of_both() {
    let one = Effect {
        delay: Duration::from_secs(2),
        bytes_per_second: 100,
        ..Effect::default()
    };
    let other = Effect {
        withheld: true,
        delay: Duration::from_secs(1),
        torn_once_in: 5,
        ..Effect::default()
    };
    let both = Effect {
        refused: false,
        withheld: true,
        delay: Duration::from_secs(2),
        bytes_per_second: 100,
        torn_once_in: 5,
    };
    assert_eq!(one.and(other), both);
    assert_eq!(other.and(one), both);
}
