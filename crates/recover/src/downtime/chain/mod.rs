//! A file of records that is only ever appended to, encrypted, and chained so that what was taken out of it shows.
//!
//! # What holds
//! - A record that [`Chain::append`] acknowledged is on the disk (fsync), whenever the process is killed.
//! - A record that is changed, moved or missing, and an end that was cut off, are found and named; the others are read all the same.
//!   The end is known from a second file (`FILE.ID.head`), which is written after each record and before it is acknowledged. Who puts
//!   back older copies of both files goes unnoticed: the head that the viewer prints for each note is what tells.
//! - What a crash leaves of a record that nobody was told of is cut off. A damaged file is set aside, never written to, and what can
//!   still be read of it is carried over into a new one that begins by saying so.
//! - One process writes; others may read.

mod frame;
mod key;
mod read;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use frame::{HEADER_BYTES, Header, SLOT_BYTES, Seal, hash};
pub use key::Secret;
pub use read::{Contents, Damage, Record};

use crate::Error;

/// Bytes of one record.
pub const RECORD_MAX: usize = 256 * 1024;
/// Bytes of a file: a hundred thousand notes and more. It is read into memory.
pub const FILE_MAX: u64 = 256 << 20;

/// What a file is for; notes are never taken for decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Downtime notes.
    Notes,
    /// What people decided of them, and what was exported.
    Decisions,
}

impl Purpose {
    fn bytes(self) -> [u8; 8] {
        match self {
            Purpose::Notes => *b"notes\0\0\0",
            Purpose::Decisions => *b"decided\0",
        }
    }
}

/// A chained file, open for appending. Dropping it gives the lock up.
pub struct Chain {
    path: PathBuf,
    file: File,
    head_file: File,
    seal: Seal,
    /// Records that are in the file; the next one has this number.
    count: u64,
    last: [u8; 32],
    end: u64,
    /// A write failed and could not be taken back: the disk holds one does not know what.
    is_broken: bool,
}

/// What was found when a file was opened for appending.
#[derive(Debug, Default)]
pub struct Opened {
    /// What it holds.
    pub contents: Contents,
    /// Where the damaged file lies now, when it was one.
    pub set_aside: Option<PathBuf>,
}

