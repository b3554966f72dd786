//! What the logs of logons are judged by: one file a detector.
//!
//! Events come one at a time, hardly in order, and carry the only clock that decides anything. Each detector keeps tables with a bound;
//! what it says goes through one place (`telling`), which says it once for each episode, again when it has grown fourfold or become
//! worse, and under the same uid. No address is exempt for being private: a contractor's VPN comes from one.

pub(crate) mod contract;
mod contractors;
pub(crate) mod exposure;
pub(crate) mod first_seen;
pub(crate) mod guess;
mod halves;
pub(crate) mod hours;
mod marks;
pub(crate) mod outside;
mod rules;
#[cfg(test)]
pub(crate) mod scenes;
pub(crate) mod service_account;
pub mod story;
mod telling;
#[cfg(test)]
mod tests;
mod view;

use schema::{AuthEvent, AuthOutcome, Finding, Micros};
use serde::{Deserialize, Serialize};

pub use exposure::{Advice, Door, Side};
pub use first_seen::{Forget, Learning, Learnt, Pair};
use halves::Other;
pub use rules::{Contractor, Exempt, Grant, Rules, Thresholds, Window};
use telling::{Episodes, Tell};
pub use view::Source;
use view::View;

/// All detectors of logons.
#[derive(Debug, Clone)]
pub struct Detectors {
    rules: Rules,
    state: State,
}

/// What the detectors remember: bounded, and kept over a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    watermark: Micros,
    events: u64,
    episodes: Episodes,
    halves: halves::Halves,
    tries: guess::tries::Tries,
    knocks: guess::hosts::Knocks,
    strangers: guess::many_sources::Strangers,
    rhythms: guess::stale::Rhythms,
    known: first_seen::Known,
    hours: hours::Hours,
    doors: exposure::Doors,
    graph: story::Graph,
}

/// What the detectors did, for their watcher's health.
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
        Self::resume(rules, State::default())
    }

    /// With what was remembered before; the rules may have changed since.
    pub fn resume(rules: &Rules, state: State) -> Self {
        Self { rules: rules.clone(), state }
    }

    /// What is remembered.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the hospital says, as it is now.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Other rules from now on: contractors, grants, thresholds. What was remembered stays.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Other openings from now on.
    pub fn set_grants(&mut self, grants: Vec<Grant>) {
        self.rules.grants = grants;
    }

    /// Takes in one event. `now` is a lower bound of the time; the events' own times decide.
    pub fn step(&mut self, event: &AuthEvent<'_>, now: Micros, out: &mut Vec<Finding>) {
        let Self { rules, state } = self;
        let before = state.watermark;
        state.watermark = state.watermark.max(now);
        state.events += 1;
        let Some(view) = View::of(event, rules) else { return };
        state.watermark = state.watermark.max(view.at());
        state.known.begin(before, state.watermark, rules.learning());
        let Some(other) = state.halves.complete(&view) else { return state.take(&view, None, out) };
        let whole = other.fill(event);
        if let Some(view) = View::of(&whole, rules) {
            state.take(&view, Some(&other), out);
        }
    }

    /// How far the learning of first-seen pairs is.
    pub fn learning(&self) -> Learning {
        self.state.known.learning(self.rules.learning())
    }

    /// The pairs that were learnt, in order.
    pub fn learnt(&self) -> Vec<Learnt> {
        self.state.known.learnt()
    }

    /// Takes back what was learnt; says how many pairs that were. `now`: when that happens, or the latest event if that is later.
    pub fn forget(&mut self, what: &Forget, now: Micros) -> usize {
        match what {
            Forget::All => self.state.hours.forget(None),
            Forget::Account(name) => self.state.hours.forget(Some(view::key(b'u', name))),
            _ => {}
        }
        self.state.known.forget(what, now.max(self.state.watermark), self.rules.learning())
    }

    /// The doors that were seen, in order of their machines.
    pub fn doors(&self) -> Vec<&Door> {
        self.state.doors.all()
    }

    /// What to close first.
    pub fn advice(&self) -> Vec<Advice> {
        exposure::advice(&self.state.doors.all(), &self.rules)
    }

    /// Who logged in where.
    pub fn graph(&self) -> &story::Graph {
        &self.state.graph
    }

    /// What was done so far.
    pub fn effort(&self) -> Effort {
        self.state.effort()
    }
}

impl State {
    fn take(&mut self, view: &View<'_>, other: Option<&Other>, out: &mut Vec<Finding>) {
        self.graph.add(view);
        let Self { episodes, tries, knocks, strangers, known, .. } = self;
        let tell = &mut Tell { rules: view.rules, episodes, out };
        contract::take(view, tell);
        service_account::take(view, tell);
        if !matches!(other, Some(Other::Source(_))) {
            knocks.take(view, tell);
        }
        if let Some(door) = self.doors.take(view) {
            exposure::service::take(door, view, tell);
            exposure::nla::take(door, view, tell);
        }
        if view.is_refusal() && !view.is_scanner() {
            let rhythmic = self.rhythms.fail(view, other, known, tell);
            tries.fail(view, rhythmic, other.is_some());
            if !matches!(other, Some(Other::Source(_))) && !rhythmic {
                strangers.take(view, tell);
            }
            guess::spray::take(tries, view, tell);
            if !rhythmic {
                guess::source::take(tries, view, tell);
                guess::slow::take(tries, strangers, view, tell);
                guess::account::take(tries, view, tell);
                guess::host::take(tries, view, tell);
            }
        }
        if view.is_entry() {
            if !view.is_scanner() {
                guess::success::take(tries, known, view, tell);
                outside::take(known, view, tell);
                exposure::account::take(view, tell);
            }
            first_seen::take(known, view, tell);
            self.hours.take(view, tell);
        }
        if view.event.outcome == AuthOutcome::Success {
            tries.succeed(view);
            strangers.take(view, tell);
            self.rhythms.succeed(view);
        }
    }

    fn effort(&self) -> Effort {
        let forgotten = [
            self.episodes.evicted(),
            self.halves.evicted(),
            self.tries.evicted(),
            self.knocks.evicted(),
            self.strangers.evicted(),
            self.rhythms.evicted(),
            self.known.evicted(),
            self.hours.evicted(),
            self.doors.evicted(),
            self.graph.evicted(),
        ];
        Effort {
            events: self.events,
            told: self.episodes.told(),
            forgotten: forgotten.iter().sum(),
            watermark: self.watermark,
        }
    }
}
