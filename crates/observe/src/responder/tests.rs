use schema::SystemVersion;

use super::*;

const SERVER_2003: SystemVersion = SystemVersion { major: 5, minor: 2, build: 3790 };

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0, 0, (message.len() >> 8) as u8, message.len() as u8][..], message].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn smb1(command: u8, flags2: u16, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![0xff, b'S', b'M', b'B', command, 0, 0, 0, 0, 0x18];
    message.extend(flags2.to_le_bytes());
    message.extend([0; 12]);
    message.extend([0, 0, 0xff, 0xfe, 0, 0, 1, 0]);
    message.extend(rest);
    framed(&message)
}

fn negotiate(flags2: u16, dialects: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = dialects.iter().flat_map(|it| [b"\x02", it.as_bytes(), b"\0"].concat()).collect();
    smb1(0x72, flags2, &[&[0, names.len() as u8, 0][..], &names].concat())
}

/// NTLM's NEGOTIATE as Server 2003 sends it: with its version.
fn ntlm_negotiate() -> Vec<u8> {
    let mut blob = b"NTLMSSP\0".to_vec();
    blob.extend(1u32.to_le_bytes());
    blob.extend(0xe208_b2b7u32.to_le_bytes());
    blob.extend([0; 16]);
    blob.extend([5, 2, 0xce, 0x0e, 0, 0, 0, 15]);
    blob
}

fn extended_set_up(blob: &[u8]) -> Vec<u8> {
    let mut rest = vec![12, 0xff, 0, 0, 0, 4, 0x11, 50, 0, 0, 0, 0, 0, 0, 0];
    rest.extend((blob.len() as u16).to_le_bytes());
    rest.extend([0; 8]);
    let mut data = blob.to_vec();
    // Names begin at an even place: the header and words take 59 bytes.
    data.extend(vec![0; (59 + data.len()) % 2]);
    data.extend(utf16("Windows Server 2003 3790 Service Pack 2\0Windows Server 2003 5.2\0"));
    rest.extend((data.len() as u16).to_le_bytes());
    rest.extend(data);
    smb1(0x73, 0xc807, &rest)
}

fn session() -> Session {
    Session::new([1, 2, 3, 4, 5, 6, 7, 8], 0x01d4_3000_0000_0000)
}

#[test]
fn a_client_like_server_2003_is_heard_by_its_ntlm_and_by_its_name() {
    let mut session = session();
    let mut out = Vec::new();
    assert_eq!(
        session.feed(&negotiate(0xc853, &["PC NETWORK PROGRAM 1.0", "NT LM 0.12"]), &mut out),
        Goes::On
    );
    assert_eq!((&out[4..9], out[36], out[37]), (&b"\xffSMB\x72"[..], 17, 1));
    assert!(out.windows(10).any(|it| it == [0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a]));
    out.clear();
    assert_eq!(session.feed(&extended_set_up(&ntlm_negotiate()), &mut out), Goes::On);
    assert_eq!(out[9..13], 0xc000_0016u32.to_le_bytes());
    let at = out.windows(8).position(|it| it == b"NTLMSSP\0").unwrap();
    assert_eq!((out[at + 8], &out[at + 24..at + 32]), (2, &[1, 2, 3, 4, 5, 6, 7, 8][..]));
    assert_eq!(session.heard(), [SERVER_2003]);
    // AUTHENTICATE is answered by nothing.
    let mut blob = b"NTLMSSP\0".to_vec();
    blob.extend(3u32.to_le_bytes());
    blob.extend([0; 60]);
    out.clear();
    assert_eq!((session.feed(&extended_set_up(&blob), &mut out), out.len()), (Goes::Over, 0));
}

#[test]
fn an_old_client_without_extended_security_is_heard_by_its_name() {
    let mut session = session();
    let mut out = Vec::new();
    session.feed(&negotiate(0x0001, &["NT LM 0.12"]), &mut out);
    assert_eq!((out[36], out[70]), (17, 8), "a challenge of eight bytes");
    let mut rest = vec![13];
    rest.extend([0; 14]);
    rest.extend([1, 0, 0, 0]);
    rest.extend([0; 8]);
    let data = b"\0USER\0GROUP\0Windows 2002 2600 Service Pack 3\0Windows 2002 5.1\0";
    rest.extend((data.len() as u16).to_le_bytes());
    rest.extend(data);
    out.clear();
    session.feed(&smb1(0x73, 0x4001, &rest), &mut out);
    assert_eq!(out[9..13], 0xc000_006du32.to_le_bytes());
    assert_eq!(session.heard(), [SystemVersion { major: 5, minor: 1, build: 2600 }]);
}

