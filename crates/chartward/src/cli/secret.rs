//! `chartward secret`: what the hub must know in the clear. Values come in by a file, standard input or a prompt,
//! never as an argument, and never come out.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Subcommand;

use super::user::Common;
use crate::access::desk::{Errand, Ran};

/// One byte more than a secret may have, so that a longer one is refused rather than cut.
const BYTES_MAX: u64 = 64 * 1024 + 1;

#[derive(clap::Args)]
pub(crate) struct SecretArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Store a secret, from --file, standard input or a prompt
    Set {
        /// Its name, such as vault.passphrase
        name: String,
        /// File that holds the value; a line break at its end is left out
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// List the names; values are never shown
    List(Common),
    /// Remove a secret
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        common: Common,
    },
}

pub(crate) fn run(args: SecretArgs) -> anyhow::Result<ExitCode> {
    let (errand, common) = match args.what {
        What::Set { name, file, common } => (Errand::SetSecret { name, value: value(file)? }, common),
        What::List(common) => (Errand::Secrets, common),
        What::Remove { name, common } => (Errand::RemoveSecret { name }, common),
    };
    let (ran, output) = common.run(errand)?;
    if let Ran::Secrets(names) = ran {
        for name in names {
            output.line(&serde_json::json!({ "type": "secret", "name": name }))?;
            output.say(&name);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn value(file: Option<PathBuf>) -> anyhow::Result<String> {
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    match file {
        Some(path) => {
            let read = File::open(&path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes));
            read.with_context(|| format!("cannot read {}", path.display()))?;
        }
        None if io::stdin().is_terminal() => {
            let typed = rpassword::prompt_password("Value: ").context("cannot read from the terminal")?;
            bytes.extend_from_slice(zeroize::Zeroizing::new(typed).as_bytes());
        }
        None => {
            io::stdin().take(BYTES_MAX).read_to_end(&mut bytes).context("cannot read standard input")?;
        }
    }
    let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    ensure!(!value.is_empty(), "the value is empty; nothing was stored");
    String::from_utf8(value.to_vec()).ok().context("the value is not text (UTF-8)")
}
