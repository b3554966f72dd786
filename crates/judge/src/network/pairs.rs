//! Which machines inside work with which: learnt from what was answered, shown, and forgotten on demand.

use std::net::IpAddr;

use schema::{Micros, NetEvent, Sight};
use serde::{Deserialize, Serialize};

use super::rules::{LearntPair, Rules};
use super::table::Table;
use super::view::View;

const PAIRS_MAX: usize = 65_536;
const PORTS_MAX: usize = 65_536;
/// Clients that are counted for one server.
const CLIENTS_MAX: usize = 8;
const PEERS_MAX: usize = 512;

type Pair = (IpAddr, IpAddr, u16);

/// The learnt pairs, and who is called by many.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pairs {
    pairs: Table<Pair, Times>,
    /// Different clients of a server's port, as far as they are counted.
    clients: Table<(IpAddr, u16), Vec<IpAddr>>,
    /// How many servers a client was learnt to reach by a port.
    peers: Table<(IpAddr, u16), u16>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Times {
    first: Micros,
    last: Micros,
}

impl Pairs {
    pub(super) fn new(rules: &Rules) -> Self {
        let mut pairs = Self {
            pairs: Table::new(PAIRS_MAX),
            clients: Table::new(PORTS_MAX),
            peers: Table::new(PORTS_MAX),
        };
        for learnt in &rules.learnt {
            pairs.learn((learnt.client, learnt.server, learnt.port), learnt.first);
            pairs.learn((learnt.client, learnt.server, learnt.port), learnt.last);
        }
        pairs
    }

    /// See [`Table::warm`].
    #[inline]
    pub(crate) fn warm(&self, event: &NetEvent) {
        let (client, server) = (&event.contact.client, &event.contact.server);
        self.pairs.warm(&(client.address, server.address, server.port), |times| times.last.cast_unsigned());
    }

    /// Whether this contact is between a learnt pair.
    pub(crate) fn knows(&self, view: &View<'_>) -> bool {
        self.pairs.get(&(view.client(), view.server(), view.port())).is_some()
    }

    /// Learns an answered contact between two machines inside; whether it is new.
    pub(super) fn take(&mut self, view: &View<'_>) -> bool {
        if !view.is_east_west() || !matches!(view.sight(), Sight::Answered) {
            return false;
        }
        self.learn((view.client(), view.server(), view.port()), view.at())
    }

    fn learn(&mut self, pair: Pair, at: Micros) -> bool {
        let (times, is_new) = self.pairs.place(pair);
        if is_new {
            *times = Times { first: at, last: at };
        }
        times.first = times.first.min(at);
        times.last = times.last.max(at);
        if is_new {
            let clients = self.clients.slot((pair.1, pair.2));
            if clients.len() < CLIENTS_MAX && !clients.contains(&pair.0) {
                clients.push(pair.0);
            }
            let peers = self.peers.slot((pair.0, pair.2));
            *peers = peers.saturating_add(1).min(PEERS_MAX as u16);
        }
        is_new
    }

    /// How many different clients this server has on this port, up to eight.
    pub(crate) fn clients_of(&self, server: IpAddr, port: u16) -> usize {
        self.clients.get(&(server, port)).map_or(0, Vec::len)
    }

    /// How many servers this client is known to reach by this port.
    pub(crate) fn peers_of(&self, client: IpAddr, port: u16) -> usize {
        self.peers.get(&(client, port)).map_or(0, |peers| usize::from(*peers))
    }

    pub(super) fn learnt(&self) -> Vec<LearntPair> {
        let row = |(&(client, server, port), times): (&Pair, &Times)| LearntPair {
            client,
            server,
            port,
            first: times.first,
            last: times.last,
        };
        self.pairs.sorted().into_iter().map(row).collect()
    }

    pub(super) fn forget(&mut self, which: Option<Pair>) {
        let Some(pair) = which else {
            self.pairs.clear();
            self.clients.clear();
            self.peers.clear();
            return;
        };
        if self.pairs.remove(&pair).is_some() {
            self.clients.slot((pair.1, pair.2)).retain(|client| *client != pair.0);
            let peers = self.peers.slot((pair.0, pair.2));
            *peers = peers.saturating_sub(1);
        }
    }

    pub(super) fn evicted(&self) -> u64 {
        self.pairs.evicted()
    }
}
