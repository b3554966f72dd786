//! Encryption and authentication as restic does them: AES-256-CTR, then Poly1305-AES over the ciphertext.
//! A sealed text is a random IV of 16 bytes, the ciphertext, and a tag of 16 bytes (restic design, "Keys, Encryption and MAC").

use aes::cipher::{Array, BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use aes::{Aes128, Aes256};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use poly1305::Poly1305;
use sha2::{Digest, Sha256};

use crate::Error;

/// Bytes that sealing adds: the IV before and the tag after.
pub(crate) const OVERHEAD: usize = IV + TAG;
const IV: usize = 16;
const TAG: usize = 16;

type Stream = StreamCipherCoreWrapper<CtrCore<Aes256, Ctr128BE>>;

/// A key for sealing: the repository's, or the one that a passphrase yields.
#[derive(Clone)]
pub(crate) struct Key {
    cipher: Aes256,
    nonce_cipher: Aes128,
    mac_r: [u8; 16],
    root: [u8; 32],
}

/// The bytes of a [`Key`]: 32 for encryption, then `k` and `r` of the authentication. Overwritten when dropped.
pub(crate) struct KeyBytes(pub(crate) [u8; 64]);

impl KeyBytes {
    pub(crate) fn random() -> Result<KeyBytes, Error> {
        let mut bytes = [0; 64];
        random(&mut bytes)?;
        Ok(KeyBytes(bytes))
    }
}

impl Drop for KeyBytes {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the overwriting from being optimised away.
        std::hint::black_box(&self.0);
    }
}

impl Key {
    pub(crate) fn new(bytes: &KeyBytes) -> Key {
        let mut encrypt = [0; 32];
        let mut mac_k = [0; 16];
        let mut mac_r = [0; 16];
        encrypt.copy_from_slice(&bytes.0[..32]);
        mac_k.copy_from_slice(&bytes.0[32..48]);
        mac_r.copy_from_slice(&bytes.0[48..]);
        let root =
            Sha256::new().chain_update(b"chartward derived keys 1").chain_update(bytes.0).finalize().into();
        Key { cipher: Aes256::new(&encrypt.into()), nonce_cipher: Aes128::new(&mac_k.into()), mac_r, root }
    }

    /// What keys for other purposes are derived from; the key itself cannot be told from it.
    pub(crate) fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// Appends the sealed form of `plain` to `out`.
    pub(crate) fn seal(&self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let mut iv = [0; IV];
        random(&mut iv)?;
        out.reserve(plain.len() + OVERHEAD);
        out.extend_from_slice(&iv);
        let start = out.len();
        out.extend_from_slice(plain);
        self.apply(&iv, &mut out[start..]);
        let tag = self.tag(&iv, &out[start..]);
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// The plain text within `sealed`, decrypted in place, or `None` if a single bit differs from what was sealed.
    pub(crate) fn open<'a>(&self, sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let length = sealed.len().checked_sub(OVERHEAD)?;
        let (iv, rest) = sealed.split_at_mut(IV);
        let (text, tag) = rest.split_at_mut(length);
        let iv: [u8; IV] = (&*iv).try_into().ok()?;
        let expected = self.tag(&iv, text);
        // Without an early exit, so that the time tells nothing about the tag.
        let difference = expected.iter().zip(&*tag).fold(0, |all, (a, b)| all | (a ^ b));
        if std::hint::black_box(difference) != 0 {
            return None;
        }
        self.apply(&iv, text);
        Some(text)
    }

    fn apply(&self, iv: &[u8; IV], text: &mut [u8]) {
        let core = CtrCore::inner_iv_init(self.cipher.clone(), &Array::from(*iv));
        Stream::from_core(core).apply_keystream(text);
    }

    fn tag(&self, iv: &[u8; IV], text: &[u8]) -> [u8; TAG] {
        let mut nonce = Array::from(*iv);
        self.nonce_cipher.encrypt_block(&mut nonce);
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.mac_r);
        key[16..].copy_from_slice(&nonce);
        Poly1305::new(&key.into()).compute_unpadded(text).into()
    }
}

pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes)
        .map_err(|e| Error::Engine { op: "draw random bytes", source: std::io::Error::other(e.to_string()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_any_flipped_bit_is_noticed() {
        let key = Key::new(&KeyBytes::random().unwrap());
        let mut sealed = Vec::new();
        key.seal(b"a patient's record", &mut sealed).unwrap();
        for position in 0..sealed.len() {
            let mut torn = sealed.clone();
            torn[position] ^= 1;
            assert!(key.open(&mut torn).is_none());
        }
        assert_eq!(key.open(&mut sealed).unwrap(), b"a patient's record");
        assert!(key.open(&mut [0; 31]).is_none());
    }
}
