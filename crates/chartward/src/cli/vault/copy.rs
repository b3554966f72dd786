//! `chartward vault copy`: a second copy of the vault in another folder.

use std::path::PathBuf;
use std::process::ExitCode;

use recover::Error;
use recover::vault::{CopyRequest, Vault};
use serde_json::Value;

use super::super::progress::Bar;
use super::super::vault_args::VaultArgs;
use crate::output::{Output, printable};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The copy's folder: missing, empty, or a copy of this vault, which is brought up to date
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Only so many of the newest snapshots of each thing that is protected (default: all)
    #[arg(long, value_name = "N")]
    newest: Option<usize>,
    /// Read back everything in the copy, not only what is written now
    #[arg(long)]
    read_data: bool,
    #[command(flatten)]
    vault: VaultArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let vault = args.vault.open()?;
    match Vault::probe(&args.to) {
        Err(Error::MediumAbsent { .. } | Error::NoRepository { .. }) => vault.begin_copy(&args.to)?,
        other => other?,
    }
    let request = CopyRequest { first: Vec::new(), newest: args.newest, read_all: args.read_data };
    let bar = Bar::new(output, "copying");
    let report = vault.copy_to(&args.to, &request, &|progress| bar.engine(&progress))?;
    bar.finish();
    for problem in &report.problems {
        eprintln!("chartward: {}", printable(problem));
    }
    if report.bytes_without_room > 0 {
        eprintln!(
            "chartward: there is no room for {} bytes more; what is there is whole",
            report.bytes_without_room
        );
    }
    let mut line = serde_json::to_value(&report)?;
    if let Value::Object(fields) = &mut line {
        fields.insert("type".to_owned(), "summary".into());
    }
    output.line(&line)?;
    output.say(format_args!(
        "{} snapshots were copied, {} are there; {} bytes were written and {} read back.",
        report.snapshots_copied,
        report.snapshots,
        report.bytes_copied,
        report.read_back.bytes()
    ));
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
