//! One attempt to log in, or an end of one, whatever log it was read from.
//!
//! Borrowed from the line or record it was read from, so that a million lines a second need no memory of their own; who wants to
//! remember a name keeps his own copy of it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Micros;

/// What a log says of a logon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthEvent<'a> {
    /// When it happened, by the clock of the machine that wrote it.
    pub at: Micros,
    /// The machine that was logged in to, lower case, without its domain; empty when the log does not say.
    pub host: &'a str,
    /// How.
    pub protocol: AuthProtocol,
    /// With what result.
    pub outcome: AuthOutcome,
    /// Why it failed.
    pub reason: AuthReason,
    /// The account as written, without its domain; `None` where the log has none (a connection before any name was said).
    pub account: Option<&'a str>,
    /// The account's domain, realm or group.
    pub domain: Option<&'a str>,
    /// Where it came from; an IPv4-mapped IPv6 address is written as IPv4. Many logs do not say: then the workstation has to do.
    pub source: Option<IpAddr>,
    /// The name that the client gave itself. It can be forged.
    pub workstation: Option<&'a str>,
    /// Windows logon type (2 interactive, 3 network, 10 remote interactive, …).
    pub logon_type: Option<u8>,
    /// What ties a logon to its end: logon id, session id or process id, as written.
    pub session: Option<&'a str>,
}

/// How somebody logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthProtocol {
    /// Remote Desktop.
    Rdp,
    /// Remote Desktop through a gateway.
    RdGateway,
    /// SMB: shares, and what travels over them.
    Smb,
    /// SSH.
    Ssh,
    /// A VPN.
    Vpn,
    /// A ticket from a domain controller.
    Kerberos,
    /// NTLM, as a domain controller or a server sees it.
    Ntlm,
    /// At the machine itself.
    Console,
    /// A service or a scheduled task.
    Service,
    /// A page of a web server or the administration of a device.
    Web,
    /// Mail (IMAP, POP3, SMTP).
    Mail,
    /// FTP.
    Ftp,
    /// A database.
    Database,
    /// Windows without more being said, or something else.
    Other,
}

/// With what result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthOutcome {
    /// Somebody reached the door and nothing more is known (RDP 131, 261, 1149).
    Reached,
    /// Refused.
    Failure,
    /// Let in.
    Success,
    /// Left, or was cut off.
    Ended,
    /// Came back to a session that was there.
    Resumed,
}

/// Why it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthReason {
    /// It did not fail.
    None,
    /// The secret was wrong.
    WrongSecret,
    /// There is no such account.
    NoSuchAccount,
    /// The account is disabled.
    Disabled,
    /// The account is locked.
    Locked,
    /// The account or its password is past its date.
    Expired,
    /// Not at this hour, not from there, not to there.
    NotAllowed,
    /// Too many attempts on one connection.
    TooMany,
    /// The other side broke the protocol or left.
    Broken,
    /// Not said, or none of these.
    Unknown,
}
