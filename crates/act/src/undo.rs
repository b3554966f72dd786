//! Taking a put-back back: the judgement was wrong, and what the stopped program had written is what is wanted.
//!
//! Beside each put-back stands, for every path, what is there now and what the program had left there. Undoing turns one into the
//! other, path by path, only where nothing was changed since, and turns the list round: that is how the undo itself is undone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::evidence::{private_dir, write_json, write_private};
use crate::process::{self, Process};
use crate::put_back::{Aside, Attributes, Bench, Taken};

const UNDO_BYTES_MAX: u64 = 256 << 20;
const ANNOUNCED_MAX: usize = 64;
/// As the put-back left it, and as it stands after an undo.
const FIRST: &str = "undo.json";
const NOW: &str = "undo-now.json";

/// What stands at a path, or stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// SHA-256 of the content.
    pub sha256: String,
    /// The attributes.
    pub attributes: Attributes,
    /// The content's name in the folder `taken`; none for what stands in the tree, and for what there was no room to keep.
    pub kept: Option<PathBuf>,
}

impl From<Taken> for Version {
    fn from(taken: Taken) -> Self {
        Self { sha256: taken.sha256, attributes: taken.attributes, kept: Some(taken.name) }
    }
}

/// One path and its two states; `None` where there is no file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The protected folder.
    pub tree: PathBuf,
    /// The path below it.
    pub path: PathBuf,
    /// Paths with one number turn together or not at all: a file's two names, an original and what replaced it.
    pub group: u64,
    /// What stands there now.
    pub here: Option<Version>,
    /// What the next turn brings.
    pub there: Option<Version>,
    /// It stands as the program had left it.
    #[serde(default)]
    pub undone: bool,
}

/// Which way to turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As the program had left it.
    Undo,
    /// As it was put back.
    TakeBack,
}

/// All paths of one stop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// The paths.
    pub turns: Vec<Turn>,
}

/// What came of an undo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Turned {
    /// Paths that now stand as the program had left them.
    pub turned: u64,
    /// Paths that were left as they are, each with the reason.
    pub refused: Vec<(PathBuf, String)>,
}

impl Undo {
    /// Takes note of a path. A path that is named twice, since one file made way for another there, becomes one.
    pub fn note(&mut self, turn: Turn) {
        let same = |known: &&mut Turn| known.tree == turn.tree && known.path == turn.path;
        let Some(known) = self.turns.iter_mut().find(same) else { return self.turns.push(turn) };
        known.here = known.here.take().or(turn.here);
        known.there = known.there.take().or(turn.there);
        let (from, to) = (turn.group, known.group);
        for turn in self.turns.iter_mut().filter(|turn| turn.group == from) {
            turn.group = to;
        }
    }

    /// Reads what a put-back left in `folder`.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        // The first list stays as it was sealed with the rest of the evidence.
        let path = Some(folder.join(NOW)).filter(|path| path.exists()).unwrap_or_else(|| folder.join(FIRST));
        let failed = |source| Error::ReadEvidence { path: path.clone(), source };
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(failed)?;
        file.take(UNDO_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        serde_json::from_slice(&bytes).map_err(|source| Error::ParseEvidence { path: path.clone(), source })
    }

    /// Writes it there, at the put-back.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        write_json(&folder.join(FIRST), self)
    }

    /// Turns every path whose group is as it was left, and writes that down.
    pub fn apply(&mut self, folder: &Path, way: Way) -> Result<Turned, Error> {
        let aside = Aside::new(&folder.join("taken"), u64::MAX);
        let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let due = |turn: &Turn| turn.undone == (way == Way::TakeBack);
        for (at, turn) in self.turns.iter().enumerate().filter(|(_, turn)| due(turn)) {
            groups.entry(turn.group).or_default().push(at);
        }
        let mut result = Turned::default();
        for members in groups.values() {
            let turns: Vec<Turn> = members.iter().filter_map(|at| self.turns.get(*at)).cloned().collect();
            match turn_together(&turns, &aside) {
                Ok(turned) => {
                    result.turned += turned.len() as u64;
                    for (at, turn) in members.iter().zip(turned) {
                        if let Some(known) = self.turns.get_mut(*at) {
                            *known = turn;
                        }
                    }
                }
                Err((path, reason)) => result.refused.push((path, reason)),
            }
        }
        write_json(&folder.join(NOW), self)?;
        Ok(result)
    }
}

