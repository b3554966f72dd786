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

    /// Whether the episode was told and goes on, so that [`Episodes::tell`] would not tell it: also where `now` is larger than it is.
    pub(crate) fn goes_on(&mut self, key: u64, now: Standing) -> bool {
        let Some(episode) = self.table.get_mut(&key) else { return false };
        let away = now.last.saturating_sub(episode.last).saturating_abs();
        let goes_on = away <= now.pause
            && episode.severity_told.is_some_and(|told| now.severity <= told)
            && now.size < episode.size_told.saturating_mul(GROWN);
        if goes_on {
            episode.last = episode.last.max(now.last);
        }
        goes_on
    }
}

pub(crate) fn timestamp(at: Micros) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A technique.
pub(crate) fn attack(technique: &str, name: &str, tactic: Tactic) -> Attack {
    Attack { technique: technique.into(), name: name.into(), tactic }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asked beforehand with the same or with more, it is never silent where it would have been told, and changes nothing else.
    #[test]
    fn what_goes_on_is_never_what_would_have_been_told() {
        let (mut asked, mut plain) = (Episodes::default(), Episodes::default());
        let (mut dice, mut silent) = (3_u64, 0);
        let mut throw = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        for at in 0..20_000_i64 {
            let key = throw(5);
            let severity = [Severity::Low, Severity::Medium, Severity::High][throw(3) as usize];
            let last = at * 10 - throw(200) as i64;
            let standing = Standing { first: last - 5, last, pause: 150, size: throw(200), severity };
            let told = plain.tell(key, standing);
            let goes_on = asked.goes_on(key, Standing { size: standing.size + throw(50), ..standing });
            assert!(!goes_on || told.is_none(), "{at}");
            silent += u64::from(goes_on);
            if !goes_on {
                assert_eq!(asked.tell(key, standing), told, "{at}");
            }
        }
        assert!(
            silent > 5_000 && plain.told() > 100 && plain.told() == asked.told(),
            "{silent} {}",
            plain.told()
        );
    }
}
