//! `bruteforce.login_slow`: one source guesses so slowly that no count within minutes sees it.
//!
//! The middle one of the last four gaps is ten minutes or more, and nothing succeeded between: a person who mistypes tries again at once,
//! and gets in.

use schema::{Attack, Lang, Micros, Severity};

use super::many_sources::Strangers;
use super::tries::Tries;
use crate::logins::Detectors;
use crate::logins::marks::{Trail, kinds, median_gap};
use crate::logins::telling::{Saying, Tell, Words, host_words, source_words, span};
use crate::logins::view::{MINUTE, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.login_slow",
    title: "Logs: one source guesses slowly",
    title_ja: "ログ：1つの接続元からゆっくり推測されている",
    attacks,
    make: Detector::Logins(Detectors::new),
};

const GAPS: usize = 4;
const SLOW: Micros = 10 * MINUTE;
/// Where several people work, several of them give up on a day.
const ALONE: usize = 3;

fn attacks() -> Vec<Attack> {
    super::guessing()
}

/// Weighs a failure that was just taken in.
pub(crate) fn take(tries: &mut Tries, strangers: &Strangers, view: &View<'_>, tell: &mut Tell<'_>) {
    let Some(by_source) = view.source.and_then(|source| tries.sources.get_mut(&source)) else { return };
    let mut times = [0; GAPS + 1];
    let last = times.iter_mut().rev().zip(by_source.loose().rev());
    if last.map(|(time, mark)| *time = mark.at).count() <= GAPS {
        return;
    }
    // Of four gaps those in the middle are no longer than all together.
    if times[GAPS] - times[0] < 2 * SLOW || by_source.people(view.at()) > ALONE {
        return;
    }
    let Some(gap) = median_gap(&times).filter(|gap| *gap >= SLOW) else { return };
    by_source.guessed = Some(view.at());
    // One of many: they are told together.
    if view.outside && strangers.are_many(view) {
        return;
    }
    // From outside it is one of the many that the Internet sends; from inside it is a machine that should be looked at.
    let severity = if view.outside { Severity::Low } else { Severity::Medium };
    let saying = Saying::new(&ENTRY, view.source.as_slice(), by_source.marks.trail());
    let saying = Saying { pause: 3 * crate::logins::view::DAY, ..saying.severity(severity) };
    if tell.goes_on(&saying) {
        return;
    }
    let trail = Trail::of(by_source.loose());
    tell.say(view, saying.of(trail), || {
        let accounts = kinds(by_source.loose().filter_map(|mark| mark.account()));
        let source = view.source_name();
        let ([en, ja], [host, host_ja]) = (source_words(source.as_ref()), host_words(view.event.host));
        Words::new(
            [
                format!("{en} guesses slowly at {host}"),
                format!("{ja} が {host_ja} に対し、間隔を空けて推測しています"),
            ],
            attacks(),
        )
        .because(
            format!(
                "{} failures of {accounts} named accounts without a success between; the middle gap is {}",
                trail.count,
                span(gap, Lang::En)
            ),
            format!(
                "成功を挟まずに{}回失敗（名前の分かるアカウント{accounts}件）。間隔の中央値は{}",
                trail.count,
                span(gap, Lang::Ja)
            ),
        )
        .because_if(
            accounts == 1 && !view.outside,
            "With one account only it may also be a device with an old password",
            "アカウントが1件だけの場合、古いパスワードが残った機器の可能性もあります",
        )
        .from(source.as_ref())
        .on_account(view.account_name())
        .at(view.event.host)
    });
}
