//! Putting back what an attacker touched: content, name, owner, mode and times, each verified by reading it again.
//!
//! Everything happens relative to a descriptor of the tree and beneath it, so that a symbolic link laid in the way leads nowhere.
//! What stands where an original belongs is moved into the evidence folder, and nothing is removed before its copy there is
//! complete.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps, Uid, fchmod, fchown,
    futimens, mkdirat, openat, openat2, renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::Error;
use crate::evidence::sha256_of as hash;

/// Attributes that a file had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

/// A tree in which things are put back, and the folder for what has to make way.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The tree.
    pub tree: BorrowedFd<'a>,
    /// An existing folder outside the tree.
    pub aside: &'a Path,
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
        if let Some((now, mut present)) = in_place {
            content_was_whole = hash(&mut present).map_err(io_step("read what is there"))? == expected;
            if !content_was_whole {
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
        Ok(PutBack { sha256: expected, content_was_whole })
    }

    /// Moves the file at `path` into the folder aside, if it is `inode`. Gives the name it has there.
    pub fn move_aside(&self, path: &Path, inode: &File) -> Result<PathBuf, Error> {
        let step = |step: &'static str| move |source: Errno| Error::PutBack { step, source: source.into() };
        let mut from = self.same_inode(path, inode).ok_or(Error::Differs)?;
        let (place, name) = self.parent(path).map_err(step("open the folder it is in"))?;
        let (mut to, target) = self.fresh_aside(name).map_err(io_step("make a file of evidence"))?;
        from.rewind().map_err(io_step("read what makes way"))?;
        let expected = hash(&mut from).map_err(io_step("read what makes way"))?;
        from.rewind().map_err(io_step("read what makes way"))?;
        io::copy(&mut from, &mut to).map_err(io_step("copy into the evidence"))?;
        to.sync_all().map_err(io_step("copy into the evidence"))?;
        verify(to, &expected)?;
        unlinkat(&place, name, AtFlags::empty()).map_err(step("clear the way"))?;
        Ok(target)
    }

    fn fresh_aside(&self, name: &OsStr) -> io::Result<(File, PathBuf)> {
        for number in 0..100_000 {
            let mut numbered = name.to_owned();
            numbered.push(format!(".{number}"));
            let path = self.aside.join(numbered);
            match File::options().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
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
        match mkdirat(home.as_fd(), name, Mode::RWXU | Mode::RGRP | Mode::XGRP) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(source) => Err(Error::PutBack { step: "make its folder", source: source.into() }),
        }
    }
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
            let bench = Bench { tree: self.tree.as_fd(), aside: &self.aside };
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
    fn a_file_that_is_not_the_attackers_does_not_make_way() {
        let case = case();
        fs::write(case.path("a/record"), b"removed").unwrap();
        let inode = File::open(case.path("a/record")).unwrap();
        fs::remove_file(case.path("a/record")).unwrap();
        fs::write(case.path("a/record"), b"written by the hospital since").unwrap();
        let bench = Bench { tree: case.tree.as_fd(), aside: &case.aside };
        let attributes = Attributes { mode: 0o600, owner: (0, 0), atime: (0, 0), mtime: (0, 0) };
        let damaged = Damaged { before: Path::new("a/record"), now: None, inode: &inode, attributes };
        assert!(bench.put_back(&damaged, || &b"old"[..], |_| false).is_err());
        assert_eq!(fs::read(case.path("a/record")).unwrap(), b"written by the hospital since");
        assert_eq!(fs::read_dir(case.path("a")).unwrap().count(), 1);
    }
}
