use std::collections::BTreeMap;
use std::net::IpAddr;

use schema::telescope::Target;
use schema::{Micros, SystemVersion};
use serde::{Deserialize, Serialize};

use super::hour::{Hour, Key, Tally};

/// A day (UTC) of one sensor: what is kept. Counts are kept for years, addresses only as long as letters are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970.
    pub number: i64,
    /// The sensor's name.
    pub sensor: String,
    /// Hours, 0 to 23.
    pub hours: BTreeMap<u8, Hour>,
    /// Who scanned.
    pub sources: Sources,
    /// What sources told the responder.
    pub confirmed: Vec<Confirmed>,
}

/// The scanning addresses of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// In order of address and port.
    pub rows: Vec<SourceRow>,
    /// Packets of addresses that were too many to be listed.
    pub unlisted: u64,
}

/// What one address did at one port within a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRow {
    /// The address.
    pub source: IpAddr,
    /// What it reached for.
    #[serde(flatten)]
    pub target: Target,
    /// Its first packet.
    pub first: Micros,
    /// Its last packet.
    pub last: Micros,
    /// Packets.
    pub packets: u64,
}

/// What a source said of its own system. A client's word: a liar says what he likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Confirmed {
    /// Who said it.
    pub source: IpAddr,
    /// To which port.
    pub port: u16,
    /// What it said.
    pub version: SystemVersion,
    /// When, for the first time that day.
    pub at: Micros,
}

/// Conversations of a day that are kept.
const CONFIRMED_MAX: usize = 20_000;
/// Rows of a day that are kept.
const ROWS_MAX: usize = 131_072;
/// Packets of one line: more than any line of the Internet carries in an hour, and so few that sums over years stay numbers. Files come from
/// other machines.
const COUNT_MAX: u64 = 1 << 38;

impl Day {
    /// A day of which nothing is known.
    pub fn new(number: i64, sensor: &str) -> Day {
        Day { number, sensor: sensor.to_owned(), ..Day::default() }
    }

    /// Takes in another part of the same day.
    pub fn merge(&mut self, other: Day) {
        for (hour, it) in other.hours {
            self.hours.entry(hour).or_default().merge(&it);
        }
        self.sources.merge(other.sources);
        let mut confirmed: BTreeMap<(IpAddr, u16, SystemVersion), Micros> = BTreeMap::new();
        for it in self.confirmed.drain(..).chain(other.confirmed) {
            let at = confirmed.entry((it.source, it.port, it.version)).or_insert(it.at);
            *at = it.at.min(*at);
        }
        let back = |((source, port, version), at)| Confirmed { source, port, version, at };
        self.confirmed = confirmed.into_iter().take(CONFIRMED_MAX).map(back).collect();
    }

    /// Removes the addresses; the counts stay.
    pub fn forget_addresses(&mut self) {
        self.sources.rows.clear();
    }

    /// The day as records, one for each line of its file.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let hours = self.hours.iter().flat_map(|(hour, it)| {
            let head = Record::Hour {
                hour: *hour,
                observed_seconds: it.observed_seconds,
                folded: it.folded,
                lost: it.lost,
            };
            let tallies = it.tallies.iter().map(|(key, tally)| Record::Count {
                hour: *hour,
                key: *key,
                tally: tally.clone(),
            });
            std::iter::once(head).chain(tallies)
        });
        let sources = self.sources.rows.iter().map(|row| Record::Source { row: *row });
        let unlisted = Some(self.sources.unlisted).filter(|count| *count > 0);
        let confirmed = self.confirmed.iter().map(|it| Record::Confirmed { it: *it });
        hours.chain(sources).chain(unlisted.map(|packets| Record::Unlisted { packets })).chain(confirmed)
    }

    /// Takes in one record; `false` when it contradicts the form (an hour that no day has, more than a day may hold).
    pub fn take(&mut self, record: Record) -> bool {
        match record {
            Record::Hour { hour, observed_seconds, folded, lost }
                if hour < 24 && observed_seconds.max(folded).max(lost) <= COUNT_MAX =>
            {
                let it = self.hours.entry(hour).or_default();
                it.observed_seconds = it.observed_seconds.saturating_add(observed_seconds);
                it.folded = it.folded.saturating_add(folded);
                it.lost = it.lost.saturating_add(lost);
            }
            Record::Count { hour, key, tally } if hour < 24 && tally.packets <= COUNT_MAX => {
                let it = self.hours.entry(hour).or_default();
                if it.tallies.len() >= 2 * super::hour::KEYS_MAX {
                    return false;
                }
                it.tallies.entry(key).or_default().merge(&tally);
            }
            Record::Source { row } if self.sources.rows.len() < ROWS_MAX && row.packets <= COUNT_MAX => {
                self.sources.rows.push(row);
            }
            Record::Unlisted { packets } if packets <= COUNT_MAX => {
                self.sources.unlisted = self.sources.unlisted.saturating_add(packets);
            }
            Record::Confirmed { it } if self.confirmed.len() < CONFIRMED_MAX => self.confirmed.push(it),
            _ => return false,
        }
        true
    }
}

impl Sources {
    fn merge(&mut self, other: Sources) {
        let mut rows: BTreeMap<(IpAddr, Target), SourceRow> = BTreeMap::new();
        for row in self.rows.drain(..).chain(other.rows) {
            let it = rows.entry((row.source, row.target)).or_insert(SourceRow { packets: 0, ..row });
            it.first = it.first.min(row.first);
            it.last = it.last.max(row.last);
            it.packets = it.packets.saturating_add(row.packets);
        }
        self.unlisted = self.unlisted.saturating_add(other.unlisted);
        let over = rows.len().saturating_sub(ROWS_MAX);
        self.unlisted += over as u64;
        self.rows = rows.into_values().take(ROWS_MAX).collect();
    }
}

/// A line of a day's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "r", rename_all = "snake_case")]
pub enum Record {
    /// An hour.
    Hour {
        /// 0 to 23.
        hour: u8,
        /// See [`Hour`].
        observed_seconds: u64,
        /// See [`Hour`].
        #[serde(default, skip_serializing_if = "is_zero")]
        folded: u64,
        /// See [`Hour`].
        #[serde(default, skip_serializing_if = "is_zero")]
        lost: u64,
    },
    /// What was counted in it.
    Count {
        /// 0 to 23.
        hour: u8,
        /// Of what.
        #[serde(flatten)]
        key: Key,
        /// How much.
        #[serde(flatten)]
        tally: Tally,
    },
    /// A source.
    Source {
        /// It.
        #[serde(flatten)]
        row: SourceRow,
    },
    /// Sources that were too many.
    Unlisted {
        /// Their packets.
        packets: u64,
    },
    /// What a source said of itself.
    Confirmed {
        /// It.
        #[serde(flatten)]
        it: Confirmed,
    },
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
