//! What the sensor judges: one file a detector.
//!
//! Events come in batches, hardly in order, and carry the only clock that decides anything. Each detector keeps tables with a bound
//! (`table`); what it says goes through one place (`telling`), which says it once for each actor, target and episode, again
//! when it has grown fourfold or become worse, and under the same uid.

pub(crate) mod beacon;
pub(crate) mod bruteforce;
pub(crate) mod contract;
mod contracts;
pub(crate) mod encryption;
pub(crate) mod eol;
pub(crate) mod exfil;
pub(crate) mod exposure;
pub(crate) mod lateral;
pub(crate) mod mirror;
pub(crate) mod names;
mod pairs;
mod ready;
mod rules;
pub(crate) mod scan;
#[cfg(test)]
mod scenes;
mod spoken;
mod telling;
#[cfg(test)]
mod tests;
mod view;

use std::net::IpAddr;

use schema::{Finding, Micros, NetEvent, Service, Sight};
use serde::{Deserialize, Serialize};

use crate::table;
use ready::Ready;
pub use rules::{
    Contract, Direction, Exempt, HospitalPair, LearntPair, Periodic, Ports, Rules, Thresholds, Weekday,
};
use telling::{Episodes, Tell};
use view::View;

/// Events that are looked at before the first of them is judged.
const AHEAD: usize = 8;

/// All detectors of the sensor.
#[derive(Debug, Clone)]
pub struct Detectors {
    rules: Rules,
    ready: Ready,
    names: names::Names,
    state: State,
}

/// What the detectors remember: bounded, and kept over a restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    watermark: Micros,
    events: u64,
    episodes: Episodes,
    pairs: pairs::Pairs,
    spoken: spoken::Spoken,
    mirror: mirror::Mirror,
    walks: scan::trw::Walks,
    calls: scan::icmp::Calls,
    fans: scan::fanout::Fans,
    floods: scan::flood::Floods,
    rdp: bruteforce::logons::Logons,
    ssh: bruteforce::logons::Logons,
    smb_guesses: bruteforce::smb::Guesses,
    tickets: bruteforce::kerberos::Tickets,
    binds: bruteforce::ldap_ntlm::Binds,
    volumes: contract::deviation::Volumes,
    steps: lateral::remote_exec::Steps,
    channels: lateral::zerologon::Channels,
    controllers: lateral::dcsync::Controllers,
    queries: lateral::account_query::Queries,
    works: encryption::Works,
    beats: beacon::Beats,
    sent: exfil::Sent,
    syns: eol::Syns,
}

/// What the detectors did, for the sensor's health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effort {
    /// Events taken in.
    pub events: u64,
    /// Findings and their updates.
    pub told: u64,
    /// Entries of tables that were forgotten for want of room: what they stood for may have been missed.
    pub forgotten: u64,
    /// The latest instant that was seen.
    pub watermark: Micros,
}

impl Detectors {
    /// Fresh ones.
    pub fn new(rules: &Rules) -> Self {
        Self::resume(rules, State::new(rules))
    }

    /// With what was remembered before; the rules may have changed since.
    pub fn resume(rules: &Rules, state: State) -> Self {
        Self { rules: rules.clone(), ready: Ready::of(rules), names: names::Names::new(rules), state }
    }

    /// What is remembered.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes in a batch. `now` is a lower bound of the time; the events' own times decide.
    pub fn step(&mut self, batch: &[NetEvent], now: Micros, out: &mut Vec<Finding>) {
        let Self { rules, ready, names, state } = self;
        state.watermark = state.watermark.max(now);
        for events in batch.chunks(AHEAD) {
            events.iter().for_each(|event| state.warm(event, names));
            for event in events {
                state.events += 1;
                if let Some(view) = View::of(event, rules, ready) {
                    state.take(view, names, out);
                }
            }
        }
    }

    /// Ends a run: nothing waits for more events now, and the time is noted.
    pub fn flush(&mut self, now: Micros, _out: &mut Vec<Finding>) {
        self.state.watermark = self.state.watermark.max(now);
    }

    /// The pairs of machines that were learnt, in order.
    pub fn learnt(&self) -> Vec<LearntPair> {
        self.state.pairs.learnt()
    }

    /// Forgets one learnt pair (client, server, port), or all of them.
    pub fn forget(&mut self, which: Option<(IpAddr, IpAddr, u16)>) {
        self.state.pairs.forget(which);
    }

    /// What was done so far.
    pub fn effort(&self) -> Effort {
        self.state.effort()
    }
}

impl State {
    fn new(rules: &Rules) -> Self {
        Self {
            watermark: 0,
            events: 0,
            episodes: Episodes::default(),
            pairs: pairs::Pairs::new(rules),
            spoken: spoken::Spoken::default(),
            mirror: mirror::Mirror::default(),
            walks: scan::trw::Walks::default(),
            calls: scan::icmp::Calls::default(),
            fans: scan::fanout::Fans::default(),
            floods: scan::flood::Floods::default(),
            rdp: bruteforce::logons::Logons::default(),
            ssh: bruteforce::logons::Logons::default(),
            smb_guesses: bruteforce::smb::Guesses::default(),
            tickets: bruteforce::kerberos::Tickets::default(),
            binds: bruteforce::ldap_ntlm::Binds::default(),
            volumes: contract::deviation::Volumes::default(),
            steps: lateral::remote_exec::Steps::default(),
            channels: lateral::zerologon::Channels::default(),
            controllers: lateral::dcsync::Controllers::default(),
            queries: lateral::account_query::Queries::default(),
            works: encryption::Works::default(),
            beats: beacon::Beats::default(),
            sent: exfil::Sent::default(),
            syns: eol::Syns::default(),
        }
    }

