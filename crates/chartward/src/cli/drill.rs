//! `chartward drill --vault DIR`: restore, read everything, sign the outcome.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Fact, Ledger};
use recover::drill::{DrillRequest, DrillStep, drill};
use recover::manifest;
use recover::proof::{self, RestoredTo};
use recover::vault::{Snapshot, Vault};
use schema::{Drill, Proof, Shortfall};
use serde_json::json;

use super::progress::Bar;
use super::sandbox::Sandbox;
use super::state_dir;
use super::vault_args::VaultArgs;
use crate::output::Output;

/// Shortfalls printed one by one.
const NAMED_MAX: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A snapshot's id or its first digits; without it the newest one
    snapshot: Option<String>,
    #[command(flatten)]
    vault: VaultArgs,
    /// Folder for the sandbox, which is removed at the end (default: in memory where it fits, else the temporary folder)
    #[arg(long, value_name = "DIR")]
    sandbox: Option<PathBuf>,
    /// As on a bare machine: restore into this empty folder, with nothing but the vault, and leave it there
    #[arg(long, value_name = "DIR", conflicts_with = "sandbox")]
    from_bare: Option<PathBuf>,
    /// State folder
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// Where a drill restores to.
pub(crate) enum Place {
    /// Removed at the end.
    Sandbox(Sandbox),
    /// Left where it is.
    Kept(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Place::Sandbox(sandbox) => sandbox.path(),
            Place::Kept(folder) => folder,
        }
    }

    fn medium(&self) -> RestoredTo {
        match self {
            Place::Sandbox(sandbox) if sandbox.is_in_memory() => RestoredTo::Memory,
            _ => RestoredTo::Disk,
        }
    }
}

/// A drill with its signed outcome.
pub(crate) struct Drilled {
    pub(crate) drill: Drill,
    pub(crate) proof: Proof,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let vault = args.vault.open()?;
    let ledger = Ledger::open(&state_dir(args.state)?, Timestamp::now())?;
    let snapshot = select(&vault, args.snapshot.as_deref())?;
    let manifest = manifest::read(&vault, &snapshot)?;
    let (files, bytes) =
        manifest.map_or((0, u64::MAX), |manifest| (manifest.census.files, manifest.census.bytes));
    let place = match args.from_bare {
        Some(folder) => Place::Kept(empty_folder(folder)?),
        None => Place::Sandbox(Sandbox::for_files(files, bytes, args.sandbox.as_deref())?),
    };
    let drilled = perform(&vault, &ledger, &snapshot, &place, output)?;
    tell(&drilled, output)?;
    let nothing_found = drilled.drill.passed() && drilled.drill.remarks.is_empty();
    Ok(if nothing_found { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn select(vault: &Vault, wanted: Option<&str>) -> anyhow::Result<Snapshot> {
    match wanted {
        Some(id) => Ok(vault.find(id)?),
        None => proof::data_snapshots(vault)?.pop().with_context(|| {
            format!("the vault in {} holds no snapshot: nothing was ever backed up", vault.dir().display())
        }),
    }
}

fn empty_folder(folder: PathBuf) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    ensure!(std::fs::read_dir(&folder)?.next().is_none(), "{} is not empty", folder.display());
    Ok(folder)
}

/// Drills, signs the outcome into the ledger and writes both into the vault.
pub(crate) fn perform(
    vault: &Vault,
    ledger: &Ledger,
    snapshot: &Snapshot,
    place: &Place,
    output: Output,
) -> anyhow::Result<Drilled> {
    let previous = proof::census_of_newest_proven_before(vault, snapshot)?;
    let bar = Bar::new(output, "restoring");
    let request = DrillRequest {
        snapshot,
        sandbox: place.path(),
        previous: previous.as_ref(),
        zone: TimeZone::system(),
        now: &Timestamp::now,
    };
    let drill = drill(vault, &request, &|step| match step {
        DrillStep::Restoring(progress) => bar.engine(&progress),
        DrillStep::Reading { files, total } => {
            bar.now("reading");
            bar.at(files, total);
        }
    })?;
    bar.finish();
    let proof = proof::of_drill(&drill, vault.id(), place.medium());
    let fact = if proof.passed {
        Fact::DrillPassed { proof: proof.clone() }
    } else {
        Fact::DrillFailed { proof: proof.clone() }
    };
    let entry = ledger.append(fact, Timestamp::now())?;
    let head = ledger.head()?;
    proof::store(vault, &proof, &serde_json::to_vec_pretty(&json!({ "entry": entry, "head": head }))?)?;
    Ok(Drilled { drill, proof })
}

fn tell(drilled: &Drilled, output: Output) -> anyhow::Result<()> {
    let Drilled { drill, proof } = drilled;
    name("", &drill.shortfalls);
    name("was so when it was captured: ", &drill.remarks);
    output.line(&json!({ "type": "drill", "drill": drill }))?;
    output.line(&json!({ "type": "summary", "passed": proof.passed, "proof": proof }))?;
    if output == Output::People {
        let verdict = if proof.passed { "PASSED" } else { "FAILED" };
        output.say(format_args!(
            "{verdict}: snapshot {} of {}: {} files restored, {} patients, {} records decoded, {} database rows counted.",
            proof.snapshot.short(),
            proof.captured_at,
            proof.files,
            proof.patients,
            proof.records,
            proof.database_rows
        ));
        let first_chart = proof.rto_first_chart_seconds.map_or_else(
            || "there is no chart in it".to_owned(),
            |seconds| format!("first chart after {seconds:.2} s"),
        );
        output.say(format_args!(
            "{first_chart}; everything back and read after {:.1} s.",
            proof.rto_full_seconds
        ));
    }
    Ok(())
}

fn name(prefix: &str, found: &[Shortfall]) {
    for shortfall in found.iter().take(NAMED_MAX) {
        eprintln!("chartward: {prefix}{:?}: {}: {}", shortfall.kind, shortfall.what, shortfall.detail);
    }
    if found.len() > NAMED_MAX {
        eprintln!("chartward: and {} more", found.len() - NAMED_MAX);
    }
}
