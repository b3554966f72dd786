//! A file system that is watched: each step is numbered, told, and done, refused or only pretended.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use recover::vault::{Disk, LocalDisk};

/// Steps by name.
pub(super) type Named = (&'static str, fn(&Step) -> bool);

/// A step, with paths below the vault's folder; `..` is the folder's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    MakeDir(PathBuf),
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    Flush(PathBuf),
    FlushDir(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    List(PathBuf),
    Read(PathBuf),
}

impl Step {
    pub(crate) fn is_change(&self) -> bool {
        !matches!(self, Step::List(_) | Step::Read(_))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Step::Rename(from, _) => from,
            Step::MakeDir(path)
            | Step::Create(path)
            | Step::Write(path, _)
            | Step::Flush(path)
            | Step::FlushDir(path)
            | Step::Remove(path)
            | Step::List(path)
            | Step::Read(path) => path,
        }
    }
}

/// What becomes of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    Do,
    /// It ends with this error of the operating system.
    Fail(i32),
    /// It is not done and ends well: a write is lost, a rename is lost, a list is empty, a file reads as empty.
    Pretend,
    /// Half of it is done: a write or a read ends early, a list lacks what came last.
    Half,
}

/// Is shown each step before it is done, with the number that it has among all steps.
type Watch = dyn Fn(usize, &Step) -> Verdict + Send + Sync;

pub(crate) struct Watched {
    root: PathBuf,
    watch: Box<Watch>,
    number: AtomicUsize,
    /// Held while a step is shown and done, so that what is shown is the order in which it is done.
    turn: Mutex<()>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Watched {
    pub(crate) fn new(
        root: &Path,
        watch: impl Fn(usize, &Step) -> Verdict + Send + Sync + 'static,
    ) -> Arc<Watched> {
        Arc::new(Watched {
            root: root.to_owned(),
            watch: Box::new(watch),
            number: AtomicUsize::new(0),
            turn: Mutex::new(()),
        })
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).map_or_else(|_| PathBuf::from(".."), Path::to_owned)
    }

    /// Shows a step and does it, or what is left of it.
    fn step<T>(
        &self,
        step: Step,
        act: impl FnOnce() -> io::Result<T>,
        pretend: impl FnOnce() -> io::Result<T>,
        half: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let _turn = self.turn.lock().unwrap();
        match (self.watch)(self.number.fetch_add(1, Ordering::SeqCst), &step) {
            Verdict::Do => act(),
            Verdict::Fail(errno) => Err(io::Error::from_raw_os_error(errno)),
            Verdict::Pretend => pretend(),
            Verdict::Half => half(),
        }
    }

    /// A step that has no half.
    fn whole(&self, step: Step, act: impl Fn() -> io::Result<()>) -> io::Result<()> {
        self.step(step, &act, || Ok(()), &act)
    }
}

fn early() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends early")
}

impl Disk for Watched {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.whole(Step::MakeDir(self.relative(dir)), || LocalDisk.make_dir(dir))
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        let make = || LocalDisk.create(path);
        self.step(Step::Create(self.relative(path)), make, make, make)
    }

    fn write(&self, file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let step = Step::Write(self.relative(path), bytes.to_vec());
        let write = |bytes| LocalDisk.write(file, path, bytes);
        let full = || {
            write(&bytes[..bytes.len() / 2])?;
            Err(io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error()))
        };
        self.step(step, || write(bytes), || Ok(()), full)
    }

    fn flush(&self, file: &File, path: &Path) -> io::Result<()> {
        self.whole(Step::Flush(self.relative(path)), || LocalDisk.flush(file, path))
    }

    fn flush_dir(&self, dir: &Path) -> io::Result<()> {
        self.whole(Step::FlushDir(self.relative(dir)), || LocalDisk.flush_dir(dir))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let step = Step::Rename(self.relative(from), self.relative(to));
        self.whole(step, || LocalDisk.rename_new(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.whole(Step::Remove(self.relative(path)), || LocalDisk.remove(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<(OsString, u64)>> {
        let list = || LocalDisk.list(dir);
        let stale = || {
            let mut names = list()?;
            let written =
                |name: &OsString| std::fs::metadata(dir.join(name)).and_then(|meta| meta.modified());
            names.sort_by_key(|(name, _)| written(name).ok());
            names.truncate(names.len() / 2);
            Ok(names)
        };
        self.step(Step::List(self.relative(dir)), list, || Ok(Vec::new()), stale)
    }

    fn read(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let read = || LocalDisk.read(path, most);
        let half = || {
            read().map(|mut bytes| {
                bytes.truncate(bytes.len() / 2);
                bytes
            })
        };
        self.step(Step::Read(self.relative(path)), read, || Ok(Vec::new()), half)
    }

    fn open(&self, path: &Path) -> io::Result<(File, u64)> {
        let open = || LocalDisk.open(path);
        let sized = |divisor| move || LocalDisk.open(path).map(|(file, size)| (file, size / divisor));
        self.step(Step::Read(self.relative(path)), open, sized(u64::MAX), sized(2))
    }

    fn read_at(&self, file: &File, path: &Path, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let step = Step::Read(self.relative(path));
        let zeros = std::cell::RefCell::new(buffer);
        let read = || LocalDisk.read_at(file, path, &mut zeros.borrow_mut(), offset);
        let pretend = || {
            zeros.borrow_mut().fill(0);
            Ok(())
        };
        self.step(step, read, pretend, || Err(early()))
    }
}
