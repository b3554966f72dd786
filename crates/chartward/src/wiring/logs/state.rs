//! What the watcher of logs knows from one start to the next: where each source stood, and what was remembered at that very point.
//!
//! Both lie in one file that is replaced whole. After a kill the lines since then are read again with the memory of then: none is
//! missed, none counts twice, and what is said a second time has the id it had.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use judge::{logins, sigma};
use observe::logs::Position;
use serde::{Deserialize, Serialize};

const BYTES_MAX: u64 = 512 << 20;
const VERSION: u32 = 1;

/// The file in the watcher's folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    version: u32,
    pub(super) positions: BTreeMap<String, Position>,
    pub(super) logins: logins::State,
    pub(super) sigma: sigma::State,
}

/// The same, borrowed to be written.
#[derive(Serialize)]
struct Keeping<'k> {
    version: u32,
    positions: &'k BTreeMap<String, Position>,
    logins: &'k logins::State,
    sigma: sigma::State,
}

fn path(folder: &Path) -> PathBuf {
    folder.join("state.json")
}

/// What lies in the folder, else nothing yet. A memory that cannot be read is said and begun anew.
pub(super) fn load(folder: &Path) -> (Kept, Option<String>) {
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

/// Puts it on the disk, whole or not at all.
pub(super) fn save(
    folder: &Path,
    positions: &BTreeMap<String, Position>,
    logins: &logins::State,
    sigma: sigma::State,
) -> anyhow::Result<()> {
    let write = || -> anyhow::Result<()> {
        let partial = folder.join("state.json.partial");
        let mut file = File::create(&partial)?;
        file.write_all(&serde_json::to_vec(&Keeping { version: VERSION, positions, logins, sigma })?)?;
        file.sync_all()?;
        fs::rename(&partial, path(folder))?;
        Ok(())
    };
    write().with_context(|| format!("keep what was remembered in {}", folder.display()))
}
