//! The wall as people write it.

use std::net::IpAddr;

use act::wall::policy::{self, Action, Egress, Hours, Mode, Policy, Ports};
use ipnet::IpNet;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};

use super::value::{Network, Period};

/// The packet filter.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wall {
    /// Program and arguments that take nftables commands on their standard input.
    pub(crate) command: Vec<String>,
    /// What an isolated host still reaches, besides the vault and the console.
    pub(crate) reachable: Vec<IpAddr>,
    /// How often it is looked at whether what was put in force still is.
    pub(crate) look_every: Period,
    pub(crate) mode: Mode,
    /// For pairs of zones that are not named.
    pub(crate) default: Action,
    /// Ports of the machine whose sessions no apply may cut off.
    pub(crate) ssh_ports: Vec<u16>,
    pub(crate) zone: Vec<Zone>,
    pub(crate) service: Vec<Service>,
    pub(crate) allow: Vec<Allow>,
    pub(crate) pair: Vec<policy::Pair>,
    pub(crate) limit: Vec<policy::Limit>,
}

impl Default for Wall {
    fn default() -> Self {
        Wall {
            command: vec!["nft".to_owned()],
            reachable: Vec::new(),
            look_every: Period(SignedDuration::from_mins(1)),
            mode: Mode::default(),
            default: Action::default(),
            ssh_ports: vec![22],
            zone: Vec::new(),
            service: Vec::new(),
            allow: Vec::new(),
            pair: Vec::new(),
            limit: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Zone {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) networks: Vec<Network>,
    #[serde(default)]
    pub(crate) interfaces: Vec<String>,
    #[serde(default)]
    pub(crate) egress: Egress,
    #[serde(default)]
    pub(crate) quarantine: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) tcp: Vec<Range>,
    #[serde(default)]
    pub(crate) udp: Vec<Range>,
    #[serde(default)]
    pub(crate) ping: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allow {
    #[serde(default)]
    pub(crate) from: Vec<String>,
    #[serde(default)]
    pub(crate) from_hosts: Vec<Network>,
    #[serde(default)]
    pub(crate) to: Vec<String>,
    #[serde(default)]
    pub(crate) to_hosts: Vec<Network>,
    #[serde(default)]
    pub(crate) services: Vec<String>,
    pub(crate) hours: Option<Hours>,
    #[serde(default)]
    pub(crate) because: String,
}

/// A port, or a range of them: `445`, `5000-5010`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range(pub(crate) (u16, u16));

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wrong =
            || serde::de::Error::custom(format!("{text:?} is no port such as \"445\" or \"5000-5010\""));
        Ports::range(&text).map(Range).ok_or_else(wrong)
    }
}

impl Wall {
    /// Whether a policy is declared.
    pub(crate) fn has_policy(&self) -> bool {
        !self.zone.is_empty()
    }

    /// The policy as it is written, without what other parts of the configuration add.
    pub(crate) fn policy(&self) -> Policy {
        let nets =
            |networks: &[Network]| -> Vec<IpNet> { networks.iter().map(|network| network.0).collect() };
        let ranges = |ranges: &[Range]| ranges.iter().map(|range| range.0).collect();
        Policy {
            mode: self.mode,
            default: self.default,
            zones: self
                .zone
                .iter()
                .map(|zone| policy::Zone {
                    name: zone.name.clone(),
                    networks: nets(&zone.networks),
                    interfaces: zone.interfaces.clone(),
                    egress: zone.egress,
                    quarantine: zone.quarantine,
                })
                .collect(),
            services: self
                .service
                .iter()
                .map(|service| policy::Service {
                    name: service.name.clone(),
                    ports: Ports { tcp: ranges(&service.tcp), udp: ranges(&service.udp), ping: service.ping },
                })
                .collect(),
            allow: self
                .allow
                .iter()
                .map(|rule| policy::Allow {
                    from: rule.from.clone(),
                    from_hosts: nets(&rule.from_hosts),
                    to: rule.to.clone(),
                    to_hosts: nets(&rule.to_hosts),
                    services: rule.services.clone(),
                    hours: rule.hours.clone(),
                    because: rule.because.clone(),
                })
                .collect(),
            pairs: self.pair.clone(),
            limits: self.limit.clone(),
            ..Policy::default()
        }
    }
}
