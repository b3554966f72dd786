//! What is open for contractors: a file, and a line in the ledger for each opening and for its end: taken back, or by itself.
//!
//! An opening ends whether anybody is told or not. Its line is written once, however often whoever writes it is killed: the file says
//! that the ledger is about to have it, then the ledger does, then the file says so. Only who finds the first without the last has to
//! read the ledger.

use std::collections::BTreeSet;
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
    /// Numbers of those whose end by itself the ledger is about to have, or has already.
    #[serde(default)]
    ending: BTreeSet<u64>,
    /// Numbers of those whose end by itself the ledger has.
    #[serde(default)]
    ended: BTreeSet<u64>,
}

/// Below the folder of logons.
pub(crate) const FILE: &str = "grants.json";
/// What the ledger calls an end by itself.
const END: &str = "contractor.end";

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
                return Ok(Self { version: VERSION, next: 1, ..Self::default() });
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
        let ledger = Ledger::open(state, now)?;
        // Also where no hub runs, and before anything is forgotten.
        all.tell_ends(state, &ledger, now)?;
        all.forget(now);
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
        tell(&ledger, by, "contractor.open", format!("#{} {object}", grant.id), now)?;
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
        tell(&Ledger::open(state, now)?, by, "contractor.close", format!("#{id} {}", grant.contractor), now)?;
        Ok(grant)
    }

    /// Tells the ledger of every opening that has ended by itself since it was told last.
    pub(crate) fn tell_ended(state: &Path, ledger: &Ledger, now: Timestamp) -> anyhow::Result<()> {
        // Most looks find nothing, and keep nobody waiting.
        if Self::load(state)?.untold(now).next().is_none() {
            return Ok(());
        }
        let _alone = super::alone(state)?;
        Self::load(state)?.tell_ends(state, ledger, now)
    }

    fn tell_ends(&mut self, state: &Path, ledger: &Ledger, now: Timestamp) -> anyhow::Result<()> {
        let over: Vec<Grant> = self.untold(now).cloned().collect();
        if over.is_empty() {
            return Ok(());
        }
        let is_unsure = over.iter().any(|grant| self.ending.contains(&grant.id));
        let told = if is_unsure { ends_in(ledger)? } else { BTreeSet::new() };
        self.ending.extend(over.iter().map(|grant| grant.id));
        self.save(state)?;
        for grant in &over {
            let object = end_of(grant);
            if !told.contains(&object) {
                // Nobody did it, so that there is no user.
                tell(ledger, "", END, object, now)?;
            }
        }
        for grant in &over {
            self.ending.remove(&grant.id);
            self.ended.insert(grant.id);
        }
        self.save(state)
    }

    /// Those that have ended by themselves, and the ledger may not know.
    fn untold(&self, now: Timestamp) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| {
            grant.revoked.is_none() && grant.end() <= now && !self.ended.contains(&grant.id)
        })
    }

    fn forget(&mut self, now: Timestamp) {
        self.grants.retain(|grant| now.duration_since(grant.end()) < KEPT);
        let Self { grants, ending, ended, .. } = self;
        for ids in [ending, ended] {
            ids.retain(|id| grants.iter().any(|grant| grant.id == *id));
        }
    }

    fn save(&self, state: &Path) -> anyhow::Result<()> {
        let file = state.join(FOLDER).join(FILE);
        let new = file.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("write {}", new.display()))?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, &file).with_context(|| format!("write {}", file.display()))?;
        // What a power cut takes back would be told again.
        File::open(state.join(FOLDER))?.sync_all()?;
        Ok(())
    }
}

/// What the ledger says of an end by itself: the same whenever it is written.
fn end_of(grant: &Grant) -> String {
    format!("#{} {} until {}, opened by {}", grant.id, grant.contractor, grant.until, grant.by)
}

/// What the ledger has said of ends.
fn ends_in(ledger: &Ledger) -> anyhow::Result<BTreeSet<String>> {
    let entries = ledger.entries().context("look in the ledger for openings that ended")?;
    let ends = entries.into_iter().filter_map(|entry| match entry.fact {
        Fact::Access { what, object, .. } if what == END => Some(object),
        _ => None,
    });
    Ok(ends.collect())
}

