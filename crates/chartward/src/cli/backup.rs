//! `chartward backup SRC… --vault DIR`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Fact, Ledger};
use recover::capture::{CaptureRequest, Captured, capture};
use recover::vault::Vault;
use serde_json::json;

use super::progress::Bar;
use super::sandbox::Sandbox;
use super::state_dir;
use super::vault_args::VaultArgs;
use crate::output::Output;

/// Exceptions printed one by one; all of them stand in the snapshot's manifest.
const NAMED_MAX: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folders or files to back up
    #[arg(required = true)]
    sources: Vec<PathBuf>,
    #[command(flatten)]
    vault: VaultArgs,
    /// Label of the snapshot
    #[arg(long, value_name = "T")]
    tag: Vec<String>,
    /// Leave this path out
    #[arg(long, value_name = "PATH")]
    exclude: Vec<PathBuf>,
    /// Where copies of databases lie while they are read; on an encrypted disk if you can
    #[arg(long, value_name = "DIR")]
    sandbox: Option<PathBuf>,
    /// State folder
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// What a backup needs besides the open vault.
pub(crate) struct Backup {
    pub(crate) sources: Vec<PathBuf>,
    pub(crate) exclude: Vec<PathBuf>,
    pub(crate) tags: Vec<String>,
    pub(crate) sandbox: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let vault = args.vault.open()?;
    let ledger = Ledger::open(&state_dir(args.state)?, Timestamp::now())?;
    let backup =
        Backup { sources: args.sources, exclude: args.exclude, tags: args.tag, sandbox: args.sandbox };
    let captured = match backup.perform(&vault, &ledger, output) {
        Ok(captured) => captured,
        Err(error) => {
            super::explain(&error);
            eprintln!("chartward: no snapshot was made; the ones before are as they were");
            return Ok(ExitCode::from(1));
        }
    };
    summary(&captured, output)?;
    Ok(if captured.manifest.exceptions.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl Backup {
    /// Captures, seals and writes the fact into the ledger.
    pub(crate) fn perform(self, vault: &Vault, ledger: &Ledger, output: Output) -> anyhow::Result<Captured> {
        let staging = Sandbox::on_disk("capture", self.sandbox.as_deref())?;
        let roots = self
            .sources
            .iter()
            .map(|source| {
                std::path::absolute(source).with_context(|| format!("cannot use {}", source.display()))
            })
            .collect::<Result<_, _>>()?;
        let request = CaptureRequest {
            roots,
            exclude: self.exclude,
            tags: self.tags,
            hostname: hostname(),
            zone: TimeZone::system(),
            staging: staging.path().to_path_buf(),
        };
        let bar = Bar::new(output, "backing up");
        let captured = capture(vault, &request, &Timestamp::now, &|progress| bar.engine(&progress))?;
        bar.finish();
        ledger.append(sealed(vault, &captured), Timestamp::now())?;
        Ok(captured)
    }
}

fn sealed(vault: &Vault, captured: &Captured) -> Fact {
    let Captured { snapshot, manifest, .. } = captured;
    Fact::SnapshotSealed {
        vault_id: vault.id().to_owned(),
        snapshot: snapshot.clone(),
        captured_at: manifest.started_at,
        files: manifest.census.files,
        bytes: manifest.census.bytes,
        exceptions: manifest.exceptions.len() as u64,
        patients: manifest.census.patients(),
    }
}

fn summary(captured: &Captured, output: Output) -> anyhow::Result<()> {
    let Captured { snapshot, manifest, report } = captured;
    for exception in manifest.exceptions.iter().take(NAMED_MAX) {
        eprintln!("chartward: {:?}: {}: {}", exception.kind, exception.path, exception.cause);
    }
    if let Some(more) = manifest.exceptions.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        eprintln!("chartward: and {more} more; see `chartward snapshots --exceptions`");
    }
    for exception in &manifest.exceptions {
        output.line(&json!({ "type": "exception", "path": exception.path, "kind": exception.kind, "cause": exception.cause }))?;
    }
    let census = &manifest.census;
    output.line(&json!({
        "type": "summary",
        "snapshot": snapshot,
        "files": census.files,
        "files_new": report.files_new,
        "files_changed": report.files_changed,
        "files_unmodified": report.files_unmodified,
        "bytes": census.bytes,
        "bytes_added": report.bytes_added,
        "patients": census.patients(),
        "records": census.records(),
        "databases": census.databases,
        "exceptions": manifest.exceptions.len(),
        "seconds": manifest.finished_at.duration_since(manifest.started_at).as_secs_f64(),
    }))?;
    if output == Output::People {
        output.say(format_args!(
            "Snapshot {}: {} files ({} new, {} changed), {} patients, {} records, {} databases.",
            snapshot.short(),
            census.files,
            report.files_new,
            report.files_changed,
            census.patients(),
            census.records(),
            census.databases.len()
        ));
        output.say("It is not proven yet: run `chartward drill`.");
    }
    Ok(())
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
