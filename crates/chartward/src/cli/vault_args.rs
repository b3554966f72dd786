//! Which vault a command works on, and how it is opened.

use std::path::{Path, PathBuf};

use anyhow::Context;
use recover::vault::{Password, Vault, VaultAt};

use super::password::PasswordArgs;
pub(crate) use crate::vault_at::RestArgs;

/// `--vault` with the passphrase's sources.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct VaultArgs {
    /// Folder of the vault, or rest:https://HOST:PORT/NAME/ for a vault host
    #[arg(long, value_name = "DIR", env = "CHARTWARD_VAULT")]
    vault: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    rest: RestArgs,
}

impl VaultArgs {
    /// Where the vault is, or should be.
    pub(crate) fn dir(&self) -> &Path {
        &self.vault
    }

    /// The passphrase as it was typed, for a copy of this program.
    pub(crate) fn passphrase(&self) -> anyhow::Result<Vec<u8>> {
        self.password.read_bytes()
    }

    /// The same, with what it takes to get at it.
    pub(crate) fn at(&self) -> anyhow::Result<VaultAt> {
        self.rest.at(&self.vault)
    }

    /// Opens the vault. A medium that is absent or empty is found before anybody is asked for a passphrase.
    pub(crate) fn open(&self) -> anyhow::Result<Vault> {
        self.open_with().map(|(vault, _)| vault)
    }

    /// The same, with the passphrase that opened it.
    pub(crate) fn open_with(&self) -> anyhow::Result<(Vault, Password)> {
        let at = self.at()?;
        Vault::probe(&at)?;
        let password = self.password.read()?;
        let vault = Vault::open(&at, &password)
            .with_context(|| format!("cannot open the vault in {}", self.vault.display()))?;
        for note in vault.notes() {
            eprintln!("chartward: {note}");
        }
        Ok((vault, password))
    }
}

/// Names every snapshot file that cannot be read; `false` when there is one. What is not listed must not look as if it
/// had never been there.
pub(crate) fn name_unreadable_snapshots(vault: &Vault) -> anyhow::Result<bool> {
    let (_, unreadable) = vault.snapshots()?;
    for error in &unreadable {
        eprintln!("chartward: a snapshot cannot be read: {error}");
        if let Some(step) = error.next_step() {
            eprintln!("  next: {step}");
        }
    }
    Ok(unreadable.is_empty())
}
