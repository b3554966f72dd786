//! What the tests of the vault share.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use recover::vault::{BackupReport, BackupRequest, KeyCost, Password, Vault};
pub(crate) use testkit::noise;

pub(crate) const PASSWORD: &str = "uda-2018";

pub(crate) fn password() -> Password {
    Password::new(PASSWORD)
}

/// A new vault beside a source folder, both in a temporary folder.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) vault: Vault,
}

impl Place {
    pub(crate) fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::init_with_cost(&dir.path().join("vault"), &password(), KeyCost::TEST).unwrap();
        fs::create_dir(dir.path().join("source")).unwrap();
        Place { dir, vault }
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    pub(crate) fn vault_dir(&self) -> PathBuf {
        self.dir.path().join("vault")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.source().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn backup(&self) -> BackupReport {
        self.vault.backup(self.request(), &|_| ()).unwrap()
    }

    pub(crate) fn request(&self) -> BackupRequest<'static> {
        BackupRequest::new(vec![self.source()])
    }

    /// The vault as another process would find it.
    pub(crate) fn reopen(&self) -> Vault {
        Vault::open(&self.vault_dir(), &password()).unwrap()
    }

    /// Restores the newest snapshot into a new folder and returns where the source lies in it.
    pub(crate) fn restore_latest(&self, name: &str) -> (PathBuf, recover::vault::RestoreReport) {
        let vault = self.reopen();
        let target = self.dir.path().join(name);
        let snapshot = vault.find("latest").unwrap();
        let report = vault.restore(&snapshot, &target, &[], &|_| ()).unwrap();
        (below(&target, &self.source()), report)
    }

    /// Runs a stock restic on the vault and fails the test if it fails.
    pub(crate) fn restic(&self, restic: &Path, args: &[&str]) -> Output {
        let output = self.restic_unchecked(restic, args);
        assert!(output.status.success(), "restic {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    pub(crate) fn restic_unchecked(&self, restic: &Path, args: &[&str]) -> Output {
        Command::new(restic)
            .args(["--no-cache", "-q", "-r"])
            .arg(self.vault_dir())
            .args(args)
            .env("RESTIC_PASSWORD", PASSWORD)
            .output()
            .unwrap()
    }

    pub(crate) fn packs(&self) -> Vec<PathBuf> {
        let mut packs: Vec<PathBuf> = fs::read_dir(self.vault_dir().join("data"))
            .unwrap()
            .flat_map(|dir| fs::read_dir(dir.unwrap().path()).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect();
        packs.sort();
        packs
    }
}

/// Where an absolute path of a snapshot lies in the folder that it was restored into.
pub(crate) fn below(target: &Path, path: &Path) -> PathBuf {
    target.join(path.strip_prefix("/").unwrap())
}

/// Everything about a tree that a restore should bring back, by relative path.
pub(crate) fn census(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut found = BTreeMap::new();
    let mut stack = vec![root.to_owned()];
    while let Some(path) = stack.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        let mut text = format!(
            "{:o} {}:{} {}.{:09}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec()
        );
        if kind.is_dir() {
            stack.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if kind.is_symlink() {
            text.push_str(&format!(" -> {:?}", fs::read_link(&path).unwrap()));
        } else if kind.is_file() {
            text.push_str(&format!(" {} x{} #{}", meta.len(), meta.nlink(), fingerprint(&path)));
        } else if kind.is_block_device() || kind.is_char_device() {
            text.push_str(&format!(" dev {}", meta.rdev()));
        }
        found.insert(path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(), text);
    }
    found
}

/// FNV-1a over the content; holes of huge files are only sampled.
fn fingerprint(path: &Path) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let meta = fs::metadata(path).unwrap();
    if meta.len() > 1 << 30 {
        return meta.len();
    }
    fs::read(path).unwrap().iter().fold(0xcbf2_9ce4_8422_2325, fold)
}
