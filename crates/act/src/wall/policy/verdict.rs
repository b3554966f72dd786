//! What the policy says about one new connection: the same steps as the packet filter takes, without it.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::service::Ports;
use super::{Action, Hours, Moment, OUTSIDE, Policy, SELF, Zone};

/// A connection that somebody might begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Who begins it.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// Where it comes in, as far as known.
    pub in_interface: Option<String>,
    /// Where it goes out, as far as known.
    pub out_interface: Option<String>,
    /// Whether the destination is this machine.
    pub is_to_self: bool,
    /// To which port.
    pub transport: Transport,
    /// When.
    pub at: Moment,
}

/// What a connection runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// To this port.
    Tcp(u16),
    /// To this port.
    Udp(u16),
    /// An echo request.
    Ping,
}

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "cause", content = "number", rename_all = "snake_case")]
pub enum Cause {
    /// The never-touch list has the sender.
    Spared,
    /// The vault, the console or a named host, which everybody reaches.
    Reach,
    /// The rule with this number, from 1.
    Allow(usize),
    /// No rule: the default of the pair.
    Default,
}

/// What becomes of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What.
    pub action: Action,
    /// Why.
    pub cause: Cause,
    /// The zone it comes from.
    pub from: String,
    /// The zone it goes to.
    pub to: String,
    /// Numbers of the limits, from 1, that count it first.
    pub limits: Vec<usize>,
}

/// One step of a pair of zones: whatever fits is let through.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) cause: Cause,
    /// None: any of the zone.
    pub(super) sources: Vec<IpNet>,
    pub(super) destinations: Vec<IpNet>,
    /// `None`: everything.
    pub(super) ports: Option<Ports>,
    pub(super) hours: Option<Hours>,
}

impl Policy {
    /// What becomes of a connection. An error names the zone of which nobody can tell, for want of an interface, whether an
    /// address lies in it.
    pub fn answer(&self, probe: &Probe) -> Result<Answer, String> {
        let from = self.zone_of(probe.source, probe.in_interface.as_deref())?;
        let to = match probe.is_to_self {
            true => SELF,
            false => self.zone_of(probe.destination, probe.out_interface.as_deref())?,
        };
        let fits_limit = |limit: &super::Limit| {
            limit.from.iter().any(|name| name == from)
                && self.ports_of(&limit.services).is_none_or(|ports| fits(Some(&ports), probe.transport))
        };
        let is_spared = holds(&self.spared, probe.source);
        let limits = (1..).zip(&self.limits).filter(|(_, limit)| !is_spared && fits_limit(limit));
        let limits = limits.map(|(number, _)| number).collect();
        let (action, cause) = match is_spared {
            true => (Action::Allow, Cause::Spared),
            false => {
                let found = self.entries(from, to).into_iter().find(|entry| self.holds_entry(entry, probe));
                found.map_or((self.default_of(from, to), Cause::Default), |it| (Action::Allow, it.cause))
            }
        };
        Ok(Answer { action, cause, from: from.to_owned(), to: to.to_owned(), limits })
    }

    fn holds_entry(&self, entry: &Entry, probe: &Probe) -> bool {
        let is_of = |networks: &[IpNet], address| networks.is_empty() || holds(networks, address);
        is_of(&entry.sources, probe.source)
            && is_of(&entry.destinations, probe.destination)
            && fits(entry.ports.as_ref(), probe.transport)
            && entry.hours.as_ref().is_none_or(|hours| hours.holds(self.utc_offset_seconds, probe.at))
    }

    /// What is let through from one zone to the other, in order.
    pub(super) fn entries(&self, from: &str, to: &str) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut built_in = |sources: &[IpNet], destinations: &[IpNet]| {
            let (sources, destinations) = (sources.to_vec(), destinations.to_vec());
            entries.push(Entry { cause: Cause::Reach, sources, destinations, ports: None, hours: None });
        };
        let is_quarantined = self.zones.iter().any(|zone| zone.name == to && zone.quarantine);
        if !self.reach.is_empty() && from != OUTSIDE {
            built_in(&[], &self.reach);
        }
        if !self.reach.is_empty() && is_quarantined {
            built_in(&self.reach, &[]);
        }
        let rules = (1..).zip(&self.allow).filter(|(_, rule)| self.applies(rule, from, to));
        entries.extend(rules.map(|(number, rule)| Entry {
            cause: Cause::Allow(number),
            sources: rule.from_hosts.clone(),
            destinations: rule.to_hosts.clone(),
            ports: self.ports_of(&rule.services),
            hours: rule.hours.clone(),
        }));
        entries
    }

    /// The first zone that takes an address.
    fn zone_of(&self, address: IpAddr, interface: Option<&str>) -> Result<&str, String> {
        for zone in &self.zones {
            match zone.takes(address, interface) {
                Some(true) => return Ok(&zone.name),
                Some(false) => {}
                None => return Err(zone.name.clone()),
            }
        }
        Ok(OUTSIDE)
    }
}

impl Zone {
    /// `None`: it depends on an interface that is not known.
    fn takes(&self, address: IpAddr, interface: Option<&str>) -> Option<bool> {
        if !self.networks.is_empty() && !holds(&self.networks, address) {
            return Some(false);
        }
        match interface {
            _ if self.interfaces.is_empty() => Some(!self.networks.is_empty()),
            Some(interface) => Some(self.interfaces.iter().any(|known| known == interface)),
            None => None,
        }
    }
}

fn holds(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

fn fits(ports: Option<&Ports>, transport: Transport) -> bool {
    let Some(ports) = ports else { return true };
    match transport {
        Transport::Tcp(port) => Ports::holds(&ports.tcp, port),
        Transport::Udp(port) => Ports::holds(&ports.udp, port),
        Transport::Ping => ports.ping,
    }
}
