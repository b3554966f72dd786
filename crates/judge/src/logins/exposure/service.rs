//! `exposure.login_service`: a door that should be the hospital's own answers addresses outside.

use schema::{Attack, AuthProtocol, FindingClass, Lang, Severity, Tactic};

use super::{Door, name_of};
use crate::logins::Detectors;
use crate::logins::marks::Trail;
use crate::logins::telling::{Saying, Tell, Words, attack, host_words};
use crate::logins::view::{DAY, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "exposure.login_service",
    title: "Logs: a service for remote access answers the Internet",
    title_ja: "ログ：遠隔操作などのサービスがインターネットからの接続に応答している",
    attacks,
    make: Detector::Logins(Detectors::new),
};

fn attacks() -> Vec<Attack> {
    vec![attack("T1133", "External Remote Services", Tactic::InitialAccess)]
}

/// How bad it is that such a door answers; `None` for those that are made for it.
pub(super) fn severity(protocol: AuthProtocol) -> Option<Severity> {
    match protocol {
        AuthProtocol::Rdp | AuthProtocol::Smb | AuthProtocol::Database => Some(Severity::High),
        AuthProtocol::Ssh | AuthProtocol::Ftp => Some(Severity::Medium),
        _ => None,
    }
}

/// Weighs a door that was just used.
pub(crate) fn take(door: &Door, view: &View<'_>, tell: &mut Tell<'_>) {
    let Some(severity) = severity(door.protocol).filter(|_| view.outside) else { return };
    let is_agreed = view
        .rules
        .contractors
        .iter()
        .any(|contractor| contractor.has_source(view.address(), None) == Some(true));
    if is_agreed || view.is_scanner() {
        return;
    }
    let trail = Trail { count: door.outside.total(), first: door.outside.first, last: door.outside.last };
    let saying = Saying::new(&ENTRY, &[view.host, door.protocol as u64], trail)
        .severity(severity)
        .class(FindingClass::Compliance)
        .once();
    tell.say(view, Saying { pause: 7 * DAY, ..saying }, || {
        let ([host, host_ja], source) = (host_words(view.event.host), view.source_name());
        let (en, ja) = (name_of(door.protocol, Lang::En), name_of(door.protocol, Lang::Ja));
        let from = source.as_ref().map(ToString::to_string).unwrap_or_default();
        Words::new(
            [
                format!("{en} of {host} answers addresses outside"),
                format!("{host_ja} の{ja}が外部からの接続に応答しています"),
            ],
            attacks(),
        )
        .because(
            format!("{from}, which is no address of the hospital, reached it"),
            format!("病院のアドレスではない {from} からの接続が届いています"),
        )
        .because(
            "Close it at the firewall and let people in by VPN with a second factor".to_owned(),
            "ファイアウォールで閉じ、二要素認証のある VPN を経由させてください".to_owned(),
        )
        .at(view.event.host)
    });
}
