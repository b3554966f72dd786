//! `scan.fanout`: one machine inside reaches several others that it never reached before, by the ports that attackers spread through.
//!
//! A scan that succeeds looks like work, so this asks who is new to whom: pairs that were learnt do not count, nor does a file
//! server that many clients use. Windows itself reaches for file shares and printers on port 445 when it starts; while nothing
//! is learnt about a client, a new peer by that port alone counts half.

use std::net::IpAddr;

use schema::{Attack, Lang, Severity, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::pairs::Pairs;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack, listed};
use crate::network::view::{DAY, HOUR, MINUTE, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "scan.fanout",
    title: "A machine reaches several others for the first time",
    title_ja: "1台の機器が、これまで通信のなかった複数の機器に接続している",
    attacks,
    make: Detector::Network(Detectors::new),
};

const SOURCES_MAX: usize = 16_384;
const KEPT: usize = 64;
const WITHIN: i64 = 10 * MINUTE;
/// A port of a server that so many clients use is a service for everybody.
const SHARED_BY: usize = 5;
/// Of a client that is known to reach many, so large a part has to be new.
const NEW_SHARE: usize = 5;

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1021", "Remote Services", Tactic::LateralMovement),
        attack("T1018", "Remote System Discovery", Tactic::Discovery),
    ]
}

/// New peers of machines.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fans {
    sources: Table<IpAddr, Fan>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Fan {
    since: i64,
    peers: Vec<Peer>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Peer {
    server: IpAddr,
    port: u16,
    /// Doubled: 1 counts half.
    weight: u8,
    at: i64,
    packet: u64,
}

impl Default for Fans {
    fn default() -> Self {
        Self { sources: Table::new(SOURCES_MAX) }
    }
}

impl Fans {
    pub(crate) fn evicted(&self) -> u64 {
        self.sources.evicted()
    }

    /// Takes in an answered contact between a pair that was not known before this event.
    pub(crate) fn take_new(&mut self, view: &View<'_>, pairs: &Pairs, tell: &mut Tell<'_>) {
        let (client, server, port) = (view.client(), view.server(), view.port());
        if !matches!(port, 22 | 135 | 445 | 3389 | 5985 | 5986) || client == server {
            return;
        }
        if view.rules.is_scanner(client) || view.rules.is_manager(client) {
            return;
        }
        let for_everybody = matches!(port, 135 | 445);
        if for_everybody && pairs.clients_of(server, port) >= SHARED_BY {
            return;
        }
        let fan = self.sources.slot(client);
        if fan.since == 0 {
            fan.since = view.at();
        }
        let is_learnt = !view.rules.learnt.is_empty() || view.at() - fan.since > DAY;
        let weight = if port == 445 && !is_learnt { 1 } else { 2 };
        fan.peers.retain(|peer| view.at().saturating_sub(peer.at).saturating_abs() <= WITHIN);
        if fan.peers.len() >= KEPT {
            fan.peers.remove(0);
        }
        fan.peers.push(Peer { server, port, weight, at: view.at(), packet: view.event.packet });
        if view.rules.learning_until.is_none_or(|until| view.at() >= until) {
            fan.weigh(view, pairs, tell);
        }
    }
}

impl Fan {
    fn weigh(&self, view: &View<'_>, pairs: &Pairs, tell: &mut Tell<'_>) {
        let servers = self.servers();
        let weight: u32 = servers.iter().map(|server| u32::from(self.weight_of(*server))).sum();
        let known = pairs.peers_of(view.client(), view.port()).saturating_sub(servers.len());
        let many = view.rules.thresholds.fanout_peers.max((known / NEW_SHARE) as u32);
        if weight < 2 * many {
            return;
        }
        let mut trail = Trail::default();
        for peer in &self.peers {
            trail.add_at(peer.at, peer.packet);
        }
        let severity = if servers.len() >= 10 { Severity::High } else { Severity::Medium };
        let saying = Saying::new(&ENTRY, view.client(), None, trail)
            .severity(severity)
            .size(servers.len() as u64)
            .pause(HOUR);
        tell.say(saying, || {
            let (client, count) = (view.client(), servers.len());
            let mut ports: Vec<u16> = self.peers.iter().map(|peer| peer.port).collect();
            ports.sort_unstable();
            ports.dedup();
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            Words::new(
                [
                    format!("{client} reaches {count} machines for the first time"),
                    format!("{client} が、これまで通信のなかった{count}台の機器に接続しました"),
                ],
                attacks(),
            )
            .because(
                format!("New within ten minutes: {}; ports {}", listed(&servers, Lang::En), ports.join(", ")),
                format!("10分以内の新しい相手: {}。ポート: {}", listed(&servers, Lang::Ja), ports.join("、")),
            )
            .because(
                "These ports are for remote access and administration; from now on the pairs count as known"
                    .into(),
                "いずれも遠隔操作・管理用のポートです。以後、この組み合わせは既知として扱います".into(),
            )
            .targets(servers.clone())
        });
    }

    fn servers(&self) -> Vec<IpAddr> {
        let mut servers: Vec<IpAddr> = self.peers.iter().map(|peer| peer.server).collect();
        servers.sort_unstable();
        servers.dedup();
        servers
    }

    fn weight_of(&self, server: IpAddr) -> u8 {
        let of = self.peers.iter().filter(|peer| peer.server == server);
        of.map(|peer| peer.weight).max().unwrap_or_default()
    }
}
