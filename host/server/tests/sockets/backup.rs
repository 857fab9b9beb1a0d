//! Backups of one cluster, restored into another.

use crate::harness::{Cluster, bulk};
use crate::ok;
use std::collections::BTreeMap;
use synod_server::admin::Door;
use synod_server::backup::client::{RestoreError, restore, take};
use synod_server::backup::{Backup, Entry};
use synod_server::keyspace::Lifetime;
use synod_server::resp::response::Response;

/// A value that is no text and would end a line.
const BINARY: &str = "\0\r\n$-1\r\n";

fn set_binary(cluster: &Cluster) {
    let mut client = cluster.client(0);
    let len = BINARY.len();
    client.send(&format!(
        "*3\r\n$3\r\nSET\r\n$6\r\nbinary\r\n${len}\r\n{BINARY}\r\n"
    ));
    assert_eq!(client.next(), ok());
}

fn by_key(backup: &Backup) -> BTreeMap<&[u8], &Entry> {
    let entries = backup.entries.iter();
    entries.map(|entry| (&entry.key[..], entry)).collect()
}

#[test]
fn a_backup_of_one_cluster_is_read_back_in_another() {
    let cluster = Cluster::start(3);
    let mut client = cluster.client(1);
    for number in 0..300 {
        assert_eq!(client.ask(&format!("SET key:{number} {number}")), ok());
    }
    set_binary(&cluster);
    assert_eq!(client.ask("SET lock x PX 86400000"), ok());
    assert_eq!(client.ask("SET until x PXAT 9999999999999"), ok());
    assert_eq!(client.ask("SET over x PXAT 1"), ok());
    cluster.wait_for_all();
    let (bytes, backup) = take(&cluster.door(2)).unwrap();
    assert_eq!(Backup::decode(&bytes).as_ref(), Ok(&backup));
    assert!(backup.slot > 0);
    let entries = by_key(&backup);
    assert_eq!(entries.len(), 303);
    assert_eq!(entries[&b"binary"[..]].value, BINARY.as_bytes());
    let until = entries[&b"until"[..]].lifetime;
    assert_eq!(until, Lifetime::Until(9_999_999_999_999));
    let Lifetime::Left(ms) = entries[&b"lock"[..]].lifetime else {
        panic!("the lock does not expire");
    };
    assert!((1..=86_400_000).contains(&ms));

    let other = Cluster::start(3);
    other.wait_for_all();
    let restored = restore(&other.door(1), &backup);
    assert_eq!(restored.unwrap(), (303, 0));
    for node in 0..3 {
        let mut client = other.client(node);
        assert_eq!(client.ask("GET key:299"), bulk("299"));
        assert_eq!(client.ask("GET binary"), bulk(BINARY));
        assert_eq!(client.ask("DBSIZE"), Response::Integer(303));
        let Response::Integer(left) = client.ask("PTTL lock") else {
            panic!("no time");
        };
        assert!((1..=86_400_000).contains(&left));
    }
    // A restore that was interrupted goes on where it was.
    assert_eq!(other.client(0).ask("DEL key:7 key:8"), Response::Integer(2));
    let again = restore(&other.door(2), &backup);
    assert_eq!(again.unwrap(), (303, 0));
}

#[test]
fn a_restore_into_the_same_or_a_used_cluster_changes_nothing() {
    let cluster = Cluster::start(1);
    assert_eq!(cluster.client(0).ask("SET a 1"), ok());
    let (_, backup) = take(&cluster.door(0)).unwrap();
    let same = restore(&cluster.door(0), &backup);
    assert!(
        matches!(same, Err(RestoreError::SameCluster(_))),
        "{same:?}"
    );

    let used = Cluster::start(1);
    assert_eq!(used.client(0).ask("SET a 2"), ok());
    let refused = restore(&used.door(0), &backup);
    assert!(
        matches!(refused, Err(RestoreError::NotEmpty(1))),
        "{refused:?}"
    );
    assert_eq!(used.client(0).ask("GET a"), bulk("2"));
}

#[test]
fn a_backup_needs_the_password_of_clients() {
    let cluster = Cluster::start_with(1, |options| options.password = Some(b"secret".to_vec()));
    let door = |password: Option<&[u8]>| Door {
        password: password.map(<[u8]>::to_vec),
        ..cluster.door(0)
    };
    // From then on it listens.
    let refused = cluster.client(0).ask("PING");
    assert!(matches!(refused, Response::Error(_)), "{refused:?}");
    let refused = take(&door(None)).unwrap_err().to_string();
    assert!(refused.starts_with("NOAUTH"), "{refused}");
    let refused = take(&door(Some(b"wrong"))).unwrap_err().to_string();
    assert!(refused.starts_with("WRONGPASS"), "{refused}");
    assert!(take(&door(Some(b"secret"))).is_ok());
}

#[test]
fn a_backup_is_taken_and_restored_in_tls() {
    let cluster = Cluster::start_in_tls(1, |_| {});
    assert_eq!(cluster.client(0).ask("SET a 1"), ok());
    let (_, backup) = take(&cluster.door(0)).unwrap();
    let other = Cluster::start_in_tls(1, |_| {});
    assert_eq!(
        other.client(0).ask("PING"),
        Response::Status("PONG".to_owned())
    );
    assert_eq!(restore(&other.door(0), &backup).unwrap(), (1, 0));
    assert_eq!(other.client(0).ask("GET a"), bulk("1"));
}
