//! `beacon.interval`: one machine calls another at regular times with regular amounts, as malware calls home.
//!
//! Scored as RITA does, four parts of a quarter each: the times between calls, the bytes sent, how long it has gone on, how evenly
//! the calls are spread. Between machines inside too, but there nearly everything is regular: only a server that hardly anybody else calls,
//! and a client that does not call many in this way, are told, with low severity. What speaks DICOM or MLLP is left alone there.

use std::net::IpAddr;

use schema::{Attack, Lang, NetEvent, Service, Severity, Sight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::pairs::Pairs;
use crate::network::rules::Periodic;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack, span};
use crate::network::view::{DAY, SECOND, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "beacon.interval",
    title: "A machine calls another at regular times, as malware does",
    title_ja: "機器が不正プログラムのように規則的な通信を繰り返している",
    attacks,
    make: Detector::Network(Detectors::new),
};

const PAIRS_MAX: usize = 16_384;
const SERVERS_MAX: usize = 8192;
const KEPT: usize = 64;
/// Calls before anything is judged, and then after each so many. The first judgement only notes who calls whom: were it told, the first of
/// many that call an update service would be told as if it were alone.
const CALLS_MIN: u64 = 48;
const EVERY: u64 = 16;
/// Shorter regular bursts are a program at work.
const LASTS_MIN: i64 = 300 * SECOND;
/// A server that so many call regularly, or a client that calls so many, does so for a reason that somebody knows.
const SHARED_BY: usize = 4;
const BINS: usize = 24;
const PAUSE: i64 = DAY;

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1071.001", "Application Layer Protocol: Web Protocols", Tactic::CommandAndControl),
        attack("T1571", "Non-Standard Port", Tactic::CommandAndControl),
    ]
}

type Line = (IpAddr, IpAddr, u16);

/// Calls of pairs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Beats {
    lines: Table<Line, Beat>,
    /// Who calls a server regularly, and whom a client calls regularly.
    callers: Table<(IpAddr, u16), Vec<IpAddr>>,
    called: Table<(IpAddr, u16), Vec<IpAddr>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Beat {
    trail: Trail,
    /// Times of the latest calls, and what the latest sent.
    times: Vec<i64>,
    sent: Vec<u32>,
    next: usize,
    next_sent: usize,
    /// Pictures and records between machines inside: devices ask for work and say that they live in the same words, day and night.
    #[serde(default)]
    is_clinical: bool,
}

impl Default for Beats {
    fn default() -> Self {
        Self {
            lines: Table::new(PAIRS_MAX),
            callers: Table::new(SERVERS_MAX),
            called: Table::new(SERVERS_MAX),
        }
    }
}

impl Beats {
    pub(crate) fn evicted(&self) -> u64 {
        self.lines.evicted()
    }

    /// See [`Table::warm`].
    #[inline]
    pub(crate) fn warm(&self, event: &NetEvent) {
        let (client, server) = (&event.contact.client, &event.contact.server);
        self.lines.warm(&(client.address, server.address, server.port), |beat| beat.trail.count);
    }

    /// Takes in calls that were answered, and what they sent in the end.
    pub(crate) fn take(&mut self, view: &View<'_>, pairs: &Pairs, tell: &mut Tell<'_>) {
        let line = (view.client(), view.server(), view.port());
        match view.sight() {
            Sight::Answered if !is_known(view) => {
                let beat = self.lines.slot(line);
                beat.call(view);
                if beat.trail.count >= CALLS_MIN && beat.trail.count.is_multiple_of(EVERY) {
                    self.weigh(line, view, pairs, tell);
                }
            }
            Sight::Speaks { service: Service::Dicom | Service::Mllp } if view.is_east_west() => {
                if let Some(beat) = self.lines.get_mut(&line) {
                    beat.is_clinical = true;
                }
            }
            Sight::Traffic { traffic, .. } => {
                if let Some(beat) = self.lines.get_mut(&line) {
                    beat.send(u32::try_from(traffic.payload[0]).unwrap_or(u32::MAX));
                }
            }
            _ => {}
        }
    }

