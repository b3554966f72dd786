use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use super::line::{self, Line, MAX_BATCH, MAX_LINE, NO_PREV};
use super::{Entry, FILE_NAME, Fact, Fault, Head, KEY_NAME, Ledger, key};
use crate::Error;
use crate::durable::sync_dir;

/// What a torn tail is called until the fact about it is in the ledger.
const UNRECORDED: &str = ".unrecorded";

pub(super) fn open(state_dir: &Path, now: Timestamp) -> Result<Ledger, Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir)
        .map_err(Error::file("make the state folder", state_dir))?;
    let (path, key_path) = (state_dir.join(FILE_NAME), state_dir.join(KEY_NAME));
    let file = locked(&path)?;
    sync_dir(&path)?;
    let key = match key::load(&key_path)? {
        Some(key) => key,
        None if length(&file, &path)? == 0 => key::make(&key_path)?,
        None => return Err(Error::KeyMissing(key_path)),
    };
    let ledger = Ledger { path, key };
    let end = ledger.settle(&file, now)?;
    ledger.record_torn_tails(&file, end, now)?;
    Ok(ledger)
}

pub(super) fn append(ledger: &Ledger, fact: Fact, now: Timestamp) -> Result<Entry, Error> {
    let file = locked(&ledger.path)?;
    let end = ledger.settle(&file, now)?;
    ledger.write(&file, &end, fact, now)
}

pub(super) fn append_all(ledger: &Ledger, facts: Vec<Fact>, now: Timestamp) -> Result<Vec<Entry>, Error> {
    if facts.is_empty() {
        return Ok(Vec::new());
    }
    let file = locked(&ledger.path)?;
    let end = ledger.settle(&file, now)?;
    let of = u32::try_from(facts.len()).unwrap_or(u32::MAX);
    let mut entries: Vec<Entry> = Vec::with_capacity(facts.len());
    let mut lines = Vec::new();
    for (place, fact) in (1u32..).zip(facts) {
        let (seq, prev) = entries.last().map_or((end.seq, &end.hash), |last| (last.seq, &last.hash));
        let batch = (of > 1).then_some((place, of));
        let (entry, line) = line::encode(&ledger.key, seq + 1, now, fact, prev, batch)?;
        lines.extend_from_slice(&line);
        if lines.len() > MAX_BATCH {
            return Err(Error::FactTooLong { bytes: lines.len(), limit: MAX_BATCH });
        }
        entries.push(entry);
    }
    ledger.write_lines(&file, &lines)?;
    Ok(entries)
}

pub(super) fn head(ledger: &Ledger) -> Result<Head, Error> {
    let file = locked(&ledger.path)?;
    let end = match tail(&file, &ledger.path, &ledger.key.verifying_key())?.last {
        Some(end) => end,
        None => return Err(Error::NoLedger(ledger.path.clone())),
    };
    Ok(Head { seq: end.seq, hash: end.hash, public_key: ledger.public_key() })
}

/// What the next entry is chained to.
struct End {
    seq: u64,
    hash: String,
}

impl From<&Entry> for End {
    fn from(entry: &Entry) -> Self {
        End { seq: entry.seq, hash: entry.hash.clone() }
    }
}

/// The end of the file as it lies there.
struct Tail {
    /// The last whole line that does not belong to an unfinished batch, verified.
    last: Option<End>,
    /// Bytes up to and with its end.
    whole: u64,
    /// What stands after it.
    torn: Vec<u8>,
}

impl Ledger {
    /// Leaves the file with a whole last line, the first line included, and returns it.
    fn settle(&self, file: &File, now: Timestamp) -> Result<End, Error> {
        let tail = tail(file, &self.path, &self.key.verifying_key())?;
        if !tail.torn.is_empty() {
            self.set_aside(file, &tail)?;
        }
        let end = match tail.last {
            Some(end) => end,
            None => {
                let genesis = Fact::Genesis { public_key: self.public_key() };
                let (entry, line) = line::encode(&self.key, 0, now, genesis, NO_PREV, None)?;
                self.write_lines(file, &line)?;
                End::from(&entry)
            }
        };
        if tail.torn.is_empty() { Ok(end) } else { self.record_torn_tails(file, end, now) }
    }

    fn write(&self, file: &File, end: &End, fact: Fact, now: Timestamp) -> Result<Entry, Error> {
        let (entry, line) = line::encode(&self.key, end.seq + 1, now, fact, &end.hash, None)?;
        self.write_lines(file, &line)?;
        Ok(entry)
    }

    /// One write and one fsync for all of them. A write that fails halfway (a full disk) is taken back.
    fn write_lines(&self, file: &File, lines: &[u8]) -> Result<(), Error> {
        let before = length(file, &self.path)?;
        let mut writer = file;
        writer.write_all(lines).and_then(|()| file.sync_all()).map_err(|cause| {
            // What cannot be taken back is found as a torn tail by the next one to append.
            let _ = file.set_len(before);
            Error::file("append to", &self.path)(cause)
        })
    }

