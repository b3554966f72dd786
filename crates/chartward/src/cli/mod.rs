//! The command line: one file for each subcommand, this one for what they share.
//!
//! Exit status everywhere: 0 done and nothing found, 1 something found or part of the work not done, 2 it could
//! not run.

mod password;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "chartward",
    version,
    about = "Keeps a hospital's electronic medical record alive through ransomware",
    after_help = "Start with `chartward rehearse uda-2018`: it makes a synthetic hospital, attacks it and brings it back."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {}

pub(crate) fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            explain(&error);
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {}
}

/// Prints the whole chain of causes, the operation first.
fn explain(error: &anyhow::Error) {
    eprintln!("chartward: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}

/// The state folder: as given, else `/var/lib/chartward` for root and the XDG state folder for others.
fn state_dir(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = given {
        return Ok(dir);
    }
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/chartward".into());
    }
    let state_home = env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))
        .context("no state folder: neither --state nor XDG_STATE_HOME nor HOME is set")?;
    Ok(state_home.join("chartward"))
}
