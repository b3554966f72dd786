//! The folder that holds a repository, or the server. In a folder, files come into being whole: a temporary file is written, flushed and
//! renamed to a name that must not exist yet. Nothing is ever overwritten. Only locks, and what a forget or a prune was asked to remove,
//! is removed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::crypto::random;
use super::disk::{Disk, LocalDisk};
use super::file_kind::{FileKind, MAX_FILE};
use super::id::Id;
use super::pack_file::PackFile;
use super::rest::{Rest, VaultAt};
use crate::Error;

/// Largest pack that is read at once; restic writes at most 128 MiB.
pub(crate) const MAX_PACK: u64 = 256 << 20;

const LAYOUT: [&str; 5] = ["keys", "locks", "index", "snapshots", "data"];

#[derive(Debug)]
pub(crate) struct Backend {
    /// The folder, or the server's address.
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    rest: Option<Arc<Rest>>,
}

impl Backend {
    pub(crate) fn new(at: &VaultAt) -> Result<Backend, Error> {
        Ok(match at {
            VaultAt::Folder(dir) => Backend::on(dir, Arc::new(LocalDisk)),
            VaultAt::Rest(access) => Backend {
                dir: PathBuf::from(format!("rest:{}", access.url())),
                disk: Arc::new(LocalDisk),
                rest: Some(Arc::new(Rest::new(access)?)),
            },
        })
    }

    pub(crate) fn on(dir: &Path, disk: Arc<dyn Disk>) -> Backend {
        Backend { dir: dir.to_owned(), disk, rest: None }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The server, where it is one.
    pub(crate) fn rest(&self) -> Option<&Rest> {
        self.rest.as_deref()
    }

    /// Makes the folders of a new repository in a folder that is missing or empty, or in which another init was killed.
    pub(crate) fn create_layout(&self) -> Result<(), Error> {
        if let Some(rest) = &self.rest {
            return rest.create();
        }
        self.make_durable_dir(&self.dir)?;
        self.clear_unfinished()?;
        for folder in LAYOUT {
            self.make_dir(&self.dir.join(folder))?;
        }
        for prefix in 0..=255u8 {
            self.make_dir(&self.dir.join("data").join(hex::encode([prefix])))?;
        }
        self.sync_dir(&self.dir.join("data"))?;
        self.sync_dir(&self.dir)?;
        // Where the folder was there, whoever made it may not have flushed its name, and may not let us.
        match self.sync_dir(parent(&self.dir)) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            result => result,
        }
    }

    fn make_dir(&self, dir: &Path) -> Result<(), Error> {
        self.disk.make_dir(dir).map_err(|e| self.failed("create", dir, e))
    }

    /// Makes a folder and those above it that are missing, each with a name that a power loss leaves.
    fn make_durable_dir(&self, dir: &Path) -> Result<(), Error> {
        if dir.is_dir() {
            return Ok(());
        }
        self.make_durable_dir(parent(dir))?;
        self.make_dir(dir)?;
        self.sync_dir(parent(dir))
    }

    /// Removes what an init that was killed has left: keys to nothing. Refuses where there is anything else.
    fn clear_unfinished(&self) -> Result<(), Error> {
        let mut leftovers = Vec::new();
        let is_temporary = |name: &str| name.contains("-tmp-");
        for (name, _) in self.names(&self.dir)? {
            let path = self.dir.join(&name);
            match name.as_str() {
                "lost+found" => {}
                "data" if path.is_dir() => {
                    for (prefix, _) in self.names(&path)? {
                        let folder = path.join(prefix);
                        if !folder.is_dir() || !self.names(&folder)?.is_empty() {
                            return Err(Error::NotEmpty { dir: self.dir.clone() });
                        }
                    }
                }
                folder if LAYOUT.contains(&folder) && path.is_dir() => {
                    for (file, _) in self.names(&path)? {
                        let is_key = folder == "keys" && Id::from_hex(&file).is_some();
                        if !is_key && !is_temporary(&file) {
                            return Err(Error::NotEmpty { dir: self.dir.clone() });
                        }
                        leftovers.push(path.join(file));
                    }
                }
                file if file.starts_with("config-tmp-") => leftovers.push(path),
                _ => return Err(Error::NotEmpty { dir: self.dir.clone() }),
            }
        }
        for path in leftovers {
            self.disk.remove(&path).map_err(|e| self.failed("remove", &path, e))?;
        }
        Ok(())
    }

