//! `[logins]`: what a hospital says about who logs in where, and how it becomes the rules of the detectors.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use judge::logins::{Contractor as Agreed, Exempt as Silent, Rules, Thresholds as Numbers, Window};
use serde::Deserialize;

use super::sensor::{Day, Hours};
use super::value::{Network, Period};

/// What is said about logons.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logins {
    /// The hospital's own networks; empty: the private ones.
    pub(crate) internal: Vec<Network>,
    pub(crate) known_scanners: Vec<Network>,
    pub(crate) scanner_accounts: Vec<String>,
    pub(crate) service_accounts: Vec<String>,
    pub(crate) privileged: Vec<String>,
    pub(crate) contractor: Vec<Contractor>,
    pub(crate) exempt: Vec<Exempt>,
    /// For so long after the first event it learns who belongs to whom.
    pub(crate) learn_for: Period,
    pub(crate) thresholds: Thresholds,
}

/// What was agreed with a contractor.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contractor {
    pub(crate) name: String,
    pub(crate) accounts: Vec<String>,
    #[serde(default)]
    pub(crate) sources: Vec<Network>,
    #[serde(default)]
    pub(crate) workstations: Vec<String>,
    #[serde(default)]
    pub(crate) hosts: Vec<String>,
    #[serde(default)]
    pub(crate) days: Vec<Day>,
    pub(crate) hours: Option<Hours>,
    /// It may log in only while `chartward access grant` opens its time.
    #[serde(default)]
    pub(crate) only_when_granted: bool,
}

/// About whom a detector stays silent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exempt {
    pub(crate) detector: String,
    pub(crate) account: Option<String>,
    pub(crate) source: Option<Network>,
    pub(crate) host: Option<String>,
}

/// Numbers that decide.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Thresholds {
    pub(crate) guesses: u16,
    pub(crate) host_guesses: u16,
    pub(crate) spray_accounts: u16,
    pub(crate) hosts: u16,
    pub(crate) many_sources: u16,
    pub(crate) many_failures: u16,
    pub(crate) before_success: u16,
}

impl Default for Logins {
    fn default() -> Self {
        let rules = Rules::default();
        Self {
            internal: Vec::new(),
            known_scanners: Vec::new(),
            scanner_accounts: Vec::new(),
            service_accounts: Vec::new(),
            privileged: rules.privileged,
            contractor: Vec::new(),
            exempt: Vec::new(),
            learn_for: Period(SignedDuration::from_hours(24 * i64::from(rules.learning_days))),
            thresholds: Thresholds::default(),
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        let Numbers {
            guesses,
            host_guesses,
            spray_accounts,
            hosts,
            many_sources,
            many_failures,
            before_success,
        } = Numbers::default();
        Self { guesses, host_guesses, spray_accounts, hosts, many_sources, many_failures, before_success }
    }
}

impl Logins {
    /// What the detectors take, without what is open for contractors at the moment.
    pub(crate) fn rules(&self, zone: TimeZone) -> Rules {
        let default = Rules::default();
        let nets = |networks: &[Network]| -> Vec<_> { networks.iter().map(|network| network.0).collect() };
        let Thresholds {
            guesses,
            host_guesses,
            spray_accounts,
            hosts,
            many_sources,
            many_failures,
            before_success,
        } = self.thresholds;
        Rules {
            internal: if self.internal.is_empty() { default.internal } else { nets(&self.internal) },
            zone,
            scanners: nets(&self.known_scanners),
            scanner_accounts: self.scanner_accounts.clone(),
            service_accounts: self.service_accounts.clone(),
            privileged: self.privileged.clone(),
            contractors: self.contractor.iter().map(Contractor::agreed).collect(),
            grants: Vec::new(),
            exempt: self.exempt.iter().map(Exempt::silent).collect(),
            learning_days: u16::try_from(self.learn_for.0.as_hours() / 24).unwrap_or(u16::MAX),
            thresholds: Numbers {
                guesses,
                host_guesses,
                spray_accounts,
                hosts,
                many_sources,
                many_failures,
                before_success,
            },
        }
    }
}

impl Contractor {
    fn agreed(&self) -> Agreed {
        let window = Window {
            days: self.days.iter().map(|day| day.weekday()).collect(),
            from: self.hours.map(|hours| hours.from),
            to: self.hours.map(|hours| hours.to),
        };
        Agreed {
            name: self.name.clone(),
            accounts: self.accounts.clone(),
            windows: if self.only_when_granted { Vec::new() } else { vec![window] },
            sources: self.sources.iter().map(|network| network.0).collect(),
            workstations: self.workstations.clone(),
            hosts: self.hosts.clone(),
        }
    }
}

impl Exempt {
    fn silent(&self) -> Silent {
        Silent {
            detector: self.detector.clone(),
            account: self.account.clone(),
            source: self.source.map(|network| network.0),
            host: self.host.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contractor_becomes_what_the_detectors_take() {
        let text = "service_accounts = [\"svc-*\"]\nlearn_for = \"3d\"\n[[contractor]]\nname = \"caterer\"\naccounts = [\"kitchen\"]\n\
            sources = [\"10.9.0.0/24\"]\nhosts = [\"menu*\"]\ndays = [\"mon\"]\nhours = \"09:00-17:00\"\n[[contractor]]\nname = \"emr\"\n\
            accounts = [\"emr-*\"]\nonly_when_granted = true\n[thresholds]\nguesses = 5\n";
        let logins: Logins = toml::from_str(text).unwrap();
        let rules = logins.rules(TimeZone::UTC);
        assert_eq!((rules.learning_days, rules.thresholds.guesses), (3, 5));
        assert_eq!(rules.contractors[0].windows.len(), 1);
        assert_eq!(rules.contractors[0].hosts, ["menu*"]);
        assert!(rules.contractors[1].windows.is_empty());
        assert_eq!(Logins::default().rules(TimeZone::UTC), Rules::default());
    }
}
