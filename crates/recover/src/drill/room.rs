//! Whether a drill has room, before it begins and while it restores: a sandbox that fills the disk stops what shares it.

use std::path::Path;

use schema::{Coverage, Manifest};

use crate::adapter;
use crate::error::Error;
use crate::vault::Room;

/// This much of a file system stays free, and of a large one no more than the other.
const KEEP_PERMILLE: u64 = 20;
const KEEP_BYTES_MAX: u64 = 1 << 30;
/// What is restored may be so many times what was counted when it was captured: files that were counted once and have two names.
const TIMES_MAX: u64 = 4;
/// And so much more, for a small store.
const BYTES_MORE: u64 = 1 << 30;

/// How much a restore may take. An error where it is clear beforehand that it will not fit.
pub(super) fn of(
    sandbox: &Path,
    manifest: Option<&Manifest>,
    part: Option<&Coverage>,
) -> Result<Option<Room>, Error> {
    let failed = |cause: rustix::io::Errno| Error::Io {
        op: "look at",
        path: sandbox.to_path_buf(),
        source: cause.into(),
    };
    let found = rustix::fs::statvfs(sandbox).map_err(failed)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    let (free, all) = (bytes(found.f_bavail), bytes(found.f_blocks));
    let keep_free = (all / 1000).saturating_mul(KEEP_PERMILLE).min(KEEP_BYTES_MAX);
    let needed = part.map(|part| part.bytes).or_else(|| manifest.map(|manifest| manifest.census.bytes));
    // Disk images are full of holes, which take no room.
    let has_images =
        manifest.is_some_and(|it| it.sources.iter().any(|source| adapter::is_opaque(&source.kind)));
    if let Some(needed) = needed.filter(|needed| !has_images && needed.saturating_add(keep_free) > free) {
        let free = free.saturating_sub(keep_free);
        return Err(Error::SandboxSmall { dir: sandbox.to_path_buf(), needed, free });
    }
    let bytes_max =
        needed.map_or(u64::MAX, |needed| needed.saturating_mul(TIMES_MAX).saturating_add(BYTES_MORE));
    Ok(Some(Room { dir: sandbox.to_path_buf(), bytes_max, keep_free }))
}
