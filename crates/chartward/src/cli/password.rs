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
        match self.without_prompt()? {
            Some(password) => Ok(password),
            None => prompt("Passphrase of the vault: "),
        }
    }

    /// The passphrase for a new vault: typed twice at a prompt, and never empty.
    pub(crate) fn read_new(&self) -> anyhow::Result<Password> {
        match self.without_prompt()? {
            Some(password) => Ok(password),
            None => PasswordArgs::typed_twice(),
        }
    }

    /// A further passphrase: from a file of its own, else typed twice. Never from the variables that hold the present one.
    pub(crate) fn read_further(file: Option<&Path>) -> anyhow::Result<Password> {
        match file {
            Some(path) => from_file(path),
            None => PasswordArgs::typed_twice(),
        }
    }

    fn typed_twice() -> anyhow::Result<Password> {
        let first = typed("New passphrase of the vault: ")?;
        ensure!(
            first == typed("The same passphrase again: ")?,
            "the two passphrases differ; nothing was made"
        );
        password_of(first.into_bytes())
    }

    fn without_prompt(&self) -> anyhow::Result<Option<Password>> {
        if let Some(path) = &self.password_file {
            return from_file(path).map(Some);
        }
        env::var_os("CHARTWARD_PASSWORD").map(|text| password_of(text.into_encoded_bytes())).transpose()
    }
}

fn from_file(path: &Path) -> anyhow::Result<Password> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read the password file {}", path.display()))?;
    ensure!(bytes.len() as u64 <= BYTES_MAX, "the password file {} is larger than 64 KiB", path.display());
    // As restic does, so that the same file opens the vault with either.
    password_of(bytes.trim_ascii().to_vec())
        .with_context(|| format!("the password file {} cannot be used", path.display()))
}

fn prompt(text: &str) -> anyhow::Result<Password> {
    password_of(typed(text)?.into_bytes())
}

fn typed(text: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        bail!(
            "no passphrase: give --password-file FILE or set CHARTWARD_PASSWORD_FILE or CHARTWARD_PASSWORD"
        );
    }
    rpassword::prompt_password(text).context("cannot read the passphrase from the terminal")
}

fn password_of(bytes: Vec<u8>) -> anyhow::Result<Password> {
    ensure!(!bytes.is_empty(), "the passphrase is empty");
    Ok(Password::new(bytes))
}
