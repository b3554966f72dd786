use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{TcpSlice, UdpHeader, UdpHeaderSlice};

use super::{Fault, Flags, Icmp, IcmpMeaning, Quoted, Segment, Tcp, Udp};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;

/// Reads what an IP packet of that protocol carries; `wire` is how many bytes that were on the wire.
///
/// # Errors
/// [`Fault`] where the header is not all there or contradicts itself.
pub fn segment(protocol: u8, bytes: &[u8], wire: usize) -> Result<Segment<'_>, Fault> {
    match protocol {
        TCP => tcp(bytes, wire),
        UDP => udp(bytes, wire),
        ICMP => icmp(four, bytes, wire),
        ICMP6 => icmp(six, bytes, wire),
        protocol => Ok(Segment::Other { protocol, bytes: length(wire, 0) }),
    }
}

fn tcp(bytes: &[u8], wire: usize) -> Result<Segment<'_>, Fault> {
    let Ok(tcp) = TcpSlice::from_slice(bytes) else {
        let is_short = bytes.get(12).is_none_or(|byte| byte >> 4 >= 5);
        return Err(if is_short { Fault::Truncated } else { Fault::Corrupt });
    };
    let header = tcp.header_slice();
    Ok(Segment::Tcp(Tcp {
        source_port: tcp.source_port(),
        destination_port: tcp.destination_port(),
        sequence: tcp.sequence_number(),
        acknowledgment: tcp.acknowledgment_number(),
        flags: Flags(header[13]),
        window: tcp.window_size(),
        options: &header[20..],
        payload: tcp.payload(),
        payload_bytes: length(wire, header.len()),
    }))
}

fn udp(bytes: &[u8], wire: usize) -> Result<Segment<'_>, Fault> {
    let header = UdpHeaderSlice::from_slice(bytes).map_err(|_| Fault::Truncated)?;
    let whole = match usize::from(header.length()) {
        // Longer than 64 KiB (a jumbogram), or left to the network card.
        0 => wire,
        length if length < UdpHeader::LEN => return Err(Fault::Corrupt),
        length => length.min(wire),
    };
    let payload = &bytes[UdpHeader::LEN..whole.clamp(UdpHeader::LEN, bytes.len())];
    Ok(Segment::Udp(Udp {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        payload,
        payload_bytes: length(whole, UdpHeader::LEN),
    }))
}

fn icmp<'a>(
    meaning: fn(u8, &[u8]) -> IcmpMeaning,
    bytes: &'a [u8],
    wire: usize,
) -> Result<Segment<'a>, Fault> {
    if bytes.len() < 8 {
        return Err(Fault::Truncated);
    }
    Ok(Segment::Icmp(Icmp { meaning: meaning(bytes[0], &bytes[8..]), bytes: length(wire, 0) }))
}

fn four(kind: u8, quoted: &[u8]) -> IcmpMeaning {
    match kind {
        0 => IcmpMeaning::EchoReply,
        8 => IcmpMeaning::EchoRequest,
        3 => IcmpMeaning::Unreachable(quoted_packet(quoted)),
        4 | 11 | 12 => IcmpMeaning::Error(quoted_packet(quoted)),
        _ => IcmpMeaning::Other,
    }
}

fn six(kind: u8, quoted: &[u8]) -> IcmpMeaning {
    match kind {
        128 => IcmpMeaning::EchoRequest,
        129 => IcmpMeaning::EchoReply,
        1 => IcmpMeaning::Unreachable(quoted_packet(quoted)),
        2..=4 => IcmpMeaning::Error(quoted_packet(quoted)),
        _ => IcmpMeaning::Other,
    }
}

/// The quoted packet is cut off by design, so its lengths are not looked at.
fn quoted_packet(bytes: &[u8]) -> Option<Quoted> {
    let address_4 =
        |at: usize| Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?)));
    let address_6 = |at: usize| {
        let octets = <[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
    };
    let (source, destination, protocol, header) = match bytes.first()? >> 4 {
        4 => (address_4(12)?, address_4(16)?, *bytes.get(9)?, usize::from(bytes[0] & 15) * 4),
        6 => (address_6(8)?, address_6(24)?, *bytes.get(6)?, 40),
        _ => return None,
    };
    let port = |at: usize| match protocol {
        TCP | UDP => {
            bytes.get(header + at..header + at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]))
        }
        _ => 0,
    };
    (header >= 20).then(|| Quoted {
        source,
        destination,
        protocol,
        source_port: port(0),
        destination_port: port(2),
    })
}

fn length(wire: usize, header: usize) -> u32 {
    u32::try_from(wire.saturating_sub(header)).unwrap_or(u32::MAX)
}
