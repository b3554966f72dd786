//! The declared policy: which zone reaches which, by which services, and what becomes of all the rest.
//!
//! The policy has a table of its own, `inet chartward_policy`, so that loading it anew never touches what acts have banned, and
//! the other way round. It is judged at priority −5: behind the bans (−10) and before the machine's own firewall (0).
//!
//! **In which order.** Established connections, neighbour discovery, senders that are never touched, rate limits, then the pair
//! of zones: the hosts that everybody must reach (vault, console, named hosts), the rules in their order, the pair's default.
//! A connection that is established stays so when the policy changes; only new ones are judged.
//!
//! **What it does not do.** It judges nothing that this machine itself sends, and nothing that passes between two hosts of one
//! switch.

pub mod emit;
mod hours;
mod nft;
mod problem;
mod rate;
mod service;
mod verdict;
mod words;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use hours::{Hours, Moment, Window};
pub use nft::{TABLE, render};
pub use problem::Problem;
pub use rate::Rate;
pub use service::{Ports, Service, well_known};
pub use verdict::{Answer, Cause, Probe, Transport};
pub use words::{Difference, differences, rule_words, sentences, verdict_words};

/// The zone of everything that lies in no other one.
pub const OUTSIDE: &str = "outside";
/// The machine itself, as a receiver.
pub const SELF: &str = "self";

/// Everything that one machine is to let through and to refuse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Between networks or within one.
    pub mode: Mode,
    /// For pairs of zones that are not named.
    pub default: Action,
    /// In this order: an address belongs to the first zone that takes it.
    pub zones: Vec<Zone>,
    /// What the hospital calls its ports, besides [`well_known`].
    pub services: Vec<Service>,
    /// In this order, but all of them allow, so that the order only says which one is named.
    pub allow: Vec<Allow>,
    /// What becomes of all the rest, by pairs of zones.
    pub pairs: Vec<Pair>,
    /// How often a source may begin anew.
    pub limits: Vec<Limit>,
    /// What these send is never refused: the never-touch list.
    pub spared: Vec<IpNet>,
    /// What every host but those outside reaches: the vault, the console and the named hosts.
    pub reach: Vec<IpNet>,
    /// Seconds that the hours of rules are ahead of UTC.
    pub utc_offset_seconds: i32,
}

/// Where the machine stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It forwards between networks.
    #[default]
    Router,
    /// It passes frames on within one network (`br_netfilter`): zones are told apart by addresses alone, and what is refused
    /// vanishes without an answer.
    Bridge,
}

/// What becomes of a new connection that no rule allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It passes.
    Allow,
    /// It does not.
    Refuse,
    /// It passes, is counted, and some of it is written to the kernel's log.
    #[default]
    Watch,
}

/// A part of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Zone {
    /// Its name in rules.
    pub name: String,
    /// Its networks; none: every address behind its interfaces.
    pub networks: Vec<IpNet>,
    /// Its interfaces; none: its addresses wherever they are. With both, both must fit, so that a forged address is of no use.
    pub interfaces: Vec<String>,
    /// Whether its hosts reach the outside.
    pub egress: Egress,
    /// Its hosts reach the vault, the console and the named hosts, and nobody else.
    pub quarantine: bool,
}

/// What a zone may reach outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Egress {
    /// As rules and defaults say.
    #[default]
    Open,
    /// Only hosts that rules name by their addresses; all the rest is refused.
    Listed,
}

/// What may pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// Zones.
    pub from: Vec<String>,
    /// Hosts and networks of these zones, or of whatever zone when none is named; none: all of the zones.
    pub from_hosts: Vec<IpNet>,
    /// Zones, [`SELF`] among them.
    pub to: Vec<String>,
    /// As `from_hosts`.
    pub to_hosts: Vec<IpNet>,
    /// Names of services; none: everything.
    pub services: Vec<String>,
    /// When; `None`: always.
    pub hours: Option<Hours>,
    /// Why, in the hospital's words.
    pub because: String,
}

/// The default of one pair of zones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// A zone.
    pub from: String,
    /// A zone, or [`SELF`].
    pub to: String,
    /// What becomes of it.
    pub action: Action,
}

/// How often each source may begin a connection to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Zones of the sources.
    pub from: Vec<String>,
    /// Names of services.
    pub services: Vec<String>,
    /// New connections.
    pub rate: Rate,
    /// How many at once before the rate counts.
    pub burst: u32,
}

impl Policy {
    /// Every zone's name in the order of their numbers; the last one is [`OUTSIDE`].
    pub fn zone_names(&self) -> impl Iterator<Item = &str> {
        self.zones.iter().map(|zone| zone.name.as_str()).chain([OUTSIDE])
    }

    /// What is to become of new connections of a pair that no rule allows.
    pub fn default_of(&self, from: &str, to: &str) -> Action {
        let zone = |name: &str| self.zones.iter().find(|zone| zone.name == name);
        if zone(from).is_some_and(|zone| zone.quarantine) || zone(to).is_some_and(|zone| zone.quarantine) {
            return Action::Refuse;
        }
        if to == OUTSIDE && zone(from).is_some_and(|zone| zone.egress == Egress::Listed) {
            return Action::Refuse;
        }
        let named = self.pairs.iter().find(|pair| pair.from == from && pair.to == to);
        match named {
            Some(pair) => pair.action,
            None if from == to && from != OUTSIDE => Action::Allow,
            None => self.default,
        }
    }

    /// Whether a rule speaks of connections from one zone to the other.
    fn applies(&self, rule: &Allow, from: &str, to: &str) -> bool {
        let is_of = |names: &[String], hosts: &[IpNet], zone: &str| match names.is_empty() {
            true => !hosts.is_empty() && zone != SELF && self.may_hold(zone, hosts),
            false => names.iter().any(|name| name == zone),
        };
        let is_quarantined = |name: &str| self.zones.iter().any(|zone| zone.name == name && zone.quarantine);
        is_of(&rule.from, &rule.from_hosts, from)
            && is_of(&rule.to, &rule.to_hosts, to)
            && !is_quarantined(from)
            && !is_quarantined(to)
    }

    /// Whether some of these hosts may lie in a zone.
    fn may_hold(&self, zone: &str, hosts: &[IpNet]) -> bool {
        let Some(zone) = self.zones.iter().find(|known| known.name == zone) else { return true };
        let meets = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
        zone.networks.is_empty() || hosts.iter().any(|host| zone.networks.iter().any(|net| meets(net, host)))
    }

    /// The ports behind a service's name.
    pub fn ports(&self, name: &str) -> Option<Ports> {
        let own = self.services.iter().find(|service| service.name == name).map(|own| own.ports.clone());
        own.or_else(|| well_known(name))
    }

    /// All ports of a rule; `None`: everything.
    fn ports_of(&self, names: &[String]) -> Option<Ports> {
        if names.is_empty() {
            return None;
        }
        let mut all = Ports::default();
        for ports in names.iter().filter_map(|name| self.ports(name)) {
            all.add(&ports);
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests;
