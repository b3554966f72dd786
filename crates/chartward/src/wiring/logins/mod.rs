//! Logons between the rooms: what people say of them, logs that are read once, and what pages show.

pub(crate) mod forget;
pub(crate) mod grants;
pub(crate) mod read;
pub(crate) mod shown;

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context;

/// The folder below the state folder: people's words, which the watcher of logs only reads.
pub(crate) const FOLDER: &str = "logins";

/// One at a time writes there; ends with the value.
fn alone(state: &Path) -> anyhow::Result<File> {
    let folder = state.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("wait for another who writes there")?;
    Ok(lock)
}