/// Looks at all paths first, then clears them, then fills them.
fn turn_together(turns: &[Turn], aside: &Aside) -> Result<Vec<Turn>, (PathBuf, String)> {
    let said = |path: &Path, error: Error| (path.to_owned(), chain(&error));
    let mut trees: BTreeMap<&Path, File> = BTreeMap::new();
    for turn in turns {
        if !trees.contains_key(turn.tree.as_path()) {
            let open = File::open(&turn.tree)
                .map_err(|error| (turn.path.clone(), format!("its folder cannot be opened: {error}")))?;
            trees.insert(&turn.tree, open);
        }
    }
    let bench = |turn: &Turn| trees.get(turn.tree.as_path()).map(|tree| Bench { tree: tree.as_fd(), aside });
    let mut found = Vec::with_capacity(turns.len());
    for turn in turns {
        let Some(bench) = bench(turn) else { continue };
        let stands = bench.look(&turn.path).map_err(|error| said(&turn.path, error))?;
        let wanted = turn.here.as_ref().map(|version| &version.sha256);
        if stands.as_ref().map(|(_, sha256)| sha256) != wanted {
            return Err((turn.path.clone(), "it was changed since".into()));
        }
        let is_kept = |version: &Version| {
            version.kept.is_some()
                || turns.iter().any(|other| other.here.as_ref().is_some_and(|h| h.sha256 == version.sha256))
        };
        if turn.there.as_ref().is_some_and(|version| !is_kept(version)) {
            return Err((turn.path.clone(), "there was no room to keep what the program had written".into()));
        }
        found.push(stands.map(|(file, _)| file));
    }
    let mut turned: Vec<Turn> = Vec::with_capacity(turns.len());
    for (turn, stands) in turns.iter().zip(found) {
        let Some(bench) = bench(turn) else { continue };
        let kept = match (stands, &turn.there) {
            (None, _) => None,
            (Some(file), None) => Some(bench.move_aside(&turn.path, &file)),
            (Some(mut file), Some(_)) => Some(bench.copy_aside(&turn.path, &mut file)),
        };
        let kept = kept.transpose().map_err(|error| said(&turn.path, error))?;
        turned.push(Turn {
            here: turn.there.clone(),
            there: kept.map(Version::from),
            undone: !turn.undone,
            ..turn.clone()
        });
    }
    for turn in &turned {
        let (Some(bench), Some(version)) = (bench(turn), &turn.here) else { continue };
        let same = |other: &&Version| other.sha256 == version.sha256 && other.kept.is_some();
        let source = version.kept.as_ref().or_else(|| {
            turned.iter().filter_map(|turn| turn.there.as_ref()).find(same).and_then(|v| v.kept.as_ref())
        });
        let name = source.and_then(|name| name.file_name()).unwrap_or_default();
        let mut content = File::open(aside.dir().join(name))
            .map_err(|error| (turn.path.clone(), format!("what was kept cannot be read: {error}")))?;
        bench
            .place(&turn.path, &mut content, &version.attributes, &version.sha256)
            .map_err(|error| said(&turn.path, error))?;
    }
    Ok(turned)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        words = format!("{words}: {source}");
        next = source.source();
    }
    words
}

/// Tells guards that share the state folder that this process is about to put an undo into effect, which looks like an attack to them.
/// Dropped, it is no longer said.
#[derive(Debug)]
pub struct Announced {
    path: PathBuf,
}

