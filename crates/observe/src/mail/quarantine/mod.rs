//! Mails that were held back, whole and durable.
//!
//! ```text
//! ID.mail       one line of JSON (the entry), then the mail as it came
//! ID.done       one line of JSON for each thing that was done with it
//! tagged/DAY.jsonl  mails that were delivered with a mark, to be counted
//! pass/NONCE    a release that may pass the milter once
//! secret        keys the passes and the recipients' hashes
//! ```
//!
//! [`Store::keep`] returns once the mail and its name would survive a power cut. A file without its end never has its
//! name. The folder belongs to the milter's user; whoever releases may be root and changes no owner.

mod pass;
mod tagged;
#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schema::{MailReason, MailVerdict};
use serde::{Deserialize, Serialize};

use super::milter::Envelope;
use crate::Error;
pub use tagged::Tagged;

/// The longest entry: whoever is named in it, as many recipients as a mail has.
const ENTRY_MAX: u64 = 4 << 20;
const DONE_MAX: u64 = 1 << 20;
/// Room is never made by forgetting what came within this time: a flood must not wash out what it hides.
const SAFE_FOR: SignedDuration = SignedDuration::from_hours(24);
/// What was being written when the power went is removed after this.
const PART_AGE: Duration = Duration::from_secs(3600);

/// How long mails are kept, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// After this a mail is forgotten.
    pub for_: SignedDuration,
    /// Bytes of all; the oldest are forgotten first, but none of the last day: then nothing more is taken.
    pub bytes: u64,
    /// Mails.
    pub mails: usize,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { for_: SignedDuration::from_hours(30 * 24), bytes: 2 << 30, mails: 50_000 }
    }
}

/// What is known of a mail that was held back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// `YYYYMMDD-hhmmss-` and eight hexadecimal digits.
    pub id: String,
    /// When it came.
    pub at: Timestamp,
    /// What it is.
    pub verdict: MailVerdict,
    /// See [`schema::MailJudgement::score`].
    pub score: f64,
    /// Why.
    pub reasons: Vec<MailReason>,
    /// How it came.
    pub envelope: Envelope,
    /// Its subject, decoded; only here, where nobody but the mail's keeper reads.
    #[serde(default)]
    pub subject: String,
}

/// Something that was done with a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// To whom it was delivered.
    pub released_to: Vec<String>,
}

/// A mail in the quarantine, without its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// What is known of it.
    pub entry: Entry,
    /// Its length.
    pub bytes: u64,
    /// What was done with it, the first thing first.
    pub done: Vec<Done>,
}

/// A mail that was forgotten because of its age or for want of room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Its id.
    pub id: String,
    /// Whether it was too old, rather than in the way.
    pub by_age: bool,
}

/// The quarantine in its folder.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    keeping: Keeping,
    secret: [u8; 32],
    /// Bytes that it holds, counted anew whenever it seems full.
    used: Mutex<Option<u64>>,
}

/// A mail's file.
struct Lying {
    id: String,
    at: Timestamp,
    bytes: u64,
}

impl Store {
    /// The milter's: made where it is missing, and its user is the owner.
    pub fn make(dir: &Path, keeping: Keeping) -> Result<Self, Error> {
        let failed = failed(dir, "make");
        for folder in [dir.to_owned(), dir.join("pass")] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        let secret = dir.join("secret");
        if !secret.exists() {
            let mut fresh = [0; 32];
            getrandom::fill(&mut fresh).map_err(|source| failed(io::Error::other(source)))?;
            write_durably(dir, "secret", &[&fresh]).map_err(failed)?;
        }
        let store = Self::open(dir, keeping)?;
        store.remove_parts();
        Ok(store)
    }

    /// One that is there already.
    pub fn open(dir: &Path, keeping: Keeping) -> Result<Self, Error> {
        let bytes = fs::read(dir.join("secret")).map_err(failed(dir, "open"))?;
        let broken = || failed(dir, "open")(io::Error::new(ErrorKind::InvalidData, "its secret is damaged"));
        let secret = bytes.try_into().map_err(|_| broken())?;
        Ok(Self { dir: dir.to_owned(), keeping, secret, used: Mutex::new(None) })
    }

