//! `bruteforce.login_success`: somebody got in after failures that no mistyping explains, by the source or by the account.

use schema::{Attack, Lang, Micros, Severity, Tactic};

use super::tries::Tries;
use crate::logins::Detectors;
use crate::logins::first_seen::Known;
use crate::logins::marks::{Trail, kinds};
use crate::logins::telling::{Saying, Tell, Words, account_words, attack, host_words, source_words, span};
use crate::logins::view::{DAY, MINUTE, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.login_success",
    title: "Logs: somebody got in after guessing",
    title_ja: "ログ：推測のあとにログインが成功した",
    attacks,
    make: Detector::Logins(Detectors::new),
};

const WITHIN: Micros = 30 * MINUTE;

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1110", "Brute Force", Tactic::CredentialAccess),
        attack("T1078", "Valid Accounts", Tactic::InitialAccess),
    ]
}

/// Why the success is suspicious.
enum Why {
    /// So many failures with the same account from the same source just before.
    Repeated(Trail),
    /// The source was told as one who guesses, and got in with an account that it had failed with or never used before.
    Guesser(Trail),
    /// The account was guessed from several sources, and this is one of them.
    Guessed(Trail),
    /// Nothing tells where it came from, but the same account failed again and again just before.
    Nameless(Trail),
}

/// Weighs a success, before what it explains is forgotten.
pub(crate) fn take(tries: &Tries, known: &Known, view: &View<'_>, tell: &mut Tell<'_>) {
    let Some(why) = by_source(tries, known, view).or_else(|| by_account(tries, view)) else { return };
    let (Why::Repeated(trail) | Why::Guesser(trail) | Why::Guessed(trail) | Why::Nameless(trail)) = &why;
    let trail = Trail { last: view.at().max(trail.last), ..*trail };
    let certain = matches!(why, Why::Guesser(_));
    let severity = if certain || view.outside { Severity::Critical } else { Severity::High };
    let about = [view.source.unwrap_or_default(), view.account.unwrap_or_default(), view.host];
    let saying = Saying { size: 1, ..Saying::new(&ENTRY, &about, trail) };
    tell.say(view, saying.severity(severity), || words(&why, view));
}

fn by_source(tries: &Tries, known: &Known, view: &View<'_>) -> Option<Why> {
    let by_source = tries.sources.get(&view.source?)?;
    let before = |within: Micros| {
        let near = by_source.marks.iter().filter(move |mark| (0..=within).contains(&(view.at() - mark.at)));
        near.filter(|mark| mark.account().is_none() || mark.account() == view.account)
    };
    let near = before(WITHIN);
    let guessed = by_source.guessed.is_some_and(|at| (0..=DAY).contains(&(view.at() - at)));
    if guessed {
        let failed = before(DAY).any(|mark| mark.account() == view.account);
        let others = kinds(by_source.marks.iter().filter_map(|mark| mark.account())) > 1;
        // A terminal server that was told of keeps its people: they got in from there before.
        let is_stranger = view.account.is_none_or(|account| !known.has_pair(account, view.source));
        if (failed && before(WITHIN).count() >= 2) || (is_stranger && (failed || others)) {
            return Some(Why::Guesser(Trail::of(by_source.marks.iter())));
        }
    }
    let many = usize::from(view.rules.thresholds.before_success);
    (near.clone().filter(|mark| !mark.rhythmic).count() >= many).then(|| Why::Repeated(Trail::of(near)))
}

fn by_account(tries: &Tries, view: &View<'_>) -> Option<Why> {
    let by_account = tries.accounts.get(&view.account?)?;
    let near = by_account
        .marks
        .iter()
        .filter(|mark| !mark.rhythmic && (0..=WITHIN).contains(&(view.at() - mark.at)));
    let guessed = by_account.guessed.is_some_and(|at| (0..=DAY).contains(&(view.at() - at)));
    let from_there = view.source.is_some()
        && by_account.marks.iter().any(|mark| !mark.rhythmic && mark.source() == view.source);
    if guessed && from_there {
        return Some(Why::Guessed(Trail::of(by_account.marks.iter())));
    }
    let many = usize::from(view.rules.thresholds.before_success);
    let nameless = near.filter(|mark| mark.source().is_none() && mark.host == view.host);
    (nameless.clone().count() >= many).then(|| Why::Nameless(Trail::of(nameless)))
}

fn words(why: &Why, view: &View<'_>) -> Words {
    let source = view.source_name();
    let ([account, account_ja], [host, host_ja]) =
        (account_words(view.account_name()), host_words(view.event.host));
    let [from, from_ja] = source_words(source.as_ref());
    let (en, ja) = match why {
        Why::Repeated(trail) => (
            format!("{} failures in {} came before it", trail.count, span(view.at() - trail.first, Lang::En)),
            format!(
                "その前の{}の間に{}回失敗しています",
                span(view.at() - trail.first, Lang::Ja),
                trail.count
            ),
        ),
        Why::Guesser(trail) => (
            format!(
                "The source had been guessing: {} failures since {} before",
                trail.count,
                span(view.at() - trail.first, Lang::En)
            ),
            format!(
                "この接続元は推測を続けていました（{}前から{}回失敗）",
                span(view.at() - trail.first, Lang::Ja),
                trail.count
            ),
        ),
        Why::Guessed(trail) => (
            format!(
                "The account was being guessed from several sources, of which this is one: {} failures",
                trail.count
            ),
            format!(
                "このアカウントは複数の接続元から推測されており、その1つからの成功です（{}回失敗）",
                trail.count
            ),
        ),
        Why::Nameless(trail) => (
            format!(
                "{} failures with this account at this machine came just before; the log tells no source",
                trail.count
            ),
            format!("直前に同じ機械で同じアカウントが{}回失敗しています（接続元の記録なし）", trail.count),
        ),
    };
    Words::new(
        [
            format!("{account} got in at {host} from {from} after failures like those of guessing"),
            format!("推測と思われる失敗のあと、{account_ja} が {from_ja} から {host_ja} にログインしました"),
        ],
        attacks(),
    )
    .because(en, ja)
    .because(
        "Ask the owner of the account; if it was not him, end the session, change the password and look at what was done".to_owned(),
        "アカウントの本人に確認してください。本人でなければ、セッションを切断し、パスワードを変更し、操作の内容を調べてください".to_owned(),
    )
    .from(source.as_ref())
    .by(view.account_name())
    .at(view.event.host)
}
