use std::collections::BTreeMap;
use std::net::IpAddr;

use schema::telescope::{ProbeKind, Target};
use schema::{SynFamily, Transport};
use serde::{Deserialize, Serialize};

use super::Sketch;

/// What is counted apart. Of answers that nobody asked for, `port` is the one they come from: what is under attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// What it was.
    pub kind: ProbeKind,
    /// Destination port, type of ICMP, or the protocol's number.
    pub port: u16,
    /// What carries it.
    pub transport: Transport,
    /// What the SYN looks like; `None` without one.
    pub family: Option<SynFamily>,
}

impl Key {
    /// Port and protocol.
    pub fn target(&self) -> Target {
        Target { port: self.port, transport: self.transport }
    }
}

/// What was counted of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Packets.
    #[serde(rename = "n")]
    pub packets: u64,
    /// Different sources.
    #[serde(rename = "s", default, skip_serializing_if = "Sketch::is_empty")]
    pub sources: Sketch,
    /// Different addresses of ours.
    #[serde(rename = "d", default, skip_serializing_if = "Sketch::is_empty")]
    pub destinations: Sketch,
}

impl Tally {
    pub(super) fn add(&mut self, source: IpAddr, destination: IpAddr) {
        self.packets += 1;
        self.sources.add(source);
        self.destinations.add(destination);
    }

    /// Takes in what another sensor counted.
    pub fn merge(&mut self, other: &Tally) {
        self.packets = self.packets.saturating_add(other.packets);
        self.sources.merge(&other.sources);
        self.destinations.merge(&other.destinations);
    }
}

/// One hour of one sensor, or of several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hour {
    /// Seconds of it that were observed; of several sensors the sum.
    pub observed_seconds: u64,
    /// The counts.
    pub tallies: BTreeMap<Key, Tally>,
    /// Packets of keys that were too many.
    pub folded: u64,
    /// Packets that could not be decoded, or that the kernel dropped.
    pub lost: u64,
}

impl Hour {
    /// Takes in another part of the same hour, of this or of another sensor.
    pub fn merge(&mut self, other: &Hour) {
        self.observed_seconds = self.observed_seconds.saturating_add(other.observed_seconds);
        self.folded = self.folded.saturating_add(other.folded);
        self.lost = self.lost.saturating_add(other.lost);
        for (key, tally) in &other.tallies {
            self.tallies.entry(*key).or_default().merge(tally);
        }
        self.folded += fold(&mut self.tallies, KEYS_MAX);
    }

    /// All packets.
    pub fn packets(&self) -> u64 {
        self.tallies.values().map(|tally| tally.packets).sum::<u64>() + self.folded
    }
}

/// Keys of an hour; what is scanned in earnest is among the first few hundred.
pub(super) const KEYS_MAX: usize = 4096;

/// Leaves half of the keys when there are more than `most`: those with the most packets. Returns the packets of the others, which can
/// no longer be told apart. A scan of all ports thus never hides the port that a worm knocks at.
fn fold(tallies: &mut BTreeMap<Key, Tally>, most: usize) -> u64 {
    if tallies.len() <= most {
        return 0;
    }
    let mut order: Vec<(u64, Key)> = tallies.iter().map(|(key, tally)| (tally.packets, *key)).collect();
    order.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    order.iter().skip(most / 2).filter_map(|(_, key)| tallies.remove(key)).map(|tally| tally.packets).sum()
}

/// The same for the table that is counted in.
pub(super) fn fold_open<S: std::hash::BuildHasher>(
    tallies: &mut hashbrown::HashMap<Key, Tally, S>,
    most: usize,
) -> u64 {
    let mut order: Vec<(u64, Key)> = tallies.iter().map(|(key, tally)| (tally.packets, *key)).collect();
    order.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    order.iter().skip(most / 2).filter_map(|(_, key)| tallies.remove(key)).map(|tally| tally.packets).sum()
}
