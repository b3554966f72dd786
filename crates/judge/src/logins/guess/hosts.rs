//! `bruteforce.login_hosts`: one source knocks or fails at many hosts, a few times each.
//!
//! 154 connections over 11 hosts are 14 each: no count of one host sees that.

use std::collections::VecDeque;

use schema::{Attack, AuthOutcome, Lang, Micros, Severity, Tactic};
use serde::{Deserialize, Serialize};

use crate::logins::Detectors;
use crate::logins::marks::Trail;
use crate::logins::telling::{Saying, Tell, Words, attack, source_words, span};
use crate::logins::view::{Key, MINUTE, View, kept};
use crate::table::Table;
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.login_hosts",
    title: "Logs: one source tries many machines",
    title_ja: "ログ：1つの接続元から多くの機械が試されている",
    attacks,
    make: Detector::Logins(Detectors::new),
};

const SOURCES_MAX: usize = 8192;
const HOSTS_MAX: usize = 32;
const WITHIN: Micros = 10 * MINUTE;

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1110", "Brute Force", Tactic::CredentialAccess),
        attack("T1021", "Remote Services", Tactic::LateralMovement),
    ]
}

/// Where each source knocked lately without getting in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Knocks(Table<Key, VecDeque<Door>>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Door {
    host: Key,
    name: Box<str>,
    trail: Trail,
}

impl Default for Knocks {
    fn default() -> Self {
        Self(Table::new(SOURCES_MAX))
    }
}

impl Knocks {
    pub(crate) fn evicted(&self) -> u64 {
        self.0.evicted()
    }

    /// Takes in that somebody reached a host or was refused there, or got in, which explains both.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let Some(source) = view.source else { return };
        match view.event.outcome {
            AuthOutcome::Reached | AuthOutcome::Failure if !view.is_scanner() => {}
            AuthOutcome::Success | AuthOutcome::Resumed => {
                if let Some(doors) = self.0.get_mut(&source) {
                    doors.retain(|door| door.host != view.host);
                }
                return;
            }
            _ => return,
        }
        let doors = self.0.slot(source);
        doors.retain(|door| door.trail.last.abs_diff(view.at()) <= WITHIN.unsigned_abs());
        match doors.iter_mut().find(|door| door.host == view.host) {
            Some(door) => door.trail.add(view.at()),
            None => {
                if doors.len() >= HOSTS_MAX {
                    doors.pop_front();
                }
                let name = kept(view.event.host);
                doors.push_back(Door { host: view.host, name, trail: Trail::at(view.at()) });
            }
        }
        if doors.len() >= usize::from(view.rules.thresholds.hosts) {
            say(doors, view, tell);
        }
    }
}

fn say(doors: &VecDeque<Door>, view: &View<'_>, tell: &mut Tell<'_>) {
    let mut trail = Trail::default();
    for door in doors {
        trail.count += door.trail.count;
        trail.first = if trail.first == 0 { door.trail.first } else { trail.first.min(door.trail.first) };
        trail.last = trail.last.max(door.trail.last);
    }
    let severity = if view.outside { Severity::Medium } else { Severity::High };
    let size = doors.len() as u64;
    let saying = Saying { size, ..Saying::new(&ENTRY, view.source.as_slice(), trail) };
    tell.say(view, saying.severity(severity), || {
        let source = view.source_name();
        let [en, ja] = source_words(source.as_ref());
        let most = doors.iter().map(|door| door.trail.count).max().unwrap_or_default();
        let words = Words::new(
            [
                format!("{en} tries to log in at {size} machines"),
                format!("{ja} が{size}台の機械へのログインを試しています"),
            ],
            attacks(),
        )
        .because(
            format!(
                "{} connections or failures in {}, at most {most} at one machine, and no log-on",
                trail.count,
                span(trail.last - trail.first, Lang::En)
            ),
            format!(
                "{}の間に接続または失敗が{}件（1台あたり最大{most}件）、成功なし",
                span(trail.last - trail.first, Lang::Ja),
                trail.count
            ),
        )
        .from(source.as_ref());
        doors.iter().fold(words, |words, door| words.at(&door.name))
    });
}
