//! `chartward drill --vault DIR`: restore, read everything, sign the outcome.

mod bare;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Fact, Ledger};
use recover::drill::{DrillRequest, DrillStep, SampleRequest, SampleSize, Scanner, drill};
use recover::proof::{self, Earlier, RestoredTo};
use recover::vault::{Snapshot, Vault};
use recover::{Error, manifest};
use schema::{Drill, Manifest, Proof, Shortfall};
use serde_json::json;

use super::progress::Bar;
use super::sandbox::Sandbox;
use super::state_dir;
use super::vault_args::{VaultArgs, name_unreadable_snapshots};
use crate::output::{Output, printable};

/// Shortfalls printed one by one.
const NAMED_MAX: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A snapshot's id or its first digits; without it the newest one of everything that is backed up
    snapshot: Option<String>,
    #[command(flatten)]
    vault: VaultArgs,
    /// Folder for the sandbox, which is removed at the end (default: in memory where it fits, else the temporary folder)
    #[arg(long, value_name = "DIR")]
    sandbox: Option<PathBuf>,
    /// As on a bare machine: restore into this empty folder with nothing but the vault, the passphrase and a copy of this program, and
    /// leave it there
    #[arg(long, value_name = "DIR", conflicts_with = "sandbox")]
    from_bare: Option<PathBuf>,
    /// Restore into this new folder and leave it there
    #[arg(long, value_name = "DIR", hide = true, conflicts_with_all = ["sandbox", "from_bare", "sample"])]
    kept: Option<PathBuf>,
    /// Restore and read a part only, such as 5% or 200 (patients, and files of none); it proves that part and no more
    #[arg(long, value_name = "5%|N", conflicts_with = "from_bare")]
    sample: Option<SampleSize>,
    /// What the sample is drawn with; the same seed draws the same (default: another each time)
    #[arg(long, value_name = "TEXT", requires = "sample")]
    seed: Option<String>,
    /// Compare nothing with the last proven snapshot: the store was really made smaller, or really changed that much
    #[arg(long)]
    accept_fewer: bool,
    /// Do not scan for malware
    #[arg(long)]
    no_scan: bool,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// Where a drill restores to.
enum Place {
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

/// What is drilled, and how.
struct Chosen<'c> {
    snapshot: &'c Snapshot,
    previous: Option<&'c Earlier>,
    sample: Option<&'c SampleRequest>,
    scanner: &'c Scanner,
}

/// A drill with its signed outcome.
struct Drilled {
    drill: Drill,
    proof: Proof,
}

