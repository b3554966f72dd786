use std::net::IpAddr;

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6Header, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice,
};

use super::transport::segment;
use super::{Fault, Fragment, Packet, Segment};

/// Extension headers in a row; more are made to be expensive.
const EXTENSIONS_MAX: usize = 8;

/// Reads from the IP header on; `wire` is how many bytes that were on the wire.
pub(super) fn read(vlan: Option<u16>, bytes: &[u8], wire: usize) -> Result<Packet<'_>, Fault> {
    match bytes.first().ok_or(Fault::Truncated)? >> 4 {
        4 => four(vlan, bytes, wire),
        6 => six(vlan, bytes, wire),
        _ => Err(Fault::Corrupt),
    }
}

/// What of `bytes` belongs to the packet, and how long the packet is, headers included. A length of 0 is left to the network card to
/// fill in (segmentation offload).
fn bounds(bytes: &[u8], header: usize, said: usize, wire: usize) -> Result<(&[u8], usize), Fault> {
    let whole = if said == 0 { wire } else { said.min(wire) };
    if whole < header {
        return Err(if said < header && said != 0 { Fault::Corrupt } else { Fault::Truncated });
    }
    Ok((&bytes[header..whole.min(bytes.len())], whole))
}

fn four(vlan: Option<u16>, bytes: &[u8], wire: usize) -> Result<Packet<'_>, Fault> {
    let header_bytes = usize::from(bytes[0] & 15) * 4;
    if header_bytes < 20 {
        return Err(Fault::Corrupt);
    }
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|_| Fault::Truncated)?;
    let (payload, whole) = bounds(bytes, header_bytes, usize::from(header.total_len()), wire)?;
    let left = whole - header_bytes;
    let transport = if header.is_fragmenting_payload() {
        let offset = u32::from(header.fragments_offset().value()) * 8;
        let place = Place { id: u32::from(header.identification()), offset, more: header.more_fragments() };
        fragment(header.protocol(), place, payload, left)?
    } else if header.protocol() == IpNumber::AUTHENTICATION_HEADER {
        let auth = IpAuthHeaderSlice::from_slice(payload).map_err(|_| Fault::Truncated)?;
        let skipped = auth.slice().len();
        segment(auth.next_header().0, &payload[skipped..], left.saturating_sub(skipped))?
    } else {
        segment(header.protocol().0, payload, left)?
    };
    Ok(Packet {
        vlan,
        source: IpAddr::V4(header.source_addr()),
        destination: IpAddr::V4(header.destination_addr()),
        ttl: header.ttl(),
        ip_bytes: u32::try_from(whole).unwrap_or(u32::MAX),
        transport,
    })
}

fn six(vlan: Option<u16>, bytes: &[u8], wire: usize) -> Result<Packet<'_>, Fault> {
    const HEADER: usize = Ipv6Header::LEN;
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| Fault::Truncated)?;
    let said = match header.payload_length() {
        0 => 0,
        length => usize::from(length) + HEADER,
    };
    let (payload, whole) = bounds(bytes, HEADER, said, wire)?;
    Ok(Packet {
        vlan,
        source: IpAddr::V6(header.source_addr()).to_canonical(),
        destination: IpAddr::V6(header.destination_addr()).to_canonical(),
        ttl: header.hop_limit(),
        ip_bytes: u32::try_from(whole).unwrap_or(u32::MAX),
        transport: extensions(header.next_header(), payload, whole - HEADER)?,
    })
}

/// Reads a whole that was made of fragments: IPv6's can begin with further extension headers.
///
/// # Errors
/// [`Fault`] as of [`super::read`]. A part of a packet within it is [`Fault::Corrupt`]: nobody cuts a packet twice.
pub fn whole(protocol: u8, bytes: &[u8], source: IpAddr) -> Result<Segment<'_>, Fault> {
    let read = match source {
        IpAddr::V4(_) => segment(protocol, bytes, bytes.len()),
        IpAddr::V6(_) => extensions(IpNumber(protocol), bytes, bytes.len()),
    };
    match read? {
        Segment::Fragment(_) => Err(Fault::Corrupt),
        segment => Ok(segment),
    }
}

fn extensions(mut next: IpNumber, mut payload: &[u8], mut left: usize) -> Result<Segment<'_>, Fault> {
    for _ in 0..=EXTENSIONS_MAX {
        let skipped = match next {
            IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_DESTINATION_OPTIONS
            | IpNumber::IPV6_ROUTE_HEADER => {
                let header = Ipv6RawExtHeaderSlice::from_slice(payload).map_err(|_| Fault::Truncated)?;
                next = header.next_header();
                header.slice().len()
            }
            IpNumber::AUTHENTICATION_HEADER => {
                let header = IpAuthHeaderSlice::from_slice(payload).map_err(|_| Fault::Truncated)?;
                next = header.next_header();
                header.slice().len()
            }
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let header = Ipv6FragmentHeaderSlice::from_slice(payload).map_err(|_| Fault::Truncated)?;
                next = header.next_header();
                let skipped = header.slice().len();
                if header.is_fragmenting_payload() {
                    // What follows is the beginning of headers in the first part alone.
                    let offset = u32::from(header.fragment_offset().value()) * 8;
                    let place = Place { id: header.identification(), offset, more: header.more_fragments() };
                    return fragment(next, place, &payload[skipped..], left.saturating_sub(skipped));
                }
                skipped
            }
            IpNumber::IPV6_NO_NEXT_HEADER => {
                let bytes = u32::try_from(left).unwrap_or(u32::MAX);
                return Ok(Segment::Other { protocol: next.0, bytes });
            }
            other => return segment(other.0, payload, left),
        };
        payload = &payload[skipped..];
        left = left.saturating_sub(skipped);
    }
    Err(Fault::Corrupt)
}

struct Place {
    id: u32,
    offset: u32,
    more: bool,
}

fn fragment(protocol: IpNumber, place: Place, payload: &[u8], left: usize) -> Result<Segment<'_>, Fault> {
    let Place { id, offset, more } = place;
    if payload.len() < left {
        return Err(Fault::Truncated);
    }
    // All parts but the last are multiples of eight, and no whole is longer than 64 KiB.
    if payload.is_empty()
        || (more && !payload.len().is_multiple_of(8))
        || offset as usize + payload.len() > 0xffff
    {
        return Err(Fault::Corrupt);
    }
    Ok(Segment::Fragment(Fragment { id, protocol: protocol.0, offset, more, payload }))
}
