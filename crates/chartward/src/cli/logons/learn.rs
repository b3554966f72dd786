//! `chartward logons learn`: past logs are taken in, so that the watcher need not begin with nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use judge::logins::Detectors;
use serde_json::json;

use super::Common;
use crate::cli::state_dir;
use crate::config::{self, Config};
use crate::output::Output;
use crate::wiring::logins::shown::Shown;
use crate::wiring::logins::{FOLDER, forget};
use crate::wiring::logs;
use crate::wiring::logs::state::{self, Keeping};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// State folder (default: as the configuration says, else /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let desk = args.common.desk()?;
    let config = config::find(args.common.config.as_deref()).map(|file| Config::load(&file)).transpose()?;
    let state = state_dir(args.state.clone().or_else(|| config?.state))?;
    let now = Timestamp::now();
    let folder = logs::folder(&state);
    let _alone = state::alone(&folder)?;
    let (mut kept, trouble) = state::load(&folder);
    if let Some(trouble) = trouble {
        eprintln!("chartward: {trouble}");
    }
    let mut detectors = Detectors::resume(&desk.rules, std::mem::take(&mut kept.logins));
    let mut forgotten = 0;
    for request in forget::since(&state.join(FOLDER), kept.forgot)? {
        forgotten += detectors.forget(&request.what, now.as_microsecond());
        kept.forgot = request.at;
    }
    let mut found = Vec::new();
    let outcome = args.common.read(&desk, |event| {
        detectors.step(event, 0, &mut found);
        // Findings of the past are for `chartward scan`.
        found.clear();
    })?;
    Keeping::new(&kept.positions, detectors.state(), kept.sigma, kept.forgot).save(&folder)?;
    Shown::of(&detectors, now).save(&folder)?;
    let learning = detectors.learning();
    desk.output.line(&json!({
        "type": "learnt", "pairs": learning.pairs, "forgotten": forgotten, "since_us": learning.since,
        "until_us": learning.until,
    }))?;
    if desk.output == Output::People {
        let until = learning.until.map(|until| desk.local(until)).unwrap_or_default();
        desk.output.say(desk.lang.pick(
            format!("{} pairs are known; first-seen ones are told from {until}", learning.pairs),
            format!("{} 組を学習しました。初めての組は {until} 以降に知らせます", learning.pairs),
        ));
    }
    desk.finish(&outcome, 0)
}
