//! `chartward telescope letters`: drafts, approvals, and what became of them. Nothing is sent but by `send`, after an approval.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use prove::observation::{Letter, LetterState, Letters, Services, Step};
use schema::Lang;
use serde_json::{Value, json};

use crate::cli::account::by_whom;
use crate::cli::lang::LangArgs;
use crate::cli::state_dir;
use crate::config::{self, Config};
use crate::output::{Output, printable, printable_lines};
use crate::wiring::telescope::letters::{Drafted, Sending, Wanted, draft, mark, send};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    draft: DraftArgs,
}

#[derive(Debug, clap::Args)]
struct DraftArgs {
    /// First day that is reported, such as 2018-08-12
    #[arg(long, value_name = "DAY", required = true)]
    from: Option<Date>,
    /// Last day
    #[arg(long, value_name = "DAY", required = true)]
    to: Option<Date>,
    /// Whose networks are whose: CSV (prefix,name,email), RDAP (JSON) or whois text; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    contacts: Vec<PathBuf>,
    /// Packets of an address below which it is left out, since a few can be forged
    #[arg(long, value_name = "N", default_value_t = 3)]
    packets_min: u64,
    /// Who writes, as it stands under the letters
    #[arg(long, value_name = "NAME", default_value = "Chartward")]
    sender: String,
    /// Time zone of the days and of the letters' times (default: this machine's)
    #[arg(long, value_name = "ZONE", value_parser = super::zone)]
    zone: Option<TimeZone>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What letters there are, and how they stand
    List(Common),
    /// One letter as it would be sent
    Show(One),
    /// A person has read it and lets it go
    Approve(Said),
    /// Mail an approved letter over a mail channel of [[notify]]; it is never sent by itself
    Send(SendArgs),
    /// A person has sent it otherwise
    Sent(Said),
    /// Somebody answered
    Reply(Said),
}

