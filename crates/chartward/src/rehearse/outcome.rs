//! What came of the attack, and what the hub did when.

use jiff::Timestamp;
use prove::State;
use schema::{Finding, Incident};

use super::encryptor::Deed;
use super::watched::Told;

/// What came of the attack.
#[derive(Default)]
pub(super) struct Outcome {
    /// What the attacker wrote down.
    pub(super) deeds: Vec<Deed>,
    /// What the guard says that it holds, undoes and does not see; `None` without a guard.
    pub(super) watcher: Option<Vec<String>>,
    /// What it found.
    pub(super) findings: Vec<Finding>,
    /// Files it put back.
    pub(super) put_back: u64,
    /// From the first harmful act to the attacker standing still.
    pub(super) time_to_stop_ms: Option<u64>,
    /// What the hub did when.
    pub(super) times: Times,
    /// The hub's incident, and where it stands written.
    pub(super) incident: Option<(State, Incident)>,
}

/// What the hub did, in milliseconds after the first harmful act.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    /// The incident's number.
    pub(super) incident: Option<String>,
    pub(super) finding_ms: Option<u64>,
    pub(super) incident_ms: Option<u64>,
    pub(super) isolated_ms: Option<u64>,
    /// See the summary.
    pub(super) isolation_verified: Option<bool>,
}

impl Times {
    pub(super) fn of(told: Option<&Told>, first: Option<&Deed>, isolation_verified: Option<bool>) -> Times {
        let (Some(told), Some(first)) = (told, first) else {
            return Times { isolation_verified, ..Times::default() };
        };
        let after = |at: Option<Timestamp>| at.map(|at| milliseconds(first.at, at));
        Times {
            incident: Some(told.incident.id.to_string()),
            finding_ms: after(told.incident.samples.iter().map(|finding| finding.time).min()),
            incident_ms: after(told.opened_at()),
            isolated_ms: after(told.isolated_at()),
            isolation_verified,
        }
    }
}

/// Times in lines of JSON are cut to milliseconds, so that the later of two may seem the earlier.
pub(super) fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}
