//! What stands on a medium: who it is, and what was last written to it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::vault::{Vault, folder_on, random_bytes};

const IDENTITY: &str = "chartward-medium.json";
const RECEIPT: &str = "chartward-receipt.json";
/// No such file is larger.
const BYTES_MAX: u64 = 1 << 16;
/// What file systems and their hosts make by themselves: a medium with nothing else is blank.
const OF_THE_SYSTEM: [&str; 5] =
    ["lost+found", "System Volume Information", "$RECYCLE.BIN", ".Trashes", ".fseventsd"];

/// Who a medium is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// 32 random hexadecimal digits.
    pub id: String,
    /// The rotation that it belongs to.
    pub rotation: String,
    /// Its set, as written on its label.
    pub set: String,
    /// When it was prepared.
    pub made_at: Timestamp,
    /// The vault that it holds copies of.
    pub vault_id: String,
}

/// What was last written to a medium and read back from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The medium.
    pub medium: String,
    /// Counts the writes to it: a medium with a lower one than known is a copy, or was set back.
    pub number: u64,
    /// When it was written and read back.
    pub at: Timestamp,
    /// Snapshots of protected data on it.
    pub snapshots: u64,
    /// When the newest of them was captured.
    pub newest: Option<Timestamp>,
    /// When the newest of them that a drill proved was captured.
    pub newest_proven: Option<Timestamp>,
    /// Bytes that were read back.
    pub bytes_read: u64,
    /// Whether all of them came from the medium for certain, past every cache.
    pub read_for_certain: bool,
}

/// A value in the clear, for people, and the same sealed, for us.
#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    #[serde(flatten)]
    clear: T,
    sealed: String,
}

/// What is to be found at a place where media go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// No such folder, or an empty one on which nothing is mounted.
    Absent,
    /// A medium with nothing on it.
    Blank,
    /// Something that was never prepared as a medium of ours.
    Foreign,
    /// It cannot be read.
    Unreadable(String),
    /// A medium that says who it is. Whether it speaks the truth is known once [`Identity`] was compared with its seal.
    Claimed(Identity),
}

/// Looks at a place without a passphrase.
pub fn look(path: &Path) -> Presence {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Presence::Absent,
        Err(error) => return Presence::Unreadable(error.to_string()),
    };
    match read::<Sealed<Identity>>(&path.join(IDENTITY)) {
        Ok(Some(found)) => return Presence::Claimed(found.clear),
        Ok(None) => {}
        Err(error) => return Presence::Unreadable(error.to_string()),
    }
    let of_the_system = |entry: &fs::DirEntry| OF_THE_SYSTEM.iter().any(|name| entry.file_name() == *name);
    let is_empty = !entries.flatten().any(|entry| !of_the_system(&entry));
    match (is_empty, is_mount_point(path)) {
        (true, true) => Presence::Blank,
        (true, false) => Presence::Absent,
        (false, _) => Presence::Foreign,
    }
}

/// Whether something is mounted on a folder.
pub(super) fn is_mount_point(path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else { return false };
    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
    path.parent().is_none_or(|above| device(above) != device(&path))
}

/// Makes a medium of ours out of an empty one. `plain_folder`: it is one on purpose, and nothing is mounted on it.
pub fn prepare(
    vault: &Vault,
    path: &Path,
    rotation: &str,
    set: &str,
    plain_folder: PlainFolder,
    now: Timestamp,
) -> Result<Identity, Error> {
    match (look(path), plain_folder) {
        (Presence::Blank, _) => {}
        (Presence::Absent, PlainFolder::Meant) => {
            fs::create_dir_all(path).map_err(|source| Error::Io {
                op: "create",
                path: path.to_owned(),
                source,
            })?;
        }
        (Presence::Absent, PlainFolder::Refused) => return Err(Error::MediumAbsent { dir: path.to_owned() }),
        // A preparation that was cut off is taken up again: its vault is a copy of ours without a snapshot.
        (Presence::Foreign, _) if is_unfinished(vault, path) => {}
        _ => return Err(Error::NotEmpty { dir: path.to_owned() }),
    }
    let folder = folder_on(path);
    if vault.open_copy(&folder).is_err() {
        vault.begin_copy(&folder)?;
    }
    let mut id = [0; 16];
    random_bytes(&mut id)?;
    let identity = Identity {
        id: hex::encode(id),
        rotation: rotation.to_owned(),
        set: set.to_owned(),
        made_at: now,
        vault_id: vault.id().to_owned(),
    };
    save(vault, &path.join(IDENTITY), &identity)?;
    Ok(identity)
}

