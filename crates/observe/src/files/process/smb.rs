//! Who is behind a process of Samba's server.
//!
//! smbd forks one process for each connection; all clients' files are opened by such children. The address is taken from the
//! kernel's table of connections and the user from the thread that waits: both are there at once, while `smbstatus` takes 30 to
//! 100 ms (measured) and an open would have to wait for it. `smbstatus` is asked in the background, only for the names that people
//! read.
//!
//! A client is its address and its user: it stays the same actor when it connects anew, and forty people on one terminal server,
//! who share one connection, stay forty.

mod connection;
mod names;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

pub use connection::{Connection, Servers, serves_all};
pub use names::ClientName;

use super::{Actor, Stat};
use names::Names;

const CLIENTS_MAX: usize = 4096;

/// Where Samba's own tool and configuration are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samba {
    /// The program that lists sessions.
    pub smbstatus: PathBuf,
    /// Its configuration, where it is not the default one.
    pub configuration: Option<PathBuf>,
}

impl Default for Samba {
    fn default() -> Self {
        Self { smbstatus: "smbstatus".into(), configuration: None }
    }
}

/// Somebody who works over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Client {
    /// Where it works.
    pub address: IpAddr,
    /// The user of this machine that the server acts as for it.
    pub uid: u32,
}

/// The clients that were seen, and the actors that stand for them.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// Each connection's address, by process and start: looked up once.
    connections: HashMap<(i32, u64), IpAddr>,
    actors: HashMap<Client, Actor>,
    clients: HashMap<Actor, Client>,
    names: Names,
    last: i32,
}

impl Clients {
    pub(super) fn new(samba: Samba) -> Self {
        Self { names: Names::new(samba), ..Self::default() }
    }

    /// The actor behind a process of the server that acts as user `uid` now; `None` when it serves nobody.
    pub(super) fn actor(&mut self, process: &Stat, uid: u32) -> Option<Actor> {
        let key = (process.pid, process.start_ticks);
        let address = match self.connections.get(&key) {
            Some(address) => *address,
            None => {
                let address = connection::of(process)?.address;
                if self.connections.len() >= CLIENTS_MAX {
                    self.connections.clear();
                }
                self.connections.insert(key, address);
                self.names.ask();
                address
            }
        };
        let client = Client { address, uid };
        if let Some(actor) = self.actors.get(&client) {
            return Some(*actor);
        }
        if self.actors.len() >= CLIENTS_MAX {
            self.actors.clear();
            self.clients.clear();
        }
        // No process has a negative id: numbers of clients and of processes never meet.
        self.last -= 1;
        let actor = Actor { pid: self.last, start_ticks: 0 };
        self.actors.insert(client, actor);
        self.clients.insert(actor, client);
        Some(actor)
    }

    pub(super) fn client(&self, actor: Actor) -> Option<Client> {
        self.clients.get(&actor).copied()
    }

    /// Its names, as far as `smbstatus` has told them.
    pub(super) fn name(&self, client: Client) -> Option<ClientName> {
        self.names.of(client)
    }
}

/// Whether a process is called like Samba's server: the listening one, its children and its helpers.
pub(super) fn is_server(command: &str) -> bool {
    command == "smbd" || command.starts_with("smbd[") || command.starts_with("smbd:")
}
