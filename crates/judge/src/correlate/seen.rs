use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

const WATCHERS_MAX: usize = 64;
const EACH_MAX: usize = 4096;

/// The uids that came last, apart for each watcher: none can make another one's finding pass as a repetition, or push it out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen(BTreeMap<String, Ring>);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "VecDeque<u64>", into = "VecDeque<u64>")]
struct Ring {
    order: VecDeque<u64>,
    set: BTreeSet<u64>,
}

impl Seen {
    /// Whether the watcher had not said this before, as far as is remembered. A finding without uid is always new.
    pub(super) fn is_new(&mut self, watcher: &str, uid: &str) -> bool {
        if uid.is_empty() {
            return true;
        }
        // Watchers are named by the configuration; those past the bound share one ring, and count some findings twice at worst.
        let known = self.0.contains_key(watcher) || self.0.len() < WATCHERS_MAX;
        let ring = self.0.entry(if known { watcher } else { "" }.to_owned()).or_default();
        let hash = if known { fnv(&[uid]) } else { fnv(&[watcher, uid]) };
        if !ring.set.insert(hash) {
            return false;
        }
        ring.order.push_back(hash);
        if ring.order.len() > EACH_MAX
            && let Some(oldest) = ring.order.pop_front()
        {
            ring.set.remove(&oldest);
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(|ring| ring.order.len()).sum()
    }
}

/// FNV-1a, the same on every machine and in every release, unlike the hash of the standard library.
pub(super) fn fnv(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl From<VecDeque<u64>> for Ring {
    fn from(order: VecDeque<u64>) -> Self {
        Self { set: order.iter().copied().collect(), order }
    }
}

impl From<Ring> for VecDeque<u64> {
    fn from(ring: Ring) -> Self {
        ring.order
    }
}
