//! `bruteforce.ssh`: short SSH connections one after another, on whatever port its banner is seen.
//!
//! After the exchange of keys, a server that refuses passwords says next to nothing; one that lets somebody in sends its host keys, opens
//! a channel and answers. So a job that logs on with a key every few seconds is larger on the server's side than a guess is.

use schema::{Attack, Severity, Tactic, Traffic};

use super::logons::{Kind, Logons};
use crate::network::Detectors;
use crate::network::telling::{Tell, attack};
use crate::network::view::{MINUTE, SECOND, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.ssh",
    title: "Passwords of SSH are being guessed",
    title_ja: "SSHのパスワードが推測されている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const KIND: Kind =
    Kind { entry: &ENTRY, name: ["SSH", "SSH"], is_failed, is_session, inside: Severity::Medium };

fn attacks() -> Vec<Attack> {
    vec![attack("T1110.001", "Brute Force: Password Guessing", Tactic::CredentialAccess)]
}

fn is_failed(traffic: &Traffic) -> bool {
    (600..=6_000).contains(&traffic.payload[0])
        && (700..=3_600).contains(&traffic.payload[1])
        && traffic.last - traffic.first <= 2 * MINUTE
}

fn is_session(traffic: &Traffic) -> bool {
    traffic.payload[1] >= 8_000 && traffic.last - traffic.first >= 10 * SECOND
}

/// Takes in the end of a flow that speaks SSH.
pub(crate) fn take(logons: &mut Logons, view: &View<'_>, tell: &mut Tell<'_>) {
    logons.take(&KIND, view, tell);
}
