//! An event as the detectors see it: names folded into numbers, and what the rules say of it.

use std::net::IpAddr;

use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason, Micros};
use serde::{Deserialize, Serialize};

use super::rules::Rules;

pub(super) const SECOND: Micros = 1_000_000;
pub(super) const MINUTE: Micros = 60 * SECOND;
pub(super) const HOUR: Micros = 60 * MINUTE;
pub(super) const DAY: Micros = 24 * HOUR;
/// Further from 1970 than that no log is written.
const TIME_MAX: u64 = 1 << 52;
/// A name longer than that is cut where it is kept.
const NAME_MAX: usize = 96;

/// Who logs in without being anybody.
const NOBODY: [&str; 7] = ["", "-", "system", "anonymous logon", "local service", "network service", "iusr"];

/// What a name or an address is told apart by.
pub(super) type Key = u64;

/// Where somebody came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An address.
    Address(IpAddr),
    /// The name that the client gave itself, where the log tells no address.
    Workstation(Box<str>),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Address(address) => write!(f, "{address}"),
            Source::Workstation(name) => f.write_str(name),
        }
    }
}

/// An event and what is known about it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(super) rules: &'a Rules,
    pub(super) event: &'a AuthEvent<'a>,
    /// `None` where the log names none, or only the machine itself.
    pub(super) account: Option<Key>,
    pub(super) source: Option<Key>,
    pub(super) host: Key,
    /// It comes from an address that is not the hospital's.
    pub(super) outside: bool,
}

impl<'a> View<'a> {
    /// `None` for what machines do among themselves, and for what has no possible time.
    pub(super) fn of(event: &'a AuthEvent<'a>, rules: &'a Rules) -> Option<Self> {
        if event.at.unsigned_abs() > TIME_MAX || event.account.is_some_and(|name| name.ends_with('$')) {
            return None;
        }
        let name = event.account.filter(|name| !is_nobody(name));
        if event.account.is_some() && name.is_none() && event.outcome == AuthOutcome::Success {
            return None;
        }
        let address = event.source.filter(|address| !is_self(*address));
        let source = match (address, workstation(event)) {
            (Some(address), _) => Some(key_of_address(address)),
            (None, Some(name)) => Some(key(b'w', name)),
            (None, None) => None,
        };
        Some(Self {
            rules,
            event,
            account: name.map(|name| key(b'u', name)),
            source,
            host: key(b'h', event.host),
            outside: address.is_some_and(|address| !rules.is_internal(address)),
        })
    }

    pub(super) fn at(&self) -> Micros {
        self.event.at
    }

    /// The account's name, where it is somebody's.
    pub(super) fn account_name(&self) -> Option<&'a str> {
        self.event.account.filter(|_| self.account.is_some())
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        self.event.source.filter(|address| !is_self(*address))
    }

    /// Where it came from, to be kept.
    pub(super) fn source_name(&self) -> Option<Source> {
        match (self.address(), workstation(self.event)) {
            (Some(address), _) => Some(Source::Address(address)),
            (None, Some(name)) => Some(Source::Workstation(kept(name))),
            (None, None) => None,
        }
    }

    pub(super) fn is_privileged(&self) -> bool {
        self.account_name().is_some_and(|name| self.rules.is_privileged(name))
    }

    pub(super) fn is_scanner(&self) -> bool {
        !self.rules.scanners.is_empty() && self.rules.is_scanner(self.address(), self.account_name())
    }

    /// A failure that says something about a secret or a name, unlike a connection that broke.
    pub(super) fn is_refusal(&self) -> bool {
        self.event.outcome == AuthOutcome::Failure && self.event.reason != AuthReason::Broken
    }

    pub(super) fn is_entry(&self) -> bool {
        matches!(self.event.outcome, AuthOutcome::Success | AuthOutcome::Resumed)
    }

    /// Somebody sits there: at a screen, in a terminal or behind a VPN.
    pub(super) fn is_interactive(&self) -> bool {
        match self.event.logon_type {
            Some(kind) => matches!(kind, 2 | 7 | 10 | 11 | 12 | 13),
            None => matches!(
                self.event.protocol,
                AuthProtocol::Rdp
                    | AuthProtocol::RdGateway
                    | AuthProtocol::Ssh
                    | AuthProtocol::Vpn
                    | AuthProtocol::Console
            ),
        }
    }
}

/// The machine's own addresses, and none at all.
fn is_self(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// The client's name, where it is another machine's.
fn workstation<'a>(event: &AuthEvent<'a>) -> Option<&'a str> {
    let name = event.workstation.map(str::trim).filter(|name| !name.is_empty() && *name != "-")?;
    (!name.eq_ignore_ascii_case(event.host)).then_some(name)
}

fn is_nobody(name: &str) -> bool {
    let starts =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    NOBODY.iter().any(|nobody| nobody.eq_ignore_ascii_case(name)) || starts("dwm-") || starts("umfd-")
}

/// A name as it is kept: lower case, printable and not too long.
pub(super) fn kept(name: &str) -> Box<str> {
    let shown =
        name.chars().map(|letter| if letter.is_control() { '?' } else { letter.to_ascii_lowercase() });
    shown.take(NAME_MAX).collect::<String>().into()
}

/// FNV-1a over a kind and a name, whatever the case of its letters.
pub(super) fn key(kind: u8, name: &str) -> Key {
    let bytes = name.bytes().map(|byte| byte.to_ascii_lowercase());
    std::iter::once(kind).chain(bytes).fold(0xcbf2_9ce4_8422_2325, eat)
}

pub(super) fn key_of_address(address: IpAddr) -> Key {
    match address {
        IpAddr::V4(v4) => v4.octets().into_iter().fold(eat(0xcbf2_9ce4_8422_2325, b'4'), eat),
        IpAddr::V6(v6) => v6.octets().into_iter().fold(eat(0xcbf2_9ce4_8422_2325, b'6'), eat),
    }
}

/// One key of several: each is folded in by a wide multiplication, a dozen times for every failure.
#[inline]
pub(super) fn joined(keys: &[Key]) -> Key {
    keys.iter().fold(0xcbf2_9ce4_8422_2325, |hash, key| {
        let wide = u128::from(hash ^ key) * 0x9e37_79b9_7f4a_7c15;
        (wide as u64) ^ ((wide >> 64) as u64).rotate_left(23)
    })
}

fn eat(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}
