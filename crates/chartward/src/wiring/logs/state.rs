//! What the watcher of logs knows from one start to the next: where each source stood, and what was remembered at that very point.
//!
//! Both lie in one file that is replaced whole. After a kill the lines since then are read again with the memory of then: none is
//! missed, none counts twice, and what is said a second time has the id it had. `chartward logons learn` works at the same file while
//! no watcher does. A memory that has grown beyond its bound is not written any more: it stays as it was, and places go on in a file of
//! their own.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
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

/// Of both files, that which says where sources stood.
#[derive(Debug, Default, Deserialize)]
struct Places {
    positions: BTreeMap<String, Position>,
}

fn path(folder: &Path) -> PathBuf {
    folder.join("state.json")
}

fn places(folder: &Path) -> PathBuf {
    folder.join("places.json")
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

/// What lies in the folder, else nothing yet. A memory that cannot be read is said and begun anew; where sources stood can be known all
/// the same.
pub(crate) fn load(folder: &Path) -> (Kept, Option<String>) {
    let read = || -> anyhow::Result<Option<Kept>> {
        let path = path(folder);
        let meta = match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        anyhow::ensure!(meta.len() <= BYTES_MAX, "it is larger than {BYTES_MAX} bytes");
        let kept: Kept = serde_json::from_reader(BufReader::new(File::open(&path)?))?;
        anyhow::ensure!(kept.version == VERSION, "it is of version {}", kept.version);
        Ok(Some(kept))
    };
    let places = |path: PathBuf| -> Option<Places> {
        let file = File::open(path).ok()?;
        serde_json::from_reader(BufReader::new(file)).ok()
    };
    let newer = places(self::places(folder));
    let (mut kept, said) = match read() {
        Ok(kept) => (kept.unwrap_or_default(), None),
        Err(error) => {
            let said = format!(
                "what was remembered in {} cannot be used and is begun anew: {error:#}",
                path(folder).display()
            );
            let positions = places(path(folder)).unwrap_or_default().positions;
            (Kept { positions, ..Kept::default() }, Some(said))
        }
    };
    if let Some(newer) = newer {
        kept.positions = newer.positions;
    }
    (kept, said)
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

    /// Puts it on the disk, whole or not at all; places alone where the rest is more than is read back.
    pub(crate) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        self.save_within(folder, BYTES_MAX)
    }

    fn save_within(&self, folder: &Path, bytes_max: u64) -> anyhow::Result<()> {
        let failed = || format!("keep what was remembered in {}", folder.display());
        let partial = folder.join("state.json.partial");
        let written = write(&partial, self, bytes_max).and_then(|()| {
            // Places that are older than this memory must not be met beside it.
            match fs::remove_file(places(folder)) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => fs::rename(&partial, path(folder)),
            }
        });
        match written {
            Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                let _ = fs::remove_file(&partial);
                let partial = folder.join("places.json.partial");
                write(&partial, &BTreeMap::from([("positions", self.positions)]), bytes_max)
                    .and_then(|()| fs::rename(&partial, places(folder)))
                    .with_context(failed)?;
                Err(error).with_context(failed)
            }
            written => written.with_context(failed),
        }
    }
}

fn write(path: &Path, what: &impl Serialize, bytes_max: u64) -> io::Result<()> {
    // One that another user left behind could not be written to.
    let _ = fs::remove_file(path);
    let mut out = BufWriter::new(Within { file: File::create(path)?, left: bytes_max });
    serde_json::to_writer(&mut out, what)?;
    out.flush()?;
    out.get_ref().file.sync_all()
}

/// A file that takes so many bytes.
struct Within {
    file: File,
    left: u64,
}

impl Write for Within {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                "it is larger than what is read back; places alone are kept",
            ));
        };
        self.left = left;
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_outlive_a_memory_that_is_too_large_or_broken() {
        let dir = tempfile::tempdir().unwrap();
        let logins = logins::State::default();
        let at = |record| BTreeMap::from([("Security.evtx".to_owned(), Position::Events { record })]);
        let save = |record, bytes_max| {
            Keeping::new(&at(record), &logins, sigma::State::default(), record as Micros)
                .save_within(dir.path(), bytes_max)
        };
        let found = || {
            let (kept, said) = load(dir.path());
            (kept.positions, kept.forgot, said.is_some())
        };
        save(1, BYTES_MAX).unwrap();
        assert_eq!(found(), (at(1), 1, false));
        let told = format!("{:#}", save(2, 100).unwrap_err());
        assert!(told.contains("larger"), "{told}");
        assert_eq!(found(), (at(2), 1, false), "the memory of then, and the places of now");
        save(3, BYTES_MAX).unwrap();
        assert_eq!(found(), (at(3), 3, false));
        let state = fs::read_to_string(path(dir.path())).unwrap();
        fs::write(path(dir.path()), state.replace("\"version\":1", "\"version\":99")).unwrap();
        assert_eq!(found(), (at(3), 0, true));
    }
}
