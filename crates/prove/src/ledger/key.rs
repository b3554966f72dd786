use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ed25519_dalek::SigningKey;

use crate::Error;
use crate::durable::sync_dir;

/// The key in `path`, or `None` where there is none yet.
pub(super) fn load(path: &Path) -> Result<Option<SigningKey>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
            return Err(Error::KeyMalformed(path.to_owned()));
        }
        Err(cause) => return Err(Error::file("read the signing key", path)(cause)),
    };
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim_ascii_end(), &mut seed)
        .map_err(|_| Error::KeyMalformed(path.to_owned()))?;
    Ok(Some(SigningKey::from_bytes(&seed)))
}

/// Draws a key and writes it to `path`, whole or not at all. The caller holds the ledger's lock.
pub(super) fn make(path: &Path) -> Result<SigningKey, Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Error::Random)?;
    let unfinished = path.with_extension("key.new");
    match fs::remove_file(&unfinished) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            return Err(Error::file("remove", &unfinished)(cause));
        }
        _ => {}
    }
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        writeln!(file, "{}", hex::encode(seed))?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(Error::file("write the signing key", path))?;
    sync_dir(path)?;
    Ok(SigningKey::from_bytes(&seed))
}
