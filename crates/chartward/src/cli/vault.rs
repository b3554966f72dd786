//! `chartward vault init|check|copy|forget|prune|key|unlock`.

mod copy;
mod forget;
mod key;
mod prune;
mod receipts;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use jiff::Timestamp;
use prove::{Fact, Ledger};
use recover::vault::{CheckReport, CheckRequest, Coverage, Portion, Vault};
use schema::Lang;
use serde_json::json;

use super::lang::LangArgs;
use super::password::PasswordArgs;
use super::progress::Bar;
use super::state_dir;
use super::vault_args::RestArgs;
use crate::output::{Output, printable};

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
    /// Copy the vault to another folder, or bring that copy up to date, and read it back
    Copy(copy::Args),
    /// Forget snapshots: by rules, or by their ids
    Forget(Box<forget::Args>),
    /// Give back the space of what no snapshot needs
    Prune(prune::Args),
    /// List, add, remove and change passphrases
    Key(key::Args),
    /// Remove locks that count for nothing any more
    Unlock(prune::UnlockArgs),
    #[command(flatten)]
    Host(super::vault_host::Command),
}

#[derive(clap::Args)]
struct Init {
    /// An empty or new folder on the backup medium, or rest:https://HOST:PORT/NAME/ for a vault host
    dir: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    rest: RestArgs,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Check {
    /// Folder of the vault (else CHARTWARD_VAULT)
    dir: Option<PathBuf>,
    /// The same, as the other commands take it
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    vault: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    rest: RestArgs,
    /// Read and verify every byte, not only the structure
    #[arg(long)]
    read_data: bool,
    /// Read and verify a part: 2/7, or 3.5% or 50G of what has not been read for the longest time
    #[arg(long, value_name = "PART", conflicts_with = "read_data")]
    read_data_subset: Option<Portion>,
    /// State folder, with the record of what was read when
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Init(args) => init(&args),
        Command::Check(args) => check(&args),
        Command::Copy(args) => copy::run(&args),
        Command::Forget(args) => forget::run(&args),
        Command::Prune(args) => prune::run(&args),
        Command::Key(args) => key::run(args),
        Command::Unlock(args) => prune::unlock(&args),
        Command::Host(command) => super::vault_host::run(command),
    }
}

fn init(args: &Init) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let at = args.rest.at(&args.dir)?;
    let password = args.password.read_new()?;
    let now = Timestamp::now();
    // First, so that a state folder that cannot be written to leaves no vault behind that nobody has noted.
    let ledger = Ledger::open(&state_dir(args.state.clone())?, now)?;
    let vault = Vault::init(&at, &password)?;
    ledger.append(Fact::VaultInitialised { vault_id: vault.id().to_owned() }, now)?;
    output.line(&json!({ "type": "vault", "id": vault.id(), "dir": args.dir }))?;
    if output == Output::People {
        let dir = printable(&args.dir.to_string_lossy());
        output.say(format_args!("Made vault {} in {}.", &vault.id()[..8], dir));
        output.say(
            "Without the passphrase nobody can read it, and nobody can help: write it on the recovery sheet",
        );
        output.say(format_args!(
            "(chartward recovery-sheet --vault {}) and keep that outside this building.",
            dir
        ));
    }
    Ok(ExitCode::SUCCESS)
}

impl Check {
    /// Opens the vault. A medium that is absent or empty is found before anybody is asked for a passphrase.
    fn open(&self) -> anyhow::Result<Vault> {
        let named = self.dir.clone().or_else(|| self.vault.clone());
        let dir = named
            .or_else(|| env::var_os("CHARTWARD_VAULT").map(PathBuf::from))
            .context("name the vault's folder: `vault check DIR`, `--vault DIR` or CHARTWARD_VAULT")?;
        let at = self.rest.at(&dir)?;
        Vault::probe(&at)?;
        let vault = Vault::open(&at, &self.password.read()?)
            .with_context(|| format!("cannot open the vault in {}", dir.display()))?;
        vault.notes().iter().for_each(|note| eprintln!("chartward: {}", printable(note)));
        Ok(vault)
    }
}

fn check(args: &Check) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let vault = args.open()?;
    let data = if args.read_data { Some(Portion::All) } else { args.read_data_subset };
    // On a bare machine there is nothing but the vault, and a check must leave nothing behind there.
    let reads = args.state.clone().or_else(|| state_dir(None).ok().filter(|dir| dir.is_dir()));
    let bar = Bar::new(output, "checking");
    let report = vault
        .check_as(&CheckRequest { reads, ..CheckRequest::new(data) }, &|progress| bar.engine(&progress))?;
    bar.finish();
    for problem in &report.problems {
        output.line(&json!({
            "type": "problem",
            "what": problem.what,
            "paths": problem.paths.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
            "paths_total": problem.paths_total,
            "next_step": problem.next_step,
        }))?;
        eprintln!("chartward: {}", printable(&problem.to_string()));
    }
    output.line(&json!({
        "type": "summary",
        "problems": report.problems.len(),
        "snapshots": report.snapshots,
        "packs": report.packs,
        "packs_read": report.packs_read,
        "bytes_read": report.bytes_read,
        "read_data": args.read_data,
        "coverage": report.coverage.as_ref().map(|coverage| json!({
            "bytes": coverage.bytes,
            "bytes_covered": coverage.bytes_covered,
            "bytes_overdue": coverage.bytes_overdue,
            "percent": coverage.percent(),
            "oldest_read": coverage.oldest_read,
        })),
    }))?;
    if output == Output::People {
        say(args, output, &report);
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn say(args: &Check, output: Output, report: &CheckReport) {
    let lang = args.lang.lang();
    let read = report.packs_read;
    let depth = if args.read_data {
        lang.pick("every byte was read".to_owned(), "全バイトを読みました".to_owned())
    } else if args.read_data_subset.is_some() {
        lang.pick(format!("{read} packs were read"), format!("{read}個のパックを読みました"))
    } else {
        lang.pick(
            "the structure; use --read-data to read every byte".to_owned(),
            "構造のみ。全バイトを読むには --read-data を付けてください".to_owned(),
        )
    };
    let (packs, snapshots, problems) = (report.packs, report.snapshots, report.problems.len());
    output.say(lang.pick(
        format!("{packs} packs and {snapshots} snapshots were looked at ({depth}): {problems} problems."),
        format!(
            "パック{packs}個、スナップショット{snapshots}件を検査しました（{depth}）。問題: {problems}件。"
        ),
    ));
    if let Some(coverage) = &report.coverage {
        output.say(coverage_line(coverage, Timestamp::now(), lang));
    }
}

/// Such as `Coverage: 100 % of the bytes were read within 31 days, the oldest 29 days ago.`
fn coverage_line(coverage: &Coverage, now: Timestamp, lang: Lang) -> String {
    let oldest = coverage.oldest_read.map_or_else(
        || lang.pick("some never".to_owned(), "まだ一度も読んでいない部分があります".to_owned()),
        |oldest| {
            let days = now.duration_since(oldest).as_hours() / 24;
            lang.pick(format!("the oldest {days} days ago"), format!("最も古い読み取りは{days}日前です"))
        },
    );
    let percent = coverage.percent();
    lang.pick(
        format!("Coverage: {percent} % of the bytes were read within 31 days, {oldest}."),
        format!("検査範囲: 31日以内に全体の{percent}%を読みました。{oldest}。"),
    )
}
