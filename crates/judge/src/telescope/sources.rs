use std::collections::BTreeMap;
use std::net::IpAddr;

use schema::Micros;
use schema::telescope::Target;

use super::day::{SourceRow, Sources};

/// Rows of a day: address and port. Letters are written about those that came again, not about ten million forged ones.
const ROWS_MAX: usize = 65_536;

/// What one address did at one port within a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its first packet.
    pub first: Micros,
    /// Its last packet.
    pub last: Micros,
    /// Packets.
    pub packets: u64,
}

/// The addresses of a day, for letters to their owners. Bounded: when it is full, those that came once make room; when that does not
/// help, new ones are only counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    rows: hashbrown::HashMap<(IpAddr, Target), Listed, foldhash::fast::FixedState>,
    is_closed: bool,
    unlisted: u64,
}

impl Table {
    pub(super) fn add(&mut self, source: IpAddr, target: Target, at: Micros) {
        if let Some(row) = self.rows.get_mut(&(source, target)) {
            row.first = row.first.min(at);
            row.last = row.last.max(at);
            row.packets += 1;
            return;
        }
        if self.rows.len() >= ROWS_MAX && !self.is_closed {
            let before = self.unlisted;
            self.rows.retain(|_, row| row.packets > 1);
            self.unlisted = before + (ROWS_MAX - self.rows.len()) as u64;
            // Else the next flood would sweep again at every packet.
            self.is_closed = self.rows.len() > ROWS_MAX / 4 * 3;
        }
        if self.rows.len() >= ROWS_MAX || self.is_closed {
            self.unlisted += 1;
            return;
        }
        self.rows.insert((source, target), Listed { first: at, last: at, packets: 1 });
    }

    pub(super) fn into_sources(self) -> Sources {
        let rows: BTreeMap<(IpAddr, Target), Listed> = self.rows.into_iter().collect();
        let row = |((source, target), it): ((IpAddr, Target), Listed)| SourceRow {
            source,
            target,
            first: it.first,
            last: it.last,
            packets: it.packets,
        };
        Sources { rows: rows.into_iter().map(row).collect(), unlisted: self.unlisted }
    }
}
