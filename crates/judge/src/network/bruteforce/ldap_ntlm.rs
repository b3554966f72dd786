//! `bruteforce.ldap_ntlm`: log-ons to a directory server that nothing follows.
//!
//! The answer to a bind is not read, so what counts is a flow that has authenticated and then carries hardly more than that:
//! whoever got in asks something.

use std::net::IpAddr;

use schema::{Attack, FlowEnd, NtlmStep, Severity, Sight, Tactic};
use serde::{Deserialize, Serialize};

use crate::network::Detectors;
use crate::network::table::Table;
use crate::network::telling::{Saying, Tell, Words, attack};
use crate::network::view::{MINUTE, Recent, View};
use crate::{Detector, Entry};

/// The detector's entry.
pub(crate) const ENTRY: Entry = Entry {
    id: "bruteforce.ldap_ntlm",
    title: "Passwords are being guessed at a directory server",
    title_ja: "ディレクトリサーバーでパスワードが推測されている",
    attacks,
    make: Detector::Network(Detectors::new),
};

const FLOWS_MAX: usize = 8192;
const PAIRS_MAX: usize = 4096;
const KEPT: usize = 128;
const WITHIN: i64 = 5 * MINUTE;
/// What one bind takes at most, from the client and from the server.
const BIND_BYTES: [u64; 2] = [900, 700];

fn attacks() -> Vec<Attack> {
    vec![attack("T1110", "Brute Force", Tactic::CredentialAccess)]
}

/// Binds that led to nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Binds {
    flows: Table<u64, Bound>,
    pairs: Table<(IpAddr, IpAddr), Recent>,
}

/// Log-ons within one flow, and how many of them were counted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Bound {
    accounts: Vec<u64>,
    counted: usize,
}

impl Default for Binds {
    fn default() -> Self {
        Self { flows: Table::new(FLOWS_MAX), pairs: Table::new(PAIRS_MAX) }
    }
}

impl Binds {
    pub(crate) fn evicted(&self) -> u64 {
        self.flows.evicted() + self.pairs.evicted()
    }

    /// Takes in log-ons at a directory server, and what their flows came to.
    pub(crate) fn take(&mut self, view: &View<'_>, tell: &mut Tell<'_>) {
        match view.sight() {
            Sight::Ntlm(ntlm)
                if ntlm.step == NtlmStep::Authenticate
                    && matches!(view.port(), 389 | 636 | 3268 | 3269)
                    && !view.rules.is_scanner(view.client()) =>
            {
                let bound = self.flows.slot(view.event.flow);
                if bound.accounts.len() < KEPT {
                    bound.accounts.push(ntlm.account);
                }
            }
            Sight::Traffic { traffic, end } => {
                let Some(bound) = self.flows.get_mut(&view.event.flow) else { return };
                let binds = bound.accounts.len() as u64;
                let fresh = bound.accounts.split_off(bound.counted.min(bound.accounts.len()));
                bound.accounts.extend(&fresh);
                bound.counted = bound.accounts.len();
                if *end != FlowEnd::Going {
                    self.flows.remove(&view.event.flow);
                }
                if (0..2).all(|side| traffic.payload[side] <= 300 + binds * BIND_BYTES[side]) {
                    self.fail(view, &fresh, tell);
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, view: &View<'_>, accounts: &[u64], tell: &mut Tell<'_>) {
        let pair = self.pairs.slot((view.client(), view.server()));
        for account in accounts {
            pair.add(view.event, *account, WITHIN, KEPT);
        }
        let (tries, kinds) = (pair.len(), pair.kinds());
        if tries < view.rules.thresholds.guesses as usize {
            return;
        }
        let severity = if kinds >= 5 || !view.client_inside { Severity::High } else { Severity::Medium };
        let trail = pair.trail();
        let saying = Saying::new(&ENTRY, view.client(), Some(view.server()), trail).severity(severity);
        tell.say(saying, || {
            let (client, server) = (view.client(), view.server());
            Words::new(
                [
                    format!("{client} guesses passwords at the directory server {server}"),
                    format!("{client} がディレクトリサーバー {server} でパスワードを推測しています"),
                ],
                attacks(),
            )
            .because(
                format!("{tries} log-ons for {kinds} account(s) after which nothing was asked"),
                format!("何も問い合わせないまま終わったログオンが{tries}回（アカウント{kinds}件）"),
            )
        });
    }
}
