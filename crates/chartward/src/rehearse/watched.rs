//! The hub of a rehearsal: the one that `chartward up` starts, asked and looked at from within the same process.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use prove::State;
use prove::state::{CountermeasureFilter, IncidentFilter, JobOutcome};
use schema::{
    Act, ActKind, Countermeasure, CountermeasureState, Incident, Moment, WatcherClass, WatcherState,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::network::Network;
use super::settings::{PROTECTED, WATCHER};
use crate::config::Config;
use crate::hub::{Command, Hub};
use crate::output::Output;
use crate::wiring::up::{self, Up};

const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// A watcher that copies a large store first takes its time.
const READY_WITHIN: Duration = Duration::from_secs(600);
const JOB_WITHIN: Duration = Duration::from_secs(4 * 3600);
const BY: &str = "rehearsal";

/// The hub while it runs; dropped, it has ended and its watchers with it.
pub(super) struct Watched {
    up: Option<Up>,
    hub: Hub,
    pub(super) console: u16,
}

/// What the hub made of the attack.
pub(super) struct Told {
    pub(super) incident: Incident,
    pub(super) moments: Vec<Moment>,
    pub(super) countermeasures: Vec<Countermeasure>,
}

impl Told {
    /// The time when the attacked server was cut off.
    pub(super) fn isolated_at(&self) -> Option<Timestamp> {
        let is_isolation = |it: &&Countermeasure| {
            matches!(it.act, Act::IsolateHost { .. }) && it.state == CountermeasureState::Applied
        };
        self.countermeasures.iter().filter(is_isolation).filter_map(|it| it.applied_at).min()
    }

    /// The time when the incident was opened.
    pub(super) fn opened_at(&self) -> Option<Timestamp> {
        self.moments.iter().map(|moment| moment.at).min()
    }
}

impl Watched {
    /// Starts it at the gateway, or in this machine's own network where there is none, and waits until its watcher protects.
    pub(super) fn start(config: &Path, network: Option<&Network>, output: Output) -> anyhow::Result<Watched> {
        let sha256 = hex::encode(Sha256::digest(fs::read(config)?));
        let config = Config::load(config)?;
        let state = config.state.clone().context("a rehearsal's configuration names its state folder")?;
        let start = || up::start(config, sha256, &state, output);
        let up = match network {
            Some(network) => network.at_gateway(start)??,
            None => start()?,
        };
        Ok(Watched { hub: up.running.hub.clone(), console: up.serving.addr.port(), up: Some(up) })
    }

    pub(super) fn state(&self) -> &State {
        &self.hub.state
    }

    /// Lets findings of that class cause these acts without asking anybody.
    pub(super) fn arm(&self, class: WatcherClass, kinds: &[ActKind]) -> anyhow::Result<()> {
        for &kind in kinds {
            self.hub.ask(Command::Arm { kind, class, armed: true }, BY)?;
        }
        Ok(())
    }

    /// Waits until the watcher protects; gives what it holds, undoes and does not see.
    pub(super) fn wait_for_watcher(&self) -> anyhow::Result<Vec<String>> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let shown = self.hub.shown().watchers;
            let health = shown.into_iter().find(|health| health.name == WATCHER);
            match health {
                Some(health) if health.state == WatcherState::Ready => return Ok(health.blind_spots),
                Some(health) if health.restarts > 1 => {
                    bail!("the watcher does not start: {}", health.trouble)
                }
                Some(health) if Instant::now() > deadline => {
                    bail!("the watcher is not ready: {}", health.trouble)
                }
                _ => ensure!(Instant::now() < deadline, "the watcher was not started"),
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Waits for the end of a job's first run and gives its summary.
    pub(super) fn wait_for_job(&self, kind: &str) -> anyhow::Result<Value> {
        let name = format!("{kind}:{PROTECTED}");
        let deadline = Instant::now() + JOB_WITHIN;
        loop {
            let runs = self.state().job_runs(Some(&name), 1)?;
            match runs.first().map(|run| (run.outcome, &run.detail)) {
                None | Some((JobOutcome::Running | JobOutcome::Missed, _)) => {}
                Some((JobOutcome::Done, detail)) => return Ok(serde_json::from_str(detail)?),
                Some((_, detail)) => bail!("{name} did not succeed: {detail}"),
            }
            ensure!(Instant::now() < deadline, "{name} takes too long");
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// When a job's latest run began.
    pub(super) fn job_began_at(&self, kind: &str) -> anyhow::Result<Timestamp> {
        let runs = self.state().job_runs(Some(&format!("{kind}:{PROTECTED}")), 1)?;
        runs.first().and_then(|run| run.started_at).context("the job did not begin")
    }

    /// The figures of the guard once it has put back what the attacker did.
    pub(super) fn put_back(&self) -> Option<decode::ocsf::Restored> {
        self.hub.shown().put_back.get(WATCHER).cloned()
    }

    /// Whether everything that was decided is done, or could not be.
    pub(super) fn is_settled(&self) -> anyhow::Result<bool> {
        let Some(told) = self.told()? else { return Ok(false) };
        let waits = |it: &Countermeasure| {
            matches!(it.state, CountermeasureState::Proposed | CountermeasureState::Approved)
        };
        Ok(!told.countermeasures.iter().any(waits))
    }

    /// The first incident as it stands now.
    pub(super) fn told(&self) -> anyhow::Result<Option<Told>> {
        let incidents = self.state().incidents(&IncidentFilter::default(), 64, None)?;
        let Some(incident) = incidents.into_iter().min_by_key(|incident| incident.id) else {
            return Ok(None);
        };
        let filter = CountermeasureFilter { incident: Some(incident.id), states: Vec::new() };
        Ok(Some(Told {
            moments: self.state().moments(incident.id, 256)?,
            countermeasures: self.state().countermeasures(&filter, 256, None)?,
            incident,
        }))
    }

    /// Ends it in order: its watchers are heard out, take their marks and mounts away, and everything is written down.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        self.up.take().map_or(Ok(()), Up::stop)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
