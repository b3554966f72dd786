//! Reading everything in a restored store: does each record decode, does each database hold.
//!
//! This is what tells a backup that lists from a backup that comes back. It runs on the sandbox of a drill and on
//! a store that was put back after an incident.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use decode::content::{Chunk, Histogram, Kind, Sample};
use decode::hl7::Message;
use decode::ssmix2::locate;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{Census, PatientId};

use crate::adapter::sqlite::{self, Examined};
use crate::adapter::ssmix2::Tally;
use crate::error::Error;
use crate::signs::Signs;

/// A record is read up to this size; a larger one is named as undecodable.
const RECORD_BYTES_MAX: u64 = decode::hl7::MAX_BYTES as u64;
/// Folders deeper than this are no record store.
const DEPTH_MAX: usize = 128;
/// Files handed to a reading thread at once.
const BATCH: usize = 256;
/// Fewer bytes say nothing about their distribution.
const NOISE_BYTES_MIN: usize = 64;
/// See [`is_noise`].
const NOISE_CHI2_MAX: f32 = 1.6;
/// How much of a document is looked at.
const HEAD_BYTES: u64 = 64 << 10;
/// Extensions whose files have a structure that noise has not.
const STRUCTURED: [&str; 22] = [
    "txt", "csv", "tsv", "xml", "html", "htm", "json", "ndjson", "hl7", "rtf", "pdf", "doc", "xls", "ppt",
    "docx", "xlsx", "pptx", "jpg", "jpeg", "png", "dcm", "sqlite",
];

/// What reading a store found.
pub struct Examination {
    /// Everything counted.
    pub census: Census,
    /// Distinct patients.
    pub patients: HashSet<PatientId>,
    /// SS-MIX2 records that decoded.
    pub records_decoded: u64,
    /// Records that did not decode, by their path on the protected host, with the cause.
    pub undecodable: BTreeMap<PathBuf, String>,
    /// Complaints of a database's integrity check, by path.
    pub database_complaints: BTreeMap<PathBuf, Vec<String>>,
    /// Signs that the store was encrypted when it was captured.
    pub signs: Signs,
    /// SS-MIX2 records in folders that are not those of their names: how many, and one of them.
    pub misfiled: Option<(u64, PathBuf)>,
}

/// How one record reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It decodes.
    Readable,
    /// It does not, for this cause.
    Undecodable(String),
    /// It does not, and its bytes cannot be told from noise.
    Noise,
}

/// How the bytes of one SS-MIX2 record read.
pub fn condition(bytes: &[u8]) -> Condition {
    match Message::parse(bytes) {
        Ok(_) => Condition::Readable,
        Err(_) if is_noise(bytes) => Condition::Noise,
        Err(cause) => Condition::Undecodable(cause.to_string()),
    }
}

/// Whether the start of a document, whose whole length is `len`, is noise where its name promises a structure.
fn document_is_noise(path: &Path, head: Vec<u8>, len: u64) -> bool {
    is_structured(path) && is_noise(&head) && {
        let sample = Sample { len, chunks: vec![Chunk { offset: 0, bytes: head }] };
        Kind::of(&sample) == Kind::Unknown
    }
}

