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
pub(crate) struct Strangers(Table<Key, AtHost>);

/// Who only ever failed at one host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Stranger>", into = "Vec<Stranger>")]
struct AtHost {
    strangers: Vec<Stranger>,
    /// Their keys and the times of their last failures, side by side: every failure asks for them.
    keys: Vec<Key>,
    lasts: Vec<Micros>,
    /// None of them failed last before the one or after the other.
    within: (Micros, Micros),
    /// Inside and outside.
    sides: [Crowd; 2],
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stranger {
    key: Key,
    source: Source,
    outside: bool,
    trail: Trail,
    accounts: Vec<Key>,
}

/// How many strangers of one side, and how often they failed.
#[derive(Debug, Clone, Copy, Default)]
struct Crowd {
    many: usize,
    failures: u64,
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
            strangers.sides[usize::from(view.outside)].many >= usize::from(view.rules.thresholds.many_sources)
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
        strangers.forget(view.at());
        strangers.add(key, view);
        let Crowd { many, failures } = strangers.sides[usize::from(view.outside)];
        let limits = &view.rules.thresholds;
        if many < usize::from(limits.many_sources) || failures < u64::from(limits.many_failures) {
            return;
        }
        // It grows with its sources: the failures of those that are known go on for as long as the door is open.
        let about = [view.host, u64::from(view.outside)];
        let saying = Saying::new(&ENTRY, &about, Trail::at(view.at())).severity(Severity::High);
        let saying = Saying { size: many as u64, pause: 3 * DAY, ..saying };
        if !tell.goes_on(&saying) {
            let of_side = |stranger: &&Stranger| stranger.outside == view.outside;
            say(&strangers.strangers.iter().filter(of_side).collect::<Vec<_>>(), saying, view, tell);
        }
    }
}

impl AtHost {
    /// Forgets who did not fail within a week of that.
    fn forget(&mut self, at: Micros) {
        let (oldest, latest) = self.within;
        if at.saturating_sub(oldest).max(latest.saturating_sub(at)) > WEEK {
            self.retain(|stranger| stranger.trail.last.abs_diff(at) <= WEEK.unsigned_abs());
        }
    }

    fn retain(&mut self, stays: impl FnMut(&Stranger) -> bool) {
        let before = self.strangers.len();
        let mut strangers = std::mem::take(&mut self.strangers);
        strangers.retain(stays);
        if strangers.len() < before {
            *self = Self::from(strangers);
        } else {
            self.strangers = strangers;
            self.bound();
        }
    }

    fn bound(&mut self) {
        let (oldest, latest) = (self.lasts.iter().min(), self.lasts.iter().max());
        self.within = oldest.copied().zip(latest.copied()).unwrap_or((Micros::MAX, Micros::MIN));
    }

    /// Takes in a failure; who failed last the longest ago goes where there are too many.
    fn add(&mut self, key: Key, view: &View<'_>) {
        let place = match self.keys.iter().position(|known| *known == key) {
            Some(place) => place,
            None => {
                let Some(source) = view.source_name() else { return };
                let accounts = self.make_room();
                let (trail, outside) = (Trail::default(), view.outside);
                self.strangers.push(Stranger { key, source, outside, trail, accounts });
                self.keys.push(key);
                self.lasts.push(view.at());
                self.sides[usize::from(outside)].many += 1;
                self.keys.len() - 1
            }
        };
        let stranger = &mut self.strangers[place];
        stranger.trail.add(view.at());
        self.lasts[place] = stranger.trail.last;
        self.within = (self.within.0.min(stranger.trail.last), self.within.1.max(stranger.trail.last));
        self.sides[usize::from(stranger.outside)].failures += 1;
        if let Some(account) = view.account
            && stranger.accounts.len() < ACCOUNTS_KEPT
            && !stranger.accounts.contains(&account)
        {
            stranger.accounts.push(account);
        }
    }

    /// Makes room for one more; gives back a list to be used again.
    fn make_room(&mut self) -> Vec<Key> {
        if self.strangers.len() < SOURCES_MAX {
            return Vec::new();
        }
        let oldest = self.lasts.iter().copied().min().unwrap_or_default();
        let oldest = self.lasts.iter().position(|last| *last == oldest).unwrap_or_default();
        let Stranger { outside, trail, mut accounts, .. } = self.strangers.swap_remove(oldest);
        self.keys.swap_remove(oldest);
        self.lasts.swap_remove(oldest);
        let side = &mut self.sides[usize::from(outside)];
        *side = Crowd { many: side.many - 1, failures: side.failures.saturating_sub(trail.count) };
        accounts.clear();
        accounts
    }
}

