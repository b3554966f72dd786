//! SMB: what was done to a share, as far as its messages say.

use schema::{
    NtlmSight, NtlmStep, RpcInterface, RpcSight, Service, Sight, SmbDialect, SmbSight, SmbVerb, SystemVersion,
};

use super::build::*;
use super::{CLIENT, SERVER, check, contact, said, speaks};
use crate::speech::{Speech, account_hash};

fn request(verb: SmbVerb, message: &[u8]) -> Sight {
    Sight::Smb(SmbSight::Request { verb, bytes: message.len() as u32 })
}

const READ_DATA: u32 = 0x0012_0089;
const WRITE_DATA: u32 = 0x0012_0116;

#[test]
fn opens_are_told_by_what_they_may_do() {
    use SmbVerb::*;
    for (name, access, disposition, options, expected) in [
        ("ward\\chart.docx", READ_DATA, 1, 0x40, Open),
        ("ward\\chart.docx", WRITE_DATA, 1, 0x40, OpenWrite),
        ("ward\\chart.docx", WRITE_DATA, 3, 0x40, OpenWrite),
        ("ward\\chart.docx", WRITE_DATA, 5, 0x40, Create),
        ("ward\\chart.docx", READ_DATA, 2, 0x40, Create),
        ("ward\\chart.docx", 0x0011_0080, 1, 0x0020_0000, Open),
        ("ward\\chart.docx", 0x0001_0080, 1, 0x1040, Delete),
        ("ward", 0x0010_0081, 1, 0x21, Open),
        ("ward\\new", 0x0010_0081, 2, 0x21, Create),
        ("tools\\setup.EXE", WRITE_DATA, 5, 0x40, CreateProgram),
        ("tools\\a.b.dll", 0x4000_0000, 1, 0x40, CreateProgram),
        ("tools\\setup.exe", READ_DATA, 1, 0x40, Open),
        ("tools\\run.ps1:stream", WRITE_DATA, 2, 0x40, CreateProgram),
        ("tools.exe", 0x0010_0081, 2, 0x21, Create),
        // The tree was not seen: a pipe's name tells it.
        ("svcctl", READ_DATA, 1, 0, PipeControl),
        ("SvcCtl", READ_DATA, 1, 0, PipeControl),
        ("lsarpc", READ_DATA, 1, 0, Pipe),
        ("", READ_DATA, 1, 0, Open),
        ("報告書.exe", WRITE_DATA, 5, 0x40, CreateProgram),
    ] {
        let message = smb2(5, 0, 0, 9, &create(name, access, disposition, options));
        check(&[(CLIENT, nbss(&message))], &[speaks(Service::Smb), request(expected, &message)]);
    }
}

#[test]
fn trees_tell_pipes_from_files_of_the_same_name() {
    let connected = |tree, kind| nbss(&smb2(3, 1, 0, tree, &tree_answer(kind)));
    let opened = |tree, name| smb2(5, 0, 0, tree, &create(name, READ_DATA, 1, 0));
    for (kind, name, expected) in [
        (1, "svcctl", SmbVerb::Open),
        (2, "svcctl", SmbVerb::PipeControl),
        (2, "PSEXESVC-WARD1-1234-stdin", SmbVerb::PipeControl),
        (2, "anything", SmbVerb::Pipe),
        (1, "PSEXESVC.EXE", SmbVerb::Open),
    ] {
        let message = opened(5, name);
        check(
            &[(SERVER, connected(5, kind)), (CLIENT, nbss(&message))],
            &[speaks(Service::Smb), request(expected, &message)],
        );
    }
}

#[test]
fn shares_are_told_by_their_last_part() {
    for (path, admin, ipc) in [
        ("\\\\192.0.2.20\\ADMIN$", true, false),
        ("\\\\files\\c$", true, false),
        ("\\\\files\\IPC$", false, true),
        ("\\\\files\\charts", false, false),
        ("\\\\files\\scans$", false, false),
        ("", false, false),
    ] {
        let message = nbss(&smb2(3, 0, 0, 0, &tree_connect(path)));
        check(&[(CLIENT, message)], &[speaks(Service::Smb), Sight::Smb(SmbSight::Tree { admin, ipc })]);
    }
}

