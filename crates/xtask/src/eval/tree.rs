//! The files that an attack or a job works on, as they were and as they are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::tidy;

/// Every file below a folder by its path there, with the SHA-256 of its content.
pub(crate) type Contents = BTreeMap<PathBuf, [u8; 32]>;

/// What an attack left of a tree.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    /// Files whose content is gone or another one.
    pub(crate) irrecoverable: Vec<PathBuf>,
    /// Files that were not there before.
    pub(crate) leftovers: Vec<PathBuf>,
}

/// Copies the corpus to `tree`, anew, and waits until it is on the disk: an attack finds files that were there for long.
pub(crate) fn lay_out(corpus: &Path, tree: &Path) -> anyhow::Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree).context("clear the tree")?;
    }
    tidy::run(Command::new("cp").args(["-a", "--reflink=never"]).arg(corpus).arg(tree))?;
    tidy::run(Command::new("sync").arg("-f").arg(tree))?;
    Ok(())
}

pub(crate) fn contents(tree: &Path) -> anyhow::Result<Contents> {
    let mut found = Contents::new();
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.with_context(|| format!("list {}", folder.display()))?,
        };
        for entry in entries {
            let path = entry?.path();
            let kind = fs::symlink_metadata(&path)?.file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let hash = hash(&path).with_context(|| format!("read {}", path.display()))?;
                found.insert(path.strip_prefix(tree)?.to_owned(), hash);
            }
        }
    }
    Ok(found)
}

pub(crate) fn compare(before: &Contents, after: &Contents) -> Damage {
    let lost = before.iter().filter(|(path, hash)| after.get(*path) != Some(hash));
    let new = after.keys().filter(|path| !before.contains_key(*path));
    Damage { irrecoverable: lost.map(|(path, _)| path.clone()).collect(), leftovers: new.cloned().collect() }
}

fn hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            len => hasher.update(buffer.get(..len).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_what_went_and_what_came_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &str| fs::write(dir.path().join(name), content).unwrap();
        for name in ["same", "changed", "gone"] {
            put(name, name);
        }
        let before = contents(dir.path()).unwrap();
        put("changed", "otherwise");
        put("new", "");
        fs::remove_file(dir.path().join("gone")).unwrap();
        let damage = compare(&before, &contents(dir.path()).unwrap());
        assert_eq!(damage.irrecoverable, [PathBuf::from("changed"), "gone".into()]);
        assert_eq!(damage.leftovers, [PathBuf::from("new")]);
    }
}
