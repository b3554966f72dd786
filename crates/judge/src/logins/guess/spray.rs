//! `bruteforce.login_spray`: one source tries many accounts, each only a few times.
//!
//! Where people mistype, they get in at last; an account that the source gets in with does not count.

use schema::{Attack, AuthReason, Lang, Severity, Tactic};

use super::tries::Tries;
use crate::logins::Detectors;
use crate::logins::marks::{Trail, kinds, kinds_to};
use crate::logins::telling::{Saying, Tell, Words, attack, host_words, source_words, span};
use crate::logins::view::{DAY, MINUTE, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.login_spray",
    title: "Logs: one source tries many accounts",
    title_ja: "ログ：1つの接続元から多くのアカウントが試されている",
    attacks,
    make: Detector::Logins(Detectors::new),
};

const WITHIN: i64 = 30 * MINUTE;

fn attacks() -> Vec<Attack> {
    vec![attack("T1110.003", "Brute Force: Password Spraying", Tactic::CredentialAccess)]
}

/// Weighs a failure that was just taken in.
pub(crate) fn take(tries: &mut Tries, view: &View<'_>, tell: &mut Tell<'_>) {
    if view.account.is_none() {
        return;
    }
    let Some(by_source) = view.source.and_then(|source| tries.sources.get_mut(&source)) else { return };
    let many = by_source.too_many(view.rules.thresholds.spray_accounts, view.at());
    if !by_source.marks.has_accounts(many) {
        return;
    }
    let fast = by_source.marks.lately(WITHIN).filter_map(|mark| mark.account());
    let slow = by_source.marks.lately(DAY).filter_map(|mark| mark.account());
    // Over a day half as many more: a desk where people come and go collects some that give up.
    if kinds_to(many, fast) < many && kinds_to(many + many / 2, slow.clone()) < many + many / 2 {
        return;
    }
    by_source.guessed = Some(view.at());
    let severity = if view.outside { Severity::Medium } else { Severity::High };
    let trail = by_source.marks.trail();
    let saying = Saying::new(&ENTRY, view.source.as_slice(), trail).severity(severity);
    if tell.goes_on(&saying) {
        return;
    }
    let (slow, trail) = (kinds(slow), Trail::of(by_source.marks.lately(DAY)));
    tell.say(view, Saying { size: slow as u64, ..saying.of(trail) }, || {
        let source = view.source_name();
        let ([en, ja], [host, host_ja]) = (source_words(source.as_ref()), host_words(view.event.host));
        Words::new(
            [
                format!("{en} tries one account after another, lately at {host}"),
                format!("{ja} がアカウントを次々に試しています（直近の対象：{host_ja}）"),
            ],
            attacks(),
        )
        .because(
            format!(
                "{slow} accounts failed and did not get in, in {}",
                span(trail.last - trail.first, Lang::En)
            ),
            format!(
                "{}の間に{slow}件のアカウントが失敗し、成功していません",
                span(trail.last - trail.first, Lang::Ja)
            ),
        )
        .because_if(
            view.event.reason == AuthReason::NoSuchAccount,
            "Among them are accounts that do not exist",
            "存在しないアカウントが含まれています",
        )
        .from(source.as_ref())
        .on_account(view.account_name())
        .at(view.event.host)
    });
}