    /// An id for a mail that comes now.
    pub fn new_id(now: Timestamp) -> Result<String, Error> {
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(|source| Error::Quarantine {
            operation: "name a mail in",
            path: PathBuf::new(),
            source: io::Error::other(source),
        })?;
        Ok(format!("{}-{}", now.strftime("%Y%m%d-%H%M%S"), hex::encode(random)))
    }

    /// Keeps a mail, and says which others were forgotten for it. Once this returns without an error the mail is on disk.
    pub fn keep(&self, entry: &Entry, message: &[u8]) -> Result<Vec<Expired>, Error> {
        let failed = failed(&self.dir, "write a mail to");
        let name = self.name(&entry.id)?;
        let mut line = serde_json::to_vec(entry).map_err(|source| failed(source.into()))?;
        line.push(b'\n');
        if line.len() as u64 > ENTRY_MAX {
            return Err(failed(io::Error::new(ErrorKind::InvalidInput, "too much is known of it")));
        }
        let gone = self.make_room((line.len() + message.len()) as u64, entry.at)?;
        write_durably(&self.dir, &name, &[&line, message]).map_err(failed)?;
        Ok(gone)
    }

    /// All of them, the newest first, at most so many. What cannot be read is left out.
    pub fn list(&self, most: usize) -> Result<Vec<Kept>, Error> {
        let mut files = self.files()?;
        files.sort_by(|a, b| b.id.cmp(&a.id));
        Ok(files.iter().filter_map(|file| self.kept(&file.id).ok()).take(most).collect())
    }

    /// Looks at each that came from `from` on and before `until`, the oldest first, without holding them all. What cannot be read is left
    /// out.
    pub fn each(&self, from: Timestamp, until: Timestamp, mut look: impl FnMut(&Kept)) -> Result<(), Error> {
        let mut files = self.files()?;
        files.retain(|file| (from..until).contains(&file.at));
        files.sort_by(|a, b| a.id.cmp(&b.id));
        for file in &files {
            if let Ok(kept) = self.kept(&file.id) {
                look(&kept);
            }
        }
        Ok(())
    }

    /// What is known of one.
    pub fn kept(&self, id: &str) -> Result<Kept, Error> {
        let (entry, rest, length) = self.open_mail(id)?;
        drop(rest);
        let head = serde_json::to_vec(&entry).map_or(0, |line| line.len() as u64 + 1);
        Ok(Kept { bytes: length.saturating_sub(head), done: self.done(id), entry })
    }

    /// One with its content.
    pub fn read(&self, id: &str) -> Result<(Entry, Vec<u8>), Error> {
        let (entry, mut rest, _) = self.open_mail(id)?;
        let mut message = Vec::new();
        rest.read_to_end(&mut message).map_err(failed(&self.dir, "read a mail of"))?;
        Ok((entry, message))
    }

