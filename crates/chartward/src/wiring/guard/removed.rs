//! The store of removed files: what it holds, and bringing it back.
//!
//! Removing is no attack, so nobody is stopped for it; but what was opened while the guard watched can be kept for a while. Each content lies
//! in a file of its own with what is known of it beside it, where only the guard's own user may look.

mod keeper;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use act::evidence::{private_dir, write_json};
use act::put_back::{Aside, Attributes, Bench, Damaged};
use act::undo::{Turn, Undo, Version};
use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(super) use self::keeper::{Job, Keeper};

const PLACES_MAX: usize = 256;
/// In the guard's store, and in its state folder for the way there.
const FOLDER: &str = "removed";
const BACK: &str = "brought-back";
const ENTRY_BYTES_MAX: u64 = 64 * 1024;
/// An evaluation's or a ward's worth; more are found by naming folders.
pub(crate) const ENTRIES_MAX: usize = 100_000;

/// How much is kept for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: u64,
    pub(crate) keep: SignedDuration,
}

/// Where a guard keeps what was removed, as it wrote it down for the commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) bounds: Bounds,
}

/// Whoever removed a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remover {
    /// In words: a process and its job, or a client of Samba's.
    pub(crate) words: String,
    pub(crate) pid: Option<i32>,
    pub(crate) uid: Option<u32>,
}

/// One removed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its number; higher is later.
    pub(crate) id: u64,
    pub(crate) path: PathBuf,
    /// The protected folder that it was in.
    pub(crate) tree: PathBuf,
    pub(crate) removed_at: Timestamp,
    pub(crate) remover: Remover,
    pub(crate) bytes: u64,
    pub(crate) attributes: Attributes,
    /// It shares its blocks with nobody now, but took no copying.
    pub(crate) reflinked: bool,
    /// It had not been there for an hour: it goes first when room is needed.
    pub(crate) short_lived: bool,
}

impl Entry {
    pub(crate) fn kept_until(&self, bounds: Bounds) -> Timestamp {
        self.removed_at.checked_add(bounds.keep).unwrap_or(Timestamp::MAX)
    }
}

impl Place {
    pub(super) fn new(store: &Path, bounds: Bounds) -> Self {
        Self { folder: store.join(FOLDER), bounds }
    }

    /// Writes down where it is. Several guards may share a state folder, so each has a file of its own.
    pub(super) fn write(&self, state: &Path) -> anyhow::Result<()> {
        let dir = private_dir(&state.join(FOLDER))?;
        let number = hex::encode(Sha256::digest(self.folder.as_os_str().as_encoded_bytes()));
        Ok(write_json(&dir.join(format!("{}.json", number.get(..16).unwrap_or_default())), self)?)
    }

    /// Where the guards with this state folder keep what was removed.
    pub(crate) fn all(state: &Path) -> anyhow::Result<Vec<Self>> {
        let dir = state.join(FOLDER);
        let files = fs::read_dir(&dir).with_context(|| {
            format!("find out from {} where a guard keeps what was removed", dir.display())
        })?;
        let paths = files.flatten().map(|file| file.path());
        let read = |path: PathBuf| {
            let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            serde_json::from_slice(&bytes).with_context(|| format!("understand {}", path.display()))
        };
        paths
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .take(PLACES_MAX)
            .map(read)
            .collect()
    }

