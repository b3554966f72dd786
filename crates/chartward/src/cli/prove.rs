//! `chartward prove`: checks the ledger, here or on another machine, and gives out a copy of it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::Ledger;
use prove::ledger::{self, Expect, FILE_NAME, Fault, Head, VerifyReport};
use serde::Serialize;

use crate::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct ProveArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check that no line of a ledger was edited, removed, moved or added; changes nothing
    Verify(VerifyArgs),
    /// Write a verified copy of the ledger to a new file, and record that it was given out
    Export(ExportArgs),
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The ledger or an exported copy of it [default: ledger.jsonl in the state folder]
    #[arg(long, value_name = "F")]
    ledger: Option<PathBuf>,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR", conflicts_with = "ledger")]
    state: Option<PathBuf>,
    /// The key that must have signed it, as noted elsewhere; without it the key in the file is believed
    #[arg(long, value_name = "HEX", value_parser = digits)]
    public_key: Option<String>,
    /// The hash of an entry that must be there, as noted elsewhere; without it a cut-off end is not seen
    #[arg(long, value_name = "HASH", value_parser = digits)]
    head: Option<String>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// A file that does not exist yet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Status 0: intact; 1: not intact; 2 (an error): it could not be read.
pub(crate) fn run(args: ProveArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Verify(args) => verify(args),
        What::Export(args) => export(&args),
    }
}

fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let path = match args.ledger {
        Some(path) => path,
        None => super::state_dir(args.state)?.join(FILE_NAME),
    };
    let expect = Expect { public_key: args.public_key, head: args.head };
    let report = ledger::verify(&path, &expect)?;
    output.line(&Verified::new(&path, &expect, &report))?;
    match &report.first_bad {
        None => {
            output.say(intact(&path, &expect, &report));
            Ok(ExitCode::SUCCESS)
        }
        Some((line, fault)) => {
            output.say(not_intact(&path, *line, fault, report.entries));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let state = super::state_dir(args.state.clone())?;
    let path = state.join(FILE_NAME);
    // Opening would make a ledger where there is none, and an export of nothing looks like one of something.
    if !path.exists() {
        return Err(prove::Error::NoLedger(path).into());
    }
    let now = Timestamp::now();
    let exported = match Ledger::open(&state, now).and_then(|ledger| ledger.export(&args.to, now)) {
        Ok(exported) => exported,
        Err(prove::Error::NotIntact { path, line, fault }) => {
            output.say(not_intact(&path, line, &fault, line.saturating_sub(1)));
            return Ok(ExitCode::FAILURE);
        }
        Err(prove::Error::LastLine { path, fault }) => {
            output.say(format!("The last line of {} is not intact: {fault}.\n{NEXT_STEP}", path.display()));
            return Ok(ExitCode::FAILURE);
        }
        Err(cause) => return Err(cause.into()),
    };
    output.line(&GivenOut {
        r#type: "export",
        path: &args.to,
        entries: exported.entries,
        head: &exported.head,
    })?;
    let Head { hash, public_key, .. } = &exported.head;
    output.say(format!(
        "{} entries written to {} and verified there.\nOn another machine: chartward prove verify --ledger {} \
         --public-key {public_key} --head {hash}",
        exported.entries,
        args.to.display(),
        args.to.display()
    ));
    Ok(ExitCode::SUCCESS)
}

const NEXT_STEP: &str = "Next: keep this file and ledger.key unchanged as evidence, compare with an exported copy or \
                         the head in the vault, then move the file aside; the next command begins a new ledger.";

fn intact(path: &Path, expect: &Expect, report: &VerifyReport) -> String {
    let mut told = format!("{} is intact: {} entries", path.display(), report.entries);
    if let Some((first, last)) = report.span {
        told.push_str(&format!(", {} to {}", local(first), local(last)));
    }
    if let Some(head) = &report.head {
        told.push_str(&format!("\n  key   {}\n  head  {}", head.public_key, head.hash));
    }
    // What was not checked is said, so that "intact" is not taken for more than it is.
    if expect.public_key.is_none() {
        told.push_str(
            "\nThe key was taken from the file itself: compare it with the one noted elsewhere (--public-key).",
        );
    }
    if expect.head.is_none() {
        told.push_str(
            "\nWhether lines are missing at its end was not checked: give the head noted elsewhere (--head).",
        );
    }
    told
}

fn not_intact(path: &Path, line: u64, fault: &Fault, entries: u64) -> String {
    let next_step = match fault {
        Fault::Unfinished => {
            "Next: if the machine lost power or a command was killed, the next command that writes to this ledger \
             sets the unfinished line aside and records that; an unfinished copy has to be copied again."
        }
        Fault::Version { .. } => "Next: check it with the version of Chartward that wrote it.",
        Fault::Empty => "Next: compare with an exported copy or the head in the vault.",
        _ => NEXT_STEP,
    };
    format!(
        "{} is NOT intact.\n  line {line}: {fault}\n  {entries} entries before it are intact; what follows was not \
         checked.\n{next_step}",
        path.display()
    )
}

fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

fn digits(given: &str) -> Result<String, String> {
    match given.len() == 64 && given.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(given.to_ascii_lowercase()),
        false => Err("64 hexadecimal digits are expected".to_owned()),
    }
}

/// What `verify --json` prints.
#[derive(Serialize)]
struct Verified<'a> {
    r#type: &'static str,
    path: &'a Path,
    intact: bool,
    entries: u64,
    public_key: Option<&'a str>,
    /// Whether the key was known from elsewhere.
    public_key_pinned: bool,
    head: Option<&'a Head>,
    /// Whether an entry was known from elsewhere.
    head_pinned: bool,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    line: Option<u64>,
    #[serde(flatten)]
    fault: Option<&'a Fault>,
    why: Option<String>,
}

impl<'a> Verified<'a> {
    fn new(path: &'a Path, expect: &Expect, report: &'a VerifyReport) -> Self {
        let fault = report.first_bad.as_ref().map(|(_, fault)| fault);
        Verified {
            r#type: "ledger",
            path,
            intact: report.intact(),
            entries: report.entries,
            public_key: report.public_key.as_deref(),
            public_key_pinned: expect.public_key.is_some(),
            head: report.head.as_ref(),
            head_pinned: expect.head.is_some(),
            first_at: report.span.map(|(first, _)| first),
            last_at: report.span.map(|(_, last)| last),
            line: report.first_bad.as_ref().map(|(line, _)| *line),
            fault,
            why: fault.map(Fault::to_string),
        }
    }
}

/// What `export --json` prints.
#[derive(Serialize)]
struct GivenOut<'a> {
    r#type: &'static str,
    path: &'a Path,
    entries: u64,
    head: &'a Head,
}
