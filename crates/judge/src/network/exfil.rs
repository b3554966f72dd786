//! `exfil.volume`: a machine sends more to a new address outside than it ever sent to any.
//!
//! More than its own 99.9th percentile of what it sends to one address in a day, more than a floor, and mostly in one direction: who
//! fetches or confers receives as well. An address it has sent to for a week is no longer new.

use std::net::IpAddr;

use schema::{Attack, NetEvent, Severity, Sight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{DAY, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "exfil.volume",
    title: "Unusually much is sent to a new address outside",
    title_ja: "新しい外部の宛先に、通常より多くのデータが送られている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const PEERS_MAX: usize = 32_768;
const HOSTS_MAX: usize = 8192;
const NEW_FOR: i64 = 7 * DAY;
const GIGABYTE: u64 = 1 << 30;

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1048", "Exfiltration Over Alternative Protocol", Tactic::Exfiltration),
        attack("T1567", "Exfiltration Over Web Service", Tactic::Exfiltration),
    ]
}

/// What left, by machine and address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sent {
    peers: Table<(IpAddr, IpAddr), Peer>,
    hosts: Table<IpAddr, Habit>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Peer {
    since: i64,
    day: i64,
    out: u64,
    back: u64,
    trail: Trail,
}

/// How much a machine usually sends to one address in a day: counts of powers of two.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Habit {
    counts: Vec<u32>,
}

impl Default for Sent {
    fn default() -> Self {
        Self { peers: Table::new(PEERS_MAX), hosts: Table::new(HOSTS_MAX) }
    }
}

impl Sent {
    pub(crate) fn evicted(&self) -> u64 {
        self.peers.evicted() + self.hosts.evicted()
    }

    /// See [`Table::warm`].
    #[inline]
    pub(crate) fn warm(&self, event: &NetEvent) {
        let (client, server) = (event.contact.client.address, event.contact.server.address);
        self.peers.warm(&(client, server), |peer| peer.out);
    }

    /// Takes in the sums of flows that leave the hospital.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let (Sight::Traffic { .. }, Some(fresh)) = (view.sight(), view.fresh) else { return };
        let (host, outside, out, back) = match (view.client_inside, view.server_inside) {
            (true, false) => (view.client(), view.server(), fresh[0], fresh[1]),
            (false, true) => (view.server(), view.client(), fresh[1], fresh[0]),
            _ => return,
        };
        if out == 0 && back == 0 {
            return;
        }
        let day = view.at().div_euclid(DAY);
        let habit = self.hosts.slot(host);
        let peer = self.peers.slot((host, outside));
        if peer.since == 0 {
            peer.since = view.at();
        }
        if peer.day != day {
            habit.learn(peer.out);
            *peer = Peer { since: peer.since, day, ..Peer::default() };
        }
        peer.out = peer.out.saturating_add(out);
        peer.back = peer.back.saturating_add(back);
        peer.trail.add(view.event);
        if view.at() - peer.since > NEW_FOR || agreed(view, host, outside) {
            return;
        }
        // Asked for first: what is usual takes longer to say.
        if peer.out <= view.rules.thresholds.exfil_floor_bytes || peer.out <= 2 * peer.back {
            return;
        }
        let usual = habit.usual();
        if peer.out > usual {
            peer.tell(host, outside, usual, view, tell);
        }
    }
}

/// A contract with that address says how much may leave.
fn agreed(view: &View<'_>, host: IpAddr, outside: IpAddr) -> bool {
    view.rules
        .contracts
        .iter()
        .any(|contract| contract.has_peer(outside) && contract.hosts.iter().any(|net| net.contains(&host)))
}

impl Habit {
    fn learn(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.counts.resize(64, 0);
        let place = 63 - bytes.leading_zeros() as usize;
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    /// The 99.9th percentile, rounded up to a power of two.
    fn usual(&self) -> u64 {
        let all: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        let mut left = all / 1000;
        for (power, count) in self.counts.iter().enumerate().rev() {
            if u64::from(*count) > left {
                return 1_u64.checked_shl(power as u32 + 1).unwrap_or(u64::MAX);
            }
            left -= u64::from(*count);
        }
        0
    }
}

impl Peer {
    fn tell(&self, host: IpAddr, outside: IpAddr, usual: u64, view: &View<'_>, tell: &mut Tell<'_>) {
        let severity = if self.out >= GIGABYTE { Severity::High } else { Severity::Medium };
        let saying =
            Saying::new(&ENTRY, host, Some(outside), self.trail).severity(severity).size(self.out).pause(DAY);
        tell.say(saying, || {
            let megabytes = |bytes: u64| bytes >> 20;
            let web = matches!(view.port(), 80 | 443);
            let (out, back) = (megabytes(self.out), megabytes(self.back));
            Words::new(
                [
                    format!("{host} sent {out} MiB to {outside}, a new address outside"),
                    format!("{host} が新しい外部の宛先 {outside} に{out} MiBを送信しました"),
                ],
                attacks().into_iter().skip(usize::from(web)).take(1).collect(),
            )
            .because(
                format!("{out} MiB out and {back} MiB back on one day, in {} flow reports", self.trail.count),
                format!("1日の送信{out} MiB、受信{back} MiB（フロー記録{}件）", self.trail.count),
            )
            .because(
                match usual {
                    0 => "Nothing is known yet of what it usually sends".into(),
                    _ => format!("It usually sends at most {} MiB a day to one address", megabytes(usual)),
                },
                match usual {
                    0 => "この機器の通常の送信量はまだ分かっていません".into(),
                    _ => format!("通常、1つの宛先への送信は1日最大{} MiBです", megabytes(usual)),
                },
            )
        });
    }
}
