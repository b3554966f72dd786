//! The bundle's folder: nothing but ours in it, every file whole or not there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use super::error::Error;
use super::{manifest, page};

pub(super) const MANIFEST: &str = "manifest.js";
const DATA: &str = "data";
/// A suffix of files that are being written at the top.
const NEW: &str = ".new";
/// What operating systems put on a stick by themselves.
const OF_SYSTEMS: &[&str] = &[
    "lost+found",
    "System Volume Information",
    "$RECYCLE.BIN",
    ".Trashes",
    ".Spotlight-V100",
    ".fseventsd",
    ".TemporaryItems",
    "IndexerVolumeGuid",
];
/// A manifest is at most a few MB.
const MANIFEST_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// A part is cut far below.
const PART_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Files of a bundle of ten million patients.
const FILES_MAX: usize = 200_000;

/// What a look into a bundle's folder tells, without any passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Presence {
    /// The folder, or the one that it lies in, is not there: a stick that is not plugged in.
    Absent,
    /// It is there and holds no bundle.
    Empty,
    /// What is there cannot be read, or is no bundle.
    Unreadable {
        /// In words, without the path.
        cause: String,
    },
    /// A bundle, as its header says; whether its parts are whole is seen by those who have the passphrase.
    Bundle {
        /// Its id.
        bundle: String,
        /// When it was written.
        made_at: Timestamp,
    },
}

/// Looks whether there is a bundle.
pub fn look(dir: &Path) -> Presence {
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Presence::Absent,
        Err(error) => return Presence::Unreadable { cause: error.kind().to_string() },
        Ok(_) => {}
    }
    match manifest::header(dir) {
        Ok(Some(header)) => Presence::Bundle { bundle: header.bundle, made_at: header.made_at },
        Ok(None) => Presence::Empty,
        Err(Error::Damaged { cause, .. }) => Presence::Unreadable { cause: cause.to_owned() },
        Err(Error::Io { source, .. }) => Presence::Unreadable { cause: source.kind().to_string() },
        Err(_) => Presence::Unreadable { cause: "it is no bundle".to_owned() },
    }
}

/// The folder of a bundle, held against other exports.
pub(super) struct Folder {
    dir: PathBuf,
    // Unlocked when it is dropped, also by a kill.
    _held: File,
}

