//! `scan.icmp`: one machine calls many others by ICMP to learn which of them are there.
//!
//! Monitoring calls many too, but those that it knows, and most of them answer. A sweep meets addresses where nobody is, or goes
//! through them one by one.

use std::net::IpAddr;

use schema::{Attack, Micros, Severity, Sight, Tactic, Transport};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{DAY, HOUR, MINUTE, Recent, Trail, View, number_of};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "scan.icmp",
    title: "Addresses are being called to find machines",
    title_ja: "機器を見つけるためにアドレスが次々に呼び出されている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const SOURCES_MAX: usize = 16_384;
/// Addresses of each source that are told apart; of more, how many.
const KEPT: usize = 64;
/// Calls of a day, of all sources.
const BEFORE_MAX: usize = 65_536;
const WITHIN: i64 = 5 * MINUTE;
/// So many addresses that were not called on the day before, a third of which do not answer.
const SILENT_MANY: usize = 12;
/// So many addresses one after the other.
const IN_A_ROW: u32 = 16;
const PAUSE: i64 = HOUR;

fn attacks() -> Vec<Attack> {
    vec![attack("T1018", "Remote System Discovery", Tactic::Discovery)]
}

/// Who calls whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Calls {
    sources: Table<IpAddr, Caller>,
    /// Who called whom, and when for the last time.
    before: Table<(IpAddr, IpAddr), Micros>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Caller {
    /// New addresses of the last minutes.
    called: Recent,
    /// How many of them found no room.
    more: u64,
    answered: Recent,
    /// Length of the run of addresses that follow each other, and its last.
    row: u32,
    last: u64,
    trail: Trail,
}

impl Default for Calls {
    fn default() -> Self {
        Self { sources: Table::new(SOURCES_MAX), before: Table::new(BEFORE_MAX) }
    }
}

impl Calls {
    pub(crate) fn evicted(&self) -> u64 {
        self.sources.evicted() + self.before.evicted()
    }

    /// Takes in a call, or its answer.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        if view.event.contact.transport != Transport::Icmp || view.rules.is_scanner(view.client()) {
            return;
        }
        let number = number_of(view.server());
        match view.sight() {
            Sight::Opened { .. } => {
                if !self.is_new(view) {
                    return;
                }
                let caller = self.sources.slot(view.client());
                caller.call(view, number);
                caller.weigh(view, Judged::Row, tell);
            }
            Sight::Answered => {
                let caller = self.sources.slot(view.client());
                if !caller.answered.has(number) {
                    caller.answered.add(view.event, number, PAUSE, KEPT);
                }
            }
            Sight::Unanswered | Sight::Refused => {
                if let Some(caller) = self.sources.get_mut(&view.client()) {
                    caller.weigh(view, Judged::Silence, tell);
                }
            }
            // The capture ended before anybody could say that nothing came back.
            Sight::Traffic { traffic, .. } if traffic.packets[1] == 0 => {
                if let Some(caller) = self.sources.get_mut(&view.client()) {
                    caller.weigh(view, Judged::Silence, tell);
                }
            }
            _ => {}
        }
    }

    /// Whether it was not called within a day before.
    fn is_new(&mut self, view: &View<'_>) -> bool {
        let (last, is_first) = self.before.place((view.client(), view.server()));
        let before = std::mem::replace(last, view.at());
        is_first || view.at().saturating_sub(before).saturating_abs() > DAY
    }
}

#[derive(Clone, Copy)]
enum Judged {
    Row,
    Silence,
}

impl Caller {
    fn call(&mut self, view: &View<'_>, number: u64) {
        if view.at().saturating_sub(self.trail.last).saturating_abs() > WITHIN {
            (self.trail, self.row, self.more) = (Trail::default(), 0, 0);
        }
        self.more += u64::from(self.called.len() >= KEPT);
        self.called.add(view.event, number, WITHIN, KEPT);
        self.trail.add(view.event);
        self.row = if number.abs_diff(self.last) == 1 { self.row + 1 } else { 1 };
        self.last = number;
    }

    fn weigh(&self, view: &View<'_>, judged: Judged, tell: &mut Tell<'_>) {
        let can_be = match judged {
            Judged::Row => self.row >= IN_A_ROW,
            Judged::Silence => self.called.len() >= SILENT_MANY,
        };
        if !can_be {
            return;
        }
        let called = self.called.kinds();
        let silent = self.called.marks().filter(|mark| !self.answered.has(mark.what)).count();
        let is_sweep = match judged {
            Judged::Row => self.row >= IN_A_ROW,
            Judged::Silence => called >= SILENT_MANY && silent * 3 >= called,
        };
        if !is_sweep {
            return;
        }
        let severity = if view.client_inside { Severity::Medium } else { Severity::Low };
        let mut trail = self.called.trail();
        trail.count += self.more;
        let all = called as u64 + self.more;
        let saying = Saying::new(&ENTRY, view.client(), None, trail).severity(severity).pause(PAUSE);
        tell.say(saying, || {
            let source = view.client();
            Words::new(
                [
                    format!("{source} calls address after address to find machines"),
                    format!("{source} がアドレスを次々に呼び出して機器を探しています"),
                ],
                attacks(),
            )
            .because(
                format!("{all} addresses called one soon after the other; of the last {called}, {silent} without an answer so far"),
                format!("短い間隔で{all}件のアドレスを呼び出し、最後の{called}件のうち{silent}件は応答なし"),
            )
            .because_if(
                self.row >= IN_A_ROW,
                "The addresses follow one another",
                "アドレスが順番に並んでいます",
            )
            .targets(vec![view.server()])
        });
    }
}
