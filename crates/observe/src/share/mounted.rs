//! A share that this machine has mounted (cifs, NFS, a FUSE program), looked at as a folder.
//!
//! A mount can hang for good when its server is gone, and whoever touches it hangs with it. So one thread per view does all
//! touching; who asks it waits for a bounded time and then takes the share for silent. Everything is opened below the mount's
//! root without following a link and without leaving the file system: the server may be hostile, and a mount that went away
//! leaves an empty folder that must not pass for an emptied share.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use decode::content::{Chunk, Sample};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2, statat};
use rustix::io::Errno;

use super::client::{Entry, Listed, NAME_BYTES_MAX, PIECE, REQUEST_MAX, Read, Stamp, Trouble, places};
use crate::Error;

/// Threads that hang in mounts that do not answer; beyond, no new one is started.
const HANGING_MAX: usize = 8;
static HANGING: AtomicUsize = AtomicUsize::new(0);

type Job = Box<dyn FnOnce(&Root) + Send>;

/// A mounted share with the thread that touches it.
pub struct Mounted {
    dir: PathBuf,
    source: Source,
    jobs: Sender<Job>,
    hangs: AtomicBool,
}

/// What is mounted, as far as the mount table tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) server: Option<String>,
    pub(super) address: Option<IpAddr>,
}

/// The mount's root as it was at the start.
struct Root {
    dir: PathBuf,
    device: u64,
}

