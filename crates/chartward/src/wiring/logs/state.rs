//! What the watcher of logs knows from one start to the next: where each source stood, and what was remembered at that very point.
//!
//! Both lie in one file that is replaced whole. After a kill the lines since then are read again with the memory of then: none is
//! missed, none counts twice, and what is said a second time has the id it had. `chartward logons learn` works at the same file while
//! no watcher does.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use judge::{logins, sigma};
use observe::logs::Position;
use schema::Micros;
use serde::{Deserialize, Serialize};

const BYTES_MAX: u64 = 512 << 20;
const VERSION: u32 = 1;

/// The file in the watcher's folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    version: u32,
    pub(crate) positions: BTreeMap<String, Position>,
    pub(crate) logins: logins::State,
    pub(crate) sigma: sigma::State,
    /// The youngest request to forget that was followed.
    #[serde(default)]
    pub(crate) forgot: Micros,
}

/// The same, borrowed to be written.
#[derive(Serialize)]
pub(crate) struct Keeping<'k> {
    version: u32,
    positions: &'k BTreeMap<String, Position>,
    logins: &'k logins::State,
    sigma: sigma::State,
    forgot: Micros,
}

fn path(folder: &Path) -> PathBuf {
    folder.join("state.json")
}

/// The folder is this process's until the value is dropped.
///
/// # Errors
/// When another process works there.
pub(crate) fn alone(folder: &Path) -> anyhow::Result<File> {
    act::evidence::private_dir(folder)?;
    // The folder itself: a file in it could belong to somebody else.
    let lock = File::open(folder).with_context(|| format!("open {}", folder.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("a watcher of logs is at work in {}; end it first", folder.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", folder.display())),
    }
}

/// What lies in the folder, else nothing yet. A memory that cannot be read is said and begun anew.
pub(crate) fn load(folder: &Path) -> (Kept, Option<String>) {
    let read = || -> anyhow::Result<Option<Kept>> {
        let path = path(folder);
        let meta = match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        anyhow::ensure!(meta.len() <= BYTES_MAX, "it is larger than {BYTES_MAX} bytes");
        let kept: Kept = serde_json::from_reader(std::io::BufReader::new(File::open(&path)?))?;
        anyhow::ensure!(kept.version == VERSION, "it is of version {}", kept.version);
        Ok(Some(kept))
    };
    match read() {
        Ok(kept) => (kept.unwrap_or_default(), None),
        Err(error) => {
            let said = format!(
                "what was remembered in {} cannot be used and is begun anew: {error:#}",
                path(folder).display()
            );
            (Kept::default(), Some(said))
        }
    }
}

impl<'k> Keeping<'k> {
    pub(crate) fn new(
        positions: &'k BTreeMap<String, Position>,
        logins: &'k logins::State,
        sigma: sigma::State,
        forgot: Micros,
    ) -> Self {
        Self { version: VERSION, positions, logins, sigma, forgot }
    }

    /// Puts it on the disk, whole or not at all.
    pub(crate) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        let write = || -> anyhow::Result<()> {
            let partial = folder.join("state.json.partial");
            // One that another user left behind could not be written to.
            let _ = fs::remove_file(&partial);
            let mut file = File::create(&partial)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            fs::rename(&partial, path(folder))?;
            Ok(())
        };
        write().with_context(|| format!("keep what was remembered in {}", folder.display()))
    }
}
