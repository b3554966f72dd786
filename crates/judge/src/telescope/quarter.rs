use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schema::telescope::{
    BackscatterRow, ConfirmedShare, PortRow, ProbeKind, Quarter, QuarterReport, SensorCoverage, Surge,
    SurgeTest, SystemShare, Target,
};
use schema::{SynFamily, SystemVersion, Transport};

use super::share::wilson_estimated;
use super::surge::{self, Judged};
use super::{Day, EXACT_MAX, Key, RELATIVE_ERROR, Sketch, trend, wilson};

/// Ports of each quarter whose hours are looked at: with more, one sketch a day of each would take too much.
const FOLLOWED: usize = 30;
/// Ports under attack elsewhere that are named.
const BACKSCATTER_ROWS: usize = 10;
const GAPS_MAX: usize = 20;
/// An hour counts as observed when half of it was.
const OBSERVED_SECONDS: u64 = 1800;
/// A day counts for means when this many of its hours were observed.
const DAY_HOURS_MIN: usize = 20;
/// Addresses that told a version and are counted.
const CONFIRMED_MAX: usize = 200_000;
const FAMILIES: [SynFamily; 6] =
    [SynFamily::Nt5, SynFamily::Nt6, SynFamily::Linux, SynFamily::Bsd, SynFamily::Bare, SynFamily::Unknown];

/// The first look at a quarter and at the one before it: what was reached for most, and what was observed at all.
///
/// Days may come in any order, each sensor's by itself.
#[derive(Debug)]
pub struct Survey {
    span: Span,
    packets: BTreeMap<Target, [u64; 2]>,
    backscatter: BTreeMap<Target, u64>,
    sensors: BTreeMap<String, SensorPart>,
}

/// Two quarters in hours.
#[derive(Debug, Clone)]
struct Span {
    quarter: Quarter,
    zone: TimeZone,
    /// Hours since 1970: the quarter before, this one, its end or now.
    begin: i64,
    middle: i64,
    end: i64,
    /// Local days, and which one each hour belongs to.
    dates: Vec<Date>,
    day_of: Vec<u16>,
}

#[derive(Debug, Default)]
struct SensorPart {
    observed: BTreeSet<i64>,
    packets: u64,
    lost: u64,
    folded: u64,
}

impl Survey {
    /// A look at `quarter` as far as it has gone by at `now`; `None` for a quarter that has not begun.
    pub fn new(quarter: Quarter, zone: &TimeZone, now: Timestamp) -> Option<Survey> {
        let span = Span::new(quarter, zone, now)?;
        Some(Survey {
            span,
            packets: BTreeMap::new(),
            backscatter: BTreeMap::new(),
            sensors: BTreeMap::new(),
        })
    }

    /// The days (UTC, since 1970) that are looked at.
    pub fn days(&self) -> std::ops::RangeInclusive<i64> {
        self.span.begin.div_euclid(24)..=(self.span.end - 1).div_euclid(24)
    }

    /// Takes in a day of one sensor.
    pub fn count(&mut self, day: &Day) {
        let (begin, middle, end) = (self.span.begin, self.span.middle, self.span.end);
        let sensor = self.sensors.entry(day.sensor.clone()).or_default();
        for (hour, it) in &day.hours {
            let number = day.number * 24 + i64::from(*hour);
            if !(begin..end).contains(&number) {
                continue;
            }
            let is_now = number >= middle;
            if is_now {
                if it.observed_seconds >= OBSERVED_SECONDS {
                    sensor.observed.insert(number);
                }
                sensor.packets += it.packets();
                sensor.lost += it.lost;
                sensor.folded += it.folded;
            }
            for (key, tally) in &it.tallies {
                match key.kind {
                    ProbeKind::Scan if has_ports(key) => {
                        self.packets.entry(key.target()).or_default()[usize::from(is_now)] += tally.packets;
                    }
                    ProbeKind::Backscatter if is_now => {
                        *self.backscatter.entry(key.target()).or_default() += tally.packets;
                    }
                    _ => {}
                }
            }
        }
    }

