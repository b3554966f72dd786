//! What a hospital says about its own network: a plain value that the configuration fills.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use schema::{Micros, Service};
use serde::{Deserialize, Serialize};

pub use super::contracts::{Contract, Direction, Ports, Weekday};

/// What the detectors are told. The defaults suit a network that nobody has described yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Networks of the hospital: private addresses unless said otherwise. Its public addresses belong here too.
    pub internal: Vec<IpNet>,
    /// The hospital's hours.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub zone: TimeZone,
    /// Vulnerability scanners and monitoring: what they reach for is neither scan nor guess nor spread.
    pub scanners: Vec<IpNet>,
    /// Consoles that install programs on others: antivirus, software distribution, administrators' jump hosts.
    pub managers: Vec<IpNet>,
    /// Domain controllers, and what replicates the directory like one.
    pub domain_controllers: Vec<IpNet>,
    /// A detector, or a family, stays silent about these.
    pub exempt: Vec<Exempt>,
    /// What was agreed with contractors.
    pub contracts: Vec<Contract>,
    /// Who may speak HL7 and DICOM to whom. Empty: whoever is inside.
    pub hospital_pairs: Vec<HospitalPair>,
    /// What calls at regular times and is known: it is no beacon.
    pub periodic: Vec<Periodic>,
    /// Ports by which equals share among themselves, where many are switched off: Windows' delivery optimisation.
    pub peer_ports: Vec<u16>,
    /// Pairs that were learnt before.
    pub learnt: Vec<LearntPair>,
    /// Until then first-seen pairs are learnt and not told.
    pub learning_until: Option<Micros>,
    /// Domains that are never judged, with all below them.
    pub names_allowed: Vec<String>,
    /// Domains of known phishing, with all below them.
    pub names_phishing: Vec<String>,
    /// Domains of known malware, with all below them.
    pub names_malware: Vec<String>,
    /// Brands to protect beside those that are built in (`brands.toml`'s format).
    pub brands: Option<String>,
    /// What decides.
    pub thresholds: Thresholds,
}

/// Somebody about whom something is not told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exempt {
    /// A detector's id, or a family.
    pub detector: String,
    /// As the one who acts.
    pub actor: Option<IpNet>,
    /// As the one to whom it is done.
    pub target: Option<IpNet>,
}

/// Who may speak a hospital's protocol to whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HospitalPair {
    /// `mllp` or `dicom`; both when left out.
    pub service: Option<Service>,
    /// Who opens.
    pub client: IpNet,
    /// Who is spoken to.
    pub server: IpNet,
}

/// Something that calls at regular times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Periodic {
    /// Who calls; anybody when left out.
    pub client: Option<IpNet>,
    /// Who is called; anybody when left out.
    pub server: Option<IpNet>,
    /// On which port; any when left out.
    pub port: Option<u16>,
}

/// A pair of machines inside that is known to work with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LearntPair {
    /// Who opens.
    pub client: IpAddr,
    /// Who is spoken to.
    pub server: IpAddr,
    /// By which port.
    pub port: u16,
    /// Seen for the first time.
    pub first: Micros,
    /// Seen for the last time.
    pub last: Micros,
}

/// Numbers that decide, each with its measured default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// How likely an honest first contact succeeds.
    pub walk_honest: f32,
    /// How likely a scanner's first contact succeeds.
    pub walk_scanner: f32,
    /// Accepted share of honest sources called scanners.
    pub walk_false_alarm: f32,
    /// Accepted share of scanners called honest.
    pub walk_miss: f32,
    /// New peers in ten minutes.
    pub fanout_peers: u32,
    /// Log-ons of the shape of failed ones in five minutes, RDP and SSH.
    pub guesses: u32,
    /// Files replaced over SMB with one rename each.
    pub files_replaced: u32,
    /// A beacon's score, 0 to 1.
    pub beacon_score: f32,
    /// Bytes to one new peer in a day that are never too many.
    pub exfil_floor_bytes: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            walk_honest: 0.8,
            walk_scanner: 0.2,
            walk_false_alarm: 1e-5,
            walk_miss: 0.01,
            fanout_peers: 3,
            guesses: 10,
            files_replaced: 8,
            beacon_score: 0.8,
            exfil_floor_bytes: 100 << 20,
        }
    }
}

/// What is private by RFC 1918, RFC 4193 and RFC 3927, and the machine itself.
const PRIVATE: [&str; 8] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

impl Default for Rules {
    fn default() -> Self {
        Self {
            internal: PRIVATE.iter().filter_map(|net| net.parse().ok()).collect(),
            zone: TimeZone::UTC,
            scanners: Vec::new(),
            managers: Vec::new(),
            domain_controllers: Vec::new(),
            exempt: Vec::new(),
            contracts: Vec::new(),
            hospital_pairs: Vec::new(),
            periodic: Vec::new(),
            peer_ports: vec![7680],
            learnt: Vec::new(),
            learning_until: None,
            names_allowed: Vec::new(),
            names_phishing: Vec::new(),
            names_malware: Vec::new(),
            brands: None,
            thresholds: Thresholds::default(),
        }
    }
}

impl Rules {
    /// Whether the hospital calls this address its own.
    pub fn is_internal(&self, address: IpAddr) -> bool {
        within(&self.internal, address)
    }

    pub(super) fn is_scanner(&self, address: IpAddr) -> bool {
        within(&self.scanners, address)
    }

    pub(super) fn is_manager(&self, address: IpAddr) -> bool {
        within(&self.managers, address)
    }

    pub(super) fn is_exempt(&self, detector: &str, actor: IpAddr, target: Option<IpAddr>) -> bool {
        let holds = |net: Option<&IpNet>, address: Option<IpAddr>| {
            net.is_none_or(|net| address.is_some_and(|address| net.contains(&address)))
        };
        self.exempt.iter().any(|exempt| {
            let named = detector.strip_prefix(exempt.detector.as_str());
            named.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                && holds(exempt.actor.as_ref(), Some(actor))
                && holds(exempt.target.as_ref(), target)
        })
    }
}

pub(super) fn within(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&address))
}