    /// Has the processor fetch what the commonest events will touch.
    #[inline]
    fn warm(&self, event: &NetEvent, names: &names::Names) {
        match &event.sight {
            Sight::Answered => {
                self.walks.warm(event);
                self.pairs.warm(event);
                self.beats.warm(event);
            }
            Sight::Traffic { .. } => {
                self.spoken.warm(event);
                self.beats.warm(event);
                self.sent.warm(event);
            }
            Sight::Smb(_) => self.works.warm(event),
            Sight::Named { name, .. } => names.warm(name),
            _ => {}
        }
    }

    fn take(&mut self, mut view: View<'_>, names: &mut names::Names, out: &mut Vec<Finding>) {
        view.fresh = self.spoken.take(&view);
        let view = &view;
        let tell = &mut Tell { rules: view.rules, episodes: &mut self.episodes, out };
        match view.sight() {
            Sight::Opened { .. } => {
                self.calls.take(view, tell);
                self.floods.take(view, tell);
                self.volumes.take(view, tell);
                self.syns.take(view, tell);
            }
            Sight::Answered => {
                self.walks.take(view, &self.pairs, tell);
                self.calls.take(view, tell);
                self.floods.take(view, tell);
                if self.pairs.take(view) {
                    self.fans.take_new(view, &self.pairs, tell);
                }
                self.beats.take(view, &self.pairs, tell);
                exposure::take(view, &self.spoken, tell);
            }
            Sight::Refused | Sight::Unanswered => {
                // Where one direction is not captured, silence says nothing.
                if !self.mirror.is_one_way() {
                    self.walks.take(view, &self.pairs, tell);
                    self.calls.take(view, tell);
                }
            }
            Sight::Backscatter => {}
            Sight::Speaks { .. } => {
                exposure::take(view, &self.spoken, tell);
                contract::remote_tool::take(view, tell);
                contract::hospital_protocol::take(view, tell);
                self.beats.take(view, &self.pairs, tell);
            }
            Sight::Named { .. } => names.take(view, tell),
            Sight::Smb(_) => {
                self.smb_guesses.take(view, tell);
                self.steps.take(view, tell);
                self.works.take(view, tell);
                self.syns.take(view, tell);
            }
            Sight::Ntlm(_) => {
                self.smb_guesses.take(view, tell);
                self.binds.take(view, tell);
                self.syns.take(view, tell);
            }
            Sight::Rdp(_) => self.syns.take(view, tell),
            Sight::Kerberos(_) => {
                self.tickets.take(view, tell);
                self.controllers.take(view, &self.spoken, tell);
            }
            Sight::Rpc(_) => {
                self.steps.take(view, tell);
                self.channels.take(view, tell);
                self.queries.take(view, tell);
                self.controllers.take(view, &self.spoken, tell);
            }
            Sight::Traffic { .. } => self.take_sums(view, out),
        }
    }

    /// Sums of a flow: they say what it was when its contents could not be read.
    fn take_sums(&mut self, view: &View<'_>, out: &mut Vec<Finding>) {
        let tell = &mut Tell { rules: view.rules, episodes: &mut self.episodes, out };
        self.mirror.take(view, tell);
        if !self.mirror.is_one_way() {
            self.calls.take(view, tell);
        }
        let heard = self.spoken.heard(view);
        if heard.speaks(Service::Rdp, 3389) {
            bruteforce::rdp::take(&mut self.rdp, view, tell);
        }
        if heard.speaks(Service::Ssh, 22) {
            bruteforce::ssh::take(&mut self.ssh, view, tell);
        }
        self.binds.take(view, tell);
        self.volumes.take(view, tell);
        self.beats.take(view, &self.pairs, tell);
        self.sent.take(view, tell);
    }

    fn effort(&self) -> Effort {
        let forgotten = [
            self.episodes.evicted(),
            self.pairs.evicted(),
            self.spoken.evicted(),
            self.walks.evicted(),
            self.calls.evicted(),
            self.fans.evicted(),
            self.floods.evicted(),
            self.rdp.evicted(),
            self.ssh.evicted(),
            self.smb_guesses.evicted(),
            self.tickets.evicted(),
            self.binds.evicted(),
            self.volumes.evicted(),
            self.steps.evicted(),
            self.channels.evicted(),
            self.controllers.evicted(),
            self.queries.evicted(),
            self.works.evicted(),
            self.beats.evicted(),
            self.sent.evicted(),
            self.syns.evicted(),
        ];
        Effort {
            events: self.events,
            told: self.episodes.told(),
            forgotten: forgotten.iter().sum(),
            watermark: self.watermark,
        }
    }
}
