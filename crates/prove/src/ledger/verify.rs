use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use super::line::{Line, MAX_LINE, NO_PREV};
use super::{Entry, Fact, Head};
use crate::Error;

/// What the verifier knows from elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// The key that must have signed the ledger. Without it the key in the first line is believed.
    pub public_key: Option<String>,
    /// The hash of an entry that must be there. Without it a cut-off end cannot be seen.
    pub head: Option<String>,
}

impl From<&Head> for Expect {
    fn from(head: &Head) -> Self {
        Expect { public_key: Some(head.public_key.clone()), head: Some(head.hash.clone()) }
    }
}

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Entries from the first on that are intact.
    pub entries: u64,
    /// The first line that is not, counted from 1, and why; what follows it was not looked at.
    pub first_bad: Option<(u64, Fault)>,
    /// The key in the first line, when that could be read.
    pub public_key: Option<String>,
    /// The last intact entry.
    pub head: Option<Head>,
    /// When the first and the last intact entry were written.
    pub span: Option<(Timestamp, Timestamp)>,
}

impl VerifyReport {
    /// Whether the whole file is what was written.
    pub fn intact(&self) -> bool {
        self.first_bad.is_none()
    }
}

/// Why a line is not intact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// No line at all.
    #[error("the ledger is empty")]
    Empty,
    /// More bytes than a line may have.
    #[error("the line is longer than {MAX_LINE} bytes")]
    TooLong,
    /// The file ends within the line.
    #[error("the line is unfinished: a writer was killed, or the end of the file was cut off")]
    Unfinished,
    /// Not the shape of an entry.
    #[error("the line is not a ledger entry")]
    NotAnEntry,
    /// The shape of another version.
    #[error("the entry has version {found}, which this program does not know")]
    Version {
        /// That version.
        found: u32,
    },
    /// The first line does not begin a ledger.
    #[error("the ledger does not begin with its genesis entry: lines before it are missing")]
    NoGenesis,
    /// Another key than the expected one.
    #[error("the ledger is signed with key {found}, not with the expected one")]
    OtherKey {
        /// The key in the first line.
        found: String,
    },
    /// Something else than what was signed.
    #[error("the content does not match its hash: it was edited")]
    Hash,
    /// Not signed with the ledger's key.
    #[error("the signature does not match: the entry was written without the ledger's key")]
    Signature,
    /// Lines are missing, repeated or moved.
    #[error("entry {found} stands where entry {expected} should: lines were removed, added or moved")]
    Sequence {
        /// The number that should follow.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// Not chained to the line before.
    #[error("the entry does not follow from the line before it")]
    Link,
    /// The known entry is not in the ledger.
    #[error("the expected entry {missing} is not in the ledger: its end was cut off or written anew")]
    HeadMissing {
        /// The hash that was expected.
        missing: String,
    },
}

/// Verifies a ledger, wherever it lies, without changing it.
///
/// Fails only when the file cannot be read; everything wrong with its content is in the report.
pub fn verify(path: &Path, expect: &Expect) -> Result<VerifyReport, Error> {
    walk(path, expect, |_| ())
}

pub(super) fn walk(path: &Path, expect: &Expect, mut each: impl FnMut(Entry)) -> Result<VerifyReport, Error> {
    let file = File::open(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => Error::NoLedger(path.to_owned()),
        _ => Error::file("open", path)(cause),
    })?;
    // Keeps a line that is being written from looking unfinished. A medium that cannot lock has no writer.
    let _ = flock(&file, FlockOperation::LockShared);
    let mut reader = BufReader::with_capacity(MAX_LINE, file);
    let mut chain = Chain::new(expect);
    let mut line = Vec::new();
    let first_bad = loop {
        line.clear();
        let mut bounded = (&mut reader).take(MAX_LINE as u64 + 1);
        bounded.read_until(b'\n', &mut line).map_err(Error::file("read", path))?;
        if line.is_empty() {
            break chain.end();
        }
        match chain.next(&line) {
            Ok(entry) => each(entry),
            Err(fault) => break Some(fault),
        }
    };
    let line = chain.entries + 1;
    Ok(VerifyReport {
        entries: chain.entries,
        first_bad: first_bad.map(|fault| (line, fault)),
        public_key: chain.public_key,
        head: chain.head,
        span: chain.span,
    })
}

/// How far the chain is intact.
struct Chain<'a> {
    expect: &'a Expect,
    key: Option<VerifyingKey>,
    public_key: Option<String>,
    head: Option<Head>,
    span: Option<(Timestamp, Timestamp)>,
    entries: u64,
    head_seen: bool,
}

impl<'a> Chain<'a> {
    fn new(expect: &'a Expect) -> Self {
        let head_seen = expect.head.is_none();
        Chain { expect, key: None, public_key: None, head: None, span: None, entries: 0, head_seen }
    }

    fn next(&mut self, line: &[u8]) -> Result<Entry, Fault> {
        if line.len() > MAX_LINE {
            return Err(Fault::TooLong);
        }
        let line = Line::decode(line.strip_suffix(b"\n").ok_or(Fault::Unfinished)?)?;
        let key = match self.key {
            Some(key) => key,
            None => self.begin(&line.entry.fact)?,
        };
        line.check_signature(&key)?;
        let entry = line.entry;
        if entry.seq != self.entries {
            return Err(Fault::Sequence { expected: self.entries, found: entry.seq });
        }
        if entry.prev != self.head.as_ref().map_or(NO_PREV, |head| &head.hash) {
            return Err(Fault::Link);
        }
        self.head_seen |= self.expect.head.as_ref() == Some(&entry.hash);
        self.entries += 1;
        self.span = Some((self.span.map_or(entry.at, |(first, _)| first), entry.at));
        let public_key = self.public_key.clone().unwrap_or_default();
        self.head = Some(Head { seq: entry.seq, hash: entry.hash.clone(), public_key });
        Ok(entry)
    }

    fn begin(&mut self, first: &Fact) -> Result<VerifyingKey, Fault> {
        let Fact::Genesis { public_key } = first else { return Err(Fault::NoGenesis) };
        self.public_key = Some(public_key.clone());
        if self.expect.public_key.as_ref().is_some_and(|expected| expected != public_key) {
            return Err(Fault::OtherKey { found: public_key.clone() });
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(public_key, &mut bytes).map_err(|_| Fault::NotAnEntry)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| Fault::NotAnEntry)?;
        self.key = Some(key);
        Ok(key)
    }

    fn end(&self) -> Option<Fault> {
        if self.entries == 0 {
            return Some(Fault::Empty);
        }
        let missing = self.expect.head.clone().filter(|_| !self.head_seen)?;
        Some(Fault::HeadMissing { missing })
    }
}
