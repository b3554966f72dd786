//! Office documents with a password ([MS-OFFCRYPTO] 2.3.4). Excel opens one password by itself, so attackers take that one: the
//! document opens without a question, and no scanner looks inside.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::bytes::{has, size, text, u16_le, u32_le, u64_le};
use super::super::walk::Walk;
use super::compound::{Compound, Node};
use super::crypto::{Hash, decrypt};

/// What Excel and PowerPoint try by themselves.
const OWN: [&str; 2] = ["VelvetSweatshop", "/01Hannes Ruescher/01"];
/// Rounds that are worth waiting for; Office writes 100,000.
const ROUNDS_MAX: u32 = 200_000;
const SEGMENT: usize = 4_096;

pub(super) fn look(walk: &mut Walk<'_>, name: &str, file: &Compound<'_>, package: &Node) {
    let info = file.find("EncryptionInfo").map(|node| file.read(node, 64 << 10)).unwrap_or_default();
    let scheme = Scheme::read(&info);
    let opened = walk.decrypt(&OWN, true, |password| scheme.as_ref()?.key(password));
    let (Some(key), Some(scheme)) = (opened, scheme) else { return };
    let sealed = file.read(package, super::STREAM_MAX);
    let content = scheme.content(&key, &sealed);
    walk.lying(&format!("decrypted {}", super::super::bytes::last(name)), &content);
}

/// How a document is encrypted.
enum Scheme {
    Agile(Agile),
    Standard(Standard),
}

struct Agile {
    rounds: u32,
    salt: Vec<u8>,
    hash: Hash,
    key_length: usize,
    verifier: Vec<u8>,
    verifier_hash: Vec<u8>,
    key: Vec<u8>,
    content_salt: Vec<u8>,
    content_hash: Hash,
}

struct Standard {
    key_length: usize,
    salt: Vec<u8>,
    verifier: Vec<u8>,
    verifier_hash: Vec<u8>,
}

impl Scheme {
    fn read(info: &[u8]) -> Option<Self> {
        if (u16_le(info, 0)?, u16_le(info, 2)?) == (4, 4) {
            return Agile::read(&text(info.get(8..)?)).map(Scheme::Agile);
        }
        Standard::read(info).map(Scheme::Standard)
    }

    /// The key of the content, where the password is right.
    fn key(&self, password: &str) -> Option<Vec<u8>> {
        match self {
            Scheme::Agile(agile) => agile.key(password),
            Scheme::Standard(standard) => standard.key(password),
        }
    }

    fn content(&self, key: &[u8], sealed: &[u8]) -> Vec<u8> {
        let length = size(u64_le(sealed, 0).unwrap_or_default());
        let sealed = sealed.get(8..).unwrap_or_default();
        let mut content = match self {
            Scheme::Agile(agile) => {
                let segments = (0_u32..).zip(sealed.chunks(SEGMENT)).map(|(number, segment)| {
                    let first = agile.content_hash.of(&agile.content_salt, &number.to_le_bytes());
                    decrypt(key, Some(&first), segment).unwrap_or_default()
                });
                segments.flatten().collect()
            }
            Scheme::Standard(_) => decrypt(key, None, sealed).unwrap_or_default(),
        };
        content.truncate(length);
        content
    }
}

impl Agile {
    fn read(xml: &str) -> Option<Self> {
        let data = xml.get(xml.find("<keyData")?..)?;
        let key = ["<p:encryptedKey", "<encryptedKey"].iter().find_map(|tag| xml.get(xml.find(tag)?..))?;
        let content_hash = Hash::named(attribute(data, "hashAlgorithm")?)?;
        Some(Self {
            rounds: attribute(key, "spinCount")?.parse().ok().filter(|&rounds| rounds <= ROUNDS_MAX)?,
            salt: base64(attribute(key, "saltValue")?)?,
            hash: Hash::named(attribute(key, "hashAlgorithm")?)?,
            key_length: attribute(key, "keyBits")?.parse::<usize>().ok()? / 8,
            verifier: base64(attribute(key, "encryptedVerifierHashInput")?)?,
            verifier_hash: base64(attribute(key, "encryptedVerifierHashValue")?)?,
            key: base64(attribute(key, "encryptedKeyValue")?)?,
            content_salt: base64(attribute(data, "saltValue")?)?,
            content_hash,
        })
    }

    fn key(&self, password: &str) -> Option<Vec<u8>> {
        let spun = self.hash.spun(&self.salt, password, self.rounds);
        let open = |block: [u8; 8], sealed: &[u8]| {
            let mut key = self.hash.of(&spun, &block);
            key.resize(self.key_length, 0x36);
            let mut first = self.salt.clone();
            first.resize(16, 0x36);
            decrypt(&key, Some(&first), sealed)
        };
        let verifier = open([0xfe, 0xa7, 0xd2, 0x76, 0x3b, 0x4b, 0x9e, 0x79], &self.verifier)?;
        let expected = open([0xd7, 0xaa, 0x0f, 0x6d, 0x30, 0x61, 0x34, 0x4e], &self.verifier_hash)?;
        let verifier = verifier.get(..self.salt.len().min(verifier.len()))?;
        let found = self.hash.of(verifier, &[]);
        if found.is_empty() || !expected.starts_with(&found) {
            return None;
        }
        let mut key = open([0x14, 0x6e, 0x0b, 0xe7, 0xab, 0xac, 0xd0, 0xd6], &self.key)?;
        key.truncate(self.key_length);
        Some(key)
    }
}

impl Standard {
    fn read(info: &[u8]) -> Option<Self> {
        let header = size(u32_le(info, 8)?);
        let key_bits = size(u32_le(info, 12 + 16)?);
        let at = header.checked_add(12)?;
        let salt_length = size(u32_le(info, at)?).min(16);
        let piece =
            |offset: usize, length: usize| info.get(at + offset..at + offset + length).map(<[u8]>::to_vec);
        Some(Self {
            key_length: if key_bits == 0 { 16 } else { key_bits / 8 },
            salt: piece(4, salt_length)?,
            verifier: piece(20, 16)?,
            verifier_hash: piece(40, 32)?,
        })
    }

    fn key(&self, password: &str) -> Option<Vec<u8>> {
        let spun = Hash::Sha1.spun(&self.salt, password, 50_000);
        let last = Hash::Sha1.of(&spun, &[0; 4]);
        let padded = |with: u8| {
            let block: Vec<u8> =
                (0..64).map(|place| last.get(place).copied().unwrap_or_default() ^ with).collect();
            Hash::Sha1.of(&block, &[])
        };
        let mut key = padded(0x36);
        key.extend(padded(0x5c));
        key.truncate(self.key_length);
        let verifier = decrypt(&key, None, &self.verifier)?;
        let expected = decrypt(&key, None, &self.verifier_hash)?;
        expected.starts_with(&Hash::Sha1.of(&verifier, &[])).then_some(key)
    }
}

/// An attribute's value within the first element of a text.
fn attribute<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let element = xml.split('>').next()?;
    if !has(element.as_bytes(), name.as_bytes()) {
        return None;
    }
    element.split(' ').find_map(|word| {
        let (key, value) = word.trim().split_once('=')?;
        (key == name).then(|| value.trim_end_matches('/').trim_matches(['"', '\'']))
    })
}

fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}
