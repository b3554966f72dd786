//! `scan.trw`: a source whose first contacts fail as a scanner's do.
//!
//! Threshold random walk (Jung, Paxson, Berger and Balakrishnan 2004): each first contact with a host and port moves the walk up when it
//! fails and down when it succeeds; a scanner, who does not know what is there, soon reaches the top. It needs no rate, so a slow scan
//! shows as well as a fast one. It is blind to a scan that succeeds, which is for `scan.fanout`.
//!
//! Not counted: contacts that worked before, ports by which equals share, what goes unanswered in UDP where nobody owes an answer.
//! Many machines in a hospital must not reach the Internet and try nevertheless, so failures towards web ports outside count a fifth.

use std::net::IpAddr;

use schema::{Attack, Lang, NetEvent, Severity, Sight, Tactic, Transport};
use serde::{Deserialize, Serialize};

use crate::network::pairs::Pairs;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack, listed};
use crate::network::view::{HOUR, Trail, View, number_of};
use crate::network::{Detectors, Rules};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "scan.trw",
    title: "Machines or ports are being searched for",
    title_ja: "機器やポートが探索されている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const SOURCES_MAX: usize = 131_072;
/// Contacts of a source that are told apart.
const CONTACTS: usize = 32;
const TARGETS_KEPT: usize = 8;
const PAUSE: i64 = 6 * HOUR;
/// How much a failure counts where a firewall stands between.
const OUTWARD_WEB: f32 = 0.2;

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1046", "Network Service Discovery", Tactic::Discovery),
        attack("T1595.001", "Active Scanning: Scanning IP Blocks", Tactic::Reconnaissance),
    ]
}

/// The walks of all sources.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Walks {
    sources: Table<IpAddr, Walk>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Walk {
    /// The logarithm of how much likelier a scanner is.
    level: f32,
    failed: u32,
    succeeded: u32,
    /// The first contact's hash: forged sources make no other, and millions of them need no memory of their own.
    first: u32,
    /// Contacts made lately, as hashes, in a ring.
    contacts: Vec<u32>,
    next: u8,
    last: i64,
    targets: Vec<IpAddr>,
    ports: Vec<u16>,
    trail: Trail,
}

impl Default for Walks {
    fn default() -> Self {
        Self { sources: Table::new(SOURCES_MAX) }
    }
}

impl Walks {
    pub(crate) fn evicted(&self) -> u64 {
        self.sources.evicted()
    }

    /// See [`Table::warm`].
    #[inline]
    pub(crate) fn warm(&self, event: &NetEvent) {
        let first = |walk: &Walk| walk.contacts.first().copied().map_or(0, u64::from);
        self.sources.warm(&event.contact.client.address, first);
    }

    /// Takes in that a contact was answered, refused or left unanswered.
    pub(crate) fn take(&mut self, view: &View<'_>, pairs: &Pairs, tell: &mut Tell<'_>) {
        let Some(failed) = outcome(view) else { return };
        if view.rules.is_scanner(view.client()) || view.rules.peer_ports.contains(&view.port()) {
            return;
        }
        if !failed && !view.client_inside && self.sources.get(&view.client()).is_none() {
            // Machines inside earn credit by what succeeds; of the whole Internet only those count that failed once.
            return;
        }
        if failed && view.is_east_west() && pairs.knows(view) {
            return;
        }
        let walk = self.sources.slot(view.client());
        if view.at().saturating_sub(walk.last).saturating_abs() > PAUSE {
            *walk = Walk::default();
        }
        walk.last = walk.last.max(view.at());
        if !walk.is_first_contact(view) {
            return;
        }
        let steps = view.ready.steps;
        if !failed {
            walk.succeeded += 1;
            walk.level = (walk.level + steps.success).max(steps.bottom);
            return;
        }
        walk.fail(view, &steps);
        if walk.level >= steps.top {
            walk.tell(view, tell);
        }
    }
}

