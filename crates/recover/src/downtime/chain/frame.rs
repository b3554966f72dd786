//! The bytes of a chained file.
//!
//! ```text
//! header  magic "cwchain1" | purpose 8 | id 16 | kind of key 1 | zeros 7          40 bytes
//! record  "CWR1" | length u32 | sequence u64 | hash of the one before 32 | nonce 24 | sealed (length)
//! head    two slots of: nonce 24 | sealed (count u64, hash 32) + tag 16           80 bytes each
//! ```
//! Numbers are little-endian. Sealed is XChaCha20-Poly1305; a record's associated data is the file's id, its sequence number and the
//! hash of the record before (SHA-256 of all its bytes; for the first one of the header). A record that is changed, moved or left out
//! is so found by its own number, and the records after it can still be read.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use crate::Error;

pub(super) const HEADER_BYTES: usize = 40;
pub(super) const FRAME_BYTES: usize = 72;
pub(super) const SLOT_BYTES: usize = 80;
pub(super) const TAG_BYTES: usize = 16;
const MAGIC: &[u8; 8] = b"cwchain1";
pub(super) const MARK: &[u8; 4] = b"CWR1";
const NONCE_BYTES: usize = 24;

/// How the key comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    File,
    Passphrase,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) purpose: [u8; 8],
    pub(super) id: [u8; 16],
    pub(super) key: KeyKind,
}

impl Header {
    pub(super) fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.purpose);
        bytes[16..32].copy_from_slice(&self.id);
        bytes[32] = if self.key == KeyKind::Passphrase { b'P' } else { b'F' };
        bytes
    }

    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (purpose, rest) = rest.split_first_chunk::<8>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let key = match rest {
            [b'F', 0, 0, 0, 0, 0, 0, 0] => KeyKind::File,
            [b'P', 0, 0, 0, 0, 0, 0, 0] => KeyKind::Passphrase,
            _ => return None,
        };
        (magic == MAGIC).then_some(Header { purpose: *purpose, id: *id, key })
    }
}

/// A record's bytes as they stand in the file, taken apart.
pub(super) struct Frame<'b> {
    pub(super) seq: u64,
    pub(super) previous: [u8; 32],
    nonce: [u8; NONCE_BYTES],
    sealed: &'b [u8],
    /// All of it.
    pub(super) bytes: &'b [u8],
}

/// What stands at a place in the file.
pub(super) enum Found<'b> {
    Frame(Frame<'b>),
    /// It begins as a record does and the file ends within it.
    Unfinished,
    Other,
}

pub(super) fn frame(at: &[u8], longest: usize) -> Found<'_> {
    let prefix = at.get(..MARK.len().min(at.len())).unwrap_or_default();
    if !MARK.starts_with(prefix) {
        return Found::Other;
    }
    let parse = || {
        let (_, rest) = at.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let (previous, rest) = rest.split_first_chunk::<32>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        Some((length, u64::from_le_bytes(*seq), *previous, *nonce, rest))
    };
    let Some((length, seq, previous, nonce, rest)) = parse() else { return Found::Unfinished };
    if !(TAG_BYTES..=longest.saturating_add(TAG_BYTES)).contains(&length) {
        return Found::Other;
    }
    match (rest.get(..length), at.get(..FRAME_BYTES.saturating_add(length))) {
        (Some(sealed), Some(bytes)) => Found::Frame(Frame { seq, previous, nonce, sealed, bytes }),
        _ => Found::Unfinished,
    }
}

pub(super) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Seals and opens for one file.
pub(super) struct Seal {
    cipher: XChaCha20Poly1305,
    id: [u8; 16],
    /// Nothing is sealed with it.
    side: [u8; 32],
}

impl Seal {
    pub(super) fn new(key: &[u8; 32], id: [u8; 16]) -> Seal {
        let side = hash(&[&b"chartward journal side key\0"[..], key].concat());
        Seal { cipher: XChaCha20Poly1305::new(key.into()), id, side }
    }

    pub(super) fn key_for(&self, purpose: &str) -> [u8; 32] {
        hash(&[&self.side[..], purpose.as_bytes()].concat())
    }

    pub(super) fn id(&self) -> [u8; 16] {
        self.id
    }

    pub(super) fn record(&self, seq: u64, previous: &[u8; 32], payload: &[u8]) -> Result<Vec<u8>, Error> {
        let (nonce, sealed) = self.seal(&self.context(seq, previous), payload)?;
        let length = u32::try_from(sealed.len()).map_err(|_| too_long())?;
        let mut bytes = Vec::with_capacity(FRAME_BYTES.saturating_add(sealed.len()));
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&seq.to_le_bytes());
        bytes.extend_from_slice(previous);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    /// What was sealed; `None` when a bit of it, its number or what it says of the one before was changed.
    pub(super) fn open(&self, frame: &Frame<'_>) -> Option<Vec<u8>> {
        self.unseal(&frame.nonce, &self.context(frame.seq, &frame.previous), frame.sealed)
    }

    pub(super) fn slot(&self, count: u64, head: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let (nonce, sealed) = self.seal(&self.head_context(), &[&count.to_le_bytes()[..], head].concat())?;
        Ok([&nonce[..], &sealed].concat())
    }

    pub(super) fn open_slot(&self, slot: &[u8]) -> Option<(u64, [u8; 32])> {
        let (nonce, sealed) = slot.split_first_chunk::<NONCE_BYTES>()?;
        let plain = self.unseal(nonce, &self.head_context(), sealed)?;
        let (count, head) = plain.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*count), head.try_into().ok()?))
    }

    fn context(&self, seq: u64, previous: &[u8; 32]) -> Vec<u8> {
        [&self.id[..], b"record", &seq.to_le_bytes(), previous].concat()
    }

    fn head_context(&self) -> Vec<u8> {
        [&self.id[..], b"head"].concat()
    }

    fn seal(&self, context: &[u8], plain: &[u8]) -> Result<([u8; NONCE_BYTES], Vec<u8>), Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| Error::Engine {
            op: "draw random bytes",
            source: std::io::Error::other(error.to_string()),
        })?;
        let mut buffer = plain.to_vec();
        self.cipher.encrypt_in_place(&XNonce::from(nonce), context, &mut buffer).map_err(|_| too_long())?;
        Ok((nonce, buffer))
    }

    fn unseal(&self, nonce: &[u8; NONCE_BYTES], context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = sealed.to_vec();
        self.cipher.decrypt_in_place(&XNonce::from(*nonce), context, &mut buffer).ok()?;
        Some(buffer)
    }
}

fn too_long() -> Error {
    Error::Engine { op: "seal a record", source: std::io::Error::other("it is too long") }
}