#[derive(Debug, clap::Args)]
struct One {
    /// Number of the letter, such as L-0001
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Said {
    #[command(flatten)]
    one: One,
    /// Who says so (default: the name of this account)
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// How it was sent, or what was answered
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

#[derive(Debug, clap::Args)]
struct SendArgs {
    #[command(flatten)]
    one: One,
    /// Receiver; can be given several times. Never taken from the letter: whois may be wrong, or somebody's trap
    #[arg(long, value_name = "ADDRESS", required = true)]
    to: Vec<String>,
    /// Name of the mail channel in [[notify]] (default: the only one)
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// Who sends it (default: the name of this account)
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Configuration file (default: chartward.toml, then /etc/chartward/chartward.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        None => write(args.draft),
        Some(Command::List(common)) => list(&common),
        Some(Command::Show(one)) => show(&one),
        Some(Command::Approve(said)) => say(&said, LetterState::Approved),
        Some(Command::Send(args)) => send_it(&args),
        Some(Command::Sent(said)) => say(&said, LetterState::Sent),
        Some(Command::Reply(said)) => say(&said, LetterState::Replied),
    }
}

fn write(args: DraftArgs) -> anyhow::Result<ExitCode> {
    let (output, lang) = (Output::new(args.common.json), args.common.lang.lang());
    let zone = args.zone.clone().unwrap_or_else(TimeZone::system);
    let (from, to) = args.from.zip(args.to).context("--from and --to are needed")?;
    ensure!(from <= to, "--from {from} is after --to {to}");
    let at = |day: Date| Ok::<_, anyhow::Error>(day.to_zoned(zone.clone())?.timestamp());
    let wanted = Wanted {
        from: at(from)?,
        to: at(to.checked_add(1.day())?)?,
        zone: &zone,
        contacts: &args.contacts,
        packets_min: args.packets_min,
        sender: &args.sender,
        by: &who(None),
    };
    let Drafted { letters, unknown } =
        draft(&state_dir(args.common.state.clone())?, &wanted, Timestamp::now())?;
    letters.iter().try_for_each(|letter| output.line(&as_json(letter)))?;
    output.line(&json!({"type": "summary", "letters": letters.len(), "sources_without_contact": unknown}))?;
    if output == Output::People {
        output.say(table(&letters, lang));
    }
    let count = letters.len();
    output.say(lang.pick(
        format!("{count} drafts; {unknown} sources belong to no network of the contacts. Nothing was sent."),
        format!("下書き {count} 通を作成しました（連絡先のない送信元 {unknown} 件）。送信はしていません。"),
    ));
    Ok(ExitCode::SUCCESS)
}

fn list(common: &Common) -> anyhow::Result<ExitCode> {
    let letters = Letters::open(&state_dir(common.state.clone())?)?.list()?;
    let output = Output::new(common.json);
    letters.iter().try_for_each(|letter| output.line(&as_json(letter)))?;
    if output == Output::People {
        output.say(table(&letters, common.lang.lang()));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(one: &One) -> anyhow::Result<ExitCode> {
    let letter = Letters::open(&state_dir(one.common.state.clone())?)?.read(&one.id)?;
    let output = Output::new(one.common.json);
    let services = Services::of_this_machine();
    let mut line = as_json(&letter);
    for lang in Lang::ALL {
        line[format!("text_{}", lang.tag())] = letter.text(&services, lang).into();
    }
    line["steps"] = serde_json::to_value(&letter.steps)?;
    output.line(&line)?;
    if output == Output::People {
        output.say(printable_lines(&letter.text(&services, one.common.lang.lang())));
    }
    Ok(ExitCode::SUCCESS)
}

fn say(said: &Said, state: LetterState) -> anyhow::Result<ExitCode> {
    let common = &said.one.common;
    let now = Timestamp::now();
    let step = Step { at: now, state, by: who(said.by.as_deref()), note: said.note.clone() };
    let letter = mark(&state_dir(common.state.clone())?, &said.one.id, step, now)?;
    let output = Output::new(common.json);
    output.line(&as_json(&letter))?;
    let word = state_word(state, common.lang.lang());
    output.say(format!("{}: {word}", letter.id));
    Ok(ExitCode::SUCCESS)
}

fn send_it(args: &SendArgs) -> anyhow::Result<ExitCode> {
    let common = &args.one.common;
    let path = config::find(args.config.as_deref())
        .context("there is no chartward.toml here and none in /etc/chartward; name one with --config")?;
    let config = Config::load(&path)?;
    let state = state_dir(common.state.clone().or_else(|| config.state.clone()))?;
    let by = who(args.by.as_deref());
    let sending = Sending { id: &args.one.id, to: &args.to, channel: args.channel.as_deref(), by: &by };
    let letter = send(&config, &state, &sending, Timestamp::now())?;
    let output = Output::new(common.json);
    output.line(&as_json(&letter))?;
    let (id, note) = (&letter.id, letter.steps.last().map_or("", |step| step.note.as_str()));
    output.say(printable(&format!("{id}: {}: {note}", state_word(letter.state(), common.lang.lang()))));
    Ok(ExitCode::SUCCESS)
}

fn who(given: Option<&str>) -> String {
    given.map_or_else(by_whom, str::to_owned)
}

fn as_json(letter: &Letter) -> Value {
    json!({
        "type": "letter", "id": letter.id, "state": letter.state(), "network": letter.network,
        "addresses": letter.evidence.len() as u64 + letter.more, "from": letter.from, "to": letter.to,
        "evidence": letter.evidence, "last": letter.steps.last(),
    })
}

fn state_word(state: LetterState, lang: Lang) -> &'static str {
    match state {
        LetterState::Draft => lang.pick("draft", "下書き"),
        LetterState::Approved => lang.pick("approved, not sent", "承認済み（未送付）"),
        LetterState::Sent => lang.pick("sent, no answer yet", "送付済み（返信待ち）"),
        LetterState::Replied => lang.pick("answered", "返信あり"),
    }
}

fn table(letters: &[Letter], lang: Lang) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(lang.pick(
        ["letter", "network", "to", "addresses", "state", "last note"],
        ["番号", "ネットワーク", "宛先", "アドレス数", "状態", "直近のメモ"],
    ));
    for letter in letters {
        let network = &letter.network;
        table.add_row([
            letter.id.clone(),
            network.prefix.clone(),
            printable(&format!("{} {}", network.name, network.email)),
            (letter.evidence.len() as u64 + letter.more).to_string(),
            state_word(letter.state(), lang).to_owned(),
            printable(letter.steps.last().map_or("", |step| step.note.as_str())),
        ]);
    }
    table.to_string()
}