impl Mounted {
    /// Looks at the folder once; `address` is the server's where the mount table does not tell it.
    pub fn open(dir: &Path, address: Option<IpAddr>) -> Result<Self, Error> {
        let failed = |source| Error::ShareFolder { operation: "open", path: dir.to_owned(), source };
        if HANGING.load(Ordering::Relaxed) >= HANGING_MAX {
            return Err(failed(Errno::TIMEDOUT.into()));
        }
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let source = Source::of(dir, &table);
        let (jobs, work) = channel::<Job>();
        let (send, opened) = channel();
        let place = dir.to_owned();
        let toucher = move || {
            let root = fs::metadata(&place).and_then(|meta| {
                fs::read_dir(&place)?;
                Ok(Root { device: meta.dev(), dir: place })
            });
            let (root, said) = match root {
                Ok(root) => (Some(root), Ok(())),
                Err(error) => (None, Err(error)),
            };
            let _ = send.send(said);
            let Some(root) = root else { return };
            for job in work {
                job(&root);
            }
        };
        thread::Builder::new().name("share".into()).spawn(toucher).map_err(failed)?;
        match opened.recv_timeout(REQUEST_MAX) {
            Ok(said) => said.map_err(failed)?,
            Err(_) => {
                // Never taken back: this thread may hang for good, and it was never a view that could be seen to answer.
                HANGING.fetch_add(1, Ordering::Relaxed);
                return Err(failed(Errno::TIMEDOUT.into()));
            }
        }
        let source = Source { address: address.or(source.address), ..source };
        Ok(Self { dir: dir.to_owned(), source, jobs, hangs: AtomicBool::new(false) })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Has the thread do something; `None` when it does not answer, now or ever again.
    fn ask<T: Send + 'static>(&self, work: impl FnOnce(&Root) -> T + Send + 'static) -> Option<T> {
        if self.hangs.load(Ordering::Relaxed) {
            return None;
        }
        let (send, answer) = channel();
        let job: Job = Box::new(move |root| {
            let _ = send.send(work(root));
        });
        let answer = self.jobs.send(job).ok().and_then(|()| answer.recv_timeout(REQUEST_MAX).ok());
        if answer.is_none() {
            self.hangs.store(true, Ordering::Relaxed);
            HANGING.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    pub(super) fn list(
        &self,
        mut folders: Vec<String>,
        entries_max: usize,
        take: &mut dyn FnMut(Listed) -> Vec<String>,
        deadline: Instant,
    ) -> Vec<String> {
        while Instant::now() < deadline {
            let Some(path) = folders.pop() else { break };
            let asked = path.clone();
            let listed = self.ask(move |root| root.list(asked, entries_max));
            let silent = || Listed { path, entries: Err(Trouble::Silent), left_out: 0 };
            folders.extend(take(listed.unwrap_or_else(silent)));
        }
        folders
    }

    pub(super) fn samples(&self, paths: Vec<(usize, String)>, deadline: Instant) -> Vec<(usize, Read)> {
        let in_time = paths.into_iter().take_while(|_| Instant::now() < deadline);
        let read = |path: String| self.ask(move |root| root.sample(&path)).unwrap_or(Err(Trouble::Silent));
        in_time.map(|(number, path)| (number, read(path))).collect()
    }

    /// Writes a new file with the folders that it needs.
    pub(super) fn write(&self, folders: Vec<String>, path: String, content: Vec<u8>) -> Result<(), Error> {
        self.change("plant a decoy", move |root| root.write(&folders, &path, &content))
    }

    pub(super) fn remove(&self, path: String) -> Result<(), Error> {
        self.change("remove a decoy", move |root| root.remove(&path, AtFlags::empty()))
    }

    pub(super) fn remove_folder(&self, path: String) -> Result<(), Error> {
        self.change("remove the folder of a decoy", move |root| root.remove(&path, AtFlags::REMOVEDIR))
    }

    fn change(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Root) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Error> {
        let done = self.ask(work).unwrap_or(Err(Errno::TIMEDOUT.into()));
        done.map_err(|source| Error::ShareFolder { operation, path: self.dir.clone(), source })
    }
}

impl Root {
    /// The root, if it is still the file system that it was.
    fn fd(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, &self.dir, flags, Mode::empty())?;
        if rustix::fs::fstat(&fd)?.st_dev == self.device { Ok(fd) } else { Err(Errno::STALE) }
    }

    fn open(&self, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let place = if path.is_empty() { "." } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        openat2(self.fd()?, place, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, mode, resolve)
    }

    /// What an error at `path` says about the share.
    fn trouble(&self, path: &str, error: Errno) -> Trouble {
        match error {
            Errno::NOENT | Errno::NOTDIR if !path.is_empty() => Trouble::Gone,
            Errno::ACCESS | Errno::PERM | Errno::LOOP | Errno::XDEV | Errno::TXTBSY | Errno::BUSY => {
                Trouble::Refused
            }
            Errno::TIMEDOUT => Trouble::Slow,
            // One bad file, or all of them?
            _ if !path.is_empty()
                && self.open("", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).is_ok() =>
            {
                Trouble::Refused
            }
            _ => Trouble::Silent,
        }
    }

    fn list(&self, path: String, entries_max: usize) -> Listed {
        let mut listed = Listed { path, entries: Ok(Vec::new()), left_out: 0 };
        let found = self.entries(&listed.path, entries_max, &mut listed.left_out);
        listed.entries = found.map_err(|error| self.trouble(&listed.path, error));
        listed
    }

    fn entries(&self, path: &str, entries_max: usize, left_out: &mut u64) -> Result<Vec<Entry>, Errno> {
        let folder = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let mut entries = Vec::new();
        for found in Dir::read_from(&folder)? {
            let found = found?;
            let name = found.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entries.len() >= entries_max {
                // What is beyond the bound was not looked at.
                *left_out += 1;
                break;
            }
            let stat = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // Gone since the listing began.
                Err(Errno::NOENT) => continue,
                Err(_) => {
                    *left_out += 1;
                    continue;
                }
            };
            let kind = FileType::from_raw_mode(stat.st_mode);
            let text = name.to_str().ok().filter(|text| text.len() <= NAME_BYTES_MAX);
            let (Some(text), true) = (text, matches!(kind, FileType::Directory | FileType::RegularFile))
            else {
                *left_out += 1;
                continue;
            };
            entries.push(Entry {
                name: text.to_owned(),
                is_folder: kind == FileType::Directory,
                stamp: stamp(
                    stat.st_size,
                    (stat.st_mtime, stat.st_mtime_nsec),
                    (stat.st_ctime, stat.st_ctime_nsec),
                ),
                // Links are not followed here; numbers that a FUSE program makes up would hide folders.
                identity: None,
            });
        }
        Ok(entries)
    }

    fn sample(&self, path: &str) -> Read {
        self.read(path).map_err(|error| self.trouble(path, Errno::from_io_error(&error).unwrap_or(Errno::IO)))
    }

