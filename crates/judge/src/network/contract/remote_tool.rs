//! `contract.remote_tool`: a remote-support tool or a tunnel that no contract names.

use std::net::IpAddr;

use schema::{Attack, Service, Severity, Sight, Tactic};

use crate::network::Detectors;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{DAY, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "contract.remote_tool",
    title: "A remote-support tool is used that no contract allows",
    title_ja: "契約にない遠隔サポートツールが使われている",
    attacks,
    make: Detector::Network(Detectors::new),
};

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1219", "Remote Access Software", Tactic::CommandAndControl),
        attack("T1572", "Protocol Tunneling", Tactic::CommandAndControl),
    ]
}

/// Takes in what speaks.
pub(crate) fn take(view: &View<'_>, tell: &mut Tell<'_>) {
    let Sight::Speaks { service } = view.sight() else { return };
    let (en, ja) = match service {
        Service::AnyDesk => ("AnyDesk", "AnyDesk"),
        Service::TeamViewer => ("TeamViewer", "TeamViewer"),
        Service::RemoteSupport => ("a remote-support tool", "遠隔サポートツール"),
        Service::Tunnel => ("a tunnel that lets others in from outside", "外部から入れるようにするトンネル"),
        _ => return,
    };
    // Who belongs to the hospital runs it; between two of them, who opened.
    let host = if view.client_inside || !view.server_inside { view.client() } else { view.server() };
    if is_agreed(view, *service, host) {
        return;
    }
    let other = if host == view.client() { view.server() } else { view.client() };
    let is_tunnel = *service == Service::Tunnel;
    let severity = if is_tunnel { Severity::High } else { Severity::Medium };
    let saying = Saying::new(&ENTRY, host, None, Trail::of(view.event))
        .about(*service as u64)
        .severity(severity)
        .pause(DAY);
    tell.say(saying, || {
        Words::new(
            [
                format!("{host} uses {en} without a contract"),
                format!("{host} が契約にない{ja}を使っています"),
            ],
            attacks().into_iter().skip(usize::from(is_tunnel)).take(1).collect(),
        )
        .because(
            format!("Told by what the flow says: {host} with {other}, port {}", view.port()),
            format!("通信内容から判定: {host} と {other}、ポート{}", view.port()),
        )
        .because(
            "No contract names this tool for this machine at this time".into(),
            "この機器・時間帯でこのツールを認める契約がありません".into(),
        )
        .targets(vec![other])
    });
}

fn is_agreed(view: &View<'_>, service: Service, host: IpAddr) -> bool {
    view.rules.contracts.iter().any(|contract| {
        contract.tools.contains(&service)
            && contract.hosts.iter().any(|net| net.contains(&host))
            && contract.allows_time(view.at(), &view.rules.zone)
    })
}