    /// Chooses the ports to be followed through their hours, in a second look.
    pub fn choose(self) -> Pass {
        let hours = self.span.hours();
        let mut chosen: BTreeSet<Target> = BTreeSet::new();
        for place in [1, 0] {
            chosen.extend(
                ranked(&self.packets, |it| it[place]).into_iter().take(FOLLOWED).map(|(target, _)| target),
            );
        }
        let days = self.span.dates.len();
        let followed = chosen.into_iter().map(|target| (target, Followed::new(hours, days))).collect();
        let attacked = ranked(&self.backscatter, |it| *it)
            .into_iter()
            .take(BACKSCATTER_ROWS)
            .map(|(target, _)| (target, Sketch::default()))
            .collect();
        Pass {
            survey: self,
            followed,
            attacked,
            backscatter: Default::default(),
            scan: Default::default(),
            icmp_packets: 0,
            other_packets: 0,
            observed: vec![false; hours],
            confirmed: BTreeMap::new(),
        }
    }
}

impl Span {
    fn new(quarter: Quarter, zone: &TimeZone, now: Timestamp) -> Option<Span> {
        let hour = |date: Date| {
            let at = date.to_zoned(zone.clone()).ok()?.timestamp();
            Some(at.as_second().div_euclid(3600))
        };
        let (first, after) = quarter.days();
        let (begin, middle) = (hour(quarter.before().days().0)?, hour(first)?);
        let end = hour(after)?.min(now.as_second().div_euclid(3600) + 1);
        if end <= middle {
            return None;
        }
        let mut dates: Vec<Date> = Vec::new();
        let mut day_of = Vec::new();
        for number in begin..end {
            let at = Timestamp::from_second(number * 3600).ok()?;
            let date = at.to_zoned(zone.clone()).date();
            if dates.last() != Some(&date) {
                dates.push(date);
            }
            day_of.push((dates.len() - 1) as u16);
        }
        Some(Span { quarter, zone: zone.clone(), begin, middle, end, dates, day_of })
    }

    fn hours(&self) -> usize {
        (self.end - self.begin) as usize
    }

    fn quarter_begins(&self) -> usize {
        (self.middle - self.begin) as usize
    }

    fn at(&self, place: usize) -> Timestamp {
        Timestamp::from_second((self.begin + place as i64) * 3600).unwrap_or(Timestamp::MAX)
    }
}

/// The second look: hours and sources of the chosen ports.
#[derive(Debug)]
pub struct Pass {
    survey: Survey,
    followed: BTreeMap<Target, Followed>,
    attacked: BTreeMap<Target, Sketch>,
    backscatter: (u64, Sketch),
    scan: (u64, Sketch),
    icmp_packets: u64,
    other_packets: u64,
    observed: Vec<bool>,
    confirmed: BTreeMap<(u16, IpAddr), SystemVersion>,
}

#[derive(Debug)]
struct Followed {
    packets: Vec<u64>,
    sources: Vec<u64>,
    days: Vec<DayPart>,
}

/// Sources of a day by family, the last for those without a SYN.
#[derive(Debug, Clone, Default)]
struct DayPart {
    families: [Sketch; FAMILIES.len() + 1],
    destinations: Sketch,
}

