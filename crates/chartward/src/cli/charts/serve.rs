//! `chartward charts serve`: the downtime viewer, with nothing but the vault.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use jiff::SignedDuration;
use recover::vault::Vault;

use super::notes::NotesArgs;
use super::{FromArgs, Reading};
use crate::access::{Guests, open_sealed};
use crate::cli::state_dir;
use crate::viewer::{Keep, Shown};
use crate::{serving, viewer};

#[derive(clap::Args)]
pub(super) struct ServeArgs {
    /// Address and port; anything but loopback needs --certificate and --key
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8480")]
    listen: SocketAddr,
    /// Certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// File with the code that readers type (default: a new one, printed once)
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// State folder: the hub's, whose accounts then open charts, or one of the viewer's own for its record of access
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// How long an emergency access lasts
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=720))]
    emergency_minutes: u16,
    #[command(flatten)]
    notes: NotesArgs,
    #[command(flatten)]
    pub(super) from: FromArgs,
}

/// What lies in the state folder.
const FOLDER: &str = "charts";

pub(super) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let ServeArgs { listen, certificate, key, code_file, state, emergency_minutes, notes, from } = args;
    let tls = certificate.zip(key);
    ensure!(
        listen.ip().is_loopback() || tls.is_some(),
        "charts are not served to other machines in the clear: give --certificate and --key, or listen on 127.0.0.1"
    );
    let code = code(code_file)?;
    let state = state_dir(state)?;
    super::with_records(from, |reading| {
        let (listener, address) =
            serving::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
        let Reading { charts, basis, vault, again, lang, output } = reading;
        let record = record(&state, vault.as_ref().map(|(vault, _)| *vault))?;
        let guests = Guests::open(&state, &state.join(FOLDER)).context("cannot use the hub's accounts")?;
        let emergency = SignedDuration::from_mins(i64::from(emergency_minutes));
        let entrance = viewer::Entrance { listener, address, tls, code, guests, emergency, record };
        let keep = vault.map(|(vault, snapshot)| Keep { folder: state.join(FOLDER), vault, snapshot });
        let shown = Shown { charts, again, basis, keep };
        let extras = vec![viewer::notes::extra(notes.below(&state).book(lang, output))];
        viewer::serve(shown, entrance, extras, lang, output)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Where the record of access lies, and its key: the vault's, or, for a folder of records without one, that of the
/// state folder.
pub(super) fn record(state: &Path, vault: Option<&Vault>) -> anyhow::Result<(PathBuf, [u8; 32])> {
    const PURPOSE: &str = "record of access to charts";
    let folder = state.join(FOLDER);
    match vault {
        Some(vault) => Ok((folder.join(format!("vault-{:.12}", vault.id())), vault.key_for(PURPOSE))),
        None => {
            let sealed = open_sealed(state).context("cannot use the state folder")?;
            Ok((folder.join("folder"), sealed.key_for(PURPOSE)))
        }
    }
}

/// The code from its file, else eight groups of letters and digits that nobody mistakes for one another.
fn code(file: Option<PathBuf>) -> anyhow::Result<String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    if let Some(file) = file {
        let mut text = String::new();
        std::fs::File::open(&file)
            .and_then(|open| open.take(1024).read_to_string(&mut text))
            .with_context(|| format!("cannot read the code file {}", file.display()))?;
        ensure!(text.trim().len() >= 12, "the code in {} has fewer than 12 characters", file.display());
        return Ok(text.trim().to_owned());
    }
    let mut bytes = [0u8; 20];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("cannot draw a code: {error}"))?;
    let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    let letters: Vec<char> = letters.collect();
    Ok(letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}