    /// The names in a folder; none that are no UTF-8 are ours.
    fn names(&self, dir: &Path) -> Result<Vec<(String, u64)>, Error> {
        let listed = self.disk.list(dir).map_err(|e| self.failed("list", dir, e))?;
        Ok(listed.into_iter().map(|(name, size)| (name.to_string_lossy().into_owned(), size)).collect())
    }

    /// Whether the folder exists and holds a repository's `config`.
    pub(crate) fn probe(&self) -> Result<(), Error> {
        if let Some(rest) = &self.rest {
            return rest.probe();
        }
        match fs::metadata(&self.dir) {
            Ok(meta) if !meta.is_dir() => return Err(Error::NoRepository { dir: self.dir.clone() }),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::MediumAbsent { dir: self.dir.clone() });
            }
            Err(e) => return Err(self.failed("look at", &self.dir, e)),
        }
        match fs::metadata(self.config_path()) {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let dir = self.dir.clone();
                // A medium that was wiped and one that lost a file call for opposite next steps.
                let rest = [FileKind::Key, FileKind::Pack].map(|kind| self.dir.join(kind.folder()));
                let has_rest = rest.iter().any(|folder| folder.is_dir());
                Err(if has_rest { Error::ConfigLost { dir } } else { Error::NoRepository { dir } })
            }
            Err(e) => Err(self.failed("look at", &self.config_path(), e)),
        }
    }

    fn config_path(&self) -> PathBuf {
        self.dir.join("config")
    }

    pub(crate) fn path(&self, kind: FileKind, id: &Id) -> PathBuf {
        let folder = self.dir.join(kind.folder());
        match kind {
            FileKind::Pack => folder.join(hex::encode(&id.0[..1])).join(id.to_string()),
            _ => folder.join(id.to_string()),
        }
    }

    /// Whether a file is there.
    pub(crate) fn has(&self, kind: FileKind, id: &Id) -> Result<bool, Error> {
        match &self.rest {
            Some(rest) => rest.has(&format!("{}/{id}", kind.folder())),
            None => Ok(self.path(kind, id).exists()),
        }
    }

    pub(crate) fn save_config(&self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(rest) = &self.rest {
            return rest.save("config", bytes);
        }
        self.write_whole(&self.config_path(), bytes)?;
        self.sync_dir(&self.dir)
    }

    /// Writes a file under the name of its content and makes the name durable.
    pub(crate) fn save(&self, kind: FileKind, bytes: &[u8]) -> Result<Id, Error> {
        let id = Id::of(bytes);
        if let Some(rest) = &self.rest {
            return rest.save(&format!("{}/{id}", kind.folder()), bytes).map(|()| id);
        }
        self.make_folder(kind)?;
        self.write_whole(&self.path(kind, &id), bytes)?;
        self.sync_folder(kind)?;
        Ok(id)
    }

    /// Makes one of the folders that are no part of restic's format; the others came with the repository.
    fn make_folder(&self, kind: FileKind) -> Result<(), Error> {
        let folder = self.dir.join(kind.folder());
        if !kind.is_own() || folder.is_dir() {
            return Ok(());
        }
        self.make_durable_dir(&folder)
    }

    /// Makes the names in a kind's folder durable, those that are gone among them.
    pub(crate) fn sync_folder(&self, kind: FileKind) -> Result<(), Error> {
        self.sync_dir(&self.dir.join(kind.folder()))
    }

    /// Removes a file; it is no error if it is gone.
    pub(crate) fn remove(&self, kind: FileKind, id: &Id) -> Result<(), Error> {
        let path = self.path(kind, id);
        match &self.rest {
            Some(rest) if kind == FileKind::Lock => return rest.remove_lock(id),
            Some(_) => return Err(self.failed("remove", &path, only_on_host())),
            None => {}
        }
        match self.disk.remove(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(self.failed("remove", &path, e)),
            _ => Ok(()),
        }
    }

    /// Gives a file of one kind the same name among another kind's, in one step.
    pub(crate) fn move_to(&self, from: FileKind, to: FileKind, id: &Id) -> Result<(), Error> {
        let path = self.path(from, id);
        if self.rest.is_some() {
            return Err(self.failed("move", &path, only_on_host()));
        }
        self.make_folder(to)?;
        self.disk.rename_new(&path, &self.path(to, id)).map_err(|e| self.failed("move", &path, e))?;
        self.sync_folder(to)?;
        self.sync_folder(from)
    }

    /// When a file was written, as the file system has it.
    pub(crate) fn written_at(&self, kind: FileKind, id: &Id) -> Option<Timestamp> {
        if self.rest.is_some() {
            return None;
        }
        let written = fs::metadata(self.path(kind, id)).and_then(|meta| meta.modified()).ok()?;
        Timestamp::try_from(written).ok()
    }

    /// Writes a pack. Its name is durable only after [`Backend::sync_packs`]: one flush of a directory serves many packs.
    pub(crate) fn save_pack(&self, id: &Id, bytes: &[u8]) -> Result<(), Error> {
        if let Some(rest) = &self.rest {
            return rest.save_pack(id, bytes);
        }
        let path = self.path(FileKind::Pack, id);
        match self.write_whole(&path, bytes) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                // The folder went missing: restic makes it again, too.
                let folder = path.parent().unwrap_or(&self.dir);
                self.make_durable_dir(folder)?;
                self.write_whole(&path, bytes)
            }
            result => result,
        }
    }

    pub(crate) fn sync_packs(&self, packs: impl Iterator<Item = Id>) -> Result<(), Error> {
        if self.rest.is_some() {
            // The server answers when a file is durable.
            return Ok(());
        }
        let prefixes: BTreeSet<u8> = packs.map(|id| id.0[0]).collect();
        prefixes
            .into_iter()
            .try_for_each(|prefix| self.sync_dir(&self.dir.join("data").join(hex::encode([prefix]))))
    }

    fn write_whole(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut result = self.write_once(path, bytes);
        // Whoever came when nobody else was here yet may have taken the temporary file for one of a process that died.
        for _ in 0..2 {
            match &result {
                Err(Error::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && parent(path).is_dir() =>
                {
                    result = self.write_once(path, bytes);
                }
                _ => break,
            }
        }
        result
    }

    fn write_once(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut noise = [0; 8];
        random(&mut noise)?;
        let mut name = path.as_os_str().to_owned();
        name.push(format!("-tmp-{}", hex::encode(noise)));
        let temporary = PathBuf::from(name);
        let result = (|| {
            let file = self.disk.create(&temporary)?;
            self.disk.write(&file, &temporary, bytes)?;
            self.disk.flush(&file, &temporary)?;
            drop(file);
            self.disk.rename_new(&temporary, path)
        })();
        result.map_err(|e| {
            let _ = self.disk.remove(&temporary);
            self.failed("write", path, e)
        })
    }

    /// Reads a whole file that is not a pack.
    pub(crate) fn read(&self, kind: FileKind, id: &Id) -> Result<Vec<u8>, Error> {
        if let Some(rest) = &self.rest {
            return rest.read(&format!("{}/{id}", kind.folder()));
        }
        self.read_path(&self.path(kind, id))
    }

    pub(crate) fn read_config(&self) -> Result<Vec<u8>, Error> {
        match &self.rest {
            Some(rest) => rest.read("config"),
            None => self.read_path(&self.config_path()),
        }
    }

    fn read_path(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let bytes = self.disk.read(path, MAX_FILE).map_err(|e| self.failed("read", path, e))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(Error::TooLarge {
                what: path.display().to_string(),
                size: bytes.len() as u64,
                limit: MAX_FILE,
            });
        }
        Ok(bytes)
    }

    pub(crate) fn open_pack(&self, id: &Id) -> Result<PackFile, Error> {
        let path = self.path(FileKind::Pack, id);
        if let Some(rest) = &self.rest {
            return match rest.pack_size(id) {
                Ok(size) => Ok(PackFile::remote(Arc::clone(rest), *id, size, path)),
                Err(Error::Remote { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    Err(Error::Missing { what: "pack", id: id.to_string() })
                }
                Err(error) => Err(error),
            };
        }
        match self.disk.open(&path) {
            Ok((file, size)) => Ok(PackFile::local(Arc::clone(&self.disk), file, size, path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(Error::Missing { what: "pack", id: id.to_string() })
            }
            Err(e) => Err(self.failed("open", &path, e)),
        }
    }

    /// All of a pack, if it is what its name says.
    pub(crate) fn read_pack(&self, id: &Id) -> Result<Vec<u8>, Error> {
        let file = self.open_pack(id)?;
        if file.size > MAX_PACK {
            return Err(Error::TooLarge { what: format!("pack {id}"), size: file.size, limit: MAX_PACK });
        }
        let mut content = Vec::new();
        file.read_at(0, file.size as usize, &mut content)?;
        if Id::of(&content) != *id {
            let cause = "its content does not match its name".to_owned();
            return Err(Error::Damaged { what: "pack", id: id.to_string(), cause });
        }
        Ok(content)
    }

    /// Names and sizes of all files of a kind. Names that are no ids are left out: temporary files, mostly.
    pub(crate) fn list(&self, kind: FileKind) -> Result<Vec<(Id, u64)>, Error> {
        if let Some(rest) = &self.rest {
            return if kind.is_own() { Ok(Vec::new()) } else { rest.list(kind) };
        }
        let folder = self.dir.join(kind.folder());
        let mut found = Vec::new();
        if kind == FileKind::Pack {
            for prefix in 0..=255u8 {
                self.list_folder(&folder.join(hex::encode([prefix])), &mut found)?;
            }
        } else {
            self.list_folder(&folder, &mut found)?;
        }
        found.sort_unstable();
        Ok(found)
    }

    fn list_folder(&self, folder: &Path, found: &mut Vec<(Id, u64)>) -> Result<(), Error> {
        let names = match self.disk.list(folder) {
            Ok(names) => names,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(self.failed("list", folder, e)),
        };
        let files = names.into_iter().filter_map(|(name, size)| Some((Id::from_hex(name.to_str()?)?, size)));
        found.extend(files);
        Ok(())
    }

    /// Removes what killed backups left unfinished. Only for the one process that holds a lock.
    pub(crate) fn remove_temporary_files(&self) -> Result<(), Error> {
        if self.rest.is_some() {
            // The server shows none and clears them away itself.
            return Ok(());
        }
        let data = self.dir.join("data");
        let packs = (0..=255u8).map(|prefix| data.join(hex::encode([prefix])));
        let own = [FileKind::ForgetNote, FileKind::Mark, FileKind::Wish].map(FileKind::folder);
        let others = ["index", "snapshots", "keys", "locks"]
            .into_iter()
            .chain(own)
            .map(|folder| self.dir.join(folder));
        for folder in packs.chain(others) {
            let Ok(names) = self.disk.list(&folder) else { continue };
            for (name, _) in names {
                if name.to_str().is_some_and(|name| name.contains("-tmp-")) {
                    let path = folder.join(name);
                    self.disk.remove(&path).map_err(|e| self.failed("remove", &path, e))?;
                }
            }
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), Error> {
        self.disk.flush_dir(dir).map_err(|e| self.failed("flush", dir, e))
    }

    fn failed(&self, op: &'static str, path: &Path, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::VaultFull { dir: self.dir.clone(), source }
            }
            io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly { dir: self.dir.clone(), source },
            _ => Error::Io { op, path: path.to_owned(), source },
        }
    }
}

/// The folder that has a path's name, for a relative path of one name the present one.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// A vault host lets nobody take anything away from afar.
fn only_on_host() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "a client of a vault host removes nothing: do it on the host itself",
    )
}