#[test]
fn changes_of_properties_are_verbs() {
    for (class, value, expected) in [
        (10, vec![0; 24], SmbVerb::Rename),
        (65, vec![0; 24], SmbVerb::Rename),
        (13, vec![1], SmbVerb::Delete),
        (13, vec![0], SmbVerb::Other),
        (64, vec![0x13, 0, 0, 0], SmbVerb::Delete),
        (20, vec![0; 8], SmbVerb::Resize),
        (4, vec![0; 40], SmbVerb::Other),
    ] {
        let message = smb2(17, 0, 0, 1, &set_info(class, &value));
        check(&[(CLIENT, nbss(&message))], &[speaks(Service::Smb), request(expected, &message)]);
    }
    for (command, expected) in [
        (6, SmbVerb::Close),
        (8, SmbVerb::Read),
        (14, SmbVerb::List),
        (16, SmbVerb::Other),
        (12, SmbVerb::Other),
    ] {
        let message = smb2(command, 0, 0, 1, &[0; 48]);
        check(&[(CLIENT, nbss(&message))], &[speaks(Service::Smb), request(expected, &message)]);
    }
}

#[test]
fn compounds_and_async_messages_are_read_one_by_one() {
    let open = smb2(5, 0, 0, 1, &create("ward\\a.txt", WRITE_DATA, 5, 0x40));
    let write = smb2(9, 4, 0, 1, &write(u64::MAX, &[0x41; 5_000]));
    let close = smb2(6, 4, 0, 1, &[0; 24]);
    let whole = compound(&[open.clone(), write.clone(), close.clone()]);
    let padded = |message: &Vec<u8>| vec![0; message.len().next_multiple_of(8)];
    let read = smb2(8, 2, 0, 1, &[0; 49]);
    let verbs = [
        request(SmbVerb::Create, &padded(&open)),
        request(SmbVerb::Write, &padded(&write)),
        request(SmbVerb::Close, &close),
        request(SmbVerb::Read, &read),
    ];
    // An interim answer says nothing.
    let pending = nbss(&smb2(8, 3, 0x103, 1, &[9, 0, 0, 0, 0, 0, 0, 0, 0]));
    let expected: Vec<Sight> = std::iter::once(speaks(Service::Smb)).chain(verbs).collect();
    check(&[(CLIENT, nbss(&whole)), (CLIENT, nbss(&read)), (SERVER, pending)], &expected);
}

#[test]
fn log_ons_show_status_dialect_systems_and_account() {
    let xp = [5, 1, 0x28, 0x0a];
    let server = [5, 2, 0xce, 0x0e];
    let setup = |token: &[u8]| {
        let mut body = vec![25, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 88, 0];
        body.extend_from_slice(&(token.len() as u16).to_le_bytes());
        body.extend_from_slice(&[0; 8]);
        body.extend_from_slice(token);
        nbss(&smb2(1, 0, 0, 0, &body))
    };
    let answer = |status, token: &[u8]| nbss(&smb2(1, 1, status, 0, &setup_answer(token)));
    let step = |step, (major, minor, build), account| {
        let version = Some(SystemVersion { major, minor, build });
        Sight::Ntlm(NtlmSight { step, version, account })
    };
    let set_up = |status| Sight::Smb(SmbSight::SetUp { status });
    check(
        &[
            (SERVER, nbss(&smb2(0, 1, 0, 0, &negotiate_answer(0x02ff)))),
            (SERVER, nbss(&smb2(0, 1, 0, 0, &negotiate_answer(0x0302)))),
            (CLIENT, setup(&ntlm_negotiate(xp))),
            (SERVER, answer(0xc000_0016, &ntlm_challenge(server))),
            (CLIENT, setup(&ntlm_authenticate("WARD", "Tanaka", xp))),
            (SERVER, answer(0xc000_006d, &[])),
            (SERVER, answer(0, &[])),
        ],
        &[
            speaks(Service::Smb),
            Sight::Smb(SmbSight::Negotiated { dialect: SmbDialect::Smb3 }),
            step(NtlmStep::Negotiate, (5, 1, 2600), 0),
            set_up(0xc000_0016),
            step(NtlmStep::Challenge, (5, 2, 3790), 0),
            step(NtlmStep::Authenticate, (5, 1, 2600), account_hash("ward", "tanaka")),
            set_up(0xc000_006d),
            set_up(0),
        ],
    );
}

