//! `exposure.stale_password`: the same account fails from the same source at regular times, for days: a service, a task or a device
//! with an old password.
//!
//! It is told once, as what it most likely is, and kept out of the counts of guessing. From outside it has to be a pair that got in
//! before: whoever guesses there guesses regularly too.

use schema::{Attack, AuthReason, FindingClass, Lang, Micros, Severity};
use serde::{Deserialize, Serialize};

use crate::logins::Detectors;
use crate::logins::first_seen::Known;
use crate::logins::halves::Other;
use crate::logins::marks::Trail;
use crate::logins::telling::{Saying, Tell, Words, account_words, host_words, source_words, span};
use crate::logins::view::{DAY, Key, MINUTE, SECOND, View, joined};
use crate::table::Table;
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "exposure.stale_password",
    title: "A service or a device uses an old password",
    title_ja: "古いパスワードのままのサービスまたは機器がある",
    attacks,
    make: Detector::Logins(Detectors::new),
};

const TRIPLES_MAX: usize = 16_384;
/// Failures whose gaps have to be alike.
const TIMES: usize = 5;
const GAP_MIN: Micros = 20 * SECOND;
const GAP_MAX: Micros = 25 * 60 * MINUTE;

fn attacks() -> Vec<Attack> {
    Vec::new()
}

/// Who fails where with what, and when it did last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rhythms(Table<Key, Rhythm>);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Rhythm {
    times: Vec<Micros>,
    run: Trail,
    regular: bool,
}

impl Default for Rhythms {
    fn default() -> Self {
        Self(Table::new(TRIPLES_MAX))
    }
}

impl Rhythms {
    pub(crate) fn evicted(&self) -> u64 {
        self.0.evicted()
    }

    pub(crate) fn succeed(&mut self, view: &View<'_>) {
        let Some(account) = view.account else { return };
        self.0.remove(&joined(&[account, view.source.unwrap_or_default(), view.host]));
    }

    /// Takes in a refusal; says whether it belongs to a rhythm.
    pub(in crate::logins) fn fail(
        &mut self,
        view: &View<'_>,
        other: Option<&Other>,
        known: &Known,
        tell: &mut Tell<'_>,
    ) -> bool {
        let Some(account) = view.account else { return false };
        let source = view.source.unwrap_or_default();
        if let Some(Other::Account(_)) = other {
            // The other half had the account and was weighed without a source.
            let half = self.0.get(&joined(&[account, 0, view.host]));
            return half.is_some_and(|rhythm| rhythm.regular);
        }
        if view.outside && !known.has_pair(account, view.source) {
            return false;
        }
        let about = joined(&[account, source, view.host]);
        let rhythm = self.0.slot(about);
        if !rhythm.add(view.at()) {
            return false;
        }
        let gap = rhythm.gap();
        let saying = Saying::new(&ENTRY, &[about], rhythm.run)
            .severity(Severity::Medium)
            .class(FindingClass::Compliance)
            .once();
        tell.say(view, saying, || words(view, gap));
        true
    }
}

impl Rhythm {
    /// Whether the gaps are alike once this one has come.
    fn add(&mut self, at: Micros) -> bool {
        let Some(last) = self.times.last().copied() else {
            self.times.push(at);
            self.run.add(at);
            return false;
        };
        // One logon can leave several records, and records can come late: neither breaks a rhythm.
        if at.saturating_sub(last) < 2 * SECOND {
            return self.regular;
        }
        if at.saturating_sub(last) > 3 * DAY {
            *self = Self::default();
        }
        if self.times.len() >= TIMES {
            self.times.remove(0);
        }
        self.times.push(at);
        self.run.add(at);
        self.regular = self.is_regular();
        self.regular
    }

    fn gap(&self) -> Micros {
        crate::logins::marks::median_gap(&self.times).unwrap_or_default()
    }

    /// Every gap is the middle one or, where one was missed, twice that, give or take a tenth.
    fn is_regular(&self) -> bool {
        let gap = self.gap();
        let slack = (gap / 10).max(2 * SECOND);
        let fits = |seen: Micros| [1, 2].iter().any(|times| (seen - gap * times).abs() <= slack * times);
        self.times.len() >= TIMES
            && (GAP_MIN..=GAP_MAX).contains(&gap)
            && self.times.windows(2).all(|pair| fits(pair[1] - pair[0]))
    }
}

fn words(view: &View<'_>, gap: Micros) -> Words {
    let source = view.source_name();
    let ([account, account_ja], [host, host_ja]) =
        (account_words(view.account_name()), host_words(view.event.host));
    let [from, from_ja] = source_words(source.as_ref());
    Words::new(
        [
            format!("{account} is refused at {host} at regular times: a service or device with an old password"),
            format!("{account_ja} が {host_ja} で定期的に拒否されています。古いパスワードのサービスまたは機器と思われます"),
        ],
        attacks(),
    )
    .because(
        format!("It comes from {from} every {} and never gets in", span(gap, Lang::En)),
        format!("{from_ja} から{}ごとに試み、一度も成功していません", span(gap, Lang::Ja)),
    )
    .because_if(
        view.event.reason == AuthReason::Expired,
        "The log says that the password or the account is past its date",
        "ログによると、パスワードまたはアカウントの期限が切れています",
    )
    .because(
        "Set the new password there, or remove the task; if nobody knows it, take it for slow guessing".to_owned(),
        "そのサービスに新しいパスワードを設定するか、不要な処理を止めてください。心当たりがなければ推測攻撃として調べてください".to_owned(),
    )
    .on_account(view.account_name())
    .at(view.event.host)
    .seen_from(source.as_ref())
}
