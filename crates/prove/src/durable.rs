use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::Error;

/// Makes the folder's entries survive a power cut.
pub(crate) fn sync_dir(file_in_it: &Path) -> Result<(), Error> {
    let dir = file_in_it.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::file("sync", dir))
}

/// A file that goes to the disk as it is written, a little at a time: what others sync meanwhile never waits for all of it.
#[derive(Debug)]
pub(crate) struct Steady {
    file: File,
    unsynced: usize,
}

impl Steady {
    /// Bytes that may wait for the disk.
    const UNSYNCED_MAX: usize = 1 << 20;

    pub(crate) fn new(file: File) -> Self {
        Self { file, unsynced: 0 }
    }

    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Write for Steady {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= Self::UNSYNCED_MAX {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
