//! What the last backup of the same folders saw, kept outside the vault: for each folder a digest of the names, sizes, times and
//! inodes in it, and the tree that was stored for it. A folder that looks the same is taken over without its tree being fetched,
//! decrypted, parsed, compared and written again.
//!
//! It is disposable. It is used only with the snapshot that it was written for, while every pack that was there then is still there
//! with as many blobs, and only if it is sealed with the vault's key: one that is damaged, forged, of another version or of other
//! folders is ignored and written anew. It says nothing that a backup without it would not find, only sooner; and because times
//! can be forged, [`ParentChoice::ReadEverything`](super::ParentChoice) does without it.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::Stat;
use sha2::{Digest, Sha256};

use super::crypto::random;
use super::id::Id;
use super::meta::{self, Names};
use super::repository::Vault;

/// First bytes of a cache; the version of the program follows, so that another one starts afresh.
const MAGIC: &[u8] = concat!("chartward folder cache 1 ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();
/// Folders that are remembered; 80 bytes each in memory and 64 in the file.
const MAX_FOLDERS: usize = 900_000;
/// Largest file that is read.
const MAX_FILE: u64 = 256 << 20;
/// Files in the folder of caches; the ones used longest ago make room.
const MAX_SOURCES: usize = 64;

/// Half a SHA-256: nobody gains from two folders that look alike but whoever can write both.
pub(crate) type Half = [u8; 16];

/// What is known about a folder that holds files.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) print: Half,
    pub(crate) tree: Id,
}

/// Folders by their paths. Paths themselves name patients and are not kept.
#[derive(Default)]
pub(crate) struct Folders(HashMap<Half, Known>);

fn half(digest: Sha256) -> Half {
    let whole: [u8; 32] = digest.finalize().into();
    std::array::from_fn(|at| whole[at])
}

fn key(path: &Path) -> Half {
    half(Sha256::new().chain_update(path.as_os_str().as_bytes()))
}

impl Folders {
    pub(crate) fn get(&self, path: &Path) -> Option<Known> {
        if self.0.is_empty() { None } else { self.0.get(&key(path)).copied() }
    }

    pub(crate) fn insert(&mut self, path: &Path, known: Known) {
        if self.0.len() < MAX_FOLDERS {
            self.0.insert(key(path), known);
        }
    }
}

/// The digest of a folder's entries.
pub(crate) struct Print<'a> {
    digest: Sha256,
    names: &'a Names,
    owner: Option<(u32, u32)>,
}

