//! What a hospital says about who logs in where: a plain value that the configuration fills.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use schema::Micros;
use serde::{Deserialize, Serialize};

pub use super::contractors::{Contractor, Grant, Window};

/// What the detectors are told. The defaults suit a hospital that nobody has described yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Networks of the hospital: private addresses unless said otherwise. Being inside makes nobody trustworthy: it only says what a
    /// finding is worth.
    pub internal: Vec<IpNet>,
    /// The hospital's hours.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub zone: TimeZone,
    /// Vulnerability scanners and monitoring: their failures are no guesses.
    pub scanners: Vec<IpNet>,
    /// Accounts with which scanners and monitoring log in, from those addresses only. `*` stands for any letters.
    pub scanner_accounts: Vec<String>,
    /// Accounts of services, which no person should log in with at a screen.
    pub service_accounts: Vec<String>,
    /// Accounts that may do everything. `*` stands for any letters.
    pub privileged: Vec<String>,
    /// What was agreed with contractors.
    pub contractors: Vec<Contractor>,
    /// What was opened for contractors, for a while and with a reason.
    pub grants: Vec<Grant>,
    /// A detector, or a family, stays silent about these.
    pub exempt: Vec<Exempt>,
    /// For so many days after the first event, first-seen pairs are learnt and not told.
    pub learning_days: u16,
    /// What decides.
    pub thresholds: Thresholds,
}

/// Somebody about whom something is not told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exempt {
    /// A detector's id, or a family.
    pub detector: String,
    /// With this account. `*` stands for any letters.
    #[serde(default)]
    pub account: Option<String>,
    /// From there.
    #[serde(default)]
    pub source: Option<IpNet>,
    /// At this machine. `*` stands for any letters.
    #[serde(default)]
    pub host: Option<String>,
}

/// Numbers that decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Failures from one source, or with one account, in ten minutes that nobody who merely mistypes reaches.
    pub guesses: u16,
    /// Failures at one host in ten minutes over all sources, without those that were followed by a success.
    pub host_guesses: u16,
    /// Accounts that one source fails with in half an hour, without those that it gets in with.
    pub spray_accounts: u16,
    /// Hosts that one source fails at or knocks at in ten minutes.
    pub hosts: u16,
    /// Sources that only ever fail at one host within a week.
    pub many_sources: u16,
    /// Their failures.
    pub many_failures: u16,
    /// Failures with one account before a success that make the success suspicious.
    pub before_success: u16,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            guesses: 10,
            host_guesses: 30,
            spray_accounts: 8,
            hosts: 8,
            many_sources: 10,
            many_failures: 20,
            before_success: 8,
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

/// Names that administrators have by default.
const PRIVILEGED: [&str; 3] = ["administrator", "root", "admin"];

impl Default for Rules {
    fn default() -> Self {
        Self {
            internal: PRIVATE.iter().filter_map(|net| net.parse().ok()).collect(),
            zone: TimeZone::UTC,
            scanners: Vec::new(),
            scanner_accounts: Vec::new(),
            service_accounts: Vec::new(),
            privileged: PRIVILEGED.map(str::to_owned).to_vec(),
            contractors: Vec::new(),
            grants: Vec::new(),
            exempt: Vec::new(),
            learning_days: 14,
            thresholds: Thresholds::default(),
        }
    }
}

impl Rules {
    /// Whether the address is the hospital's own.
    pub fn is_internal(&self, address: IpAddr) -> bool {
        within(&self.internal, address)
    }

    pub(super) fn is_privileged(&self, account: &str) -> bool {
        matches_any(&self.privileged, account)
    }

    pub(super) fn is_service(&self, account: &str) -> bool {
        matches_any(&self.service_accounts, account)
    }

    /// Whether it is a known scanner: an address of one, and one of their accounts where those are named.
    pub(super) fn is_scanner(&self, source: Option<IpAddr>, account: Option<&str>) -> bool {
        source.is_some_and(|source| within(&self.scanners, source))
            && (self.scanner_accounts.is_empty()
                || account.is_none_or(|account| matches_any(&self.scanner_accounts, account)))
    }

    pub(super) fn learning(&self) -> Micros {
        Micros::from(self.learning_days) * super::view::DAY
    }

    pub(super) fn is_exempt(
        &self,
        detector: &str,
        account: Option<&str>,
        source: Option<IpAddr>,
        host: &str,
    ) -> bool {
        let family = detector.split_once('.').map_or(detector, |(family, _)| family);
        self.exempt.iter().any(|exempt| {
            (exempt.detector == detector || exempt.detector == family)
                && exempt
                    .account
                    .as_ref()
                    .is_none_or(|pattern| account.is_some_and(|name| matches(pattern, name)))
                && exempt.source.is_none_or(|net| source.is_some_and(|address| net.contains(&address)))
                && exempt.host.as_ref().is_none_or(|pattern| matches(pattern, host))
        })
    }
}

/// Whether one of the networks holds the address.
pub(super) fn within(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&address))
}

/// Whether one of the patterns fits.
pub(super) fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

/// Whether a name fits a pattern with `*`, whatever the case of its letters. Linear: what stands between two stars is taken where it is first found.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.contains('*') {
        return pattern.eq_ignore_ascii_case(name);
    }
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names() {
        for (pattern, name, expected) in [
            ("svc-backup", "SVC-Backup", true),
            ("svc-backup", "svc-backup2", false),
            ("svc_*", "svc_", true),
            ("svc_*", "asvc_x", false),
            ("*$", "pc01$", true),
            ("a*b*c", "a-x-b-y-c", true),
            ("a*b*c", "a-x-c", false),
            ("*", "", true),
            ("ab*ba", "aba", false),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_scanner_is_known_by_its_address_and_its_account() {
        let rules = Rules {
            scanners: vec!["192.0.2.9/32".parse().unwrap()],
            scanner_accounts: vec!["nessus".into()],
            ..Rules::default()
        };
        for (source, account, expected) in [
            (Some("192.0.2.9"), Some("nessus"), true),
            (Some("192.0.2.9"), Some("administrator"), false),
            (Some("192.0.2.9"), None, true),
            (Some("192.0.2.10"), Some("nessus"), false),
            (None, Some("nessus"), false),
        ] {
            let source = source.map(|source| source.parse().unwrap());
            assert_eq!(rules.is_scanner(source, account), expected, "{source:?} {account:?}");
        }
    }
}
