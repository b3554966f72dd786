//! `lateral.login_first_seen`: somebody gets in from where, or to where, he was never seen.
//!
//! For some days after the first event pairs of account, source and host are learnt and not told; what was learnt is visible, and one
//! who takes it back has it learnt anew. Where a side has many partners anyway (a file server, a ward's terminal, a shared account), a
//! further one is no news.

mod known;

use schema::{Attack, Severity, Tactic};

use super::Detectors;
use super::marks::Trail;
use super::telling::{Saying, Tell, Words, account_words, attack, host_words, source_words};
use super::view::{DAY, View};
use crate::{Detector, Entry};
pub(super) use known::Known;
pub use known::{Forget, Learning, Learnt, Pair};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "lateral.login_first_seen",
    title: "Logs: an account, a source and a machine that were never seen together",
    title_ja: "ログ：これまでにないアカウント・接続元・機械の組み合わせ",
    attacks,
    make: Detector::Logins(Detectors::new),
};

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1078", "Valid Accounts", Tactic::InitialAccess),
        attack("T1021", "Remote Services", Tactic::LateralMovement),
    ]
}

/// Takes in that somebody got in.
pub(crate) fn take(known: &mut Known, view: &View<'_>, tell: &mut Tell<'_>) {
    let fresh = known.take(view);
    if fresh.is_empty() || view.is_scanner() {
        return;
    }
    let was_known = !fresh.is_new_account;
    let is_grave = view.is_privileged() || (was_known && (view.outside || fresh.pairs.len() == 3));
    let severity = if is_grave && view.is_interactive() { Severity::Medium } else { Severity::Low };
    let about = [view.account.unwrap_or_default(), view.source.unwrap_or_default(), view.host];
    let saying = Saying { size: 1, pause: DAY, ..Saying::new(&ENTRY, &about, Trail::at(view.at())) };
    tell.say(view, saying.severity(severity), || {
        let source = view.source_name();
        let ([account, account_ja], [host, host_ja], [from, from_ja]) =
            (account_words(view.account_name()), host_words(view.event.host), source_words(source.as_ref()));
        let mut words = Words::new(
            [
                format!("{account} got in at {host} from {from}, as never before"),
                format!("{account_ja} が {from_ja} から {host_ja} に初めてログインしました"),
            ],
            attacks(),
        );
        for pair in &fresh.pairs {
            words = match pair {
                Pair::AccountSource => words.because(
                    format!("{account} never came from {from}"),
                    format!("{account_ja} が {from_ja} から接続したことはありません"),
                ),
                Pair::AccountHost => words.because(
                    format!("{account} never got in at {host}"),
                    format!("{account_ja} が {host_ja} にログインしたことはありません"),
                ),
                Pair::SourceHost => words.because(
                    format!("Nobody ever got in at {host} from {from}"),
                    format!("{from_ja} から {host_ja} にログインがあったことはありません"),
                ),
            };
        }
        words
            .because_if(!was_known, "The account itself is new", "アカウント自体が初めて現れました")
            .from(source.as_ref())
            .by(view.account_name())
            .at(view.event.host)
    });
}
