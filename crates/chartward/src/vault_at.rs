//! Where a vault is, and what it takes to get at it: said on a command line, or by the configuration.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use recover::vault::{RestAccess, Trust, VaultAt};

use crate::config;

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