impl From<Vec<Stranger>> for AtHost {
    fn from(strangers: Vec<Stranger>) -> Self {
        let mut sides = [Crowd::default(); 2];
        for Stranger { outside, trail, .. } in &strangers {
            let side = &mut sides[usize::from(*outside)];
            *side = Crowd { many: side.many + 1, failures: side.failures.saturating_add(trail.count) };
        }
        let keys = strangers.iter().map(|stranger| stranger.key).collect();
        let lasts = strangers.iter().map(|stranger| stranger.trail.last).collect();
        let mut at_host = Self { strangers, keys, lasts, within: Default::default(), sides };
        at_host.bound();
        at_host
    }
}

impl From<AtHost> for Vec<Stranger> {
    fn from(at_host: AtHost) -> Self {
        at_host.strangers
    }
}

fn say(alike: &[&Stranger], saying: Saying, view: &View<'_>, tell: &mut Tell<'_>) {
    let first = alike.iter().map(|stranger| stranger.trail.first).min().unwrap_or_default();
    let last = alike.iter().map(|stranger| stranger.trail.last).max().unwrap_or_default();
    let failures = alike.iter().map(|stranger| stranger.trail.count).sum();
    let trail = Trail { count: failures, first, last };
    tell.say(view, Saying { trail, ..saying }, || {
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

#[cfg(test)]
mod tests {
    use schema::{AuthEvent, AuthProtocol, AuthReason};

    use super::*;
    use crate::logins::rules::Rules;
    use crate::logins::telling::Episodes;

    /// What is kept beside the strangers is what counting them anew gives, also after successes, weeks and more sources than are kept.
    #[test]
    fn the_counts_beside_the_strangers_are_theirs() {
        let (rules, mut strangers) = (Rules::default(), Strangers::default());
        let (mut episodes, mut out) = (Episodes::default(), Vec::new());
        let mut most = 0;
        for n in 0_i64..6_000 {
            let byte = |n: i64| u8::try_from(n % 251).unwrap();
            let (net, sources) = if n % 3 == 0 { ([10, 0, 0], 40) } else { ([203, 0, 113], 50 + n / 40) };
            let source = [net[0], net[1], net[2], byte(n * 7 % sources)].into();
            let is_in = n % 97 == 0;
            // Now and then nothing for some days, and a clock that is behind.
            let at = 1_700_000_000_000_000 + n * 60_000_000 + n / 500 * 3 * DAY - n % 11 * 600_000_000;
            let event = AuthEvent {
                at,
                host: "emr1",
                protocol: AuthProtocol::Rdp,
                outcome: if is_in { AuthOutcome::Success } else { AuthOutcome::Failure },
                reason: if is_in { AuthReason::None } else { AuthReason::WrongSecret },
                account: Some(if n % 5 == 0 { "yamada" } else { "suzuki" }),
                domain: None,
                source: Some(source),
                workstation: None,
                logon_type: Some(3),
                session: None,
            };
            let view = View::of(&event, &rules).unwrap();
            strangers.take(&view, &mut Tell { rules: &rules, episodes: &mut episodes, out: &mut out });
            let Some(kept) = strangers.0.get(&view.host) else { continue };
            let anew = AtHost::from(kept.strangers.clone());
            let crowds = |of: &AtHost| of.sides.map(|side| (side.many, side.failures));
            assert_eq!(
                (crowds(kept), &kept.keys, &kept.lasts),
                (crowds(&anew), &anew.keys, &anew.lasts),
                "{n}"
            );
            let week = |last: &Micros| last.abs_diff(at) <= WEEK.unsigned_abs();
            assert!(is_in || kept.lasts.iter().all(week), "{n}");
            assert!(kept.within.0 <= anew.within.0 && anew.within.1 <= kept.within.1, "{n}");
            most = most.max(kept.keys.len());
        }
        assert_eq!((most, out.is_empty()), (SOURCES_MAX, false));
    }
}