pub(crate) fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    if let Some(folder) = args.from_bare.take() {
        return bare::run(args, folder);
    }
    let output = Output::new(args.json);
    let vault = args.vault.open()?;
    let all_read = name_unreadable_snapshots(&vault)?;
    let ledger = Ledger::open(&state_dir(args.state)?, Timestamp::now())?;
    let mut nothing_found = all_read;
    let mut decisive: Option<Proof> = None;
    let snapshots = select(&vault, args.snapshot.as_deref())?;
    let mut kept = args.kept.map(empty_folder).transpose()?;
    let seed = args.seed.map_or_else(drawn, Ok)?;
    let sample = args.sample.map(|size| SampleRequest { size, seed });
    let scanner = if args.no_scan { Scanner::None("--no-scan".to_owned()) } else { Scanner::find() };
    for snapshot in snapshots {
        let engines = engines_for(&vault, &snapshot, args.sandbox.as_deref())?;
        let place = match kept.take() {
            Some(folder) => Place::Kept(folder),
            None => Place::Sandbox(sandbox_for(&vault, &snapshot, args.sandbox.as_deref())?),
        };
        let previous = if args.accept_fewer { None } else { proof::newest_proven_before(&vault, &snapshot)? };
        let drilled = perform(
            &vault,
            &ledger,
            &Chosen {
                snapshot: &snapshot,
                previous: previous.as_ref(),
                sample: sample.as_ref(),
                scanner: &scanner,
            },
            &place,
            &engines,
            output,
        )?;
        tell(&drilled, output)?;
        nothing_found &= drilled.drill.passed() && drilled.drill.remarks.is_empty();
        // One failure outweighs every success.
        if decisive.as_ref().is_none_or(|proof| proof.passed) {
            decisive = Some(drilled.proof);
        }
    }
    let passed = decisive.as_ref().is_some_and(|proof| proof.passed);
    output.line(&json!({ "type": "summary", "passed": passed, "proof": decisive }))?;
    Ok(if nothing_found { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The snapshot that was named, else the newest one of each job: "everything" is only proven when each of them is.
fn select(vault: &Vault, wanted: Option<&str>) -> anyhow::Result<Vec<Snapshot>> {
    if let Some(id) = wanted {
        return Ok(vec![vault.find(id)?]);
    }
    let newest: Vec<Snapshot> =
        proof::jobs(vault)?.into_iter().filter_map(|mut job| job.snapshots.pop()).collect();
    let dir = vault.dir().display();
    ensure!(!newest.is_empty(), "the vault in {dir} holds no snapshot: nothing was ever backed up");
    Ok(newest)
}

fn sandbox_for(vault: &Vault, snapshot: &Snapshot, below: Option<&Path>) -> anyhow::Result<Sandbox> {
    let manifest = manifest_of(vault, snapshot)?;
    let (files, bytes) =
        manifest.map_or((0, u64::MAX), |manifest| (manifest.census.files, manifest.census.bytes));
    Sandbox::for_files(files, bytes, below)
}

/// Where servers run on what was restored, apart from all that was: they may not look at the rest.
fn engines_for(vault: &Vault, snapshot: &Snapshot, below: Option<&Path>) -> anyhow::Result<Sandbox> {
    let manifest = manifest_of(vault, snapshot)?.filter(|manifest| !manifest.sources.is_empty());
    let census = manifest.map(|manifest| manifest.census).unwrap_or_default();
    // A database takes more room than its dump: indexes and logs come on top.
    Sandbox::for_files(census.files, census.bytes.saturating_mul(4), below)
}

/// A manifest that cannot be read is found wanting by the drill, and keeps nobody from making room for it.
fn manifest_of(vault: &Vault, snapshot: &Snapshot) -> anyhow::Result<Option<Manifest>> {
    match manifest::read(vault, snapshot) {
        Err(Error::Damaged { .. } | Error::Missing { .. }) => Ok(None),
        read => Ok(read?),
    }
}

/// What nobody can know before.
fn drawn() -> anyhow::Result<String> {
    let mut seed = [0_u8; 8];
    getrandom::fill(&mut seed).context("cannot draw a seed")?;
    Ok(hex::encode(seed))
}

fn empty_folder(folder: PathBuf) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    ensure!(std::fs::read_dir(&folder)?.next().is_none(), "{} is not empty", folder.display());
    Ok(folder)
}

/// Drills, signs the outcome into the ledger and writes both into the vault.
fn perform(
    vault: &Vault,
    ledger: &Ledger,
    chosen: &Chosen<'_>,
    place: &Place,
    engines: &Sandbox,
    output: Output,
) -> anyhow::Result<Drilled> {
    let bar = Bar::new(output, "restoring");
    let request = DrillRequest {
        snapshot: chosen.snapshot,
        sandbox: place.path(),
        engines: Some(engines.path()),
        previous: chosen.previous,
        sample: chosen.sample,
        scanner: chosen.scanner,
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
    record(vault, ledger, &proof)?;
    Ok(Drilled { drill, proof })
}

/// Signs a proof into the ledger and writes both into the vault.
fn record(vault: &Vault, ledger: &Ledger, proof: &Proof) -> anyhow::Result<()> {
    let fact = if proof.passed {
        Fact::DrillPassed { proof: proof.clone() }
    } else {
        Fact::DrillFailed { proof: proof.clone() }
    };
    let entry = ledger.append(fact, Timestamp::now())?;
    let head = ledger.head()?;
    let signed = serde_json::to_vec_pretty(&json!({ "entry": entry, "head": head }))?;
    match proof::store(vault, proof, &signed) {
        Ok(_) => {}
        // On a bare machine the medium is attached read-only: the drill counts, and only this machine knows of it.
        Err(Error::ReadOnly { .. }) => {
            eprintln!(
                "chartward: the medium is read-only, so the proof stands in this machine's ledger and not in the vault"
            );
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn tell(drilled: &Drilled, output: Output) -> anyhow::Result<()> {
    let Drilled { drill, proof } = drilled;
    if let Some(cause) = first_cause(drill) {
        eprintln!("chartward: {cause}");
    }
    name("", &drill.shortfalls);
    name("was so when it was captured: ", &drill.remarks);
    for what in &drill.not_proven {
        eprintln!("chartward: NOT PROVEN: {}", printable(what));
    }
    output.line(&json!({ "type": "drill", "passed": proof.passed, "first_cause": first_cause(drill), "drill": drill, "proof": proof }))?;
    if output == Output::People {
        people(drill, proof, output);
    }
    Ok(())
}

/// One sentence, before everything else: whoever reads only that knows where to begin.
fn first_cause(drill: &Drill) -> Option<String> {
    let cause = drill.first_cause()?;
    let (kind, _) = cause.kind.words();
    Some(format!("FIRST CAUSE: {kind}: {}: {}", printable(&cause.what), printable(&cause.detail)))
}

fn people(drill: &Drill, proof: &Proof, output: Output) {
    let evidence = &drill.evidence;
    let verdict = match (proof.passed, &evidence.coverage) {
        (false, _) => "FAILED".to_owned(),
        (true, None) => "PASSED".to_owned(),
        (true, Some(part)) => format!(
            "SAMPLE PASSED, the whole is NOT PROVEN by it ({} of {} files, {} of {} bytes, seed {})",
            part.files,
            part.files_total,
            part.bytes,
            part.bytes_total,
            printable(&part.seed)
        ),
    };
    output.say(format_args!(
        "{verdict}: snapshot {} of {}: {} files restored, {} patients, {} records decoded, {} database rows counted.",
        proof.snapshot.short(),
        proof.captured_at,
        proof.files,
        proof.patients,
        proof.records,
        proof.database_rows
    ));
    output.say(format_args!(
        "{} files have the hashes that were sealed; {} charts were opened and name the right patient; {}.",
        evidence.files_verified,
        evidence.charts_read,
        printable(&evidence.malware_scan)
    ));
    let first_chart = proof.rto_first_chart_seconds.map_or_else(
        || "there is no chart in it".to_owned(),
        |seconds| format!("first chart after {seconds:.2} s"),
    );
    output
        .say(format_args!("{first_chart}; everything back and read after {:.1} s.", proof.rto_full_seconds));
    for group in &evidence.groups {
        let age =
            group.rpo_seconds.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:.0} s old"));
        let (name, seconds) = (printable(&group.name), group.rto_seconds);
        output.say(format_args!("  {name}: back after {seconds:.1} s; newest record {age}."));
    }
    evidence.sandbox.iter().for_each(|line| output.say(printable(line)));
}

fn name(prefix: &str, found: &[Shortfall]) {
    for shortfall in found.iter().take(NAMED_MAX) {
        eprintln!(
            "chartward: {prefix}{:?}: {}: {}",
            shortfall.kind,
            printable(&shortfall.what),
            printable(&shortfall.detail)
        );
    }
    if found.len() > NAMED_MAX {
        eprintln!("chartward: and {} more", found.len() - NAMED_MAX);
    }
}