/// Whether a file's name promises a structure.
pub(crate) fn is_structured(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| STRUCTURED.iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

/// Bytes that cannot be told from noise: chi-square per degree of freedom of 1 ± 0.09 for noise, above 5 for any text.
pub(crate) fn is_noise(bytes: &[u8]) -> bool {
    let mut histogram = Histogram::default();
    histogram.add(bytes.iter().copied());
    bytes.len() >= NOISE_BYTES_MIN && histogram.chi2() < NOISE_CHI2_MAX
}

struct Regular {
    /// Where it is now.
    file: PathBuf,
    /// Where it lives on the protected host.
    path: PathBuf,
    bytes: u64,
    modified: Option<Timestamp>,
}

/// Reads every file below `dir`, where `dir` holds what lives at `prefix` on the protected host.
///
/// Errors only when a folder of `dir` itself cannot be listed: every other trouble is in the result. `progress` gets
/// the number of files read so far, and of how many.
pub fn examine(
    dir: &Path,
    prefix: &Path,
    zone: &TimeZone,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Examination, Error> {
    let mut files = Vec::new();
    list(dir, prefix, 0, &mut files)?;
    let mut tally = Tally::new(zone.clone());
    let mut signs = Signs::default();
    let mut misfiled: Option<(u64, PathBuf)> = None;
    for file in &files {
        tally.file(&file.path, file.bytes, file.modified);
        signs.name(&file.path);
        if locate(&file.path).is_some_and(|located| located.misplaced) {
            misfiled.get_or_insert_with(|| (0, file.path.clone())).0 += 1;
        }
    }
    let read = read_all(&files, progress);
    let mut undecodable = BTreeMap::new();
    for (path, condition) in read.conditions {
        match condition {
            Condition::Readable => {}
            Condition::Undecodable(cause) => {
                undecodable.insert(path, cause);
            }
            Condition::Noise => {
                signs.noise(&path);
                undecodable.insert(path, "its bytes look encrypted".to_owned());
            }
        }
    }
    read.noise.iter().for_each(|path| signs.noise(path));
    let mut databases = Vec::new();
    let mut database_complaints = BTreeMap::new();
    for (path, examined) in read.databases {
        match examined {
            Ok(Examined { census, complaints }) => {
                databases.push(census);
                if !complaints.is_empty() {
                    database_complaints.insert(path, complaints);
                }
            }
            Err(error) => {
                database_complaints.insert(path, vec![error.chain()]);
            }
        }
    }
    let patients = tally.patients();
    let census = tally.finish(databases);
    let records_decoded = read.records_decoded;
    Ok(Examination { census, patients, records_decoded, undecodable, database_complaints, signs, misfiled })
}

fn list(dir: &Path, prefix: &Path, depth: usize, files: &mut Vec<Regular>) -> Result<(), Error> {
    let fail = |source| Error::Io { op: "read", path: dir.to_path_buf(), source };
    if depth > DEPTH_MAX {
        return Err(fail(std::io::Error::other("folders are nested too deep")));
    }
    for entry in fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let (file, path) = (entry.path(), prefix.join(entry.file_name()));
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() {
            list(&file, &path, depth + 1, files)?;
        } else if kind.is_file() {
            let metadata = entry.metadata().map_err(fail)?;
            let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
            files.push(Regular { file, path, bytes: metadata.len(), modified });
        }
    }
    Ok(())
}

#[derive(Default)]
struct Contents {
    records_decoded: u64,
    /// Records that do not decode.
    conditions: Vec<(PathBuf, Condition)>,
    /// Documents that are noise.
    noise: Vec<PathBuf>,
    databases: Vec<(PathBuf, Result<Examined, Error>)>,
}

impl Contents {
    fn merge(&mut self, other: Contents) {
        self.records_decoded += other.records_decoded;
        self.conditions.extend(other.conditions);
        self.noise.extend(other.noise);
        self.databases.extend(other.databases);
    }

    fn read(&mut self, file: &Regular) {
        if locate(&file.path).is_some() {
            match read_bounded(&file.file, RECORD_BYTES_MAX + 1) {
                Ok(bytes) => match condition(&bytes) {
                    Condition::Readable => self.records_decoded += 1,
                    unreadable => self.conditions.push((file.path.clone(), unreadable)),
                },
                Err(error) => {
                    self.conditions.push((file.path.clone(), Condition::Undecodable(error.to_string())));
                }
            }
        } else if sqlite::is_database(&file.file, file.bytes) {
            let examined = sqlite::examine(&file.file, &file.path.to_string_lossy());
            self.databases.push((file.path.clone(), examined));
        } else if let Ok(head) = read_bounded(&file.file, HEAD_BYTES)
            && document_is_noise(&file.path, head, file.bytes)
        {
            self.noise.push(file.path.clone());
        }
    }
}

/// Reads all records and databases on as many threads as there are processors.
fn read_all(files: &[Regular], progress: &(dyn Fn(u64, u64) + Sync)) -> Contents {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(8));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut contents = Contents::default();
        loop {
            let start = next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(batch) =
                files.get(start..files.len().min(start + BATCH)).filter(|batch| !batch.is_empty())
            else {
                return contents;
            };
            batch.iter().for_each(|file| contents.read(file));
            progress((start + batch.len()) as u64, files.len() as u64);
        }
    };
    let mut all = Contents::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(contents) => all.merge(contents),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    all
}

fn read_bounded(file: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
