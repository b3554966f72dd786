//! Whatever comes, in whatever pieces: no panic, bounded memory, and the same sights.

use proptest::prelude::*;
use schema::Side;

use super::build::*;
use super::{CLIENT, SERVER, contact, said};
use crate::speech::Speech;

/// Two heads of one message, one long NTLM field or ClientHello, and tables.
const ROOM_MAX: usize = 64 << 10;

/// One valid exchange of each kind.
fn exchanges() -> Vec<Vec<(Side, Vec<u8>)>> {
    let old = [5, 2, 0xce, 0x0e];
    let bind = rpc_bind(&["367abb81-9844-35f1-ad32-98f038001003"], &ntlm_negotiate(old));
    vec![
        vec![
            (SERVER, nbss(&smb2(0, 1, 0, 0, &negotiate_answer(0x0311)))),
            (SERVER, nbss(&smb2(1, 1, 0xc000_0016, 0, &setup_answer(&ntlm_challenge(old))))),
            (SERVER, nbss(&smb2(3, 1, 0, 4, &tree_answer(2)))),
            (CLIENT, nbss(&smb2(5, 0, 0, 4, &create("svcctl", 3, 1, 0)))),
            (CLIENT, nbss(&smb2(9, 0, 0, 4, &write(1, &bind)))),
            (CLIENT, nbss(&smb2(11, 0, 0, 4, &transceive(1, &rpc_request(0, 12, 3, 700))))),
            (
                CLIENT,
                nbss(&compound(&[smb2(9, 0, 0, 1, &write(2, &[9; 3_000])), smb2(6, 4, 0, 1, &[0; 24])])),
            ),
            (SERVER, nbss(&sealed(900))),
        ],
        vec![(
            SERVER,
            nbss(&smb1(0x73, true, 0, 0, &[0xff, 0, 0, 0, 0, 0], &[vec![0], wide("Windows 5.1\0")].concat())),
        )],
        vec![(CLIENT, rdp_request("Sato", 0)), (SERVER, rdp_confirm(0)), (CLIENT, rdp_initial(3790))],
        vec![
            (CLIENT, bind),
            (SERVER, rpc(12, 3, &[0; 60], &ntlm_challenge(old))),
            (CLIENT, rpc_request(0, 1, 3, 900)),
        ],
        vec![
            (CLIENT, client_hello("a.example", 33)),
            (SERVER, tls_record(22, &[2; 900])),
            (SERVER, tls_record(23, &[2; 900])),
        ],
        vec![(CLIENT, counted(&kerberos_request(10, "EXAMPLE.TEST", "ito", &[18])))],
        vec![
            (CLIENT, b"POST /wsman HTTP/1.1\r\nHost: a.example\r\n\r\nx".to_vec()),
            (SERVER, b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
        ],
        vec![(CLIENT, b"\x0bMSH|^~\\&|A|B\r\x1c\r".to_vec())],
        vec![(SERVER, b"220 hello\r\n".to_vec()), (CLIENT, b"EHLO a.example\r\n".to_vec())],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) })]

    #[test]
    fn any_bytes_leave_it_whole(
        port in prop_oneof![Just(445_u16), Just(53), Just(23), any::<u16>()],
        feeds in prop::collection::vec((any::<bool>(), 0..3_u8, prop::collection::vec(any::<u8>(), 0..300)), 0..20),
    ) {
        let (mut speech, mut udp, mut out) = (Speech::new(), Speech::new(), Vec::new());
        for (from_client, gap, bytes) in &feeds {
            let side = if *from_client { CLIENT } else { SERVER };
            match gap {
                1 => speech.gap_of(side, bytes.len() as u64),
                2 => speech.gap(side),
                _ => {}
            }
            speech.feed(&contact(port), side, bytes, &mut out);
            udp.datagram(&contact(port), side, bytes, &mut out);
            prop_assert!(speech.room() <= ROOM_MAX);
        }
    }

    /// Valid messages with bytes changed, holes and pieces reach much further in than noise does.
    #[test]
    fn changed_messages_leave_it_whole(
        which in 0..9_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        hole in any::<prop::sample::Index>(),
        size in 1..400_usize,
    ) {
        let (mut speech, mut out) = (Speech::new(), Vec::new());
        let exchange = &exchanges()[which];
        let at_hole = hole.index(exchange.len() * 4);
        for (at, (side, bytes)) in exchange.iter().enumerate() {
            let mut bytes = bytes.clone();
            for (place, value) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            if at == at_hole {
                speech.gap(*side);
            }
            for piece in bytes.chunks(size) {
                speech.feed(&contact(40_000), *side, piece, &mut out);
                prop_assert!(speech.room() <= ROOM_MAX);
            }
        }
    }

    /// What decrypts to anything, and what was changed on its way.
    #[test]
    fn datagrams_leave_it_whole(
        pieces in prop::collection::vec((0..9_000_usize, prop::collection::vec(any::<u8>(), 0..120)), 0..6),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let pieces: Vec<(usize, &[u8])> = pieces.iter().map(|(at, piece)| (*at, piece.as_slice())).collect();
        let mut packet = quic_initial(1, 0, &pieces);
        for (place, value) in &changes {
            let place = place.index(packet.len());
            packet[place] = *value;
        }
        let (mut speech, mut out) = (Speech::new(), Vec::new());
        for _ in 0..6 {
            speech.datagram(&contact(443), CLIENT, &packet, &mut out);
        }
        prop_assert!(out.len() <= 3);
    }

    #[test]
    fn pieces_do_not_matter(which in 0..9_usize, size in 1..2_000_usize) {
        let exchange = &exchanges()[which];
        prop_assert_eq!(said(40_000, exchange, size).0, said(40_000, exchange, usize::MAX).0);
    }
}

#[test]
fn every_exchange_is_understood() {
    assert_eq!(exchanges().len(), 9);
    for exchange in exchanges() {
        assert!(!said(40_000, &exchange, usize::MAX).0.is_empty());
    }
}
