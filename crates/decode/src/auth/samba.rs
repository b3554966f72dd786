//! Samba's audit of logons (`auth_audit`, since 4.7; the JSON form is read in `json`).

use schema::AuthEvent;
use schema::AuthProtocol::{Kerberos, Smb};
use schema::{AuthProtocol, AuthReason};

use super::line::{Fill, Line, between, some};

/// `Auth: [SMB2,(null)] user [D]\[u] at [time] with [NTLMv2] status [NT_STATUS_…] workstation [W] remote host [ipv4:A:P] …`
pub(super) fn read<'a>(line: &Line<'a>) -> Option<AuthEvent<'a>> {
    let rest = line.text.strip_prefix("Auth: [")?;
    let (kind, rest) = rest.split_once("] user [")?;
    // Who logs in chooses domain, account and workstation: they are looked for from the left, the rest from the right.
    let (domain, rest) = rest.split_once("]\\[")?;
    let at = memchr::memmem::rfind(rest.as_bytes(), b"] workstation [")?;
    let (head, tail) = (rest.get(..at)?, rest.get(at..)?);
    let (user, _) = head.split_once("] at [")?;
    let status = head.rsplit_once("status [")?.1;
    let workstation = between(tail, "workstation [", "] remote host [")?;
    let from = between(tail, "remote host [", "]")?;
    let protocol = protocol(kind.split(',').next().unwrap_or_default());
    let event = match reason(status) {
        AuthReason::None => line.success(protocol),
        reason => line.failure(protocol, reason),
    };
    // Somebody wrote a second one into a name, and none of them is surely the true one.
    let is_sure = memchr::memmem::find_iter(rest.as_bytes(), b"remote host [").count() == 1;
    let event = event.account(user);
    let mut event = if is_sure { event.from(stripped(from)) } else { event };
    event.domain = some(domain).or(event.domain);
    event.workstation = some(workstation).or(event.workstation);
    Some(event)
}

/// Without `ipv4:`.
pub(super) fn stripped(address: &str) -> &str {
    address.strip_prefix("ipv4:").or_else(|| address.strip_prefix("ipv6:")).unwrap_or(address)
}

pub(super) fn protocol(kind: &str) -> AuthProtocol {
    match kind {
        "Kerberos KDC" => Kerberos,
        "LDAP" => AuthProtocol::Other,
        _ => Smb,
    }
}

/// MS-ERREF §2.3.1, by name.
pub(super) fn reason(status: &str) -> AuthReason {
    match status {
        "NT_STATUS_OK" => AuthReason::None,
        "NT_STATUS_WRONG_PASSWORD" | "NT_STATUS_LOGON_FAILURE" => AuthReason::WrongSecret,
        "NT_STATUS_NO_SUCH_USER" => AuthReason::NoSuchAccount,
        "NT_STATUS_ACCOUNT_DISABLED" => AuthReason::Disabled,
        "NT_STATUS_ACCOUNT_LOCKED_OUT" => AuthReason::Locked,
        "NT_STATUS_ACCOUNT_EXPIRED" | "NT_STATUS_PASSWORD_EXPIRED" | "NT_STATUS_PASSWORD_MUST_CHANGE" => {
            AuthReason::Expired
        }
        "NT_STATUS_ACCOUNT_RESTRICTION"
        | "NT_STATUS_INVALID_LOGON_HOURS"
        | "NT_STATUS_INVALID_WORKSTATION"
        | "NT_STATUS_LOGON_TYPE_NOT_GRANTED"
        | "NT_STATUS_ACCESS_DENIED" => AuthReason::NotAllowed,
        _ => AuthReason::Unknown,
    }
}
