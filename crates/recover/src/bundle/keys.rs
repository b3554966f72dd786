//! From the passphrase to the data key.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::pbkdf2;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::error::Error;
use super::seal::{KEY_LEN, random, unwrap, wrap};

/// Above OWASP's 600,000 for HMAC-SHA-256: under a second on the machine that is at hand, and as dear as patience allows to a thief.
pub(super) const ITERATIONS: u32 = 1_000_000;
/// A header that asks for more was not made by us and would hang whoever opens it.
const ITERATIONS_MAX: u32 = 20_000_000;
const ITERATIONS_MIN: u32 = 600_000;
const PASSPHRASE_CHARS_MAX: usize = 1000;

/// How the data key lies in the open part of `manifest.js`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    /// Base64.
    salt: String,
    iterations: u32,
    /// Base64: the data key under the key from the passphrase.
    wrapped: String,
}

impl Lock {
    /// Locks `key` with a passphrase and a new salt.
    pub(super) fn new(bundle: &str, key: &[u8; KEY_LEN], passphrase: &str) -> Result<Lock, Error> {
        let salt = random::<16>()?;
        let iterations = ITERATIONS;
        let opener = derive(passphrase, &salt, iterations)?;
        let wrapped = wrap(&opener, &about(bundle), key)?;
        Ok(Lock { salt: STANDARD.encode(salt), iterations, wrapped: STANDARD.encode(wrapped) })
    }

    /// The data key; `None` when the passphrase is another one or the lock is damaged.
    pub(super) fn open(&self, bundle: &str, passphrase: &str) -> Result<Option<[u8; KEY_LEN]>, Error> {
        let decoded = STANDARD.decode(&self.salt).ok().zip(STANDARD.decode(&self.wrapped).ok());
        let Some((salt, wrapped)) = decoded else { return Ok(None) };
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&self.iterations) || salt.len() != 16 {
            return Ok(None);
        }
        let opener = derive(passphrase, &salt, self.iterations)?;
        Ok(unwrap(&opener, &about(bundle), &wrapped).and_then(|key| key.try_into().ok()))
    }
}

fn about(bundle: &str) -> String {
    format!("chartward-bundle/1\n{bundle}\nkey")
}

/// NFKC first, as the page does: an input method may write the same passphrase full-width.
fn derive(passphrase: &str, salt: &[u8], iterations: u32) -> Result<[u8; KEY_LEN], Error> {
    let normal: String = passphrase.nfkc().collect();
    if normal.is_empty() || normal.chars().nth(PASSPHRASE_CHARS_MAX).is_some() {
        return Err(Error::Passphrase);
    }
    let iterations = NonZeroU32::new(iterations).ok_or(Error::Passphrase)?;
    let mut key = [0; KEY_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, normal.as_bytes(), &mut key);
    Ok(key)
}
