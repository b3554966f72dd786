//! What is known of flows and services while they last: what a server speaks, whether a direction was guessed, sums told before.

use schema::{Endpoint, FlowEnd, NetEvent, Service, Sight, Transport};
use serde::{Deserialize, Serialize};

use super::table::Table;
use super::view::View;

const SERVERS_MAX: usize = 16_384;
const FLOWS_MAX: usize = 32_768;

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spoken {
    servers: Table<Endpoint, u32>,
    /// Flows of TCP whose direction was guessed from their ports; all of UDP is.
    guessed: Table<u64, ()>,
    /// Payload of long flows as far as it was told.
    sums: Table<u64, [u64; 2]>,
}

impl Default for Spoken {
    fn default() -> Self {
        Self { servers: Table::new(SERVERS_MAX), guessed: Table::new(FLOWS_MAX), sums: Table::new(FLOWS_MAX) }
    }
}

impl Spoken {
    pub(super) fn evicted(&self) -> u64 {
        self.servers.evicted() + self.sums.evicted()
    }

    /// See [`Table::warm`].
    #[inline]
    pub(crate) fn warm(&self, event: &NetEvent) {
        self.servers.warm(&event.contact.server, |services| u64::from(*services));
    }

    /// Takes in an event, before any detector does. Of a flow's sums, says what is new in them.
    pub(super) fn take(&mut self, view: &View<'_>) -> Option<[u64; 2]> {
        match view.sight() {
            Sight::Opened { sure: false, .. } if view.event.contact.transport == Transport::Tcp => {
                self.guessed.insert(view.event.flow, ());
            }
            Sight::Speaks { service } => {
                *self.servers.slot(view.event.contact.server) |= 1 << (*service as u32);
            }
            Sight::Rdp(_) => {
                *self.servers.slot(view.event.contact.server) |= 1 << (Service::Rdp as u32);
            }
            Sight::Traffic { traffic, end } => {
                let flow = view.event.flow;
                let told = self.sums.get(&flow).copied().unwrap_or_default();
                if *end == FlowEnd::Going {
                    self.sums.insert(flow, traffic.payload);
                } else {
                    self.sums.remove(&flow);
                }
                return Some([0, 1].map(|side: usize| traffic.payload[side].saturating_sub(told[side])));
            }
            _ => {}
        }
        None
    }

    pub(super) fn is_guessed(&self, flow: u64) -> bool {
        self.guessed.get(&flow).is_some()
    }

    /// What this server was heard to speak.
    pub(super) fn heard(&self, view: &View<'_>) -> Heard {
        Heard { services: self.servers.get(&view.event.contact.server).copied(), port: view.port() }
    }
}

/// What a server speaks, one bit for each service, as far as anything was heard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    services: Option<u32>,
    port: u16,
}

impl Heard {
    /// Whether it was heard to speak it, or where nothing was heard, whether it has its usual port.
    pub(super) fn speaks(self, service: Service, port: u16) -> bool {
        match self.services {
            Some(services) => services & (1 << (service as u32)) != 0,
            None => self.port == port,
        }
    }
}