/// Whether a folder on which nothing is mounted may become a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainFolder {
    /// Somebody said that it is meant so.
    Meant,
    /// Most likely the medium was not mounted.
    Refused,
}

fn is_unfinished(vault: &Vault, path: &Path) -> bool {
    let copy = vault.open_copy(&folder_on(path));
    copy.is_ok_and(|copy| copy.snapshots().is_ok_and(|(snapshots, _)| snapshots.is_empty()))
}

/// Who the medium says it is, if its seal says so, too.
pub(super) fn authentic(vault: &Vault, path: &Path) -> Result<Option<Identity>, Error> {
    Ok(open::<Identity>(vault, &path.join(IDENTITY))?.filter(|identity| identity.vault_id == vault.id()))
}

/// The receipt on the medium, if there is one and its seal holds.
pub(super) fn receipt(vault: &Vault, path: &Path) -> Result<Option<Receipt>, Error> {
    open(vault, &path.join(RECEIPT))
}

pub(super) fn save_receipt(vault: &Vault, path: &Path, receipt: &Receipt) -> Result<(), Error> {
    save(vault, &path.join(RECEIPT), receipt)
}

fn open<T: DeserializeOwned + PartialEq>(vault: &Vault, path: &Path) -> Result<Option<T>, Error> {
    let failed = |source| Error::Io { op: "read", path: path.to_owned(), source };
    let Some(found) = read::<Sealed<T>>(path).map_err(failed)? else { return Ok(None) };
    let text = hex::decode(&found.sealed).ok().and_then(|mut sealed| vault.unseal(&mut sealed));
    let sealed = text.and_then(|text| serde_json::from_slice::<T>(&text).ok());
    Ok(sealed.filter(|sealed| *sealed == found.clear))
}

fn save<T: Serialize>(vault: &Vault, path: &Path, value: &T) -> Result<(), Error> {
    let engine = |e: serde_json::Error| Error::Engine { op: "serialise", source: e.into() };
    let sealed = hex::encode(vault.seal(&serde_json::to_vec(value).map_err(engine)?)?);
    let text = serde_json::to_vec_pretty(&Sealed { clear: value, sealed }).map_err(engine)?;
    replace(path, &text).map_err(|source| match source.kind() {
        io::ErrorKind::StorageFull => Error::VaultFull { dir: path.to_owned(), source },
        io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly { dir: path.to_owned(), source },
        _ => Error::Io { op: "write", path: path.to_owned(), source },
    })
}

/// `None` when there is no such file. One that is no JSON of ours counts as unreadable.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(BYTES_MAX).read_to_end(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&text).map(Some).map_err(Into::into)
}

/// Writes a file so that there is always the old one or the new one.
pub(super) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// The name of the file system that a path lies on, as the kernel lists plugged-in disks by it. For those that have none: `None`.
pub(super) fn disk(path: &Path) -> Option<String> {
    let device = fs::metadata(path).ok()?.dev();
    fs::read_dir(BY_UUID).ok()?.flatten().find_map(|entry| {
        let is_it = fs::metadata(entry.path()).is_ok_and(|meta| meta.rdev() == device);
        is_it.then(|| entry.file_name().to_str().map(str::to_owned)).flatten()
    })
}

/// Whether a disk is plugged in, mounted or not.
pub(super) fn is_plugged_in(disk: &str) -> bool {
    !disk.contains('/') && Path::new(BY_UUID).join(disk).exists()
}

const BY_UUID: &str = "/dev/disk/by-uuid";