#[test]
fn encrypted_messages_are_counted_without_the_header() {
    check(
        &[(CLIENT, nbss(&sealed(144))), (SERVER, nbss(&sealed(70_000))), (CLIENT, nbss(&sealed(10_000)))],
        &[
            speaks(Service::Smb),
            Sight::Smb(SmbSight::Sealed { bytes: 144, from_client: true }),
            Sight::Smb(SmbSight::Sealed { bytes: 70_000, from_client: false }),
            Sight::Smb(SmbSight::Sealed { bytes: 10_000, from_client: true }),
        ],
    );
}

const SVCCTL: &str = "367abb81-9844-35f1-ad32-98f038001003";
const NDR64: &str = "367abb81-9844-35f1-ad32-98f038001003";

#[test]
fn calls_inside_of_pipes_are_read() {
    let bind = smb2(9, 0, 0, 1, &write(7, &rpc_bind(&[SVCCTL, NDR64], &[])));
    let create = smb2(11, 0, 0, 1, &transceive(7, &rpc_request(0, 12, 3, 200)));
    // A call in two fragments, of which the second is written in two parts that look like nothing.
    let first = smb2(9, 0, 0, 1, &write(7, &rpc_request(1, 19, 1, 100)));
    let second = rpc_request(1, 19, 2, 3_000);
    let parts: Vec<Vec<u8>> = second.chunks(1_600).map(|part| smb2(9, 0, 0, 1, &write(7, part))).collect();
    let fault = smb2(11, 1, 0, 1, &{
        let mut body = vec![49, 0, 0, 0, 0x17, 0xc0, 0x11, 0];
        body.extend_from_slice(&[0; 16]);
        body.extend_from_slice(&112_u32.to_le_bytes());
        body.extend_from_slice(&0_u32.to_le_bytes());
        body.extend_from_slice(&112_u32.to_le_bytes());
        body.extend_from_slice(&32_u32.to_le_bytes());
        body.extend_from_slice(&[0; 8]);
        body.extend_from_slice(&rpc(3, 3, &[0; 16], &[]));
        body
    });
    let interface = RpcInterface::ServiceControl;
    check(
        &[
            (CLIENT, nbss(&bind)),
            (CLIENT, nbss(&create)),
            (SERVER, nbss(&fault)),
            (CLIENT, nbss(&first)),
            (CLIENT, nbss(&parts[0])),
            (CLIENT, nbss(&parts[1])),
        ],
        &[
            speaks(Service::Smb),
            request(SmbVerb::Write, &bind),
            Sight::Rpc(RpcSight::Bind { interface }),
            request(SmbVerb::Transact, &create),
            Sight::Rpc(RpcSight::Request { interface, operation: 12 }),
            Sight::Rpc(RpcSight::Fault),
            request(SmbVerb::Write, &first),
            Sight::Rpc(RpcSight::Request { interface, operation: 19 }),
            request(SmbVerb::Write, &parts[0]),
            request(SmbVerb::Write, &parts[1]),
        ],
    );
}