impl Chain {
    /// Opens the file, or makes it where there is none, for the only process that writes it.
    ///
    /// `carried_over` makes the first record of the file that replaces a damaged one: from where the damaged one was set aside to and
    /// what was found.
    pub fn open(
        path: &Path,
        purpose: Purpose,
        secret: Secret<'_>,
        now: Timestamp,
        carried_over: impl Fn(&Path, &Contents) -> Vec<u8>,
    ) -> Result<(Chain, Opened), Error> {
        let failed = |op| move |source| Error::Io { op, path: path.to_path_buf(), source };
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .map_err(failed("make the folder of"))?;
        }
        let file = locked(path)?;
        let length = file.metadata().map_err(failed("read"))?.len();
        if length < HEADER_BYTES as u64 {
            let mut contents = Contents::default();
            // A head is made after the header is whole, so one without the other is a file that was emptied.
            if has_head(path) {
                contents.damage.push(Damage::Altered { offset: 0, bytes: HEADER_BYTES as u64 });
                return Chain::in_place_of(path, purpose, secret, contents, now, carried_over);
            }
            return Ok((Chain::create(path, file, purpose, secret)?, Opened::default()));
        }
        let (contents, seal) = read::read(path, purpose, secret)?;
        if contents.damage.is_empty() {
            let chain = Chain::resume(path, file, seal, &contents)?;
            return Ok((chain, Opened { contents, set_aside: None }));
        }
        Chain::in_place_of(path, purpose, secret, contents, now, carried_over)
    }

    fn in_place_of(
        path: &Path,
        purpose: Purpose,
        secret: Secret<'_>,
        contents: Contents,
        now: Timestamp,
        carried_over: impl Fn(&Path, &Contents) -> Vec<u8>,
    ) -> Result<(Chain, Opened), Error> {
        let numbered = |number: u32| match number {
            0 => with_suffix(path, &format!(".damaged-{}", now.as_second())),
            more => with_suffix(path, &format!(".damaged-{}-{more}", now.as_second())),
        };
        // An earlier damaged file is never written over.
        let free = (0..1_000).map(numbered).find(|aside| !aside.exists());
        let aside = free.unwrap_or_else(|| numbered(1_000));
        let chain =
            Chain::replace(path, purpose, secret, &contents, &aside, carried_over(&aside, &contents))?;
        Ok((chain, Opened { contents, set_aside: Some(aside) }))
    }

    /// Reads a file that another process may be writing. Nothing is changed.
    pub fn read(path: &Path, purpose: Purpose, secret: Secret<'_>) -> Result<Contents, Error> {
        read::read(path, purpose, secret).map(|(contents, _)| contents)
    }

    fn create(path: &Path, file: File, purpose: Purpose, secret: Secret<'_>) -> Result<Chain, Error> {
        let failed = |op| move |source| Error::Io { op, path: path.to_path_buf(), source };
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|e| failed("draw an id for")(io::Error::other(e.to_string())))?;
        let header = Header { purpose: purpose.bytes(), id, key: secret.kind() };
        let bytes = header.bytes();
        let seal = Seal::new(&secret.make(&bytes, path)?, id);
        file.set_len(0)
            .and_then(|()| file.write_all_at(&bytes, 0))
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_folder(path))
            .map_err(failed("write"))?;
        let head_file = head_file(path, &id, &seal, 0, &hash(&bytes))?;
        let (last, end) = (hash(&bytes), HEADER_BYTES as u64);
        Ok(Chain { path: path.to_path_buf(), file, head_file, seal, count: 0, last, end, is_broken: false })
    }

    fn resume(path: &Path, file: File, seal: Seal, contents: &Contents) -> Result<Chain, Error> {
        let failed = |op| move |source| Error::Io { op, path: path.to_path_buf(), source };
        if contents.torn > 0 {
            file.set_len(contents.end)
                .and_then(|()| file.sync_all())
                .map_err(failed("cut the unfinished record off"))?;
        }
        let count = contents.records.len() as u64;
        let head_file = head_file(path, &contents.id, &seal, count, &contents.head)?;
        let (last, end) = (contents.head, contents.end);
        Ok(Chain { path: path.to_path_buf(), file, head_file, seal, count, last, end, is_broken: false })
    }

    /// A copy of the damaged file is kept, and a new one with what could be read takes its place in one step.
    fn replace(
        path: &Path,
        purpose: Purpose,
        secret: Secret<'_>,
        contents: &Contents,
        aside: &Path,
        first: Vec<u8>,
    ) -> Result<Chain, Error> {
        let failed = |op| move |source| Error::Io { op, path: path.to_path_buf(), source };
        let new = with_suffix(path, ".new");
        match fs::remove_file(&new) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(failed("replace")(source)),
            _ => {}
        }
        // Sticks and shares may know no links.
        fs::hard_link(path, aside)
            .or_else(|_| fs::copy(path, aside).and_then(|_| File::open(aside)?.sync_all()))
            .map_err(failed("set aside"))?;
        // Its head is named by its id, so the damaged file keeps its own.
        let mut chain = Chain::create(&new, locked(&new)?, purpose, secret)?;
        chain.append(&first)?;
        for record in &contents.records {
            chain.append(&record.payload)?;
        }
        let id = chain.id();
        fs::rename(head_path(&new, &id), head_path(path, &id))
            .and_then(|()| fs::rename(&new, path))
            .and_then(|()| sync_folder(path))
            .map_err(failed("replace"))?;
        chain.path = path.to_path_buf();
        Ok(chain)
    }

    fn id(&self) -> [u8; 16] {
        self.seal.id()
    }

    /// Appends a record. When this returns, it is on the disk; when it fails, it is not in the file, or (when only the head could not be
    /// written) it is there and was not acknowledged.
    pub fn append(&mut self, payload: &[u8]) -> Result<(), Error> {
        let failed = |path: &Path, source| Error::Io { op: "append to", path: path.to_path_buf(), source };
        if self.is_broken {
            let cause = io::Error::other("an earlier write failed and could not be taken back");
            return Err(failed(&self.path, cause));
        }
        let bytes = self.seal.record(self.count, &self.last, payload)?;
        let end = self.end.saturating_add(bytes.len() as u64);
        if payload.len() > RECORD_MAX || end > FILE_MAX {
            return Err(failed(&self.path, io::Error::from(io::ErrorKind::FileTooLarge)));
        }
        if let Err(source) = self.file.write_all_at(&bytes, self.end).and_then(|()| self.file.sync_data()) {
            // After a failed fsync the kernel may have dropped the pages: only a file that is cut back is known again.
            self.is_broken = self.file.set_len(self.end).and_then(|()| self.file.sync_all()).is_err();
            return Err(failed(&self.path, source));
        }
        (self.count, self.last, self.end) = (self.count.saturating_add(1), hash(&bytes), end);
        self.write_head()
    }

    /// Says once more how many records there are; the caller acknowledges afterwards.
    pub fn write_head(&mut self) -> Result<(), Error> {
        let slot = self.seal.slot(self.count, &self.last)?;
        write_slot(&self.head_file, self.count, &slot).map_err(|source| Error::Io {
            op: "write the head of",
            path: self.path.clone(),
            source,
        })
    }

    /// A key for something beside this file that must outlive the process, such as vouching for who wrote a draft.
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        self.seal.key_for(purpose)
    }

    /// How many records there are, and the hash of the last one: who keeps both elsewhere can tell a file that was put back.
    pub fn head(&self) -> (u64, String) {
        (self.count, hex::encode(self.last))
    }
}