/// Whether it failed; `None` for what says nothing.
fn outcome(view: &View<'_>) -> Option<bool> {
    /// UDP services that always answer.
    const ANSWERING: [u16; 8] = [53, 111, 123, 137, 161, 389, 500, 623];
    match (view.sight(), view.event.contact.transport) {
        (Sight::Answered, Transport::Tcp | Transport::Udp) => Some(false),
        (Sight::Refused, Transport::Tcp | Transport::Udp) | (Sight::Unanswered, Transport::Tcp) => Some(true),
        (Sight::Unanswered, Transport::Udp) => ANSWERING.contains(&view.port()).then_some(true),
        _ => None,
    }
}

/// How far each contact moves a walk, and between what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    failure: f32,
    success: f32,
    top: f32,
    bottom: f32,
}

impl Steps {
    pub(crate) fn of(rules: &Rules) -> Self {
        let by = &rules.thresholds;
        Self {
            failure: ((1.0 - by.walk_scanner) / (1.0 - by.walk_honest)).ln(),
            success: (by.walk_scanner / by.walk_honest).ln(),
            top: ((1.0 - by.walk_miss) / by.walk_false_alarm).ln(),
            bottom: (by.walk_miss / (1.0 - by.walk_false_alarm)).ln(),
        }
    }
}

impl Walk {
    fn is_first_contact(&mut self, view: &View<'_>) -> bool {
        let number = number_of(view.server()).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(view.port());
        let contact = (number ^ (number >> 32)) as u32;
        if self.failed + self.succeeded == 0 {
            self.first = contact;
            return true;
        }
        if self.contacts.is_empty() {
            self.contacts.push(self.first);
        }
        if self.contacts.contains(&contact) {
            return false;
        }
        if self.contacts.len() < CONTACTS {
            self.contacts.push(contact);
        } else if let Some(place) = self.contacts.get_mut(usize::from(self.next)) {
            *place = contact;
            self.next = (self.next + 1) % CONTACTS as u8;
        }
        true
    }

    fn fail(&mut self, view: &View<'_>, steps: &Steps) {
        let is_web = matches!(view.port(), 53 | 80 | 123 | 443);
        let weight = if view.client_inside && !view.server_inside && is_web { OUTWARD_WEB } else { 1.0 };
        self.failed += 1;
        self.level = (self.level + steps.failure * weight).min(2.0 * steps.top);
        self.trail.add(view.event);
        if self.failed < 2 {
            return;
        }
        if self.targets.len() < TARGETS_KEPT && !self.targets.contains(&view.server()) {
            self.targets.push(view.server());
        }
        if self.ports.len() < TARGETS_KEPT && !self.ports.contains(&view.port()) {
            self.ports.push(view.port());
        }
    }

    fn tell(&self, view: &View<'_>, tell: &mut Tell<'_>) {
        let severity = if view.client_inside { Severity::High } else { Severity::Low };
        let one_host = self.targets.len() == 1;
        let target = one_host.then(|| view.server());
        let saying = Saying::new(&ENTRY, view.client(), None, self.trail).severity(severity).pause(PAUSE);
        tell.say(saying, || {
            let source = view.client();
            let title = match target {
                Some(host) => [
                    format!("{source} searches {host} for open ports"),
                    format!("{source} が {host} の開いているポートを探しています"),
                ],
                None => [
                    format!("{source} searches the network for machines"),
                    format!("{source} がネットワーク上の機器を探しています"),
                ],
            };
            let technique = usize::from(!view.client_inside);
            let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
            Words::new(title, attacks().into_iter().skip(technique).take(1).collect())
                .because(
                    format!("{} first contacts failed, {} succeeded", self.failed, self.succeeded),
                    format!("初めての接続のうち、失敗{}件、成功{}件", self.failed, self.succeeded),
                )
                .because(
                    format!("Among them {}; ports {}", listed(&self.targets, Lang::En), ports.join(", ")),
                    format!("宛先の例: {}。ポート: {}", listed(&self.targets, Lang::Ja), ports.join("、")),
                )
                .targets(self.targets.clone())
        });
    }
}
