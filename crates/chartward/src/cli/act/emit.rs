//! `chartward act emit`: scripts for machines where nothing of ours is installed. Nothing is changed here or there.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use act::windows::{self, Block, Logoff, NOT_TESTED};
use anyhow::Context;
use jiff::Timestamp;
use prove::state::{CountermeasureFilter, State};
use schema::{Act, CountermeasureState, Lang};
use serde_json::json;

use super::super::hub_args::HubArgs;
use super::LISTED_MAX;
use crate::config::{self, Config};
use crate::hub;
use crate::output::{Output, printable_lines};

#[derive(clap::Args)]
pub(crate) struct EmitArgs {
    /// What the script does
    #[arg(value_enum)]
    kind: Kind,
    /// Addresses to block (without any: what the hub blocks now), or accounts to log off
    targets: Vec<String>,
    /// How long it blocks
    #[arg(long, value_name = "TIME", default_value = "4h")]
    lasts: String,
    /// The file with [never_touch] [default: chartward.toml, then /etc/chartward/chartward.toml]
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    #[command(flatten)]
    common: HubArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Block addresses with the firewall of Windows for a time
    WindowsBlock,
    /// Log off accounts on a Windows machine
    WindowsLogoff,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::WindowsBlock => "windows-block",
            Kind::WindowsLogoff => "windows-logoff",
        }
    }
}

pub(super) fn emit(args: &EmitArgs) -> anyhow::Result<ExitCode> {
    let now = Timestamp::from_second(Timestamp::now().as_second())?;
    let text = match args.kind {
        Kind::WindowsLogoff => windows::logoff(&Logoff { accounts: &args.targets, now }),
        Kind::WindowsBlock => {
            let path = config::find(args.config.as_deref()).context(
                "a block needs the list of who is never cut off, and there is no chartward.toml here and none in /etc/chartward; \
                 name one with --config",
            )?;
            let never = hub::wall_settings(&Config::load(&path)?)?.never;
            let addresses = addresses(args)?;
            let period =
                config::period(&args.lasts).map_err(|fault| anyhow::anyhow!("--lasts: {}", fault.what.en))?;
            let lasts = Duration::from_secs(period.0.as_secs().unsigned_abs());
            windows::block(&Block { addresses: &addresses, lasts, now }, &never)
        }
    };
    let text = text.map_err(|error| {
        let next = error.next_step().map(|step| format!("; next: {step}")).unwrap_or_default();
        anyhow::anyhow!("{error}{next}")
    })?;
    let (output, lang) = (args.common.output(), args.common.lang());
    output.line(&json!({"type": "script", "for": args.kind.name(), "tested": false, "text": text}))?;
    if output == Output::People {
        output.say(printable_lines(text.trim_end()));
    }
    eprintln!("chartward: {}", warning(lang));
    Ok(ExitCode::SUCCESS)
}

fn warning(lang: Lang) -> String {
    lang.pick(
        format!("{NOT_TESTED}: read it, and run it on one machine first. Nothing was changed."),
        format!(
            "Windows では試験していません（{NOT_TESTED}）。内容を確認し、まず1台で試してください。何も変更していません。"
        ),
    )
}

/// Those that are named, or those that are blocked now.
fn addresses(args: &EmitArgs) -> anyhow::Result<Vec<IpAddr>> {
    if !args.targets.is_empty() {
        let parse = |text: &String| {
            text.parse::<IpAddr>().with_context(|| format!("{text:?} is no address; names are not looked up"))
        };
        return args.targets.iter().map(parse).collect();
    }
    let filter = CountermeasureFilter { incident: None, states: vec![CountermeasureState::Applied] };
    let measures = State::open_read(&args.common.folder()?)?.countermeasures(&filter, LISTED_MAX, None)?;
    let blocked = measures.iter().filter_map(|measure| match measure.act {
        Act::BlockAddress { address } => Some(address),
        _ => None,
    });
    Ok(blocked.collect())
}
