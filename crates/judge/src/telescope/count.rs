use std::collections::BTreeMap;

use ipnet::IpNet;
use schema::Micros;
use schema::telescope::ProbeKind;

use super::hour::{KEYS_MAX, fold_open};
use super::sources::Table;
use super::{Day, Hour, Key, Probe, Tally};

const HOUR: Micros = 3_600_000_000;
const HOURS_OF_DAY: i64 = 24;
/// Silence that still counts as observed; longer, and nobody knows whether the sensor ran.
const SILENCE_MAX: Micros = HOUR;
/// Hours that are counted in at a time: with more, the oldest are given out, however late packets come.
pub const HOURS_OPEN_MAX: usize = 50;
/// Captures are out of order by less than this.
const LATE: Micros = 2 * HOUR;

/// Which packets count: those to the addresses that are watched. Answers of our own responder go elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Empty: all.
    pub watched: Vec<IpNet>,
}

impl Filter {
    fn takes(&self, probe: &Probe) -> bool {
        let ours = |address| self.watched.iter().any(|net| net.contains(&address));
        self.watched.is_empty() || (ours(probe.destination) && !ours(probe.source))
    }
}

/// Counts the packets of one sensor. Bounded by [`HOURS_OPEN_MAX`] hours of 4096 keys of at most two kilobytes, and by the list of
/// sources of three days.
#[derive(Debug, Default)]
pub struct Counter {
    filter: Filter,
    hours: BTreeMap<i64, Open>,
    sources: BTreeMap<i64, Table>,
    last_at: Option<Micros>,
    newest: Micros,
    elsewhere: u64,
}

#[derive(Debug, Default)]
struct Open {
    observed: Micros,
    tallies: hashbrown::HashMap<Key, Tally, foldhash::fast::FixedState>,
    folded: u64,
    lost: u64,
}

impl Counter {
    /// A counter that has seen nothing.
    pub fn new(filter: Filter) -> Counter {
        Counter { filter, ..Counter::default() }
    }

    /// Counts packets, and says that the sensor was awake meanwhile.
    pub fn step(&mut self, batch: &[Probe]) {
        for probe in batch {
            self.awake(probe.at);
            if !self.filter.takes(probe) {
                self.elsewhere += 1;
                continue;
            }
            let open = self.hours.entry(probe.at.div_euclid(HOUR)).or_default();
            if open.tallies.len() >= KEYS_MAX && !open.tallies.contains_key(&probe.key) {
                open.folded += fold_open(&mut open.tallies, KEYS_MAX);
            }
            open.tallies.entry(probe.key).or_default().add(probe.source, probe.destination);
            if probe.key.kind == ProbeKind::Scan {
                let day = probe.at.div_euclid(HOUR * HOURS_OF_DAY);
                self.sources.entry(day).or_default().add(probe.source, probe.key.target(), probe.at);
            }
        }
    }

    /// The sensor was awake at this time: what lies between is observed, unless the silence was long.
    pub fn awake(&mut self, at: Micros) {
        let from = self.last_at.unwrap_or(at);
        // Captures are a little out of order; a clock that was set back begins anew.
        let is_back = at < from.saturating_sub(SILENCE_MAX);
        self.last_at = Some(if is_back { at } else { from.max(at) });
        self.newest = if is_back { at } else { self.newest.max(at) };
        if (1..=SILENCE_MAX).contains(&at.saturating_sub(from)) {
            let (first, last) = (from.div_euclid(HOUR), at.div_euclid(HOUR));
            for hour in first..=last {
                let covered = at.min((hour + 1).saturating_mul(HOUR)) - from.max(hour.saturating_mul(HOUR));
                self.hours.entry(hour).or_default().observed += covered;
            }
        }
    }

    /// Packets at this time were lost: dropped by the kernel, or not to be decoded.
    pub fn lost(&mut self, at: Micros, packets: u64) {
        self.hours.entry(at.div_euclid(HOUR)).or_default().lost += packets;
    }

    /// A new capture begins: what lies between the last one's end and its beginning was not observed.
    pub fn pause(&mut self) {
        self.last_at = None;
    }

    /// Packets from or to addresses that are not watched.
    pub fn elsewhere(&self) -> u64 {
        self.elsewhere
    }

    /// Days, or parts of them, that nothing more is expected of. `sensor` is written into them.
    pub fn finished(&mut self, sensor: &str) -> Vec<Day> {
        let day_now = self.newest.saturating_sub(LATE).div_euclid(HOUR * HOURS_OF_DAY);
        if self.hours.len() > HOURS_OPEN_MAX {
            return self.drain(sensor, i64::MAX);
        }
        match self.hours.first_key_value() {
            Some((hour, _)) if hour.div_euclid(HOURS_OF_DAY) < day_now => {
                self.drain(sensor, day_now * HOURS_OF_DAY)
            }
            _ => Vec::new(),
        }
    }

    /// All that was counted since the last time.
    pub fn drain_all(&mut self, sensor: &str) -> Vec<Day> {
        self.drain(sensor, i64::MAX)
    }

    fn drain(&mut self, sensor: &str, before: i64) -> Vec<Day> {
        let later = self.hours.split_off(&before);
        let hours = std::mem::replace(&mut self.hours, later);
        let mut days: BTreeMap<i64, Day> = BTreeMap::new();
        for (number, open) in hours {
            let it = number.div_euclid(HOURS_OF_DAY);
            let day = days.entry(it).or_insert_with(|| Day::new(it, sensor));
            let place = number.rem_euclid(HOURS_OF_DAY) as u8;
            day.hours.insert(place, open.into_hour());
        }
        for (number, day) in &mut days {
            if let Some(table) = self.sources.remove(number) {
                day.sources = table.into_sources();
            }
        }
        days.into_values().collect()
    }
}

impl Open {
    fn into_hour(self) -> Hour {
        Hour {
            observed_seconds: (self.observed / 1_000_000).max(0) as u64,
            tallies: self.tallies.into_iter().collect(),
            folded: self.folded,
            lost: self.lost,
        }
    }
}
