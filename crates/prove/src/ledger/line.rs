use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Entry, Fact, Fault};
use crate::Error;

/// The most bytes that a line may have, its end included.
pub const MAX_LINE: usize = 64 * 1024;

/// The most bytes that the lines of one batch may have together.
pub const MAX_BATCH: usize = 8 << 20;

/// `prev` of the first line.
pub(super) const NO_PREV: &str = "0000000000000000000000000000000000000000000000000000000000000000";

const VERSION: u32 = 1;
const HASH_OPENS: &[u8] = br#","hash":""#;
const SIG_OPENS: &[u8] = br#"","sig":""#;
const CLOSES: &[u8] = br#""}"#;
const HASH_DIGITS: usize = 64;
const SIG_DIGITS: usize = 128;

#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    seq: u64,
    at: Timestamp,
    fact: &'a Fact,
    prev: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<Place>,
}

#[derive(Deserialize)]
struct Read {
    seq: u64,
    at: Timestamp,
    fact: serde_json::Value,
    prev: String,
    #[serde(default)]
    batch: Option<Place>,
}

/// Place in a batch, counted from 1, and the entries of that batch.
pub(super) type Place = (u32, u32);

/// An entry with the line that stands for it, its end included.
pub(super) fn encode(
    key: &SigningKey,
    seq: u64,
    at: Timestamp,
    fact: Fact,
    prev: &str,
    batch: Option<Place>,
) -> Result<(Entry, Vec<u8>), Error> {
    let json = |source| Error::Json { what: "a fact", source };
    let body =
        serde_json::to_vec(&Body { version: VERSION, seq, at, fact: &fact, prev, batch }).map_err(json)?;
    let (hash, line) = seal(key, body);
    if line.len() > MAX_LINE {
        return Err(Error::FactTooLong { bytes: line.len(), limit: MAX_LINE });
    }
    Ok((Entry { seq, at, fact, prev: prev.to_owned(), hash }, line))
}

/// The hash of canonical bytes, and the line that they become.
pub(super) fn seal(key: &SigningKey, body: Vec<u8>) -> (String, Vec<u8>) {
    let hash = hex::encode(Sha256::digest(&body));
    let sig = hex::encode(key.sign(&body).to_bytes());
    let mut line = body;
    line.pop();
    for part in [HASH_OPENS, hash.as_bytes(), SIG_OPENS, sig.as_bytes(), CLOSES, b"\n"] {
        line.extend_from_slice(part);
    }
    (hash, line)
}

/// A line taken apart; its hash is right, its signature has not been looked at.
pub(super) struct Line {
    pub(super) entry: Entry,
    batch: Option<Place>,
    body: Vec<u8>,
    sig: [u8; SIG_DIGITS / 2],
}

impl Line {
    /// Takes a line apart, given without its end.
    pub(super) fn decode(line: &[u8]) -> Result<Self, Fault> {
        let (body, hash, sig) = split(line).ok_or(Fault::NotAnEntry)?;
        if hex::encode(Sha256::digest(&body)).as_bytes() != hash {
            return Err(Fault::Hash);
        }
        let version = serde_json::from_slice::<Versioned>(&body).map_err(|_| Fault::NotAnEntry)?.version;
        if version != VERSION {
            return Err(Fault::Version { found: version });
        }
        let read: Read = serde_json::from_slice(&body).map_err(|_| Fault::NotAnEntry)?;
        let mut sig_bytes = [0; SIG_DIGITS / 2];
        hex::decode_to_slice(sig, &mut sig_bytes).map_err(|_| Fault::NotAnEntry)?;
        // Upper-case digits would mean the same; a line has one spelling only, so that every edit is found.
        if hex::encode(sig_bytes).as_bytes() != sig {
            return Err(Fault::NotAnEntry);
        }
        let hash = String::from_utf8_lossy(hash).into_owned();
        // Signed by us in another shape: the chain is intact, and what it says is for that version to read.
        let fact = serde_json::from_value(read.fact).unwrap_or(Fact::Unknown);
        let entry = Entry { seq: read.seq, at: read.at, fact, prev: read.prev, hash };
        Ok(Line { entry, batch: read.batch, body, sig: sig_bytes })
    }

    /// How many lines of its batch stand in the file when this is the last one; `None` when the batch is whole.
    pub(super) fn of_unfinished_batch(&self) -> Option<u32> {
        self.batch.filter(|(place, of)| place < of).map(|(place, _)| place)
    }

    pub(super) fn check_signature(&self, key: &VerifyingKey) -> Result<(), Fault> {
        key.verify_strict(&self.body, &Signature::from_bytes(&self.sig)).map_err(|_| Fault::Signature)
    }
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Canonical bytes, hash digits and signature digits.
fn split(line: &[u8]) -> Option<(Vec<u8>, &[u8], &[u8])> {
    let rest = line.strip_suffix(CLOSES)?;
    let (rest, sig) = rest.split_at_checked(rest.len().checked_sub(SIG_DIGITS)?)?;
    let rest = rest.strip_suffix(SIG_OPENS)?;
    let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(HASH_DIGITS)?)?;
    let mut body = rest.strip_suffix(HASH_OPENS)?.to_vec();
    body.push(b'}');
    Some((body, hash, sig))
}
