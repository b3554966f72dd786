//! Files below one folder of the host. Nothing outside can be reached: folders are opened beneath it, links are never followed,
//! and names were parsed before.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, IFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::name::{FileName, Kind};
use crate::vault::{Id, open_at};

/// A folder with a repository's layout.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Opens it, and makes it and its layout first where it is missing.
    pub(super) fn make(path: &Path) -> io::Result<Folder> {
        match std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let folder = Folder(open_at::named_dir(path)?);
        for kind in Kind::FOLDERS {
            folder.subfolder(kind.folder())?;
        }
        for prefix in 0..=255u8 {
            folder.subfolder(&format!("data/{}", hex::encode([prefix])))?;
        }
        sync(&open_at::dir(folder.0.as_fd(), Path::new("data"))?)?;
        sync(&folder.0)?;
        Ok(folder)
    }

    fn subfolder(&self, name: &str) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.0, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn dir_of(&self, name: &FileName) -> io::Result<(OwnedFd, String)> {
        let (folder, file) = name.place();
        Ok((open_at::dir(self.0.as_fd(), Path::new(if folder == "." { "" } else { &folder }))?, file))
    }

    /// A regular file and its length.
    pub(super) fn open(&self, name: &FileName) -> io::Result<(File, u64)> {
        let (dir, file) = self.dir_of(name)?;
        let file = File::from(open_at::file(dir.as_fd(), file.as_bytes())?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok((file, meta.len()))
    }

    pub(super) fn has(&self, name: &FileName) -> io::Result<bool> {
        match self.open(name) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Names and lengths of all files of a kind, ordered.
    pub(super) fn list(&self, kind: Kind) -> io::Result<Vec<(FileName, u64)>> {
        let mut found = Vec::new();
        if kind == Kind::Data {
            for prefix in 0..=255u8 {
                self.list_one(kind, &format!("data/{}", hex::encode([prefix])), &mut found)?;
            }
        } else {
            self.list_one(kind, kind.folder(), &mut found)?;
        }
        found.sort_unstable();
        Ok(found)
    }

    fn list_one(&self, kind: Kind, folder: &str, found: &mut Vec<(FileName, u64)>) -> io::Result<()> {
        let dir = open_at::dir(self.0.as_fd(), Path::new(folder))?;
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().ok().and_then(|text| FileName::parse(kind, text))
            else {
                continue;
            };
            // What vanished meanwhile is not there any more.
            let Ok(stat) = rustix::fs::statat(&dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                found.push((name, stat.st_size.cast_unsigned()));
            }
        }
        Ok(())
    }

    /// Puts a file that is whole and durable under its name; `false` if the name is taken.
    pub(super) fn admit(&self, from: &OwnedFd, temporary: &str, name: &FileName) -> io::Result<bool> {
        let (dir, file) = self.dir_of(name)?;
        match rustix::fs::renameat_with(from, temporary, &dir, &file, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(false),
            // A second name can only be made where none is: file systems without the flag have that.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                match rustix::fs::linkat(from, temporary, &dir, &file, AtFlags::empty()) {
                    Ok(()) => rustix::fs::unlinkat(from, temporary, AtFlags::empty())?,
                    Err(Errno::EXIST) => return Ok(false),
                    Err(e) => return Err(e.into()),
                }
            }
            Err(e) => return Err(e.into()),
        }
        sync(&dir)?;
        Ok(true)
    }

    /// Moves a file of this folder to the same place in another.
    pub(super) fn hand_over(&self, to: &Folder, name: &FileName) -> io::Result<bool> {
        let (dir, file) = self.dir_of(name)?;
        let moved = to.admit(&dir, &file, name)?;
        sync(&dir)?;
        Ok(moved)
    }

    pub(super) fn remove(&self, name: &FileName) -> io::Result<()> {
        let (dir, file) = self.dir_of(name)?;
        rustix::fs::unlinkat(&dir, &file, AtFlags::empty())?;
        sync(&dir)
    }

    /// Lets nobody change, rename or remove a file, root included, until [`Folder::thaw`].
    pub(super) fn freeze(&self, name: &FileName) -> io::Result<()> {
        self.set_immutable(name, true)
    }

    pub(super) fn thaw(&self, name: &FileName) -> io::Result<()> {
        match self.set_immutable(name, false) {
            // File systems without the flag never had it set.
            Err(e)
                if matches!(Errno::from_io_error(&e), Some(Errno::NOTTY | Errno::NOTSUP | Errno::INVAL)) =>
            {
                Ok(())
            }
            result => result,
        }
    }

    fn set_immutable(&self, name: &FileName, wanted: bool) -> io::Result<()> {
        let (file, _) = self.open(name)?;
        set_immutable(&file, wanted)
    }
}

/// Sets or takes away the flag that `chattr +i` sets.
pub(super) fn set_immutable(file: &File, wanted: bool) -> io::Result<()> {
    let mut flags = rustix::fs::ioctl_getflags(file)?;
    if flags.contains(IFlags::IMMUTABLE) != wanted {
        flags.set(IFlags::IMMUTABLE, wanted);
        rustix::fs::ioctl_setflags(file, flags)?;
    }
    Ok(())
}

/// Makes a folder's names durable.
pub(super) fn sync(dir: &OwnedFd) -> io::Result<()> {
    Ok(rustix::fs::fsync(dir)?)
}

/// A new file under a temporary name, for writing.
pub(super) fn create(dir: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(dir, name, flags, Mode::RUSR)?))
}

/// The files of a folder whose names mean nothing any more are removed: uploads that were cut off.
pub(super) fn clear(dir: &OwnedFd) -> io::Result<()> {
    let names: Vec<_> = Dir::read_from(dir)?.flatten().map(|entry| entry.file_name().to_owned()).collect();
    for name in names {
        if !matches!(name.to_bytes(), b"." | b"..") {
            rustix::fs::unlinkat(dir, name.as_c_str(), AtFlags::empty())?;
        }
    }
    Ok(())
}

/// What a new name in a repository is made from, so that nobody can guess or collide with it.
pub(super) fn temporary_name(noise: [u8; 16]) -> String {
    Id::of(&noise).short() + &hex::encode(&noise[..8])
}
