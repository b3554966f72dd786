//! Where a file is: by name and time, in all snapshots.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::files::Entry;
use super::glob::Pattern;
use super::id::Id;
use super::repository::Vault;
use super::snapshot::Snapshot;
use super::walk::{Step, Unlisted, Walk};

/// Folders without a match that are remembered: snapshots have most of theirs in common. Below 200 MB.
const MAX_BARREN: usize = 4_000_000;

/// What is looked for: entries that one of the patterns matches, last changed in a span of time.
#[derive(Debug, Default)]
pub struct FindRequest {
    /// As [`Pattern::matches`]; with `ignore_case` in lower case.
    pub patterns: Vec<Pattern>,
    /// Whether names match in lower case.
    pub ignore_case: bool,
    /// Nothing that was changed last before this.
    pub oldest: Option<Timestamp>,
    /// Nothing that was changed last after this.
    pub newest: Option<Timestamp>,
}

impl FindRequest {
    fn wants(&self, entry: &Entry) -> bool {
        let time = entry.mtime();
        if self.oldest.is_some_and(|oldest| time < oldest) || self.newest.is_some_and(|newest| time > newest)
        {
            return false;
        }
        let lower;
        let path: &Path = if self.ignore_case {
            lower = lower_case(&entry.path);
            &lower
        } else {
            &entry.path
        };
        self.patterns.iter().any(|pattern| pattern.matches(path))
    }
}

fn lower_case(path: &Path) -> PathBuf {
    let mut lower = Vec::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        lower.extend(chunk.valid().to_lowercase().bytes());
        lower.extend(chunk.invalid());
    }
    std::ffi::OsString::from_vec(lower).into()
}

/// Who is told of each match, and of each folder that could not be listed.
type See<'s> = &'s mut dyn FnMut(&Snapshot, Result<&Entry, &Unlisted>) -> ControlFlow<()>;

/// What a search came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FindReport {
    /// Matches in all snapshots together.
    pub hits: u64,
    /// Snapshots that were searched.
    pub snapshots: u64,
    /// Folders that could not be listed, so that there may be more.
    pub unlisted: u64,
}

impl Vault {
    /// Searches snapshots one after the other, and tells of each match and each folder that could not be listed until `see` breaks off.
    pub fn search(&self, snapshots: &[Snapshot], request: &FindRequest, see: See<'_>) -> FindReport {
        let mut barren = HashSet::new();
        let mut report = FindReport::default();
        for snapshot in snapshots {
            report.snapshots += 1;
            if self.search_one(snapshot, request, &mut barren, &mut report, see).is_break() {
                break;
            }
        }
        report
    }

    fn search_one(
        &self,
        snapshot: &Snapshot,
        request: &FindRequest,
        barren: &mut HashSet<u128>,
        report: &mut FindReport,
        see: See<'_>,
    ) -> ControlFlow<()> {
        // How much had been seen when each of the open folders was entered, beginning with the topmost.
        let mut seen_before = vec![report.hits + report.unlisted];
        let mut walk = Walk::new(self, PathBuf::from("/"), snapshot.tree);
        while let Some(step) = walk.step() {
            match step {
                Step::Entry(entry) => {
                    if request.wants(&entry) {
                        report.hits += 1;
                        see(snapshot, Ok(&entry))?;
                    }
                    let Some(tree) = entry.subtree() else { continue };
                    if barren.contains(&key(&entry.path, &tree)) {
                        walk.pass_over();
                    } else {
                        seen_before.push(report.hits + report.unlisted);
                    }
                }
                Step::Unlisted(unlisted) => {
                    seen_before.pop();
                    report.unlisted += 1;
                    see(snapshot, Err(&unlisted))?;
                }
                Step::Left { path, tree } => {
                    let before = seen_before.pop();
                    if before == Some(report.hits + report.unlisted) && barren.len() < MAX_BARREN {
                        barren.insert(key(&path, &tree));
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// A folder at a place: the same folder elsewhere may match by its path.
fn key(path: &Path, tree: &Id) -> u128 {
    let digest = Sha256::new().chain_update(tree.0).chain_update(path.as_os_str().as_bytes()).finalize();
    digest.iter().take(16).fold(0, |key, byte| key << 8 | u128::from(*byte))
}
