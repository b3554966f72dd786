//! The folder of one rehearsal: marked, so that the attacker works nowhere else.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::encryptor::MARKER;

/// A rehearsal's folders. They stay, so that people can look around.
pub(crate) struct Stage {
    root: PathBuf,
    token: String,
}

impl Stage {
    /// Makes and marks the folder: `dir`, which must be empty or new, or a temporary one.
    pub(crate) fn make(dir: Option<&Path>) -> anyhow::Result<Stage> {
        let root = match dir {
            Some(dir) => dir.to_path_buf(),
            None => tempfile::Builder::new().prefix("chartward-rehearsal-").tempdir()?.keep(),
        };
        fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        let root = root.canonicalize()?;
        let is_empty = fs::read_dir(&root)?.next().is_none();
        ensure!(is_empty, "{} is not empty: a rehearsal works only in a folder of its own", root.display());
        fs::set_permissions(&root, Permissions::from_mode(0o700))?;
        let token = random_hex()?;
        fs::write(root.join(MARKER), &token)?;
        for folder in ["hospital", "state", "report"] {
            fs::create_dir(root.join(folder))?;
        }
        Ok(Stage { root, token })
    }

    /// The folder of everything.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What the attacker must know.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The EMR's folder: what is protected and attacked.
    pub(crate) fn hospital(&self) -> PathBuf {
        self.root.join("hospital")
    }

    /// Where it is put while nobody may read it.
    pub(crate) fn isolated(&self) -> PathBuf {
        self.root.join("hospital-isolated")
    }

    /// The SS-MIX2 storage in it.
    pub(crate) fn storage(&self) -> PathBuf {
        self.hospital().join("ssmix2")
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.root.join("vault")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub(crate) fn guard_store(&self) -> PathBuf {
        self.root.join("guard")
    }

    /// Where the hub copies a share to before it backs it up.
    pub(crate) fn mirror(&self) -> PathBuf {
        self.root.join("mirror")
    }

    /// The account for a share.
    pub(crate) fn account(&self) -> PathBuf {
        self.root.join("share-account")
    }

    /// A clean folder to restore into.
    pub(crate) fn restored(&self) -> PathBuf {
        self.root.join("restored")
    }

    /// Where the attacker writes down what it does.
    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("attacker.jsonl")
    }

    /// Where what the attacker left behind is moved.
    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// A file with a passphrase made for this rehearsal.
    pub(crate) fn password_file(&self) -> anyhow::Result<PathBuf> {
        let path = self.root.join("vault-passphrase");
        if !path.exists() {
            fs::write(&path, random_hex()?)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        }
        Ok(path)
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.root.join("report")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.state().join(prove::ledger::FILE_NAME)
    }
}

pub(super) fn random_hex() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
