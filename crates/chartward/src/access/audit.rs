//! What the ledger learns: every log-in and refusal, every change of accounts, tokens, secrets and arming.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Access, Role, Who};

/// One fact about access. Names that are no accounts' are left out: people type passwords into the wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Audit {
    /// When.
    pub(crate) at: Timestamp,
    /// Who; `-` where nobody is known, `local` at the machine itself.
    pub(crate) user: String,
    /// In which role.
    pub(crate) role: Option<Role>,
    /// What was asked, such as `log_in` or `users`.
    pub(crate) what: String,
    /// Of what or whom.
    pub(crate) object: String,
    /// Whether it was let through.
    pub(crate) allowed: bool,
    /// From where.
    pub(crate) address: Option<IpAddr>,
}

impl Audit {
    pub(crate) fn of(who: &Who, what: &str, object: &str, allowed: bool, at: Timestamp) -> Self {
        Self {
            at,
            user: who.name.clone(),
            role: Some(who.role),
            what: what.to_owned(),
            object: object.to_owned(),
            allowed,
            address: None,
        }
    }

    /// Of somebody who is not (yet) logged in.
    pub(super) fn stranger(user: &str, what: &str, allowed: bool, address: IpAddr, at: Timestamp) -> Self {
        Self {
            at,
            user: user.to_owned(),
            role: None,
            what: what.to_owned(),
            object: String::new(),
            allowed,
            address: Some(address),
        }
    }
}

impl From<&Audit> for prove::Fact {
    fn from(fact: &Audit) -> Self {
        let from = fact.address.map(|address| format!("from {address}"));
        let object = [Some(fact.object.clone()).filter(|object| !object.is_empty()), from];
        Self::Access {
            user: fact.user.clone(),
            role: fact.role.map_or("", Role::name).to_owned(),
            what: fact.what.clone(),
            object: object.into_iter().flatten().collect::<Vec<_>>().join(", "),
            allowed: fact.allowed,
        }
    }
}

/// Writes a fact into the ledger; it is durable when this returns.
pub(crate) type Auditor = Arc<dyn Fn(&Audit) + Send + Sync>;

/// Refusals of strangers that are recorded one by one in a minute. The rest are counted: whoever floods the
/// log-in must not be able to fill the disk with the ledger.
const REFUSALS_A_MINUTE: u32 = 60;

pub(super) struct Recorder {
    auditor: Auditor,
    strangers: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    since: Option<Timestamp>,
    recorded: u32,
    left_out: u32,
}

impl Recorder {
    pub(super) fn new(auditor: Auditor) -> Self {
        Self { auditor, strangers: Mutex::default() }
    }

    fn record(&self, fact: &Audit) {
        if fact.allowed || fact.role.is_some() {
            (self.auditor)(fact);
            return;
        }
        let summary = {
            let mut counted = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new_minute = counted.since.is_none_or(|since| {
                fact.at < since || fact.at.duration_since(since) >= SignedDuration::from_mins(1)
            });
            let left_out = if is_new_minute { counted.left_out } else { 0 };
            if is_new_minute {
                *counted = Counted { since: Some(fact.at), ..Counted::default() };
            }
            if counted.recorded >= REFUSALS_A_MINUTE {
                counted.left_out = counted.left_out.saturating_add(1);
                return;
            }
            counted.recorded += 1;
            (left_out > 0).then(|| Audit {
                user: "-".to_owned(),
                object: format!("{left_out} more"),
                address: None,
                ..fact.clone()
            })
        };
        for fact in summary.iter().chain([fact]) {
            (self.auditor)(fact);
        }
    }
}

impl Access {
    pub(super) fn audit(&self, fact: Audit) {
        self.0.audit.record(&fact);
    }
}
