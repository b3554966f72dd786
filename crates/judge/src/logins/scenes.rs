//! Logons that a test makes up: each scene is what one person, service or attacker does, as a log would tell it.

mod contracts;
mod doors;
mod guesses;
mod habits;

use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason, Micros};
use serde::{Deserialize, Serialize};

use super::Rules;

/// 2018-10-14 23:00 UTC, a Monday, eight in the morning in Japan.
pub(super) const START: Micros = 1_539_558_000_000_000;
pub(super) const MINUTE: f64 = 60.0;
pub(super) const HOUR: f64 = 3600.0;
pub(super) const DAY: f64 = 86_400.0;

/// One event, kept in a fixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logon {
    pub(super) at: Micros,
    pub(super) host: String,
    pub(super) protocol: AuthProtocol,
    pub(super) outcome: AuthOutcome,
    #[serde(default = "none", skip_serializing_if = "is_none")]
    pub(super) reason: AuthReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<std::net::IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) workstation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) logon_type: Option<u8>,
}

fn none() -> AuthReason {
    AuthReason::None
}

fn is_none(reason: &AuthReason) -> bool {
    *reason == AuthReason::None
}

impl Logon {
    pub(crate) fn event(&self) -> AuthEvent<'_> {
        AuthEvent {
            at: self.at,
            host: &self.host,
            protocol: self.protocol,
            outcome: self.outcome,
            reason: self.reason,
            account: self.account.as_deref(),
            domain: None,
            source: self.source,
            workstation: self.workstation.as_deref(),
            logon_type: self.logon_type,
            session: None,
        }
    }
}

/// A scene for a detector's fixtures.
pub(super) struct Scene {
    pub(super) detector: &'static str,
    /// The file's name.
    pub(super) name: &'static str,
    pub(super) is_attack: bool,
    pub(super) rules: Rules,
    pub(super) events: Vec<Logon>,
}

pub(super) fn attack(detector: &'static str, name: &'static str, stage: Stage) -> Scene {
    let mut events = stage.events;
    events.sort_by_key(|event| event.at);
    Scene { detector, name, is_attack: true, rules: stage.rules, events }
}

pub(super) fn benign(detector: &'static str, name: &'static str, stage: Stage) -> Scene {
    Scene { is_attack: false, ..attack(detector, name, stage) }
}

/// All scenes.
pub(super) fn all() -> Vec<Scene> {
    [guesses::scenes(), habits::scenes(), contracts::scenes(), doors::scenes()]
        .into_iter()
        .flatten()
        .collect()
}

/// Where a scene is played.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) rules: Rules,
    pub(super) events: Vec<Logon>,
    pub(super) at: Micros,
    pub(super) protocol: AuthProtocol,
    pub(super) logon_type: Option<u8>,
    dice: u64,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            rules: Rules { zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(9)), ..Rules::default() },
            events: Vec::new(),
            at: START,
            protocol: AuthProtocol::Rdp,
            logon_type: None,
            dice: 7,
        }
    }
}

impl Stage {
    pub(super) fn by(protocol: AuthProtocol) -> Self {
        Self { protocol, ..Self::default() }
    }

    pub(super) fn wait(&mut self, seconds: f64) {
        self.at += (seconds * 1e6) as Micros;
    }

    /// The same number each time the tests run.
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % below
    }

    /// `from`: an address, a workstation's name, or nothing.
    fn see(&mut self, outcome: AuthOutcome, reason: AuthReason, account: &str, from: &str, host: &str) {
        let source = from.parse().ok();
        self.events.push(Logon {
            at: self.at,
            host: host.to_owned(),
            protocol: self.protocol,
            outcome,
            reason,
            account: (!account.is_empty()).then(|| account.to_owned()),
            source,
            workstation: (source.is_none() && !from.is_empty()).then(|| from.to_owned()),
            logon_type: self.logon_type,
        });
    }

    pub(super) fn fail(&mut self, account: &str, from: &str, host: &str) {
        self.see(AuthOutcome::Failure, AuthReason::WrongSecret, account, from, host);
    }

    pub(super) fn unknown(&mut self, account: &str, from: &str, host: &str) {
        self.see(AuthOutcome::Failure, AuthReason::NoSuchAccount, account, from, host);
    }

    pub(super) fn enter(&mut self, account: &str, from: &str, host: &str) {
        self.see(AuthOutcome::Success, AuthReason::None, account, from, host);
    }

    pub(super) fn reach(&mut self, from: &str, host: &str) {
        self.see(AuthOutcome::Reached, AuthReason::None, "", from, host);
    }
}
