//! Flows of any bytes in any pieces and with holes, after an opening that leads into one protocol: no panic, and no more sights than
//! bytes. The first byte chooses the opening; then each piece is a control byte (side, hole, datagram), a length and its bytes.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use decode::speech::Speech;
use libfuzzer_sys::fuzz_target;
use schema::{Contact, Endpoint, Side, Transport};

/// Each is what a flow of its protocol begins with, cut where the fuzzer goes on; the empty one leaves the beginning to it.
const OPENINGS: &[(u16, &[u8])] = &[
    (50_000, b""),
    // SMB 2 and 1: a whole keep-alive of each, so that lengths stay the fuzzer's.
    (445, b"\0\0\0\x40\xfeSMB\x40\0\0\0\0\0\0\0\x0d\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    (139, b"\0\0\0\x23\xffSMB\x2b\0\0\0\0\x18\x07\xc8\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    // NTLM inside of an SMB 2 Session Setup: the fuzzer fills the message.
    (445, b"\0\0\x01\0\xfeSMB\x40\0\0\0\0\0\0\0\x01\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0NTLMSSP\0"),
    // RDP: an empty connection request, then what the fuzzer says.
    (3389, b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0"),
    (3389, b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\0\x08\0\0\0\0\0"),
    // DCE/RPC: a header whose length is the fuzzer's.
    (135, b"\x05\0\x0b\x03\x10\0\0\0"),
    (49_668, b"\x05\0\x10\x03\x10\0\0\0\x10\0\0\0\x01\0\0\0"),
    (6661, b"\x0bMSH"),
    (443, b"\x16\x03\x01"),
    (80, b"GET / HTTP/1.1\r\n"),
    (88, b"\0\0"),
    (389, b"\x30\x84"),
    (53, b"\0\x20\x12\x34\x01\0\0\x01\0\0\0\0\0\0"),
    (104, b"\x01\0\0\0"),
    (21, b"220 "),
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, mut rest)) = bytes.split_first() else { return };
    let (port, opening) = OPENINGS[usize::from(*choice) % OPENINGS.len()];
    let end = |last, port| Endpoint { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port };
    let contact =
        Contact { client: end(1, 50_001), server: end(2, port), transport: Transport::Tcp, vlan: None };
    let (mut speech, mut datagrams, mut out) = (Speech::new(), Speech::new(), Vec::new());
    let first = if choice & 0x80 == 0 { Side::Client } else { Side::Server };
    speech.feed(&contact, first, opening, &mut out);
    while let [control, length, after @ ..] = rest {
        let (piece, next) = after.split_at(usize::from(*length).min(after.len()));
        let side = if control & 1 == 0 { Side::Client } else { Side::Server };
        if control & 0x0e == 2 {
            speech.gap(side);
        } else if control & 0x0e == 4 {
            speech.gap_of(side, u64::from(*length));
        }
        speech.feed(&contact, side, piece, &mut out);
        if control & 0x10 != 0 {
            datagrams.datagram(&contact, side, piece, &mut out);
        }
        rest = next;
    }
    // QUIC's first datagrams have at least 1,200 bytes.
    Speech::new().datagram(&contact, first, bytes, &mut out);
    assert!(out.len() <= 2 * (bytes.len() + opening.len()) + 4);
});
