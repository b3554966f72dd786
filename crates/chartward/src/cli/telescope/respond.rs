//! `chartward telescope respond`: the responder, in a sandbox of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::lang::LangArgs;
use crate::cli::state_dir;
use crate::output::{Output, printable};
use crate::wiring::telescope::responder::{converse, respond};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen, such as 198.51.100.7:445: an address that nobody uses
    #[arg(long, value_name = "ADDRESS:PORT", required_unless_present = "inherited")]
    listen: Option<SocketAddr>,
    /// Name of the sensor
    #[arg(long, value_name = "NAME", value_parser = super::sensor, required_unless_present = "inherited")]
    sensor: Option<String>,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    /// Inside the sandbox: the listener is the standard input
    #[arg(long, hide = true)]
    inherited: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (Some(listen), Some(sensor), false) = (args.listen, &args.sensor, args.inherited) else {
        converse()?;
        return Ok(ExitCode::SUCCESS);
    };
    let (output, lang) = (Output::new(args.json), args.lang.lang());
    let state = state_dir(args.state.clone())?;
    let heard = respond(&state, sensor, listen, |event| {
        let _ = output.line(event);
        let word = |name: &str| printable(event[name].as_str().unwrap_or_default());
        match event["type"].as_str() {
            Some("ready") => output.say(lang.pick(
                format!("Answering at {}.", word("listen")),
                format!("{} で応答しています。", word("listen")),
            )),
            Some("heard") => {
                let said = word("said");
                output.say(lang.pick(
                    format!("{} calls itself {said} (a claim)", word("source")),
                    format!("{} の申告：{said}（未確認）", word("source")),
                ));
            }
            _ => {}
        }
    })?;
    output.line(&json!({"type": "summary", "heard": heard}))?;
    Ok(ExitCode::SUCCESS)
}
