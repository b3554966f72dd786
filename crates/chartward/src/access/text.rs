//! The texts that let somebody in: drawn, shown once, kept as a hash.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Error, random};

/// Crockford's: no I, L, O and U, so that a code read from paper is typed right.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A text that its owner sees once and that is never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Shown(Zeroizing<String>);

impl Shown {
    pub(super) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place where it is shown.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(…)")
    }
}

/// 256 random bits in 64 hexadecimal digits.
pub(super) fn draw_key() -> Result<Shown, Error> {
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(Shown::new(hex::encode(bytes.as_slice())))
}

/// A code of four-letter groups that people can read out: 20 random bits a group.
pub(super) fn draw_code(groups: usize) -> Result<Shown, Error> {
    let bytes = Zeroizing::new(random::<32>()?);
    let letters = bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)]));
    let mut code = String::new();
    for (place, letter) in letters.take(groups.min(8) * 4).enumerate() {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        code.push(letter);
    }
    Ok(Shown::new(code))
}

/// The code as it was drawn, however it was typed: case, hyphens, spaces, and letters taken for digits.
pub(super) fn read_code(typed: &str) -> Option<Zeroizing<String>> {
    let mut code = Zeroizing::new(String::with_capacity(64));
    for letter in typed.chars().filter(|letter| !matches!(letter, '-' | ' ' | '\u{3000}')) {
        let letter = match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            letter => letter,
        };
        if code.len() >= 32 || !DIGITS.contains(&u8::try_from(letter).ok()?) {
            return None;
        }
        code.push(letter);
    }
    (!code.is_empty()).then_some(code)
}

/// SHA-256 of what `purpose` names, hexadecimal: enough for a text of 80 random bits and more.
pub(super) fn fingerprint(purpose: &str, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(purpose.as_bytes());
    hash.update([0]);
    hash.update(text.as_bytes());
    hex::encode(hash.finalize())
}

/// Compares without telling by its duration how much is equal.
pub(super) fn equal(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// Hexadecimal digits of 256 bits, lower case: the only form of a cookie and of what follows `cw_`.
pub(super) fn is_key(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
