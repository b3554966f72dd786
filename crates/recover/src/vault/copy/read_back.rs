//! Reading a file from its medium, and not from the memory that still holds what was written.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{Advice, OFlags, fadvise};
use serde::{Deserialize, Serialize};

use super::super::id::Id;
use sha2::{Digest, Sha256};

/// Read at once.
const STEP: usize = 1 << 20;
/// What direct reads must be aligned to; enough for every disk.
const ALIGN: usize = 4096;

/// How many bytes were read back, by the way they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBack {
    /// Past the cache (`O_DIRECT`): from the medium for certain.
    pub direct: u64,
    /// After the cache was told to let go of them (`posix_fadvise`): from the medium as far as the kernel obeys.
    pub dropped: u64,
}

impl ReadBack {
    /// All of them.
    pub fn bytes(&self) -> u64 {
        self.direct + self.dropped
    }

    /// Whether every byte came from the medium for certain.
    pub fn is_certain(&self) -> bool {
        self.dropped == 0
    }
}

/// The hash of a file's content as it lies on the medium.
pub(super) fn hash(path: &Path, how: &mut ReadBack) -> io::Result<Id> {
    let direct = File::options().read(true).custom_flags(OFlags::DIRECT.bits().cast_signed()).open(path);
    if let Ok(file) = direct
        && let Ok((id, bytes)) = hash_direct(&file)
    {
        how.direct += bytes;
        return Ok(id);
    }
    let mut file = File::open(path)?;
    // Only what is on the medium can be let go of.
    let _ = file.sync_all();
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; STEP];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        how.dropped += read as u64;
        hash.update(&buffer[..read]);
    }
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    Ok(Id(hash.finalize().into()))
}

fn hash_direct(file: &File) -> io::Result<(Id, u64)> {
    let size = file.metadata()?.len();
    let mut hash = Sha256::new();
    let mut memory = vec![0u8; STEP + ALIGN];
    let start = memory.as_ptr().align_offset(ALIGN);
    let buffer = memory.get_mut(start..start + STEP).ok_or(io::ErrorKind::OutOfMemory)?;
    let mut at = 0;
    while at < size {
        let read = file.read_at(buffer, at)?;
        if read == 0 || (read % ALIGN != 0 && at + (read as u64) < size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hash.update(&buffer[..read]);
        at += read as u64;
    }
    Ok((Id(hash.finalize().into()), size))
}
