//! `lateral.login_service_account`: an account of a service is used by a person at a screen.

use schema::{Attack, AuthOutcome, AuthProtocol, AuthReason, Severity, Tactic};

use super::Detectors;
use super::marks::Trail;
use super::telling::{Saying, Tell, Words, account_words, attack, host_words};
use super::view::{DAY, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "lateral.login_service_account",
    title: "Logs: a person uses the account of a service",
    title_ja: "ログ：サービス用アカウントが人の操作で使われている",
    attacks,
    make: Detector::Logins(Detectors::new),
};

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1078.002", "Valid Accounts: Domain Accounts", Tactic::PrivilegeEscalation),
        attack("T1021.001", "Remote Services: Remote Desktop Protocol", Tactic::LateralMovement),
    ]
}

/// Weighs that somebody got in or was refused.
pub(crate) fn take(view: &View<'_>, tell: &mut Tell<'_>) {
    let screen = match view.event.logon_type {
        Some(kind) => matches!(kind, 2 | 10 | 11 | 12),
        // Jobs use SSH with accounts of services; nobody but a person uses a desktop.
        None => {
            matches!(view.event.protocol, AuthProtocol::Rdp | AuthProtocol::RdGateway | AuthProtocol::Console)
        }
    };
    let severity = match view.event.outcome {
        AuthOutcome::Success | AuthOutcome::Resumed => Severity::High,
        AuthOutcome::Failure if view.event.reason != AuthReason::Broken => Severity::Medium,
        _ => return,
    };
    let Some(account) = view.account.filter(|_| screen) else { return };
    if !view.account_name().is_some_and(|name| view.rules.is_service(name)) {
        return;
    }
    let about = [account, view.source.unwrap_or_default(), view.host];
    let saying = Saying { size: 1, pause: DAY, ..Saying::new(&ENTRY, &about, Trail::at(view.at())) };
    tell.say(view, saying.severity(severity), || {
        let ([en, ja], [host, host_ja]) = (account_words(view.account_name()), host_words(view.event.host));
        let is_in = view.is_entry();
        Words::new(
            [
                format!("{en}, the account of a service, is used at a screen of {host}"),
                format!("サービス用アカウント {ja} が {host_ja} の画面で使われています"),
            ],
            attacks(),
        )
        .because_if(is_in, "It got in", "ログインに成功しています")
        .because_if(!is_in, "It was refused", "ログインは拒否されました")
        .because_if(
            view.event.logon_type == Some(10) || view.event.protocol == AuthProtocol::Rdp,
            "Through Remote Desktop; services never log in that way",
            "リモートデスクトップからです。サービスがこの方法でログインすることはありません",
        )
        .from(view.source_name().as_ref())
        .by(view.account_name())
        .at(view.event.host)
    });
}
