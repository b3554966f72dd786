//! Putting back what an attacker touched: content, name, owner, mode and times, each verified by reading it again.
//!
//! Everything happens relative to a descriptor of the tree and beneath it, so that a symbolic link laid in the way leads nowhere.
//! What stands where an original belongs goes into the evidence folder, and nothing is removed or written over before its copy there
//! is complete: that is also what an undo brings back.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps, Uid, fchmod, fchown, fstat,
    futimens, ioctl_ficlone, mkdirat, openat, openat2, renameat_with, unlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::evidence::sha256_of as hash;

/// Attributes that a file had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Access time: seconds and nanoseconds.
    pub atime: (i64, i64),
    /// Modification time: seconds and nanoseconds.
    pub mtime: (i64, i64),
}

impl Attributes {
    /// Of an open file.
    pub fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self {
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            atime: (meta.atime(), meta.atime_nsec()),
            mtime: (meta.mtime(), meta.mtime_nsec()),
        })
    }
}

/// A file that has to be put back; paths are relative to the tree.
#[derive(Debug, Clone, Copy)]
pub struct Damaged<'a> {
    /// The path it had.
    pub before: &'a Path,
    /// The path that its inode has now; `None` when it has none in the tree.
    pub now: Option<&'a Path>,
    /// Its inode.
    pub inode: &'a File,
    /// The attributes it had.
    pub attributes: Attributes,
}

/// How a file was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutBack {
    /// SHA-256 of the content that was put back and read again.
    pub sha256: String,
    /// The content had not been changed; only the name was.
    pub content_was_whole: bool,
    /// What had been written over it, where there was room to keep that.
    pub taken: Option<Taken>,
}

/// A content that made way, with the attributes that its file had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Its name in the folder aside.
    pub name: PathBuf,
    /// SHA-256 of the content.
    pub sha256: String,
    /// The attributes.
    pub attributes: Attributes,
}

/// The folder for what has to make way.
#[derive(Debug)]
pub struct Aside {
    dir: PathBuf,
    /// Bytes that may still be copied of what is written over. Reflinks need none, and what is removed is copied whatever it takes.
    room: Cell<u64>,
    /// What made way already, by device and inode.
    taken: RefCell<BTreeMap<(u64, u64), Taken>>,
}

impl Aside {
    /// An existing folder outside the tree, with so many bytes for copies of what is written over.
    pub fn new(dir: &Path, room: u64) -> Self {
        Self { dir: dir.to_owned(), room: Cell::new(room), taken: RefCell::default() }
    }

