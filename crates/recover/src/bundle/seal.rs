//! Compressing and encrypting one piece under the data key, as WebCrypto and `DecompressionStream("deflate")` undo it.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{digest, hmac};

use super::error::Error;

/// AES-256.
pub(super) const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
/// Compression is left alone by everything but time: 6 is what gzip takes, and charts hardly get smaller above it.
const LEVEL: u8 = 6;

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}

/// The data key of one bundle. Everything sealed with it names the bundle and itself, so that nothing passes for anything else.
pub(super) struct Sealer {
    bundle: String,
    cipher: LessSafeKey,
    digests: hmac::Key,
}

impl Sealer {
    pub(super) fn new(bundle: &str, key: &[u8; KEY_LEN]) -> Result<Sealer, Error> {
        let cipher = cipher(key)?;
        // A key of its own for digests of content, so that no key does two kinds of work.
        let master = hmac::Key::new(hmac::HMAC_SHA256, key);
        let digests = hmac::sign(&master, b"chartward-bundle/1 digests");
        let digests = hmac::Key::new(hmac::HMAC_SHA256, digests.as_ref());
        Ok(Sealer { bundle: bundle.to_owned(), cipher, digests })
    }

    /// What `content` looks like to nobody without the key; equal for equal content of the same name.
    pub(super) fn digest(&self, name: &str, content: &[u8]) -> String {
        let mut digest = hmac::Context::with_key(&self.digests);
        digest.update(name.as_bytes());
        digest.update(&[0]);
        digest.update(content);
        hex::encode(digest.sign())
    }

    /// A number by which patients are grouped; it says nothing about the id without the key.
    pub(super) fn number(&self, id: &str) -> u64 {
        let digest = hmac::sign(&self.digests, format!("patient\0{id}").as_bytes());
        digest.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Nonce, ciphertext and tag of the compressed content.
    pub(super) fn seal(&self, name: &str, content: &[u8]) -> Result<Vec<u8>, Error> {
        seal(&self.cipher, &self.about(name), &miniz_oxide::deflate::compress_to_vec_zlib(content, LEVEL))
    }

    /// What [`Sealer::seal`] sealed, when it is that and holds no more than `bytes_max`.
    pub(super) fn open(&self, name: &str, sealed: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
        let packed = open(&self.cipher, &self.about(name), sealed)?;
        miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&packed, bytes_max).ok()
    }

    fn about(&self, name: &str) -> String {
        format!("chartward-bundle/1\n{}\n{name}", self.bundle)
    }
}

fn cipher(key: &[u8; KEY_LEN]) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| Error::Cipher { what: "with a key" })
}

fn seal(cipher: &LessSafeKey, about: &str, content: &[u8]) -> Result<Vec<u8>, Error> {
    let nonce = random::<NONCE_LEN>()?;
    let mut sealed = Vec::with_capacity(NONCE_LEN + content.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(&nonce);
    let mut body = content.to_vec();
    cipher
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(about), &mut body)
        .map_err(|_| Error::Cipher { what: "a part" })?;
    sealed.append(&mut body);
    Ok(sealed)
}

fn open(cipher: &LessSafeKey, about: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut body = body.to_vec();
    let content =
        cipher.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(about), &mut body).ok()?;
    Some(content.to_vec())
}

/// Wraps a key with another one.
pub(super) fn wrap(key: &[u8; KEY_LEN], about: &str, content: &[u8]) -> Result<Vec<u8>, Error> {
    seal(&cipher(key)?, about, content)
}

/// What [`wrap`] wrapped, under the right key.
pub(super) fn unwrap(key: &[u8; KEY_LEN], about: &str, wrapped: &[u8]) -> Option<Vec<u8>> {
    open(&cipher(key).ok()?, about, wrapped)
}

/// SHA-256 in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
