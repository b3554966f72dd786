//! `chartward media`: removable media that take turns.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::{Fact, Ledger};
use recover::media::{self, Book, Outcome, PlainFolder, Presence, Trouble, WriteRequest};
use recover::vault::CopyReport;
use serde_json::{Value, json};

use super::lang::LangArgs;
use super::progress::Bar;
use super::state_dir;
use super::vault_args::VaultArgs;
use crate::output::{Output, printable};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say which media hold a generation, and which of them are out of the machine
    List(ListArgs),
    /// Make a medium of a set out of an empty disk, cartridge or tape; once in its life
    Prepare(PrepareArgs),
    /// Copy the vault to the medium that is in, and read it back from there
    Write(WriteArgs),
    /// Read everything on the medium that is in, and compare it with what was written
    Verify(VerifyArgs),
    /// Flush and unmount the medium that is in, so that it can be taken out
    Eject(EjectArgs),
}

#[derive(clap::Args)]
struct Shared {
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct ListArgs {
    /// A place where media go, to say what is in there
    #[arg(long, value_name = "DIR")]
    path: Vec<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    #[command(flatten)]
    shared: Shared,
}

#[derive(clap::Args)]
struct PrepareArgs {
    /// The mount point of the empty medium
    #[arg(long, value_name = "DIR")]
    path: PathBuf,
    /// The rotation that it belongs to, as the configuration names it
    #[arg(long, value_name = "NAME")]
    rotation: String,
    /// Its set, as written on its label
    #[arg(long, value_name = "SET")]
    set: String,
    /// The path is a folder on purpose, and nothing is mounted on it
    #[arg(long)]
    plain_folder: bool,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    shared: Shared,
}

#[derive(clap::Args)]
struct WriteArgs {
    /// Where the medium is; given several times, the first one with a medium in it
    #[arg(long, value_name = "DIR", required = true)]
    path: Vec<PathBuf>,
    /// The rotation that the medium must belong to
    #[arg(long, value_name = "NAME", requires = "set")]
    rotation: Option<String>,
    /// The set that must be in (default: whichever of ours is)
    #[arg(long, value_name = "SET", requires = "rotation")]
    set: Option<String>,
    /// Do nothing if the medium was written since then
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only so many of the newest snapshots of each thing that is protected, and the newest proven one
    #[arg(long, value_name = "N")]
    newest: Option<usize>,
    /// Read back only what is written now, not everything on the medium
    #[arg(long)]
    written_only: bool,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    shared: Shared,
}

#[derive(clap::Args)]
struct VerifyArgs {
    /// Where the medium is
    #[arg(long, value_name = "DIR")]
    path: PathBuf,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    shared: Shared,
}

#[derive(clap::Args)]
struct EjectArgs {
    /// Where the medium is
    #[arg(long, value_name = "DIR")]
    path: PathBuf,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(args) => list(args),
        Command::Prepare(args) => prepare(args),
        Command::Write(args) => write(args),
        Command::Verify(args) => verify(args),
        Command::Eject(args) => eject(&args),
    }
}

fn list(args: ListArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.shared.json);
    let (lang, zone) = (args.lang.lang(), TimeZone::system());
    let book = Book::load(&state_dir(args.shared.state)?)?;
    let generations = book.generations();
    for it in &generations {
        output.line(&typed("generation", serde_json::to_value(it)))?;
        let place = match it.whereabouts {
            media::Whereabouts::In => lang.pick("in the machine", "機器に入っています"),
            media::Whereabouts::PluggedIn => lang.pick("plugged in", "接続されています"),
            media::Whereabouts::Detached => lang.pick("out of the machine", "取り外し済み"),
        };
        let (set, at, count) = (printable(&it.set), it.at, it.snapshots);
        output.say(lang.pick(
            format!("{set}: {count} snapshots, written and read back {at}; {place}"),
            format!("{set}: スナップショット{count}個、{at} に書き込み・読み戻し確認済み。{place}"),
        ));
    }
    for path in &args.path {
        let (word, set) = match media::look(path) {
            Presence::Absent => ("absent", None),
            Presence::Blank => ("blank", None),
            Presence::Foreign => ("foreign", None),
            Presence::Unreadable(_) => ("unreadable", None),
            Presence::Claimed(identity) => ("medium", Some(identity.set)),
        };
        output.line(&json!({ "type": "place", "path": path, "presence": word, "set": set }))?;
        let set = set.map(|set| printable(&set).to_string()).unwrap_or_default();
        output.say(format_args!("{}: {word} {set}", printable(&path.to_string_lossy())));
    }
    let none =
        || lang.pick("No medium holds a generation yet.", "世代の入った媒体はまだありません。").to_owned();
    output.say(media::sentence(&generations, lang, &zone).unwrap_or_else(none));
    Ok(ExitCode::SUCCESS)
}

