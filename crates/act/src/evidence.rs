//! The evidence folder: what an investigator needs, readable by its owner only.
//!
//! All of it is bounded in number, size and time. Values of environment variables are left out, since they hold passwords.

mod folder;
mod proc;
mod process;
mod sockets;

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::Error;

pub use folder::{Note, README, notes, seal};
pub use process::{Brief, HashedFile, Look, OpenFile, ProcessRecord, Scene};
pub use sockets::Socket;

/// SHA-256 of all that a reader gives, in lower-case hexadecimal digits.
pub(crate) fn sha256_of(reader: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(len) => hash.update(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}

/// Makes a folder that only its owner may enter.
pub fn private_dir(path: &Path) -> Result<PathBuf, Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Error::MakeFolder { path: path.to_owned(), source })?;
    Ok(path.to_owned())
}

/// Writes a file that only its owner may read.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// The same, whole or not at all: whoever reads meanwhile gets the old content or the new one.
pub fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(fresh);
    write_private(&fresh, bytes)?;
    std::fs::rename(&fresh, path).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Writes a value as JSON that people can read.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    replace_private(path, &serde_json::to_vec_pretty(value).map_err(Error::Encode)?)
}
