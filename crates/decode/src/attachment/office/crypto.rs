//! The ciphers and hashes of encrypted documents, for opening them with a password that is known. Nothing is written with them.

use aes::cipher::{Array, BlockCipherDecrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// A hash by the name that a document gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().replace('-', "").as_str() {
            "SHA1" => Hash::Sha1,
            "SHA256" => Hash::Sha256,
            "SHA384" => Hash::Sha384,
            "SHA512" => Hash::Sha512,
            _ => return None,
        })
    }

    /// Of two pieces one behind the other.
    pub(super) fn of(self, first: &[u8], second: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => Sha1::new().chain_update(first).chain_update(second).finalize().to_vec(),
            Hash::Sha256 => Sha256::new().chain_update(first).chain_update(second).finalize().to_vec(),
            Hash::Sha384 => Sha384::new().chain_update(first).chain_update(second).finalize().to_vec(),
            Hash::Sha512 => Sha512::new().chain_update(first).chain_update(second).finalize().to_vec(),
        }
    }

    /// Salt and password, then many rounds with the round's number before the last result.
    pub(super) fn spun(self, salt: &[u8], password: &str, rounds: u32) -> Vec<u8> {
        match self {
            Hash::Sha1 => spin::<Sha1>(salt, password, rounds),
            Hash::Sha256 => spin::<Sha256>(salt, password, rounds),
            Hash::Sha384 => spin::<Sha384>(salt, password, rounds),
            Hash::Sha512 => spin::<Sha512>(salt, password, rounds),
        }
    }
}

fn spin<D: Digest>(salt: &[u8], password: &str, rounds: u32) -> Vec<u8> {
    let wide: Vec<u8> = password.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut last = D::new().chain_update(salt).chain_update(wide).finalize();
    for round in 0..rounds {
        last = D::new().chain_update(round.to_le_bytes()).chain_update(&last).finalize();
    }
    last.to_vec()
}

/// AES in whole blocks: each for itself without a first block, chained with one. What is no whole block at the end is left out.
pub(super) fn decrypt(key: &[u8], first: Option<&[u8]>, content: &[u8]) -> Option<Vec<u8>> {
    match key.len() {
        16 => blocks(&Aes128::new_from_slice(key).ok()?, first, content),
        24 => blocks(&Aes192::new_from_slice(key).ok()?, first, content),
        32 => blocks(&Aes256::new_from_slice(key).ok()?, first, content),
        _ => None,
    }
}

fn blocks<C>(cipher: &C, first: Option<&[u8]>, content: &[u8]) -> Option<Vec<u8>>
where
    C: BlockCipherDecrypt<BlockSize = aes::cipher::typenum::U16>,
{
    let mut before: Option<[u8; 16]> = match first {
        Some(first) => Some(first.get(..16)?.try_into().ok()?),
        None => None,
    };
    let mut out = Vec::with_capacity(content.len());
    for chunk in content.chunks_exact(16) {
        let sealed: [u8; 16] = chunk.try_into().ok()?;
        let mut block = Array::from(sealed);
        cipher.decrypt_block(&mut block);
        match before.replace(sealed) {
            Some(chained) if first.is_some() => {
                out.extend(block.iter().zip(chained).map(|(byte, with)| byte ^ with))
            }
            _ => out.extend(block),
        }
    }
    Some(out)
}
