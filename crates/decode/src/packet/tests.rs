use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use schema::SynFamily;
use testkit::frames::{self, flag, options};

use super::*;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn hello() -> Vec<u8> {
    let (source, destination) = (at("192.0.2.1:40000"), at("198.51.100.7:445"));
    frames::Tcp { payload: b"hello", ..frames::Tcp::bare(source, destination, flag::ACK | flag::PSH) }.ip()
}

fn whole(link: Link, bytes: &[u8]) -> Result<Packet<'_>, Fault> {
    read(link, bytes, bytes.len() as u32)
}

fn tcp<'a>(packet: &Packet<'a>) -> Tcp<'a> {
    let Segment::Tcp(tcp) = packet.transport else { panic!("{packet:?}") };
    tcp
}

#[test]
fn the_same_packet_is_found_behind_every_link_layer() {
    let ip = hello();
    let behind = |head: &[u8]| [head, &ip].concat();
    let pppoe = [&[1; 12][..], &[0x88, 0x64, 0x11, 0, 0, 7, 0, 47, 0, 0x21]].concat();
    let sll = [&[0; 14][..], &[8, 0]].concat();
    let sll2 = [&[8, 0][..], &[0; 18]].concat();
    for (link, bytes, vlan) in [
        (Link::Ethernet, frames::ethernet(&[], &ip), None),
        (Link::Ethernet, frames::ethernet(&[5], &ip), Some(5)),
        (Link::Ethernet, frames::ethernet(&[100, 0xe007], &ip), Some(7)),
        (Link::Ethernet, frames::ethernet(&[100, 0], &ip), Some(100)),
        (Link::EthernetInVlan(9), frames::ethernet(&[], &ip), Some(9)),
        (Link::EthernetInVlan(9), frames::ethernet(&[12], &ip), Some(12)),
        (Link::Ethernet, behind(&pppoe), None),
        (Link::Sll, behind(&sll), None),
        (Link::Sll2, behind(&sll2), None),
        (Link::Ip, ip.clone(), None),
        (Link::Null, behind(&[2, 0, 0, 0]), None),
        (Link::Null, behind(&[0, 0, 0, 2]), None),
    ] {
        let packet = whole(link, &bytes).unwrap_or_else(|fault| panic!("{link:?}: {fault}"));
        assert_eq!(packet.vlan, vlan, "{link:?}");
        assert_eq!(packet.source, at("192.0.2.1:1").ip());
        assert_eq!(packet.destination, at("198.51.100.7:1").ip());
        assert_eq!((packet.ttl, packet.ip_bytes), (64, 45));
        let tcp = tcp(&packet);
        assert_eq!((tcp.source_port, tcp.destination_port, tcp.payload), (40000, 445, &b"hello"[..]));
        assert!(tcp.flags.ack() && !tcp.flags.opens() && !tcp.flags.answers());
    }
}

#[test]
fn what_is_no_ip_is_no_fault_of_the_capture() {
    let mut arp = frames::ethernet(&[3], &[0; 28]);
    arp[16..18].copy_from_slice(&[8, 6]);
    assert_eq!(whole(Link::Ethernet, &arp), Err(Fault::NotIp));
    let mut mpls = arp.clone();
    mpls[16..18].copy_from_slice(&[0x88, 0x47]);
    assert_eq!(whole(Link::Ethernet, &mpls), Err(Fault::Unread));
    let (stp, ipx) =
        ([&[1; 12][..], &[0, 38, 0x42, 0x42, 3]].concat(), [&[1; 12][..], &[0, 38, 0xe0, 0xe0, 3]].concat());
    assert_eq!(whole(Link::Ethernet, &stp), Err(Fault::NotIp));
    assert_eq!(whole(Link::Ethernet, &ipx), Err(Fault::Unread));
    assert_eq!(whole(Link::Null, &[7, 0, 0, 0, 0x45]), Err(Fault::Unread));
    assert_eq!(whole(Link::Other(147), &hello()), Err(Fault::Link(147)));
    let tags = frames::ethernet(&[1, 2, 3, 4, 5, 6], &hello());
    assert_eq!(whole(Link::Ethernet, &tags), Err(Fault::Corrupt));
    assert_eq!(whole(Link::Ethernet, &[]), Err(Fault::Truncated));
    assert_eq!(whole(Link::Ip, &[]), Err(Fault::Truncated));
    assert_eq!(whole(Link::Ip, &[0x55; 60]), Err(Fault::Corrupt));
}