/// A capture that begins in the middle of a long write, and one with holes: the next message is found.
#[test]
fn a_stream_is_found_again_after_its_middle_and_after_holes() {
    let long = nbss(&smb2(9, 0, 0, 1, &write(7, &[0x41; 60_000])));
    let close = smb2(6, 0, 0, 1, &[0; 24]);
    let (mut speech, mut out) = (Speech::new(), Vec::new());
    let contact = contact(445);
    for piece in long[5_000..].chunks(1_460) {
        speech.feed(&contact, CLIENT, piece, &mut out);
    }
    assert!(speech.wants() && out.is_empty());
    speech.feed(&contact, CLIENT, &nbss(&close), &mut out);
    assert_eq!(out, [speaks(Service::Smb), request(SmbVerb::Close, &close)]);

    out.clear();
    speech.feed(&contact, CLIENT, &long[..3_000], &mut out);
    speech.gap(CLIENT);
    speech.feed(&contact, CLIENT, &[&long[9_000..9_400], &nbss(&close)].concat(), &mut out);
    speech.feed(&contact, CLIENT, &nbss(&close), &mut out);
    assert_eq!(out.iter().filter(|sight| **sight == request(SmbVerb::Close, &close)).count(), 2);
    assert_eq!(out.len(), 3);
}

/// A kernel that drops, or a capture that cuts packets off, mostly misses bodies.
#[test]
fn bytes_missing_from_a_body_do_no_harm() {
    let inner = nbss(&smb2(6, 0, 0, 1, &[0; 24]));
    let outer = smb2(9, 0, 0, 1, &write(7, &inner.repeat(600)));
    let framed = nbss(&outer);
    let (mut speech, mut out) = (Speech::new(), Vec::new());
    for piece in framed.chunks(1_460) {
        let seen = piece.len().min(200);
        speech.feed(&contact(445), CLIENT, &piece[..seen], &mut out);
        speech.gap_of(CLIENT, (piece.len() - seen) as u64);
    }
    let close = smb2(6, 0, 0, 1, &[0; 24]);
    speech.feed(&contact(445), CLIENT, &nbss(&close), &mut out);
    assert_eq!(out, [speaks(Service::Smb), request(SmbVerb::Write, &outer), request(SmbVerb::Close, &close)]);
    // More is missing than the body has: the next beginning is looked for.
    speech.feed(&contact(445), CLIENT, &framed[..1_000], &mut out);
    speech.gap_of(CLIENT, 1 << 20);
    speech.feed(&contact(445), CLIENT, &nbss(&close), &mut out);
    assert_eq!(out[3..], [request(SmbVerb::Write, &outer), request(SmbVerb::Close, &close)]);
}

/// A pcap file copied over SMB holds messages of SMB: inside of a body they are not looked for.
#[test]
fn messages_inside_of_a_body_are_not_messages() {
    let inner = nbss(&smb2(6, 0, 0, 1, &[0; 24]));
    let outer = smb2(9, 0, 0, 1, &write(7, &inner.repeat(20)));
    check(&[(CLIENT, nbss(&outer))], &[speaks(Service::Smb), request(SmbVerb::Write, &outer)]);
}

