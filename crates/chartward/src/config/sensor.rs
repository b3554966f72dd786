//! `[sensor]`: what a hospital says of its own network, and how it becomes the rules of the detectors.

use std::path::PathBuf;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use judge::network::{
    Contract as Agreed, Direction, Exempt as Silent, HospitalPair, Periodic as Regular, Ports, Rules,
    Thresholds as Numbers, Weekday,
};
use schema::{Service, Transport};
use serde::{Deserialize, Deserializer};

use super::value::{Network, Period, Size};

/// The network sensor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sensor {
    pub(crate) interfaces: Vec<String>,
    /// The hospital's own networks; empty: the private ones.
    pub(crate) internal: Vec<Network>,
    pub(crate) known_scanners: Vec<Network>,
    pub(crate) managers: Vec<Network>,
    pub(crate) domain_controllers: Vec<Network>,
    pub(crate) contract: Vec<Contract>,
    pub(crate) hospital_pair: Vec<Pair>,
    pub(crate) exempt: Vec<Exempt>,
    pub(crate) periodic: Vec<Periodic>,
    pub(crate) peer_ports: Vec<u16>,
    pub(crate) names_allowed: Vec<String>,
    /// Files with one domain a line.
    pub(crate) phishing_lists: Vec<PathBuf>,
    pub(crate) malware_lists: Vec<PathBuf>,
    /// Further protected brands.
    pub(crate) brands: Option<PathBuf>,
    /// For so long after its first start it learns who works with whom.
    pub(crate) learn_for: Period,
    pub(crate) thresholds: Thresholds,
    /// Memory in which packets wait, for each interface.
    pub(crate) ring: Size,
    pub(crate) flows_keep: Period,
    pub(crate) flows_max: Size,
}

/// What was agreed with a contractor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contract {
    pub(crate) name: String,
    pub(crate) peer: Vec<Network>,
    pub(crate) hosts: Vec<Network>,
    #[serde(default)]
    pub(crate) ports: Vec<PortRange>,
    #[serde(default)]
    pub(crate) direction: Direction,
    #[serde(default)]
    pub(crate) days: Vec<Day>,
    pub(crate) hours: Option<Hours>,
    /// From the hospital to the contractor.
    pub(crate) bytes_per_day: Option<Size>,
    pub(crate) bytes_in_per_day: Option<Size>,
    #[serde(default)]
    pub(crate) tools: Vec<Service>,
}

/// Who may speak HL7 and DICOM to whom.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    pub(crate) service: Option<Service>,
    pub(crate) client: Network,
    pub(crate) server: Network,
}

/// About whom a detector stays silent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exempt {
    pub(crate) detector: String,
    pub(crate) actor: Option<Network>,
    pub(crate) target: Option<Network>,
}

/// What calls at regular times and is known.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Periodic {
    pub(crate) client: Option<Network>,
    pub(crate) server: Option<Network>,
    pub(crate) port: Option<u16>,
}

/// Numbers that decide.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Thresholds {
    pub(crate) fanout_peers: u32,
    pub(crate) guesses: u32,
    pub(crate) files_replaced: u32,
    pub(crate) beacon_percent: u32,
    pub(crate) exfil_floor: Size,
}

/// `22`, `5000-5010`, `udp/7070`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortRange(pub(crate) Ports);

/// `09:00-17:30`; past midnight where the second is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hours {
    pub(crate) from: Time,
    pub(crate) to: Time,
}

/// `mon` to `sun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Default for Sensor {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            internal: Vec::new(),
            known_scanners: Vec::new(),
            managers: Vec::new(),
            domain_controllers: Vec::new(),
            contract: Vec::new(),
            hospital_pair: Vec::new(),
            exempt: Vec::new(),
            periodic: Vec::new(),
            peer_ports: Rules::default().peer_ports,
            names_allowed: Vec::new(),
            phishing_lists: Vec::new(),
            malware_lists: Vec::new(),
            brands: None,
            learn_for: Period(SignedDuration::from_hours(7 * 24)),
            thresholds: Thresholds::default(),
            ring: Size(64 << 20),
            flows_keep: Period(SignedDuration::from_hours(180 * 24)),
            flows_max: Size(10 << 30),
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        let Numbers { fanout_peers, guesses, files_replaced, exfil_floor_bytes, .. } = Numbers::default();
        Self {
            fanout_peers,
            guesses,
            files_replaced,
            beacon_percent: 80,
            exfil_floor: Size(exfil_floor_bytes),
        }
    }
}

