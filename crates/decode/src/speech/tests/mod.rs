#![allow(clippy::disallowed_methods, reason = "tests read captures that lie beside the checkout")]

mod build;
mod corpus;
mod random;
mod rest;
mod smb;

use std::net::{IpAddr, Ipv4Addr};

use schema::{Contact, Endpoint, Service, Side, Sight, Transport};

use super::Speech;

pub(super) const CLIENT: Side = Side::Client;
pub(super) const SERVER: Side = Side::Server;

pub(super) fn contact(port: u16) -> Contact {
    let end = |last, port| Endpoint { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port };
    Contact { client: end(10, 50_123), server: end(20, port), transport: Transport::Tcp, vlan: None }
}

pub(super) fn speaks(service: Service) -> Sight {
    Sight::Speaks { service }
}

/// What is said when each part is cut into pieces of `size` bytes.
pub(super) fn said(port: u16, parts: &[(Side, Vec<u8>)], size: usize) -> (Vec<Sight>, Speech) {
    let (mut speech, mut out) = (Speech::new(), Vec::new());
    for (side, bytes) in parts {
        for piece in bytes.chunks(size.max(1)) {
            speech.feed(&contact(port), *side, piece, &mut out);
        }
    }
    (out, speech)
}

/// Whole and cut, an exchange on a port that means nothing says the same.
#[track_caller]
pub(super) fn check(parts: &[(Side, Vec<u8>)], expected: &[Sight]) {
    for size in [usize::MAX, 1, 2, 7, 61] {
        let (sights, _) = said(40_000, parts, size);
        assert_eq!(sights, expected, "in pieces of {size}");
    }
}
