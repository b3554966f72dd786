//! `chartward backup SRC… --vault DIR`.

mod leave_out;
mod sources;
mod stream;
mod summary;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use observe::share::shown;
use prove::{Fact, Ledger};
use recover::Error;
use recover::adapter::{Handed, Source};
use recover::capture::{CaptureRequest, Captured, MomentChoice, capture};
use recover::vault::{Filter, ParentChoice, Vault};
use schema::RecoveryStep;

use self::leave_out::LeaveOutArgs;
use self::sources::{FilesFromArgs, Sources};
use self::stream::{Stream, StreamArgs};
use super::look::moment;
use super::progress::Bar;
use super::sandbox::Sandbox;
use super::state_dir;
use super::vault_args::VaultArgs;
use crate::config::Config;
use crate::output::{Output, printable};

/// Exceptions printed one by one; all of them stand in the snapshot's manifest.
const NAMED_MAX: usize = 50;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folders or files to back up; after `--stdin-from-command --`, the command
    #[arg(required_unless_present_any = ["source", "stdin", "files_from", "files_from_verbatim", "files_from_raw"], value_name = "SRC")]
    sources: Vec<PathBuf>,
    /// A database or another store that is captured by means of its own, before the files: KIND:KEY=VALUE,… (`chartward
    /// config sources` lists them). In one backup with files it is one group
    #[arg(long, value_name = "KIND:…")]
    source: Vec<String>,
    /// File with a password that a source names by password-secret=NAME; only its owner may read it
    #[arg(long, value_name = "NAME=FILE", value_parser = handed)]
    secret: Vec<(String, PathBuf)>,
    #[command(flatten)]
    files_from: FilesFromArgs,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    vault: VaultArgs,
    /// Label of the snapshot
    #[arg(long, value_name = "T")]
    tag: Vec<String>,
    #[command(flatten)]
    leave_out: LeaveOutArgs,
    /// The host to note in the snapshot, if not this one
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The moment to note in the snapshot, if not now, such as `2018-10-16 05:40:00`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    time: Option<Timestamp>,
    /// Seal the recovery plan of this configuration, its [[recovery]] tables, with the snapshot
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    /// A step of the recovery plan, as JSON
    #[arg(long, hide = true, conflicts_with = "config")]
    recovery_step: Vec<String>,
    /// Where copies of databases lie while they are read; on an encrypted disk if you can
    #[arg(long, value_name = "DIR")]
    sandbox: Option<PathBuf>,
    /// How files that change meanwhile become of one moment
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    moment: Moment,
    /// Read every file, also those that look unchanged: times can be forged, so do this now and then
    #[arg(long)]
    rescan: bool,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

/// The plan that is sealed with a snapshot.
fn recovery(args: &Args) -> anyhow::Result<Vec<RecoveryStep>> {
    if let Some(file) = &args.config {
        return Ok(Config::load(file)?.recovery);
    }
    let steps = args.recovery_step.iter().map(|text| serde_json::from_str(text));
    steps.collect::<Result<_, _>>().context("a step of the recovery plan is not understood")
}

/// A file that others may read holds no secret.
fn handed(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("write NAME=FILE")?;
    let mode = std::fs::metadata(file).map_err(|error| format!("{file}: {error}"))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!("others than its owner may use {file}: chmod 600 {file}"));
    }
    Ok((name.to_owned(), PathBuf::from(file)))
}

/// See [`MomentChoice`].
#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Moment {
    /// By a snapshot of the file system where it can be made (btrfs, as root), else as `re-read`
    #[default]
    Auto,
    /// By a snapshot of the file system; without one there is no backup
    Snapshot,
    /// Read again until everything holds still; what never does is named
    ReRead,
}