#[test]
fn padding_is_left_out_and_what_the_capture_cut_off_is_counted() {
    let mut padded = frames::ethernet(&[], &hello());
    padded.resize(64, 0xee);
    let packet = whole(Link::Ethernet, &padded).unwrap();
    assert_eq!((tcp(&packet).payload, packet.ip_bytes), (&b"hello"[..], 45));

    let long = vec![7; 1000];
    let sent = frames::Tcp { payload: &long, ..frames::Tcp::bare(at("192.0.2.1:1"), at("192.0.2.2:2"), 16) };
    let frame = sent.frame();
    let packet = read(Link::Ethernet, &frame[..96], frame.len() as u32).unwrap();
    let segment = tcp(&packet);
    assert_eq!((segment.payload.len(), segment.payload_bytes, packet.ip_bytes), (42, 1000, 1040));

    // The length on the wire may be anything.
    for orig_len in [0, 1, u32::MAX] {
        assert_eq!(tcp(&read(Link::Ethernet, &frame, orig_len).unwrap()).payload, &long[..]);
    }
    // Segmentation offload: the card fills in the length.
    let mut offloaded = frame.clone();
    offloaded[16..18].fill(0);
    assert_eq!(tcp(&whole(Link::Ethernet, &offloaded).unwrap()).payload_bytes, 1000);
}

#[test]
fn a_frame_of_64_kilobytes_is_a_frame() {
    let long = vec![7; 65_495];
    let sent = frames::Tcp { payload: &long, ..frames::Tcp::bare(at("192.0.2.1:1"), at("192.0.2.2:2"), 16) };
    let frame = sent.frame();
    assert_eq!(tcp(&whole(Link::Ethernet, &frame).unwrap()).payload_bytes, 65_495);
}

#[test]
fn extension_headers_of_ipv6_are_passed_over() {
    let (source, destination) = (at("[2001:db8::1]:40000"), at("[2001:db8::2]:445"));
    let tcp_bytes = frames::Tcp::bare(source, destination, flag::SYN).ip()[40..].to_vec();
    let options = |next: u8, rest: &[u8]| [&[next, 0, 1, 4, 0, 0, 0, 0], rest].concat();
    let auth = [&[6, 4][..], &[0; 22], &tcp_bytes].concat();
    let atomic = [&[6, 0, 0, 0, 0, 0, 0, 9][..], &tcp_bytes].concat();
    for (first, payload) in [
        (0, options(60, &options(6, &tcp_bytes))),
        (43, options(6, &tcp_bytes)),
        (51, auth),
        (44, atomic),
        (0, options(44, &[&[6, 0, 0, 0, 0, 0, 0, 9][..], &tcp_bytes].concat())),
    ] {
        let ip = frames::ip(source.ip(), destination.ip(), first, 60, &payload);
        let packet = whole(Link::Ip, &ip).unwrap();
        assert_eq!(tcp(&packet).destination_port, 445, "{first}");
        assert!(tcp(&packet).flags.opens());
        assert_eq!((packet.ttl, packet.ip_bytes as usize, tcp(&packet).payload_bytes), (60, ip.len(), 0));
    }
    let endless = (0..40).fold(tcp_bytes.clone(), |rest, _| options(60, &rest));
    let ip = frames::ip(source.ip(), destination.ip(), 60, 60, &endless);
    assert_eq!(whole(Link::Ip, &ip), Err(Fault::Corrupt));
    let last = frames::ip(source.ip(), destination.ip(), 59, 60, &[1, 2, 3]);
    assert_eq!(whole(Link::Ip, &last).unwrap().transport, Segment::Other { protocol: 59, bytes: 3 });
}

