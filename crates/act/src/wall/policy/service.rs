use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// A name for some ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name in rules.
    pub name: String,
    /// What it stands for.
    #[serde(flatten)]
    pub ports: Ports,
}

/// Ports of both protocols, in order and without overlaps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ports {
    /// First and last port of each range.
    pub tcp: Vec<(u16, u16)>,
    /// The same.
    pub udp: Vec<(u16, u16)>,
    /// Echo requests.
    pub ping: bool,
}

impl Ports {
    pub(super) fn add(&mut self, other: &Ports) {
        self.tcp = united(self.tcp.iter().chain(&other.tcp).copied());
        self.udp = united(self.udp.iter().chain(&other.udp).copied());
        self.ping |= other.ping;
    }

    /// Whether it stands for nothing at all.
    pub fn is_empty(&self) -> bool {
        self.tcp.is_empty() && self.udp.is_empty() && !self.ping
    }

    /// Reads `445` or `5000-5010`.
    pub fn range(text: &str) -> Option<(u16, u16)> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
        let (first, last) = (port(first)?, port(last)?);
        (first <= last).then_some((first, last))
    }

    pub(super) fn holds(ranges: &[(u16, u16)], port: u16) -> bool {
        ranges.iter().any(|(first, last)| RangeInclusive::new(*first, *last).contains(&port))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |name: &str, ranges: &[(u16, u16)]| {
            (!ranges.is_empty()).then(|| format!("{name} {}", listed(ranges, ", ")))
        };
        let ping = self.ping.then(|| "ping".to_owned());
        let all: Vec<String> =
            [of("tcp", &self.tcp), of("udp", &self.udp), ping].into_iter().flatten().collect();
        f.write_str(&all.join(" + "))
    }
}

/// Ranges as people and most programs write them.
pub(super) fn listed(ranges: &[(u16, u16)], between: &str) -> String {
    let of = |(first, last): &(u16, u16)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    ranges.iter().map(of).collect::<Vec<_>>().join(between)
}

fn united(ranges: impl Iterator<Item = (u16, u16)>) -> Vec<(u16, u16)> {
    let mut ranges: Vec<(u16, u16)> = ranges.collect();
    ranges.sort_unstable();
    let mut all: Vec<(u16, u16)> = Vec::new();
    for (first, last) in ranges {
        match all.last_mut() {
            Some(known) if first <= known.1.saturating_add(1) => known.1 = known.1.max(last),
            _ => all.push((first, last)),
        }
    }
    all
}

/// Services that a hospital has, by their usual names.
const WELL_KNOWN: [(&str, &[u16], &[u16]); 22] = [
    ("ssh", &[22], &[]),
    ("telnet", &[23], &[]),
    ("smtp", &[25], &[]),
    ("dns", &[53], &[53]),
    ("dhcp", &[], &[67, 547]),
    ("http", &[80], &[]),
    ("kerberos", &[88], &[88]),
    ("dicom", &[104, 11112], &[]),
    ("ntp", &[], &[123]),
    ("rpc", &[135], &[]),
    ("netbios", &[139], &[137, 138]),
    ("ldap", &[389, 636], &[389]),
    ("https", &[443], &[]),
    ("smb", &[445], &[]),
    ("syslog", &[514, 6514], &[514]),
    ("mllp", &[2575], &[]),
    ("mysql", &[3306], &[]),
    ("rdp", &[3389], &[3389]),
    ("postgres", &[5432], &[]),
    ("vnc", &[5900], &[]),
    ("http-alt", &[8080], &[]),
    ("console", &[8443], &[]),
];

/// What a usual name stands for; `ping` and `mllp` (2575) among them.
pub fn well_known(name: &str) -> Option<Ports> {
    if name == "ping" {
        return Some(Ports { ping: true, ..Ports::default() });
    }
    let (_, tcp, udp) = WELL_KNOWN.iter().find(|(known, ..)| *known == name)?;
    let ranges = |ports: &[u16]| ports.iter().map(|port| (*port, *port)).collect();
    Some(Ports { tcp: ranges(tcp), udp: ranges(udp), ping: false })
}

pub(super) fn well_known_names() -> impl Iterator<Item = &'static str> {
    WELL_KNOWN.iter().map(|(name, ..)| *name).chain(["ping"])
}