#[test]
fn the_oldest_dialect_is_read_too() {
    let create_words = |name: &str, access: u32, disposition: u32| {
        let mut words = vec![0xff, 0, 0, 0, 0];
        words.extend_from_slice(&(wide(name).len() as u16).to_le_bytes());
        words.extend_from_slice(&[0; 8]);
        words.extend_from_slice(&access.to_le_bytes());
        words.extend_from_slice(&[0; 12]);
        words.extend_from_slice(&7_u32.to_le_bytes());
        words.extend_from_slice(&disposition.to_le_bytes());
        words.extend_from_slice(&0x40_u32.to_le_bytes());
        words.extend_from_slice(&[2, 0, 0, 0, 3]);
        words
    };
    let named = |name: &str| [vec![0], wide(name), vec![0, 0]].concat();
    let opened = smb1(0xa2, false, 0, 3, &create_words("\\a.exe", WRITE_DATA, 5), &named("\\a.exe"));
    let piped = smb1(0xa2, false, 0, 2, &create_words("\\svcctl", READ_DATA, 1), &named("\\svcctl"));
    let renamed = smb1(0x07, false, 0, 3, &[0; 2], &[4, 0, 0]);
    let mut set = vec![0; 30];
    set[18..20].copy_from_slice(&6_u16.to_le_bytes());
    set[20..22].copy_from_slice(&68_u16.to_le_bytes());
    set[22..24].copy_from_slice(&1_u16.to_le_bytes());
    set[24..26].copy_from_slice(&76_u16.to_le_bytes());
    set[26] = 1;
    set[28] = 8;
    let disposed = smb1(0x32, false, 0, 3, &set, &[0, 0, 0, 9, 0x40, 2, 1, 0, 0, 0, 0, 1]);
    let (system, manager) =
        (wide("Windows Server 2003 3790 Service Pack 2\0"), wide("Windows Server 2003 5.2\0"));
    let answer =
        smb1(0x73, true, 0xc000_0016, 0, &[0xff, 0, 0, 0, 0, 0, 0, 0], &[vec![0], system, manager].concat());
    let negotiated = smb1(0x72, true, 0, 0, &[5, 0, 3], &[]);
    let version = SystemVersion { major: 5, minor: 2, build: 3790 };
    check(
        &[
            (SERVER, nbss(&negotiated)),
            (SERVER, nbss(&answer)),
            (CLIENT, nbss(&opened)),
            (CLIENT, nbss(&piped)),
            (CLIENT, nbss(&renamed)),
            (CLIENT, nbss(&disposed)),
        ],
        &[
            speaks(Service::Smb),
            Sight::Smb(SmbSight::Negotiated { dialect: SmbDialect::Smb1 }),
            Sight::Smb(SmbSight::SetUp { status: 0xc000_0016 }),
            Sight::Smb(SmbSight::System { side: SERVER, version }),
            request(SmbVerb::CreateProgram, &opened),
            request(SmbVerb::PipeControl, &piped),
            request(SmbVerb::Rename, &renamed),
            request(SmbVerb::Delete, &disposed),
        ],
    );
}

#[test]
fn chained_commands_of_the_oldest_dialect_are_read() {
    let strings = [
        vec![0],
        wide("\0"),
        wide("\0"),
        wide("Windows 2002 Service Pack 3 2600\0"),
        wide("Windows 2002 5.1\0"),
    ];
    let bytes = strings.concat();
    // The header, count of words, 13 words, count of bytes, bytes: there the tree connect begins.
    let next = 33 + 26 + 2 + bytes.len();
    let mut words = vec![0x75, 0];
    words.extend_from_slice(&(next as u16).to_le_bytes());
    words.resize(26, 0);
    let mut message = smb1(0x73, false, 0, 0, &words, &bytes);
    let path = wide("\\\\files\\ADMIN$\0");
    message.extend_from_slice(&[4, 0xff, 0, 0, 0, 0, 0, 0, 0]);
    message.extend_from_slice(&(path.len() as u16 + 8).to_le_bytes());
    if message.len() % 2 == 1 {
        message.push(0);
    }
    message.extend_from_slice(&path);
    message.extend_from_slice(b"?????\0");
    let version = SystemVersion { major: 5, minor: 1, build: 2600 };
    check(
        &[(CLIENT, nbss(&message))],
        &[
            speaks(Service::Smb),
            Sight::Smb(SmbSight::System { side: CLIENT, version }),
            Sight::Smb(SmbSight::Tree { admin: true, ipc: false }),
        ],
    );
}

#[test]
fn a_share_is_followed_without_keeping_its_contents() {
    let write = nbss(&smb2(9, 0, 0, 1, &write(7, &[0x41; 1 << 20])));
    let (_, speech) = said(445, &[(CLIENT, write.repeat(8))], 1_460);
    assert!(speech.wants());
    assert!(speech.room() < 4_096, "{}", speech.room());
}
