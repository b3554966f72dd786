//! `bruteforce.login_host`: one host is guessed at, counted over all sources together.

use schema::{Attack, Lang, Micros};

use super::tries::Tries;
use crate::logins::Detectors;
use crate::logins::marks::{Trail, kinds, kinds_to};
use crate::logins::telling::{Saying, Tell, Words, host_words, span};
use crate::logins::view::{MINUTE, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.login_host",
    title: "Logs: one machine is guessed at, over all sources",
    title_ja: "ログ：1台の機械に対する推測（全接続元の合計）",
    attacks,
    make: Detector::Logins(Detectors::new),
};

const WITHIN: Micros = 10 * MINUTE;
/// From fewer sources it is they who are told.
const SOURCES: usize = 3;

fn attacks() -> Vec<Attack> {
    super::guessing()
}

/// Weighs a failure that was just taken in.
pub(crate) fn take(tries: &mut Tries, view: &View<'_>, tell: &mut Tell<'_>) {
    let Some(marks) = tries.hosts.get_mut(&view.host) else { return };
    if !marks.reach(view.rules.thresholds.host_guesses.into(), WITHIN) {
        return;
    }
    let has_nameless = marks.has_nameless();
    let lately = marks.lately(WITHIN);
    let is_from_few = kinds_to(SOURCES, marks.sources_lately(WITHIN)) < SOURCES;
    if is_from_few && (!has_nameless || lately.clone().all(|mark| mark.source().is_some())) {
        return;
    }
    let saying = Saying::new(&ENTRY, &[view.host], marks.trail());
    if tell.goes_on(&saying) {
        return;
    }
    let trail = Trail::of(lately.clone());
    tell.say(view, saying.of(trail), || {
        let sources = kinds(marks.sources_lately(WITHIN));
        let accounts = kinds(lately.clone().filter_map(|mark| mark.account()));
        let nameless = lately.clone().any(|mark| mark.source().is_none());
        let [en, ja] = host_words(view.event.host);
        Words::new(
            [
                format!("Passwords are guessed at {en}"),
                format!("{ja} に対しパスワードが推測されています"),
            ],
            attacks(),
        )
        .because(
            format!(
                "{} failures in {} from {sources} sources with {accounts} named accounts, none of them followed by a success",
                trail.count,
                span(trail.last - trail.first, Lang::En)
            ),
            format!(
                "{}の間に{}回失敗（接続元{sources}か所、名前の分かるアカウント{accounts}件）。いずれもその後に成功していません",
                span(trail.last - trail.first, Lang::Ja),
                trail.count
            ),
        )
        .because_if(
            nameless,
            "For some of them the log tells no source: compare the log of Remote Desktop itself (RdpCoreTS)",
            "接続元の記録がないものがあります。リモートデスクトップ本体のログ（RdpCoreTS）も確認してください",
        )
        .at(view.event.host)
    });
}
