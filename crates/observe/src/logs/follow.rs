//! A log file that grows, is renamed, truncated or packed under its reader.
//!
//! A file is known by its inode and by a digest of its beginning, so that a restart finds what it had not read yet in the file that a
//! rotation made of it: renamed, copied or packed. A renamed file is read for a while longer, as its writer may still hold it.

use std::collections::VecDeque;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use schema::Micros;
use serde::{Deserialize, Serialize};

use super::read::is_bomb;
use super::split::Splitter;
use super::{Batch, Losses, Source};

const CHUNK: usize = 256 << 10;
const HEAD_MAX: usize = 256;
/// So long a writer may go on with a file that was renamed.
const LINGER: Duration = Duration::from_secs(60);
/// Files that a rotation left, of which more would be another log's.
const ROTATED_MAX: usize = 64;

/// Where a source stands, to go on from there after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Position {
    /// The files of one path that are being read, oldest first.
    Files {
        /// At most those that a rotation has not finished with.
        files: Vec<At>,
    },
    /// An EVTX file's.
    Events {
        /// The highest number of a record that was dealt with.
        record: u64,
    },
    /// A journal's cursor.
    Journal {
        /// As `journalctl` writes it.
        cursor: String,
    },
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    device: u64,
    inode: u64,
    /// Of the first byte that was not dealt with, unpacked.
    offset: u64,
    /// Digest of the first bytes, and of how many.
    head: (u64, usize),
}

/// A file by its path, whatever lies there.
pub struct Follow {
    path: PathBuf,
    source: Source,
    losses: Losses,
    /// What is read before the present file: rests of rotated ones.
    earlier: VecDeque<Part>,
    now: Option<Part>,
    from: Option<Vec<At>>,
    /// Files that lie there at the first look are read from their ends.
    skips_old: bool,
    /// Its place was not told yet, without which a restart would take it for one that was never met.
    is_untold: bool,
    buffer: Vec<u8>,
}

/// A file that is open.
struct Part {
    input: Input,
    device: u64,
    inode: u64,
    offset: u64,
    head: Vec<u8>,
    splitter: Splitter,
    until: Option<Instant>,
}

enum Input {
    Plain(File),
    /// With the length that it has packed.
    Packed(Box<MultiGzDecoder<File>>, u64),
}

impl Follow {
    /// Follows a path from a position; without one from the end of what is there now, unless `from_start`.
    #[must_use]
    pub fn new(path: &Path, position: Option<Position>, from_start: bool, losses: Losses) -> Self {
        let from = match position {
            Some(Position::Files { files }) => Some(files),
            _ => None,
        };
        let skips_old = from.is_none() && !from_start;
        let source = Source::new(&path.to_string_lossy());
        let mut follow = Self {
            path: path.to_owned(),
            source,
            losses,
            earlier: VecDeque::new(),
            now: None,
            is_untold: from.is_none(),
            from,
            skips_old,
            buffer: vec![0; CHUNK],
        };
        if follow.from.is_none() {
            // What comes from here on is new. One that cannot be opened is tried again, and its failure told, by the first look.
            let _ = follow.open();
        }
        follow
    }