#[test]
fn fragments_are_told_from_wholes() {
    let ip = frames::udp(at("192.0.2.1:1111"), at("192.0.2.2:53"), &[9; 100]);
    let parts = frames::fragments(&ip, 77, 48);
    let found: Vec<_> = parts.iter().map(|part| whole(Link::Ip, part).unwrap().transport).collect();
    let expected = [(0, true, 48), (48, true, 48), (96, false, 12)];
    for (found, (offset, more, length)) in found.iter().zip(expected) {
        let Segment::Fragment(fragment) = found else { panic!("{found:?}") };
        assert_eq!((fragment.id, fragment.protocol), (77, 17));
        assert_eq!((fragment.offset, fragment.more, fragment.payload.len()), (offset, more, length));
    }
    let six = [&[17, 0, 0, 0x11, 0, 0, 1, 2][..], &[5; 16]].concat();
    let six = frames::ip(at("[2001:db8::1]:1").ip(), at("[2001:db8::2]:1").ip(), 44, 9, &six);
    let Segment::Fragment(part) = whole(Link::Ip, &six).unwrap().transport else { panic!() };
    assert_eq!((part.id, part.offset, part.more, part.protocol), (0x102, 16, true, 17));
    // Cut by the capture, or with a length that no part has.
    assert_eq!(read(Link::Ip, &parts[0][..40], 68), Err(Fault::Truncated));
    let mut odd = parts[0].clone();
    odd[3] -= 1;
    assert_eq!(whole(Link::Ip, &odd), Err(Fault::Corrupt));
    let mut far = parts[2].clone();
    far[6..8].copy_from_slice(&0x1fff_u16.to_be_bytes());
    assert_eq!(whole(Link::Ip, &far), Err(Fault::Corrupt));
}

#[test]
fn icmp_errors_quote_what_they_are_about() {
    let about = frames::udp(at("192.0.2.1:1111"), at("192.0.2.2:161"), &[0; 20]);
    let router: IpAddr = at("203.0.113.1:1").ip();
    let error = frames::icmp(router, at("192.0.2.1:1").ip(), 3, 3, &about[..28]);
    let Segment::Icmp(icmp) = whole(Link::Ip, &error).unwrap().transport else { panic!() };
    let IcmpMeaning::Unreachable(Some(quoted)) = icmp.meaning else { panic!("{icmp:?}") };
    assert_eq!((quoted.source, quoted.destination), (at("192.0.2.1:1").ip(), at("192.0.2.2:1").ip()));
    assert_eq!((quoted.protocol, quoted.source_port, quoted.destination_port), (17, 1111, 161));
    let about = frames::Tcp::bare(at("[2001:db8::1]:2222"), at("[2001:db8::2]:22"), flag::SYN).ip();
    let error = frames::icmp(at("[2001:db8::9]:1").ip(), at("[2001:db8::1]:1").ip(), 1, 4, &about);
    let Segment::Icmp(icmp) = whole(Link::Ip, &error).unwrap().transport else { panic!() };
    let IcmpMeaning::Unreachable(Some(quoted)) = icmp.meaning else { panic!("{icmp:?}") };
    assert_eq!((quoted.source_port, quoted.destination_port), (2222, 22));
    for (kind, meaning) in
        [(8, IcmpMeaning::EchoRequest), (0, IcmpMeaning::EchoReply), (13, IcmpMeaning::Other)]
    {
        let ip = frames::icmp(router, router, kind, 0, &[]);
        let Segment::Icmp(icmp) = whole(Link::Ip, &ip).unwrap().transport else { panic!() };
        assert_eq!(icmp.meaning, meaning);
    }
}

#[test]
fn ipv4_within_ipv6_is_written_as_ipv4() {
    let ip = frames::ip(at("[::ffff:192.0.2.1]:1").ip(), at("[2001:db8::1]:1").ip(), 59, 1, &[]);
    assert_eq!(whole(Link::Ip, &ip).unwrap().source, at("192.0.2.1:1").ip());
}

