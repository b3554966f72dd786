//! Where the vault's passphrase comes from: a file, the environment or a prompt, never an argument, since
//! arguments are readable by every user of the machine.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use recover::vault::Password;

/// No passphrase is longer; a wrong path must not read a disk image into memory.
const BYTES_MAX: u64 = 64 * 1024;

/// `--password-file` and the environment variables beside it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PasswordArgs {
    /// File that holds the vault's passphrase (else CHARTWARD_PASSWORD, else a prompt)
    #[arg(long, value_name = "FILE", env = "CHARTWARD_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArgs {
    /// The passphrase of a vault that exists.
    pub(crate) fn read(&self) -> anyhow::Result<Password> {
        self.read_bytes().map(Password::new)
    }

    /// The same as bytes.
    pub(crate) fn read_bytes(&self) -> anyhow::Result<Vec<u8>> {
        match self.without_prompt()? {
            Some(password) => Ok(password),
            None => not_empty(typed("Passphrase of the vault: ")?.into_bytes()),
        }
    }

    /// The passphrase for a new vault: typed twice at a prompt, and never empty.
    pub(crate) fn read_new(&self) -> anyhow::Result<Password> {
        match self.without_prompt()? {
            Some(password) => Ok(Password::new(password)),
            None => PasswordArgs::typed_twice(),
        }
    }

    /// A further passphrase: from a file of its own, else typed twice. Never from the variables that hold the present one.
    pub(crate) fn read_further(file: Option<&Path>) -> anyhow::Result<Password> {
        match file {
            Some(path) => from_file(path).map(Password::new),
            None => PasswordArgs::typed_twice(),
        }
    }

    fn typed_twice() -> anyhow::Result<Password> {
        let first = typed("New passphrase of the vault: ")?;
        ensure!(
            first == typed("The same passphrase again: ")?,
            "the two passphrases differ; nothing was made"
        );
        not_empty(first.into_bytes()).map(Password::new)
    }

    fn without_prompt(&self) -> anyhow::Result<Option<Vec<u8>>> {
        if let Some(path) = &self.password_file {
            return from_file(path).map(Some);
        }
        env::var_os("CHARTWARD_PASSWORD").map(|text| not_empty(text.into_encoded_bytes())).transpose()
    }
}

fn from_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read the password file {}", path.display()))?;
    ensure!(bytes.len() as u64 <= BYTES_MAX, "the password file {} is larger than 64 KiB", path.display());
    // As restic does, so that the same file opens the vault with either.
    not_empty(bytes.trim_ascii().to_vec())
        .with_context(|| format!("the password file {} cannot be used", path.display()))
}

fn typed(text: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        bail!(
            "no passphrase: give --password-file FILE or set CHARTWARD_PASSWORD_FILE or CHARTWARD_PASSWORD"
        );
    }
    rpassword::prompt_password(text).context("cannot read the passphrase from the terminal")
}

fn not_empty(bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    ensure!(!bytes.is_empty(), "the passphrase is empty");
    Ok(bytes)
}
