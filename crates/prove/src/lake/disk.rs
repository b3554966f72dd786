use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;
use crate::durable::sync_dir;

/// Up to which position Parquet holds everything: a file of the journal's folder, replaced as a whole.
#[derive(Debug)]
pub(super) struct Flushed {
    path: PathBuf,
    /// Shared with those who ask for it while a flush goes on.
    position: Arc<AtomicU64>,
}

impl Flushed {
    /// Reads it. Where it is missing or damaged, what the files' names say holds: a lake whose journal was lost
    /// keeps every file.
    pub(super) fn load(journal_dir: &Path, newest_file: u64) -> Result<Self, Error> {
        let path = journal_dir.join("flushed");
        let read = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().ok(),
            Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                None
            }
            Err(cause) => return Err(Error::file("read", &path)(cause)),
        };
        let mut flushed = Flushed { path, position: Arc::new(AtomicU64::new(read.unwrap_or(newest_file))) };
        if read.is_none() {
            flushed.advance(newest_file)?;
        }
        Ok(flushed)
    }

    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    pub(super) fn shared(&self) -> Arc<AtomicU64> {
        self.position.clone()
    }

    pub(super) fn advance(&mut self, position: u64) -> Result<(), Error> {
        replace(&self.path, format!("{position}\n").as_bytes())?;
        self.position.store(position, Ordering::Release);
        Ok(())
    }
}

/// Writes a small file, whole or not at all.
fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let unfinished = path.with_extension("new");
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(Error::file("write", path))?;
    sync_dir(path)
}

/// Keeps damaged bytes in a file of their own; one that is there already holds them.
pub(super) fn keep_aside(path: PathBuf, bytes: &[u8]) -> Result<PathBuf, Error> {
    if !path.exists() {
        replace(&path, bytes)?;
    }
    Ok(path)
}
