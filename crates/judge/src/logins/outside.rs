//! `lateral.login_outside`: somebody got in from the Internet, through a door that should not be open to it.
//!
//! Only what says that somebody was let in counts: event 1149 alone does not.

use schema::{Attack, AuthProtocol, Severity, Tactic};

use super::Detectors;
use super::first_seen::Known;
use super::marks::Trail;
use super::telling::{Saying, Tell, Words, account_words, attack, host_words, source_words};
use super::view::{DAY, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "lateral.login_outside",
    title: "Logs: somebody got in from the Internet by Remote Desktop or a share",
    title_ja: "ログ：リモートデスクトップまたは共有に、インターネットからログインされた",
    attacks,
    make: Detector::Logins(Detectors::new),
};

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1133", "External Remote Services", Tactic::InitialAccess),
        attack("T1021.001", "Remote Services: Remote Desktop Protocol", Tactic::LateralMovement),
    ]
}

/// Weighs that somebody got in; asks `known` before it learns of it.
pub(crate) fn take(known: &Known, view: &View<'_>, tell: &mut Tell<'_>) {
    let Some(account) = view.account.filter(|_| view.outside) else { return };
    let name = match (view.event.protocol, view.event.logon_type) {
        (AuthProtocol::Rdp, _) | (_, Some(10)) => ["Remote Desktop", "リモートデスクトップ"],
        (AuthProtocol::Smb, _) => ["a share", "共有（SMB）"],
        (AuthProtocol::Ntlm | AuthProtocol::Other, Some(3)) => {
            ["the network (type 3)", "ネットワーク（種別3）"]
        }
        _ => return,
    };
    let is_agreed = view.rules.contractors.iter().any(|contractor| {
        view.account_name().is_some_and(|name| contractor.has_account(name))
            && contractor.has_source(view.address(), None) == Some(true)
    });
    if is_agreed || view.is_scanner() {
        return;
    }
    let is_known = known.has_pair(account, view.source);
    let severity = if is_known { Severity::Medium } else { Severity::High };
    let about = [account, view.source.unwrap_or_default(), view.host];
    let saying = Saying { size: 1, pause: DAY, ..Saying::new(&ENTRY, &about, Trail::at(view.at())) };
    tell.say(view, saying.severity(severity), || {
        let source = view.source_name();
        let ([en, ja], [host, host_ja], [from, from_ja]) =
            (account_words(view.account_name()), host_words(view.event.host), source_words(source.as_ref()));
        Words::new(
            [
                format!("{en} got in at {host} from {from}, an address outside"),
                format!("{ja} が外部のアドレス {from_ja} から {host_ja} にログインしました"),
            ],
            attacks(),
        )
        .because(
            format!("Through {}, which should not answer addresses outside", name[0]),
            format!("外部に開けるべきでない{}からです", name[1]),
        )
        .because_if(
            is_known,
            "The account came from that address before",
            "このアカウントは以前にもこのアドレスから接続しています",
        )
        .because_if(
            view.is_privileged(),
            "The account may do everything",
            "このアカウントは管理者の権限を持ちます",
        )
        .from(source.as_ref())
        .by(view.account_name())
        .at(view.event.host)
    });
}
