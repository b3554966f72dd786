//! The packets of the milter protocol, version 6: a length of four bytes (big-endian), a command of one byte, data.

use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;

/// The most that a body's piece may be in an answer (`MILTER_CHUNK_SIZE`).
const PIECE: usize = 65_535;
/// A packet that is longer is no milter's: Postfix sends at most 64 KiB of a body, and header fields up to `header_size_limit`.
const PACKET_MAX: usize = 4 << 20;

/// What we may change (`SMFIF_*`).
pub(super) mod may {
    pub(in super::super) const ADD_HEADERS: u32 = 0x01;
    pub(in super::super) const CHANGE_BODY: u32 = 0x02;
    pub(in super::super) const CHANGE_HEADERS: u32 = 0x10;
    pub(in super::super) const ALL: u32 = ADD_HEADERS | CHANGE_BODY | CHANGE_HEADERS;
}

/// How the dialogue goes (`SMFIP_*`): steps that we do not need, answers that nobody waits for, blanks before values kept.
pub(super) mod how {
    pub(in super::super) const SKIPPED: u32 = 0x100 | 0x200;
    pub(in super::super) const NO_ANSWER_CONNECT: u32 = 0x1000;
    pub(in super::super) const NO_ANSWER_HELO: u32 = 0x2000;
    pub(in super::super) const NO_ANSWER_MAIL: u32 = 0x4000;
    pub(in super::super) const NO_ANSWER_RCPT: u32 = 0x8000;
    pub(in super::super) const NO_ANSWER_HEADER: u32 = 0x80;
    pub(in super::super) const NO_ANSWER_END_OF_HEADER: u32 = 0x4_0000;
    pub(in super::super) const NO_ANSWER_BODY: u32 = 0x8_0000;
    pub(in super::super) const LEADING_BLANK: u32 = 0x10_0000;
    pub(in super::super) const WANTED: u32 = SKIPPED
        | NO_ANSWER_CONNECT
        | NO_ANSWER_HELO
        | NO_ANSWER_MAIL
        | NO_ANSWER_RCPT
        | NO_ANSWER_HEADER
        | NO_ANSWER_END_OF_HEADER
        | NO_ANSWER_BODY
        | LEADING_BLANK;
}

/// A command with its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) command: u8,
    pub(super) data: Vec<u8>,
}

/// The next packet; `None` where the other side ended between two of them.
pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Packet>> {
    let mut length = [0; 4];
    if !first(from, &mut length)? {
        return Ok(None);
    }
    let length = u32::from_be_bytes(length) as usize;
    if length == 0 || length > PACKET_MAX {
        return Err(io::Error::new(ErrorKind::InvalidData, "a packet of an impossible length"));
    }
    let mut command = [0];
    from.read_exact(&mut command)?;
    let mut data = Vec::new();
    // Grows as it comes: a length that is only claimed takes no memory.
    from.take(length as u64 - 1).read_to_end(&mut data)?;
    if data.len() + 1 < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Packet { command: command[0], data }))
}

fn first(from: &mut impl Read, into: &mut [u8; 4]) -> io::Result<bool> {
    let mut filled = 0;
    while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// One packet, in one write.
pub(super) fn write(to: &mut impl Write, command: u8, data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len() + 1).map_err(|_| ErrorKind::InvalidInput)?;
    let mut packet = Vec::with_capacity(data.len() + 5);
    packet.extend_from_slice(&length.to_be_bytes());
    packet.push(command);
    packet.extend_from_slice(data);
    to.write_all(&packet)
}

/// A new body in its pieces.
pub(super) fn write_body(to: &mut impl Write, body: &[u8]) -> io::Result<()> {
    if body.is_empty() {
        return write(to, b'b', b"");
    }
    body.chunks(PIECE).try_for_each(|piece| write(to, b'b', piece))
}

/// Texts that end with NUL.
pub(super) fn texts(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.strip_suffix(b"\0").unwrap_or(data).split(|&byte| byte == 0)
}

/// `<address>` without the brackets.
pub(super) fn address(text: &[u8]) -> String {
    let text = text.trim_ascii();
    let inner = text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">")).unwrap_or(text);
    String::from_utf8_lossy(inner).into_owned()
}

/// Name and address of the machine that connects: name, NUL, family, and for `4` and `6` port, address, NUL.
pub(super) fn client(data: &[u8]) -> (String, Option<IpAddr>) {
    let mut halves = data.splitn(2, |&byte| byte == 0);
    let name = String::from_utf8_lossy(halves.next().unwrap_or_default()).into_owned();
    let rest = halves.next().unwrap_or_default();
    let address = match rest.first() {
        Some(b'4' | b'6') => rest.get(3..).and_then(|text| {
            let text = std::str::from_utf8(texts(text).next()?).ok()?;
            text.strip_prefix("IPv6:").unwrap_or(text).parse::<IpAddr>().ok()
        }),
        _ => None,
    };
    (name, address.map(|address| address.to_canonical()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_as_they_were_sent_and_broken_ones_end_the_connection() {
        let mut sent = Vec::new();
        write(&mut sent, b'L', b"Subject\0 hi\0").unwrap();
        write(&mut sent, b'E', b"").unwrap();
        let mut from = sent.as_slice();
        let header = Packet { command: b'L', data: b"Subject\0 hi\0".to_vec() };
        assert_eq!(read(&mut from).unwrap(), Some(header));
        assert_eq!(read(&mut from).unwrap(), Some(Packet { command: b'E', data: Vec::new() }));
        assert_eq!(read(&mut from).unwrap(), None);
        for broken in [
            &[0, 0, 0, 0][..],
            &[0xff, 0xff, 0xff, 0xff, b'B'],
            &[0, 0],
            &[0, 0, 0, 1],
            &[0, 0, 0, 9, b'B', 1, 2],
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(read(&mut &*broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn clients_are_named_as_postfix_sends_them() {
        for (data, name, address) in [
            (&b"mx.example\x004\x00\x19192.0.2.7\0"[..], "mx.example", Some("192.0.2.7")),
            (b"[2001:db8::7]\x006\x00\x19IPv6:2001:db8::7\0", "[2001:db8::7]", Some("2001:db8::7")),
            (b"x\x006\x00\x19::ffff:192.0.2.7\0", "x", Some("192.0.2.7")),
            (b"localhost\x00U", "localhost", None),
            (b"unknown\x004\x00", "unknown", None),
            (b"", "", None),
        ] {
            let expected = address.map(|it| it.parse().unwrap());
            assert_eq!(client(data), (name.to_owned(), expected), "{data:?}");
        }
        assert_eq!(address(b"<dr@hospital.example>"), "dr@hospital.example");
        assert_eq!(address(b"<>"), "");
    }

    #[test]
    fn a_long_body_goes_in_pieces() {
        let mut sent = Vec::new();
        write_body(&mut sent, &vec![b'x'; 150_000]).unwrap();
        let mut from = sent.as_slice();
        let mut lengths = Vec::new();
        while let Some(packet) = read(&mut from).unwrap() {
            assert_eq!(packet.command, b'b');
            lengths.push(packet.data.len());
        }
        assert_eq!(lengths, [65_535, 65_535, 18_930]);
    }
}
