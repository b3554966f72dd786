use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::Error;

/// A folder that no other process writes to. It ends with the value, or with the process however that ends.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing would not do: a child that is just being started holds the same open file until it runs.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Locks a folder for this process, by a file in it that says which process that is.
pub(crate) fn lock_folder(path: &Path) -> Result<FolderLock, Error> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Error::file("open", path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let _ = (&mut file).take(32).read_to_string(&mut text);
            return Err(Error::InUse { path: path.to_owned(), pid: text.trim().parse().unwrap_or(0) });
        }
        Err(cause) => return Err(Error::file("lock", path)(cause.into())),
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    // Only for the words of an error: on a full disk the lock holds all the same.
    let _ = write();
    Ok(FolderLock(file))
}
