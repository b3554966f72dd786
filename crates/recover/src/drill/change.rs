//! What became of the files since the last proven snapshot, and which of that only an attacker does.
//!
//! Trees are compared by their hashes: what is the same is not looked at. The classes are those that Veeam's scan of restore points reports
//! (EncryptedData, DeletedUsefulFiles, RenamedFiles; RansomwareNotes and RansomwareExtensions come from [`crate::Signs`]), with Commvault's
//! changed types and file activity beyond three standard deviations.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use decode::content::{Chunk, Kind as Content, Sample};
use decode::ssmix2::locate;
use schema::{Activity, Shortfall, ShortfallKind};

use super::compare::shortfall;
use crate::error::Error;
use crate::examine::{is_noise, is_structured};
use crate::vault::{Entry, Id, Kind, SnapshotFiles};

/// Changed files whose type is compared.
const TYPES_MAX: usize = 5_000;
/// As much of a file tells its type.
const HEAD_BYTES: u64 = 64 << 10;
/// So many files that became noise are no accident.
const ENCRYPTED_MIN: u64 = 3;
/// Files of other classes: so many, and one of so many.
const MANY_MIN: u64 = 20;
const MANY_SHARE: u64 = 10;
/// Drills before an average says anything.
const HISTORY_MIN: usize = 5;
/// Activity below this is never remarkable.
const ACTIVITY_MIN: f64 = 100.0;
const SIGMAS: f64 = 3.0;
/// Folders deeper than this are not compared.
const DEPTH_MAX: usize = 256;

/// Everything that differs.
#[derive(Default)]
struct Difference {
    added: Vec<Entry>,
    changed: Vec<(Entry, Entry)>,
    deleted: Vec<Entry>,
    files_before: u64,
}

/// Compares the roots of two snapshots; `restored` is where the newer one lies.
pub(super) fn compare(
    old: &SnapshotFiles<'_>,
    new: &SnapshotFiles<'_>,
    roots: &[PathBuf],
    files_before: u64,
    restored: &Path,
    history: &[Activity],
) -> Result<(Activity, Vec<Shortfall>), Error> {
    let mut difference = Difference { files_before, ..Difference::default() };
    for root in roots.iter().filter(|root| !root.starts_with(crate::adapter::FOLDER)) {
        let entry = |files: &SnapshotFiles<'_>| match files.entry(root) {
            Ok(entry) => Ok(Some(entry)),
            Err(Error::PathNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        difference.pair(old, new, entry(old)?, entry(new)?, 0)?;
    }
    let renamed = difference.renamed();
    let activity = Activity {
        added: (difference.added.len() - renamed.len()) as u64,
        changed: difference.changed.len() as u64,
        deleted: (difference.deleted.len() - renamed.len()) as u64,
        renamed: renamed.len() as u64,
    };
    let mut found = difference.types(old, restored);
    found.extend(difference.deleted_useful(&renamed));
    found.extend(difference.renamed_many(&renamed));
    found.extend(beyond(history, activity));
    Ok((activity, found))
}

impl Difference {
    fn pair(
        &mut self,
        old: &SnapshotFiles<'_>,
        new: &SnapshotFiles<'_>,
        before: Option<Entry>,
        now: Option<Entry>,
        depth: usize,
    ) -> Result<(), Error> {
        let is = |entry: &Option<Entry>, kind| entry.as_ref().is_some_and(|entry| entry.kind() == kind);
        if depth > DEPTH_MAX || before.as_ref().zip(now.as_ref()).is_some_and(|(a, b)| a.holds_the_same(b)) {
            return Ok(());
        }
        if is(&before, Kind::Dir) || is(&now, Kind::Dir) {
            let list = |files: &SnapshotFiles<'_>, dir: Option<&Entry>| match dir {
                Some(dir) if dir.kind() == Kind::Dir => files.list(dir),
                _ => Ok(Vec::new()),
            };
            let (a, b) = (list(old, before.as_ref())?, list(new, now.as_ref())?);
            for (before, now) in merged(a, b) {
                self.pair(old, new, before, now, depth + 1)?;
            }
        }
        let file = |entry: Option<Entry>| entry.filter(|entry| entry.kind() == Kind::File);
        match (file(before), file(now)) {
            (Some(before), Some(now)) => self.changed.push((before, now)),
            (Some(before), None) => self.deleted.push(before),
            (None, Some(now)) => self.added.push(now),
            (None, None) => {}
        }
        Ok(())
    }

    /// From the old path to the new one. A record that was replaced gets another flag in its name, which is daily work.
    fn renamed(&self) -> Vec<(&Entry, &Entry)> {
        let mut gone: HashMap<&[Id], Vec<&Entry>> = HashMap::new();
        for entry in self.deleted.iter().filter(|entry| !entry.pieces().is_empty()) {
            gone.entry(entry.pieces()).or_default().push(entry);
        }
        let pairs = self.added.iter().filter_map(|added| Some((gone.get_mut(added.pieces())?.pop()?, added)));
        pairs.collect()
    }

    /// Files that hold noise now, or another format.
    fn types(&self, old: &SnapshotFiles<'_>, restored: &Path) -> Vec<Shortfall> {
        let (mut looked_at, mut encrypted, mut other) = (0_u64, 0_u64, 0_u64);
        let mut example = String::new();
        for (before, now) in self.changed.iter().take(TYPES_MAX) {
            let at = restored.join(now.path.strip_prefix("/").unwrap_or(&now.path));
            let mut head = Vec::new();
            let read = File::open(at).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head));
            let (Ok(_), Ok(mut earlier)) = (read, old.head(before)) else { continue };
            earlier.truncate(usize::try_from(HEAD_BYTES).unwrap_or(usize::MAX));
            looked_at += 1;
            let (was, is) = (kind(&earlier, before.size()), kind(&head, now.size()));
            if is == Content::Unknown && was.family().is_some() && is_noise(&head) {
                encrypted += 1;
                example = now.path.display().to_string();
            } else if was.family().is_some() && is.family().is_some() && was.family() != is.family() {
                other += 1;
            }
        }
        let mut found = Vec::new();
        if encrypted >= ENCRYPTED_MIN {
            let detail = format!(
                "{encrypted} of {looked_at} changed files had a readable format and are noise now, such as {example}"
            );
            found.push(shortfall(ShortfallKind::Encrypted, "EncryptedData", detail));
        }
        if other >= MANY_MIN && other * MANY_SHARE >= looked_at {
            let detail = format!("{other} of {looked_at} changed files hold another format than before");
            found.push(shortfall(ShortfallKind::TypeChanged, "formats", detail));
        }
        found
    }

    fn deleted_useful(&self, renamed: &[(&Entry, &Entry)]) -> Option<Shortfall> {
        let useful = |entry: &&Entry| is_structured(&entry.path) || locate(&entry.path).is_some();
        let deleted = self.deleted.iter().filter(useful).count() as u64;
        let moved = renamed.iter().filter(|(before, _)| useful(before)).count() as u64;
        let gone = deleted.saturating_sub(moved);
        let detail = format!("{gone} documents and records of the last proven snapshot are gone");
        self.is_many(gone).then(|| shortfall(ShortfallKind::Deleted, "DeletedUsefulFiles", detail))
    }

    fn renamed_many(&self, renamed: &[(&Entry, &Entry)]) -> Option<Shortfall> {
        let patient = |entry: &Entry| locate(&entry.path).map(|record| record.name.key());
        let strange = renamed.iter().filter(|(before, now)| {
            before.path.file_name() != now.path.file_name()
                && (patient(before).is_none() || patient(before) != patient(now))
        });
        let count = strange.count() as u64;
        let detail = format!("{count} files have the content that other names had");
        self.is_many(count).then(|| shortfall(ShortfallKind::Renamed, "RenamedFiles", detail))
    }

    fn is_many(&self, count: u64) -> bool {
        count >= MANY_MIN && count.saturating_mul(MANY_SHARE) >= self.files_before
    }
}

