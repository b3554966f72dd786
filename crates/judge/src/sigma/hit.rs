//! What the engine says of a record.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use schema::{Entity, LogRecord, Micros, Subject, SubjectRole, ValueKind};

use super::rule::RuleInfo;

/// Subjects of one hit.
const SUBJECTS_MAX: usize = 8;

/// A rule that holds for a record, or a correlation that holds for a group.
#[derive(Debug, Clone, PartialEq)]
pub struct SigmaHit {
    /// What the rule says about itself: title, id, author, level, tags, licence.
    pub rule: Arc<RuleInfo>,
    /// When the record was written; of a correlation the latest one.
    pub at: Micros,
    /// Number of the record.
    pub number: u64,
    /// The machine that wrote it.
    pub host: String,
    /// Channel of the record, as written; empty for a correlation.
    pub channel: String,
    /// Event id of the record.
    pub event_id: Option<u32>,
    /// Fields on which the rule rests, with their values, bounded; of a correlation its group. Values can hold what users typed.
    pub fields: Vec<(String, String)>,
    /// Machines, accounts and addresses that the record names.
    pub subjects: Vec<Subject>,
    /// Set when it is a correlation's.
    pub together: Option<Together>,
}

/// What a correlation measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Together {
    /// Records, distinct values, a sum, …, as the rule asks.
    pub measured: f64,
    /// The oldest record of the group.
    pub first: Micros,
    /// The newest.
    pub last: Micros,
}

/// Fields that name who acted, most telling first.
const ACTORS: &[&str] =
    &["SubjectUserName", "User", "user", "AccountName", "UserName", "user.name", "srcuser", "acct"];
/// Fields that name the account it was done to or that was tried.
const TARGETS: &[&str] = &["TargetUserName", "TargetUser", "SamAccountName", "targetuser", "account"];
/// Fields that name where it came from: an address, or an address with its port.
const SOURCES: &[&str] = &[
    "IpAddress",
    "ClientIP",
    "ClientAddress",
    "SourceNetworkAddress",
    "Address",
    "src_ip",
    "srcip",
    "remip",
    "rhost",
    "source.ip",
    "source",
    "id.orig_h",
    "IPString",
    "Param3",
];

/// The machine, accounts and source that a record names.
pub(super) fn subjects(record: &LogRecord) -> Vec<Subject> {
    let mut found: Vec<Subject> = Vec::new();
    let mut add = |role, entity| {
        let subject = Subject { role, entity };
        if found.len() < SUBJECTS_MAX && !found.contains(&subject) {
            found.push(subject);
        }
    };
    if !record.host.is_empty() {
        add(SubjectRole::Target, Entity::Host { name: bounded(&record.host) });
    }
    // One walk over the fields, then in the tables' order.
    let mut named: [Option<&str>; 48] = [None; 48];
    let names = || SOURCES.iter().chain(TARGETS).chain(ACTORS);
    for (name, value, kind) in record.iter() {
        if kind != ValueKind::Null
            && let Some(place) = names().position(|known| *known == name)
            && let Some(slot) = named.get_mut(place)
        {
            slot.get_or_insert(value);
        }
    }
    for (place, value) in named.iter().enumerate() {
        let Some(value) = value.map(str::trim).filter(|value| !value.is_empty() && *value != "-") else {
            continue;
        };
        if place < SOURCES.len() {
            if let Some(address) = address(value) {
                add(SubjectRole::Actor, Entity::Address { address });
            }
        } else if !is_machine(value) {
            let is_target = place < SOURCES.len() + TARGETS.len();
            let role = if is_target { SubjectRole::Target } else { SubjectRole::Actor };
            add(role, Entity::Account { name: bounded(&value.to_lowercase()) });
        }
    }
    found
}

fn bounded(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(256).collect()
}

/// An address that is somebody else's: loopback and unspecified ones say nothing of where it came from.
fn address(value: &str) -> Option<IpAddr> {
    let address = value
        .parse::<IpAddr>()
        .or_else(|_| value.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()?
        .to_canonical();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Accounts of machines and of Windows itself: they are nobody.
fn is_machine(name: &str) -> bool {
    let bare = name.rsplit('\\').next().unwrap_or(name);
    bare.ends_with('$')
        || ["SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE", "ANONYMOUS LOGON"]
            .iter()
            .any(|known| bare.eq_ignore_ascii_case(known))
}
