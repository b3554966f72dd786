//! What the logs alone say about doors that are open: which machine is reached how, from where, and with which accounts.

pub(crate) mod account;
mod advice;
pub(crate) mod nla;
pub(crate) mod service;

use schema::{AuthOutcome, AuthProtocol, Lang, Micros};
use serde::{Deserialize, Serialize};

use super::marks::Trail;
use super::view::{Key, View, joined, kept};
use crate::table::Table;
pub use advice::Advice;
pub(super) use advice::advice;

const DOORS_MAX: usize = 8192;
const SOURCES_MAX: usize = 32;
const ACCOUNTS_MAX: usize = 16;

/// Doors: hosts and the protocols by which they are reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Doors(Table<Key, Door>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Door {
    /// The machine.
    pub host: Box<str>,
    /// How it is reached.
    pub protocol: AuthProtocol,
    /// From the hospital's addresses, and from those that the log does not tell.
    pub inside: Side,
    /// From addresses outside.
    pub outside: Side,
    /// Whether Remote Desktop asks for the password before it shows a screen; `None` where the log does not say.
    pub nla: Option<bool>,
}

/// What came from one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Connections of which no more is known.
    pub reached: u64,
    /// Refusals.
    pub failed: u64,
    /// Log-ons.
    pub succeeded: u64,
    /// The first of them.
    pub first: Micros,
    /// The last of them.
    pub last: Micros,
    /// Sources, as many as are kept.
    pub sources: Vec<Box<str>>,
    /// Accounts that got in, as many as are kept.
    pub accounts: Vec<Box<str>>,
    /// Sources that were looked for among those that are kept, and are there now.
    #[serde(skip)]
    there: Vec<Key>,
}

impl Default for Doors {
    fn default() -> Self {
        Self(Table::new(DOORS_MAX))
    }
}

impl Doors {
    pub(crate) fn evicted(&self) -> u64 {
        self.0.evicted()
    }

    /// Every door, in order.
    pub(in crate::logins) fn all(&self) -> Vec<&Door> {
        let mut all: Vec<&Door> = self.0.sorted().into_iter().map(|(_, door)| door).collect();
        all.sort_by(|a, b| (&a.host, a.protocol).cmp(&(&b.host, b.protocol)));
        all
    }

    /// Takes in whatever reached a machine; gives the door back where there is one.
    pub(in crate::logins) fn take(&mut self, view: &View<'_>) -> Option<&Door> {
        let outcome = view.event.outcome;
        let protocol = protocol_of(view)?;
        if view.event.host.is_empty() || outcome == AuthOutcome::Ended {
            return None;
        }
        let key = joined(&[view.host, protocol as u64]);
        let (door, _) = self.0.place_with(key, || {
            let (inside, outside) = (Side::default(), Side::default());
            Door { host: kept(view.event.host), protocol, inside, outside, nla: None }
        });
        let side = if view.outside { &mut door.outside } else { &mut door.inside };
        side.add(view);
        if protocol == AuthProtocol::Rdp && outcome == AuthOutcome::Failure {
            // Without it the refusal happens at the screen (type 10), with it before there is one (type 3).
            door.nla = match view.event.logon_type {
                Some(10) => Some(false),
                Some(3) => door.nla.or(Some(true)),
                _ => door.nla,
            };
        }
        Some(door)
    }
}

impl Side {
    fn add(&mut self, view: &View<'_>) {
        let mut trail = Trail { count: self.total(), first: self.first, last: self.last };
        trail.add(view.at());
        (self.first, self.last) = (trail.first, trail.last);
        match view.event.outcome {
            AuthOutcome::Failure => self.failed += 1,
            AuthOutcome::Success | AuthOutcome::Resumed => self.succeeded += 1,
            _ => self.reached += 1,
        }
        if self.sources.len() < SOURCES_MAX
            && let Some(key) = view.source
            && !self.there.contains(&key)
            && let Some(source) = view.source_name()
        {
            remember(&mut self.sources, &source.to_string());
            // Names that are cut can be one name with many keys.
            if self.there.len() < SOURCES_MAX {
                self.there.push(key);
            }
        }
        if view.is_entry()
            && self.accounts.len() < ACCOUNTS_MAX
            && let Some(account) = view.account_name()
        {
            remember(&mut self.accounts, account);
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.reached + self.failed + self.succeeded
    }
}

fn remember(names: &mut Vec<Box<str>>, name: &str) {
    if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        names.push(kept(name));
    }
}

/// By which door somebody came; `None` for what is none, such as a ticket or the machine's own keyboard.
fn protocol_of(view: &View<'_>) -> Option<AuthProtocol> {
    use AuthProtocol::{Console, Kerberos, Ntlm, Other, Rdp, Service};
    match (view.event.protocol, view.event.logon_type) {
        (_, Some(10)) => Some(Rdp),
        (Console | Kerberos | Ntlm | Other | Service, _) => None,
        (protocol, _) => Some(protocol),
    }
}

/// What a door is called.
pub(in crate::logins) fn name_of(protocol: AuthProtocol, lang: Lang) -> &'static str {
    match protocol {
        AuthProtocol::Rdp => lang.pick("Remote Desktop", "リモートデスクトップ"),
        AuthProtocol::RdGateway => lang.pick("Remote Desktop Gateway", "リモートデスクトップゲートウェイ"),
        AuthProtocol::Smb => lang.pick("file sharing (SMB)", "ファイル共有（SMB）"),
        AuthProtocol::Ssh => "SSH",
        AuthProtocol::Vpn => "VPN",
        AuthProtocol::Kerberos => "Kerberos",
        AuthProtocol::Ntlm => "NTLM",
        AuthProtocol::Console => lang.pick("the console", "コンソール"),
        AuthProtocol::Service => lang.pick("a service", "サービス"),
        AuthProtocol::Web => lang.pick("a web page", "Web画面"),
        AuthProtocol::Mail => lang.pick("mail", "メール"),
        AuthProtocol::Ftp => "FTP",
        AuthProtocol::Database => lang.pick("a database", "データベース"),
        AuthProtocol::Other => lang.pick("Windows", "Windows"),
    }
}
