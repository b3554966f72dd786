//! The two ways to a share: a session of our own with its server, or a folder where it is mounted.

use std::net::IpAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, Listed, Read};
use super::mounted::Mounted;
use super::{Account, ShareName};
use crate::Error;

/// Where a share is reached.
#[derive(Debug, Clone)]
pub enum Place {
    /// On its server.
    Session {
        /// Which share.
        name: ShareName,
        /// TCP port.
        port: u16,
        /// As whom.
        account: Account,
    },
    /// Mounted here.
    Mounted {
        /// The folder.
        dir: PathBuf,
        /// The server's address, where the mount table does not tell it.
        address: Option<IpAddr>,
    },
}

impl Place {
    /// The share as people name it.
    pub fn name(&self) -> String {
        match self {
            Place::Session { name, .. } => name.to_string(),
            Place::Mounted { dir, .. } => dir.display().to_string(),
        }
    }

    /// Connects, or looks at the folder for the first time.
    pub fn view(&self) -> Result<View, Error> {
        match self {
            Place::Session { name, port, account } => {
                Client::connect(name, *port, account).map(|client| View::Session(Box::new(client)))
            }
            Place::Mounted { dir, address } => Mounted::open(dir, *address).map(View::Mounted),
        }
    }
}

/// A share that can be looked at.
pub enum View {
    /// Over a session of our own.
    Session(Box<Client>),
    /// Through the kernel's.
    Mounted(Mounted),
}

impl View {
    /// The server's name, where it is known.
    pub fn server(&self) -> Option<String> {
        match self {
            View::Session(client) => Some(client.name().server.clone()),
            View::Mounted(mounted) => mounted.source().server.clone(),
        }
    }

    /// The server's address, where it is known: what can be cut off.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            View::Session(client) => client.address(),
            View::Mounted(mounted) => mounted.source().address,
        }
    }

    /// Waits; a session's own work goes on meanwhile.
    pub fn rest(&self, time: Duration) {
        match self {
            View::Session(client) => client.rest(time),
            View::Mounted(_) => thread::sleep(time),
        }
    }

    pub(super) fn list(
        &self,
        folders: Vec<String>,
        entries_max: usize,
        take: &mut dyn FnMut(Listed) -> Vec<String>,
        deadline: Instant,
    ) -> Vec<String> {
        match self {
            View::Session(client) => client.list(folders, entries_max, take, deadline),
            View::Mounted(mounted) => mounted.list(folders, entries_max, take, deadline),
        }
    }

    pub(super) fn samples(&self, paths: Vec<(usize, String)>, deadline: Instant) -> Vec<(usize, Read)> {
        match self {
            View::Session(client) => client.samples(paths, deadline),
            View::Mounted(mounted) => mounted.samples(paths, deadline),
        }
    }
}
