//! The change log: every change of the database once more, so that a damaged or deleted one is made anew.
//!
//! # The format
//!
//! `state-<n>.log` holds the changes after change `n`, one a line: the first sixteen digits of the SHA-256 of the
//! rest, a blank, and JSON:
//!
//! ```text
//! 0f3c… {"seq":7,"at":"2026-03-02T17:14:00Z","change":{"statements":[["UPDATE armed SET by = ?1",[{"t":"mori"}]]]}}
//! ```
//!
//! `state-<n>.base` is a copy of the database that holds change `n` and none after it. Two are kept, the older one for the day on
//! which the newest is damaged too, with every log of what came after the older one. The log that begins at change 0 needs no base,
//! nor does one whose copy could not be made: the logs before it go on to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::types::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::writer::Statement;
use crate::Error;
use crate::durable::sync_dir;

const CHECK_DIGITS: usize = 16;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) seq: u64,
    at: Timestamp,
    #[serde(rename = "change")]
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// The database was brought to this version.
    Migrated(u32),
    /// These statements were executed in one transaction.
    Statements(Vec<(String, Vec<Bound>)>),
}

/// A bound value, spelled so that it comes back bit by bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Bound {
    #[serde(rename = "n")]
    Null,
    #[serde(rename = "i")]
    Integer(i64),
    /// The bits of the number: some numbers have no JSON.
    #[serde(rename = "r")]
    Real(u64),
    #[serde(rename = "t")]
    Text(String),
    /// In hexadecimal.
    #[serde(rename = "b")]
    Blob(String),
}

impl Change {
    pub(super) fn statements(seq: u64, at: Timestamp, statements: Vec<Statement>) -> Self {
        let spelled =
            statements.into_iter().map(|it| (it.sql, it.values.into_iter().map(Bound::from).collect()));
        Change { seq, at, what: What::Statements(spelled.collect()) }
    }

    pub(super) fn migrated(seq: u64, at: Timestamp, to: u32) -> Self {
        Change { seq, at, what: What::Migrated(to) }
    }

    pub(super) fn line(&self) -> Result<Vec<u8>, Error> {
        let json = serde_json::to_string(self).map_err(|source| Error::Json { what: "a change", source })?;
        Ok(format!("{} {json}\n", check(json.as_bytes())).into_bytes())
    }

    /// A line without its end; `None` where it is not what was written.
    fn parse(line: &[u8]) -> Option<Self> {
        let (digits, rest) = line.split_at_checked(CHECK_DIGITS)?;
        let json = rest.strip_prefix(b" ")?;
        (check(json).as_bytes() == digits).then(|| serde_json::from_slice(json).ok())?
    }
}

impl From<Value> for Bound {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Bound::Null,
            Value::Integer(number) => Bound::Integer(number),
            Value::Real(number) => Bound::Real(number.to_bits()),
            Value::Text(text) => Bound::Text(text),
            Value::Blob(bytes) => Bound::Blob(hex::encode(bytes)),
        }
    }
}

impl From<&Bound> for Value {
    fn from(bound: &Bound) -> Self {
        match bound {
            Bound::Null => Value::Null,
            Bound::Integer(number) => Value::Integer(*number),
            Bound::Real(bits) => Value::Real(f64::from_bits(*bits)),
            Bound::Text(text) => Value::Text(text.clone()),
            Bound::Blob(digits) => Value::Blob(hex::decode(digits).unwrap_or_default()),
        }
    }
}

/// The log that is being written.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: Arc<File>,
    bytes: u64,
    /// Bytes that lie after `bytes` since a failed append could not be taken back.
    litter: bool,
}

impl Log {
    /// Begins the log of the changes after `seq`.
    pub(super) fn begin(dir: &Path, seq: u64) -> Result<Self, Error> {
        let path = numbered(dir, seq, "log");
        let log = Log::at(path, 0)?;
        log.file.set_len(0).and_then(|()| log.file.sync_all()).map_err(Error::file("write", &log.path))?;
        sync_dir(&log.path)?;
        Ok(log)
    }

    /// Goes on with a log of which `bytes` are whole lines.
    pub(super) fn at(path: PathBuf, bytes: u64) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(Error::file("open", &path))?;
        Ok(Log { path, file: file.into(), bytes, litter: false })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends a line and returns when it is on the disk. Nothing of a failed append stays.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<(), Error> {
        self.write(line)?;
        self.file.sync_data().map_err(|cause| {
            self.take_back(line);
            Error::file("append to", &self.path)(cause)
        })
    }

    /// The file, for whoever makes durable what was written, while others go on writing.
    pub(super) fn file(&self) -> (Arc<File>, PathBuf) {
        (self.file.clone(), self.path.clone())
    }

