//! `chartward rehearse NAME`, and the attacker's process that it starts.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::lang::LangArgs;
use crate::output::Output;
use crate::rehearse::{self, EncryptorArgs, Script};
use crate::sample;

/// Every record is read over SMB, one by one.
const PATIENTS_AGENTLESS: u32 = 200;
/// What is seen from outside is seen after seconds; so that the attacker is still at it then.
const SPEED_AGENTLESS: u32 = 50;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The incident
    name: Name,
    /// An empty or new folder to work in and to keep; without it a temporary one, of which the report stays
    #[arg(long, value_name = "D")]
    dir: Option<PathBuf>,
    /// See what happens without the guard or without the backup; can be given twice
    #[arg(long, value_name = "PART")]
    without: Vec<Part>,
    /// The store is a Samba share of a server on which nothing of ours runs, watched and backed up from outside; needs root and smbd
    #[arg(long, conflicts_with = "without")]
    agentless: bool,
    /// Files a second that the attacker encrypts; 0 is as fast as it can (default: 0, with --agentless 50)
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0")]
    speed: Option<u32>,
    /// Patients of the sample hospital (default: 3835, with --agentless 200)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=i64::from(sample::PATIENTS_MAX)))]
    patients: Option<u32>,
    /// Seed of the sample hospital
    #[arg(long, default_value_t = sample::SEED)]
    seed: u64,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    /// Uda City Hospital, October 2018: GandCrab
    #[value(name = "uda-2018")]
    Uda2018,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Guard,
    Backup,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Name::Uda2018 = args.name;
    let script = Script {
        dir: args.dir,
        patients: args.patients.unwrap_or(if args.agentless { PATIENTS_AGENTLESS } else { sample::PATIENTS }),
        seed: args.seed,
        files_per_second: args.speed.unwrap_or(if args.agentless { SPEED_AGENTLESS } else { 0 }),
        agentless: args.agentless,
        guard: !args.without.contains(&Part::Guard),
        backup: !args.without.contains(&Part::Backup),
        lang: args.lang.lang(),
    };
    let summary = rehearse::play(&script, Output::new(args.json))?;
    Ok(if summary.went_well() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The attacker's process; hidden, since it does nothing outside a rehearsal.
pub(crate) fn run_encryptor(args: &EncryptorArgs) -> anyhow::Result<ExitCode> {
    rehearse::run_encryptor(args)?;
    Ok(ExitCode::SUCCESS)
}
