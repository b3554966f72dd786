//! `chartward incident list|show|report|mark`: what the hub made of the findings.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::Ledger;
use prove::state::{CountermeasureFilter, IncidentFilter, State};
use schema::{Incident, IncidentId, IncidentStatus, Lang};
use serde_json::json;

use super::hub_args::HubArgs;
use crate::hub::{self, Command as Ask};
use crate::output::{Output, printable};
use crate::wiring::sensor::evidence::incident as evidence;

const LISTED_MAX: u32 = 1_000;

/// What the hub made of the findings
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List incidents, latest first
    List {
        /// Those that are closed or were false alarms as well
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        common: HubArgs,
    },
    /// Tell one incident: its story, what is not known, what was done
    Show {
        /// Its number, such as 7 or INC-0007
        #[arg(value_parser = id)]
        id: IncidentId,
        #[command(flatten)]
        common: HubArgs,
    },
    /// Write one incident as a report in both languages
    Report {
        /// Its number
        #[arg(value_parser = id)]
        id: IncidentId,
        /// Folder for the report (default: below the state folder)
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        #[command(flatten)]
        common: HubArgs,
    },
    /// Say where an incident stands
    Mark {
        /// Its number
        #[arg(value_parser = id)]
        id: IncidentId,
        /// Where it stands
        status: Mark,
        #[command(flatten)]
        common: HubArgs,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mark {
    Open,
    Closed,
    FalseAlarm,
}

fn id(text: &str) -> Result<IncidentId, String> {
    let digits = text.strip_prefix("INC-").unwrap_or(text);
    digits
        .parse()
        .map(IncidentId)
        .map_err(|_| format!("{text} is no incident's number, such as 7 or INC-0007"))
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { all, common } => list(all, common),
        Command::Show { id, common } => show(id, common),
        Command::Report { id, to, common } => report(id, to, common),
        Command::Mark { id, status, common } => {
            let status = match status {
                Mark::Open => IncidentStatus::Open,
                Mark::Closed => IncidentStatus::Closed,
                Mark::FalseAlarm => IncidentStatus::FalseAlarm,
            };
            let output = common.output();
            super::act::tell(&common.folder()?, Ask::Mark { id, status }, common.lang(), output)
        }
    }
}

/// Exit status 1 while something is open: so a script sees it.
fn list(all: bool, common: HubArgs) -> anyhow::Result<ExitCode> {
    let (output, lang) = (common.output(), common.lang());
    let state = State::open_read(&common.folder()?)?;
    let statuses = if all { vec![] } else { vec![IncidentStatus::Open, IncidentStatus::Contained] };
    let filter = IncidentFilter { statuses, severity_at_least: None };
    let incidents = state.incidents(&filter, LISTED_MAX, None)?;
    for incident in &incidents {
        output.line(&json!({"type": "incident", "incident": incident}))?;
    }
    output.line(&json!({"type": "summary", "incidents": incidents.len()}))?;
    if output == Output::People {
        output.say(table(&incidents, lang));
    }
    let is_open = incidents.iter().any(|incident| incident.status == IncidentStatus::Open);
    Ok(if is_open { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn table(incidents: &[Incident], lang: Lang) -> String {
    if incidents.is_empty() {
        return lang.pick("No incident is open.", "進行中のインシデントはありません。").to_owned();
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(lang.pick(
        ["Number", "State", "Severity", "Latest", "Findings", "What"],
        ["番号", "状態", "重大度", "最終", "検知数", "内容"],
    ));
    for incident in incidents {
        table.add_row([
            incident.id.to_string(),
            hub::status_in_words(incident.status, lang).to_owned(),
            u8::from(incident.severity_id).to_string(),
            local(incident.last_at),
            incident.findings.to_string(),
            printable(lang.pick(&incident.title, &incident.title_ja)),
        ]);
    }
    table.to_string()
}

fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn show(id: IncidentId, common: HubArgs) -> anyhow::Result<ExitCode> {
    let (output, lang) = (common.output(), common.lang());
    let state = State::open_read(&common.folder()?)?;
    let incident = state.incident(id)?.with_context(|| format!("there is no incident {id}"))?;
    let moments = state.moments(id, LISTED_MAX)?;
    let filter = CountermeasureFilter { incident: Some(id), states: vec![] };
    let measures = state.countermeasures(&filter, LISTED_MAX, None)?;
    let evidence = evidence::question(&incident, Timestamp::now()).map(|asked| evidence::command(&asked));
    output.line(&json!({
        "type": "incident", "incident": incident, "moments": moments, "countermeasures": measures,
        "network_evidence": evidence,
    }))?;
    if output == Output::Json {
        return Ok(ExitCode::SUCCESS);
    }
    let say = |text: String| output.say(printable(&text));
    say(format!(
        "{id}  {}  [{}]",
        lang.pick(&incident.title, &incident.title_ja),
        hub::status_in_words(incident.status, lang)
    ));
    for chapter in &incident.story {
        let tactic = chapter.tactic.map_or("–", |tactic| tactic.name(lang));
        let technique = chapter.attack.as_ref().map_or("", |attack| &attack.technique);
        let text = lang.pick(&chapter.en, &chapter.ja);
        say(format!("  {}  {tactic} {technique}: {text} ×{}", local(chapter.first_at), chapter.findings));
    }
    for moment in &moments {
        say(format!("  {}  {}", local(moment.at), lang.pick(&moment.en, &moment.ja)));
    }
    for unknown in &incident.unknowns {
        say(format!("  ? {}", lang.pick(&unknown.en, &unknown.ja)));
    }
    for measure in &measures {
        say(format!(
            "  #{} {}: {} {}",
            measure.id.0,
            hub::state_in_words(measure.state, lang),
            hub::in_words(&measure.act, lang),
            measure.detail
        ));
    }
    if let Some(command) = evidence {
        let words = lang.pick("What left the network then:", "その間に外部へ出た通信:");
        say(format!("  → {words} {command}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn report(id: IncidentId, to: Option<PathBuf>, common: HubArgs) -> anyhow::Result<ExitCode> {
    let output = common.output();
    let folder = common.folder()?;
    let state = State::open_read(&folder)?;
    let ledger = Ledger::open(&folder, Timestamp::now())?;
    let to = to.unwrap_or_else(|| folder.join("reports").join(id.to_string()));
    let written = hub::report::write(&state, &folder, id, ledger.head()?, TimeZone::system(), &to)?;
    ledger.append(written.fact(), Timestamp::now())?;
    output.line(
        &json!({"type": "report", "en": written.html_en, "ja": written.html_ja, "json": written.json}),
    )?;
    output.say(printable(&common.lang().pick(&written.html_en, &written.html_ja).display().to_string()));
    Ok(ExitCode::SUCCESS)
}