impl Pass {
    /// Takes in a day, merged over all sensors (a source that several saw counts once); each day once.
    pub fn follow(&mut self, day: &Day) {
        let quarter_begins = self.survey.span.quarter_begins();
        for (hour, it) in &day.hours {
            let place = day.number * 24 + i64::from(*hour) - self.survey.span.begin;
            let Some(place) = usize::try_from(place).ok().filter(|place| *place < self.observed.len()) else {
                continue;
            };
            self.observed[place] |= it.observed_seconds >= OBSERVED_SECONDS;
            let mut sources: BTreeMap<Target, Sketch> = BTreeMap::new();
            for (key, tally) in &it.tallies {
                if key.kind == ProbeKind::Scan
                    && let Some(followed) = self.followed.get_mut(&key.target()).filter(|_| has_ports(key))
                {
                    followed.packets[place] += tally.packets;
                    sources.entry(key.target()).or_default().merge(&tally.sources);
                    let part = &mut followed.days[usize::from(self.survey.span.day_of[place])];
                    let family = key.family.and_then(|family| FAMILIES.iter().position(|it| *it == family));
                    part.families[family.unwrap_or(FAMILIES.len())].merge(&tally.sources);
                    part.destinations.merge(&tally.destinations);
                }
                if place >= quarter_begins {
                    self.sum(key, tally);
                }
            }
            for (target, sketch) in sources {
                if let Some(followed) = self.followed.get_mut(&target) {
                    followed.sources[place] += sketch.count();
                }
            }
        }
        let (from, until) = (self.survey.span.at(quarter_begins), self.survey.span.at(self.observed.len()));
        for it in &day.confirmed {
            let is_now = (from.as_microsecond()..until.as_microsecond()).contains(&it.at);
            if is_now && self.confirmed.len() < CONFIRMED_MAX {
                self.confirmed.insert((it.port, it.source), it.version);
            }
        }
    }

    fn sum(&mut self, key: &Key, tally: &super::Tally) {
        match key.kind {
            ProbeKind::Scan => {
                self.scan.0 += tally.packets;
                self.scan.1.merge(&tally.sources);
                if key.transport == Transport::Icmp {
                    self.icmp_packets += tally.packets;
                }
            }
            ProbeKind::Backscatter => {
                self.backscatter.0 += tally.packets;
                self.backscatter.1.merge(&tally.sources);
                if let Some(sketch) = self.attacked.get_mut(&key.target()) {
                    sketch.merge(&tally.sources);
                }
            }
            ProbeKind::Other => self.other_packets += tally.packets,
        }
    }

    /// What the quarter was.
    pub fn report(&self) -> QuarterReport {
        let span = &self.survey.span;
        let previous = ranked(&self.survey.packets, |it| it[0]);
        let previous: BTreeMap<Target, (u32, u64)> = previous
            .into_iter()
            .zip(1u32..)
            .map(|((target, packets), rank)| (target, (rank, packets)))
            .collect();
        let now = ranked(&self.survey.packets, |it| it[1]);
        let all: u64 = now.iter().map(|(_, packets)| packets).sum();
        let mut ports = Vec::new();
        for ((target, packets), rank) in now.iter().zip(1u32..).take(FOLLOWED) {
            if let Some(followed) = self.followed.get(target) {
                let mut row = self.row(*target, followed);
                let before = previous.get(target);
                (row.rank, row.packets, row.packet_share) =
                    (rank, *packets, *packets as f64 / all.max(1) as f64);
                row.previous_rank = before.map(|(rank, _)| *rank);
                row.previous_packets = before.map_or(0, |(_, packets)| *packets);
                ports.push(row);
            }
        }
        let (surges, tested_hours) = self.surges();
        QuarterReport {
            quarter: span.quarter,
            zone: zone_name(&span.zone),
            begins: span.at(span.quarter_begins()),
            ends: span.at(span.hours()),
            scan_packets: self.scan.0,
            scan_sources: self.scan.1.count(),
            icmp_packets: self.icmp_packets,
            other_packets: self.other_packets,
            ports,
            has_previous: self.observed[..span.quarter_begins()].contains(&true),
            surges,
            surge_test: SurgeTest {
                threshold: surge::Settings::default().threshold,
                step: surge::Settings::default().step,
                false_alarms_per_port_year: 1.0,
                delay_hours: 11.0,
                ports: self.followed.len() as u32,
                hours: tested_hours,
            },
            backscatter_packets: self.backscatter.0,
            backscatter_sources: self.backscatter.1.count(),
            backscatter: self.backscatter_rows(),
            sensors: self.survey.sensors.iter().map(|(name, part)| coverage(span, name, part)).collect(),
            relative_error: RELATIVE_ERROR,
            exact_below: EXACT_MAX as u64,
        }
    }

