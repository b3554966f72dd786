//! Findings become incidents: who did what to whom, told as one story, with what nobody knows.
//!
//! A finding joins the incident with which it shares most: the same process, store, account or address within
//! [`Settings::window_seconds`] of where the incident named it. A shared victim alone joins when another tactic was
//! used on it, or the same technique by somebody else (a guess at passwords from 500 addresses is one guess). Where one
//! finding belongs to two incidents by what acts in it, they become one, and the smaller number stays.
//!
//! What would glue everything together does not: a subject that [`Settings::common`] names, that more than
//! [`Settings::common_after`] accounts act from (a NAT, a terminal server), that stands in more than so many
//! incidents (a domain controller), or that made so many incidents into one, joins only what was done with the same technique.
//!
//! Three sorts of findings open no incident of an attack and are collected, each sort in one standing incident:
//! - scans from public addresses (tactics before the first access only): one for all of them;
//! - signs below medium severity: one for each detector;
//! - weak spots (vulnerability and compliance findings): one for each detector, never above medium severity.
//!
//! They are remembered by whom and what they name: as soon as an attack's incident names the same address, its earlier scans
//! and signs are told in it, and the weak spots of the hosts in it.
//!
//! Invariants: the result depends on the order of findings and on `now`, never on how they were cut into batches; the
//! state is bounded by [`Settings`] whatever comes; what leaves memory is handed out with [`Update::Left`].

mod case;
mod join;
mod pool;
mod seen;
mod store;
mod take;
#[cfg(test)]
mod tests;
mod unknowns;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use schema::{Entity, Finding, Incident, IncidentId, IncidentStatus, WatcherClass};
use serde::{Deserialize, Serialize};

use case::Case;
use join::Index;
use pool::Pools;
use seen::Seen;

/// What the hub knows and the findings do not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How long after a subject was named last another finding may join because of it.
    pub window_seconds: u32,
    /// The most incidents of attacks in memory. Those that collect scans, signs and weak spots come on top: at most 67.
    pub open_max: usize,
    /// The most subjects in memory, over all incidents.
    pub subjects_max: usize,
    /// A subject in more incidents than this, or that more accounts act from, joins no others.
    pub common_after: usize,
    /// Gateways, proxies, scanners of our own: they join nothing.
    pub common: BTreeSet<Entity>,
    /// Names of hosts by their address, so that a finding about one meets a finding about the other.
    pub hosts: BTreeMap<IpAddr, String>,
    /// The classes of watchers that run. What the others would see is told as not looked at.
    pub watching: BTreeSet<WatcherClass>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window_seconds: 6 * 60 * 60,
            open_max: 512,
            subjects_max: 65_536,
            common_after: 8,
            common: BTreeSet::new(),
            hosts: BTreeMap::new(),
            watching: BTreeSet::new(),
        }
    }
}

/// A finding with who said it.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// What was said.
    pub finding: &'a Finding,
    /// Name of the watcher.
    pub watcher: &'a str,
    /// Its class.
    pub class: WatcherClass,
}

/// What a step changed. Each incident stands in at most one `Opened` or `Grown` a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// There is a new incident.
    Opened(IncidentId),
    /// An incident tells more than before.
    Grown(IncidentId),
    /// `from` is part of `into` now, and its number is not used again.
    Merged {
        /// The incident that stays.
        into: IncidentId,
        /// The incident that is no more; it may have been opened and merged within one step.
        from: IncidentId,
    },
    /// The incident left memory, as it stood. It may have been opened in this very step.
    Left(Box<Incident>),
}

/// How much is remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Incidents.
    pub incidents: usize,
    /// Subjects of all incidents.
    pub subjects: usize,
    /// Subjects of scans, signs and weak spots.
    pub pooled: usize,
    /// Findings that would be recognised if they came again.
    pub uids: usize,
}

/// Makes incidents of findings. A checkpoint of it is its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "store::Stored", into = "store::Stored")]
pub struct Correlator {
    settings: Settings,
    next: IncidentId,
    cases: BTreeMap<IncidentId, Case>,
    pools: Pools,
    seen: Seen,
    index: Index,
    /// Incidents that have to be told anew before the step ends.
    dirty: BTreeSet<IncidentId>,
    opened: BTreeSet<IncidentId>,
    /// What was merged in this step: which incident into which.
    merged: BTreeMap<IncidentId, IncidentId>,
}

impl Correlator {
    /// One that knows nothing yet; `next` is the number of its first incident.
    pub fn new(settings: Settings, next: IncidentId) -> Self {
        Self {
            settings,
            next,
            cases: BTreeMap::new(),
            pools: Pools::default(),
            seen: Seen::default(),
            index: Index::default(),
            dirty: BTreeSet::new(),
            opened: BTreeSet::new(),
            merged: BTreeMap::new(),
        }
    }

    /// What it goes by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Goes by other settings from now on; `out` gets the incidents whose unknowns changed.
    pub fn configure(&mut self, settings: Settings, out: &mut Vec<Update>) {
        let looks_elsewhere = settings.watching != self.settings.watching;
        self.settings = settings;
        if looks_elsewhere {
            self.dirty.extend(self.cases.keys());
        }
        self.tell(out);
    }

    /// Gives the classes of watchers that run now.
    pub fn watch(&mut self, watching: BTreeSet<WatcherClass>, out: &mut Vec<Update>) {
        self.configure(Settings { watching, ..self.settings.clone() }, out);
    }

    /// The least number that the next incident gets, for a state folder that knows of more incidents than a checkpoint.
    pub fn number_from(&mut self, next: IncidentId) {
        self.next = self.next.max(next);
    }

    /// Takes findings in, in this order, and says in which incident each of them is counted now; `None` for one that was known.
    pub fn step(
        &mut self,
        batch: &[Sighting<'_>],
        now: Timestamp,
        out: &mut Vec<Update>,
    ) -> Vec<Option<IncidentId>> {
        self.forget_idle(now, out);
        let mut counted_in = Vec::with_capacity(batch.len());
        for sighting in batch {
            let is_new = self.seen.is_new(sighting.watcher, &sighting.finding.uid);
            counted_in.push(is_new.then(|| self.take(sighting, now, out)));
        }
        self.tell(out);
        let merged = std::mem::take(&mut self.merged);
        for id in counted_in.iter_mut().flatten() {
            while let Some(into) = merged.get(id) {
                *id = *into;
            }
        }
        counted_in
    }

    /// The incident as it stands, while it is in memory.
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.cases.get(&id).map(|case| &case.incident)
    }

    /// All that are in memory, by number.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.cases.values().map(|case| &case.incident)
    }

    /// Puts down where a person, or what was done, says that the incident stands, and gives it so; `None` when it is not in
    /// memory.
    ///
    /// Nothing joins a closed one any more, and it leaves memory. A false alarm takes in what the same detectors say about the
    /// same subjects; anything else about them opens a new incident.
    pub fn mark(&mut self, id: IncidentId, status: IncidentStatus) -> Option<Incident> {
        let case = self.cases.get_mut(&id)?;
        case.incident.status = status;
        let incident = case.incident.clone();
        if status == IncidentStatus::Closed {
            self.remove(id);
        }
        Some(incident)
    }

    /// How much it remembers.
    pub fn size(&self) -> Size {
        Size {
            incidents: self.cases.len(),
            subjects: self.cases.values().map(|case| case.parts.len()).sum(),
            pooled: self.pools.len(),
            uids: self.seen.len(),
        }
    }
}