    fn read(&self, path: &str) -> io::Result<(Sample, Stamp)> {
        // Never waits on a pipe that a hostile server shows.
        let file = File::from(self.open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(Errno::ACCESS.into());
        }
        let len = meta.len();
        let size = i64::try_from(len).unwrap_or(i64::MAX);
        let stamp = stamp(size, (meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
        let mut sample = Sample { len, chunks: Vec::new() };
        for (offset, len) in places(len) {
            let mut bytes = vec![0; usize::try_from(len.min(3 * PIECE)).unwrap_or(0)];
            let mut filled = 0;
            while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
                match file.read_at(room, offset + filled as u64)? {
                    0 => break,
                    more => filled += more,
                }
            }
            bytes.truncate(filled);
            if !bytes.is_empty() {
                sample.chunks.push(Chunk { offset, bytes });
            }
        }
        Ok((sample, stamp))
    }

    fn write(&self, folders: &[String], path: &str, content: &[u8]) -> io::Result<()> {
        for folder in folders {
            let (parent, name) = split(folder);
            let parent = self.open(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
            match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (parent, name) = split(path);
        let parent = self.open(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        File::from(openat(parent, name, flags, Mode::from_raw_mode(0o644))?).write_all(content)
    }

    fn remove(&self, path: &str, flags: AtFlags) -> io::Result<()> {
        let (parent, name) = split(path);
        let parent = self.open(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        Ok(rustix::fs::unlinkat(parent, name, flags)?)
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn stamp(size: i64, modified: (i64, impl TryInto<u64>), changed: (i64, impl TryInto<u64>)) -> Stamp {
    let ticks = |(seconds, nanoseconds): (i64, u64)| {
        seconds.cast_unsigned().wrapping_mul(10_000_000).wrapping_add(nanoseconds / 100)
    };
    Stamp {
        size: size.unsigned_abs(),
        modified: ticks((modified.0, modified.1.try_into().unwrap_or(0))),
        changed: ticks((changed.0, changed.1.try_into().unwrap_or(0))),
    }
}

impl Source {
    /// From the mount table, proc_pid_mountinfo(5): the last mount at or above `dir`. Both cifs and NFS write `addr=` into their options,
    /// cifs names `//server/share`, NFS `server:/export`.
    pub(super) fn of(dir: &Path, table: &str) -> Self {
        let mut best: Option<(usize, Source)> = None;
        for line in table.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let Some(at) = before.split(' ').nth(4) else { continue };
            let at = at.replace("\\040", " ");
            if !dir.starts_with(&at) || best.as_ref().is_some_and(|(len, _)| *len > at.len()) {
                continue;
            }
            best = Some((at.len(), Self::of_mount(after)));
        }
        best.map(|(_, source)| source).unwrap_or_default()
    }

    fn of_mount(text: &str) -> Self {
        let mut fields = text.split(' ');
        let (Some(kind), Some(what), options) =
            (fields.next(), fields.next(), fields.next().unwrap_or_default())
        else {
            return Self::default();
        };
        let server = match kind {
            "cifs" | "smb3" => what.trim_start_matches('/').split('/').next(),
            "nfs" | "nfs4" => what.split(":/").next().map(|host| host.trim_matches(['[', ']'])),
            _ => return Self::default(),
        };
        let address = options.split(',').find_map(|option| option.strip_prefix("addr="));
        Self {
            server: server.filter(|server| !server.is_empty()).map(str::to_lowercase),
            address: address
                .and_then(|text| text.parse::<IpAddr>().ok())
                .map(|address| address.to_canonical()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_mount_table_tells_the_server_and_its_address() {
        let table = "22 1 0:21 / / rw - ext4 /dev/vda rw\n\
             30 22 0:40 / /mnt/emr rw,relatime shared:1 - cifs //EMR01/ssmix rw,vers=3.1.1,addr=192.0.2.10,soft\n\
             31 22 0:41 / /mnt/my\\040nfs rw - nfs4 emr02:/srv rw,vers=4.2,addr=2001:db8::7,clientaddr=192.0.2.1\n";
        for (dir, server, address) in [
            ("/mnt/emr/storage", Some("emr01"), Some("192.0.2.10")),
            ("/mnt/my nfs", Some("emr02"), Some("2001:db8::7")),
            ("/mnt/emr2", None, None),
        ] {
            let found = Source::of(Path::new(dir), table);
            let address = address.map(|text| text.parse().unwrap());
            assert_eq!((found.server.as_deref(), found.address), (server, address), "{dir}");
        }
    }

    #[test]
    fn links_are_not_followed_and_another_file_system_is_no_part_of_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/record"), vec![b'x'; 20_000]).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("out")).unwrap();
        let view = Mounted::open(dir.path(), None).unwrap();
        let soon = Instant::now() + Duration::from_secs(5);
        let mut seen = Vec::new();
        let mut take = |listed: Listed| {
            let entries = listed.entries.unwrap();
            seen.extend(entries.iter().map(|entry| (entry.name.clone(), listed.left_out)));
            let folders = entries.into_iter().filter(|entry| entry.is_folder);
            folders.map(|entry| super::super::canary::join(&listed.path, &entry.name)).collect()
        };
        assert!(view.list(vec![String::new()], 100, &mut take, soon).is_empty());
        assert_eq!(seen, [("a".to_owned(), 1), ("record".to_owned(), 0)]);
        let paths = ["a/record", "out", "../x", "a/none"].map(str::to_owned);
        let read = view.samples(paths.into_iter().enumerate().collect(), soon);
        let kinds: Vec<_> = read
            .into_iter()
            .map(|(_, read)| read.map(|(sample, _)| (sample.len, sample.chunks.len())))
            .collect();
        assert_eq!(
            kinds,
            [Ok((20_000, 3)), Err(Trouble::Refused), Err(Trouble::Refused), Err(Trouble::Gone)]
        );
    }
}
