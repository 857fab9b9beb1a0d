use super::{Backup, BackupError, Entry};
use crate::keyspace::Lifetime;

fn entry(key: &[u8], value: &[u8], lifetime: Lifetime) -> Entry {
    Entry {
        key: key.to_vec(),
        value: value.to_vec(),
        lifetime,
    }
}

fn small() -> Backup {
    Backup {
        cluster: 0xfeed_0000_0000_beef,
        epoch: 3,
        slot: 4_711,
        chain: u64::MAX,
        unix: 1_700_000_000_000,
        entries: vec![
            entry(b"valve:3", b"open", Lifetime::Forever),
            entry(b"\x00\xff\r\n", b"\r\n$-1\x00", Lifetime::Left(5_000)),
            entry(b"", b"", Lifetime::Until(1_800_000_000_000)),
        ],
    }
}

#[test]
fn what_is_written_is_read_again() {
    let backup = small();
    assert_eq!(Backup::decode(&backup.encode()), Ok(backup));
    let empty = Backup {
        entries: Vec::new(),
        ..small()
    };
    assert_eq!(Backup::decode(&empty.encode()), Ok(empty));
}

#[test]
fn damage_to_any_byte_is_refused() {
    let bytes = small().encode();
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let expected = if at < 8 {
                BackupError::Foreign
            } else {
                BackupError::Damaged
            };
            assert_eq!(Backup::decode(&damaged), Err(expected), "byte {at}");
        }
    }
}

#[test]
fn a_backup_that_is_cut_off_or_goes_on_is_refused() {
    let bytes = small().encode();
    for len in 0..bytes.len() {
        assert!(Backup::decode(&bytes[..len]).is_err(), "{len} bytes");
    }
    let longer = [&bytes[..], b"\0"].concat();
    assert_eq!(Backup::decode(&longer), Err(BackupError::Damaged));
}

#[test]
fn another_file_or_version_is_told_from_damage() {
    assert_eq!(Backup::decode(b"[cluster]\n"), Err(BackupError::Foreign));
    let mut later = small().encode();
    later[8] = 9;
    let end = later.len() - 8;
    let checksum = super::CHECKSUM.checksum(&later[..end]).to_le_bytes();
    later[end..].copy_from_slice(&checksum);
    assert_eq!(Backup::decode(&later), Err(BackupError::Version(9)));
}