/// How often and how long apart the lock is asked for: a process that is just being started holds its parent's files for a moment,
/// also those that the parent has closed.
const LOCK_TRIES: u32 = 80;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

fn locked(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Io { op: "open", path: path.to_path_buf(), source };
    let mut tries = 0;
    loop {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
                continue;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(Error::JournalInUse { path: path.to_path_buf() });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        // Between the two calls another process may have put a new file in its place.
        use std::os::unix::fs::MetadataExt;
        let (held, there) = (file.metadata().map_err(failed)?, fs::metadata(path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
            return Ok(file);
        }
    }
}

fn head_path(path: &Path, id: &[u8; 16]) -> PathBuf {
    with_suffix(path, &format!(".{}.head", hex::encode(&id[..4])))
}

fn has_head(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_head = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?.file_name();
        let middle = entry.to_str()?.strip_prefix(&name)?.strip_prefix('.')?.strip_suffix(".head")?.len();
        (middle == 8).then_some(())
    };
    fs::read_dir(dir).is_ok_and(|entries| entries.filter_map(is_head).next().is_some())
}

/// Both slots are written at once, so that a full disk is met here and not after a note.
fn head_file(path: &Path, id: &[u8; 16], seal: &Seal, count: u64, last: &[u8; 32]) -> Result<File, Error> {
    let head = head_path(path, id);
    let write = |slot: &[u8]| {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&head)?;
        write_slot(&file, count, slot)?;
        if file.metadata()?.len() < 2 * SLOT_BYTES as u64 {
            write_slot(&file, count.saturating_add(1), slot)?;
        }
        file.sync_all()?;
        sync_folder(&head)?;
        Ok(file)
    };
    write(&seal.slot(count, last)?).map_err(|source| Error::Io { op: "write", path: head.clone(), source })
}

/// The two slots take turns: a crash within one leaves the other.
fn write_slot(file: &File, count: u64, slot: &[u8]) -> io::Result<()> {
    file.write_all_at(slot, (count % 2) * SLOT_BYTES as u64)?;
    file.sync_data()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

/// A whole file within the bound.
fn bounded(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(longest.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(bytes)
}
