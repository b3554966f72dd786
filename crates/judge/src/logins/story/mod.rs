//! Who logged in where: a graph of accounts and machines, its order for triage, the ways through it, and its drawing.
//!
//! It orders and shows; nothing is ever blocked because of it.

mod layout;
mod path;
mod picture;
mod rank;
#[cfg(test)]
mod tests;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use schema::{AuthEvent, AuthOutcome, AuthProtocol, Micros};
use serde::{Deserialize, Serialize};

use super::rules::Rules;
use super::view::{Key, Source, View, joined, kept, key_of_address};
use crate::table::Table;
pub use layout::{Drawing, Line, Place};
pub use path::{Start, Step, walk};
pub use picture::{Edge, Picture};
pub use rank::{Ranked, ranks};
pub use timeline::{Moment, Timeline, Who};

const LINKS_MAX: usize = 32_768;
const ALIASES_MAX: usize = 8192;
/// Times kept of the log-ons of one link: the first ones, and the last.
const TIMES_MAX: usize = 16;

/// Somebody or something that logs in or is logged in to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Node {
    /// An account.
    Account(Box<str>),
    /// A machine, by its name, or by its address where no log tells its name.
    Machine(Box<str>),
}

impl Node {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Node::Account(name) | Node::Machine(name) => name,
        }
    }
}

/// What one account did from one source at one host by one protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The account, where the log tells it.
    pub account: Option<Box<str>>,
    /// Where it came from, where the log tells it.
    pub source: Option<Source>,
    /// The machine that was logged in to; empty where the log does not tell it.
    pub host: Box<str>,
    /// How.
    pub protocol: AuthProtocol,
    /// From an address that is not the hospital's.
    pub outside: bool,
    /// Connections of which no more is known.
    pub reached: u64,
    /// Refusals.
    pub failed: u64,
    /// Log-ons.
    pub succeeded: u64,
    /// The first of all.
    pub first: Micros,
    /// The last of all.
    pub last: Micros,
    /// When somebody got in, in order: the first times, and the last one.
    pub entries: Vec<Micros>,
}

/// All links, bounded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Graph {
    links: Table<Key, Link>,
    /// Names that machines gave themselves, by their addresses.
    aliases: Table<Key, Alias>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Alias {
    address: IpAddr,
    /// `None` once it called itself differently.
    name: Option<Box<str>>,
}

impl Default for Graph {
    fn default() -> Self {
        Self { links: Table::new(LINKS_MAX), aliases: Table::new(ALIASES_MAX) }
    }
}

impl Graph {
    /// Takes in one event.
    pub fn take(&mut self, event: &AuthEvent<'_>, rules: &Rules) {
        if let Some(view) = View::of(event, rules) {
            self.add(&view);
        }
    }

    /// Links that were forgotten for want of room.
    pub fn evicted(&self) -> u64 {
        self.links.evicted() + self.aliases.evicted()
    }

    pub(super) fn add(&mut self, view: &View<'_>) {
        let (event, at) = (view.event, view.at());
        if event.outcome == AuthOutcome::Ended || (view.account.is_none() && view.source.is_none()) {
            return;
        }
        self.learn_name(view);
        let (account, source) = (view.account.unwrap_or_default(), view.source.unwrap_or_default());
        let key = joined(&[account, source, view.host, event.protocol as u64]);
        let link = self.links.place_with(key, || Link::of(view)).0;
        (link.first, link.last) = (link.first.min(at), link.last.max(at));
        match event.outcome {
            AuthOutcome::Failure => link.failed += 1,
            AuthOutcome::Success | AuthOutcome::Resumed => link.enter(at),
            _ => link.reached += 1,
        }
    }

    fn learn_name(&mut self, view: &View<'_>) {
        let (Some(address), Some(name)) = (view.address(), view.event.workstation.map(str::trim)) else {
            return;
        };
        if view.outside || name.is_empty() || name == "-" {
            return;
        }
        let key = key_of_address(address);
        match self.aliases.get_mut(&key) {
            Some(alias) => {
                if alias.name.as_ref().is_some_and(|known| !known.eq_ignore_ascii_case(name)) {
                    alias.name = None;
                }
            }
            None => self.aliases.insert(key, Alias { address, name: Some(kept(name)) }),
        }
    }

    /// Every link with its ends named, in order.
    pub fn links(&self) -> Vec<Named<'_>> {
        let names = self.names();
        let machine = |source: &Source| -> Box<str> {
            match source {
                Source::Address(address) => {
                    names.get(address).cloned().unwrap_or_else(|| address.to_string().into())
                }
                Source::Workstation(name) => name.clone(),
            }
        };
        let mut all: Vec<Named<'_>> = self
            .links
            .sorted()
            .into_iter()
            .map(|(_, link)| Named {
                account: link.account.clone().map(Node::Account),
                from: link.source.as_ref().map(|source| Node::Machine(machine(source))),
                to: (!link.host.is_empty()).then(|| Node::Machine(host(&link.host, &names))),
                link,
            })
            .collect();
        all.sort_by(|a, b| {
            (a.link.first, &a.account, &a.from, &a.to).cmp(&(b.link.first, &b.account, &b.from, &b.to))
        });
        all
    }

    /// Addresses inside that called themselves by one name only, when a log names a host like that. A name can be forged: this joins what is
    /// drawn, and decides nothing.
    fn names(&self) -> BTreeMap<IpAddr, Box<str>> {
        let hosts: BTreeSet<&str> = self.links.sorted().into_iter().map(|(_, link)| &*link.host).collect();
        let known = |alias: &Alias| {
            let name = alias.name.clone().filter(|name| hosts.contains(&**name))?;
            Some((alias.address, name))
        };
        self.aliases.sorted().into_iter().filter_map(|(_, alias)| known(alias)).collect()
    }
}

/// A host may be written by its address too.
fn host(name: &str, names: &BTreeMap<IpAddr, Box<str>>) -> Box<str> {
    let by_address = name.parse::<IpAddr>().ok().and_then(|address| names.get(&address));
    by_address.cloned().unwrap_or_else(|| name.into())
}

/// A link and what its ends are called.
#[derive(Debug, Clone)]
pub struct Named<'g> {
    /// The account.
    pub account: Option<Node>,
    /// Where it came from.
    pub from: Option<Node>,
    /// Where it went.
    pub to: Option<Node>,
    /// What it did.
    pub link: &'g Link,
}

impl Link {
    fn of(view: &View<'_>) -> Self {
        Self {
            account: view.account_name().map(kept),
            source: view.source_name(),
            host: kept(view.event.host),
            protocol: view.event.protocol,
            outside: view.outside,
            reached: 0,
            failed: 0,
            succeeded: 0,
            first: view.at(),
            last: view.at(),
            entries: Vec::new(),
        }
    }

    fn enter(&mut self, at: Micros) {
        self.succeeded += 1;
        let place = self.entries.partition_point(|known| *known <= at);
        self.entries.insert(place, at);
        if self.entries.len() > TIMES_MAX {
            // The one before the last goes: the first times and the last one stay.
            self.entries.remove(TIMES_MAX - 1);
        }
    }

    /// When somebody got in for the first time from then on.
    pub(super) fn entry_from(&self, at: Micros) -> Option<Micros> {
        self.entries.iter().copied().find(|entry| *entry >= at)
    }
}