#[test]
fn smb_2_is_negotiated_by_both_ways_and_challenged() {
    let mut session = session();
    let mut out = Vec::new();
    session.feed(&negotiate(0xc853, &["NT LM 0.12", "SMB 2.002", "SMB 2.???"]), &mut out);
    assert_eq!((&out[4..8], &out[72..74]), (&b"\xfeSMB"[..], &[0xff, 0x02][..]));
    let mut message = b"\xfeSMB\x40\0".to_vec();
    message.extend([0; 58]);
    message[24] = 1;
    let mut first = message.clone();
    first.extend([36, 0, 2, 0]);
    first.extend([0; 32]);
    first.extend([0x02, 0x02, 0x10, 0x02]);
    out.clear();
    session.feed(&framed(&first), &mut out);
    assert_eq!((&out[72..74], out[28]), (&[0x10, 0x02][..], 1));
    let mut second = message;
    second[12] = 1;
    second.extend([25, 0, 0, 1]);
    second.extend([0; 8]);
    second.extend([88, 0, 40, 0]);
    second.extend([0; 8]);
    second.extend(ntlm_negotiate());
    out.clear();
    // Byte by byte, as slow clients send.
    let goes: Vec<Goes> = framed(&second).iter().map(|byte| session.feed(&[*byte], &mut out)).collect();
    assert!(goes.iter().all(|it| *it == Goes::On) && out[12..16] == 0xc000_0016u32.to_le_bytes());
    assert_eq!(session.heard(), [SERVER_2003]);
}

#[test]
fn nothing_else_is_answered_and_no_bytes_break_it() {
    let connect = smb1(0x75, 0xc807, &[0; 20]);
    for bytes in [
        &connect[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0, 1, 0xff, 0xff, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 4, 0xfe, b'S', b'M', b'B'],
    ] {
        let mut out = Vec::new();
        assert_eq!((session().feed(bytes, &mut out), out.len()), (Goes::Over, 0), "{bytes:?}");
    }
    let valid = [negotiate(0xc853, &["NT LM 0.12"]), extended_set_up(&ntlm_negotiate())].concat();
    for seed in 0..4_000u64 {
        let mut bytes = valid.clone();
        for (place, noise) in testkit::noise(seed, 6).into_iter().enumerate() {
            let at = (usize::from(noise) * 7 + place * 31 + seed as usize) % bytes.len();
            bytes[at] = bytes[at].wrapping_add(noise | 1);
        }
        bytes.truncate(bytes.len() - seed as usize % 40);
        let mut out = Vec::new();
        session().feed(&bytes, &mut out);
        assert!(out.len() < 2_000);
    }
    // A client that goes on and on is hung up on.
    let (mut session, mut out, mut rounds) = (session(), Vec::new(), 0);
    while session.feed(&negotiate(0xc853, &["NT LM 0.12"]), &mut out) == Goes::On {
        rounds += 1;
        assert!(rounds < 100);
    }
}

#[test]
fn connections_are_bounded_in_number_and_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { connections: 2, connections_of_one: 2, lasts: Duration::from_millis(400) };
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || serve(&listener, limits, move |it| told.send(it).unwrap_or_default()));
    let idle: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut third = TcpStream::connect(address).unwrap();
    third.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(third.read(&mut [0; 8]).unwrap_or(0), 0, "closed unheard");
    for mut stream in idle {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0, "its time is over");
    }
    let ends = Instant::now() + Duration::from_secs(20);
    loop {
        let mut stream = TcpStream::connect(address).unwrap();
        let bytes = [negotiate(0xc853, &["NT LM 0.12"]), extended_set_up(&ntlm_negotiate())].concat();
        // The seats may not be free yet.
        let _ = stream.write_all(&bytes);
        if let Ok(it) = heard.recv_timeout(Duration::from_millis(900)) {
            assert_eq!(
                (it.source.to_string().as_str(), it.port, it.version),
                ("127.0.0.1", address.port(), SERVER_2003)
            );
            return;
        }
        assert!(Instant::now() < ends, "nobody was heard");
    }
}