    /// What made way with this inode.
    pub fn taken(&self, inode: (u64, u64)) -> Option<Taken> {
        self.taken.borrow().get(&inode).cloned()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Copies what `file` holds, whose name was `name`; `None` when there is no room.
    fn keep(&self, file: &mut File, name: &OsStr, limit: u64) -> io::Result<Option<Taken>> {
        let attributes = Attributes::of(file)?;
        let (mut to, name) = self.fresh(name)?;
        file.rewind()?;
        if ioctl_ficlone(&to, &*file).is_err() {
            if file.metadata()?.len() > limit {
                std::fs::remove_file(self.dir.join(&name))?;
                return Ok(None);
            }
            let copied = io::copy(file, &mut to)?;
            self.room.set(self.room.get().saturating_sub(copied));
        }
        to.sync_all()?;
        file.rewind()?;
        to.rewind()?;
        let sha256 = hash(&mut to)?;
        Ok((hash(file)? == sha256).then_some(Taken { name, sha256, attributes }))
    }

    fn fresh(&self, name: &OsStr) -> io::Result<(File, PathBuf)> {
        for number in 0..100_000 {
            let mut numbered = name.to_owned();
            numbered.push(format!(".{number}"));
            let path = self.dir.join(&numbered);
            let mut options = File::options();
            options.read(true).write(true).create_new(true);
            match options.mode(0o600).open(&path) {
                Ok(file) => return Ok((file, numbered.into())),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// A tree in which things are put back, and the folder for what has to make way.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The tree.
    pub tree: BorrowedFd<'a>,
    /// Where what makes way goes.
    pub aside: &'a Aside,
}

impl Bench<'_> {
    /// Puts one file back. `original` gives a fresh reader over the content that the file had; `may_make_way` says of an inode
    /// (device and number) whether it is the attacker's and may be moved away.
    pub fn put_back<R: Read>(
        &self,
        file: &Damaged<'_>,
        original: impl Fn() -> R,
        may_make_way: impl Fn((u64, u64)) -> bool,
    ) -> Result<PutBack, Error> {
        let step = |step: &'static str| move |source: Errno| Error::PutBack { step, source: source.into() };
        let expected = hash(&mut original()).map_err(io_step("read the pre-image"))?;
        self.make_parents(file.before)?;
        let (home, name) = self.parent(file.before).map_err(step("open its folder"))?;
        let in_place = file.now.and_then(|now| self.same_inode(now, file.inode).map(|open| (now, open)));
        let content_was_whole;
        let mut taken = None;
        if let Some((now, mut present)) = in_place {
            content_was_whole = hash(&mut present).map_err(io_step("read what is there"))? == expected;
            if !content_was_whole {
                let attacked = now.file_name().unwrap_or(name);
                // Without room the records come first: they are put back all the same.
                taken = self.aside.keep(&mut present, attacked, self.aside.room.get()).ok().flatten();
                rewrite(&present, &mut original()).map_err(io_step("write over what is there"))?;
            }
            attributes(&present, &file.attributes).map_err(step("set owner, mode and times"))?;
            verify(present, &expected)?;
            if now != file.before {
                let (place, present_name) = self.parent(now).map_err(step("open the folder it is in"))?;
                self.rename(&place, present_name, &home, name, file.before, may_make_way)?;
            }
        } else {
            content_was_whole = false;
            let temporary =
                format!(".chartward-{}-{}", std::process::id(), expected.get(..16).unwrap_or_default());
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let fresh: File = openat(&home, &temporary, flags, Mode::RUSR | Mode::WUSR)
                .map_err(step("make the file anew"))?
                .into();
            let written = rewrite(&fresh, &mut original())
                .map_err(io_step("write it anew"))
                .and_then(|()| {
                    attributes(&fresh, &file.attributes).map_err(step("set owner, mode and times"))
                })
                .and_then(|()| verify(fresh, &expected))
                .and_then(|()| {
                    self.rename(&home, OsStr::new(&temporary), &home, name, file.before, may_make_way)
                });
            if let Err(error) = written {
                // Our own unfinished copy, not the hospital's file.
                let _ = unlinkat(&home, &temporary, AtFlags::empty());
                return Err(error);
            }
        }
        Ok(PutBack { sha256: expected, content_was_whole, taken })
    }

    /// Moves the file at `path` into the folder aside, if it is `inode`. What made way already is not looked for again.
    pub fn move_aside(&self, path: &Path, inode: &File) -> Result<Taken, Error> {
        let step = |step: &'static str| move |source: Errno| Error::PutBack { step, source: source.into() };
        let meta = inode.metadata().map_err(io_step("look at what makes way"))?;
        let key = (meta.dev(), meta.ino());
        if let Some(taken) = self.aside.taken(key) {
            return Ok(taken);
        }
        let mut from = self.same_inode(path, inode).ok_or(Error::Differs)?;
        let (place, name) = self.parent(path).map_err(step("open the folder it is in"))?;
        let kept = self.aside.keep(&mut from, name, u64::MAX).map_err(io_step("copy into the evidence"))?;
        let taken = kept.ok_or(Error::Differs)?;
        unlinkat(&place, name, AtFlags::empty()).map_err(step("clear the way"))?;
        self.aside.taken.borrow_mut().insert(key, taken.clone());
        Ok(taken)
    }

    /// Gives the folder at `now` the name `before` again, when that name is free.
    pub fn rename_folder(&self, now: &Path, before: &Path) -> Result<(), Error> {
        let step = |step: &'static str| move |source: Errno| Error::PutBack { step, source: source.into() };
        self.make_parents(before)?;
        let (place, name) = self.parent(now).map_err(step("open the folder it is in"))?;
        let (home, old) = self.parent(before).map_err(step("open its folder"))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&place, name, flags, Mode::empty()).map_err(step("open the renamed folder"))?;
        renameat_with(&place, name, &home, old, RenameFlags::NOREPLACE)
            .map_err(step("give a folder its name back"))
    }

    /// Makes a file at `path`, which is free, or writes over the one there, with the content and the attributes given.
    pub(crate) fn place(
        &self,
        path: &Path,
        content: &mut (impl Read + Seek),
        wanted: &Attributes,
        expected: &str,
    ) -> Result<(), Error> {
        let step = |step: &'static str| move |source: Errno| Error::PutBack { step, source: source.into() };
        self.make_parents(path)?;
        let (home, name) = self.parent(path).map_err(step("open its folder"))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file: File =
            openat(&home, name, flags, Mode::RUSR | Mode::WUSR).map_err(step("make the file anew"))?.into();
        content.rewind().map_err(io_step("read what is to stand there"))?;
        rewrite(&file, content).map_err(io_step("write it"))?;
        attributes(&file, wanted).map_err(step("set owner, mode and times"))?;
        verify(file, expected)
    }

    /// What stands at `path`: an open file with the SHA-256 of its content, or nothing.
    pub(crate) fn look(&self, path: &Path) -> Result<Option<(File, String)>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file: File = match openat2(self.tree, path, flags, Mode::empty(), ResolveFlags::BENEATH) {
            Ok(file) => file.into(),
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(source) => return Err(Error::PutBack { step: "open it", source: source.into() }),
        };
        let sha256 = hash(&mut file).map_err(io_step("read it"))?;
        Ok(Some((file, sha256)))
    }

    /// Copies what stands at `path` aside, and leaves it.
    pub(crate) fn copy_aside(&self, path: &Path, file: &mut File) -> Result<Taken, Error> {
        let name = path.file_name().unwrap_or(OsStr::new("file"));
        let kept = self.aside.keep(file, name, u64::MAX).map_err(io_step("copy into the evidence"))?;
        kept.ok_or(Error::Differs)
    }

    /// Renames without ever replacing; what is in the way is moved aside when it may be.
    fn rename(
        &self,
        from: &OwnedFd,
        from_name: &OsStr,
        to: &OwnedFd,
        to_name: &OsStr,
        to_path: &Path,
        may_make_way: impl Fn((u64, u64)) -> bool,
    ) -> Result<(), Error> {
        let rename = || renameat_with(from, from_name, to, to_name, RenameFlags::NOREPLACE);
        let failed = |source: Errno| Error::PutBack { step: "give it its name back", source: source.into() };
        match rename() {
            Err(Errno::EXIST) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let occupant: File = openat(to, to_name, flags, Mode::empty()).map_err(failed)?.into();
                let meta = occupant.metadata().map_err(io_step("look at what is in the way"))?;
                if !may_make_way((meta.dev(), meta.ino())) {
                    return Err(failed(Errno::EXIST));
                }
                self.move_aside(to_path, &occupant)?;
                rename().map_err(failed)
            }
            other => other.map_err(failed),
        }
    }