    /// Everything that is kept, oldest first.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let read = |path: PathBuf| -> Option<Entry> {
            let id: u64 = path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()?;
            let mut bytes = Vec::new();
            File::open(&path).ok()?.take(ENTRY_BYTES_MAX).read_to_end(&mut bytes).ok()?;
            let entry: Entry = serde_json::from_slice(&bytes).ok()?;
            (entry.id == id && self.content(id).is_file()).then_some(entry)
        };
        let mut entries: Vec<Entry> = files.filter_map(|file| read(file.path())).take(ENTRIES_MAX).collect();
        entries.sort_by_key(|entry| entry.id);
        entries
    }

    fn content(&self, id: u64) -> PathBuf {
        self.folder.join(id.to_string())
    }

    fn note(&self, id: u64) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn forget(&self, id: u64) {
        // The note first: a content without one is nobody's and is cleared at the next start.
        let _ = fs::remove_file(self.note(id));
        let _ = fs::remove_file(self.content(id));
    }

    /// Puts files back where they were, or below `to`; never over anything. Gives what became of each and the id of the whole.
    pub(crate) fn bring_back(&self, entries: &[Entry], to: Option<&Path>) -> anyhow::Result<Brought> {
        let id = Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ").to_string();
        let folder = private_dir(&self.folder.join(BACK).join(&id))?;
        let aside = Aside::new(&private_dir(&folder.join("taken"))?, u64::MAX);
        let mut trees: BTreeMap<PathBuf, OwnedFd> = BTreeMap::new();
        let mut brought = Brought { id, back: Vec::new(), refused: Vec::new() };
        let mut undo = Undo::default();
        for entry in newest_of_each(entries) {
            let (tree, path) = match to {
                Some(to) => (to.to_owned(), entry.path.strip_prefix("/").unwrap_or(&entry.path)),
                None => (entry.tree.clone(), entry.path.strip_prefix(&entry.tree).unwrap_or(&entry.path)),
            };
            match self.bring_one(entry, &tree, path, &mut trees, &aside) {
                Ok(sha256) => {
                    let here = Version { sha256, attributes: entry.attributes, kept: None };
                    let (path, group) = (path.to_owned(), entry.id);
                    undo.note(Turn {
                        tree: tree.clone(),
                        path: path.clone(),
                        group,
                        here: Some(here),
                        there: None,
                        undone: false,
                    });
                    brought.back.push(tree.join(path));
                }
                Err(error) => brought.refused.push((tree.join(path), format!("{error:#}"))),
            }
            if undo.turns.len() % 1000 == 999 {
                undo.write(&folder)?;
            }
        }
        undo.write(&folder)?;
        Ok(brought)
    }

    fn bring_one(
        &self,
        entry: &Entry,
        tree: &Path,
        path: &Path,
        trees: &mut BTreeMap<PathBuf, OwnedFd>,
        aside: &Aside,
    ) -> anyhow::Result<String> {
        if !trees.contains_key(tree) {
            let open = File::open(tree).with_context(|| format!("open {}", tree.display()))?;
            trees.insert(tree.to_owned(), open.into());
        }
        let Some(tree) = trees.get(tree) else { bail!("open its folder") };
        let kept = self.content(entry.id);
        let content = File::open(&kept).context("open what was kept: it may have been let go meanwhile")?;
        let plain = Attributes { mode: entry.attributes.mode & 0o777, ..entry.attributes };
        let wanted = Damaged { before: path, now: None, inode: &content, attributes: plain };
        let bench = Bench { tree: tree.as_fd(), aside };
        // A reader of its own each time: the descriptor's position is shared by clones.
        let reader = || File::open(&kept).map_or_else(|_| Reader(None), |file| Reader(Some(file)));
        let put = bench.put_back(&wanted, reader, |_| false)?;
        Ok(put.sha256)
    }

    /// The folders with the lists of what was brought back under an id, or the beginning of one.
    pub(crate) fn brought(&self, id: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(self.folder.join(BACK)).into_iter().flatten().flatten();
        let begins =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(id));
        all.map(|entry| entry.path()).filter(begins).collect()
    }
}

struct Reader(Option<File>);

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.0 {
            Some(file) => file.read(buffer),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

/// What bringing back did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Brought {
    /// By which it can be undone.
    pub(crate) id: String,
    pub(crate) back: Vec<PathBuf>,
    /// What was left as it is, each with the reason.
    pub(crate) refused: Vec<(PathBuf, String)>,
}

/// A file that was removed several times is wanted as it was last.
fn newest_of_each(entries: &[Entry]) -> Vec<&Entry> {
    let mut newest: BTreeMap<&Path, &Entry> = BTreeMap::new();
    for entry in entries {
        let known = newest.entry(&entry.path).or_insert(entry);
        if entry.id > known.id {
            *known = entry;
        }
    }
    newest.into_values().collect()
}

#[cfg(test)]
mod tests;
