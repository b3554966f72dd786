//! `lateral.dcsync`: somebody who is no domain controller copies the directory, with everybody's password hashes.

use std::net::IpAddr;

use schema::{Attack, KerberosSight, RpcInterface, RpcSight, Severity, Sight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::rules::within;
use crate::network::spoken::Spoken;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "lateral.dcsync",
    title: "The directory is copied by a machine that is no domain controller",
    title_ja: "ドメインコントローラーではない機器がディレクトリを複製している",
    attacks,
    make: Detector::Network(Detectors::new),
};

const CONTROLLERS_MAX: usize = 1024;
/// So many different machines have to have tickets of it.
const CLIENTS: usize = 3;
/// `DRSGetNCChanges` ([MS-DRSR]); what else the interface offers, clients use as well.
const GET_CHANGES: u16 = 3;

fn attacks() -> Vec<Attack> {
    vec![attack("T1003.006", "OS Credential Dumping: DCSync", Tactic::CredentialAccess)]
}

/// Machines that gave Kerberos tickets to several others, and so are domain controllers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Controllers {
    /// Whom each gave tickets to, as far as is counted.
    served: Table<IpAddr, Vec<IpAddr>>,
}

impl Default for Controllers {
    fn default() -> Self {
        Self { served: Table::new(CONTROLLERS_MAX) }
    }
}

impl Controllers {
    pub(crate) fn evicted(&self) -> u64 {
        self.served.evicted()
    }

    /// Takes in who gives tickets and who replicates. A datagram is forged in one packet; so only what was said over TCP counts, in flows that
    /// were seen from their SYN on, to clients inside.
    pub(crate) fn take(&mut self, view: &View<'_>, spoken: &Spoken, tell: &mut Tell<'_>) {
        match view.sight() {
            Sight::Kerberos(KerberosSight::AsReply | KerberosSight::TgsReply)
                if view.is_tcp() && view.is_east_west() && !spoken.is_guessed(view.event.flow) =>
            {
                let clients = self.served.slot(view.server());
                if clients.len() < CLIENTS && !clients.contains(&view.client()) {
                    clients.push(view.client());
                }
            }
            Sight::Rpc(RpcSight::Request {
                interface: RpcInterface::Replication,
                operation: GET_CHANGES,
            }) => {
                self.weigh(view, tell);
            }
            _ => {}
        }
    }

    fn weigh(&self, view: &View<'_>, tell: &mut Tell<'_>) {
        let client = view.client();
        let is_controller = match view.rules.domain_controllers.as_slice() {
            [] => self.served.get(&client).is_some_and(|clients| clients.len() >= CLIENTS),
            named => within(named, client),
        };
        if is_controller {
            return;
        }
        let saying = Saying::new(&ENTRY, client, Some(view.server()), Trail::of(view.event))
            .severity(Severity::Critical);
        tell.say(saying, || {
            let server = view.server();
            Words::new(
                [
                    format!("{client} copies the directory from {server}"),
                    format!("{client} が {server} からディレクトリを複製しています"),
                ],
                attacks(),
            )
            .because(
                "It asked for replication (DRSGetNCChanges), and was never seen to be a domain controller".into(),
                "ドメインコントローラーとして観測されたことのない機器が、複製（DRSGetNCChanges）を要求しました".into(),
            )
        });
    }
}
