//! The first frame of a connection between nodes names the address of the one that dials. The proxy replaces it by the
//! address of the link back, as a router that translates addresses would have to: otherwise the nodes would learn to
//! reach each other around the proxy.

use core::net::SocketAddr;

/// The bytes in front of the address: a mark, the cluster, the process, and the number of the node.
const HEAD: usize = 6 + 4 + 8 + 1;

/// Returns the first frame with another address in it, and the number of bytes that the original has; `None` if it is not
/// complete. What is too short to have an address is left as it is.
pub(super) fn translate(bytes: &[u8], address: SocketAddr) -> Option<(Vec<u8>, usize)> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_le_bytes(*len));
    let frame = rest.get(..len)?;
    let Some(head) = frame.get(..HEAD) else {
        return Some((bytes.get(..2 + len)?.to_vec(), 2 + len));
    };
    let frame = [head, address.to_string().as_bytes()].concat();
    let new_len = u16::try_from(frame.len()).ok()?;
    Some(([&new_len.to_le_bytes(), &frame[..]].concat(), 2 + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_replaced_and_nothing_else() {
        let head = b"SYNOD\x01cluster+process";
        let hello = |address: &str| {
            let frame = [&head[..HEAD], address.as_bytes()].concat();
            let len = u16::try_from(frame.len()).unwrap();
            [&len.to_le_bytes(), &frame[..]].concat()
        };
        let sent = [hello("127.0.0.1:17379"), b"more".to_vec()].concat();
        let address = "127.1.2.3:20001".parse().unwrap();
        let translated = translate(&sent, address);
        assert_eq!(translated, Some((hello("127.1.2.3:20001"), sent.len() - 4)));
        assert_eq!(translate(&sent[..20], address), None);
    }
}