impl Announced {
    /// Says it. Only who may write into the state folder can, and it holds for this process alone.
    pub fn new(state: &Path) -> Result<Self, Error> {
        let dir = private_dir(&state.join("undoing"))?;
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        let start_ticks = Process::of(pid).map_or(0, |process| process.start_ticks);
        let path = dir.join(format!("{pid}-{start_ticks}"));
        write_private(&path, b"")?;
        Ok(Self { path })
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Processes that put an undo into effect now. What a killed one left behind names nobody: start times are compared.
pub fn announced(state: &Path) -> Vec<(i32, u64)> {
    let Ok(entries) = fs::read_dir(state.join("undoing")) else { return vec![] };
    let named = entries.flatten().take(ANNOUNCED_MAX).filter_map(|entry| {
        let name = entry.file_name();
        let (pid, start_ticks) = name.to_str()?.split_once('-')?;
        Some((pid.parse::<i32>().ok()?, start_ticks.parse::<u64>().ok()?))
    });
    named.filter(|root| !process::tree(&[*root]).is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn version(sha256: &str, kept: Option<&str>, mode: u32) -> Version {
        let meta = fs::metadata("/proc/self").unwrap();
        let owner = (std::os::unix::fs::MetadataExt::uid(&meta), std::os::unix::fs::MetadataExt::gid(&meta));
        let attributes = Attributes { mode, owner, atime: (7, 0), mtime: (1_400_000_000, 9) };
        Version { sha256: sha256.into(), attributes, kept: kept.map(PathBuf::from) }
    }

    fn sha(bytes: &[u8]) -> String {
        crate::evidence::sha256_of(&mut &bytes[..]).unwrap()
    }

    /// A record that had been overwritten and renamed, one that had been written over in place, and one changed since.
    fn case() -> (tempfile::TempDir, Undo) {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        for folder in ["tree", "evidence/taken"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for (name, bytes) in [("renamed", b"original"), ("in place", b"original"), ("later", b"newer..!")] {
            fs::write(tree.join(name), bytes).unwrap();
            fs::write(dir.path().join(format!("evidence/taken/{name}.0")), format!("cipher of {name}"))
                .unwrap();
        }
        let mut undo = Undo::default();
        let here = Some(version(&sha(b"original"), None, 0o644));
        let there = |name: &str| {
            Some(version(&sha(format!("cipher of {name}").as_bytes()), Some(&format!("{name}.0")), 0o600))
        };
        let turn = |path: &str, group, here: &Option<Version>, there| Turn {
            tree: tree.clone(),
            path: path.into(),
            group,
            here: here.clone(),
            there,
            undone: false,
        };
        undo.note(turn("renamed", 1, &here, None));
        undo.note(turn("renamed.locked", 1, &None, there("renamed")));
        undo.note(turn("in place", 2, &here, there("in place")));
        undo.note(turn("later", 3, &here, there("later")));
        undo.write(&dir.path().join("evidence")).unwrap();
        (dir, undo)
    }

    #[test]
    fn a_put_back_is_undone_where_nothing_was_changed_since_and_the_undo_is_undone() {
        let (dir, written) = case();
        let (tree, evidence) = (dir.path().join("tree"), dir.path().join("evidence"));
        let mut undo = Undo::read(&evidence).unwrap();
        assert_eq!(undo, written);
        let turned = undo.apply(&evidence, Way::Undo).unwrap();
        assert_eq!((turned.turned, turned.refused.len()), (3, 1), "{turned:?}");
        assert!(!tree.join("renamed").exists());
        assert_eq!(fs::read(tree.join("renamed.locked")).unwrap(), b"cipher of renamed");
        assert_eq!(fs::read(tree.join("in place")).unwrap(), b"cipher of in place");
        assert_eq!(fs::read(tree.join("later")).unwrap(), b"newer..!");
        let meta = fs::metadata(tree.join("in place")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::os::unix::fs::MetadataExt::mtime(&meta), 1_400_000_000);

        let mut again = Undo::read(&evidence).unwrap();
        let back = again.apply(&evidence, Way::TakeBack).unwrap();
        assert_eq!((back.turned, back.refused.len()), (3, 0), "{back:?}");
        assert!(!tree.join("renamed.locked").exists());
        for name in ["renamed", "in place"] {
            assert_eq!(fs::read(tree.join(name)).unwrap(), b"original", "{name}");
        }
    }

    #[test]
    fn only_living_processes_are_announced() {
        let state = tempfile::tempdir().unwrap();
        assert!(announced(state.path()).is_empty());
        let said = Announced::new(state.path()).unwrap();
        fs::write(state.path().join("undoing/1-1"), "").unwrap();
        fs::write(state.path().join("undoing/nonsense"), "").unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(announced(state.path()).iter().map(|(pid, _)| *pid).collect::<Vec<_>>(), [pid]);
        drop(said);
        assert!(announced(state.path()).is_empty());
    }
}
