//! The first frame of a connection between nodes: who dials, of which cluster, and where it can be dialled.

use core::net::SocketAddr;
use synod::NodeId;

const MAGIC: &[u8; 6] = b"SYNOD\x01";
/// The longest hello, in bytes.
pub(super) const HELLO_MAX: usize = MAGIC.len() + 4 + 8 + 1 + 64;

/// What a node says when it has dialled another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The fingerprint of the cluster: see [`Node::fingerprint`](synod::Node::fingerprint).
    pub cluster: u32,
    /// The process, drawn at random when it starts. Two processes under one number are told apart by it.
    pub process: u64,
    /// The number of the node.
    pub node: NodeId,
    /// Where the node is dialled. A node that joins later is not in the settings of the others.
    pub address: SocketAddr,
}

impl Hello {
    /// Returns the encoded hello.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.cluster.to_le_bytes());
        bytes.extend_from_slice(&self.process.to_le_bytes());
        bytes.push(u8::try_from(self.node.0).unwrap_or(u8::MAX));
        bytes.extend_from_slice(self.address.to_string().as_bytes());
        bytes
    }

    /// Decodes a hello; `None` if it is none of this version.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (cluster, rest) = rest.split_first_chunk()?;
        let (process, rest) = rest.split_first_chunk()?;
        let (node, address) = rest.split_first()?;
        let address = core::str::from_utf8(address).ok()?.parse().ok()?;
        let hello = Self {
            cluster: u32::from_le_bytes(*cluster),
            process: u64::from_le_bytes(*process),
            node: NodeId(u16::from(*node)),
            address,
        };
        (hello.node.0 < synod::NODES_MAX).then_some(hello)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_survives_its_encoding_and_a_part_of_it_is_none() {
        let hello = Hello {
            cluster: 7,
            process: 1 << 40,
            node: NodeId(63),
            address: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"
                .parse()
                .unwrap(),
        };
        let bytes = hello.encode();
        assert!(bytes.len() <= HELLO_MAX);
        assert_eq!(Hello::decode(&bytes), Some(hello));
        assert_eq!(Hello::decode(&bytes[..20]), None);
        let stranger = Hello {
            node: NodeId(64),
            ..hello
        };
        assert_eq!(Hello::decode(&stranger.encode()), None);
    }
}
