//! `bruteforce.rdp`: log-ons to Remote Desktop that fail one after another, told by the shape of their flows behind TLS and NLA.
//!
//! Measured with NLA: a failed log-on takes 20 to 25 packets, 4.3 to 5.0 kB and less than 0.4 s; a successful one 59 to 80 packets and 10
//! to 20 kB; a session 31 kB and more. Other stacks and longer certificates are allowed for. A monitor that looks at the certificate alone
//! sends less than a client that authenticates.

use schema::{Attack, Severity, Tactic, Traffic};

use super::logons::{Kind, Logons};
use crate::network::Detectors;
use crate::network::telling::{Tell, attack};
use crate::network::view::{SECOND, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.rdp",
    title: "Passwords of Remote Desktop are being guessed",
    title_ja: "リモートデスクトップのパスワードが推測されている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const KIND: Kind = Kind {
    entry: &ENTRY,
    name: ["Remote Desktop", "リモートデスクトップ"],
    is_failed,
    is_session,
    inside: Severity::High,
};

fn attacks() -> Vec<Attack> {
    vec![attack("T1110.001", "Brute Force: Password Guessing", Tactic::CredentialAccess)]
}

fn is_failed(traffic: &Traffic) -> bool {
    let packets: u64 = traffic.packets.iter().sum();
    let payload: u64 = traffic.payload.iter().sum();
    (14..=50).contains(&packets)
        && (2_000..=9_000).contains(&payload)
        && traffic.payload[0] >= 700
        && traffic.payload[1] >= 700
        && traffic.last - traffic.first <= 8 * SECOND
}

fn is_session(traffic: &Traffic) -> bool {
    traffic.payload.iter().sum::<u64>() >= 25_000 && traffic.last - traffic.first >= 5 * SECOND
}

/// Takes in the end of a flow that speaks RDP.
pub(crate) fn take(logons: &mut Logons, view: &View<'_>, tell: &mut Tell<'_>) {
    logons.take(&KIND, view, tell);
}
