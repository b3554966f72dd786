use super::Fault;

/// VLAN tags inside one another; more are nobody's network.
const TAGS_MAX: usize = 4;
const PPPOE: u16 = 0x8864;

/// What stands before the IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Ethernet, with any VLAN tags.
    Ethernet,
    /// Ethernet out of whose frames the kernel took this outermost VLAN tag.
    EthernetInVlan(u16),
    /// Linux's cooked capture, first version: what `-i any` gave.
    Sll,
    /// The second version: what `-i any` gives.
    Sll2,
    /// Nothing.
    Ip,
    /// Four bytes with the address family: BSD's loopback.
    Null,
    /// Any other, by its number in capture files.
    Other(u32),
}

impl Link {
    /// What a capture file's number (LINKTYPE) means.
    pub fn from_number(number: u32) -> Link {
        match number {
            1 => Link::Ethernet,
            113 => Link::Sll,
            276 => Link::Sll2,
            // DLT_RAW differs between systems.
            12 | 14 | 101 | 228 | 229 => Link::Ip,
            0 | 108 => Link::Null,
            other => Link::Other(other),
        }
    }

    /// The innermost VLAN tag, and all from the IP header on.
    pub(super) fn strip(self, bytes: &[u8]) -> Result<(Option<u16>, &[u8]), Fault> {
        match self {
            Link::Ethernet => tagged(None, number(bytes, 12)?, rest(bytes, 14)?),
            Link::EthernetInVlan(tag) => tagged(Some(tag & 0xfff), number(bytes, 12)?, rest(bytes, 14)?),
            Link::Sll => tagged(None, number(bytes, 14)?, rest(bytes, 16)?),
            Link::Sll2 => tagged(None, number(bytes, 0)?, rest(bytes, 20)?),
            Link::Ip => Ok((None, bytes)),
            Link::Null => loopback(bytes),
            Link::Other(number) => Err(Fault::Link(number)),
        }
    }
}

fn tagged(mut vlan: Option<u16>, mut kind: u16, mut bytes: &[u8]) -> Result<(Option<u16>, &[u8]), Fault> {
    for _ in 0..=TAGS_MAX {
        match kind {
            0x0800 | 0x86dd => return Ok((vlan, bytes)),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let tag = number(bytes, 0)? & 0xfff;
                // Tag 0 carries a priority alone.
                vlan = if tag == 0 { vlan } else { Some(tag) };
                kind = number(bytes, 2)?;
                bytes = rest(bytes, 4)?;
            }
            PPPOE => return Ok((vlan, session(bytes)?)),
            kind => return Err(other(kind, bytes)),
        }
    }
    Err(Fault::Corrupt)
}

/// What a PPPoE session carries (RFC 2516 §4), as far as it is IP.
fn session(bytes: &[u8]) -> Result<&[u8], Fault> {
    match number(bytes, 6)? {
        0x21 | 0x57 => rest(bytes, 8),
        // Links are set up and watched.
        0x8021 | 0x8057 | 0xc021.. => Err(Fault::NotIp),
        _ => Err(Fault::Unread),
    }
}

/// Whether a frame without IP is one of those that every network has. Below 1536 the number is a length, and LLC follows.
fn other(kind: u16, bytes: &[u8]) -> Fault {
    match (kind, bytes) {
        // Spanning tree; CDP and its kin.
        (..0x0600, [0x42, 0x42, ..] | [0xaa, 0xaa, 3, 0, 0, 0x0c, ..]) => Fault::NotIp,
        // ARP and RARP, pause, LACP, PPPoE's discovery, EAPOL, LLDP, loop tests.
        (0x0806 | 0x8035 | 0x8808 | 0x8809 | 0x8863 | 0x888e | 0x88cc | 0x9000, _) => Fault::NotIp,
        _ => Fault::Unread,
    }
}

/// The family is in the byte order of whoever captured; those of IPv6 differ between systems.
fn loopback(bytes: &[u8]) -> Result<(Option<u16>, &[u8]), Fault> {
    let family: [u8; 4] = bytes.get(..4).and_then(|four| four.try_into().ok()).ok_or(Fault::Truncated)?;
    let is_ip = |family: u32| matches!(family, 2 | 10 | 24 | 28 | 30);
    if is_ip(u32::from_le_bytes(family)) || is_ip(u32::from_be_bytes(family)) {
        Ok((None, rest(bytes, 4)?))
    } else {
        Err(Fault::Unread)
    }
}

fn number(bytes: &[u8], at: usize) -> Result<u16, Fault> {
    let two = bytes.get(at..at + 2).ok_or(Fault::Truncated)?;
    Ok(u16::from_be_bytes([two[0], two[1]]))
}

fn rest(bytes: &[u8], from: usize) -> Result<&[u8], Fault> {
    bytes.get(from..).ok_or(Fault::Truncated)
}
