//! `chartward access`: a contractor's time, opened for a ticket. It has nothing to do with who may use the console.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;
use comfy_table::Table;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use judge::logins::Grant;
use schema::Lang;
use serde_json::json;

use super::lang::LangArgs;
use crate::config::{self, Config};
use crate::output::{Output, printable};
use crate::wiring::logins::grants::Grants;

/// Open a contractor's time for a ticket, list what is open, take it back
#[derive(clap::Args)]
pub(crate) struct AccessArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Let a contractor log in outside its agreed hours for a while; it ends by itself
    Grant {
        /// The contractor's name, as [[logins.contractor]] has it
        name: String,
        /// For how many hours from now on, at most 72
        #[arg(long, value_name = "N")]
        hours: f64,
        /// Why: a ticket's number, a fault
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        common: Common,
    },
    /// List what is open, and what was in the last 90 days
    List(Common),
    /// Take an opening back before its time
    Revoke {
        /// Its number, as listed
        id: u64,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(clap::Args)]
struct Common {
    /// Configuration file (default: chartward.toml, then /etc/chartward/chartward.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder (default: as the configuration says, else /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// JSON lines on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
}

struct Desk {
    config: Option<Config>,
    state: PathBuf,
    output: Output,
    lang: Lang,
}

impl Common {
    fn desk(&self) -> anyhow::Result<Desk> {
        let file = config::find(self.config.as_deref());
        let config = file.as_deref().map(Config::load).transpose()?;
        let state = self.state.clone().or_else(|| config.as_ref()?.state.clone());
        Ok(Desk {
            config,
            state: super::state_dir(state)?,
            output: Output::new(self.json),
            lang: self.lang.lang(),
        })
    }
}

pub(crate) fn run(args: AccessArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Grant { name, hours, reason, common } => grant(&common.desk()?, &name, hours, &reason),
        What::List(common) => list(&common.desk()?),
        What::Revoke { id, common } => {
            let desk = common.desk()?;
            let grant = Grants::revoke(&desk.state, id, &whoami(), Timestamp::now())?;
            desk.say(&grant, "closed")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn grant(desk: &Desk, name: &str, hours: f64, reason: &str) -> anyhow::Result<ExitCode> {
    let known: Vec<&str> = desk
        .config
        .iter()
        .flat_map(|config| &config.logins.contractor)
        .map(|contractor| contractor.name.as_str())
        .collect();
    if !known.contains(&name) {
        bail!(
            "the configuration has no contractor {}; it has: {}",
            printable(name),
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        );
    }
    let grant = Grants::open(&desk.state, name, hours, reason, &whoami(), Timestamp::now())?;
    desk.say(&grant, "open")?;
    Ok(ExitCode::SUCCESS)
}

fn list(desk: &Desk) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let grants = Grants::load(&desk.state)?.grants;
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(desk.lang.pick(
        ["number", "contractor", "state", "from", "until", "reason", "by"],
        ["番号", "業者", "状態", "開始", "終了", "理由", "許可した人"],
    ));
    for grant in &grants {
        let state = state_of(grant, now);
        desk.output.line(&line(grant, state))?;
        let state = match state {
            "open" => desk.lang.pick("open", "許可中"),
            "closed" => desk.lang.pick("taken back", "取り消し"),
            _ => desk.lang.pick("over", "終了"),
        };
        table.add_row([
            grant.id.to_string(),
            printable(&grant.contractor),
            state.to_owned(),
            desk.local(grant.from),
            desk.local(grant.end()),
            printable(&grant.reason),
            printable(&grant.by),
        ]);
    }
    let open = grants.iter().filter(|grant| grant.is_open(now)).count();
    desk.output.line(&json!({"type": "summary", "grants": grants.len(), "open": open}))?;
    if desk.output == Output::People {
        if !grants.is_empty() {
            desk.output.say(table);
        }
        desk.output.say(desk.lang.pick(format!("{open} open"), format!("許可中：{open}件")));
    }
    Ok(ExitCode::SUCCESS)
}

impl Desk {
    fn say(&self, grant: &Grant, state: &str) -> anyhow::Result<()> {
        self.output.line(&line(grant, state))?;
        if self.output == Output::People {
            let (id, name, end) = (grant.id, printable(&grant.contractor), self.local(grant.end()));
            self.output.say(match (state, self.lang) {
                ("open", Lang::En) => {
                    format!("{name} may log in until {end} (number {id}). It ends by itself.")
                }
                ("open", Lang::Ja) => format!(
                    "{name} は {end} までログインできます（番号 {id}）。時刻が来ると自動で終了します。"
                ),
                (_, Lang::En) => format!("{name}: opening {id} is closed since {end}."),
                (_, Lang::Ja) => format!("{name}：許可 {id} を {end} に取り消しました。"),
            });
        }
        Ok(())
    }

    fn local(&self, at: Timestamp) -> String {
        let zone = self.config.as_ref().map_or_else(TimeZone::system, Config::zone);
        at.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

fn line(grant: &Grant, state: &str) -> serde_json::Value {
    json!({
        "type": "grant", "id": grant.id, "contractor": grant.contractor, "state": state, "from": grant.from,
        "until": grant.end(), "reason": grant.reason, "by": grant.by,
    })
}

fn state_of(grant: &Grant, now: Timestamp) -> &'static str {
    match grant.is_open(now) {
        true => "open",
        false if grant.revoked.is_some() => "closed",
        false => "over",
    }
}

/// Who sits at the machine, for the ledger: as `sudo` says, else the login name.
fn whoami() -> String {
    let named = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
    let named = named.filter(|name| !name.is_empty() && Path::new(name).components().count() == 1);
    format!("local:{}", named.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string()))
}