    fn row(&self, target: Target, followed: &Followed) -> PortRow {
        let span = &self.survey.span;
        let begin = span.quarter_begins();
        let first_day = usize::from(span.day_of.get(begin).copied().unwrap_or(0));
        let whole = union(followed.days.get(first_day..).unwrap_or_default());
        let series = |values: &[u64]| {
            values
                .iter()
                .zip(&self.observed)
                .skip(begin)
                .map(|(value, observed)| observed.then_some(*value))
                .collect()
        };
        let confirmed: Vec<SystemVersion> = self
            .confirmed
            .iter()
            .filter(|((port, _), _)| *port == target.port && target.transport == Transport::Tcp)
            .map(|(_, version)| *version)
            .collect();
        PortRow {
            rank: 0,
            previous_rank: None,
            target,
            packets: 0,
            packet_share: 0.0,
            previous_packets: 0,
            sources: whole.all().count(),
            destinations: whole.destinations.count(),
            systems: systems(&whole),
            confirmed: versions(&confirmed),
            hourly: series(&followed.packets),
            hourly_sources: series(&followed.sources),
            trend: trend::largest(&self.daily(followed), span.dates[first_day]),
        }
    }

    /// Sources and targets of each day.
    fn daily(&self, followed: &Followed) -> Vec<(Date, Option<(u64, u64)>)> {
        let span = &self.survey.span;
        let mut observed = vec![0usize; span.dates.len()];
        for (day, is_observed) in span.day_of.iter().zip(&self.observed) {
            observed[usize::from(*day)] += usize::from(*is_observed);
        }
        let counts = |(part, hours): (&DayPart, usize)| {
            (hours >= DAY_HOURS_MIN).then(|| (part.all().count(), part.destinations.count()))
        };
        span.dates.iter().copied().zip(followed.days.iter().zip(observed).map(counts)).collect()
    }

    fn surges(&self) -> (Vec<Surge>, u64) {
        let span = &self.survey.span;
        let mut tested = 0;
        let mut surges = Vec::new();
        for (target, followed) in &self.followed {
            let values: Vec<Option<f64>> = followed
                .sources
                .iter()
                .zip(&self.observed)
                .map(|(n, seen)| seen.then_some(*n as f64))
                .collect();
            let (found, hours) = surge::judge(&values, surge::Settings::default());
            tested += hours;
            let in_quarter = found.into_iter().filter(|it| it.onset >= span.quarter_begins());
            surges.extend(in_quarter.map(|it| self.surge(*target, followed, it)));
        }
        surges.sort_by_key(|surge| (surge.onset, surge.target));
        (surges, tested)
    }

    fn surge(&self, target: Target, followed: &Followed, it: Judged) -> Surge {
        let span = &self.survey.span;
        let day = |place: usize| usize::from(span.day_of.get(place).copied().unwrap_or(0));
        let last = it.until.unwrap_or(span.hours()).min(it.onset + 168).saturating_sub(1);
        let days = followed.days.get(day(it.onset)..=day(last).max(day(it.onset))).unwrap_or_default();
        Surge {
            target,
            onset: span.at(it.onset),
            detected: span.at(it.detected),
            until: it.until.map(|place| span.at(place)),
            usual: it.usual,
            during: it.during,
            systems: systems(&union(days)).into_iter().next(),
        }
    }

    fn backscatter_rows(&self) -> Vec<BackscatterRow> {
        ranked(&self.survey.backscatter, |it| *it)
            .into_iter()
            .filter_map(|(target, packets)| {
                Some(BackscatterRow { target, packets, sources: self.attacked.get(&target)?.count() })
            })
            .collect()
    }
}

impl Followed {
    fn new(hours: usize, days: usize) -> Followed {
        Followed { packets: vec![0; hours], sources: vec![0; hours], days: vec![DayPart::default(); days] }
    }
}

