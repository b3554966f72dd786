//! `lateral.zerologon`: a flood of machine log-ons at a domain controller, as CVE-2020-1472 needs: 256 tries on average.
//!
//! A member of the domain authenticates its channel when it starts and now and then; not ten times in ten minutes.

use std::net::IpAddr;

use schema::{Attack, RpcInterface, RpcSight, Severity, Sight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{MINUTE, Recent, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "lateral.zerologon",
    title: "A domain controller is flooded with machine log-ons",
    title_ja: "ドメインコントローラーに機器認証が大量に送られている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const PAIRS_MAX: usize = 4096;
const KEPT: usize = 512;
const WITHIN: i64 = 10 * MINUTE;
const TRIES_MANY: usize = 10;
const BINDS_MANY: usize = 15;
const TRIES_CERTAIN: usize = 30;

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1210", "Exploitation of Remote Services", Tactic::LateralMovement),
        attack("T1068", "Exploitation for Privilege Escalation", Tactic::PrivilegeEscalation),
    ]
}

/// Machine log-ons by pair.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Channels {
    pairs: Table<(IpAddr, IpAddr), Channel>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Channel {
    tries: Recent,
    binds: Recent,
}

impl Default for Channels {
    fn default() -> Self {
        Self { pairs: Table::new(PAIRS_MAX) }
    }
}

impl Channels {
    pub(crate) fn evicted(&self) -> u64 {
        self.pairs.evicted()
    }

    /// Takes in calls of netlogon.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let Sight::Rpc(sight) = view.sight() else { return };
        let is_try = match sight {
            // NetrServerAuthenticate, 2 and 3
            RpcSight::Request { interface: RpcInterface::Netlogon, operation: 5 | 15 | 26 } => true,
            RpcSight::Bind { interface: RpcInterface::Netlogon } => false,
            _ => return,
        };
        let channel = self.pairs.slot((view.client(), view.server()));
        let recent = if is_try { &mut channel.tries } else { &mut channel.binds };
        recent.add(view.event, view.event.flow, WITHIN, KEPT);
        channel.weigh(view, tell);
    }
}

impl Channel {
    fn weigh(&self, view: &View<'_>, tell: &mut Tell<'_>) {
        let (tries, binds) = (self.tries.len(), self.binds.len());
        if tries < TRIES_MANY && binds < BINDS_MANY {
            return;
        }
        let severity = if tries >= TRIES_CERTAIN { Severity::Critical } else { Severity::High };
        let trail = if tries >= TRIES_MANY { self.tries.trail() } else { self.binds.trail() };
        let saying = Saying::new(&ENTRY, view.client(), Some(view.server()), trail).severity(severity);
        tell.say(saying, || {
            let (client, server) = (view.client(), view.server());
            Words::new(
                [
                    format!("{client} floods the domain controller {server} with machine log-ons"),
                    format!("{client} がドメインコントローラー {server} に機器認証を大量に送っています"),
                ],
                attacks(),
            )
            .because(
                format!("{tries} authentications and {binds} connections of netlogon within ten minutes"),
                format!("10分以内にnetlogonの認証{tries}回、接続{binds}回"),
            )
            .because(
                "The exploit of CVE-2020-1472 (Zerologon) looks so; install its update and check the \
                 controller's machine account"
                    .into(),
                "CVE-2020-1472（Zerologon）を悪用する攻撃の形です。更新の適用とコントローラーの機器アカウントの確認が必要です".into(),
            )
        });
    }
}
