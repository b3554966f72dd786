//! `exposure.login_account`: an account that may do everything is used from outside.

use schema::{Attack, FindingClass, Severity, Tactic};

use crate::logins::Detectors;
use crate::logins::marks::Trail;
use crate::logins::telling::{Saying, Tell, Words, account_words, attack, host_words, source_words};
use crate::logins::view::{DAY, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "exposure.login_account",
    title: "Logs: an administrator's account is used from outside",
    title_ja: "ログ：管理者のアカウントが外部から使われている",
    attacks,
    make: Detector::Logins(Detectors::new),
};

fn attacks() -> Vec<Attack> {
    vec![attack("T1078", "Valid Accounts", Tactic::InitialAccess)]
}

/// Weighs that somebody got in.
pub(crate) fn take(view: &View<'_>, tell: &mut Tell<'_>) {
    let Some(account) = view.account.filter(|_| view.outside && view.is_privileged()) else { return };
    let saying = Saying::new(&ENTRY, &[account, view.host], Trail::at(view.at()))
        .severity(Severity::Medium)
        .class(FindingClass::Compliance)
        .once();
    tell.say(view, Saying { pause: 7 * DAY, ..saying }, || {
        let source = view.source_name();
        let ([en, ja], [host, host_ja], [from, from_ja]) =
            (account_words(view.account_name()), host_words(view.event.host), source_words(source.as_ref()));
        Words::new(
            [
                format!("{en}, which may do everything, is used from outside at {host}"),
                format!("管理者権限のある {ja} が外部から {host_ja} で使われています"),
            ],
            attacks(),
        )
        .because(format!("It came from {from}"), format!("接続元は {from_ja} です"))
        .because(
            "Use a personal account with a second factor from outside, and keep this one for the inside"
                .to_owned(),
            "外部からは二要素認証のある個人のアカウントを使い、このアカウントは院内だけで使ってください"
                .to_owned(),
        )
        .on_account(view.account_name())
        .at(view.event.host)
    });
}
