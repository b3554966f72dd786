//! What detectors said already: once for each episode, and again when it has grown or become worse.

use jiff::Timestamp;
use schema::{Attack, Micros, Severity, Tactic};
use serde::{Deserialize, Serialize};

use crate::table::Table;

const EPISODES_MAX: usize = 65_536;
/// An episode is told again when it is this many times as large.
const GROWN: u64 = 4;

/// What was said already.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Episodes {
    table: Table<u64, Episode>,
    told: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Episode {
    began: Micros,
    last: Micros,
    size_told: u64,
    severity_told: Option<Severity>,
}

/// How an episode stands now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) first: Micros,
    pub(crate) last: Micros,
    /// Silence of this long ends it.
    pub(crate) pause: Micros,
    pub(crate) size: u64,
    pub(crate) severity: Severity,
}

impl Default for Episodes {
    fn default() -> Self {
        Self { table: Table::new(EPISODES_MAX), told: 0 }
    }
}

impl Episodes {
    pub(crate) fn told(&self) -> u64 {
        self.told
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.table.evicted()
    }

    /// When the episode began, if it is to be told now; `None` when it was told and is hardly larger since.
    pub(crate) fn tell(&mut self, key: u64, now: Standing) -> Option<Micros> {
        let episode = self.table.slot(key);
        let away = now.last.saturating_sub(episode.last).saturating_abs();
        if episode.severity_told.is_none() || away > now.pause {
            *episode = Episode { began: now.first, last: now.last, ..Episode::default() };
        }
        episode.last = episode.last.max(now.last);
        let is_worse = episode.severity_told.is_none_or(|told| now.severity > told);
        if !is_worse && now.size < episode.size_told.saturating_mul(GROWN) {
            return None;
        }
        episode.size_told = now.size.max(1);
        episode.severity_told = episode.severity_told.max(Some(now.severity));
        self.told += 1;
        Some(episode.began)
    }
}

pub(crate) fn timestamp(at: Micros) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A technique.
pub(crate) fn attack(technique: &str, name: &str, tactic: Tactic) -> Attack {
    Attack { technique: technique.into(), name: name.into(), tactic }
}
