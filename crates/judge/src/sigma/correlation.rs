//! What several records mean together: Sigma's correlations, by event time, with bounded memory.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use schema::{Micros, Subject};
use serde::{Deserialize, Serialize};

use super::rule::{Compare, Measure, RuleInfo, Wanted, Window};

/// Sightings of one group that are kept.
const GROUP_MAX: usize = 4_096;
/// Groups of one correlation.
const GROUPS_MAX: usize = 32_768;
/// Sightings of one correlation.
const SIGHTINGS_MAX: usize = 262_144;
/// A number to reach may be this large, as sightings beyond it are not kept.
pub(super) const THRESHOLD_MAX: f64 = 10_000.0;

/// A correlation, compiled.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) info: Arc<RuleInfo>,
    pub(super) measure: Measure,
    pub(super) span: Micros,
    pub(super) window: Window,
    pub(super) predicates: Vec<(Compare, f64)>,
    pub(super) wanted: Option<Wanted>,
    pub(super) group_by: Vec<String>,
    /// By position among its rules: the slots of the group's fields and of the counted fields.
    pub(super) inputs: Vec<Inputs>,
    pub(super) speaks: bool,
    /// Correlations that this one feeds.
    pub(super) feeds: Vec<(u32, u16)>,
    /// Tells whether a rule that was loaded anew is still the same.
    pub(super) fingerprint: u64,
}

/// Where one of a correlation's rules has its fields.
#[derive(Debug, Clone, Default)]
pub(super) struct Inputs {
    pub(super) group: Vec<u32>,
    pub(super) counted: Vec<u32>,
    /// The same by name, for a correlation that looks at another's groups.
    pub(super) group_names: Vec<String>,
    pub(super) counted_names: Vec<String>,
}

/// That a rule of a correlation held for a record: what a thread that matches hands to the one that joins.
#[derive(Debug, Clone)]
pub struct Sighting {
    pub(super) correlation: u32,
    pub(super) position: u16,
    pub(super) group: Box<[String]>,
    pub(super) value: String,
    pub(super) at: Micros,
    pub(super) number: u64,
    pub(super) host: String,
    pub(super) subjects: Vec<Subject>,
}

impl Sighting {
    /// When the record was written: sightings of several logs are joined in this order.
    pub fn at(&self) -> Micros {
        self.at
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Seen {
    at: Micros,
    position: u16,
    value: u64,
    /// The value as a number, where it is one.
    amount: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Group {
    seen: VecDeque<Seen>,
    told: Option<Micros>,
    touched: u64,
}

/// The groups of one correlation.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    groups: HashMap<Box<[String]>, Group, FixedState>,
    kept: usize,
    arrivals: u64,
}

/// A correlation's groups as they are written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupsState {
    fingerprint: u64,
    groups: Vec<(Vec<String>, Group)>,
}

/// That a correlation holds for a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Held {
    /// Records, distinct values, a sum, …: what was measured.
    pub(super) measured: f64,
    pub(super) first: Micros,
    pub(super) last: Micros,
}

impl Groups {
    /// Takes a sighting in; `Some` when the correlation holds and was not told of in its span.
    pub(super) fn take(&mut self, rule: &Joined, sighting: &Sighting) -> Option<Held> {
        self.arrivals += 1;
        if self.groups.len() >= GROUPS_MAX || self.kept >= SIGHTINGS_MAX {
            self.make_room();
        }
        let hash = fnv(sighting.value.as_bytes());
        let amount = super::matcher::number(&sighting.value).filter(|amount| amount.is_finite());
        let seen = Seen { at: sighting.at, position: sighting.position, value: hash, amount };
        let group = self.groups.entry(sighting.group.clone()).or_default();
        let before = group.seen.len();
        group.touched = self.arrivals;
        group.add(rule, seen);
        let held = group.held(rule);
        self.kept = (self.kept + group.seen.len()).saturating_sub(before);
        held
    }

    /// Forgets the quarter that was quiet longest.
    fn make_room(&mut self) {
        let mut touched: Vec<u64> = self.groups.values().map(|group| group.touched).collect();
        touched.sort_unstable();
        let limit = touched.get(touched.len() / 4).copied().unwrap_or_default();
        self.groups.retain(|_, group| group.touched > limit);
        self.kept = self.groups.values().map(|group| group.seen.len()).sum();
    }

    pub(super) fn state(&self, rule: &Joined) -> GroupsState {
        let mut groups: Vec<_> =
            self.groups.iter().map(|(key, group)| (key.to_vec(), group.clone())).collect();
        groups.sort_by_key(|(_, group)| group.touched);
        GroupsState { fingerprint: rule.fingerprint, groups }
    }

    pub(super) fn restore(state: &GroupsState) -> Self {
        let mut restored = Self::default();
        for (key, group) in state.groups.iter().rev().take(GROUPS_MAX).rev() {
            let mut group = group.clone();
            while group.seen.len() > GROUP_MAX {
                group.seen.pop_front();
            }
            restored.kept += group.seen.len();
            restored.arrivals = restored.arrivals.max(group.touched);
            restored.groups.insert(key.clone().into(), group);
        }
        restored
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }
}