impl From<Moment> for MomentChoice {
    fn from(moment: Moment) -> MomentChoice {
        match moment {
            Moment::Auto => MomentChoice::Auto,
            Moment::Snapshot => MomentChoice::Snapshot,
            Moment::ReRead => MomentChoice::Reread,
        }
    }
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let recovery = recovery(&args)?;
    let note = Note { tags: args.tag, host: args.host.unwrap_or_else(hostname), time: args.time };
    // Before anybody is asked for a passphrase.
    let work = match args.stream.read(&args.sources)? {
        Some(stream) => Work::Stream(stream),
        None => {
            let mut sources = args.sources;
            sources.extend(args.files_from.read()?);
            let leave_out = args.leave_out.read()?;
            let sources = Sources::resolve(&sources, &leave_out)?;
            let secrets: Handed = args.secret.into_iter().collect();
            let stores = args.source.iter().map(|text| Source::parse_with(text, &secrets));
            let stores = stores.collect::<Result<_, _>>()?;
            let staging = Sandbox::on_disk("capture", args.sandbox.as_deref())?;
            Work::Files(Box::new(Files {
                sources,
                stores,
                filter: leave_out.filter,
                staging,
                recovery,
                moment: args.moment.into(),
            }))
        }
    };
    let vault = args.vault.open()?;
    let state = state_dir(args.state)?;
    let ledger = Ledger::open(&state, Timestamp::now())?;
    let parent = if args.rescan { ParentChoice::ReadEverything } else { ParentChoice::Newest };
    let captured = match work {
        Work::Stream(stream) => stream.capture(&vault, note.tags, note.host, note.time, output),
        Work::Files(files) => files.capture(&vault, note, parent, &state, output),
    };
    let captured = match captured {
        Ok(captured) => captured,
        Err(error) if names_the_wrong_thing(&error) => return Err(error.into()),
        Err(error) => {
            super::explain(&error.into());
            eprintln!("chartward: no snapshot was made; the ones before are as they were");
            return Ok(ExitCode::from(1));
        }
    };
    let recorded = record(&vault, &ledger, &captured);
    if let Err(error) = &recorded {
        super::explain(error);
    }
    summary::tell(&captured, output)?;
    let whole = recorded.is_ok() && captured.manifest.exceptions.is_empty();
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Whether the command line asked for what cannot be: nothing was begun then.
fn names_the_wrong_thing(error: &Error) -> bool {
    matches!(
        error,
        Error::RootMissing { .. }
            | Error::UnusablePath { .. }
            | Error::ReservedTag { .. }
            | Error::NoInstant { .. }
            | Error::SourceNotStarted { .. }
    )
}

/// What the snapshot says of itself.
struct Note {
    tags: Vec<String>,
    host: String,
    time: Option<Timestamp>,
}

/// What is stored.
enum Work {
    Stream(Stream),
    Files(Box<Files>),
}

/// Sources that are there.
struct Files {
    sources: Sources,
    /// What is captured by means of its own.
    stores: Vec<Source>,
    filter: Filter,
    staging: Sandbox,
    /// How everything is started again.
    recovery: Vec<RecoveryStep>,
    moment: MomentChoice,
}

impl Files {
    fn capture(
        self,
        vault: &Vault,
        note: Note,
        parent: ParentChoice,
        state: &Path,
        output: Output,
    ) -> Result<Captured, Error> {
        self.sources.resolved.iter().for_each(|line| output.say(line));
        self.sources.warnings.iter().for_each(|warning| eprintln!("chartward: {warning}"));
        let pulled = self.sources.roots.iter().filter_map(|root| Some((root.clone(), shown(root)?)));
        let request = CaptureRequest {
            pulled: pulled.collect(),
            roots: self.sources.roots,
            sources: self.stores,
            exclude: self.sources.exclude,
            filter: self.filter,
            tags: note.tags,
            hostname: note.host,
            zone: TimeZone::system(),
            time: note.time,
            cache: Some(state.join("cache")),
            parent,
            moment: self.moment,
            staging: self.staging.path().to_path_buf(),
            recovery: self.recovery,
        };
        let bar = Bar::new(output, "backing up");
        let captured = capture(vault, &request, &Timestamp::now, &|progress| bar.engine(&progress))?;
        bar.finish();
        for pattern in request.filter.patterns.iter().filter(|pattern| !pattern.was_of_use()) {
            eprintln!(
                "chartward: --exclude {} leaves nothing out: nothing matches it",
                printable(pattern.text())
            );
        }
        Ok(captured)
    }
}

/// Writes into the ledger that the snapshot was sealed.
fn record(vault: &Vault, ledger: &Ledger, captured: &Captured) -> anyhow::Result<()> {
    ledger.append(sealed(vault, captured), Timestamp::now()).with_context(|| {
        let snapshot = captured.snapshot.short();
        format!("snapshot {snapshot} is sealed in the vault and can be restored; only its line in the ledger is missing")
    })?;
    Ok(())
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

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
