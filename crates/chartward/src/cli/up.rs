//! `chartward up`: the hub in the foreground, until it is asked to end.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use sha2::{Digest, Sha256};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::state_dir;
use crate::config::{self, Config};
use crate::output::Output;
use crate::sample::protected;
use crate::wiring::up::{self, Up};

/// Between two looks at whether the hub still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Run the hub: watchers, decisions, schedule, console
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Configuration (default: chartward.toml here, then /etc/chartward/chartward.toml; without any, a synthetic hospital is made in a
    /// folder of its own and protected)
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    /// State folder (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Folder of the synthetic hospital that is made when there is no configuration
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    sample: Option<PathBuf>,
    /// Its patients
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(3..=i64::from(crate::sample::PATIENTS_MAX)))]
    patients: u32,
    /// End when the process that started this one ends, however it ends
    #[arg(long, hide = true)]
    end_with_parent: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.end_with_parent {
        let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        asked.context("ask to be told of the parent's end")?;
    }
    // Before any thread is started, so that a signal during the start ends everything in order, too.
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("wait for signals")?;
    let output = Output::new(args.json);
    let path = match config::find(args.config.as_deref()).filter(|_| args.sample.is_none()) {
        Some(path) => path,
        None => protected::make(&sample_dir(args.sample)?, args.patients, output)?,
    };
    let config = Config::load(&path)?;
    let folder = args.state.or_else(|| config.state.clone());
    let folder = std::path::absolute(state_dir(folder)?).context("find the state folder")?;
    let config_sha256 = hex::encode(Sha256::digest(std::fs::read(&path)?));
    let up = up::start(config, config_sha256, &folder, output)?;
    output.line(&json!({
        "type": "ready",
        "console": up.url(),
        "fingerprint": up.serving.fingerprint,
        "state": folder,
        "setup_code": up.set_up_code,
        "config": path,
    }))?;
    welcome(&up, output);
    while signals.pending().next().is_none() && !up.running.has_ended() {
        std::thread::sleep(LOOK_AGAIN);
    }
    output.say("ending: watchers are heard out and everything is written down");
    up.stop()?;
    Ok(ExitCode::SUCCESS)
}

fn sample_dir(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let dir = match given {
        Some(dir) => dir,
        None => state_dir(None)?.with_file_name("chartward-sample"),
    };
    std::path::absolute(dir).context("find the folder of the synthetic hospital")
}

fn welcome(up: &Up, output: Output) {
    output.say(format_args!("console: {}", up.url()));
    if let Some(fingerprint) = &up.serving.fingerprint {
        output.say(format_args!("its certificate (SHA-256): {fingerprint}"));
    }
    if let Some(code) = &up.set_up_code {
        output.say(format_args!("set-up code for the first administrator, shown once: {code}"));
    }
}
