//! `contract.hospital_protocol`: HL7 or DICOM, which carry patients' data unencrypted, where they have no business.

use schema::{Attack, Service, Severity, Sight, Tactic};

use crate::network::Detectors;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{DAY, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "contract.hospital_protocol",
    title: "Patients' data is spoken where it should not be",
    title_ja: "患者データの通信が、想定外の相手との間で行われている",
    attacks,
    make: Detector::Network(Detectors::new),
};

fn attacks() -> Vec<Attack> {
    vec![attack("T1048.003", "Exfiltration Over Unencrypted Non-C2 Protocol", Tactic::Exfiltration)]
}

/// Takes in what speaks.
pub(crate) fn take(view: &View<'_>, tell: &mut Tell<'_>) {
    let Sight::Speaks { service } = view.sight() else { return };
    let name = match service {
        Service::Mllp => "HL7",
        Service::Dicom => "DICOM",
        _ => return,
    };
    let (client, server) = (view.client(), view.server());
    let contact = &view.event.contact;
    let agreed = view.rules.contracts.iter().any(|contract| {
        contract
            .opened_by_peer(contact)
            .is_some_and(|by_peer| contract.allows_direction(by_peer) && contract.allows_port(contact))
    });
    let pairs = &view.rules.hospital_pairs;
    let listed = pairs.iter().any(|pair| {
        pair.service.is_none_or(|allowed| allowed == *service)
            && pair.client.contains(&client)
            && pair.server.contains(&server)
    });
    let east_west = view.is_east_west();
    if agreed || listed || (east_west && pairs.is_empty()) {
        return;
    }
    let severity = if east_west { Severity::Medium } else { Severity::High };
    let saying = Saying::new(&ENTRY, client, Some(server), Trail::of(view.event))
        .about(u64::from(view.port()))
        .severity(severity)
        .pause(DAY);
    tell.say(saying, || {
        let words = Words::new(
            [
                format!("{name} goes from {client} to {server}, which is not foreseen"),
                format!("想定外の{name}通信: {client} から {server}"),
            ],
            attacks(),
        );
        if east_west {
            return words.because(
                format!("The list of pairs that may speak {name} does not hold this one"),
                format!("{name}を許可した組み合わせの一覧に含まれていません"),
            );
        }
        words.because(
            "One end is outside the hospital's networks, and no contract covers it".into(),
            "一方が病院のネットワークの外にあり、該当する契約もありません".into(),
        )
    });
}
