//! The sealed store: what the hub must know in the clear (the vault's passphrase, the mail server's password,
//! webhook keys) and what lies sealed elsewhere (TOTP secrets in the database).
//!
//! `secrets.sealed` is a file of its own rather than a table, since the vault's passphrase must outlive a damaged
//! database. It is XChaCha20-Poly1305 over everything at once, so that not even the names show; the key is the
//! systemd credential `chartward-seal` where there is one, else `seal.key` (mode 0600). It protects copies of the
//! state folder that lack the key, and nothing from whoever can read both.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Error, random};

/// The store below the state folder.
pub(crate) const FILE_NAME: &str = "secrets.sealed";
/// The key beside it, where systemd gives none.
pub(crate) const KEY_NAME: &str = "seal.key";
/// The systemd credential that holds the key.
pub(crate) const CREDENTIAL: &str = "chartward-seal";

const MAGIC: &[u8; 8] = b"cwseal1\n";
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const NAME_MAX: usize = 64;
const VALUE_MAX: usize = 64 * 1024;
const SECRETS_MAX: usize = 256;
/// No store is larger; a wrong file must not be read into memory.
const FILE_MAX: u64 = 20 * 1024 * 1024;

/// A secret's value; wiped when it is dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(crate) fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value where it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The store of a state folder. Cheap to clone; several processes may use one.
#[derive(Clone)]
pub(crate) struct Sealed {
    dir: PathBuf,
    key: Arc<Zeroizing<[u8; 32]>>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("dir", &self.dir).finish_non_exhaustive()
    }
}

type Values = BTreeMap<String, Secret>;

impl Sealed {
    /// Opens the store; the key is made where there is neither one nor anything sealed with one.
    pub(crate) fn open(state_dir: &Path, credentials: Option<&Path>) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state_dir)
            .map_err(Error::file("make the state folder", state_dir))?;
        let credential = credentials.map(|dir| dir.join(CREDENTIAL)).filter(|path| path.exists());
        let key = match credential {
            Some(path) => read_key(&path)?,
            None => own_key(state_dir)?,
        };
        let sealed = Self { dir: state_dir.to_owned(), key: Arc::new(key) };
        // Whether the key fits is known at the start, not when the passphrase is needed at night.
        sealed.values()?;
        Ok(sealed)
    }

    /// The names of what is stored.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        Ok(self.values()?.into_keys().collect())
    }

    /// The secret of that name.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Secret>, Error> {
        Ok(self.values()?.remove(name))
    }

    /// Stores a secret; it is on the disk when this returns, or the one before it still is.
    pub(crate) fn set(&self, name: &str, value: Secret) -> Result<(), Error> {
        if !is_name(name) {
            return Err(Error::Unfit("its name has 1 to 64 of a-z, 0-9, dot, hyphen and underscore"));
        }
        if value.0.is_empty() || value.0.len() > VALUE_MAX {
            return Err(Error::Unfit("its value has 1 to 65536 bytes"));
        }
        let _lock = lock(&self.dir)?;
        let mut values = self.values()?;
        values.insert(name.to_owned(), value);
        if values.len() > SECRETS_MAX {
            return Err(Error::Unfit("there are 256 already"));
        }
        self.write(&values)
    }

    /// Removes a secret. `false`: there was none of that name.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, Error> {
        let _lock = lock(&self.dir)?;
        let mut values = self.values()?;
        let existed = values.remove(name).is_some();
        if existed {
            self.write(&values)?;
        }
        Ok(existed)
    }

    /// A key for one purpose, which says nothing about the store's own.
    pub(crate) fn key_for(&self, purpose: &str) -> [u8; 32] {
        let digest = Sha256::new().chain_update(b"derived\0").chain_update(self.key.as_slice());
        digest.chain_update(purpose.as_bytes()).finalize().into()
    }

    /// Seals a value for a place outside the store; it opens only with the same `purpose`.
    pub(super) fn seal(&self, purpose: &str, value: &[u8]) -> Result<String, Error> {
        Ok(hex::encode(self.encrypt(purpose.as_bytes(), value)?))
    }

    /// Opens what [`Self::seal`] gave. `None`: another purpose or key, or altered.
    pub(super) fn unseal(&self, purpose: &str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        self.decrypt(purpose.as_bytes(), &hex::decode(sealed).ok()?)
    }

    fn values(&self) -> Result<Values, Error> {
        let path = self.dir.join(FILE_NAME);
        let Some(bytes) = read_bounded(&path, FILE_MAX)? else { return Ok(Values::new()) };
        let damaged = || Error::Damaged(path.clone());
        let (header, sealed) = bytes.split_at_checked(MAGIC.len() + KEY_ID_BYTES).ok_or_else(damaged)?;
        let key_id = header.strip_prefix(MAGIC.as_slice()).ok_or_else(damaged)?;
        if key_id != self.key_id() {
            return Err(Error::OtherKey(path));
        }
        let plain = self.decrypt(header, sealed).ok_or_else(damaged)?;
        parse(&plain).ok_or_else(damaged)
    }

    /// The caller holds the lock. A reader sees the old file or the new one, also after a power cut.
    fn write(&self, values: &Values) -> Result<(), Error> {
        let mut file = [MAGIC.as_slice(), &self.key_id()].concat();
        let sealed = self.encrypt(&file, &flatten(values))?;
        file.extend_from_slice(&sealed);
        write_whole(&self.dir.join(FILE_NAME), &file, Replace::Yes)
    }

    fn key_id(&self) -> [u8; KEY_ID_BYTES] {
        let mut hash = Sha256::new();
        hash.update(b"chartward seal key id\0");
        hash.update(self.key.as_slice());
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&hash.finalize()[..KEY_ID_BYTES]);
        id
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&**self.key).into())
    }

    /// The nonce, then the ciphertext with its tag. 192-bit nonces may be drawn without keeping count.
    fn encrypt(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let nonce = random::<NONCE_BYTES>()?;
        // Grown before the plaintext comes in, so that no copy of it is left behind by growing.
        let mut buffer = Vec::with_capacity(plain.len() + 16);
        buffer.extend_from_slice(plain);
        self.cipher()
            .encrypt_in_place(&XNonce::from(nonce), context, &mut buffer)
            .map_err(|_| Error::Unfit("it is too long to be sealed"))?;
        Ok([nonce.as_slice(), &buffer].concat())
    }

    fn decrypt(&self, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        self.cipher().decrypt_in_place(&XNonce::from(*nonce), context, &mut *buffer).ok()?;
        Some(buffer)
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
}

