//! `chartward act lift`: everything that is in force against an address, or against everybody, is taken back with one command, also
//! where no hub runs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use act::wall::{Barrier, Wall};
use anyhow::{Context, ensure};
use jiff::Timestamp;
use prove::state::{CountermeasureFilter, State};
use prove::{Fact, Ledger};
use schema::{Act, Countermeasure, CountermeasureState};
use serde_json::json;

use super::super::hub_args::HubArgs;
use super::LISTED_MAX;
use crate::config::{self, Config};
use crate::hub::{self, Command as Ask};
use crate::output::printable;

#[derive(clap::Args)]
pub(crate) struct LiftArgs {
    /// Addresses that are blocked or isolated
    #[arg(required_unless_present = "all")]
    addresses: Vec<IpAddr>,
    /// Whatever is blocked or isolated
    #[arg(long, conflicts_with = "addresses")]
    all: bool,
    /// The file, for when no hub runs [default: chartward.toml, then /etc/chartward/chartward.toml]
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    #[command(flatten)]
    common: HubArgs,
}

/// Whom it is about; `None`: everybody.
type Whom = Option<BTreeSet<IpAddr>>;

fn is_meant(whom: &Whom, address: IpAddr) -> bool {
    whom.as_ref().is_none_or(|whom| whom.contains(&address.to_canonical()))
}

/// What an act holds in the packet filter.
fn held(act: &Act) -> Option<(Barrier, IpAddr)> {
    match act {
        Act::BlockAddress { address } => Some((Barrier::Ban, *address)),
        Act::IsolateHost { address } => Some((Barrier::Isolate, *address)),
        Act::BlockEgress { address } => Some((Barrier::Egress, *address)),
        _ => None,
    }
}

pub(super) fn lift(args: LiftArgs) -> anyhow::Result<ExitCode> {
    let LiftArgs { addresses, all, config, common } = args;
    let whom: Whom = (!all).then(|| addresses.iter().map(IpAddr::to_canonical).collect());
    let folder = common.folder()?;
    let (output, lang) = (common.output(), common.lang());
    // Any question tells whether a hub runs.
    let has_hub = hub::ask_running(&folder, Ask::Alarms).is_ok();
    let mut measures = standing(&folder, &whom)?;
    if has_hub {
        // The rest is on its way, and the hub's.
        measures.retain(|measure| measure.state == CountermeasureState::Applied);
    }
    let mut failed = 0;
    if has_hub {
        for measure in &measures {
            if let Err(refusal) = hub::ask_running(&folder, Ask::Undo { id: measure.id })? {
                failed += 1;
                eprintln!("chartward: {}", printable(lang.pick(&refusal.en, &refusal.ja)));
            }
        }
    } else {
        without_hub(&folder, config.as_deref(), &whom, &measures)?;
    }
    for measure in &measures {
        output.line(&json!({"type": "lifted", "countermeasure": measure.id, "act": measure.act}))?;
        output.say(printable(&hub::in_words(&measure.act, lang)));
    }
    let done = measures.len() - failed;
    output.line(&json!({"type": "summary", "lifted": done, "failed": failed, "hub": has_hub}))?;
    output.say(lang.pick(format!("{done} taken back."), format!("{done}件を解除しました。")));
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// What is in force against them, as far as the state folder knows.
fn standing(folder: &Path, whom: &Whom) -> anyhow::Result<Vec<Countermeasure>> {
    let states = vec![CountermeasureState::Applied, CountermeasureState::Approved];
    let filter = CountermeasureFilter { incident: None, states };
    let mut measures = State::open_read(folder)?.countermeasures(&filter, LISTED_MAX, None)?;
    measures.retain(|measure| held(&measure.act).is_some_and(|(_, address)| is_meant(whom, address)));
    Ok(measures)
}

/// Out of the packet filter, and out of what the hub would put back when it is started again.
fn without_hub(
    folder: &Path,
    config: Option<&Path>,
    whom: &Whom,
    measures: &[Countermeasure],
) -> anyhow::Result<()> {
    let path = config::find(config).context(
        "no hub runs, and there is no chartward.toml here and none in /etc/chartward; name one with --config",
    )?;
    let wall = Wall::new(hub::wall_settings(&Config::load(&path)?)?);
    if whom.is_none() {
        wall.remove()?;
    } else if let Ok(standing) = wall.in_force() {
        let of = |barrier: Barrier| -> Vec<IpAddr> {
            let meant =
                standing.iter().filter(|known| known.barrier == barrier && is_meant(whom, known.address));
            meant.map(|known| known.address).collect()
        };
        wall.unban(&of(Barrier::Ban))?;
        wall.release(&of(Barrier::Isolate))?;
        wall.unblock_egress(&of(Barrier::Egress))?;
    }
    let now = Timestamp::now();
    let (state, ledger) = (State::open(folder, now)?, Ledger::open(folder, now)?);
    for measure in measures {
        let countermeasure = Countermeasure {
            state: CountermeasureState::Undone,
            undone_at: Some(now),
            detail: "taken back on the command line while no hub ran".to_owned(),
            ..measure.clone()
        };
        state.write(|tx| tx.put_countermeasure(&countermeasure))?;
        ledger.append(Fact::CountermeasureChanged { countermeasure }, now)?;
    }
    ensure!(
        wall.in_force().map_or(true, |left| !left.iter().any(|known| is_meant(whom, known.address))),
        "the packet filter still holds what was to be taken back"
    );
    Ok(())
}
