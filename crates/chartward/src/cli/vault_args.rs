//! Which vault a command works on, and how it is opened.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use recover::vault::{Password, RestAccess, Trust, Vault, VaultAt};

use super::password::PasswordArgs;
use crate::config;

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

/// No key and no certificate is larger; a wrong path must not read a disk image into memory.
const FILE_MAX: u64 = 256 * 1024;

/// How to get at a vault host. The key itself is never an argument: every user of the machine can read those.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RestArgs {
    /// File with the key for a vault host (else CHARTWARD_REST_KEY)
    #[arg(long, value_name = "FILE", env = "CHARTWARD_REST_KEY_FILE")]
    rest_key_file: Option<PathBuf>,
    /// File with the vault host's certificate or its authority (PEM)
    #[arg(long, value_name = "FILE", env = "CHARTWARD_REST_CA", conflicts_with = "rest_fingerprint")]
    rest_ca: Option<PathBuf>,
    /// SHA-256 of the vault host's certificate, as `vault serve` prints it
    #[arg(long, value_name = "HEX", env = "CHARTWARD_REST_FINGERPRINT")]
    rest_fingerprint: Option<String>,
}

impl RestArgs {
    /// What the configuration says.
    pub(crate) fn of(vault: &config::Vault) -> RestArgs {
        RestArgs {
            rest_key_file: vault.key_file.clone(),
            rest_ca: vault.ca.clone(),
            rest_fingerprint: vault.fingerprint.clone(),
        }
    }

    /// The same for a child process: where the key is, never the key.
    pub(crate) fn env(&self) -> Vec<(&'static str, OsString)> {
        let named = [
            ("CHARTWARD_REST_KEY_FILE", self.rest_key_file.as_ref().map(Into::into)),
            ("CHARTWARD_REST_CA", self.rest_ca.as_ref().map(Into::into)),
            ("CHARTWARD_REST_FINGERPRINT", self.rest_fingerprint.as_ref().map(Into::into)),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// What `--vault` names.
    pub(crate) fn at(&self, vault: &Path) -> anyhow::Result<VaultAt> {
        let Some(address) = vault.to_str().filter(|text| RestAccess::is_address(text)) else {
            return Ok(VaultAt::Folder(vault.to_owned()));
        };
        let key = match &self.rest_key_file {
            Some(path) => {
                String::from_utf8(small_file(path)?).context("the key file holds more than a key")?
            }
            None => env::var("CHARTWARD_REST_KEY")
                .context("no key for the vault host: give --rest-key-file FILE or set CHARTWARD_REST_KEY")?,
        };
        let trust = match (&self.rest_ca, &self.rest_fingerprint) {
            (Some(path), _) => Trust::Ca(small_file(path)?),
            (None, Some(text)) => match Trust::fingerprint(text) {
                Some(trust) => trust,
                None => bail!("a fingerprint has 64 hexadecimal digits, with or without colons"),
            },
            (None, None) => Trust::PublicRoots,
        };
        Ok(VaultAt::Rest(RestAccess::new(address, key.trim(), trust)?))
    }
}

fn small_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.len() as u64 <= FILE_MAX, "{} is larger than 256 KiB", path.display());
    Ok(bytes)
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