/// Two lists that are ordered by name, side by side.
fn merged(before: Vec<Entry>, now: Vec<Entry>) -> Vec<(Option<Entry>, Option<Entry>)> {
    let (mut before, mut now) = (before.into_iter().peekable(), now.into_iter().peekable());
    let mut pairs = Vec::new();
    loop {
        let order = match (before.peek(), now.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => a.path.file_name().cmp(&b.path.file_name()),
        };
        pairs.push(match order {
            std::cmp::Ordering::Less => (before.next(), None),
            std::cmp::Ordering::Greater => (None, now.next()),
            std::cmp::Ordering::Equal => (before.next(), now.next()),
        });
    }
}

fn kind(head: &[u8], len: u64) -> Content {
    Content::of(&Sample { len, chunks: vec![Chunk { offset: 0, bytes: head.to_vec() }] })
}

/// Far beyond what drills of this job saw before.
fn beyond(history: &[Activity], now: Activity) -> Option<Shortfall> {
    if history.len() < HISTORY_MIN {
        return None;
    }
    let totals: Vec<f64> = history.iter().map(|activity| activity.total() as f64).collect();
    let mean = totals.iter().sum::<f64>() / totals.len() as f64;
    let variance = totals.iter().map(|total| (total - mean).powi(2)).sum::<f64>() / totals.len() as f64;
    // A store that changes by the same number every night would make of every other number an alarm.
    let sigma = variance.sqrt().max(mean / 10.0);
    let total = now.total() as f64;
    let detail = format!(
        "{} files changed, {mean:.0} ± {sigma:.0} between the {} drills before",
        now.total(),
        history.len()
    );
    (total > ACTIVITY_MIN && total > mean + SIGMAS * sigma)
        .then(|| shortfall(ShortfallKind::Activity, "file activity", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_is_remarkable_beyond_three_standard_deviations() {
        let of = |changed| Activity { changed, ..Activity::default() };
        let nights: Vec<Activity> = [100, 120, 90, 110, 105, 95].map(of).to_vec();
        for (history, now, expected) in [
            (&nights[..], 130, false),
            (&nights[..], 400, true),
            (&nights[..4], 4_000, false),
            (&[of(1); 6][..], 90, false),
        ] {
            assert_eq!(beyond(history, of(now)).is_some(), expected, "{now}");
        }
    }
}
