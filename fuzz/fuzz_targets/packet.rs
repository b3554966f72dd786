//! Any bytes as a frame of every link layer: no panic, and nothing of it lies outside those bytes.
#![no_main]

use decode::packet::{Link, Segment, read, syn_family};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, &[u8])| {
    let (orig_len, bytes) = input;
    for number in [0, 1, 101, 113, 276, 999] {
        let Ok(packet) = read(Link::from_number(number), bytes, orig_len) else { continue };
        let payload = match packet.transport {
            Segment::Tcp(tcp) => {
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
});
