//! `exposure.remote`: a service for remote access, or a file server, answers an address outside.
//!
//! That is no attack but a rule that is not kept (OCSF 2003), and what most attacks on hospitals began with.

use schema::{Attack, FindingClass, Service, Severity, Sight, Tactic};

use crate::network::Detectors;
use crate::network::spoken::Spoken;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{DAY, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "exposure.remote",
    title: "A service for remote access answers the Internet",
    title_ja: "遠隔操作などのサービスが外部からの接続に応答している",
    attacks,
    make: Detector::Network(Detectors::new),
};

fn attacks() -> Vec<Attack> {
    vec![attack("T1133", "External Remote Services", Tactic::InitialAccess)]
}

/// What should not answer, by what it speaks or else by its port, with how bad that is.
const PORTS: [(u16, &str, Severity); 9] = [
    (22, "SSH", Severity::Medium),
    (23, "Telnet", Severity::High),
    (135, "RPC", Severity::High),
    (139, "SMB", Severity::High),
    (445, "SMB", Severity::High),
    (3389, "Remote Desktop", Severity::High),
    (5900, "VNC", Severity::High),
    (5985, "WinRM", Severity::High),
    (8080, "HTTP 8080", Severity::Low),
];

fn by_service(service: Service) -> Option<(&'static str, Severity)> {
    Some(match service {
        Service::Smb => ("SMB", Severity::High),
        Service::Rdp => ("Remote Desktop", Severity::High),
        Service::Ssh => ("SSH", Severity::Medium),
        Service::Telnet => ("Telnet", Severity::High),
        Service::Vnc => ("VNC", Severity::High),
        Service::WinRm => ("WinRM", Severity::High),
        Service::Rpc => ("RPC", Severity::High),
        _ => return None,
    })
}

/// Takes in what is answered, and what speaks there.
pub(crate) fn take(view: &View<'_>, spoken: &Spoken, tell: &mut Tell<'_>) {
    if view.client_inside || !view.is_tcp() {
        return;
    }
    let found = match view.sight() {
        Sight::Speaks { service } if !spoken.is_guessed(view.event.flow) => by_service(*service),
        Sight::Answered if !spoken.is_guessed(view.event.flow) => {
            PORTS.iter().find(|row| row.0 == view.port()).map(|row| (row.1, row.2))
        }
        _ => None,
    };
    let Some((name, severity)) = found else { return };
    let agreed = view.rules.contracts.iter().any(|contract| {
        contract.opened_by_peer(&view.event.contact) == Some(true)
            && contract.allows_port(&view.event.contact)
    });
    if agreed || view.rules.is_scanner(view.client()) {
        return;
    }
    let (client, server, port) = (view.client(), view.server(), view.port());
    let saying = Saying::new(&ENTRY, server, None, Trail::of(view.event))
        .victim()
        .about(u64::from(port))
        .severity(severity)
        .class(FindingClass::Compliance)
        .pause(DAY);
    tell.say(saying, || {
        Words::new(
            [
                format!("{name} on {server}, port {port}, answers addresses outside"),
                format!("{server} のポート{port}（{name}）が外部からの接続に応答しています"),
            ],
            attacks(),
        )
        .because(
            format!("{client}, which is no address of the hospital, was answered"),
            format!("病院のアドレスではない {client} からの接続に応答しました"),
        )
        .because_if(
            !view.server_inside,
            "The server is not among the internal networks of the configuration either: check whose it is",
            "このサーバーも設定の内部ネットワークに含まれていません。所有者を確認してください",
        )
    });
}