#[test]
fn families_are_told_by_their_syns() {
    // As measured on captures of hosts that are known, and by hand for what has none.
    let windows_scaled = |scale| [2, 4, 5, 0xb4, 1, 3, 3, scale, 1, 1, 4, 2];
    let check = |ttl: u8, window: u16, options: &[u8], expected: SynFamily| {
        let syn = frames::Tcp {
            window,
            options,
            ..frames::Tcp::bare(at("192.0.2.1:1111"), at("192.0.2.2:445"), flag::SYN)
        };
        let ip = syn.ip_with(ttl);
        let packet = whole(Link::Ip, &ip).unwrap();
        assert_eq!(syn_family(packet.ttl, &tcp(&packet)), expected, "{ttl} {window} {options:?}");
    };
    check(128, 65535, options::NT5, SynFamily::Nt5);
    check(113, 64240, options::NT5, SynFamily::Nt5);
    check(127, 65535, &windows_scaled(1), SynFamily::Nt5);
    check(128, 8192, options::NT5, SynFamily::Nt6);
    check(128, 64240, options::NT6, SynFamily::Nt6);
    check(128, 65535, &windows_scaled(8), SynFamily::Nt6);
    check(128, 8192, &windows_scaled(2), SynFamily::Nt6);
    check(64, 64240, options::LINUX, SynFamily::Linux);
    check(50, 29200, options::LINUX, SynFamily::Linux);
    check(64, 65535, options::MACOS, SynFamily::Bsd);
    check(128, 65535, options::MACOS, SynFamily::Unknown);
    check(64, 65535, options::NT5, SynFamily::Unknown);
    check(240, 1024, &[], SynFamily::Bare);
    check(128, 1024, &[2, 4, 5, 0xb4], SynFamily::Unknown);
    // Options that lie about their lengths.
    check(128, 65535, &[2, 40, 1, 1], SynFamily::Unknown);
    check(128, 65535, &[8, 0, 8, 1], SynFamily::Unknown);
}

/// All links, and what is in a packet lies within the bytes that it was read from.
pub(crate) fn no_bytes_are_too_bad(bytes: &[u8], orig_len: u32) {
    let links = [0, 1, 101, 113, 276, 999].map(Link::from_number);
    for link in links.into_iter().chain([Link::EthernetInVlan(4095)]) {
        let Ok(packet) = read(link, bytes, orig_len) else { continue };
        let payload = match packet.transport {
            Segment::Tcp(tcp) => {
                assert!(tcp.payload.len() <= tcp.payload_bytes as usize || tcp.payload_bytes == 0);
                let _ = syn_family(packet.ttl, &tcp);
                tcp.payload
            }
            Segment::Udp(udp) => udp.payload,
            Segment::Fragment(fragment) => fragment.payload,
            Segment::Icmp(_) | Segment::Other { .. } => &[],
        };
        assert!(payload.len() <= bytes.len());
        assert!(packet.ip_bytes as usize <= bytes.len().max(orig_len as usize));
    }
}

#[test]
fn every_beginning_of_a_packet_is_read_or_refused() {
    let (six_a, six_b) = (at("[2001:db8::1]:1111"), at("[2001:db8::2]:80"));
    let inner = frames::udp(at("192.0.2.1:1111"), at("192.0.2.2:53"), &[1; 30]);
    for ip in [
        hello(),
        inner.clone(),
        frames::udp(six_a, six_b, &[1; 30]),
        frames::icmp(at("192.0.2.9:1").ip(), at("192.0.2.1:1").ip(), 3, 1, &inner),
        frames::Tcp { options: options::LINUX, ..frames::Tcp::bare(six_a, six_b, flag::SYN) }.ip(),
        frames::fragments(&inner, 1, 16).remove(1),
    ] {
        let frame = frames::ethernet(&[1, 2], &ip);
        for length in 0..=frame.len() {
            no_bytes_are_too_bad(&frame[..length], frame.len() as u32);
            no_bytes_are_too_bad(&frame[..length], length as u32);
            let is_read = read(Link::Ethernet, &frame[..length], length as u32).is_ok();
            assert!(!is_read || length >= 22 + 20 + 8, "{length}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), orig_len in any::<u32>()) {
        no_bytes_are_too_bad(&bytes, orig_len);
    }

    #[test]
    fn packets_with_wrong_bytes_are_read_or_refused(
        which in 0..3_usize,
        wrong in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        orig_len in any::<u32>(),
    ) {
        let six = frames::udp(at("[2001:db8::1]:1111"), at("[2001:db8::2]:53"), &[1; 40]);
        let six = frames::ip(at("[2001:db8::1]:1").ip(), at("[2001:db8::2]:1").ip(), 60, 4, &[&[17, 0, 1, 4, 0, 0, 0, 0][..], &six[40..]].concat());
        let mut frame = frames::ethernet(&[7], &[hello(), six, frames::udp(at("192.0.2.1:1"), at("192.0.2.2:53"), &[3; 60])][which]);
        for (place, byte) in wrong {
            let place = place.index(frame.len());
            frame[place] = byte;
        }
        no_bytes_are_too_bad(&frame, orig_len);
    }
}