    /// Writes down what was done with one.
    pub fn note(&self, id: &str, done: &Done) -> Result<(), Error> {
        let failed = failed(&self.dir, "write down what was done in");
        self.name(id)?;
        let mut line = serde_json::to_vec(done).map_err(|source| failed(source.into()))?;
        line.push(b'\n');
        let path = self.dir.join(format!("{id}.done"));
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(&line).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// Removes one for good.
    pub fn delete(&self, id: &str) -> Result<(), Error> {
        let path = self.dir.join(self.name(id)?);
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::NoSuchMail { id: id.to_owned() });
            }
            Err(error) => return Err(failed(&self.dir, "delete a mail of")(error)),
        }
        let _ = fs::remove_file(self.dir.join(format!("{id}.done")));
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    /// Lets nobody else release the same mail at the same time, while the result lives.
    pub fn hold(&self, id: &str) -> Result<File, Error> {
        let failed = failed(&self.dir, "hold a mail of");
        let path = self.dir.join(self.name(id)?);
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::NoSuchMail { id: id.to_owned() },
            _ => failed(error),
        })?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| failed(error.into()))?;
        Ok(file)
    }

    /// Forgets what is too old.
    pub fn expire(&self, now: Timestamp) -> Result<Vec<Expired>, Error> {
        let files = self.files()?;
        let old = files.iter().filter(|file| now.duration_since(file.at) > self.keeping.for_);
        let gone: Vec<_> = old.filter(|file| self.delete(&file.id).is_ok()).collect();
        self.forget_passes();
        self.forget_tagged(now, self.keeping.for_);
        Ok(gone.into_iter().map(|file| Expired { id: file.id.clone(), by_age: true }).collect())
    }

    /// Forgets the oldest until so many bytes more would fit; the last day's stay.
    fn make_room(&self, bytes: u64, now: Timestamp) -> Result<Vec<Expired>, Error> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |held: u64| held.saturating_add(bytes) <= self.keeping.bytes;
        if let Some(held) = used.filter(|held| fits(*held)) {
            *used = Some(held + bytes);
            return Ok(Vec::new());
        }
        let mut gone = Vec::new();
        let mut files = self.files()?;
        files.sort_by(|a, b| a.id.cmp(&b.id));
        let mut held: u64 = files.iter().map(|file| file.bytes).sum();
        let mut count = files.len();
        for file in &files {
            if fits(held) && count < self.keeping.mails {
                break;
            }
            if now.duration_since(file.at) < SAFE_FOR {
                break;
            }
            if fs::remove_file(self.dir.join(format!("{}.mail", file.id))).is_ok() {
                let _ = fs::remove_file(self.dir.join(format!("{}.done", file.id)));
                held = held.saturating_sub(file.bytes);
                count -= 1;
                gone.push(Expired { id: file.id.clone(), by_age: false });
            }
        }
        if !fits(held) || count >= self.keeping.mails {
            return Err(Error::QuarantineFull { path: self.dir.clone(), bytes: held });
        }
        *used = Some(held + bytes);
        Ok(gone)
    }

    fn files(&self) -> Result<Vec<Lying>, Error> {
        let entries = fs::read_dir(&self.dir).map_err(failed(&self.dir, "list"))?;
        let file = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let id = name.strip_suffix(".mail").filter(|id| is_id(id))?;
            let meta = entry.metadata().ok()?;
            Some(Lying { id: id.to_owned(), at: came_at(id)?, bytes: meta.len() })
        };
        Ok(entries.flatten().filter_map(file).collect())
    }

    fn name(&self, id: &str) -> Result<String, Error> {
        if is_id(id) { Ok(format!("{id}.mail")) } else { Err(Error::NoSuchMail { id: id.to_owned() }) }
    }

    fn open_mail(&self, id: &str) -> Result<(Entry, BufReader<File>, u64), Error> {
        let failed = failed(&self.dir, "read a mail of");
        let path = self.dir.join(self.name(id)?);
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::NoSuchMail { id: id.to_owned() },
            _ => failed(error),
        })?;
        let length = file.metadata().map_err(failed)?.len();
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        reader.by_ref().take(ENTRY_MAX).read_until(b'\n', &mut line).map_err(failed)?;
        let entry = serde_json::from_slice(&line).map_err(|source| failed(source.into()))?;
        Ok((entry, reader, length))
    }

    fn done(&self, id: &str) -> Vec<Done> {
        let mut text = String::new();
        let Ok(file) = File::open(self.dir.join(format!("{id}.done"))) else { return Vec::new() };
        if file.take(DONE_MAX).read_to_string(&mut text).is_err() {
            return Vec::new();
        }
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn remove_parts(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let is_old = |entry: &fs::DirEntry| {
            let modified = entry.metadata().and_then(|meta| meta.modified());
            modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > PART_AGE))
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(".part-") && is_old(&entry) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn failed(dir: &Path, operation: &'static str) -> impl Fn(io::Error) -> Error + Copy {
    move |source| Error::Quarantine { operation, path: dir.to_owned(), source }
}

/// What an id looks like; nothing else becomes part of a path.
fn is_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    bytes.len() == 24
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 15 => *byte == b'-',
            16.. => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
            _ => byte.is_ascii_digit(),
        })
}

/// An id says when its mail came.
fn came_at(id: &str) -> Option<Timestamp> {
    let civil = jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", id.get(..15)?).ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// A file that is there whole, with its name, or not at all, also after a power cut.
fn write_durably(dir: &Path, name: &str, pieces: &[&[u8]]) -> io::Result<()> {
    let part = dir.join(format!(".part-{name}"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    let written = pieces.iter().try_for_each(|piece| file.write_all(piece)).and_then(|()| file.sync_all());
    let named = written.and_then(|()| fs::rename(&part, dir.join(name)));
    if let Err(error) = named {
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    File::open(dir)?.sync_all()
}
