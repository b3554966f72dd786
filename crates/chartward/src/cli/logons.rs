//! `chartward logons`: what logs say of who logged in where, without a watcher.

mod exposure;
mod learn;
mod story;
mod timeline;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use judge::logins::Rules;
use schema::{AuthEvent, Lang, Micros};
use serde_json::json;

use super::lang::LangArgs;
use crate::config::{self, Config};
use crate::output::{Output, printable};
use crate::wiring::logins::grants::Grants;
use crate::wiring::logins::read::{self, Outcome};

/// Who logged in where, from logs: the story of an attack, timelines, doors that are open
#[derive(clap::Args)]
pub(crate) struct LogonsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The graph of accounts and machines, in the order for triage, and the ways that an attacker took
    Story(story::Args),
    /// What one account, source or machine did, in the order of time
    Timeline(timeline::Args),
    /// Which machines answer whom by RDP, SSH and SMB, and what to close first
    Exposure(exposure::Args),
    /// Take past logs in, so that the watcher need not begin to learn with nothing
    Learn(learn::Args),
}

/// What all of them take.
#[derive(clap::Args)]
struct Common {
    /// Logs: EVTX files, forwarded events, text logs, folders of them
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Configuration file (default: chartward.toml, then /etc/chartward/chartward.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// JSON lines on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lang: LangArgs,
}

/// What [`Common`] leads to.
struct Desk {
    rules: Rules,
    zone: TimeZone,
    output: Output,
    lang: Lang,
}

pub(crate) fn run(args: LogonsArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Story(args) => story::run(&args),
        What::Timeline(args) => timeline::run(&args),
        What::Exposure(args) => exposure::run(&args),
        What::Learn(args) => learn::run(&args),
    }
}

impl Common {
    fn desk(&self) -> anyhow::Result<Desk> {
        for path in &self.logs {
            std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        }
        let config = config::find(self.config.as_deref()).map(|file| Config::load(&file)).transpose()?;
        let zone = config.as_ref().map_or_else(TimeZone::system, Config::zone);
        let mut rules =
            config.as_ref().map(|config| config.logins.clone()).unwrap_or_default().rules(zone.clone());
        if let Some(state) = config.as_ref().and_then(|config| config.state.as_ref()) {
            rules.grants = Grants::load(state)?.grants;
        }
        Ok(Desk { rules, zone, output: Output::new(self.json), lang: self.lang.lang() })
    }

    /// Every logon of the logs, in the order of time.
    fn read(&self, desk: &Desk, take: impl FnMut(&AuthEvent<'_>)) -> anyhow::Result<Outcome> {
        let outcome = read::logons(&self.logs, &desk.zone, Timestamp::now().as_microsecond(), take);
        for failed in &outcome.failed {
            eprintln!("chartward: {}", printable(failed));
        }
        if outcome.events == 0 && outcome.failed.is_empty() {
            bail!("no logons in what was named");
        }
        Ok(outcome)
    }
}

impl Desk {
    /// The last line, and the status: 1 when something was found or not all could be read.
    fn finish(&self, outcome: &Outcome, found: usize) -> anyhow::Result<ExitCode> {
        self.output.line(&json!({
            "type": "summary", "events": outcome.events, "files": outcome.files, "damaged": outcome.damaged,
            "failed": outcome.failed.len(), "found": found,
        }))?;
        if self.output == Output::People {
            let (events, files, failed) = (outcome.events, outcome.files, outcome.failed.len());
            self.output.say(self.lang.pick(
                format!("{events} logons in {files} files; {failed} not read to their end"),
                format!("{files}個のファイルのログイン記録 {events} 件（最後まで読めないもの {failed}）"),
            ));
        }
        Ok(ExitCode::from(u8::from(found > 0 || !outcome.failed.is_empty())))
    }

    fn local(&self, at: Micros) -> String {
        let at = Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}