impl Sensor {
    /// As the detectors take it. Lists of names and learnt pairs are read from their files later.
    pub(crate) fn rules(&self, zone: TimeZone) -> Rules {
        let nets = |networks: &[Network]| networks.iter().map(|network| network.0).collect::<Vec<_>>();
        let one = |network: Option<Network>| network.map(|network| network.0);
        let numbers = self.thresholds;
        let rules = Rules::default();
        Rules {
            internal: if self.internal.is_empty() { rules.internal } else { nets(&self.internal) },
            zone,
            scanners: nets(&self.known_scanners),
            managers: nets(&self.managers),
            domain_controllers: nets(&self.domain_controllers),
            exempt: self
                .exempt
                .iter()
                .map(|it| Silent {
                    detector: it.detector.clone(),
                    actor: one(it.actor),
                    target: one(it.target),
                })
                .collect(),
            contracts: self.contract.iter().map(Contract::agreed).collect(),
            hospital_pairs: self
                .hospital_pair
                .iter()
                .map(|it| HospitalPair { service: it.service, client: it.client.0, server: it.server.0 })
                .collect(),
            periodic: self
                .periodic
                .iter()
                .map(|it| Regular { client: one(it.client), server: one(it.server), port: it.port })
                .collect(),
            peer_ports: self.peer_ports.clone(),
            names_allowed: self.names_allowed.clone(),
            thresholds: Numbers {
                fanout_peers: numbers.fanout_peers,
                guesses: numbers.guesses,
                files_replaced: numbers.files_replaced,
                beacon_score: numbers.beacon_percent as f32 / 100.0,
                exfil_floor_bytes: numbers.exfil_floor.0,
                ..rules.thresholds
            },
            ..rules
        }
    }
}

impl Contract {
    fn agreed(&self) -> Agreed {
        let nets = |networks: &[Network]| networks.iter().map(|network| network.0).collect();
        Agreed {
            name: self.name.clone(),
            peers: nets(&self.peer),
            hosts: nets(&self.hosts),
            ports: self.ports.iter().map(|range| range.0).collect(),
            direction: self.direction,
            days: self.days.iter().map(|day| day.weekday()).collect(),
            from: self.hours.map(|hours| hours.from),
            to: self.hours.map(|hours| hours.to),
            bytes_out_max: self.bytes_per_day.map(|size| size.0),
            bytes_in_max: self.bytes_in_per_day.map(|size| size.0),
            tools: self.tools.clone(),
        }
    }
}

impl Day {
    pub(super) fn weekday(self) -> Weekday {
        match self {
            Day::Mon => Weekday::Monday,
            Day::Tue => Weekday::Tuesday,
            Day::Wed => Weekday::Wednesday,
            Day::Thu => Weekday::Thursday,
            Day::Fri => Weekday::Friday,
            Day::Sat => Weekday::Saturday,
            Day::Sun => Weekday::Sunday,
        }
    }
}

impl FromStr for PortRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NOT: &str = "ports are written as 443, 5000-5010 or udp/7070";
        let (transport, range) = match text.split_once('/') {
            Some(("tcp", range)) => (Some(Transport::Tcp), range),
            Some(("udp", range)) => (Some(Transport::Udp), range),
            Some(_) => return Err(NOT),
            None => (None, text),
        };
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let port = |digits: &str| digits.parse::<u16>().map_err(|_| NOT);
        let (from, to) = (port(from)?, port(to)?);
        if from == 0 || from > to {
            return Err(NOT);
        }
        Ok(Self(Ports { from, to, transport }))
    }
}

impl FromStr for Hours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NOT: &str = "hours are written as 09:00-17:30";
        let (from, to) = text.split_once('-').ok_or(NOT)?;
        let time = |text: &str| super::value::time_of_day(text).map(|time| time.0).map_err(|_| NOT);
        Ok(Self { from: time(from)?, to: time(to)? })
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_becomes_what_the_detectors_take() {
        let text = "internal = [\"10.0.0.0/8\", \"203.0.113.0/28\"]\n[[contract]]\nname = \"ct\"\npeer = [\"198.51.100.7\"]\n\
            hosts = [\"10.0.9.5\"]\nports = [\"22\", \"udp/7000-7010\"]\ndirection = \"both\"\ndays = [\"mon\", \"sun\"]\n\
            hours = \"22:00-05:30\"\nbytes_per_day = \"20 MiB\"\ntools = [\"any_desk\"]\n";
        let sensor: Sensor = toml::from_str(text).unwrap();
        let rules = sensor.rules(TimeZone::UTC);
        assert_eq!(rules.internal.len(), 2);
        let contract = &rules.contracts[0];
        assert_eq!(contract.ports[1], Ports { from: 7000, to: 7010, transport: Some(Transport::Udp) });
        assert_eq!(contract.days, [Weekday::Monday, Weekday::Sunday]);
        assert_eq!(contract.from.map(|time| time.to_string()).as_deref(), Some("22:00:00"));
        assert_eq!((contract.bytes_out_max, contract.bytes_in_max), (Some(20 << 20), None));
        assert_eq!(contract.tools, [Service::AnyDesk]);
        assert_eq!(Sensor::default().rules(TimeZone::UTC), Rules::default());
    }

    #[test]
    fn ports_and_hours_are_read_strictly() {
        for good in ["1", "65535", "22-22", "tcp/1-9"] {
            assert!(good.parse::<PortRange>().is_ok(), "{good}");
        }
        for bad in ["", "0", "65536", "9-1", "icmp/8", "tcp/", "1-", "-1", "a"] {
            assert!(bad.parse::<PortRange>().is_err(), "{bad}");
        }
        assert!("09:00-17:30".parse::<Hours>().is_ok());
        for bad in ["", "09:00", "9-17", "09:00-25:00", "09:00-", "09:00–17:30"] {
            assert!(bad.parse::<Hours>().is_err(), "{bad}");
        }
    }
}
