//! `bruteforce.login_account`: one account fails again and again, from several places or from none that the log tells.

use schema::{Attack, AuthReason, Lang, Micros};

use super::tries::Tries;
use crate::logins::Detectors;
use crate::logins::marks::{Trail, kinds, kinds_to};
use crate::logins::telling::{Saying, Tell, Words, account_words, host_words, span};
use crate::logins::view::{DAY, MINUTE, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.login_account",
    title: "Logs: the password of one account is guessed",
    title_ja: "ログ：特定のアカウントのパスワードが推測されている",
    attacks,
    make: Detector::Logins(Detectors::new),
};

const WITHIN: Micros = 10 * MINUTE;
/// Sources within a day, none of which ever got in with it.
const SOURCES: usize = 5;

fn attacks() -> Vec<Attack> {
    super::guessing()
}

/// Weighs a failure that was just taken in.
pub(crate) fn take(tries: &mut Tries, view: &View<'_>, tell: &mut Tell<'_>) {
    // An account that does not exist cannot be guessed; who tries it is told by its source.
    if view.event.reason == AuthReason::NoSuchAccount {
        return;
    }
    let Some(by_account) = view.account.and_then(|account| tries.accounts.get_mut(&account)) else { return };
    let many = usize::from(view.rules.thresholds.guesses);
    let (enough, has_nameless) = (by_account.marks.has_sources(SOURCES), by_account.marks.has_nameless());
    let marks = &by_account.marks;
    let lately = marks.lately(WITHIN).filter(|mark| !mark.rhythmic);
    let nameless = || lately.clone().filter(|mark| mark.source().is_none()).take(many).count();
    let is_fast = lately.clone().take(many).count() == many
        && (kinds_to(2, marks.sources_lately(WITHIN)) == 2 || (has_nameless && nameless() == many));
    let in_a_day = marks.lately(DAY).filter(|mark| !mark.rhythmic);
    let is_spread = || {
        enough
            && kinds_to(SOURCES, marks.sources_lately(DAY)) == SOURCES
            && in_a_day.clone().take(many).count() == many
    };
    if !is_fast && !is_spread() {
        return;
    }
    by_account.guessed = Some(view.at());
    let saying = Saying::new(&ENTRY, view.account.as_slice(), marks.trail());
    if tell.goes_on(&saying) {
        return;
    }
    let trail = if is_fast { Trail::of(lately) } else { Trail::of(in_a_day) };
    tell.say(view, saying.of(trail), || {
        let spread = kinds(marks.sources_lately(DAY));
        let ([en, ja], [host, host_ja]) = (account_words(view.account_name()), host_words(view.event.host));
        Words::new(
            [
                format!("The password of {en} is guessed, lately at {host}"),
                format!("アカウント {ja} のパスワードが推測されています（直近の対象：{host_ja}）"),
            ],
            attacks(),
        )
        .because(
            format!("{} failures in {}", trail.count, span(trail.last - trail.first, Lang::En)),
            format!("{}の間に{}回失敗", span(trail.last - trail.first, Lang::Ja), trail.count),
        )
        .because(
            format!("From {spread} sources that never got in with it within a day"),
            format!("1日以内に一度も成功していない接続元{spread}か所から"),
        )
        .because_if(
            view.is_privileged(),
            "The account may do everything",
            "このアカウントは管理者の権限を持ちます",
        )
        .from(view.source_name().as_ref())
        .on_account(view.account_name())
        .at(view.event.host)
    });
}
