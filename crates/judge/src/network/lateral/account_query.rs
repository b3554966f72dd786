//! `lateral.account_query`: somebody asks a domain controller about users and their groups, as `net user /domain` and the tools do that
//! map a domain before they move on. A weak sign: told with low severity, and not where several machines do the same.

use std::net::IpAddr;

use schema::{Attack, RpcInterface, RpcSight, Severity, Sight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{DAY, MINUTE, Trail, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "lateral.account_query",
    title: "Accounts of the domain are looked up",
    title_ja: "ドメインのアカウント情報が照会されている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const PAIRS_MAX: usize = 4096;
const SERVERS_MAX: usize = 1024;
/// Where so many machines ask, asking is what the hospital's programs do.
const HABIT_OF: usize = 4;

fn attacks() -> Vec<Attack> {
    vec![attack("T1087.002", "Account Discovery: Domain Account", Tactic::Discovery)]
}

/// Who asks whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Queries {
    pairs: Table<(IpAddr, IpAddr), Query>,
    askers: Table<IpAddr, Vec<IpAddr>>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Query {
    connected: bool,
    opened: bool,
    trail: Trail,
}

impl Default for Queries {
    fn default() -> Self {
        Self { pairs: Table::new(PAIRS_MAX), askers: Table::new(SERVERS_MAX) }
    }
}

impl Queries {
    pub(crate) fn evicted(&self) -> u64 {
        self.pairs.evicted() + self.askers.evicted()
    }

    /// Takes in calls to the accounts' interface ([MS-SAMR]).
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let Sight::Rpc(RpcSight::Request { interface: RpcInterface::Accounts, operation }) = view.sight()
        else {
            return;
        };
        let (client, server) = (view.client(), view.server());
        if view.rules.is_manager(client) || view.rules.is_scanner(client) {
            return;
        }
        let query = self.pairs.slot((client, server));
        if view.at().saturating_sub(query.trail.last).saturating_abs() > MINUTE {
            *query = Query::default();
        }
        query.trail.add(view.event);
        match operation {
            // SamrConnect4 and 5: [MS-LSAD], which has the same numbers for other calls, ends before the latter.
            62 | 64 => query.connected = true,
            34 => query.opened = true,
            // Information of a user, groups of a user; lists of users and members.
            36 | 37 | 39 | 13 | 25 if query.connected && query.opened => {
                let askers = self.askers.slot(server);
                if !askers.contains(&client) && askers.len() < HABIT_OF {
                    askers.push(client);
                }
                if askers.len() < HABIT_OF {
                    say(query.trail, view, tell);
                }
            }
            _ => {}
        }
    }
}

fn say(trail: Trail, view: &View<'_>, tell: &mut Tell<'_>) {
    let saying = Saying::new(&ENTRY, view.client(), Some(view.server()), trail)
        .severity(Severity::Low)
        .pause(DAY)
        .size(1);
    tell.say(saying, || {
        let (client, server) = (view.client(), view.server());
        Words::new(
            [
                format!("{client} looks up accounts of the domain at {server}"),
                format!("{client} が {server} でドメインのアカウント情報を照会しています"),
            ],
            attacks(),
        )
        .because(
            "It opened users and asked for their data or groups (SAMR), as `net user /domain` does".into(),
            "利用者を開き、情報や所属グループを照会しました（SAMR、net user /domain と同じ手順）".into(),
        )
        .because(
            "Administrators do so too: ask whoever works there".into(),
            "管理者の作業の可能性もあります。担当者に確認してください".into(),
        )
    });
}
