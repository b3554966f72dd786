//! `bruteforce.login_source`: one source fails again and again, fast.
//!
//! An address that many people share (a terminal server, a ward behind one address, a VPN) may fail more often: a success takes the
//! failures with that account back, and the bound grows with the people who got in from there.

use schema::{Attack, Lang, Severity};

use super::tries::Tries;
use crate::logins::Detectors;
use crate::logins::marks::{Trail, kinds};
use crate::logins::telling::{Saying, Tell, Words, host_words, source_words, span};
use crate::logins::view::{MINUTE, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.login_source",
    title: "Logs: one source guesses passwords",
    title_ja: "ログ：1つの接続元からパスワードが推測されている",
    attacks,
    make: Detector::Logins(Detectors::new),
};

const WITHIN: i64 = 10 * MINUTE;

fn attacks() -> Vec<Attack> {
    super::guessing()
}

/// Weighs a failure that was just taken in.
pub(crate) fn take(tries: &mut Tries, view: &View<'_>, tell: &mut Tell<'_>) {
    let Some(by_source) = view.source.and_then(|source| tries.sources.get_mut(&source)) else { return };
    let lately = by_source.marks.lately(WITHIN).filter(|mark| !mark.rhythmic);
    let many = by_source.too_many(view.rules.thresholds.guesses, view.at());
    if lately.clone().take(many).count() < many {
        return;
    }
    by_source.guessed = Some(view.at());
    // The Internet guesses at whatever answers it, and that alone is no news; a machine inside that does it is one that was broken into.
    let severity = if view.outside { Severity::Medium } else { Severity::High };
    let size = by_source.run.count.max(by_source.marks.len() as u64);
    let saying = Saying::new(&ENTRY, view.source.as_slice(), Trail { count: size, ..by_source.run });
    let saying = saying.severity(severity);
    if tell.goes_on(&saying) {
        return;
    }
    let recent = Trail::of(lately.clone());
    let trail = Trail { count: by_source.run.count.max(recent.count), ..by_source.run };
    tell.say(view, saying.of(trail), || {
        let accounts = kinds(lately.clone().filter_map(|mark| mark.account()));
        let hosts = kinds(lately.clone().map(|mark| mark.host));
        let source = view.source_name();
        let ([en, ja], [host, host_ja]) = (source_words(source.as_ref()), host_words(view.event.host));
        Words::new(
            [
                format!("{en} guesses passwords, lately at {host}"),
                format!("{ja} がパスワードを推測しています（直近の対象：{host_ja}）"),
            ],
            attacks(),
        )
        .because(
            format!("{} failures in {}", recent.count, span(recent.last - recent.first, Lang::En)),
            format!("{}の間に{}回失敗", span(recent.last - recent.first, Lang::Ja), recent.count),
        )
        .because(
            format!("{accounts} named accounts, {hosts} machines"),
            format!("名前の分かるアカウント{accounts}件、対象の機械{hosts}台"),
        )
        .because_if(
            !view.outside && view.address().is_some(),
            "The source is inside: look for who uses that machine, or what came in through it",
            "接続元は院内です。その機械の使用者と、そこを経由した侵入の有無を確認してください",
        )
        .from(source.as_ref())
        .on_account(view.account_name())
        .at(view.event.host)
    });
}
