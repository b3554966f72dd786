//! Walking the snapshots: what damage costs whom.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::super::id::{BlobKind, Id};
use super::super::progress::{Phase, Progress};
use super::super::repository::Vault;
use super::super::snapshot::Snapshot;
use super::super::tree::{Kind, MAX_DEPTH};
use super::{CheckReport, Damage, Problem};
use crate::Error;

/// Paths that are named for one problem; the rest is counted.
const MAX_PATHS: usize = 1000;

enum Cause {
    Packs(Vec<Id>),
    Other(String),
}

/// What each pack, and each other cause, costs.
#[derive(Default)]
pub(super) struct Walked {
    by_pack: BTreeMap<Id, BTreeSet<PathBuf>>,
    others: BTreeMap<String, BTreeSet<PathBuf>>,
}

impl Walked {
    fn add(&mut self, cause: Cause, path: PathBuf) {
        match cause {
            Cause::Packs(packs) => packs.into_iter().for_each(|pack| {
                self.by_pack.entry(pack).or_default().insert(path.clone());
            }),
            Cause::Other(what) => {
                self.others.entry(what).or_default().insert(path);
            }
        }
    }
}

impl Vault {
    /// Walks every directory of every snapshot once and finds what cannot be restored.
    pub(super) fn walk_snapshots(
        &self,
        snapshots: &[Snapshot],
        damage: &Damage,
        progress: &dyn Fn(Progress),
    ) -> Result<Walked, Error> {
        let mut walked = Walked::default();
        let mut seen = HashSet::new();
        let mut codec = self.codecs.take()?;
        for (done, snapshot) in snapshots.iter().rev().enumerate() {
            let mut stack = vec![(snapshot.tree, PathBuf::from("/"), 0)];
            while let Some((tree, path, depth)) = stack.pop() {
                if !seen.insert(tree) {
                    continue;
                }
                let nodes = match self.load_tree(&mut codec, &tree) {
                    Ok(nodes) if depth <= MAX_DEPTH => nodes,
                    Ok(_) => {
                        walked.add(Cause::Other("directories are nested too deeply".to_owned()), path);
                        continue;
                    }
                    Err(error) => {
                        let cause = match damage.blobs.get(&(BlobKind::Tree, tree)) {
                            Some(packs) => Cause::Packs(packs.clone()),
                            None => Cause::Other(error.to_string()),
                        };
                        walked.add(cause, path);
                        continue;
                    }
                };
                for node in nodes {
                    let path = path.join(OsStr::from_bytes(&node.name));
                    if !node.has_safe_name() {
                        walked.add(Cause::Other("names lead out of their folders".to_owned()), path);
                    } else if node.kind == Kind::Dir {
                        match node.subtree {
                            Some(tree) => stack.push((tree, path, depth + 1)),
                            None => walked
                                .add(Cause::Other("directories without a list of entries".to_owned()), path),
                        }
                    } else {
                        self.check_content(
                            node.content.as_deref().unwrap_or_default(),
                            path,
                            damage,
                            &mut walked,
                        );
                    }
                }
            }
            let total = Some(snapshots.len() as u64);
            progress(Progress { phase: Phase::Structure, done: done as u64 + 1, total, bytes: 0 });
        }
        self.codecs.give_back(codec);
        Ok(walked)
    }

    fn check_content(&self, content: &[Id], path: PathBuf, damage: &Damage, walked: &mut Walked) {
        let index = self.index();
        for id in content {
            let places = index.locations(BlobKind::Data, id);
            if places.is_empty() {
                return walked.add(Cause::Other(format!("content {id} is nowhere in the vault")), path);
            }
            let Some(packs) = damage.blobs.get(&(BlobKind::Data, *id)) else { continue };
            if places.iter().all(|place| packs.contains(&index.pack(place.pack).id)) {
                return walked.add(Cause::Packs(packs.clone()), path);
            }
        }
    }
}

/// Names each damage with the paths that it costs.
pub(super) fn name_damage(damage: Damage, mut walked: Walked, report: &mut CheckReport) {
    for (pack, cause) in damage.packs {
        let paths = walked.by_pack.remove(&pack).unwrap_or_default();
        let next = if paths.is_empty() {
            "no snapshot needs what is lost; the next backup stores again what it needs"
        } else {
            "fetch the pack from another copy of the vault; if there is none, back up again while the files still exist"
        };
        report.problems.push(Problem {
            paths_total: paths.len() as u64,
            ..Problem::new(&format!("pack {pack}: {cause}"), next)
        });
        if let Some(last) = report.problems.last_mut() {
            last.paths = paths.into_iter().take(MAX_PATHS).collect();
        }
    }
    for (what, paths) in walked.others {
        let mut found =
            Problem::new(&what, "fetch the missing packs from another copy of the vault, or back up again");
        found.paths_total = paths.len() as u64;
        found.paths = paths.into_iter().take(MAX_PATHS).collect();
        report.problems.push(found);
    }
}
