//! `chartward wall`: what the packet filter lets through, declared, tried out, confirmed and taken back.

mod apply;
mod ask;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use act::wall::policy::{self, Policy, emit};
use anyhow::{Context, ensure};
use jiff::Timestamp;
use schema::Lang;
use serde_json::json;

use super::lang::LangArgs;
use crate::config::{self, Config};
use crate::output::{Output, printable, printable_lines};
use crate::wiring::wall::Site;

/// Declare who reaches whom, and let the packet filter see to it
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say what an apply would change, in words and as nftables text; changes nothing
    Plan(Common),
    /// Put the policy of the configuration in force; unless confirmed in time, what was before comes back by itself
    Apply(apply::ApplyArgs),
    /// Keep what is on trial
    Confirm(apply::ConfirmArgs),
    /// Bring back what was in force before the last apply
    Undo(apply::UndoArgs),
    /// Load what was confirmed again: after a reboot, or after somebody changed the rules
    Load(Common),
    /// What is in force: rules with their counters, bans with the time left, and how it differs from what was declared
    Status(Common),
    /// Say whether a connection would pass, and which rule decides; status 0: yes, 1: no
    Test(ask::TestArgs),
    /// Print the rules for another firewall's administrator; changes nothing
    Emit(EmitArgs),
}

#[derive(clap::Args)]
struct Common {
    /// The file [default: chartward.toml, then /etc/chartward/chartward.toml]
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    /// State folder (default: as the configuration says, else /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct EmitArgs {
    #[command(flatten)]
    common: Common,
    /// nft, iptables, ip6tables, fortigate, cisco, yamaha-rtx or text
    #[arg(long = "for", value_name = "WHAT")]
    kind: String,
}

/// What every subcommand works on.
struct Desk {
    config: Config,
    site: Site,
    output: Output,
    lang: Lang,
}

impl Common {
    fn desk(&self) -> anyhow::Result<Desk> {
        let path = config::find(self.config.as_deref())
            .context("there is no chartward.toml here and none in /etc/chartward; name one with --config")?;
        let config = Config::load(&path)?;
        let state = super::state_dir(self.state.clone().or_else(|| config.state.clone()))?;
        let site = Site::of(&config, &state)?;
        Ok(Desk { config, site, output: Output::new(self.json), lang: self.lang.lang() })
    }
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Plan(common) => plan(&common.desk()?),
        Command::Apply(args) => apply::apply(&args),
        Command::Confirm(args) => apply::confirm(&args),
        Command::Undo(args) => apply::undo(&args),
        Command::Load(common) => apply::load(&common.desk()?),
        Command::Status(common) => status::status(&common.desk()?),
        Command::Test(args) => ask::test(&args),
        Command::Emit(args) => emit(&args),
    }
}

impl Desk {
    /// The declared policy; an error when there is none, since an empty one is hardly meant.
    fn policy(&self) -> anyhow::Result<&Policy> {
        ensure!(
            self.config.wall.has_policy(),
            "the configuration declares no [[wall.zone]], so that there is no policy; docs/wall.md shows one"
        );
        Ok(&self.site.policy)
    }
}

fn plan(desk: &Desk) -> anyhow::Result<ExitCode> {
    let policy = desk.policy()?;
    let text = desk.site.gate.try_out(policy)?;
    let standing = desk.site.gate.standing(Timestamp::now())?;
    let before = standing.current.as_ref().map(|kept| &kept.policy);
    let (output, lang) = (desk.output, desk.lang);
    let english = policy::differences(before, Some(policy), Lang::En);
    let japanese = policy::differences(before, Some(policy), Lang::Ja);
    for (en, ja) in english.iter().zip(&japanese) {
        let is_new = en.is_new;
        output.line(&json!({"type": "change", "new": is_new, "en": en.sentence, "ja": ja.sentence}))?;
    }
    output.line(&json!({"type": "nft", "text": text}))?;
    output.line(&json!({"type": "summary", "changes": english.len()}))?;
    if output == Output::People {
        for difference in policy::differences(before, Some(policy), lang) {
            let sign = if difference.is_new { '+' } else { '-' };
            output.say(format!("{sign} {}", printable(&difference.sentence)));
        }
        if english.is_empty() {
            output.say(lang.pick("What is in force is what is declared.", "設定と同じものが有効です。"));
        }
        output.say(format!("\n{}", printable_lines(&text)));
        output.say(lang.pick("Nothing was changed.", "何も変更していません。"));
    }
    Ok(ExitCode::SUCCESS)
}

fn emit(args: &EmitArgs) -> anyhow::Result<ExitCode> {
    let desk = args.common.desk()?;
    let kind: emit::Device = args.kind.parse().map_err(anyhow::Error::msg)?;
    let text = emit::emit(desk.policy()?, kind, desk.lang);
    desk.output.line(&json!({"type": "rules", "for": args.kind, "text": text}))?;
    if desk.output == Output::People {
        desk.output.say(printable_lines(text.trim_end()));
    }
    Ok(ExitCode::SUCCESS)
}
