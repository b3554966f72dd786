//! The vault as the hub sees it: the promise, kept current, and the hold against pruning.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use jiff::Timestamp;
use recover::Error;
use recover::status::{Limits, Medium, Remembered, assess, look};
use recover::vault::{Hold, Password, Vault, VaultAt};
use schema::Status;

/// The medium is looked at again after this time, also when nothing seems to have changed.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

/// Opens the vault when it must, and remembers what it saw.
pub(crate) struct Keeper {
    dir: PathBuf,
    password: Password,
    limits: Limits,
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    medium: Medium,
    at: Instant,
    /// When the vault's list of snapshots last changed.
    changed: Option<SystemTime>,
}

impl Keeper {
    pub(crate) fn new(dir: PathBuf, password: Password, limits: Limits) -> Self {
        Self { dir, password, limits, seen: Mutex::new(None) }
    }

    /// The promise as it stands now; looks at the medium only when its list of snapshots changed, or after ten minutes.
    pub(crate) fn promise(&self, remembered: Option<&Remembered>, now: Timestamp) -> anyhow::Result<Status> {
        let changed = std::fs::metadata(self.dir.join("snapshots")).and_then(|meta| meta.modified()).ok();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = seen.as_ref().is_some_and(|seen| {
            seen.changed.is_some() && seen.changed == changed && seen.at.elapsed() < LOOK_AGAIN
        });
        if !is_current {
            *seen = Some(Seen {
                medium: medium(&self.dir.as_path().into(), || self.open())?,
                at: Instant::now(),
                changed,
            });
        }
        let medium = seen.as_ref().map_or(&Medium::Absent, |seen| &seen.medium);
        Ok(assess(medium, remembered, &self.limits, now))
    }

    /// Keeps everybody from pruning for as long as the hold lives.
    pub(crate) fn hold(&self) -> anyhow::Result<Hold> {
        let vault = self.open()?;
        vault.hold().with_context(|| format!("cannot lock the vault in {}", self.dir.display()))
    }

    fn open(&self) -> anyhow::Result<Vault> {
        Vault::open(&self.dir, &self.password)
            .with_context(|| format!("cannot open the vault in {}", self.dir.display()))
    }
}

/// Looks at the medium. That it is absent or empty is what the promise is there to say, not an error of it; no
/// passphrase is asked for before there is something to open.
pub(crate) fn medium(at: &VaultAt, open: impl FnOnce() -> anyhow::Result<Vault>) -> anyhow::Result<Medium> {
    match Vault::probe(at) {
        Err(Error::MediumAbsent { .. } | Error::Remote { .. }) => Ok(Medium::Absent),
        Err(Error::NoRepository { .. }) => Ok(Medium::Empty),
        Err(Error::ConfigLost { .. }) => Ok(Medium::ConfigLost),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(look(&open()?)?),
    }
}
