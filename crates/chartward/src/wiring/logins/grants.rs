//! What is open for contractors: a file, and a line in the ledger for each opening and each that was taken back. An opening ends by itself.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use judge::logins::Grant;
use prove::{Fact, Ledger};
use serde::{Deserialize, Serialize};

use super::FOLDER;

const VERSION: u32 = 1;
const BYTES_MAX: u64 = 4 << 20;
/// Openings that are over are listed for so long.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
const GRANTS_MAX: usize = 1000;
/// Longer than that is no opening but a contract.
pub(crate) const HOURS_MAX: i64 = 72;

/// All openings, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grants {
    version: u32,
    next: u64,
    pub(crate) grants: Vec<Grant>,
}

/// Below the folder of logons.
pub(crate) const FILE: &str = "grants.json";

impl Grants {
    /// What lies in the state folder; none where nothing does.
    pub(crate) fn load(state: &Path) -> anyhow::Result<Self> {
        Self::read(&state.join(FOLDER))
    }

    /// The same for who knows the folder of logons only.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(FILE);
        let opened = match File::open(&file) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self { version: VERSION, next: 1, grants: Vec::new() });
            }
            Err(error) => return Err(error).with_context(|| format!("read {}", file.display())),
        };
        let mut bytes = Vec::new();
        opened.take(BYTES_MAX).read_to_end(&mut bytes)?;
        let kept: Self =
            serde_json::from_slice(&bytes).with_context(|| format!("read {}", file.display()))?;
        ensure!(kept.version == VERSION, "{} is of version {}", file.display(), kept.version);
        Ok(kept)
    }

    /// Opens a contractor's time from now on. The ledger has its line before it is open.
    pub(crate) fn open(
        state: &Path,
        contractor: &str,
        hours: f64,
        reason: &str,
        by: &str,
        now: Timestamp,
    ) -> anyhow::Result<Grant> {
        let _alone = super::alone(state)?;
        let mut all = Self::load(state)?;
        let length =
            SignedDuration::try_from_secs_f64(hours * 3600.0).context("hours are a number such as 2")?;
        ensure!(
            length.is_positive() && length <= SignedDuration::from_hours(HOURS_MAX),
            "an opening lasts for at most {HOURS_MAX} hours; what lasts longer belongs into the contract ([[logins.contractor]])"
        );
        ensure!(!reason.trim().is_empty(), "an opening needs a reason, such as a ticket's number");
        all.grants.retain(|grant| now.duration_since(grant.end()) < KEPT);
        ensure!(all.grants.len() < GRANTS_MAX, "there are {GRANTS_MAX} openings already");
        let grant = Grant {
            id: all.next,
            contractor: contractor.to_owned(),
            from: now,
            until: now.checked_add(length)?,
            reason: reason.trim().to_owned(),
            by: by.to_owned(),
            revoked: None,
        };
        let object = format!("{contractor} until {}: {}", grant.until, grant.reason);
        tell(state, by, "contractor.open", format!("#{} {object}", grant.id), now)?;
        all.next += 1;
        all.grants.push(grant.clone());
        all.save(state)?;
        Ok(grant)
    }

    /// Takes an opening back. It is closed before the ledger is told: closing must not depend on it.
    pub(crate) fn revoke(state: &Path, id: u64, by: &str, now: Timestamp) -> anyhow::Result<Grant> {
        let _alone = super::alone(state)?;
        let mut all = Self::load(state)?;
        let Some(grant) = all.grants.iter_mut().find(|grant| grant.id == id) else {
            bail!("there is no opening {id}; `chartward access list` shows them");
        };
        ensure!(grant.is_open(now), "opening {id} was over at {}", grant.end());
        grant.revoked = Some(now);
        let grant = grant.clone();
        all.save(state)?;
        tell(state, by, "contractor.close", format!("#{id} {}", grant.contractor), now)?;
        Ok(grant)
    }

    fn save(&self, state: &Path) -> anyhow::Result<()> {
        let file = state.join(FOLDER).join(FILE);
        let new = file.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("write {}", new.display()))?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, &file).with_context(|| format!("write {}", file.display()))
    }
}

fn tell(state: &Path, by: &str, what: &str, object: String, now: Timestamp) -> anyhow::Result<()> {
    let fact = Fact::Access {
        user: by.to_owned(),
        role: String::new(),
        what: what.to_owned(),
        object,
        allowed: true,
    };
    Ledger::open(state, now)?.append(fact, now).context("write it into the ledger")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_has_its_line_ends_by_itself_and_can_be_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let now: Timestamp = "2025-06-01T12:00:00Z".parse().unwrap();
        let later = now + SignedDuration::from_hours(1);
        let one = Grants::open(dir.path(), "vendor-a", 2.0, " ticket 7 ", "local", now).unwrap();
        let two = Grants::open(dir.path(), "vendor-b", 2.0, "ticket 8", "local", now).unwrap();
        assert_eq!((one.id, two.id, one.reason.as_str()), (1, 2, "ticket 7"));
        Grants::revoke(dir.path(), 2, "local", later).unwrap();
        let all = Grants::load(dir.path()).unwrap().grants;
        let open = |hours: i64| -> Vec<u64> {
            let at = now + SignedDuration::from_hours(hours);
            all.iter().filter(|grant| grant.is_open(at)).map(|grant| grant.id).collect()
        };
        assert_eq!([open(0), open(1), open(2)], [vec![1, 2], vec![1], vec![]]);

        let ledger = Ledger::open(dir.path(), later).unwrap();
        let told: Vec<String> = ledger
            .entries()
            .unwrap()
            .into_iter()
            .filter_map(|entry| match entry.fact {
                Fact::Access { what, object, .. } => Some(format!("{what} {object}")),
                _ => None,
            })
            .collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("vendor-a until 2025-06-01T14:00:00Z: ticket 7"), "{told:?}");
        assert!(told[2].starts_with("contractor.close #2"), "{told:?}");
    }

    #[test]
    fn what_is_no_opening_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let now: Timestamp = "2025-06-01T12:00:00Z".parse().unwrap();
        for (hours, reason) in
            [(0.0, "x"), (-1.0, "x"), (73.0, "x"), (f64::NAN, "x"), (1e300, "x"), (2.0, "  ")]
        {
            assert!(
                Grants::open(dir.path(), "v", hours, reason, "local", now).is_err(),
                "{hours} {reason:?}"
            );
        }
        assert!(Grants::revoke(dir.path(), 1, "local", now).is_err());
        assert!(Grants::load(dir.path()).unwrap().grants.is_empty());
    }
}