    /// Appends a line without waiting for the disk. Nothing of a failed one stays.
    pub(super) fn write(&mut self, line: &[u8]) -> Result<(), Error> {
        self.clear_litter()?;
        match self.file.write_all_at(line, self.bytes) {
            Ok(()) => {
                self.bytes += line.len() as u64;
                Ok(())
            }
            Err(cause) => {
                self.litter = true;
                let _ = self.clear_litter();
                Err(Error::file("append to", &self.path)(cause))
            }
        }
    }

    /// Takes the last line back, since the database did not take it.
    pub(super) fn take_back(&mut self, line: &[u8]) {
        self.bytes -= line.len() as u64;
        self.litter = true;
        let _ = self.clear_litter();
    }

    fn clear_litter(&mut self) -> Result<(), Error> {
        if self.litter {
            let cut = self.file.set_len(self.bytes).and_then(|()| self.file.sync_data());
            cut.map_err(Error::file("cut the failed change off", &self.path))?;
            self.litter = false;
        }
        Ok(())
    }
}

/// What a log was found to hold.
#[derive(Debug)]
pub(super) struct Scanned {
    /// The number of the last change in it.
    pub(super) last: Option<u64>,
    /// Bytes up to the end of the last whole line.
    pub(super) whole: u64,
    /// Whether anything but a torn last line is damaged.
    pub(super) damaged: bool,
}

/// Goes through a log; damaged lines are left out. One line is in memory at a time.
pub(super) fn scan(path: &Path, mut each: impl FnMut(Change) -> Result<(), Error>) -> Result<Scanned, Error> {
    let mut reader =
        io::BufReader::with_capacity(1 << 20, File::open(path).map_err(Error::file("open", path))?);
    let mut scanned = Scanned { last: None, whole: 0, damaged: false };
    let (mut at, mut torn, mut line) = (0, false, Vec::new());
    loop {
        line.clear();
        io::BufRead::read_until(&mut reader, b'\n', &mut line).map_err(Error::file("read", path))?;
        if line.is_empty() {
            return Ok(scanned);
        }
        at += line.len() as u64;
        match line.strip_suffix(b"\n").and_then(Change::parse) {
            Some(change) => {
                scanned.damaged |= torn;
                scanned.last = Some(change.seq);
                scanned.whole = at;
                each(change)?;
            }
            None => torn = true,
        }
    }
}

/// Copies what follows the whole lines into a file of its own and cuts it off; killed at any point, this loses none.
pub(super) fn set_torn_end_aside(path: &Path, whole: u64) -> Result<Option<PathBuf>, Error> {
    let mut torn = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        io::Seek::seek(&mut file, io::SeekFrom::Start(whole))?;
        file.read_to_end(&mut torn)
    });
    read.map_err(Error::file("read", path))?;
    if torn.is_empty() {
        return Ok(None);
    }
    let aside = free_name(&path.with_extension("log.torn"));
    let copy = || {
        fs::write(&aside, &torn)?;
        File::open(&aside)?.sync_all()?;
        OpenOptions::new().write(true).open(path)?.set_len(whole)
    };
    copy().map_err(Error::file("write", &aside))?;
    sync_dir(&aside)?;
    Ok(Some(aside))
}

/// A name beside `path` that nothing has: `<path>-1`, `<path>-2` and so on.
pub(super) fn free_name(path: &Path) -> PathBuf {
    let named = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("-{n}"));
        PathBuf::from(name)
    };
    let mut n = 1;
    while named(n).exists() {
        n += 1;
    }
    named(n)
}

/// `state-<n>.<extension>`, with `n` in as many digits as sort by name.
pub(super) fn numbered(dir: &Path, n: u64, extension: &str) -> PathBuf {
    dir.join(format!("state-{n:020}.{extension}"))
}

/// Every file of that sort with its number, in order.
pub(super) fn all_numbered(dir: &Path, extension: &str) -> Result<Vec<(u64, PathBuf)>, Error> {
    let listed = fs::read_dir(dir).and_then(|dir| dir.collect::<io::Result<Vec<_>>>());
    let mut found: Vec<(u64, PathBuf)> = listed
        .map_err(Error::file("list", dir))?
        .into_iter()
        .filter_map(|entry| {
            let path = entry.path();
            let name = path.file_name()?.to_str()?.strip_prefix("state-")?.strip_suffix(extension)?;
            Some((name.strip_suffix('.')?.parse().ok()?, path))
        })
        .collect();
    found.sort();
    Ok(found)
}

fn check(json: &[u8]) -> String {
    let mut digits = hex::encode(Sha256::digest(json));
    digits.truncate(CHECK_DIGITS);
    digits
}