impl DayPart {
    fn all(&self) -> Sketch {
        merged(&self.families)
    }
}

fn merged(sketches: &[Sketch]) -> Sketch {
    let mut all = Sketch::default();
    sketches.iter().for_each(|sketch| all.merge(sketch));
    all
}

fn union(days: &[DayPart]) -> DayPart {
    let mut whole = DayPart::default();
    for day in days {
        whole.families.iter_mut().zip(&day.families).for_each(|(own, other)| own.merge(other));
        whole.destinations.merge(&day.destinations);
    }
    whole
}

/// Shares of the families, the largest first; those without a source are left out.
fn systems(part: &DayPart) -> Vec<SystemShare> {
    let with_syn = part.families.get(..FAMILIES.len()).unwrap_or_default();
    // The sum, not the union: errors of a part and of the whole that holds it would not cancel.
    let n = with_syn.iter().map(Sketch::count).sum();
    let is_exact = with_syn.iter().all(|sketch| matches!(sketch, Sketch::Few(_)));
    let of = if is_exact { wilson } else { wilson_estimated };
    let mut shares: Vec<SystemShare> = FAMILIES
        .iter()
        .zip(with_syn)
        .filter(|(_, sketch)| !sketch.is_empty())
        .map(|(family, sketch)| SystemShare { family: *family, share: of(sketch.count(), n) })
        .collect();
    shares.sort_by(|a, b| b.share.count.cmp(&a.share.count).then(a.family.cmp(&b.family)));
    shares
}

fn versions(confirmed: &[SystemVersion]) -> Vec<ConfirmedShare> {
    let mut counts: BTreeMap<SystemVersion, u64> = BTreeMap::new();
    confirmed.iter().for_each(|version| *counts.entry(*version).or_default() += 1);
    let n = confirmed.len() as u64;
    let mut shares: Vec<ConfirmedShare> = counts
        .into_iter()
        .map(|(version, count)| ConfirmedShare { version, share: wilson(count, n) })
        .collect();
    shares.sort_by(|a, b| b.share.count.cmp(&a.share.count).then(a.version.cmp(&b.version)));
    shares
}

/// Only TCP and UDP have ports.
fn has_ports(key: &Key) -> bool {
    matches!(key.transport, Transport::Tcp | Transport::Udp)
}

/// In order of packets, then of port; without those that have none.
fn ranked<T>(counts: &BTreeMap<Target, T>, packets: impl Fn(&T) -> u64) -> Vec<(Target, u64)> {
    let mut order: Vec<(Target, u64)> = counts
        .iter()
        .map(|(target, it)| (*target, packets(it)))
        .filter(|(_, packets)| *packets > 0)
        .collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    order
}

fn coverage(span: &Span, name: &str, part: &SensorPart) -> SensorCoverage {
    let mut gaps: Vec<(i64, i64)> = Vec::new();
    for hour in (span.middle..span.end).filter(|hour| !part.observed.contains(hour)) {
        match gaps.last_mut() {
            Some((_, until)) if *until == hour => *until = hour + 1,
            _ => gaps.push((hour, hour + 1)),
        }
    }
    let gap_count = gaps.len() as u64;
    gaps.sort_by_key(|(from, until)| (from - until, *from));
    gaps.truncate(GAPS_MAX);
    gaps.sort_unstable();
    let at = |hour: i64| span.at((hour - span.begin).max(0) as usize);
    SensorCoverage {
        sensor: name.to_owned(),
        hours_observed: part.observed.len() as u64,
        hours: (span.end - span.middle) as u64,
        gaps: gaps.into_iter().map(|(from, until)| (at(from), at(until))).collect(),
        gap_count,
        packets: part.packets,
        lost: part.lost,
        folded: part.folded,
    }
}

fn zone_name(zone: &TimeZone) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None => zone.to_fixed_offset().map_or_else(|_| "UTC".to_owned(), |offset| offset.to_string()),
    }
}
