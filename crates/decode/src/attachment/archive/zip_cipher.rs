//! The two ciphers of ZIP archives: the old one of PKZIP, and AES (WinZip's AE-1 and AE-2). For looking inside with a password that
//! the mail itself names; nothing is ever written with them.

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::zip::Entry;

/// The content, decrypted, where the password fits as far as the format tells.
pub(super) fn decrypt(entry: &Entry<'_>, password: &[u8]) -> Option<Vec<u8>> {
    match entry.aes {
        Some((_, strength)) => aes(entry.packed, strength, password),
        None => traditional(entry, password),
    }
}

/// APPNOTE 6.1: three keys, twelve bytes before the content whose last one is known.
fn traditional(entry: &Entry<'_>, password: &[u8]) -> Option<Vec<u8>> {
    let mut keys = Keys::new(password);
    let (head, content) = entry.packed.split_at_checked(12)?;
    let check = head.iter().map(|&byte| keys.decrypt(byte)).last()?;
    // With a length that follows the data the check is the time of day, as the checksum was not known yet.
    let expected = if entry.flags & 8 != 0 { (entry.time >> 8) as u8 } else { (entry.crc >> 24) as u8 };
    (check == expected).then(|| content.iter().map(|&byte| keys.decrypt(byte)).collect())
}

struct Keys([u32; 3]);

impl Keys {
    fn new(password: &[u8]) -> Self {
        let mut keys = Self([0x1234_5678, 0x2345_6789, 0x3456_7890]);
        password.iter().for_each(|&byte| keys.update(byte));
        keys
    }

    fn update(&mut self, byte: u8) {
        let Self([first, second, third]) = self;
        *first = crc_step(*first, byte);
        *second = second.wrapping_add(*first & 0xff).wrapping_mul(0x0808_8405).wrapping_add(1);
        *third = crc_step(*third, (*second >> 24) as u8);
    }

    fn decrypt(&mut self, byte: u8) -> u8 {
        let mixed = self.0[2] as u16 | 2;
        let plain = byte ^ (mixed.wrapping_mul(mixed ^ 1) >> 8) as u8;
        self.update(plain);
        plain
    }
}

/// One step of CRC-32 on a raw register.
fn crc_step(register: u32, byte: u8) -> u32 {
    CRC[usize::from((register as u8) ^ byte)] ^ (register >> 8)
}

const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 != 0 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// WinZip's AES: salt, two bytes of check, content in counter mode, ten bytes of authentication.
fn aes(packed: &[u8], strength: u8, password: &[u8]) -> Option<Vec<u8>> {
    let (salt_length, key_length) = match strength {
        1 => (8, 16),
        2 => (12, 24),
        3 => (16, 32),
        _ => return None,
    };
    let (salt, rest) = packed.split_at_checked(salt_length)?;
    let (check, rest) = rest.split_at_checked(2)?;
    let (content, authentication) = rest.split_at_checked(rest.len().checked_sub(10)?)?;
    let derived = pbkdf2(password, salt, 2 * key_length + 2);
    let (encryption, rest) = derived.split_at_checked(key_length)?;
    let (signing, expected) = rest.split_at_checked(key_length)?;
    if check != expected {
        return None;
    }
    let mut mac = <Hmac<Sha1> as hmac::KeyInit>::new_from_slice(signing).ok()?;
    mac.update(content);
    if mac.finalize().into_bytes().get(..10)? != authentication {
        return None;
    }
    match strength {
        1 => counted(&Aes128::new_from_slice(encryption).ok()?, content),
        2 => counted(&Aes192::new_from_slice(encryption).ok()?, content),
        _ => counted(&Aes256::new_from_slice(encryption).ok()?, content),
    }
}

/// Counter mode whose counter begins at one, little end first; the crate for counters has none of 128 bits that way round.
fn counted<C: BlockCipherEncrypt<BlockSize = aes::cipher::typenum::U16>>(
    cipher: &C,
    content: &[u8],
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(content.len());
    for (number, chunk) in (1_u128..).zip(content.chunks(16)) {
        let mut block = Array::from(number.to_le_bytes());
        cipher.encrypt_block(&mut block);
        out.extend(chunk.iter().zip(block).map(|(byte, key)| byte ^ key));
    }
    Some(out)
}

/// RFC 8018 with HMAC-SHA-1 and the thousand rounds that the format prescribes.
fn pbkdf2(password: &[u8], salt: &[u8], length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 20);
    let Ok(keyed) = <Hmac<Sha1> as hmac::KeyInit>::new_from_slice(password) else { return out };
    let mut number = 1_u32;
    while out.len() < length {
        let mut mac = keyed.clone();
        mac.update(salt);
        mac.update(&number.to_be_bytes());
        let mut round = mac.finalize().into_bytes();
        let mut sum = round;
        for _ in 1..1_000 {
            let mut mac = keyed.clone();
            mac.update(&round);
            round = mac.finalize().into_bytes();
            sum.iter_mut().zip(round).for_each(|(sum, byte)| *sum ^= byte);
        }
        out.extend(sum);
        number += 1;
    }
    out.truncate(length);
    out
}
