//! `exposure.login_nla`: Remote Desktop shows a screen before it asks who is there.

use schema::{Attack, AuthOutcome, AuthProtocol, FindingClass, Severity, Tactic};

use super::Door;
use crate::logins::Detectors;
use crate::logins::marks::Trail;
use crate::logins::telling::{Saying, Tell, Words, attack, host_words};
use crate::logins::view::{DAY, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "exposure.login_nla",
    title: "Logs: Remote Desktop without network level authentication",
    title_ja: "ログ：リモートデスクトップのネットワークレベル認証（NLA）が無効",
    attacks,
    make: Detector::Logins(Detectors::new),
};

fn attacks() -> Vec<Attack> {
    vec![attack("T1021.001", "Remote Services: Remote Desktop Protocol", Tactic::LateralMovement)]
}

/// Weighs a door that was just used.
pub(crate) fn take(door: &Door, view: &View<'_>, tell: &mut Tell<'_>) {
    let shows = view.event.outcome == AuthOutcome::Failure && view.event.logon_type == Some(10);
    if door.protocol != AuthProtocol::Rdp || !shows {
        return;
    }
    let severity = if door.outside.total() > 0 { Severity::High } else { Severity::Low };
    let saying = Saying::new(&ENTRY, &[view.host], Trail::at(view.at()))
        .severity(severity)
        .class(FindingClass::Vulnerability)
        .once();
    tell.say(view, Saying { pause: 7 * DAY, ..saying }, || {
        let [en, ja] = host_words(view.event.host);
        Words::new(
            [
                format!("Remote Desktop of {en} asks for the password only at its screen (no NLA)"),
                format!("{ja} のリモートデスクトップで NLA が無効です"),
            ],
            attacks(),
        )
        .because(
            "A refusal was written at the screen (type 10); with NLA it would have come before (type 3)".to_owned(),
            "画面での拒否（種別10）が記録されました。NLA が有効なら画面の前に拒否されます（種別3）".to_owned(),
        )
        .because(
            "Switch it on: System Properties, Remote, or the policy `Require user authentication … by using Network Level Authentication`"
                .to_owned(),
            "システムのプロパティの「リモート」、またはグループポリシーで有効にしてください".to_owned(),
        )
        .at(view.event.host)
    });
}