    /// The file at `path`, opened for writing, if it is still `inode`.
    fn same_inode(&self, path: &Path, inode: &File) -> Option<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: File = openat2(self.tree, path, flags, Mode::empty(), ResolveFlags::BENEATH).ok()?.into();
        let (there, meant) = (file.metadata().ok()?, inode.metadata().ok()?);
        (there.is_file() && (there.dev(), there.ino()) == (meant.dev(), meant.ino())).then_some(file)
    }

    fn parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr), Errno> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok((openat2(self.tree, parent, flags, Mode::empty(), ResolveFlags::BENEATH)?, name))
    }

    /// Folders that the attacker removed on the way.
    fn make_parents(&self, path: &Path) -> Result<(), Error> {
        if self.parent(path).is_ok() {
            return Ok(());
        }
        let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
            return Ok(());
        };
        self.make_parents(parent)?;
        let (home, name) =
            self.parent(parent).map_err(|e| Error::PutBack { step: "open its folder", source: e.into() })?;
        match mkdirat(home.as_fd(), name, Mode::RWXU) {
            Ok(()) => like_above(&home, name)
                .map_err(|e| Error::PutBack { step: "give its folder an owner", source: e.into() }),
            Err(Errno::EXIST) => Ok(()),
            Err(source) => Err(Error::PutBack { step: "make its folder", source: source.into() }),
        }
    }
}

