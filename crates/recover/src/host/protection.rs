//! Until when the snapshots of a repository cannot be removed for good: what a client may ask, since a lock that runs out unseen is none.

use jiff::{SignedDuration, Timestamp};
use schema::SnapshotId;
use serde::{Deserialize, Serialize};

use super::name::Kind;
use super::refusal::Refusal;
use super::repository::Repository;

/// What the host answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// The host's clock. What is left is counted by it, never by the asker's.
    pub now: Timestamp,
    /// How long after its receipt nothing goes for good, in seconds.
    pub retain_seconds: i64,
    /// How long a removal can be cancelled, in seconds.
    pub delay_seconds: i64,
    /// Whether files have the immutable flag.
    pub immutable: bool,
    /// Its snapshots, those left out that an administrator set aside; in the order of their ids.
    pub snapshots: Vec<Protected>,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protected {
    /// Which.
    pub id: SnapshotId,
    /// When the host received it.
    pub received: Timestamp,
    /// Until then nobody's credential removes it for good; what it needs is kept at least as long.
    pub until: Timestamp,
}

impl Repository {
    /// The write protection of every snapshot as it stands now.
    pub fn protection(&self) -> Result<Protection, Refusal> {
        let mut receipts = self.receipts();
        let open = receipts.hold()?;
        let later = |time: Timestamp, by: SignedDuration| time.saturating_add(by).unwrap_or(Timestamp::MAX);
        let kept = open
            .stock
            .files
            .iter()
            .filter(|(name, kept)| name.kind == Kind::Snapshots && kept.aside.is_none());
        let mut snapshots: Vec<Protected> = kept
            .map(|(name, kept)| Protected {
                id: SnapshotId(name.id.to_string()),
                received: kept.received,
                until: later(kept.received, self.settings.retain),
            })
            .collect();
        snapshots.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(Protection {
            now: open.now(),
            retain_seconds: self.settings.retain.as_secs(),
            delay_seconds: self.settings.delay.as_secs(),
            immutable: self.settings.immutable,
            snapshots,
        })
    }
}
