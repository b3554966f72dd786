//! `lateral.dcsync`: somebody who is no domain controller copies the directory, with everybody's password hashes.

use std::net::IpAddr;

use schema::{Attack, RpcInterface, RpcSight, Service, Severity, Sight, Tactic, Transport};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::rules::within;
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
/// `DRSGetNCChanges` ([MS-DRSR]); what else the interface offers, clients use as well.
const GET_CHANGES: u16 = 3;

fn attacks() -> Vec<Attack> {
    vec![attack("T1003.006", "OS Credential Dumping: DCSync", Tactic::CredentialAccess)]
}

/// Machines that gave Kerberos tickets, and so are domain controllers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Controllers {
    seen: Table<IpAddr, ()>,
}

impl Default for Controllers {
    fn default() -> Self {
        Self { seen: Table::new(CONTROLLERS_MAX) }
    }
}

impl Controllers {
    pub(crate) fn evicted(&self) -> u64 {
        self.seen.evicted()
    }

    /// Takes in who speaks Kerberos and who replicates.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        match view.sight() {
            Sight::Speaks { service: Service::Kerberos }
                if view.event.contact.transport == Transport::Tcp =>
            {
                self.seen.insert(view.server(), ());
            }
            Sight::Kerberos(schema::KerberosSight::AsReply | schema::KerberosSight::TgsReply) => {
                self.seen.insert(view.server(), ());
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
        if self.seen.get(&client).is_some() || within(&view.rules.domain_controllers, client) {
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
