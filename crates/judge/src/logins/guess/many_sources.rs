//! `bruteforce.login_many_sources`: many sources guess at one host, each so seldom that no count of one source sees it.
//!
//! Measured at an exposed Remote Desktop: 126 failures from 62 addresses in five days, at most 17 from one. What tells them from people is
//! that they only ever fail: a source that gets in is no longer counted, nor, inside, one whose account gets in from elsewhere.

use schema::{Attack, AuthOutcome, Lang, Micros, Severity};
use serde::{Deserialize, Serialize};

use super::tries::WEEK;
use crate::logins::Detectors;
use crate::logins::marks::{Trail, median_gap};
use crate::logins::telling::{Saying, Tell, Words, host_words, span};
use crate::logins::view::{DAY, Key, Source, View};
use crate::table::Table;
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.login_many_sources",
    title: "Logs: many sources guess slowly at one machine",
    title_ja: "ログ：多数の接続元から1台の機械がゆっくり推測されている",
    attacks,
    make: Detector::Logins(Detectors::new),
};

const HOSTS_MAX: usize = 1024;
const SOURCES_MAX: usize = 96;
const ACCOUNTS_KEPT: usize = 4;

fn attacks() -> Vec<Attack> {
    super::guessing()
}

/// Who only ever failed at each host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Strangers(Table<Key, Vec<Stranger>>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stranger {
    key: Key,
    source: Source,
    outside: bool,
    trail: Trail,
    accounts: Vec<Key>,
}

impl Default for Strangers {
    fn default() -> Self {
        Self(Table::new(HOSTS_MAX))
    }
}

impl Strangers {
    pub(crate) fn evicted(&self) -> u64 {
        self.0.evicted()
    }

    /// Takes in a refusal or a success.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        match view.event.outcome {
            AuthOutcome::Success => self.succeed(view),
            AuthOutcome::Failure => self.fail(view, tell),
            _ => {}
        }
    }

    /// Whether enough of them guess at this host to be told together.
    pub(super) fn are_many(&self, view: &View<'_>) -> bool {
        self.0.get(&view.host).is_some_and(|strangers| {
            let alike = strangers.iter().filter(|stranger| stranger.outside == view.outside).count();
            alike >= usize::from(view.rules.thresholds.many_sources)
        })
    }

    fn succeed(&mut self, view: &View<'_>) {
        let Some(strangers) = self.0.get_mut(&view.host) else { return };
        strangers.retain(|stranger| {
            let is_known = Some(stranger.key) == view.source;
            // Whoever guesses from outside guesses at accounts that others use meanwhile.
            let is_owner =
                !stranger.outside && view.account.is_some_and(|account| stranger.accounts.contains(&account));
            !is_known && !is_owner
        });
    }

    fn fail(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let Some(key) = view.source else { return };
        let strangers = self.0.slot(view.host);
        strangers.retain(|stranger| stranger.trail.last.abs_diff(view.at()) <= WEEK.unsigned_abs());
        if !strangers.iter().any(|stranger| stranger.key == key) {
            let Some(source) = view.source_name() else { return };
            if strangers.len() >= SOURCES_MAX {
                let oldest = strangers.iter().enumerate().min_by_key(|(_, stranger)| stranger.trail.last);
                let oldest = oldest.map(|(place, _)| place).unwrap_or_default();
                strangers.swap_remove(oldest);
            }
            let (trail, accounts) = (Trail::default(), Vec::new());
            strangers.push(Stranger { key, source, outside: view.outside, trail, accounts });
        }
        let Some(stranger) = strangers.iter_mut().find(|stranger| stranger.key == key) else { return };
        stranger.trail.add(view.at());
        if let Some(account) = view.account
            && !stranger.accounts.contains(&account)
            && stranger.accounts.len() < ACCOUNTS_KEPT
        {
            stranger.accounts.push(account);
        }
        let limits = &view.rules.thresholds;
        let alike: Vec<&Stranger> =
            strangers.iter().filter(|stranger| stranger.outside == view.outside).collect();
        let failures: u64 = alike.iter().map(|stranger| stranger.trail.count).sum();
        if alike.len() >= usize::from(limits.many_sources) && failures >= u64::from(limits.many_failures) {
            say(&alike, failures, view, tell);
        }
    }
}

fn say(alike: &[&Stranger], failures: u64, view: &View<'_>, tell: &mut Tell<'_>) {
    let first = alike.iter().map(|stranger| stranger.trail.first).min().unwrap_or_default();
    let last = alike.iter().map(|stranger| stranger.trail.last).max().unwrap_or_default();
    let trail = Trail { count: failures, first, last };
    // It grows with its sources: the failures of those that are known go on for as long as the door is open.
    let size = alike.len() as u64;
    let saying = Saying::new(&ENTRY, &[view.host, u64::from(view.outside)], trail);
    let saying = Saying { size, pause: 3 * DAY, ..saying };
    tell.say(view, saying.severity(Severity::High), || {
        let [en, ja] = host_words(view.event.host);
        let most = alike.iter().map(|stranger| stranger.trail.count).max().unwrap_or_default();
        let mut ends: Vec<Micros> = alike.iter().map(|stranger| stranger.trail.last).collect();
        ends.sort_unstable();
        let gap = median_gap(&ends).unwrap_or_default();
        let sources = alike.len();
        let words = Words::new(
            [
                format!("{sources} sources guess passwords at {en}, each only now and then"),
                format!("{sources}か所の接続元が {ja} のパスワードを、それぞれ少しずつ推測しています"),
            ],
            attacks(),
        )
        .because(
            format!(
                "{failures} failures in {}, at most {most} from one source: no bound for a single source is reached",
                span(last - first, Lang::En)
            ),
            format!(
                "{}の間に{failures}回失敗（1か所あたり最大{most}回）。接続元ごとの回数では気付けません",
                span(last - first, Lang::Ja)
            ),
        )
        .because(
            format!("None of these sources ever got in; the middle gap between them is {}", span(gap, Lang::En)),
            format!("これらの接続元は一度も成功していません。接続元どうしの間隔の中央値は{}", span(gap, Lang::Ja)),
        )
        .because_if(
            view.outside,
            "The machine answers addresses outside: close that first, blocking single addresses does not help",
            "外部からの接続に応答しています。アドレスごとの遮断では防げないため、まず外部からの接続を閉じてください",
        )
        .at(view.event.host);
        let mut loudest: Vec<&&Stranger> = alike.iter().collect();
        loudest.sort_unstable_by(|a, b| b.trail.count.cmp(&a.trail.count).then(a.source.cmp(&b.source)));
        loudest.into_iter().fold(words, |words, stranger| words.from(Some(&stranger.source)))
    });
}