impl GroupsState {
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl Group {
    fn add(&mut self, rule: &Joined, seen: Seen) {
        let newest = self.seen.back().map_or(seen.at, |last| last.at.max(seen.at));
        if newest.saturating_sub(seen.at) > rule.span {
            return;
        }
        // Of what is only counted once the latest is enough; a flood of one value then pushes no other out.
        let once = |other: &Seen| match rule.measure {
            Measure::Values => other.value == seen.value,
            Measure::Together => other.position == seen.position,
            _ => false,
        };
        if let Some(at) = self.seen.iter().position(once) {
            if self.seen[at].at > seen.at {
                return;
            }
            self.seen.remove(at);
        }
        let place = self.seen.iter().rposition(|other| other.at <= seen.at).map_or(0, |at| at + 1);
        self.seen.insert(place, seen);
        while self.seen.len() > rule.kept_max() {
            self.seen.pop_front();
        }
        self.forget(rule, newest);
    }

    /// Drops what is outside the window that ends with the newest.
    fn forget(&mut self, rule: &Joined, newest: Micros) {
        let span = rule.span.max(1);
        let is_old = |at: Micros| match rule.window {
            Window::Tumbling => at.div_euclid(span) != newest.div_euclid(span),
            _ => newest.saturating_sub(at) > span,
        };
        while self.seen.front().is_some_and(|seen| is_old(seen.at)) {
            self.seen.pop_front();
        }
        if let Window::Session(gap) = rule.window {
            let times: Vec<Micros> = self.seen.iter().map(|seen| seen.at).collect();
            let begins = times.windows(2).rposition(|pair| pair[1].saturating_sub(pair[0]) > gap);
            if let Some(before) = begins {
                self.seen.drain(..=before);
            }
        }
    }

    fn held(&mut self, rule: &Joined) -> Option<Held> {
        let (first, last) = (self.seen.front()?.at, self.seen.back()?.at);
        let measured = self.measure(rule)?;
        if self.told.is_some_and(|told| last.saturating_sub(told) <= rule.span) {
            return None;
        }
        self.told = Some(last);
        Some(Held { measured, first, last })
    }

    fn measure(&self, rule: &Joined) -> Option<f64> {
        let amounts = || self.seen.iter().filter_map(|seen| seen.amount);
        let measured = match rule.measure {
            Measure::Events | Measure::Values => self.seen.len() as f64,
            Measure::Sum => amounts().sum(),
            Measure::Average => amounts().sum::<f64>() / amounts().count().max(1) as f64,
            Measure::Percentile(rank) => {
                let mut sorted: Vec<f64> = amounts().collect();
                sorted.sort_by(f64::total_cmp);
                percentile(&sorted, rank)?
            }
            Measure::Together => return self.together(rule),
            Measure::InOrder => return self.in_order(rule),
        };
        rule.predicates.iter().all(|(compare, number)| compare.holds(measured, *number)).then_some(measured)
    }

    fn together(&self, rule: &Joined) -> Option<f64> {
        let met: BTreeSet<usize> = self.seen.iter().map(|seen| usize::from(seen.position)).collect();
        let holds = match &rule.wanted {
            Some(wanted) => is_met(wanted, &met),
            None => met.len() == rule.inputs.len(),
        };
        holds.then_some(met.len() as f64)
    }

    /// Whether its rules were seen in their order, other sightings between them or not.
    fn in_order(&self, rule: &Joined) -> Option<f64> {
        if rule.wanted.is_some() {
            self.together(rule)?;
        }
        let mut next = 0;
        for seen in &self.seen {
            if usize::from(seen.position) == next {
                next += 1;
            }
        }
        (next == rule.inputs.len()).then_some(next as f64)
    }
}

impl Joined {
    /// How many sightings of a group are kept: what its number asks for and as many again, to say how many it were.
    fn kept_max(&self) -> usize {
        let asked = self.predicates.iter().map(|(_, number)| *number as usize).max().unwrap_or(0);
        (asked * 2).clamp(64, GROUP_MAX.max(THRESHOLD_MAX as usize + 1))
    }
}

fn is_met(wanted: &Wanted, met: &BTreeSet<usize>) -> bool {
    match wanted {
        Wanted::And(inner) => inner.iter().all(|wanted| is_met(wanted, met)),
        Wanted::Or(inner) => inner.iter().any(|wanted| is_met(wanted, met)),
        Wanted::Not(inner) => !is_met(inner, met),
        Wanted::AtLeast(count, inner) => inner.iter().filter(|wanted| is_met(wanted, met)).count() >= *count,
        Wanted::Rule(position) => met.contains(position),
    }
}

/// Linear between the two nearest ranks.
fn percentile(sorted: &[f64], rank: u8) -> Option<f64> {
    let place = (sorted.len().checked_sub(1)?) as f64 * f64::from(rank) / 100.0;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

/// FNV-1a, 64 bits.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
