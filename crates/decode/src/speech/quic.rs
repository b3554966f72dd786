//! QUIC: the name in the ClientHello of its first datagrams (RFC 9000 §17.2.2, RFC 9001 §5, RFC 9369).
//!
//! These are encrypted with keys that anybody can make from the packet's own connection number, so that devices which know nothing of QUIC
//! leave them alone. What a browser reaches for is read from them as from TLS. Tags are not checked: what does not decrypt is no ClientHello.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::bytes::be32;
use super::tls;

const VERSION_1: u32 = 1;
const VERSION_2: u32 = 0x6b33_43cf;
const SALT_1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
    0xbb, 0x7f, 0x0a,
];
const SALT_2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
    0xbd, 0x2e, 0xd9,
];
const TAG: usize = 16;
/// The largest ClientHello that is put together, from how many pieces, and how many packets are decrypted for it.
const HELLO_MAX: usize = 8 << 10;
const PIECES_MAX: usize = 64;
const PACKETS_MAX: u8 = 4;

/// A first packet as it is on the wire.
struct Initial<'a> {
    packet: &'a [u8],
    version: u32,
    connection: &'a [u8],
    /// Where the packet's number begins, and where the packet ends.
    number: usize,
    end: usize,
}

/// Reads the headers of a datagram that begins with a first packet.
fn initial(packet: &[u8]) -> Option<Initial<'_>> {
    let first = *packet.first()?;
    let version = be32(packet, 1)?;
    let kind = match version {
        VERSION_1 => 0x00,
        VERSION_2 => 0x10,
        _ => return None,
    };
    // Long header, fixed bit, the kind of a first packet; clients fill the datagram.
    if first & 0xf0 != 0xc0 | kind || packet.len() < 1_200 {
        return None;
    }
    let length = usize::from(*packet.get(5)?);
    let connection = packet.get(6..6 + length).filter(|_| length <= 20)?;
    let at = 6 + length;
    let at = at + 1 + usize::from(*packet.get(at)?);
    let (token, at) = number(packet, at)?;
    let at = at.checked_add(usize::try_from(token).ok()?)?;
    let (rest, at) = number(packet, at)?;
    let end = at.checked_add(usize::try_from(rest).ok()?)?;
    (end <= packet.len() && end >= at + 4 + TAG).then_some(Initial {
        packet,
        version,
        connection,
        number: at,
        end,
    })
}

/// A number of one to eight bytes, and where it ends.
fn number(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    let length = 1 << (first >> 6);
    let rest = bytes.get(at + 1..at + length)?;
    let value = rest.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte));
    Some((value, at + length))
}

/// Whether a datagram begins with a client's first packet.
pub(super) fn is_initial(datagram: &[u8]) -> bool {
    initial(datagram).is_some()
}

/// The keys that a connection's number gives the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) key: [u8; 16],
    pub(super) iv: [u8; 12],
    pub(super) header: [u8; 16],
}

pub(super) fn keys(version: u32, connection: &[u8]) -> Option<Keys> {
    let (salt, prefix) = if version == VERSION_1 { (&SALT_1, "quic ") } else { (&SALT_2, "quicv2 ") };
    let secret = signed(salt, &[connection])?;
    let secret = expand::<32>(&secret, "client in")?;
    let labelled = |name: &str| [prefix, name].concat();
    Some(Keys {
        key: expand(&secret, &labelled("key"))?,
        iv: expand(&secret, &labelled("iv"))?,
        header: expand(&secret, &labelled("hp"))?,
    })
}

fn signed(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}

/// HKDF-Expand-Label of TLS 1.3, of which one block suffices here.
fn expand<const LENGTH: usize>(secret: &[u8; 32], label: &str) -> Option<[u8; LENGTH]> {
    let head = [0, LENGTH as u8, 6 + label.len() as u8];
    let block = signed(secret, &[&head, b"tls13 ", label.as_bytes(), &[0, 1]])?;
    block.first_chunk().copied()
}

/// What a datagram's first packet carries, decrypted.
pub(super) fn clear(datagram: &[u8]) -> Option<Vec<u8>> {
    let initial = initial(datagram)?;
    let keys = keys(initial.version, initial.connection)?;
    let sample: [u8; 16] = *initial.packet.get(initial.number + 4..)?.first_chunk()?;
    let mask = encrypted(&Aes128::new(&keys.header.into()), sample);
    let length = usize::from((initial.packet[0] ^ mask[0]) & 3) + 1;
    let mut nonce = keys.iv;
    for at in 0..length {
        nonce[12 - length + at] ^= initial.packet[initial.number + at] ^ mask[1 + at];
    }
    let mut clear = initial.packet.get(initial.number + length..initial.end - TAG)?.to_vec();
    let cipher = Aes128::new(&keys.key.into());
    for (at, block) in clear.chunks_mut(16).enumerate() {
        let mut counter = [0; 16];
        counter[..12].copy_from_slice(&nonce);
        counter[12..].copy_from_slice(&(at as u32 + 2).to_be_bytes());
        let stream = encrypted(&cipher, counter);
        block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
    }
    Some(clear)
}

fn encrypted(cipher: &Aes128, block: [u8; 16]) -> [u8; 16] {
    let mut block = Array::from(block);
    cipher.encrypt_block(&mut block);
    block.into()
}

/// A ClientHello out of the pieces that come in first packets, in whatever order.
#[derive(Debug, Default)]
pub(super) struct Hello {
    pieces: Vec<(usize, Vec<u8>)>,
    packets: u8,
}

impl Hello {
    /// Takes a datagram; the ClientHello's body, once it is whole. `Err` when there is no use in waiting for it.
    pub(super) fn take(&mut self, datagram: &[u8]) -> Result<Option<Box<str>>, ()> {
        self.packets += 1;
        if let Some(clear) = clear(datagram) {
            self.gather(&clear);
        }
        match self.whole() {
            Some(hello) => tls::server_name(hello.get(4..).unwrap_or_default()).map(Some).ok_or(()),
            None if self.packets >= PACKETS_MAX => Err(()),
            None => Ok(None),
        }
    }

    /// Keeps the pieces of the handshake among a packet's frames (RFC 9000 §19).
    fn gather(&mut self, clear: &[u8]) {
        let mut at = 0;
        while let Some(kind) = clear.get(at) {
            at += 1;
            match kind {
                // Padding and ping.
                0 | 1 => {}
                6 => {
                    let Some((offset, next)) = number(clear, at) else { return };
                    let Some((length, next)) = number(clear, next) else { return };
                    let (Ok(offset), Ok(length)) = (usize::try_from(offset), usize::try_from(length)) else {
                        return;
                    };
                    let Some(piece) = next.checked_add(length).and_then(|end| clear.get(next..end)) else {
                        return;
                    };
                    let is_within =
                        offset.saturating_add(length) <= HELLO_MAX && self.pieces.len() < PIECES_MAX;
                    if is_within {
                        self.pieces.push((offset, piece.to_vec()));
                    }
                    at = next + length;
                }
                _ => return,
            }
        }
    }

    /// The ClientHello with its head, if all of it is there.
    fn whole(&mut self) -> Option<Vec<u8>> {
        self.pieces.sort_by_key(|(offset, _)| *offset);
        let mut hello = Vec::new();
        for (offset, piece) in &self.pieces {
            let known = hello.len().checked_sub(*offset)?;
            hello.extend_from_slice(piece.get(known..).unwrap_or_default());
        }
        let length = 4 + super::bytes::be24(&hello, 1)? as usize;
        (hello[0] == 1 && hello.len() >= length).then(|| {
            hello.truncate(length);
            hello
        })
    }
}