/// Each: length of the name (u16), length of the value (u32), name, value; little-endian.
fn flatten(values: &Values) -> Zeroizing<Vec<u8>> {
    let bytes = values.iter().map(|(name, value)| 6 + name.len() + value.0.len()).sum();
    let mut plain = Zeroizing::new(Vec::with_capacity(bytes));
    for (name, value) in values {
        plain.extend_from_slice(&(name.len() as u16).to_le_bytes());
        plain.extend_from_slice(&(value.0.len() as u32).to_le_bytes());
        plain.extend_from_slice(name.as_bytes());
        plain.extend_from_slice(&value.0);
    }
    plain
}

fn parse(mut rest: &[u8]) -> Option<Values> {
    let mut values = Values::new();
    while !rest.is_empty() {
        let (name_len, after) = rest.split_first_chunk::<2>()?;
        let (value_len, after) = after.split_first_chunk::<4>()?;
        let (name, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*name_len)))?;
        let (value, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*value_len)).ok()?)?;
        values.insert(String::from_utf8(name.to_vec()).ok()?, Secret::new(value));
        rest = after;
    }
    Some(values)
}

fn own_key(dir: &Path) -> Result<Zeroizing<[u8; 32]>, Error> {
    let path = dir.join(KEY_NAME);
    let _lock = lock(dir)?;
    if !path.exists() {
        if dir.join(FILE_NAME).exists() {
            return Err(Error::KeyMissing(path));
        }
        let text =
            Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(*Zeroizing::new(random::<32>()?)))));
        write_whole(&path, text.as_bytes(), Replace::No)?;
    }
    let metadata = fs::metadata(&path).map_err(Error::file("read", &path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::KeyOpenToOthers { path, mode });
    }
    read_key(&path)
}

fn read_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, Error> {
    let malformed = || Error::KeyMalformed(path.to_owned());
    let bytes = read_bounded(path, 1024)?.ok_or_else(malformed)?;
    let mut key = Zeroizing::new([0; 32]);
    match bytes.len() {
        32 => key.copy_from_slice(&bytes),
        _ => hex::decode_to_slice(bytes.trim_ascii(), key.as_mut_slice()).map_err(|_| malformed())?,
    }
    Ok(key)
}

fn read_bounded(path: &Path, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let mut bytes = Zeroizing::new(Vec::new());
    match File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)) {
        Ok(_) if bytes.len() as u64 > limit => Err(Error::Damaged(path.to_owned())),
        Ok(_) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::file("read", path)(cause)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Replace {
    Yes,
    No,
}

/// Writes beside the target, syncs, and renames or links it into its place. The caller holds the lock.
fn write_whole(path: &Path, bytes: &[u8], replace: Replace) -> Result<(), Error> {
    let unfinished = path.with_extension("new");
    let write = || {
        match fs::remove_file(&unfinished) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match replace {
            Replace::Yes => fs::rename(&unfinished, path)?,
            Replace::No => {
                fs::hard_link(&unfinished, path)?;
                fs::remove_file(&unfinished)?;
            }
        }
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(Error::file("write", path))
}

/// Held while the store or its key is changed; ends with the process, too.
fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("secrets.lock");
    let open = || {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    };
    open().map_err(Error::file("lock", &path))
}

#[cfg(test)]
mod tests;