impl<'a> Print<'a> {
    pub(crate) fn new(names: &'a Names) -> Print<'a> {
        Print { digest: Sha256::new(), names, owner: None }
    }

    /// Everything that a node says about an entry follows from this: its change time covers attributes and link targets.
    pub(crate) fn add(&mut self, name: &[u8], stat: &Stat) {
        if self.owner.replace((stat.st_uid, stat.st_gid)) != Some((stat.st_uid, stat.st_gid)) {
            // The names of owners are in the nodes, too, and change without the file.
            let node = meta::node(b"", stat, self.names);
            self.digest.update(node.user.as_bytes());
            self.digest.update([0]);
            self.digest.update(node.group.as_bytes());
            self.digest.update([0]);
        }
        let numbers = [
            name.len() as u64,
            stat.st_dev,
            stat.st_ino,
            u64::from(stat.st_mode) << 32 | u64::from(stat.st_uid),
            u64::from(stat.st_gid),
            stat.st_nlink,
            stat.st_rdev,
            stat.st_size as u64,
            stat.st_mtime as u64,
            stat.st_mtime_nsec,
            stat.st_ctime as u64,
            stat.st_ctime_nsec,
        ];
        let mut bytes = [0; 96];
        for (place, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        self.digest.update(bytes);
        self.digest.update(name);
    }

    pub(crate) fn finish(self) -> Half {
        half(self.digest)
    }
}

/// Where a source's cache lies.
pub(crate) struct Place {
    folder: PathBuf,
    file: PathBuf,
}

impl Place {
    /// The place for these folders of this host, of which a vault may hold several.
    pub(crate) fn new(folder: &Path, vault: &Vault, hostname: &str, roots: &[PathBuf]) -> Place {
        let mut digest = Sha256::new();
        let parts = [vault.id().as_bytes(), hostname.as_bytes()];
        for part in parts.into_iter().chain(roots.iter().map(|root| root.as_os_str().as_bytes())) {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let file = folder.join(format!("folders-{}", hex::encode(half(digest))));
        Place { folder: folder.to_owned(), file }
    }

    /// The folders as the backup that sealed `snapshot` left them; none if anything is wrong.
    pub(crate) fn load(&self, vault: &Vault, snapshot: &Id) -> Folders {
        self.read()
            .ok()
            .and_then(|mut sealed| vault.key.open(&mut sealed).and_then(|text| parse(text, vault, snapshot)))
            .unwrap_or_default()
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut sealed = Vec::new();
        let file = fs::File::open(&self.file)?;
        if file.metadata()?.len() > MAX_FILE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        file.take(MAX_FILE).read_to_end(&mut sealed)?;
        Ok(sealed)
    }

    /// Writes the cache in place of the one before. It is not flushed: one that is torn does not open.
    pub(crate) fn save(&self, vault: &Vault, snapshot: &Id, folders: &Folders) -> io::Result<()> {
        let mut sealed = Vec::new();
        let failed = |error: crate::Error| io::Error::other(error.to_string());
        vault.key.seal(&write(vault, snapshot, folders), &mut sealed).map_err(failed)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut noise = [0; 8];
        random(&mut noise).map_err(failed)?;
        let temporary = self.folder.join(format!("tmp-{}", hex::encode(noise)));
        let result = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| file.write_all(&sealed))
            .and_then(|()| fs::rename(&temporary, &self.file));
        if result.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        self.make_room();
        result
    }

    fn make_room(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut found: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter(|entry| {
                entry.file_name().to_str().is_some_and(|n| n.starts_with("folders-") || n.starts_with("tmp-"))
            })
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        found.sort_unstable();
        let surplus = found.len().saturating_sub(MAX_SOURCES);
        for (_, path) in &found[..surplus] {
            let _ = fs::remove_file(path);
        }
    }
}

fn write(vault: &Vault, snapshot: &Id, folders: &Folders) -> Vec<u8> {
    let index = vault.index();
    let packs: Vec<_> = index.packs().iter().filter(|pack| pack.is_whole()).collect();
    let mut out = Vec::with_capacity(MAGIC.len() + 128 + packs.len() * 36 + folders.0.len() * 64);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(Id::of(vault.id().as_bytes()).0.as_slice());
    out.extend_from_slice(&snapshot.0);
    out.extend_from_slice(&(packs.len() as u64).to_le_bytes());
    for pack in packs {
        out.extend_from_slice(&pack.id.0);
        out.extend_from_slice(&pack.blobs.to_le_bytes());
    }
    for (key, known) in &folders.0 {
        out.extend_from_slice(key);
        out.extend_from_slice(&known.print);
        out.extend_from_slice(&known.tree.0);
    }
    out
}

fn parse(text: &[u8], vault: &Vault, snapshot: &Id) -> Option<Folders> {
    let rest = text.strip_prefix(MAGIC)?;
    let (of_vault, rest) = rest.split_first_chunk::<32>()?;
    let (of_snapshot, rest) = rest.split_first_chunk::<32>()?;
    if *of_vault != Id::of(vault.id().as_bytes()).0 || *of_snapshot != snapshot.0 {
        return None;
    }
    let (count, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*count)).ok()?.checked_mul(36)?;
    let (packs, rest) = rest.split_at_checked(length)?;
    let index = vault.index();
    for pack in packs.as_chunks::<36>().0 {
        let (id, blobs) = pack.split_first_chunk::<32>()?;
        let now = index.pack_named(&Id(*id))?;
        // A pack that is gone or shorter may hold what the folders need.
        if !now.is_whole() || now.blobs.to_le_bytes() != *blobs {
            return None;
        }
    }
    let (records, []) = rest.as_chunks::<64>() else { return None };
    let mut folders = HashMap::with_capacity(records.len().min(MAX_FOLDERS));
    for record in records.iter().take(MAX_FOLDERS) {
        let (key, rest) = record.split_first_chunk::<16>()?;
        let (print, rest) = rest.split_first_chunk::<16>()?;
        let tree = Id(*rest.first_chunk::<32>()?);
        folders.insert(*key, Known { print: *print, tree });
    }
    Some(Folders(folders))
}