fn tell(ledger: &Ledger, by: &str, what: &str, object: String, now: Timestamp) -> anyhow::Result<()> {
    let fact = Fact::Access {
        user: by.to_owned(),
        role: String::new(),
        what: what.to_owned(),
        object,
        allowed: true,
    };
    ledger.append(fact, now).context("write it into the ledger")?;
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

    /// Objects of the lines on ends.
    fn ends(state: &Path, now: Timestamp) -> Vec<String> {
        let entries = Ledger::open(state, now).unwrap().entries().unwrap();
        let end = |fact| match fact {
            Fact::Access { user, what, object, .. } if what == END => Some(format!("{user}{object}")),
            _ => None,
        };
        entries.into_iter().filter_map(|entry| end(entry.fact)).collect()
    }

    #[test]
    fn an_end_by_itself_is_told_once_and_one_that_was_taken_back_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let now: Timestamp = "2025-06-01T12:00:00Z".parse().unwrap();
        let at = |minutes: i64| now + SignedDuration::from_mins(minutes);
        let ledger = Ledger::open(dir.path(), now).unwrap();
        for (name, hours) in [("vendor-a", 1.0), ("vendor-b", 1.0), ("vendor-c", 2.0)] {
            Grants::open(dir.path(), name, hours, "ticket 7", "local:sato", now).unwrap();
        }
        Grants::revoke(dir.path(), 2, "local", at(30)).unwrap();
        let a = "#1 vendor-a until 2025-06-01T13:00:00Z, opened by local:sato";
        let c = "#3 vendor-c until 2025-06-01T14:00:00Z, opened by local:sato";
        let until: [(i64, &[&str]); 5] = [(59, &[]), (60, &[a]), (61, &[a]), (300, &[a, c]), (301, &[a, c])];
        for (minutes, expected) in until {
            Grants::tell_ended(dir.path(), &ledger, at(minutes)).unwrap();
            assert_eq!(ends(dir.path(), at(minutes)), expected, "after {minutes} minutes");
        }
    }

    #[test]
    fn whoever_is_killed_while_telling_of_an_end_neither_loses_it_nor_tells_it_twice() {
        let now: Timestamp = "2025-06-01T12:00:00Z".parse().unwrap();
        let later = now + SignedDuration::from_hours(3);
        // Killed before the ledger had the line, and after.
        for had_it in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let ledger = Ledger::open(dir.path(), now).unwrap();
            for name in ["vendor-a", "vendor-b"] {
                Grants::open(dir.path(), name, 1.0, "ticket 7", "local", now).unwrap();
            }
            let mut all = Grants::load(dir.path()).unwrap();
            all.ending = BTreeSet::from([1, 2]);
            all.save(dir.path()).unwrap();
            if had_it {
                tell(&ledger, "", END, end_of(&all.grants[0]), later).unwrap();
            }
            for _ in 0..2 {
                Grants::tell_ended(dir.path(), &ledger, later).unwrap();
                let told = ends(dir.path(), later);
                assert_eq!(told.len(), 2, "{told:?}");
                assert!(told[0].contains("vendor-a") && told[1].contains("vendor-b"), "{told:?}");
            }
            let all = Grants::load(dir.path()).unwrap();
            assert_eq!((all.ending.len(), all.ended.len()), (0, 2));
        }
    }

    #[test]
    fn where_no_hub_runs_an_end_is_told_with_the_next_opening() {
        let dir = tempfile::tempdir().unwrap();
        let now: Timestamp = "2025-06-01T12:00:00Z".parse().unwrap();
        let later = now + KEPT + KEPT;
        Grants::open(dir.path(), "vendor-a", 1.0, "ticket 7", "local", now).unwrap();
        Grants::open(dir.path(), "vendor-a", 1.0, "ticket 8", "local", later).unwrap();
        assert_eq!(ends(dir.path(), later).len(), 1);
        let all = Grants::load(dir.path()).unwrap();
        assert_eq!((all.grants.len(), all.ended.len()), (1, 0), "what is old is forgotten once it is told");
    }

    #[test]
    fn a_file_that_knows_nothing_of_ends_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let now: Timestamp = "2025-06-01T12:00:00Z".parse().unwrap();
        fs::create_dir(dir.path().join(FOLDER)).unwrap();
        let kept = r#"{"version":1,"next":2,"grants":[{"id":1,"contractor":"vendor-a","from":"2025-06-01T10:00:00Z",
            "until":"2025-06-01T11:00:00Z","reason":"ticket 7","by":"local"}]}"#;
        fs::write(dir.path().join(FOLDER).join(FILE), kept).unwrap();
        Grants::tell_ended(dir.path(), &Ledger::open(dir.path(), now).unwrap(), now).unwrap();
        assert_eq!(ends(dir.path(), now).len(), 1);
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
