//! Harm that is spread over many actors adds up here: one process per file, each with another parent, session, control group or
//! user, is one attack all the same.
//!
//! An actor by itself is stopped by the [gate](crate::gate) after two files, at any pace. A circle is shared with people who have
//! nothing to do with each other, so it needs more, sooner, and of the strongest kind only: contents that had a structure and
//! are noise now (a file with noise in parts of it counts half). Forty people who save documents, also packed or with a
//! password, write formats that hold together, which is no harm at all; what could add up are those of them who encrypt single
//! files with gpg or openssl and remove the original. Six of those within one minute, or four by one user within five, is not
//! what people do by hand.
//!
//! When a circle is full, only those who contributed are stopped. Then it stays alert for a while, in which one more strong file
//! is enough: the attack goes on with new processes, and each of them would otherwise be a beginning. Releasing one of the
//! stopped lifts the alert, since a person has looked.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use schema::{Circle, FileEvidence, GateInput};
use serde::{Deserialize, Serialize};

use crate::gate::{Kind, kind_of};

const STRONG: u32 = 2;
const PARTLY: u32 = 1;
const ALERT: SignedDuration = SignedDuration::from_mins(15);
const CIRCLES_MAX: usize = 4096;
const HARMS_MAX: usize = 64;
const STOPPED_MAX: usize = 256;

/// How much within which time fills a circle.
fn measure_of(circle: &Circle) -> (u32, SignedDuration) {
    match circle {
        Circle::Cgroup { .. } | Circle::Address { .. } => (3 * STRONG, SignedDuration::from_mins(10)),
        Circle::User { .. } => (4 * STRONG, SignedDuration::from_mins(5)),
        Circle::Anybody => (6 * STRONG, SignedDuration::from_mins(1)),
    }
}

/// What is remembered of all circles.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Circles {
    /// A list of pairs, because JSON has no keys but texts.
    #[serde(with = "pairs")]
    circles: BTreeMap<Circle, Ring>,
}

/// A circle that is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    /// Which one.
    pub circle: Circle,
    /// Those who contributed, by their numbers.
    pub actors: Vec<u64>,
    /// Files that they harmed.
    pub files: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Ring {
    last: Timestamp,
    harms: VecDeque<Harm>,
    alert_until: Option<Timestamp>,
    stopped: VecDeque<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Harm {
    at: Timestamp,
    actor: u64,
    file: u64,
    weight: u32,
}

impl Circles {
    /// Takes in what an actor did who belongs to `circles`, and tells the narrowest of them that is full now.
    pub fn weigh(&mut self, input: &GateInput, circles: &[Circle], now: Timestamp) -> Option<Joint> {
        let harms = input.evidence.iter().filter(|evidence| weight(evidence) > 0);
        let is_harm = harms.count() > 0;
        let mut full = None;
        for circle in circles {
            if !is_harm && !self.circles.contains_key(circle) {
                continue;
            }
            self.make_room(circle);
            let ring = self.circles.entry(*circle).or_default();
            for evidence in &input.evidence {
                ring.take(input.actor, evidence, now);
            }
            let joint = if is_harm && full.is_none() { ring.fill(circle, now) } else { None };
            full = full.or(joint);
            if ring.harms.is_empty() && ring.alert_until.is_none() {
                self.circles.remove(circle);
            }
        }
        full
    }

    /// An actor of these circles was stopped for what it did by itself. Gives the others who did harm there lately, since that is
    /// hardly a coincidence: an attack that was spread, and caught where it was not. The circles stay alert, the widest no
    /// longer than what happens in it belongs together.
    pub fn alarm(&mut self, actor: u64, circles: &[Circle], now: Timestamp) -> Vec<u64> {
        let mut found = Vec::new();
        for circle in circles {
            self.make_room(circle);
            let ring = self.circles.entry(*circle).or_default();
            ring.last = now;
            let (_, within) = measure_of(circle);
            let alert = if *circle == Circle::Anybody { within } else { ALERT };
            ring.forget(within, now);
            found.extend(ring.empty(alert, now));
            ring.stopped.push_back(actor);
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|other| *other != actor);
        found
    }

    /// A person has released this actor: what its circles were alert for was no attack.
    pub fn release(&mut self, actor: u64) {
        for ring in self.circles.values_mut() {
            ring.harms.retain(|harm| harm.actor != actor);
            if ring.stopped.contains(&actor) {
                ring.alert_until = None;
            }
        }
        self.circles.retain(|_, ring| !ring.harms.is_empty() || ring.alert_until.is_some());
    }

    fn make_room(&mut self, for_circle: &Circle) {
        if self.circles.len() < CIRCLES_MAX || self.circles.contains_key(for_circle) {
            return;
        }
        let oldest = self.circles.iter().min_by_key(|(_, ring)| ring.last).map(|(circle, _)| *circle);
        if let Some(circle) = oldest {
            self.circles.remove(&circle);
        }
    }
}

impl Ring {
    fn take(&mut self, actor: u64, evidence: &FileEvidence, now: Timestamp) {
        let weight = weight(evidence);
        // Measured again: the newer measurement counts, also when it finds the file whole after all.
        self.harms.retain(|harm| harm.file != evidence.file || harm.actor != actor);
        if weight == 0 {
            return;
        }
        self.last = now;
        if self.harms.len() >= HARMS_MAX {
            self.harms.pop_front();
        }
        self.harms.push_back(Harm { at: now, actor, file: evidence.file, weight });
    }

    fn fill(&mut self, circle: &Circle, now: Timestamp) -> Option<Joint> {
        let (enough, within) = measure_of(circle);
        let alert = self.alert_until.is_some_and(|until| now < until);
        self.forget(within, now);
        // A file that two actors harmed is one file.
        let mut files: BTreeMap<u64, u32> = BTreeMap::new();
        for harm in &self.harms {
            let weight = files.entry(harm.file).or_default();
            *weight = harm.weight.max(*weight);
        }
        if files.values().sum::<u32>() < if alert { STRONG } else { enough } {
            return None;
        }
        let files = u32::try_from(files.len()).unwrap_or(u32::MAX);
        Some(Joint { circle: *circle, actors: self.empty(ALERT, now), files })
    }

    fn forget(&mut self, within: SignedDuration, now: Timestamp) {
        let since = now.checked_sub(within).unwrap_or(Timestamp::MIN);
        self.harms.retain(|harm| harm.at >= since);
    }

    /// Gives those who did harm. They are dealt with; what comes now is new.
    fn empty(&mut self, alert: SignedDuration, now: Timestamp) -> Vec<u64> {
        let mut actors: Vec<u64> = self.harms.drain(..).map(|harm| harm.actor).collect();
        actors.sort_unstable();
        actors.dedup();
        self.alert_until = now.checked_add(alert).ok().max(self.alert_until);
        self.stopped.extend(actors.iter().copied());
        let surplus = self.stopped.len().saturating_sub(STOPPED_MAX);
        self.stopped.drain(..surplus);
        actors
    }
}

fn weight(evidence: &FileEvidence) -> u32 {
    match kind_of(evidence) {
        Some(Kind::Noise) => STRONG,
        Some(Kind::PartlyNoise) => PARTLY,
        _ => 0,
    }
}

mod pairs {
    use std::collections::BTreeMap;

    use schema::Circle;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Ring;

    pub(super) fn serialize<S: Serializer>(
        circles: &BTreeMap<Circle, Ring>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        circles.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Circle, Ring>, D::Error> {
        Ok(Vec::<(Circle, Ring)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
