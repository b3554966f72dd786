//! `scan.flood`: connections from forged addresses overrun a server. No scan, and told only where the server is the hospital's.

use std::net::IpAddr;

use schema::{Attack, Severity, Sight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{MINUTE, Trail, View, number_of};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "scan.flood",
    title: "A server is flooded with connections from forged addresses",
    title_ja: "送信元を偽った接続要求がサーバーに大量に届いている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const TARGETS_MAX: usize = 4096;
/// In one minute: so many connections, from so many addresses, of which so few were answered.
const MANY: u64 = 1_000;
const SOURCES_MANY: u32 = 400;
const ANSWERED_SHARE: u64 = 5;
/// Bits of the count of sources; with 400 sources a third of them are set.
const BITS: u64 = 1024;

fn attacks() -> Vec<Attack> {
    vec![attack("T1498.001", "Network Denial of Service: Direct Network Flood", Tactic::Impact)]
}

/// Who is overrun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Floods {
    targets: Table<(IpAddr, u16), Minute>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Minute {
    trail: Trail,
    answered: u64,
    /// Linear counting of sources.
    bits: Box<[u64]>,
}

impl Default for Floods {
    fn default() -> Self {
        Self { targets: Table::new(TARGETS_MAX) }
    }
}

impl Floods {
    pub(crate) fn evicted(&self) -> u64 {
        self.targets.evicted()
    }

    /// Takes in connections from outside.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        if !view.is_tcp() || view.client_inside || !view.server_inside {
            return;
        }
        let key = (view.server(), view.port());
        match view.sight() {
            Sight::Opened { .. } => {
                let minute = self.targets.slot(key);
                minute.count(view);
                minute.weigh(view, tell);
            }
            Sight::Answered => {
                if let Some(minute) = self.targets.get_mut(&key) {
                    minute.answered += 1;
                }
            }
            _ => {}
        }
    }
}

impl Minute {
    fn count(&mut self, view: &View<'_>) {
        if self.bits.is_empty() || view.at().saturating_sub(self.trail.first).saturating_abs() > MINUTE {
            *self = Self { bits: vec![0; (BITS / 64) as usize].into_boxed_slice(), ..Self::default() };
        }
        self.trail.add(view.event);
        let bit = (number_of(view.client()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % BITS;
        if let Some(word) = self.bits.get_mut((bit / 64) as usize) {
            *word |= 1 << (bit % 64);
        }
    }

    /// Estimate of different sources: Whang, Vander-Zanden and Taylor 1990.
    fn sources(&self) -> u32 {
        let set: u32 = self.bits.iter().map(|word| word.count_ones()).sum();
        let free = (BITS as f64 - f64::from(set)).max(1.0);
        (-(BITS as f64) * (free / BITS as f64).ln()) as u32
    }

    fn weigh(&self, view: &View<'_>, tell: &mut Tell<'_>) {
        let many = self.trail.count;
        // Looked at now and then: the estimate costs more than the count.
        if many < MANY || !many.is_multiple_of(500) || self.answered * ANSWERED_SHARE > many {
            return;
        }
        let sources = self.sources();
        if sources < SOURCES_MANY {
            return;
        }
        let (server, port, answered) = (view.server(), view.port(), self.answered);
        // The addresses are forged, so the target alone tells one flood from another.
        let saying = Saying::new(&ENTRY, server, None, self.trail)
            .victim()
            .about(u64::from(port))
            .severity(Severity::Medium);
        tell.say(saying, || {
            Words::new(
                [
                    format!("{server} is flooded with connections to port {port}"),
                    format!("{server} のポート{port}に大量の接続要求が届いています"),
                ],
                attacks(),
            )
            .because(
                format!(
                    "{many} connections within a minute from about {sources} addresses, {answered} answered"
                ),
                format!("1分以内に約{sources}件の送信元から{many}件、応答したのは{answered}件"),
            )
            .because(
                "So many different sources are mostly forged: blocking them one by one does not help".into(),
                "これほど多くの送信元は大半が偽装です。個別に遮断しても効果はありません".into(),
            )
        });
    }
}