impl Folder {
    /// Opens or makes the folder. Its parent must be there: a stick that is not mounted must not fill the disk below.
    pub(super) fn hold(dir: &Path) -> Result<Folder, Error> {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        if !dir.exists() && parent.is_some_and(|parent| !parent.is_dir()) {
            return Err(Error::Absent { dir: parent.unwrap_or(dir).to_path_buf() });
        }
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io_error("make", dir)(error));
            }
            _ => {}
        }
        let held = File::open(dir).map_err(io_error("open", dir))?;
        match flock(&held, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Busy { dir: dir.to_path_buf() }),
            // Some file systems of sticks and shares have no locks; two exports at once still leave one of the two bundles.
            Err(_) => {}
        }
        let folder = Folder { dir: dir.to_path_buf(), _held: held };
        folder.refuse_others()?;
        match fs::create_dir(dir.join(DATA)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(io_error("make", &dir.join(DATA))(error))
            }
            _ => Ok(folder),
        }
    }

    fn refuse_others(&self) -> Result<(), Error> {
        let not_ours = |name: String| Error::NotOurs { dir: self.dir.clone(), name };
        for (name, is_file) in names(&self.dir)? {
            let stem = name.strip_suffix(NEW).unwrap_or(&name);
            let is_ours = stem == MANIFEST || page::FILES.iter().any(|(file, _)| *file == stem);
            let is_systems = OF_SYSTEMS.contains(&name.as_str()) || name.starts_with(".Trash-");
            if !(is_ours && is_file || name == DATA && !is_file || is_systems) {
                return Err(not_ours(name));
            }
        }
        let data = self.dir.join(DATA);
        if data.is_dir() {
            for (name, is_file) in names(&data)? {
                if !is_file || !is_part(&name) {
                    return Err(not_ours(format!("{DATA}/{name}")));
                }
            }
        }
        Ok(())
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a part into a file that is not there yet.
    pub(super) fn write_part(&self, name: &str, file: &str, sealed: &[u8]) -> Result<u64, Error> {
        let text = part_text(name, sealed);
        let path = self.dir.join(file);
        let written = File::create_new(&path).and_then(|mut open| {
            open.write_all(text.as_bytes())?;
            open.sync_all()
        });
        written.map_err(io_error("write", &path))?;
        Ok(text.len() as u64)
    }

    /// Puts a file at the top in the place of the one before, at once. Whether there was anything to do.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> Result<bool, Error> {
        let path = self.dir.join(name);
        if fs::metadata(&path).is_ok_and(|it| it.len() == content.len() as u64)
            && fs::read(&path).is_ok_and(|before| before == content)
        {
            return Ok(false);
        }
        let new = self.dir.join(format!("{name}{NEW}"));
        let written = File::create(&new).and_then(|mut open| {
            open.write_all(content)?;
            open.sync_all()
        });
        written.map_err(io_error("write", &new))?;
        fs::rename(&new, &path).map_err(io_error("replace", &path))?;
        self.settle()?;
        Ok(true)
    }

    /// What was written is found again after a power cut.
    pub(super) fn settle(&self) -> Result<(), Error> {
        for dir in [self.dir.join(DATA), self.dir.clone()] {
            // Folders of some file systems cannot be synchronised; theirs are written with the files.
            if let Ok(open) = File::open(&dir) {
                let _ = open.sync_all();
            }
        }
        Ok(())
    }

    /// Removes parts and half-written files that nothing refers to. How many there were.
    pub(super) fn sweep(&self, kept: &BTreeSet<&str>) -> Result<u64, Error> {
        let mut removed = 0;
        for (name, _) in names(&self.dir.join(DATA))? {
            let file = format!("{DATA}/{name}");
            if is_part(&name) && !kept.contains(file.as_str()) {
                let path = self.dir.join(&file);
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
                removed += 1;
            }
        }
        for (name, is_file) in names(&self.dir)? {
            if is_file && name.ends_with(NEW) {
                let path = self.dir.join(&name);
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
            }
        }
        Ok(removed)
    }
}

/// What a part holds, sealed; `None` when it is not there or is not what was written.
pub(super) fn read_part(dir: &Path, name: &str, file: &str) -> Option<Vec<u8>> {
    let text = read_at_most(&dir.join(file), PART_BYTES_MAX).ok()?;
    let text = std::str::from_utf8(&text).ok()?;
    let (before, after) = part_frame(name);
    STANDARD.decode(text.strip_prefix(&before)?.strip_suffix(after)?).ok()
}

/// A new name for a part. It is drawn, so it tells nothing.
pub(super) fn part_file() -> Result<String, Error> {
    Ok(format!("{DATA}/{}.js", hex::encode(super::seal::random::<16>()?)))
}

fn is_part(name: &str) -> bool {
    let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    name.strip_suffix(".js").is_some_and(|stem| stem.len() == 32 && stem.bytes().all(is_hex))
}

fn part_frame(name: &str) -> (String, &'static str) {
    (format!("chartward.part(\"{name}\",\""), "\");\n")
}

fn part_text(name: &str, sealed: &[u8]) -> String {
    let (mut text, after) = part_frame(name);
    STANDARD.encode_string(sealed, &mut text);
    text.push_str(after);
    text
}

pub(super) fn read_manifest(dir: &Path) -> Result<Option<Vec<u8>>, Error> {
    let path = dir.join(MANIFEST);
    match read_at_most(&path, MANIFEST_BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", &path)(error)),
    }
}

fn read_at_most(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than any of a bundle")),
        false => Ok(bytes),
    }
}

/// Names in a folder, each with whether it is a regular file.
fn names(dir: &Path) -> Result<Vec<(String, bool)>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let entry = entry.map_err(io_error("list", dir))?;
        let is_file = entry.file_type().map_err(io_error("list", dir))?.is_file();
        names.push((entry.file_name().to_string_lossy().into_owned(), is_file));
        if names.len() > FILES_MAX {
            return Err(Error::NotOurs {
                dir: dir.to_path_buf(),
                name: "more files than a bundle has".to_owned(),
            });
        }
    }
    Ok(names)
}

fn io_error(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { op, path, source }
}
