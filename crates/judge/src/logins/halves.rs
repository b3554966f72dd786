//! One refusal in two records: Remote Desktop tells the address (event 140), the security log the account (event 4625, without an address
//! where NLA and NTLM hide it). What comes within two seconds at one machine belongs together.

use std::net::IpAddr;

use schema::{AuthEvent, AuthOutcome, Micros};
use serde::{Deserialize, Serialize};

use super::view::{Key, SECOND, View, kept};
use crate::table::Table;

const HOSTS_MAX: usize = 4096;
pub(super) const TOGETHER: Micros = 2 * SECOND;

/// The last half of each host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Halves(Table<Key, Half>);

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Half {
    Source(Micros, IpAddr),
    Account(Micros, Box<str>),
}

/// What the other half said, and with that what was counted already.
#[derive(Debug, Clone)]
pub(super) enum Other {
    Source(IpAddr),
    Account(Box<str>),
}

impl Default for Halves {
    fn default() -> Self {
        Self(Table::new(HOSTS_MAX))
    }
}

impl Halves {
    pub(crate) fn evicted(&self) -> u64 {
        self.0.evicted()
    }

    /// The other half of a refusal, which is then used up.
    pub(super) fn complete(&mut self, view: &View<'_>) -> Option<Other> {
        if view.event.outcome != AuthOutcome::Failure || view.event.host.is_empty() {
            return None;
        }
        let half = match (view.address(), view.account_name()) {
            (Some(address), None) => Half::Source(view.at(), address),
            (None, Some(account)) => Half::Account(view.at(), kept(account)),
            _ => return None,
        };
        let other = match (self.0.get(&view.host), &half) {
            (Some(Half::Source(at, address)), Half::Account(..)) if near(*at, view) => {
                Some(Other::Source(*address))
            }
            (Some(Half::Account(at, account)), Half::Source(..)) if near(*at, view) => {
                Some(Other::Account(account.clone()))
            }
            _ => None,
        };
        match other {
            Some(_) => _ = self.0.remove(&view.host),
            None => self.0.insert(view.host, half),
        }
        other
    }
}

fn near(at: Micros, view: &View<'_>) -> bool {
    at.abs_diff(view.at()) <= TOGETHER.unsigned_abs()
}

impl Other {
    /// The event with what the other half said.
    pub(super) fn fill<'a>(&'a self, event: &AuthEvent<'a>) -> AuthEvent<'a> {
        match self {
            Other::Source(address) => AuthEvent { source: Some(*address), ..*event },
            Other::Account(account) => AuthEvent { account: Some(account), ..*event },
        }
    }
}
