//! `chartward vault init|check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use prove::{Fact, Ledger};
use recover::vault::{CheckLevel, Vault};
use serde_json::json;

use super::password::PasswordArgs;
use super::progress::Bar;
use super::state_dir;
use super::vault_args::VaultArgs;
use crate::output::Output;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a vault: a restic repository (format version 2) in an empty folder
    Init(Init),
    /// Look for damage, and name the files that it costs
    Check(Check),
}

#[derive(clap::Args)]
struct Init {
    /// An empty or new folder on the backup medium
    dir: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
    /// State folder
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Check {
    #[command(flatten)]
    vault: VaultArgs,
    /// Read and verify every byte, not only the structure
    #[arg(long)]
    read_data: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Init(args) => init(&args),
        Command::Check(args) => check(&args),
    }
}

fn init(args: &Init) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let password = args.password.read_new()?;
    let vault = Vault::init(&args.dir, &password)?;
    let now = Timestamp::now();
    let ledger = Ledger::open(&state_dir(args.state.clone())?, now)?;
    ledger.append(Fact::VaultInitialised { vault_id: vault.id().to_owned() }, now)?;
    output.line(&json!({ "type": "vault", "id": vault.id(), "dir": args.dir }))?;
    if output == Output::People {
        output.say(format_args!("Made vault {} in {}.", &vault.id()[..8], args.dir.display()));
        output.say(
            "Without the passphrase nobody can read it, and nobody can help: write it on the recovery sheet",
        );
        output.say(format_args!(
            "(chartward recovery-sheet --vault {}) and keep that outside this building.",
            args.dir.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Check) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let vault = args.vault.open()?;
    let level = if args.read_data { CheckLevel::ReadData } else { CheckLevel::Structure };
    let bar = Bar::new(output, "checking");
    let report = vault.check(level, &|progress| bar.engine(&progress))?;
    bar.finish();
    for problem in &report.problems {
        output.line(&json!({
            "type": "problem",
            "what": problem.what,
            "paths": problem.paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
            "paths_total": problem.paths_total,
            "next_step": problem.next_step,
        }))?;
        eprintln!("chartward: {problem}");
    }
    output.line(&json!({
        "type": "summary",
        "problems": report.problems.len(),
        "snapshots": report.snapshots,
        "packs": report.packs,
        "bytes_read": report.bytes_read,
        "read_data": args.read_data,
    }))?;
    if output == Output::People {
        let depth = if args.read_data {
            "every byte was read"
        } else {
            "the structure; use --read-data to read every byte"
        };
        let (packs, snapshots, problems) = (report.packs, report.snapshots, report.problems.len());
        output.say(format_args!(
            "{packs} packs and {snapshots} snapshots were looked at ({depth}): {problems} problems."
        ));
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
