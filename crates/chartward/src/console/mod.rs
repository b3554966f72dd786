//! The web console: server-rendered pages, one small script, no other host.
//!
//! A request goes one way: a seat among the bounded connections, TLS, the route of the one table ([`pages`],
//! [`api`]), the name of the host, the body's bound, then on a thread for blocking work the session, the
//! permission, the form's token, the ledger, and last the page. A new page is a file and a line.

mod api;
mod assets;
mod dispatch;
mod form;
mod gate;
mod icon;
mod layout;
mod live;
pub(crate) mod logon_graph;
mod pages;
mod parts;
mod plot;
mod reply;
mod route;
mod server;
#[cfg(test)]
mod tests;
mod visit;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::sync::{Semaphore, watch};

use crate::access::Access;
use crate::hub::Hub;

pub(crate) use server::{Serving, serve};

/// Where and how the console is served.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The names and addresses under which browsers reach it. Requests for any other are refused, so that a
    /// foreign page cannot reach in by pointing its own name here (DNS rebinding).
    pub(crate) names: Vec<String>,
    /// Whether it speaks TLS; without it only a proxy on this machine should reach it.
    pub(crate) tls: bool,
    /// The state folder: certificate, ledger and reports lie below it.
    pub(crate) state_dir: PathBuf,
    /// Where mail goes that is released from the quarantine.
    pub(crate) release_to: String,
    /// Where the mail policy lies, if not beside the quarantine.
    pub(crate) weighing: Option<PathBuf>,
    /// What the notice about mails needs.
    pub(crate) training: crate::wiring::mail::training::Training,
    /// The hospital's local time.
    pub(crate) zone: TimeZone,
    /// What the configuration says, for the pages that show it.
    pub(crate) shows: Shows,
}

/// What pages show of the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shows {
    /// The hospital's name.
    pub(crate) hospital: String,
    /// What is protected.
    pub(crate) protects: Vec<Protect>,
    /// Addresses, networks and names that nothing is ever done to.
    pub(crate) never_touch: Vec<String>,
    /// Name and kind of each channel for notices.
    pub(crate) channels: Vec<(String, String)>,
    /// The packet filter's policy; `None`: it cannot be told.
    pub(crate) wall: Option<crate::wiring::wall::Site>,
}

/// Something that is protected, with the jobs that do it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Protect {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// Its folders or share.
    pub(crate) what: Vec<String>,
    /// Name of each job that backs it up or drills it, with when it runs in words.
    pub(crate) jobs: Vec<(String, String)>,
}

/// Everything that answers come from.
pub(crate) struct Console {
    settings: Settings,
    hub: Hub,
    access: Access,
    ledger: Arc<prove::Ledger>,
    /// Becomes true when live streams have to end.
    closed: watch::Receiver<bool>,
    live: Arc<Semaphore>,
}