/// A folder that is made anew belongs to whom the one above it belongs: what is put back there must be of use to them.
fn like_above(above: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    let meta = fstat(above)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(above, name, flags, Mode::empty())?;
    match fchown(&made, Some(Uid::from_raw(meta.st_uid)), Some(Gid::from_raw(meta.st_gid))) {
        // An ordinary user keeps what it makes.
        Err(Errno::PERM) | Ok(()) => {}
        Err(error) => return Err(error),
    }
    fchmod(&made, Mode::from_raw_mode(meta.st_mode & 0o2777))
}

fn io_step(step: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::PutBack { step, source }
}

fn rewrite(mut file: &File, original: &mut impl Read) -> io::Result<()> {
    file.rewind()?;
    let len = io::copy(original, &mut file)?;
    file.set_len(len)?;
    file.flush()?;
    file.sync_all()
}

/// Owner first: changing it clears set-id bits. Times last: everything else moves them.
fn attributes(file: &File, wanted: &Attributes) -> Result<(), Errno> {
    let owner = (Uid::from_raw(wanted.owner.0), Gid::from_raw(wanted.owner.1));
    match fchown(file, Some(owner.0), Some(owner.1)) {
        // An ordinary user may not give files away; the file is its own then anyway.
        Ok(()) | Err(Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    fchmod(file, Mode::from_bits_truncate(wanted.mode & 0o7777))?;
    let time = |(seconds, nanoseconds): (i64, i64)| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    futimens(file, &Timestamps { last_access: time(wanted.atime), last_modification: time(wanted.mtime) })
}

fn verify(mut file: File, expected: &str) -> Result<(), Error> {
    file.rewind().map_err(io_step("read it again"))?;
    let found = hash(&mut file).map_err(io_step("read it again"))?;
    if found == expected { Ok(()) } else { Err(Error::Differs) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Case {
        dir: tempfile::TempDir,
        tree: File,
        aside: PathBuf,
    }

    fn case() -> Case {
        let dir = tempfile::tempdir().unwrap();
        for name in ["tree/a", "aside"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let tree = File::open(dir.path().join("tree")).unwrap();
        let aside = dir.path().join("aside");
        Case { dir, tree, aside }
    }

    impl Case {
        fn path(&self, relative: &str) -> PathBuf {
            self.dir.path().join("tree").join(relative)
        }

        fn put_back(&self, inode: &File, now: Option<&str>) -> Result<PutBack, Error> {
            let aside = Aside::new(&self.aside, 1 << 20);
            let bench = Bench { tree: self.tree.as_fd(), aside: &aside };
            let attributes =
                Attributes { mode: 0o640, owner: (0, 0), atime: (5, 0), mtime: (1_500_000_000, 7) };
            let meta = inode.metadata().unwrap();
            let owner = (meta.uid(), meta.gid());
            let damaged = Damaged {
                before: Path::new("a/record"),
                now: now.map(Path::new),
                inode,
                attributes: Attributes { owner, ..attributes },
            };
            bench.put_back(&damaged, || &b"the original"[..], |_| true)
        }

        fn check_record(&self) {
            let meta = fs::metadata(self.path("a/record")).unwrap();
            assert_eq!(fs::read(self.path("a/record")).unwrap(), b"the original");
            assert_eq!((meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()), (0o640, 1_500_000_000, 7));
        }
    }

    #[test]
    fn an_overwritten_and_renamed_file_gets_content_name_mode_and_time_back_in_its_own_inode() {
        let case = case();
        fs::write(case.path("a/record.KRAB"), b"noise that is longer than the original").unwrap();
        let inode = File::open(case.path("a/record.KRAB")).unwrap();
        let put = case.put_back(&inode, Some("a/record.KRAB")).unwrap();
        assert!(!put.content_was_whole);
        let taken = put.taken.unwrap();
        assert_eq!(fs::read(case.aside.join(taken.name)).unwrap(), b"noise that is longer than the original");
        case.check_record();
        assert_eq!(fs::metadata(case.path("a/record")).unwrap().ino(), inode.metadata().unwrap().ino());
        assert!(!case.path("a/record.KRAB").exists());
    }

    #[test]
    fn a_removed_file_is_made_anew_and_what_took_its_place_goes_to_the_evidence() {
        let case = case();
        fs::write(case.path("a/record"), b"removed").unwrap();
        let inode = File::open(case.path("a/record")).unwrap();
        fs::remove_file(case.path("a/record")).unwrap();
        fs::write(case.path("a/record"), b"noise").unwrap();
        case.put_back(&inode, None).unwrap();
        case.check_record();
        assert_eq!(fs::read(case.aside.join("record.0")).unwrap(), b"noise");
        assert_eq!(fs::read_dir(case.path("a")).unwrap().count(), 1);
    }

    #[test]
    fn a_removed_folder_comes_back_and_a_link_laid_in_the_way_leads_nowhere() {
        let case = case();
        fs::write(case.path("a/record"), b"removed").unwrap();
        let inode = File::open(case.path("a/record")).unwrap();
        fs::remove_dir_all(case.path("a")).unwrap();
        let outside = case.dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, case.path("a")).unwrap();
        assert!(case.put_back(&inode, None).is_err());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        fs::remove_file(case.path("a")).unwrap();
        case.put_back(&inode, None).unwrap();
        case.check_record();
    }

    #[test]
    fn a_renamed_folder_gets_its_name_back_unless_something_has_it() {
        let case = case();
        fs::write(case.path("a/record"), b"content").unwrap();
        fs::rename(case.path("a"), case.path("b")).unwrap();
        let aside = Aside::new(&case.aside, 0);
        let bench = Bench { tree: case.tree.as_fd(), aside: &aside };
        bench.rename_folder(Path::new("b"), Path::new("gone/a")).unwrap();
        assert_eq!(fs::read(case.path("gone/a/record")).unwrap(), b"content");
        fs::create_dir(case.path("b")).unwrap();
        assert!(bench.rename_folder(Path::new("gone/a"), Path::new("b")).is_err());
        assert!(bench.rename_folder(Path::new("gone/a/record"), Path::new("c")).is_err());
    }

    #[test]
    fn a_file_that_is_not_the_attackers_does_not_make_way() {
        let case = case();
        fs::write(case.path("a/record"), b"removed").unwrap();
        let inode = File::open(case.path("a/record")).unwrap();
        fs::remove_file(case.path("a/record")).unwrap();
        fs::write(case.path("a/record"), b"written by the hospital since").unwrap();
        let aside = Aside::new(&case.aside, 0);
        let bench = Bench { tree: case.tree.as_fd(), aside: &aside };
        let attributes = Attributes { mode: 0o600, owner: (0, 0), atime: (0, 0), mtime: (0, 0) };
        let damaged = Damaged { before: Path::new("a/record"), now: None, inode: &inode, attributes };
        assert!(bench.put_back(&damaged, || &b"old"[..], |_| false).is_err());
        assert_eq!(fs::read(case.path("a/record")).unwrap(), b"written by the hospital since");
        assert_eq!(fs::read_dir(case.path("a")).unwrap().count(), 1);
    }
}
