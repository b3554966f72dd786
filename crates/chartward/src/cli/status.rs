//! `chartward status`: the one sentence, and what makes it shaky.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use prove::{Entry, Fact, Ledger, sentence};
use recover::media::{self, Book};
use recover::status::{Limits, Remembered, assess};
use schema::{Alarm, Lang, Severity};

use super::lang::LangArgs;
use super::state_dir;
use super::vault_args::VaultArgs;
use crate::hub;
use crate::output::{Output, printable};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    vault: VaultArgs,
    /// Oldest age of the newest backup before it is an alarm, such as 26h or 2d
    #[arg(long, value_name = "AGE", value_parser = age)]
    max_age: Option<SignedDuration>,
    /// Oldest age of the newest passed drill before it is an alarm, such as 7d
    #[arg(long, value_name = "AGE", value_parser = age)]
    max_proof_age: Option<SignedDuration>,
    /// How long before a vault host stops protecting a snapshot that is still needed it is an alarm, such as 3d
    #[arg(long, value_name = "AGE", value_parser = age)]
    lock_lead: Option<SignedDuration>,
    /// State folder; a hub that runs on it adds what is wrong with its watchers and jobs (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let output = Output::new(args.json);
    let now = Timestamp::now();
    let folder = state_dir(args.state)?;
    let medium = hub::medium(&args.vault.at()?, &folder, || args.vault.open())?;
    let (remembered, ledger_fault) = match remembered(&folder) {
        Ok(remembered) => (remembered, None),
        // Whoever edits one line of the ledger must not switch the status off.
        Err(error) => (None, Some(ledger_damaged(&error))),
    };
    let defaults = Limits::default();
    let limits = Limits {
        snapshot_age_max: args.max_age.unwrap_or(defaults.snapshot_age_max),
        proof_age_max: args.max_proof_age.unwrap_or(defaults.proof_age_max),
        lock_lead: args.lock_lead.unwrap_or(defaults.lock_lead),
        ..defaults
    };
    let mut status = assess(&medium, remembered.as_ref(), &limits, now);
    if let Some(alarm) = ledger_fault {
        status.alarms.insert(0, alarm);
    }
    status.alarms.extend(of_the_hub(&folder));
    output.line(&status)?;
    if output == Output::People {
        let lang = args.lang.lang();
        output.say(sentence(&status, lang, &TimeZone::system()));
        let generations = Book::load(&folder).map(|book| book.generations()).unwrap_or_default();
        media::sentence(&generations, lang, &TimeZone::system()).iter().for_each(|said| output.say(said));
        for alarm in &status.alarms {
            let (title, step) = match lang {
                Lang::En => (&alarm.title, &alarm.next_step),
                Lang::Ja => (&alarm.title_ja, &alarm.next_step_ja),
            };
            output.say(format_args!("\n[{}] {title}\n    → {step}", alarm.id));
        }
        for remark in &status.remarks {
            output.say(format_args!("\n({}) {}", remark.id, lang.pick(&remark.title, &remark.title_ja)));
        }
    }
    Ok(if status.alarms.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The newest snapshot that the ledger says was sealed. A state folder without a ledger remembers nothing.
fn remembered(state: &Path) -> anyhow::Result<Option<Remembered>> {
    if !state.join(prove::ledger::FILE_NAME).exists() {
        return Ok(None);
    }
    let entries = Ledger::open(state, Timestamp::now())?.entries()?;
    Ok(entries.into_iter().rev().find_map(sealed))
}

/// What a hub that runs on this state folder finds wrong with its watchers, its jobs and itself. None has to run: the promise rests on
/// the vault alone.
fn of_the_hub(state: &Path) -> Vec<Alarm> {
    match hub::ask_running(state, hub::Command::Alarms) {
        Ok(Ok(hub::Answer::Alarms { alarms })) => alarms,
        _ => Vec::new(),
    }
}

fn ledger_damaged(error: &anyhow::Error) -> Alarm {
    let cause = printable(&format!("{error:#}"));
    Alarm {
        id: "ledger.damaged".to_owned(),
        severity_id: Severity::Critical,
        title: format!("The ledger of this machine cannot be trusted or read: {cause}."),
        title_ja: format!("この機械の台帳が読めないか、改変されています: {cause}。"),
        next_step:
            "Run `chartward prove verify` to see where; compare with a copy and with the proofs in the vault."
                .to_owned(),
        next_step_ja: "`chartward prove verify` で場所を確かめ、控えや保管庫の証明と比べてください。"
            .to_owned(),
    }
}

fn sealed(entry: Entry) -> Option<Remembered> {
    match entry.fact {
        Fact::SnapshotSealed { snapshot, captured_at, .. } => {
            Some(Remembered { snapshot, time: captured_at })
        }
        _ => None,
    }
}

/// An age as people write it: `26h`, `2d`, `90 minutes`.
fn age(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}; write an age such as 26h or 2d"))?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())
}
