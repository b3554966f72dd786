//! `chartward sensor learnt`: what was learnt is visible and can be taken back.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use comfy_table::Table;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{Lang, Micros};
use serde_json::{Value, json};

use super::Common;
use crate::wiring::control;
use crate::wiring::sensor::state::Kept;

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Forget a pair, written as CLIENT,SERVER:PORT, such as 192.0.2.5,192.0.2.9:445 or 2001:db8::5,[2001:db8::9]:445; can be given several times
    #[arg(long, value_name = "PAIR", conflicts_with = "forget_all")]
    forget: Vec<Pair>,
    /// Forget all pairs, and learn anew
    #[arg(long)]
    forget_all: bool,
    #[command(flatten)]
    common: Common,
}

/// Client and server with its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    client: IpAddr,
    server: SocketAddr,
}

impl FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NOT: &str = "write CLIENT,SERVER:PORT, such as 192.0.2.5,192.0.2.9:445";
        let (client, server) = text.split_once(',').ok_or(NOT)?;
        Ok(Self { client: client.parse().map_err(|_| NOT)?, server: server.parse().map_err(|_| NOT)? })
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let site = args.common.site()?;
    if !site.folder.is_dir() {
        bail!("no sensor learnt anything in {}: name its state folder with --state", site.folder.display());
    }
    let mut kept = Kept::load(&site.folder, Timestamp::now(), site.settings.learn_seconds)?;
    if args.forget_all {
        let forgotten = forget(&site.folder, &mut kept, None)?;
        return said(args, forgotten, 1);
    }
    if !args.forget.is_empty() {
        let mut forgotten = 0;
        for pair in &args.forget {
            forgotten += forget(&site.folder, &mut kept, Some(*pair))?;
        }
        return said(args, forgotten, args.forget.len() as u64);
    }
    list(args, &kept, &site.zone)?;
    Ok(ExitCode::SUCCESS)
}

/// By the sensor that runs; without one, on the disk.
fn forget(folder: &Path, kept: &mut Kept, which: Option<Pair>) -> anyhow::Result<u64> {
    let socket = folder.join("control.sock");
    let request = match which {
        None => json!({"do": "forget_all"}),
        Some(Pair { client, server }) => {
            json!({"do": "forget", "client": client, "server": server.ip(), "port": server.port()})
        }
    };
    match control::ask(&socket, &request, PATIENCE) {
        Ok(Value::Object(answer)) if answer.get("ok") == Some(&true.into()) => {
            Ok(answer.get("forgotten").and_then(Value::as_u64).unwrap_or_default())
        }
        Ok(answer) => bail!("the sensor refused: {}", answer["error"].as_str().unwrap_or_default()),
        // Nobody listens there any more.
        Err(error) if is_unserved(&error) => {
            let pair = which.map(|pair| (pair.client, pair.server.ip(), pair.server.port()));
            Ok(kept.forget(pair, Timestamp::now())? as u64)
        }
        Err(error) => Err(error).context("ask the running sensor to forget"),
    }
}

fn is_unserved(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| matches!(cause.kind(), ConnectionRefused | NotFound))
}

fn said(args: &Args, forgotten: u64, asked: u64) -> anyhow::Result<ExitCode> {
    let output = args.common.output();
    output.line(&json!({"type": "forgotten", "count": forgotten}))?;
    output.say(match args.common.lang() {
        Lang::En => format!("{forgotten} pairs were forgotten"),
        Lang::Ja => format!("{forgotten}組を忘れました"),
    });
    let done = args.forget_all || forgotten >= asked;
    Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(args: &Args, kept: &Kept, zone: &TimeZone) -> anyhow::Result<()> {
    let output = args.common.output();
    let lang = args.common.lang();
    for pair in kept.pairs() {
        let mut line = serde_json::to_value(pair)?;
        line["type"] = "learnt".into();
        output.line(&line)?;
    }
    output.line(&json!({
        "type": "summary", "pairs": kept.pairs().len(), "since": kept.since(), "learning_until": kept.learning_until(),
    }))?;
    if args.common.json {
        return Ok(());
    }
    let time = |at: Micros| {
        let at = Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
        at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    };
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(match lang {
        Lang::En => ["client", "server", "port", "first", "last"],
        Lang::Ja => ["接続する側", "接続を受ける側", "ポート", "最初", "最後"],
    });
    for pair in kept.pairs() {
        table.add_row([
            pair.client.to_string(),
            pair.server.to_string(),
            pair.port.to_string(),
            time(pair.first),
            time(pair.last),
        ]);
    }
    output.say(table);
    let until = time(kept.learning_until().as_microsecond());
    output.say(match lang {
        Lang::En => format!("{} pairs; first contacts are told from {until}", kept.pairs().len()),
        Lang::Ja => format!("{}組。初めての組み合わせは {until} 以降に知らせます", kept.pairs().len()),
    });
    Ok(())
}
