//! The checksum of data that may be damaged between being written and being read: records in storage and frames on a
//! link.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// No table on small targets, where its kilobyte counts for more than the time.
const TABLE: usize = if cfg!(target_pointer_width = "64") {
    1
} else {
    0
};

/// The algorithm, with or without its table.
const CRC: Crc<u32, Table<TABLE>> = Crc::<u32, Table<TABLE>>::new(&CRC_32_ISO_HDLC);

const _: () = assert!(
    CRC.checksum(b"123456789") == CRC_32_ISO_HDLC.check,
    "frames and records are checked as other programs do, with a table and without"
);

/// Returns the CRC-32 of `bytes`, as in ISO-HDLC, Ethernet and zip.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}
