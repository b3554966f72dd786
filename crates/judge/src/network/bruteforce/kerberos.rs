//! `bruteforce.kerberos`: one machine tries many accounts, or one account many times, or gathers tickets to crack at home.
//!
//! A terminal server or a gateway logs on many people too, but most of them succeed; so failures count only where they are the more.

use std::net::IpAddr;

use schema::{Attack, KerberosSight, Severity, Sight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{MINUTE, Recent, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.kerberos",
    title: "Accounts of the domain are being tried",
    title_ja: "ドメインのアカウントが次々に試されている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const CLIENTS_MAX: usize = 8192;
const KEPT: usize = 256;
const WITHIN: i64 = 10 * MINUTE;
/// So many accounts that fail.
const ACCOUNTS_MANY: usize = 8;
/// So many failures of one account.
const TRIES_MANY: usize = 15;
/// Tickets of so many services, with the oldest encryption alone, by a client that knows better.
const SERVICES_MANY: usize = 6;
/// A client that knows nothing better (XP, Server 2003) asks so all day long; not for so many within a minute.
const SERVICES_AT_ONCE: usize = 12;

fn attacks() -> Vec<Attack> {
    vec![
        attack("T1110.003", "Brute Force: Password Spraying", Tactic::CredentialAccess),
        attack("T1558.003", "Steal or Forge Kerberos Tickets: Kerberoasting", Tactic::CredentialAccess),
    ]
}

/// What clients asked domain controllers for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tickets {
    clients: Table<IpAddr, Client>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Client {
    failed: Recent,
    granted: Recent,
    weak: Recent,
    /// It asked with newer encryption.
    is_modern: bool,
    asked_for: u64,
}

impl Default for Tickets {
    fn default() -> Self {
        Self { clients: Table::new(CLIENTS_MAX) }
    }
}

impl Tickets {
    pub(crate) fn evicted(&self) -> u64 {
        self.clients.evicted()
    }

    /// Takes in what Kerberos shows.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        let Sight::Kerberos(sight) = view.sight() else { return };
        if view.rules.is_scanner(view.client()) {
            return;
        }
        let client = self.clients.slot(view.client());
        match *sight {
            KerberosSight::AsRequest { account, weak } => {
                client.asked_for = account;
                client.is_modern |= !weak;
                if weak {
                    client.roast(view, account, tell);
                }
            }
            KerberosSight::AsReply => client.granted.add(view.event, client.asked_for, WITHIN, KEPT),
            KerberosSight::TgsRequest { service, weak: true } => client.roast(view, service, tell),
            KerberosSight::Error { code: 6 | 18 | 24, account } => {
                let account = if account == 0 { client.asked_for } else { account };
                client.failed.add(view.event, account, WITHIN, KEPT);
                client.weigh(view, tell);
            }
            KerberosSight::TgsRequest { weak: false, .. } => client.is_modern = true,
            KerberosSight::TgsReply | KerberosSight::Error { .. } => {}
        }
    }
}

impl Client {
    fn weigh(&self, view: &View<'_>, tell: &mut Tell<'_>) {
        let (failures, accounts) = (self.failed.len(), self.failed.kinds());
        let mostly_fails = failures > self.granted.len();
        let spray = accounts >= ACCOUNTS_MANY;
        if !mostly_fails || (!spray && (failures < TRIES_MANY || accounts > 2)) {
            return;
        }
        let severity = if spray { Severity::High } else { Severity::Medium };
        let trail = self.failed.trail();
        let saying = Saying::new(&ENTRY, view.client(), Some(view.server()), trail).severity(severity);
        tell.say(saying, || {
            let (client, server) = (view.client(), view.server());
            Words::new(
                [
                    format!("{client} tries accounts of the domain at {server}"),
                    format!("{client} が {server} でドメインのアカウントを次々に試しています"),
                ],
                attacks().into_iter().take(1).collect(),
            )
            .because(
                format!(
                    "{failures} log-ons failed for {accounts} account(s); {} succeeded",
                    self.granted.len()
                ),
                format!("アカウント{accounts}件のログオンが{failures}回失敗、成功{}回", self.granted.len()),
            )
        });
    }

    /// Tickets that can be cracked at home.
    fn roast(&mut self, view: &View<'_>, what: u64, tell: &mut Tell<'_>) {
        self.weak.add(view.event, what, WITHIN, KEPT);
        let services = self.weak.kinds();
        let is_burst = self.weak.kinds_within(MINUTE) >= SERVICES_AT_ONCE;
        if !is_burst && (!self.is_modern || services < SERVICES_MANY) {
            return;
        }
        let saying = Saying::new(&ENTRY, view.client(), Some(view.server()), self.weak.trail())
            .about(1)
            .severity(Severity::High);
        tell.say(saying, || {
            let (client, server) = (view.client(), view.server());
            Words::new(
                [
                    format!("{client} gathers tickets from {server} that can be cracked"),
                    format!("{client} が {server} から解読可能なチケットを集めています"),
                ],
                attacks().into_iter().skip(1).collect(),
            )
            .because(
                format!("Tickets for {services} services or accounts, each with the oldest encryption alone"),
                format!("最も古い暗号方式だけを指定したチケット要求が、{services}件のサービス・アカウントに対して行われました"),
            )
        });
    }
}
