//! The key of a chained file: from a key file beside it, or from a passphrase.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::frame::{HEADER_BYTES, Header, KeyKind};
use crate::Error;

/// scrypt's cost for passphrases: 32 MiB and about a tenth of a second.
const LOG_N: u8 = 15;
const R: u32 = 8;
const P: u32 = 1;

/// What opens a chained file.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// A file with 32 random bytes in hexadecimal, readable by its owner alone. It is made together with the chained file.
    File(&'a Path),
    /// A passphrase, as text.
    Passphrase(&'a [u8]),
}

impl Secret<'_> {
    pub(super) fn kind(&self) -> KeyKind {
        match self {
            Secret::File(_) => KeyKind::File,
            Secret::Passphrase(_) => KeyKind::Passphrase,
        }
    }

    /// The key for a file that is about to be made.
    pub(super) fn make(&self, header: &[u8; HEADER_BYTES], path: &Path) -> Result<[u8; 32], Error> {
        if let Secret::File(key) = self
            && !key.exists()
        {
            make_key_file(key).map_err(|source| Error::Io {
                op: "write",
                path: key.to_path_buf(),
                source,
            })?;
        }
        self.derive(header, path)
    }

    /// The key of a file that exists.
    pub(super) fn derive(&self, header: &[u8; HEADER_BYTES], path: &Path) -> Result<[u8; 32], Error> {
        let refused = |cause| Error::JournalKey { path: path.to_path_buf(), cause };
        let parsed = Header::parse(header).ok_or_else(|| refused("it is no journal of Chartward"))?;
        if parsed.key != self.kind() {
            return Err(refused(match parsed.key {
                KeyKind::File => "it was made with a key file, not with a passphrase",
                KeyKind::Passphrase => "it was made with a passphrase, not with a key file",
            }));
        }
        match self {
            Secret::File(key) => Ok(bound(&read_key_file(key, path)?, header)),
            Secret::Passphrase(text) => {
                let params = scrypt::Params::new(LOG_N, R, P).map_err(|_| refused("its cost is unknown"))?;
                let mut key = [0; 32];
                scrypt::scrypt(text, &parsed.id, &params, &mut key)
                    .map_err(|_| refused("its key cannot be derived"))?;
                Ok(bound(&key, header))
            }
        }
    }
}

/// One key file may serve notes and decisions: each file's own key comes from it and the file's header.
fn bound(key: &[u8; 32], header: &[u8; HEADER_BYTES]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"chartward journal key\0");
    hash.update(key);
    hash.update(header);
    hash.finalize().into()
}

fn make_key_file(path: &Path) -> io::Result<()> {
    let mut key = [0u8; 32];
    getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", hex::encode(key))?;
    file.sync_all()?;
    super::sync_folder(path)
}

fn read_key_file(key: &Path, path: &Path) -> Result<[u8; 32], Error> {
    let refused = |cause| Error::JournalKey { path: path.to_path_buf(), cause };
    let failed = |source| Error::Io { op: "read", path: key.to_path_buf(), source };
    let file = File::open(key).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(refused("its key file can be read by others (chmod 600)"));
    }
    let mut text = String::new();
    file.take(256).read_to_string(&mut text).map_err(failed)?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| refused("its key file holds no key"))?;
    Ok(bytes)
}
