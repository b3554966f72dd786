//! Which folders a backup reads: each once, none within another, and never the vault.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::repository::Vault;
use crate::Error;

/// Paths without trailing slashes and dots, ordered, none twice and none within another.
///
/// Snapshots are of the same folders when these lists are equal, however the folders were written down.
pub(crate) fn distinct(paths: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut sorted: Vec<PathBuf> =
        paths.into_iter().map(|path| path.components().collect::<PathBuf>()).collect();
    sorted.sort();
    // Paths are ordered by component, so all that lies within a folder follows it at once.
    sorted.dedup_by(|inner, outer| inner.starts_with(outer));
    sorted
}

/// As [`distinct`], for what a snapshot's file says.
pub(crate) fn distinct_texts(paths: impl IntoIterator<Item = String>) -> Vec<String> {
    path_texts(&distinct(paths.into_iter().map(PathBuf::from)))
}

pub(crate) fn path_texts(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

impl Vault {
    /// The folders that were asked for, as [`distinct`] gives them. All of them must be there, and none in the vault.
    pub(crate) fn roots(&self, asked: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
        let unusable = |path: &Path, reason| Err(Error::UnusablePath { path: path.to_owned(), reason });
        if asked.is_empty() {
            return unusable(Path::new(""), "nothing to back up was named");
        }
        for root in asked {
            if !root.is_absolute() || root.components().any(|c| matches!(c, Component::ParentDir)) {
                return unusable(root, "it is not absolute, or contains `..`");
            }
            fs::symlink_metadata(root).map_err(|source| Error::RootMissing { path: root.clone(), source })?;
            if self.holds(root) {
                return unusable(root, "it is the vault, or lies in it");
            }
        }
        Ok(distinct(asked.iter().cloned()))
    }

    /// All paths of a snapshot: the roots as [`Vault::roots`] gives them, and the grafts, which must be folders or files and lie apart.
    pub(crate) fn roots_with_grafts(
        &self,
        asked: &[PathBuf],
        grafts: &BTreeMap<PathBuf, PathBuf>,
    ) -> Result<Vec<PathBuf>, Error> {
        let unusable = |path: &Path, reason| Err(Error::UnusablePath { path: path.to_owned(), reason });
        let roots = if asked.is_empty() && !grafts.is_empty() { Vec::new() } else { self.roots(asked)? };
        for at in grafts.values() {
            if !fs::symlink_metadata(at).is_ok_and(|meta| meta.is_dir() || meta.is_file()) {
                return unusable(at, "it is no folder and no file");
            }
            if self.holds(at) {
                return unusable(at, "it is the vault, or lies in it");
            }
        }
        let all = distinct(roots.iter().chain(grafts.keys()).cloned());
        if let Some(lost) = grafts.keys().find(|path| !all.contains(path)) {
            return unusable(lost, "a folder that is backed up has the same place in the snapshot");
        }
        Ok(all)
    }

    /// Whether a path is the vault's folder or lies in it, by whatever names.
    fn holds(&self, path: &Path) -> bool {
        let id = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        let vault = id(self.dir());
        vault.is_some() && path.ancestors().any(|folder| id(folder) == vault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_folders_are_the_same_list_however_they_are_written() {
        for (asked, expected) in [
            (&["/a/"][..], &["/a"][..]),
            (&["/b", "/a", "/b/"], &["/a", "/b"]),
            (&["/a/b", "/a", "/a-b", "/a/b/c"], &["/a", "/a-b"]),
            (&["/a/./b//c/."], &["/a/b/c"]),
            (&["/x", "/"], &["/"]),
        ] {
            assert_eq!(distinct_texts(asked.iter().map(ToString::to_string)), expected, "{asked:?}");
        }
    }
}