fn prepare(args: PrepareArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.shared.json);
    let (vault, state) = (args.vault.open()?, state_dir(args.shared.state)?);
    let now = Timestamp::now();
    let ledger = Ledger::open(&state, now)?;
    let mut book = Book::load(&state)?;
    let plain = if args.plain_folder { PlainFolder::Meant } else { PlainFolder::Refused };
    let identity = media::prepare(&vault, &args.path, &args.rotation, &args.set, plain, now).with_context(|| {
        format!(
            "cannot prepare {}: it must be a mounted, empty medium (or an empty folder with --plain-folder)",
            args.path.display()
        )
    })?;
    book.add(&identity, &args.path);
    book.save(&state)?;
    ledger.append(
        Fact::MediumPrepared {
            vault_id: vault.id().to_owned(),
            medium: identity.id.clone(),
            rotation: identity.rotation.clone(),
            set: identity.set.clone(),
        },
        now,
    )?;
    output.line(&typed("medium", serde_json::to_value(&identity)))?;
    let (set, id) = (printable(&identity.set), &identity.id[..8]);
    output.say(format_args!(
        "Prepared set {set} ({id}). Write both on its label. Nothing is on it yet: `chartward media write`."
    ));
    Ok(ExitCode::SUCCESS)
}

fn write(args: WriteArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.shared.json);
    let state = state_dir(args.shared.state)?;
    let wanted = args.rotation.as_deref().zip(args.set.as_deref());
    let path = choose(&args.path, wanted);
    let mut book = Book::load(&state)?;
    // Nobody is asked for a passphrase for a medium that is not there.
    if wanted.is_some() && media::look(&path) == Presence::Absent {
        return waits(output, wanted, None);
    }
    let vault = args.vault.open()?;
    let ledger = Ledger::open(&state, Timestamp::now())?;
    let request = WriteRequest {
        path: &path,
        wanted,
        since: args.since,
        newest: args.newest,
        read_all: !args.written_only,
    };
    let bar = Bar::new(output, "copying");
    let outcome =
        media::write(&vault, &mut book, &request, &Timestamp::now, &|progress| bar.engine(&progress))?;
    bar.finish();
    book.save(&state)?;
    if let Outcome::Failed { trouble: Trouble::WrongSet, set, .. } = &outcome
        && wanted.is_some()
    {
        return waits(output, wanted, set.as_deref());
    }
    if let Some(fact) = fact(vault.id(), wanted, &outcome) {
        ledger.append(fact, Timestamp::now())?;
    }
    tell(output, &outcome)
}

/// The first place with the medium that is wanted, else with any, else the first.
fn choose(paths: &[PathBuf], wanted: Option<(&str, &str)>) -> PathBuf {
    let is_wanted = |path: &&PathBuf| match (media::look(path), wanted) {
        (Presence::Claimed(identity), Some((rotation, set))) => {
            identity.rotation == rotation && identity.set == set
        }
        _ => false,
    };
    let is_any = |path: &&PathBuf| media::look(path) != Presence::Absent;
    let found = paths.iter().find(is_wanted).or_else(|| paths.iter().find(is_any)).or(paths.first());
    found.cloned().unwrap_or_default()
}

/// The medium whose turn it is is not in: no failure, people have to change it.
fn waits(output: Output, wanted: Option<(&str, &str)>, inserted: Option<&str>) -> anyhow::Result<ExitCode> {
    let set = wanted.map(|(_, set)| set);
    output.line(&json!({ "type": "summary", "waits_for": set, "inserted": inserted, "written": false }))?;
    let due = printable(set.unwrap_or_default());
    output.say(format_args!("Waiting for set {due}: put it in."));
    Ok(ExitCode::SUCCESS)
}

