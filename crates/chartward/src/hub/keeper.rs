//! The vault as the hub sees it: the promise, kept current, and the hold against pruning.

use std::path::{Path, PathBuf};
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

/// A vault host is asked no more often: a look lists all of the repository over the network.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Opens the vault when it must, and remembers what it saw.
pub(crate) struct Keeper {
    at: VaultAt,
    password: Password,
    limits: Limits,
    /// The state folder, with the record of what was read when.
    state: PathBuf,
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    medium: Medium,
    at: Instant,
    /// When the vault's list of snapshots last changed.
    changed: Option<SystemTime>,
}

impl Keeper {
    pub(crate) fn new(at: VaultAt, password: Password, limits: Limits, state: PathBuf) -> Self {
        Self { at, password, limits, state, seen: Mutex::new(None) }
    }

    /// The promise as it stands now; looks at the medium only when its list of snapshots changed, or after ten minutes.
    pub(crate) fn promise(&self, remembered: Option<&Remembered>, now: Timestamp) -> anyhow::Result<Status> {
        let (changed, look_again) = match &self.at {
            VaultAt::Folder(dir) => {
                (std::fs::metadata(dir.join("snapshots")).and_then(|meta| meta.modified()).ok(), LOOK_AGAIN)
            }
            VaultAt::Rest(_) => (None, ASK_AGAIN),
        };
        let is_remote = matches!(self.at, VaultAt::Rest(_));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = seen.as_ref().is_some_and(|seen| {
            (is_remote || seen.changed.is_some()) && seen.changed == changed && seen.at.elapsed() < look_again
        });
        if !is_current {
            *seen = Some(Seen {
                medium: medium(&self.at, &self.state, || self.open())?,
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
        vault.hold().context("cannot lock the vault")
    }

    fn open(&self) -> anyhow::Result<Vault> {
        Vault::open(&self.at, &self.password).context("cannot open the vault")
    }
}

/// Looks at the medium. That it is absent or empty is what the promise is there to say, not an error of it; no
/// passphrase is asked for before there is something to open.
pub(crate) fn medium(
    at: &VaultAt,
    state: &Path,
    open: impl FnOnce() -> anyhow::Result<Vault>,
) -> anyhow::Result<Medium> {
    match Vault::probe(at) {
        Err(Error::MediumAbsent { .. } | Error::Remote { .. }) => Ok(Medium::Absent),
        Err(Error::NoRepository { .. }) => Ok(Medium::Empty),
        Err(Error::ConfigLost { .. }) => Ok(Medium::ConfigLost),
        Err(error) => Err(error.into()),
        Ok(()) => {
            let vault = open()?;
            Ok(look(&vault)?.with_coverage(&vault, state, Timestamp::now()))
        }
    }
}