    fn weigh(&mut self, line: Line, view: &View<'_>, pairs: &Pairs, tell: &mut Tell<'_>) {
        let Some(beat) = self.lines.get(&line).filter(|beat| !beat.is_clinical) else { return };
        let Some(score) = beat.score() else { return };
        if score.sum() < view.rules.thresholds.beacon_score {
            return;
        }
        let (client, server, port) = line;
        let callers = note(&mut self.callers, (server, port), client);
        let called = note(&mut self.called, (client, port), server);
        if beat.trail.count < CALLS_MIN + EVERY {
            return;
        }
        let shared = callers >= SHARED_BY || called >= SHARED_BY;
        let inside = view.is_east_west();
        if inside && (shared || pairs.clients_of(server, port) >= SHARED_BY) {
            return;
        }
        let severity = match (inside, shared) {
            (false, false) => Severity::Medium,
            (true, _) => Severity::Low,
            (false, true) => Severity::Informational,
        };
        let saying =
            Saying::new(&ENTRY, client, Some(server), beat.trail).about(u64::from(port)).severity(severity);
        tell.say(saying.pause(PAUSE), || beat.words(&score, callers, view));
    }
}

/// Adds to a short list; how long it is then.
fn note(lists: &mut Table<(IpAddr, u16), Vec<IpAddr>>, key: (IpAddr, u16), who: IpAddr) -> usize {
    let list = lists.slot(key);
    if !list.contains(&who) && list.len() < 2 * SHARED_BY {
        list.push(who);
    }
    list.len()
}

/// What calls regularly in every network, and what the hospital says does so.
fn is_known(view: &View<'_>) -> bool {
    let usual = matches!(view.port(), 53 | 67 | 68 | 123 | 137 | 161 | 162 | 514 | 1900 | 5353 | 5355);
    let holds = |known: &Periodic| {
        known.client.is_none_or(|net| net.contains(&view.client()))
            && known.server.is_none_or(|net| net.contains(&view.server()))
            && known.port.is_none_or(|port| port == view.port())
    };
    usual || view.rules.is_scanner(view.client()) || view.rules.periodic.iter().any(holds)
}

/// Four parts, each 0 to 1.
#[derive(Debug, Clone, Copy)]
struct Score {
    times: f32,
    bytes: f32,
    lasting: f32,
    even: f32,
    interval: i64,
}

impl Score {
    fn sum(&self) -> f32 {
        (self.times + self.bytes + self.lasting + self.even) / 4.0
    }
}

impl Beat {
    fn call(&mut self, view: &View<'_>) {
        let at = view.at();
        if at.saturating_sub(self.trail.last).saturating_abs() > DAY {
            *self = Self::default();
        }
        // Most pairs meet once: the first call's time stands in the trail alone until there is a second.
        if self.trail.count == 1 && self.times.is_empty() {
            self.times.push(self.trail.first);
        }
        self.trail.add(view.event);
        if self.trail.count == 1 {
            return;
        }
        if self.times.len() < KEPT {
            self.times.push(at);
        } else if let Some(place) = self.times.get_mut(self.next) {
            *place = at;
            self.next = (self.next + 1) % KEPT;
        }
    }

    fn send(&mut self, bytes: u32) {
        if self.sent.len() < KEPT {
            self.sent.push(bytes);
        } else if let Some(place) = self.sent.get_mut(self.next_sent) {
            *place = bytes;
            self.next_sent = (self.next_sent + 1) % KEPT;
        }
    }