    /// Moves a torn tail into a file of its own; killed at any point, this loses none of its bytes.
    fn set_aside(&self, file: &File, tail: &Tail) -> Result<(), Error> {
        let aside = self.free_torn_name();
        let copy = || {
            let mut aside = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
            aside.write_all(&tail.torn)?;
            aside.sync_all()
        };
        copy().map_err(Error::file("write", &aside))?;
        sync_dir(&aside)?;
        file.set_len(tail.whole)
            .and_then(|()| file.sync_all())
            .map_err(Error::file("cut the torn line off", &self.path))
    }

    fn free_torn_name(&self) -> PathBuf {
        let unrecorded = |n: u64| self.path.with_file_name(format!("ledger.torn-{n}{UNRECORDED}"));
        let recorded = |n: u64| self.path.with_file_name(format!("ledger.torn-{n}"));
        let mut n = 1;
        while unrecorded(n).exists() || recorded(n).exists() {
            n += 1;
        }
        unrecorded(n)
    }

    /// Writes a fact for each torn tail that has none, then gives the file its lasting name. A kill between the
    /// two records it once more, which is harmless; the other order could forget it.
    fn record_torn_tails(&self, file: &File, mut end: End, now: Timestamp) -> Result<End, Error> {
        for unrecorded in self.unrecorded()? {
            let torn = fs::read(&unrecorded).map_err(Error::file("read", &unrecorded))?;
            let lasting = unrecorded.with_extension("");
            let name = lasting.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let sha256 = hex::encode(Sha256::digest(&torn));
            let fact = Fact::TornTail { file: name, bytes: torn.len() as u64, sha256 };
            end = End::from(&self.write(file, &end, fact, now)?);
            fs::rename(&unrecorded, &lasting).map_err(Error::file("rename", &unrecorded))?;
        }
        Ok(end)
    }

    fn unrecorded(&self) -> Result<Vec<PathBuf>, Error> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let listed = fs::read_dir(dir).and_then(|dir| dir.collect::<io::Result<Vec<_>>>());
        let mut found: Vec<PathBuf> = listed
            .map_err(Error::file("list", dir))?
            .into_iter()
            .filter(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("ledger.torn-") && name.ends_with(UNRECORDED)
            })
            .map(|entry| entry.path())
            .collect();
        found.sort();
        Ok(found)
    }
}

/// Opens the file for appending and waits for the lock, which ends with the returned value.
///
/// Every append opens anew: an flock belongs to the open file, so threads that share a [`Ledger`] exclude each
/// other too.
fn locked(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::file("open", path))?;
    loop {
        match flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::INTR) => {}
            Err(cause) => return Err(Error::file("lock", path)(cause.into())),
        }
    }
}

fn length(file: &File, path: &Path) -> Result<u64, Error> {
    Ok(file.metadata().map_err(Error::file("look at", path))?.len())
}

/// Reads the end of the file: at most one torn line after one whole line, so two lines' worth of bytes. Only a
/// batch that was not written to its end takes a longer look.
fn tail(file: &File, path: &Path, key: &VerifyingKey) -> Result<Tail, Error> {
    let bad = |fault| Error::LastLine { path: path.to_owned(), fault };
    let window = Window::read(file, path, 2 * MAX_LINE)?;
    let whole = window.line_begin(window.bytes.len());
    if window.bytes.len() - whole >= MAX_LINE {
        return Err(bad(Fault::TooLong));
    }
    let Some(line) = window.line_before(whole, key).map_err(bad)? else {
        return Ok(window.split(whole, None));
    };
    let Some(unfinished) = line.of_unfinished_batch() else {
        return Ok(window.split(whole, Some(End::from(&line.entry))));
    };

    let window = Window::read(file, path, 2 * MAX_LINE + MAX_BATCH)?;
    let mut begin = window.line_begin(window.bytes.len());
    for _ in 0..unfinished {
        begin = window.line_begin(begin.saturating_sub(1));
    }
    // The genesis entry is in no batch, so a whole line stands before it.
    let line = window.line_before(begin, key).map_err(bad)?.ok_or_else(|| bad(Fault::NoGenesis))?;
    Ok(window.split(begin, Some(End::from(&line.entry))))
}

/// The last bytes of the file.
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn read(file: &File, path: &Path, at_most: usize) -> Result<Self, Error> {
        let length = length(file, path)?;
        let start = length.saturating_sub(at_most as u64);
        let mut bytes = vec![0; (length - start) as usize];
        file.read_exact_at(&mut bytes, start).map_err(Error::file("read", path))?;
        Ok(Window { start, bytes })
    }

    /// Where the line begins that the byte before `at` belongs to, or would.
    fn line_begin(&self, at: usize) -> usize {
        self.bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
    }

    /// The whole line that ends at `end`, verified; `None` at the file's begin.
    fn line_before(&self, end: usize, key: &VerifyingKey) -> Result<Option<Line>, Fault> {
        let Some(last) = end.checked_sub(1) else { return Ok(None) };
        let begin = self.line_begin(last);
        if begin == 0 && self.start > 0 {
            return Err(Fault::TooLong);
        }
        let line = Line::decode(&self.bytes[begin..last])?;
        line.check_signature(key)?;
        Ok(Some(line))
    }

    fn split(mut self, whole: usize, last: Option<End>) -> Tail {
        let torn = self.bytes.split_off(whole);
        Tail { last, whole: self.start + whole as u64, torn }
    }
}
