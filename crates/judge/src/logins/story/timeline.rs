//! What one account or one source did, one line for each go.

use std::net::IpAddr;

use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason, Micros};
use serde::{Deserialize, Serialize};

use crate::logins::rules::Rules;
use crate::logins::view::{HOUR, Source, View, kept};

const MOMENTS_MAX: usize = 5000;

/// Whose timeline it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// An account's.
    Account(String),
    /// A source's, by its address.
    Address(IpAddr),
    /// A source's, by the name that it gives itself.
    Workstation(String),
    /// A machine's that is logged in to.
    Host(String),
}

/// The same thing, once or many times within an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The first time.
    pub first: Micros,
    /// The last time.
    pub last: Micros,
    /// How often.
    pub count: u64,
    /// With which account.
    pub account: Option<Box<str>>,
    /// From where.
    pub source: Option<Source>,
    /// Where.
    pub host: Box<str>,
    /// How.
    pub protocol: AuthProtocol,
    /// With what result.
    pub outcome: AuthOutcome,
    /// Why it failed.
    pub reason: AuthReason,
}

/// What one did, in the order of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Whose it is.
    pub who: Who,
    /// What happened; sorted by its first time once it is finished.
    pub moments: Vec<Moment>,
    /// Events that found no room.
    pub left_out: u64,
}

impl Timeline {
    /// An empty one.
    pub fn new(who: Who) -> Self {
        Self { who, moments: Vec::new(), left_out: 0 }
    }

    /// Takes in an event; what is somebody else's is passed over.
    pub fn take(&mut self, event: &AuthEvent<'_>, rules: &Rules) {
        let Some(view) = View::of(event, rules).filter(|view| self.is_his(view)) else { return };
        let moment = Moment {
            first: view.at(),
            last: view.at(),
            count: 1,
            account: view.account_name().map(kept),
            source: view.source_name(),
            host: kept(event.host),
            protocol: event.protocol,
            outcome: event.outcome,
            reason: event.reason,
        };
        let same = |known: &&mut Moment| {
            let alike = Moment { first: known.first, last: known.last, count: known.count, ..moment.clone() };
            alike == **known && known.last.abs_diff(moment.first) <= HOUR.unsigned_abs()
        };
        if let Some(known) = self.moments.iter_mut().rev().take(32).find(same) {
            (known.first, known.last) = (known.first.min(moment.first), known.last.max(moment.last));
            known.count += 1;
        } else if self.moments.len() < MOMENTS_MAX {
            self.moments.push(moment);
        } else {
            self.left_out += 1;
        }
    }

    /// In the order of time.
    #[must_use]
    pub fn finished(mut self) -> Self {
        self.moments.sort_by_key(|moment| (moment.first, moment.last));
        self
    }

    fn is_his(&self, view: &View<'_>) -> bool {
        match &self.who {
            Who::Account(name) => {
                view.account_name().is_some_and(|account| account.eq_ignore_ascii_case(name))
            }
            Who::Address(address) => view.address() == Some(*address),
            Who::Workstation(name) => {
                view.event.workstation.is_some_and(|own| own.trim().eq_ignore_ascii_case(name))
            }
            Who::Host(name) => view.event.host.eq_ignore_ascii_case(name),
        }
    }
}
