//! `chartward charts access`: who came into the viewer, and who opened which chart.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use recover::vault::Vault;
use schema::Lang;
use serde_json::json;

use crate::cli::lang::LangArgs;
use crate::cli::password::PasswordArgs;
use crate::cli::state_dir;
use crate::cli::vault_args::RestArgs;
use crate::output::{Output, printable};
use crate::viewer::Way;
use crate::viewer::record::{Act, Entry, Written, read, tag};

#[derive(clap::Args)]
pub(super) struct AccessArgs {
    /// Only what was done with this patient's chart
    #[arg(long, value_name = "ID")]
    patient: Option<String>,
    /// Only what this reader did: an account's name, or a part of the name that they gave
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only emergency accesses
    #[arg(long)]
    emergency: bool,
    /// Folder of the vault whose charts were read; its passphrase opens the record
    #[arg(long, value_name = "DIR", env = "CHARTWARD_VAULT")]
    vault: Option<PathBuf>,
    /// State folder that the viewer was given
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    rest: RestArgs,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: AccessArgs) -> anyhow::Result<ExitCode> {
    let (output, lang) = (Output::new(args.json), args.lang.lang());
    let state = state_dir(args.state.clone())?;
    let (folder, key) = match &args.vault {
        None => super::serve::record(&state, None)?,
        Some(dir) => {
            let at = args.rest.at(dir)?;
            Vault::probe(&at)?;
            super::serve::record(&state, Some(&Vault::open(&at, &args.password.read()?)?))?
        }
    };
    if !folder.is_dir() {
        bail!(
            "no viewer has recorded anything in {}; --state names the folder that it was given, --vault the vault whose charts it read",
            folder.display()
        );
    }
    let Written { entries, faults } =
        read(&folder, &key).with_context(|| format!("cannot read {}", folder.display()))?;
    let wanted: Vec<&Entry> = entries.iter().filter(|entry| args.wants(entry)).collect();
    for entry in &wanted {
        let tag = entry.patient().map(|patient| tag(&key, patient));
        output.line(&json!({"type": "access", "entry": entry, "tag": tag}))?;
        if output == Output::People {
            output.say(line(entry, lang));
        }
    }
    for (file, why) in &faults {
        eprintln!("chartward: {}: {why}", printable(&file.display().to_string()));
        output.line(&json!({"type": "fault", "file": file, "why": why}))?;
    }
    output.line(
        &json!({"type": "summary", "listed": wanted.len(), "entries": entries.len(), "faults": faults.len()}),
    )?;
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl AccessArgs {
    fn wants(&self, entry: &Entry) -> bool {
        let of = |id: &String| entry.patient().is_some_and(|patient| patient.0 == *id);
        let by = |name: &String| entry.who.to_lowercase().contains(&name.to_lowercase());
        self.patient.as_ref().is_none_or(of)
            && self.who.as_ref().is_none_or(by)
            && (!self.emergency || entry.way == Some(Way::Emergency))
    }
}

/// One line for people: when, who, how, what, why, from where.
fn line(entry: &Entry, lang: Lang) -> String {
    let at = entry.at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let way = match entry.way {
        Some(Way::Account) => lang.pick("account", "アカウント"),
        Some(Way::Code) => lang.pick("code", "コード"),
        Some(Way::Emergency) => lang.pick("EMERGENCY", "緊急"),
        None => "–",
    };
    let what = match &entry.act {
        Act::Started { shows } => {
            lang.pick(format!("viewer started: {shows}"), format!("参照画面の起動: {shows}"))
        }
        Act::Entered => lang.pick("came in", "入室").to_owned(),
        Act::Refused => lang.pick("was refused", "入室を拒否").to_owned(),
        Act::Left => lang.pick("went out", "退室").to_owned(),
        Act::Searched { query, found } => {
            lang.pick(format!("searched {query}: {found} found"), format!("検索「{query}」 {found} 件"))
        }
        Act::WardOpened { ward } => lang.pick(format!("opened ward {ward}"), format!("病棟 {ward} を表示")),
        Act::ChartOpened { patient, found: true } => {
            lang.pick(format!("opened chart {patient}"), format!("カルテ {patient} を表示"))
        }
        Act::ChartOpened { patient, found: false } => lang
            .pick(format!("asked for chart {patient}: none"), format!("カルテ {patient} を要求（該当なし）")),
        Act::EmergenciesNoted { up_to } => lang.pick(
            format!("noted emergency accesses up to {up_to}"),
            format!("{up_to} までの緊急アクセスを確認"),
        ),
        Act::Did { what, patient } => {
            format!("{what} {}", patient.as_ref().map_or("", |patient| patient.0.as_str()))
        }
    };
    let from = entry.address.map(|address| format!(" [{address}]")).unwrap_or_default();
    let why = entry.reason.as_ref().map(|reason| format!(" — {reason}")).unwrap_or_default();
    let who = if entry.who.is_empty() { "–" } else { &entry.who };
    printable(&format!("{at}  {who} ({way})  {what}{why}{from}"))
}