    fn score(&self) -> Option<Score> {
        if self.trail.last - self.trail.first < LASTS_MIN {
            return None;
        }
        let mut times = self.times.clone();
        times.sort_unstable();
        let between: Vec<f32> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f32).collect();
        let (regular, interval) = regularity(&between)?;
        // Several connections at once are one program at work, not one that calls home.
        if interval < 0.5 * SECOND as f32 {
            return None;
        }
        let sent: Vec<f32> = self.sent.iter().map(|bytes| *bytes as f32).collect();
        let bytes =
            if sent.len() * 2 >= self.times.len() { regularity(&sent).map_or(0.0, |row| row.0) } else { 0.5 };
        let bins = spread(&times);
        let filled = bins.iter().filter(|count| **count > 0).count() as f32 / BINS as f32;
        Some(Score {
            times: regular,
            bytes,
            lasting: filled * (self.trail.count as f32 / CALLS_MIN as f32).min(1.0),
            even: evenness(&bins),
            interval: interval as i64,
        })
    }

    fn words(&self, score: &Score, callers: usize, view: &View<'_>) -> Words {
        let (client, server, port) = (view.client(), view.server(), view.port());
        let count = self.trail.count;
        Words::new(
            [
                format!("{client} calls {server} regularly, as malware does"),
                format!("{client} が {server} へ規則的な通信を繰り返しています"),
            ],
            attacks().into_iter().skip(usize::from(!matches!(port, 80 | 443 | 8080))).take(1).collect(),
        )
        .because(
            format!("{count} calls to port {port}, one every {}", interval_words(score.interval, Lang::En)),
            format!("ポート{port}へ{count}回、{}ごと", interval_words(score.interval, Lang::Ja)),
        )
        .because(
            format!(
                "Score {:.2}: intervals {:.2}, bytes {:.2}, duration {:.2}, evenness {:.2}",
                score.sum(),
                score.times,
                score.bytes,
                score.lasting,
                score.even
            ),
            format!(
                "スコア{:.2}（間隔{:.2}、送信量{:.2}、継続{:.2}、均等さ{:.2}）",
                score.sum(),
                score.times,
                score.bytes,
                score.lasting,
                score.even
            ),
        )
        .because_if(
            callers >= SHARED_BY,
            "Other machines call it in the same way: probably an update or monitoring service",
            "ほかの機器も同じ通信をしており、更新や監視のサービスと思われます",
        )
    }
}

fn interval_words(micros: i64, lang: Lang) -> String {
    if micros < 10 * SECOND {
        let seconds = micros as f64 / 1e6;
        return lang.pick(format!("{seconds:.1} s"), format!("{seconds:.1}秒"));
    }
    span(micros, lang)
}

/// How regular numbers are, by Bowley's skewness and the median deviation from the median; and their median.
fn regularity(numbers: &[f32]) -> Option<(f32, f32)> {
    if numbers.len() < 8 {
        return None;
    }
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at =
        |share: f32| sorted.get(((sorted.len() - 1) as f32 * share) as usize).copied().unwrap_or_default();
    let (low, median, high) = (at(0.25), at(0.5), at(0.75));
    let skew = if high - low < 1.0 { 0.0 } else { ((low + high - 2.0 * median) / (high - low)).abs() };
    let mut away: Vec<f32> = sorted.iter().map(|number| (number - median).abs()).collect();
    away.sort_by(f32::total_cmp);
    let deviation = away.get(away.len() / 2).copied().unwrap_or_default();
    let steady = (1.0 - deviation / median.max(1.0)).max(0.0);
    // Skewness of what hardly varies says nothing.
    let skewed = if steady > 0.95 { 0.0 } else { skew };
    Some(((1.0 - skewed + steady) / 2.0, median))
}

fn spread(sorted: &[i64]) -> [u32; BINS] {
    let mut bins = [0; BINS];
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return bins };
    let width = ((last - first) / BINS as i64).max(1);
    for at in sorted {
        let bin = usize::try_from((at - first) / width).unwrap_or(0).min(BINS - 1);
        bins[bin] += 1;
    }
    bins
}

/// One less the coefficient of variation.
fn evenness(bins: &[u32; BINS]) -> f32 {
    let mean = bins.iter().sum::<u32>() as f32 / BINS as f32;
    let variance = bins.iter().map(|count| (*count as f32 - mean).powi(2)).sum::<f32>() / BINS as f32;
    if mean == 0.0 { 0.0 } else { (1.0 - variance.sqrt() / mean).max(0.0) }
}
