//! What is not SMB.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schema::{
    KerberosSight, NameSource, NtlmSight, NtlmStep, RdpSight, RpcInterface, RpcSight, Service, Side, Sight,
    SystemVersion,
};

use super::build::*;
use super::{CLIENT, SERVER, check, contact, said, speaks};
use crate::speech::{Speech, account_hash, quic, tool};

fn named(name: &str, source: NameSource) -> Sight {
    Sight::Named { name: name.into(), source }
}

const OLD: [u8; 4] = [5, 2, 0xce, 0x0e];

fn ntlm(step: NtlmStep, account: u64) -> Sight {
    Sight::Ntlm(NtlmSight { step, version: Some(SystemVersion { major: 5, minor: 2, build: 3790 }), account })
}

#[test]
fn services_are_told_by_their_first_words() {
    let dicom = {
        let mut request = vec![1, 0, 0, 0, 0, 200, 0, 1, 0, 0];
        request.extend_from_slice(b"ARCHIVE         CT_SCANNER      ");
        request.resize(206, 0);
        request
    };
    for (side, bytes, service) in [
        (SERVER, b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Service::Ssh),
        (CLIENT, b"SSH-1.99-Client\n".to_vec(), Service::Ssh),
        (CLIENT, b"\x0bMSH|^~\\&|LAB|".to_vec(), Service::Mllp),
        (SERVER, b"\x0bMSH#^~\\&#LAB#".to_vec(), Service::Mllp),
        (CLIENT, b"MSH|^~\\&|LAB|".to_vec(), Service::Mllp),
        (CLIENT, dicom, Service::Dicom),
        (SERVER, b"RFB 003.008\n".to_vec(), Service::Vnc),
        (SERVER, b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23".to_vec(), Service::Telnet),
        (SERVER, b"220 mail.example ESMTP\r\n".to_vec(), Service::Smtp),
        (SERVER, b"220-Welcome to our FTP server\r\n".to_vec(), Service::Ftp),
        (CLIENT, b"EHLO ward.example\r\n".to_vec(), Service::Smtp),
        (CLIENT, b"\x17\x24\x0a\x20\x00\x00".to_vec(), Service::TeamViewer),
        (CLIENT, tls_record(23, &[7; 40]), Service::Tls),
        (CLIENT, b"POST /wsman?PSVersion=5.1 HTTP/1.1\r\n".to_vec(), Service::WinRm),
        (SERVER, b"HTTP/1.1 200 OK\r\n".to_vec(), Service::Http),
    ] {
        check(&[(side, bytes)], &[speaks(service)]);
    }
    let greeted = (SERVER, b"220 ready\r\n".to_vec());
    check(&[greeted.clone(), (CLIENT, b"USER ward\r\n".to_vec())], &[speaks(Service::Ftp)]);
    check(&[greeted, (CLIENT, b"HELO ward\r\n".to_vec())], &[speaks(Service::Smtp)]);
    // Telnet's own port lets one command suffice.
    assert_eq!(said(23, &[(SERVER, b"\xff\xfd\x01login: ".to_vec())], 4).0, [speaks(Service::Telnet)]);
    assert!(said(99, &[(SERVER, b"\xff\xfd\x01login: ".to_vec())], 4).0.is_empty());
}

#[test]
fn names_in_hellos_are_read_across_records_and_segments() {
    for record in [10, 50, 4_000] {
        let hello = client_hello("Files.Example.", record);
        let expected = [speaks(Service::Tls), named("files.example", NameSource::Sni)];
        check(&[(CLIENT, hello.clone())], &expected);
        // Where the capture began after the SYN, sides can be guessed wrongly.
        check(&[(SERVER, hello)], &expected);
    }
    check(&[(CLIENT, client_hello("192.0.2.7", 4_000))], &[speaks(Service::Tls)]);
    let tool =
        [speaks(Service::Tls), named("relay-1.net.anydesk.com", NameSource::Sni), speaks(Service::AnyDesk)];
    check(&[(CLIENT, client_hello("relay-1.net.anydesk.com", 4_000))], &tool);
}

/// The examples of RFC 9001, appendix A.1 and A.2.
#[test]
fn a_connection_number_gives_the_published_keys() {
    let keys = quic::keys(1, &0x8394_c8f0_3e51_5708_u64.to_be_bytes()).unwrap();
    assert_eq!(u128::from_be_bytes(keys.key), 0x1f36_9613_dd76_d546_7730_efcb_e3b1_a22d);
    assert_eq!(u128::from_be_bytes(keys.header), 0x9f50_449e_04a0_e810_283a_1e99_33ad_edd2);
    let packet = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b";
    let mut packet = hex::decode(packet).unwrap();
    packet.resize(1_200, 0);
    let clear = quic::clear(&packet).unwrap();
    assert_eq!(hex::encode(&clear[..16]), "060040f1010000ed0303ebf8fa56f129");
    assert_eq!(keys.iv, [0xfa, 0x04, 0x4b, 0x2f, 0x42, 0xa3, 0xfd, 0x3b, 0x46, 0xfb, 0x25, 0x5c]);
}

/// Browsers shuffle the pieces of a ClientHello over frames and packets.
#[test]
fn names_in_hellos_of_datagrams_are_read() {
    let hello = client_hello("video.example", 16_000)[5..].to_vec();
    let (middle, end) = (hello.len() / 3, hello.len());
    for version in [1, 0x6b33_43cf] {
        let first = quic_initial(version, 0, &[(middle, &hello[middle..end - 9]), (0, &hello[..middle])]);
        let second = quic_initial(version, 1, &[(end - 20, &hello[end - 20..])]);
        for order in [[&first, &second], [&second, &first]] {
            let (mut speech, mut out) = (Speech::new(), Vec::new());
            for datagram in order {
                assert!(speech.wants());
                speech.datagram(&contact(443), CLIENT, datagram, &mut out);
            }
            assert_eq!(out, [speaks(Service::Tls), named("video.example", NameSource::Sni)]);
            assert!(!speech.wants());
        }
    }
}

#[test]
fn a_tool_is_told_by_its_certificate() {
    let certificate = [vec![11, 0, 2, 168], b"..AnyDesk Client..".to_vec(), vec![0; 600]].concat();
    check(
        &[
            (CLIENT, client_hello("", 4_000)),
            (SERVER, tls_record(22, &[2, 0, 0, 40, 3, 3])),
            (SERVER, tls_record(22, &certificate)),
            (CLIENT, tls_record(22, &certificate)),
        ],
        &[speaks(Service::Tls), speaks(Service::AnyDesk)],
    );
    // Without a name, on its own port, it needs no certificate to be seen.
    let (sights, _) =
        said(7070, &[(CLIENT, client_hello("", 4_000)), (SERVER, tls_record(22, &certificate))], 100);
    assert_eq!(sights, [speaks(Service::Tls), speaks(Service::AnyDesk)]);
    for (name, expected) in [
        ("anydesk.com", Some(Service::AnyDesk)),
        ("notanydesk.com", None),
        ("router7.teamviewer.com", Some(Service::TeamViewer)),
        ("abc.ngrok-free.app", Some(Service::Tunnel)),
        ("instance-1.screenconnect.com", Some(Service::RemoteSupport)),
        ("example", None),
    ] {
        assert_eq!(tool(name), expected, "{name}");
    }
}

#[test]
fn questions_are_read_over_tcp_and_udp() {
    let query = dns_query("Update.Example.TEST");
    let counted = [(query.len() as u16).to_be_bytes().to_vec(), query.clone()].concat();
    let expected = [speaks(Service::Dns), named("update.example.test", NameSource::Dns)];
    check(&[(CLIENT, counted)], &expected);

    let (mut speech, mut out) = (Speech::new(), Vec::new());
    for _ in 0..3 {
        speech.datagram(&contact(53), CLIENT, &query, &mut out);
    }
    speech.datagram(&contact(53), CLIENT, &dns_query("b.example"), &mut out);
    assert_eq!(out[..2], expected);
    assert_eq!(out[2..], [named("b.example", NameSource::Dns)]);
}

#[test]
fn names_that_loop_or_overflow_are_no_names() {
    let head = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let question = |name: &[u8]| [&head[..], name, &[0, 1, 0, 1]].concat();
    let long = [[63; 64].as_slice(); 5].concat();
    for name in [
        // To itself, forwards, into the header and round, past the end.
        vec![0xc0, 12],
        vec![0xc0, 14, 0],
        vec![1, b'a', 0xc0, 12],
        vec![0xff, 0xff],
        vec![0x80, 0],
        [long, vec![0]].concat(),
        vec![63, b'a'],
        vec![0],
    ] {
        let (mut speech, mut out) = (Speech::new(), Vec::new());
        speech.datagram(&contact(53), CLIENT, &question(&name), &mut out);
        assert_eq!(out, [speaks(Service::Dns)], "{name:?}");
    }
    let (mut speech, mut out) = (Speech::new(), Vec::new());
    speech.datagram(&contact(53), CLIENT, &question(&[3, b'a', 0, 0xe3, 0]), &mut out);
    assert_eq!(out[1..], [named("a??", NameSource::Dns)]);
    // What asks the neighbours is not judged.
    out.clear();
    Speech::new().datagram(&contact(5355), CLIENT, &dns_query("wpad"), &mut out);
    assert!(out.is_empty());
}

#[test]
fn requests_name_their_host_and_carry_log_ons() {
    let get = b"GET / HTTP/1.1\r\nAccept: */*\r\nhost: Files.example:8080\r\n\r\n".to_vec();
    let expected = [speaks(Service::Http), named("files.example", NameSource::HttpHost)];
    check(&[(CLIENT, get.clone()), (SERVER, b"HTTP/1.1 200 OK\r\n\r\nbody".to_vec())], &expected);
    let (_, speech) = said(80, &[(CLIENT, get.clone()), (SERVER, b"HTTP/1.1 200 OK\r\n\r\n".to_vec())], 100);
    assert!(!speech.wants(), "a download is not read");

    let with = |scheme: &str, token: &[u8]| {
        let token = STANDARD.encode(token);
        format!("GET / HTTP/1.1\r\nHost: a.example\r\nAuthorization: {scheme} {token}\r\n\r\n").into_bytes()
    };
    let spnego = [b"\x60\x30\x06\x06\x2b\x06\x01".to_vec(), ntlm_negotiate(OLD)].concat();
    let challenge = format!(
        "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM {}\r\nContent-Length: 5\r\n\r\nGET \n",
        STANDARD.encode(ntlm_challenge(OLD))
    );
    let asked = "HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n\r\n";
    check(
        &[
            (CLIENT, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec()),
            (SERVER, asked.as_bytes().to_vec()),
            (CLIENT, with("Negotiate", &spnego)),
            (SERVER, challenge.into_bytes()),
            (CLIENT, with("NTLM", &ntlm_authenticate("WARD", "sato", OLD))),
        ],
        &[
            speaks(Service::Http),
            named("a.example", NameSource::HttpHost),
            ntlm(NtlmStep::Negotiate, 0),
            ntlm(NtlmStep::Challenge, 0),
            ntlm(NtlmStep::Authenticate, account_hash("ward", "sato")),
        ],
    );
}

#[test]
fn what_goes_through_a_proxy_is_read_behind_it() {
    check(
        &[
            (CLIENT, b"CONNECT relay.ngrok.io:443 HTTP/1.1\r\n\r\n".to_vec()),
            (SERVER, b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec()),
            (CLIENT, client_hello("relay.ngrok.io", 4_000)),
        ],
        &[
            speaks(Service::Http),
            named("relay.ngrok.io", NameSource::HttpHost),
            speaks(Service::Tunnel),
            speaks(Service::Tls),
            named("relay.ngrok.io", NameSource::Sni),
            speaks(Service::Tunnel),
        ],
    );
    // A proxy that fetches serves several hosts on one connection.
    let answer = (SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\nb".to_vec());
    check(
        &[
            (CLIENT, b"GET http://Files.Example:80/a HTTP/1.1\r\nHost: files.example\r\n\r\n".to_vec()),
            answer.clone(),
            (CLIENT, b"GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n".to_vec()),
            answer,
        ],
        &[
            speaks(Service::Http),
            named("files.example", NameSource::HttpHost),
            named("other.example", NameSource::HttpHost),
        ],
    );
}

#[test]
fn remote_desktop_shows_choice_account_and_build() {
    let account = account_hash("", "administrator");
    let asked = |protocols| Sight::Rdp(RdpSight::Asked { protocols, account });
    check(
        &[(CLIENT, rdp_request("Administrator", 0)), (SERVER, rdp_confirm(0)), (CLIENT, rdp_initial(2600))],
        &[
            speaks(Service::Rdp),
            asked(0),
            Sight::Rdp(RdpSight::Chosen { protocol: 0 }),
            Sight::Rdp(RdpSight::Build { build: 2600 }),
        ],
    );
    let (sights, speech) =
        said(3389, &[(CLIENT, rdp_request("Administrator", 3)), (SERVER, rdp_confirm(2))], 5);
    assert_eq!(sights, [speaks(Service::Rdp), asked(3), Sight::Rdp(RdpSight::Chosen { protocol: 2 })]);
    assert!(!speech.wants());
    // Machines in industry, and switchboards, use the same frame.
    let plant = vec![3, 0, 0, 22, 17, 0xe0, 0, 0, 0, 1, 0, 0xc0, 1, 10, 0xc1, 2, 1, 0, 0xc2, 2, 1, 2];
    check(&[(CLIENT, plant)], &[]);
}

#[test]
fn interfaces_calls_and_refusals_are_read_from_fragments() {
    let (netlogon, unknown) =
        ("12345678-1234-abcd-ef00-01234567cffb", "11111111-2222-3333-4444-555555555555");
    let interface = RpcInterface::Netlogon;
    let call = |interface, operation| Sight::Rpc(RpcSight::Request { interface, operation });
    check(
        &[
            (CLIENT, rpc_bind(&[netlogon, unknown], &ntlm_negotiate(OLD))),
            (SERVER, rpc(12, 3, &[0; 40], &ntlm_challenge(OLD))),
            (CLIENT, rpc(16, 3, &[0; 4], &ntlm_authenticate("", "", OLD))),
            (CLIENT, rpc_request(0, 4, 3, 60)),
            (
                CLIENT,
                [rpc_request(0, 26, 1, 4_000), rpc_request(0, 26, 0, 4_000), rpc_request(0, 26, 2, 9)]
                    .concat(),
            ),
            (SERVER, rpc(3, 3, &[0; 16], &[])),
            (CLIENT, rpc_request(1, 9, 3, 0)),
            (SERVER, rpc(13, 3, &[0; 4], &[])),
        ],
        &[
            speaks(Service::Rpc),
            Sight::Rpc(RpcSight::Bind { interface }),
            Sight::Rpc(RpcSight::Bind { interface: RpcInterface::Other }),
            ntlm(NtlmStep::Negotiate, 0),
            ntlm(NtlmStep::Challenge, 0),
            ntlm(NtlmStep::Authenticate, 0),
            call(interface, 4),
            call(interface, 26),
            Sight::Rpc(RpcSight::Fault),
            call(RpcInterface::Other, 9),
            Sight::Rpc(RpcSight::Fault),
        ],
    );
}

#[test]
fn calls_are_found_again_after_a_hole() {
    let (mut speech, mut out) = (Speech::new(), Vec::new());
    let contact = contact(49_668);
    let request = rpc_request(0, 26, 3, 1_000);
    speech.feed(&contact, CLIENT, &rpc_bind(&["12345678-1234-abcd-ef00-01234567cffb"], &[]), &mut out);
    speech.feed(&contact, CLIENT, &request[..500], &mut out);
    speech.gap(CLIENT);
    speech.feed(&contact, CLIENT, &request[700..], &mut out);
    speech.feed(&contact, CLIENT, &request, &mut out);
    let call = Sight::Rpc(RpcSight::Request { interface: RpcInterface::Netlogon, operation: 26 });
    assert_eq!(out.iter().filter(|sight| **sight == call).count(), 2);
}

#[test]
fn tickets_and_their_refusals_are_read() {
    use KerberosSight::*;
    let account = account_hash("EXAMPLE.TEST", "suzuki");
    let service = account_hash("example.test", "cifs/files.example.test");
    for (message, expected) in [
        (kerberos_request(10, "EXAMPLE.TEST", "Suzuki", &[18, 17, 23]), AsRequest { account, weak: false }),
        (kerberos_request(10, "EXAMPLE.TEST", "suzuki", &[23, 3]), AsRequest { account, weak: true }),
        (
            kerberos_request(12, "EXAMPLE.TEST", "cifs/files.example.test", &[23]),
            TgsRequest { service, weak: true },
        ),
        (kerberos_error(24, "EXAMPLE.TEST", Some("SUZUKI")), Error { code: 24, account }),
        (kerberos_error(6, "EXAMPLE.TEST", None), Error { code: 6, account: 0 }),
        (der(0x6b, &[0x30; 900]), AsReply),
        (der(0x6d, &[0x30; 900]), TgsReply),
    ] {
        let expected = [speaks(Service::Kerberos), Sight::Kerberos(expected)];
        check(&[(CLIENT, counted(&message))], &expected);
        let (mut speech, mut out) = (Speech::new(), Vec::new());
        speech.datagram(&contact(88), CLIENT, &message, &mut out);
        assert_eq!(out, expected);
    }
}

#[test]
fn directories_show_their_log_ons() {
    let message = |operation: Vec<u8>| der(0x30, &joined(&[vec![2, 1, 7], operation]));
    let bind = |token: &[u8]| {
        let sasl = der(0xa3, &joined(&[der(4, b"GSS-SPNEGO"), der(4, token)]));
        message(der(0x60, &joined(&[vec![2, 1, 3], der(4, b""), sasl])))
    };
    let answer = |code: u8, token: &[u8]| {
        message(der(0x61, &joined(&[vec![10, 1, code], der(4, b""), der(4, b""), der(0x87, token)])))
    };
    let parts = [
        (CLIENT, message(der(0x63, &[0x30; 300]))),
        (SERVER, message(der(0x64, &[0x30; 3_000]))),
        (CLIENT, bind(&ntlm_negotiate(OLD))),
        (SERVER, answer(14, &ntlm_challenge(OLD))),
        (CLIENT, bind(&ntlm_authenticate("WARD", "ito", OLD))),
        (SERVER, answer(0, &[])),
    ];
    check(
        &parts,
        &[
            speaks(Service::Ldap),
            ntlm(NtlmStep::Negotiate, 0),
            ntlm(NtlmStep::Challenge, 0),
            ntlm(NtlmStep::Authenticate, account_hash("ward", "ito")),
        ],
    );
    assert!(!said(389, &parts, 100).1.wants());
    // A trap of SNMP has the same frame and another kind.
    check(&[(CLIENT, der(0x30, &joined(&[vec![2, 1, 1], der(4, b"public"), der(0xa7, &[0; 30])])))], &[]);
}

/// Traffic that nobody knows is given up after a few segments, and what is encrypted is not read.
#[test]
fn what_says_nothing_is_given_up_soon() {
    let noise = testkit::noise(7, 1_400);
    for (parts, fed) in [
        (vec![(CLIENT, vec![0xee; 300]), (SERVER, noise.clone()), (CLIENT, noise.clone())], 3),
        (vec![(SERVER, noise.iter().map(|byte| byte | 0x80).collect::<Vec<u8>>()); 8], 8),
        (vec![(CLIENT, client_hello("a.example", 4_000)), (SERVER, tls_record(23, &noise))], 2),
        (vec![(SERVER, b"SSH-2.0-a\r\n".to_vec())], 1),
    ] {
        let (mut speech, mut out) = (Speech::new(), Vec::new());
        for (at, (side, bytes)) in parts.iter().enumerate() {
            assert!(speech.wants(), "before {at} of {fed}");
            speech.feed(&contact(9_999), *side, bytes, &mut out);
        }
        assert!(!speech.wants());
        assert!(speech.room() == 0);
    }
    // The commonest protocols are read in place; what is larger has a room of its own.
    assert!(size_of::<Speech>() <= 120, "{}", size_of::<Speech>());
}

#[test]
fn accounts_are_told_apart_without_their_names() {
    assert_eq!(account_hash("WARD", "Tanaka"), account_hash("ward", "tanaka"));
    assert_ne!(account_hash("ward", "tanaka"), account_hash("ward", "sato"));
    assert_ne!(account_hash("", "tanaka"), account_hash("ward", "tanaka"));
    assert_eq!(account_hash("ward", ""), 0);
    // FNV-1a as its authors publish it.
    assert_eq!(account_hash("", "a"), 0xaf63_dc4c_8601_ec8c);
    let _: Side = CLIENT;
}