fn fact(vault_id: &str, wanted: Option<(&str, &str)>, outcome: &Outcome) -> Option<Fact> {
    let vault_id = vault_id.to_owned();
    match outcome {
        Outcome::Written { identity, receipt, .. } => Some(Fact::MediumWritten {
            vault_id,
            rotation: identity.rotation.clone(),
            set: identity.set.clone(),
            snapshots: receipt.snapshots,
            bytes_read: receipt.bytes_read,
            counts: true,
        }),
        Outcome::Done(_) => None,
        Outcome::Failed { set, report, .. } => Some(Fact::MediumWritten {
            vault_id,
            rotation: wanted.map(|(rotation, _)| rotation.to_owned()).unwrap_or_default(),
            set: set.clone().unwrap_or_default(),
            snapshots: 0,
            bytes_read: report.as_ref().map_or(0, |report| report.read_back.bytes()),
            counts: false,
        }),
    }
}

fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.shared.json);
    let (vault, book) = (args.vault.open()?, Book::load(&state_dir(args.shared.state)?)?);
    let bar = Bar::new(output, "reading all");
    let outcome = media::verify(&vault, &book, &args.path, &|progress| bar.engine(&progress))?;
    bar.finish();
    tell(output, &outcome)
}

fn tell(output: Output, outcome: &Outcome) -> anyhow::Result<ExitCode> {
    match outcome {
        Outcome::Written { identity, report, receipt } => {
            let mut line = summary(Some(report));
            line["written"] = true.into();
            line["set"] = identity.set.clone().into();
            line["number"] = receipt.number.into();
            output.line(&line)?;
            let set = printable(&identity.set);
            output.say(format_args!(
                "Set {set} holds {} snapshots; {} bytes were written and {} read back from it{}.",
                receipt.snapshots,
                report.bytes_copied,
                report.read_back.bytes(),
                how(report)
            ));
            output.say("Take it out: only then nobody reaches it.");
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Done(identity) => {
            output
                .line(&json!({ "type": "summary", "written": true, "set": identity.set, "before": true }))?;
            output.say(format_args!("Set {} was written before in its turn.", printable(&identity.set)));
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Failed { trouble, cause, set, report } => {
            let mut line = summary(report.as_ref());
            line["written"] = false.into();
            line["set"] = set.clone().into();
            line["trouble"] = serde_json::to_value(trouble)?;
            line["cause"] = cause.clone().into();
            output.line(&line)?;
            eprintln!("chartward: the medium does not count: {}", printable(cause));
            for problem in report.iter().flat_map(|report| &report.problems).take(20) {
                eprintln!("chartward: {}", printable(problem));
            }
            Ok(ExitCode::from(1))
        }
    }
}

fn how(report: &CopyReport) -> &'static str {
    if report.read_back.is_certain() {
        ", past every cache of this machine"
    } else {
        ", part of it without certainty that it did not come from this machine's cache"
    }
}

fn summary(report: Option<&CopyReport>) -> Value {
    typed("summary", serde_json::to_value(report.cloned().unwrap_or_default()))
}

fn typed(kind: &str, value: Result<Value, serde_json::Error>) -> Value {
    let mut value = value.unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("type".into(), kind.into());
    }
    value
}

fn eject(args: &EjectArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    ensure!(media::look(&args.path) != Presence::Absent, "there is no medium in {}", args.path.display());
    rustix::fs::syncfs(std::fs::File::open(&args.path)?).context("flush the medium")?;
    let unmounted = rustix::mount::unmount(&args.path, rustix::mount::UnmountFlags::empty());
    output.line(&json!({ "type": "ejected", "path": args.path, "unmounted": unmounted.is_ok() }))?;
    match unmounted {
        Ok(()) => {
            output.say("It is flushed and unmounted. Take it out now: as long as it is plugged in, an attacker reaches it.");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let path = printable(&args.path.to_string_lossy()).to_string();
            eprintln!("chartward: it is flushed and could not be unmounted: {error}");
            eprintln!("  next: end what uses it, then run `umount {path}` as root and take it out");
            Ok(ExitCode::from(1))
        }
    }
}