    /// What it reads.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether anything lies there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.now.is_some()
    }

    /// Whether nothing lies there and nothing is left to be read.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.now.is_none() && self.earlier.is_empty()
    }

    /// Some more lines; `None`: nothing new. The first batch may be empty, and tells the place only. A file that is not there, or cannot be read, is looked for again.
    ///
    /// # Errors
    /// When the file that lies there cannot be read.
    pub fn poll(&mut self, arrived: Micros) -> io::Result<Option<Batch>> {
        let more = self.more(arrived)?;
        let is_untold = std::mem::take(&mut self.is_untold) && more.is_none();
        Ok(if is_untold { Some(self.positioned(Batch::new(self.source.clone(), arrived))) } else { more })
    }

    fn more(&mut self, arrived: Micros) -> io::Result<Option<Batch>> {
        if let Some(from) = self.from.take() {
            self.resume(&from);
        }
        let mut at = 0;
        while let Some(mut part) = self.earlier.remove(at) {
            let batch = self.read(&mut part, arrived)?;
            if batch.is_some() || part.until.is_some_and(|until| Instant::now() < until) {
                self.earlier.insert(at, part);
                if let Some(batch) = batch {
                    return Ok(Some(self.positioned(batch)));
                }
                at += 1;
            } else if let Some(last) = self.finish(part, arrived) {
                return Ok(Some(last));
            }
        }
        if self.now.is_none() {
            self.open()?;
        }
        self.turn(arrived)
    }

    fn turn(&mut self, arrived: Micros) -> io::Result<Option<Batch>> {
        let Some(mut part) = self.now.take() else { return Ok(None) };
        let batch = self.read(&mut part, arrived);
        if let Ok(Some(batch)) = batch {
            self.now = Some(part);
            return Ok(Some(self.positioned(batch)));
        }
        match self.changed(&mut part) {
            Changed::Not => self.now = Some(part),
            Changed::Renamed => {
                part.until = Some(Instant::now() + LINGER);
                self.earlier.push_back(part);
            }
            Changed::Truncated => {
                // What was written before the copy was made stands in it.
                let rest = self.rotated().into_iter().find_map(|path| part.rest_in(&path));
                self.earlier.extend(rest);
                self.open()?;
            }
        }
        batch.map(|_| None)
    }

    /// Reads once.
    fn read(&mut self, part: &mut Part, arrived: Micros) -> io::Result<Option<Batch>> {
        let length = match &mut part.input {
            Input::Plain(file) => file.read(&mut self.buffer),
            Input::Packed(_, packed) if is_bomb(part.offset, *packed) => return Err(too_large()),
            Input::Packed(file, _) => file.read(&mut self.buffer),
        };
        let bytes = match length {
            Ok(0) => return Ok(None),
            Ok(length) => self.buffer.get(..length).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(None),
            Err(error) => return Err(error),
        };
        if part.offset == part.head.len() as u64 && part.head.len() < HEAD_MAX {
            part.head.extend(bytes.iter().take(HEAD_MAX - part.head.len()));
        }
        let mut batch = Batch::new(self.source.clone(), arrived);
        let cut = part.splitter.cut;
        part.splitter.feed(bytes, &mut |line| batch.push(line));
        part.offset += bytes.len() as u64;
        self.losses.cut(part.splitter.cut - cut);
        Ok(Some(batch))
    }

    /// The end of a file that nobody writes to any more.
    fn finish(&mut self, mut part: Part, arrived: Micros) -> Option<Batch> {
        let mut batch = Batch::new(self.source.clone(), arrived);
        part.splitter.finish(&mut |line| batch.push(line));
        (!batch.is_empty()).then(|| self.positioned(batch))
    }

    fn positioned(&self, mut batch: Batch) -> Batch {
        let files = self.earlier.iter().chain(&self.now).map(Part::at).collect();
        batch.position = Some(Position::Files { files });
        batch
    }

    fn open(&mut self) -> io::Result<()> {
        match Part::open(&self.path, 0) {
            Ok(mut part) => {
                // The very file that was gone for a moment is no new one.
                let is_same = |old: &Part| (old.device, old.inode) == (part.device, part.inode);
                let same = self.earlier.iter().position(is_same);
                if let Some(mut old) = same.and_then(|at| self.earlier.remove(at)) {
                    old.until = None;
                    self.now = Some(old);
                    return Ok(());
                }
                if std::mem::take(&mut self.skips_old) {
                    part.skip_to_end()?;
                }
                self.now = Some(part);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // What comes later is new.
                self.skips_old = false;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn changed(&self, part: &mut Part) -> Changed {
        let meta = match fs::metadata(&self.path) {
            Ok(meta) => meta,
            // Its room on the disk is not held for ever.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Changed::Renamed,
            Err(_) => return Changed::Not,
        };
        if (meta.dev(), meta.ino()) != (part.device, part.inode) {
            return Changed::Renamed;
        }
        if meta.len() < part.offset || !part.is_same_head() { Changed::Truncated } else { Changed::Not }
    }

    /// Finds the places again, in whatever became of their files, and what was rotated away since.
    fn resume(&mut self, from: &[At]) {
        let mut oldest = None;
        for at in from {
            if let Ok(part) = Part::open(&self.path, at.offset)
                && part.is_at(at)
            {
                self.now = Some(part);
                continue;
            }
            let found = self.rotated().into_iter().find_map(|path| {
                let part = Part::open(&path, at.offset).ok()?;
                part.is_at(at).then_some((path, part))
            });
            if let Some((path, part)) = found {
                oldest = oldest.or_else(|| written(&path));
                self.earlier.push_back(part);
            }
        }
        if self.now.is_some() {
            return;
        }
        // Files that were begun and rotated away while nobody read are whole.
        let Some(oldest) = oldest else { return };
        let known: Vec<u64> = self.earlier.iter().map(|part| part.inode).collect();
        let mut missed: Vec<_> = self
            .rotated()
            .into_iter()
            .filter_map(|path| Some((written(&path)?, path)))
            .filter(|(at, _)| *at > oldest)
            .collect();
        missed.sort();
        let parts = missed.iter().filter_map(|(_, path)| Part::open(path, 0).ok());
        self.earlier.extend(parts.filter(|part| !known.contains(&part.inode)));
    }

    /// Files beside this one whose names begin with its: `auth.log.1`, `auth.log-20261101.gz`, `auth.1.log`.
    fn rotated(&self) -> Vec<PathBuf> {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            return Vec::new();
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let (name, stem) = (name.to_string_lossy(), self.path.file_stem().unwrap_or(name).to_string_lossy());
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let is_one = |path: &PathBuf| {
            let other = path.file_name().unwrap_or_default().to_string_lossy();
            *path != self.path && other.starts_with(&*stem) && other != name
        };
        let mut found: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(is_one)
            .filter_map(|path| Some((written(&path)?, path)))
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        found.into_iter().take(ROTATED_MAX).map(|(_, path)| path).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changed {
    Not,
    Renamed,
    Truncated,
}

impl Part {
    /// Opens a file at a place in its unpacked content.
    fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let meta: Metadata = file.metadata()?;
        if !meta.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut magic = [0; 2];
        let is_packed = file.read_at(&mut magic, 0)? == 2 && magic == [0x1f, 0x8b];
        let mut head = Vec::new();
        let input = if is_packed {
            MultiGzDecoder::new(&file).take(HEAD_MAX as u64).read_to_end(&mut head)?;
            file.rewind()?;
            let mut packed = MultiGzDecoder::new(file);
            skip(&mut packed, offset, meta.len())?;
            Input::Packed(Box::new(packed), meta.len())
        } else {
            head.resize(HEAD_MAX, 0);
            let length = file.read_at(&mut head, 0)?;
            head.truncate(length);
            if offset > meta.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.seek(SeekFrom::Start(offset))?;
            Input::Plain(file)
        };
        let splitter = if offset == 0 { Splitter::default() } else { Splitter::resumed(&head) };
        Ok(Self { input, device: meta.dev(), inode: meta.ino(), offset, head, splitter, until: None })
    }

    fn skip_to_end(&mut self) -> io::Result<()> {
        if let Input::Plain(file) = &mut self.input {
            self.offset = file.seek(SeekFrom::End(0))?;
            self.splitter = Splitter::resumed(&self.head);
        }
        Ok(())
    }

    fn at(&self) -> At {
        let pending = self.splitter.pending() as u64;
        At {
            device: self.device,
            inode: self.inode,
            offset: self.offset.saturating_sub(pending),
            head: (digest(&self.head), self.head.len()),
        }
    }

    /// Whether this is the file that the place is in.
    fn is_at(&self, at: &At) -> bool {
        let (known, length) = at.head;
        let head = self.head.get(..length);
        let is_same = head.is_some_and(|head| digest(head) == known);
        is_same && (length > 0 || (self.device, self.inode) == (at.device, at.inode))
    }

    fn is_same_head(&self) -> bool {
        let Input::Plain(file) = &self.input else { return true };
        let mut now = vec![0; self.head.len()];
        file.read_exact_at(&mut now, 0).is_ok() && now == self.head
    }

    /// What was not read yet, if that file is a copy of this one.
    fn rest_in(&self, path: &Path) -> Option<Part> {
        let at = self.at();
        let part = Part::open(path, at.offset).ok()?;
        (at.head.1 > 0 && part.is_at(&at)).then_some(part)
    }
}

/// Passes over what was read before of a packed file; one that ends earlier is not the file that was read.
pub(super) fn skip(packed: &mut impl Read, offset: u64, bytes: u64) -> io::Result<()> {
    let mut passed = 0;
    while passed < offset {
        let length = io::copy(&mut packed.by_ref().take((offset - passed).min(1 << 20)), &mut io::sink())?;
        passed += length;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if is_bomb(passed, bytes) {
            return Err(too_large());
        }
    }
    Ok(())
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "it unpacks to more than any log does")
}

fn written(path: &Path) -> Option<std::time::SystemTime> {
    fs::metadata(path).ok().filter(Metadata::is_file)?.modified().ok()
}

/// FNV-1a: it tells the files of one log apart, no forger from them.
fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
