//! `bruteforce.login_spray`: one source tries many accounts, each only a few times.
//!
//! Where people mistype, they get in at last; an account that the source gets in with does not count.

use schema::{Attack, AuthReason, Lang, Severity, Tactic};

use super::tries::Tries;
use crate::logins::Detectors;
use crate::logins::marks::{Trail, kinds};
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
/// One in so many people may be mistyping at the same time.
const MISTYPING: usize = 4;

fn attacks() -> Vec<Attack> {
    vec![attack("T1110.003", "Brute Force: Password Spraying", Tactic::CredentialAccess)]
}

/// Weighs a failure that was just taken in.
pub(crate) fn take(tries: &mut Tries, view: &View<'_>, tell: &mut Tell<'_>) {
    if view.account.is_none() {
        return;
    }
    let Some(by_source) = view.source.and_then(|source| tries.sources.get_mut(&source)) else { return };
    let many = usize::from(view.rules.thresholds.spray_accounts).max(by_source.people(view.at()) / MISTYPING);
    let in_a_day = by_source.marks.lately(DAY);
    let slow = kinds(in_a_day.clone().filter_map(|mark| mark.account));
    if slow < many {
        return;
    }
    let fast = kinds(by_source.marks.lately(WITHIN).filter_map(|mark| mark.account));
    // Over a day half as many more: a desk where people come and go collects some that give up.
    if fast < many && slow < many + many / 2 {
        return;
    }
    let trail = Trail::of(in_a_day);
    by_source.guessed = Some(view.at());
    let severity = if view.outside { Severity::Medium } else { Severity::High };
    let saying = Saying { size: slow as u64, ..Saying::new(&ENTRY, view.source.as_slice(), trail) };
    tell.say(view, saying.severity(severity), || {
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
