//! What a Windows record says of a logon.

use std::net::IpAddr;

use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason, LogRecord};

use super::flat::endpoint;
use super::reason;

/// How an event's result is told.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// By its number alone.
    Always(AuthOutcome, AuthReason),
    /// By a code in one of these fields: zero is success.
    Code(&'static [&'static str]),
    /// It failed, and a code says why.
    Failed(&'static [&'static str]),
}

/// Where an event keeps what is asked of it; of several fields the first that says something counts.
struct Shape {
    channel: &'static str,
    ids: &'static [u32],
    /// `None` where the type of the logon decides.
    protocol: Option<AuthProtocol>,
    told: Told,
    account: &'static [&'static str],
    domain: &'static [&'static str],
    source: &'static [&'static str],
    workstation: &'static [&'static str],
    session: &'static [&'static str],
}

const SECURITY: &str = "Security";
const RDP_CORE: &str = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational";
const CONNECTIONS: &str = "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational";
const SESSIONS: &str = "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational";
const GATEWAY: &str = "Microsoft-Windows-TerminalServices-Gateway/Operational";
const OPENSSH: &str = "OpenSSH/Operational";

const TARGET: Shape = Shape {
    channel: SECURITY,
    ids: &[],
    protocol: None,
    told: Told::Always(AuthOutcome::Success, AuthReason::None),
    account: &["TargetUserName"],
    domain: &["TargetDomainName"],
    source: &["IpAddress"],
    workstation: &["WorkstationName"],
    session: &["TargetLogonId"],
};

const SESSION: Shape = Shape {
    channel: SESSIONS,
    protocol: Some(AuthProtocol::Rdp),
    account: &["User"],
    domain: &[],
    source: &["Address"],
    workstation: &[],
    session: &["SessionID"],
    ..TARGET
};

const GATEWAY_SHAPE: Shape = Shape {
    channel: GATEWAY,
    protocol: Some(AuthProtocol::RdGateway),
    account: &["Username"],
    domain: &[],
    session: &[],
    workstation: &[],
    ..TARGET
};

const RESUMED: Told = Told::Always(AuthOutcome::Resumed, AuthReason::None);
const ENDED: Told = Told::Always(AuthOutcome::Ended, AuthReason::None);
const REACHED: Told = Told::Always(AuthOutcome::Reached, AuthReason::None);

const SHAPES: &[Shape] = &[
    Shape { ids: &[4624], ..TARGET },
    // The finer code lies in SubStatus, which is zero where there is none.
    Shape { ids: &[4625], told: Told::Failed(&["SubStatus", "Status"]), ..TARGET },
    Shape { ids: &[4634, 4647], told: ENDED, ..TARGET },
    // Somebody gave another account's secret for another machine, here; whether it was taken, that machine's log says.
    Shape { ids: &[4648], told: REACHED, protocol: Some(AuthProtocol::Other), source: &[], ..TARGET },
    Shape {
        ids: &[4672],
        protocol: Some(AuthProtocol::Other),
        account: &["SubjectUserName"],
        domain: &["SubjectDomainName"],
        session: &["SubjectLogonId"],
        ..TARGET
    },
    Shape {
        ids: &[4768, 4769, 4770],
        protocol: Some(AuthProtocol::Kerberos),
        told: Told::Code(&["Status", "ResultCode", "FailureCode"]),
        session: &["LogonGuid"],
        ..TARGET
    },
    Shape {
        ids: &[4771],
        protocol: Some(AuthProtocol::Kerberos),
        told: Told::Failed(&["Status", "FailureCode"]),
        session: &[],
        ..TARGET
    },
    Shape {
        ids: &[4776, 4777],
        protocol: Some(AuthProtocol::Ntlm),
        told: Told::Code(&["Status", "ErrorCode"]),
        workstation: &["Workstation"],
        session: &[],
        ..TARGET
    },
    Shape { ids: &[4778], told: RESUMED, ..TERMINAL },
    Shape { ids: &[4779], told: ENDED, ..TERMINAL },
    Shape { channel: RDP_CORE, ids: &[131], told: REACHED, ..ADDRESS },
    Shape {
        channel: RDP_CORE,
        ids: &[140],
        told: Told::Always(AuthOutcome::Failure, AuthReason::WrongSecret),
        ..ADDRESS
    },
    Shape { channel: CONNECTIONS, ids: &[261], told: REACHED, ..ADDRESS },
    // It is written when the client is there, before the logon is tried: it proves none.
    Shape {
        channel: CONNECTIONS,
        ids: &[1149],
        told: REACHED,
        account: &["Param1"],
        domain: &["Param2"],
        source: &["Param3"],
        ..ADDRESS
    },
    Shape { ids: &[21, 22], ..SESSION },
    Shape { ids: &[23, 24], told: ENDED, ..SESSION },
    Shape { ids: &[25], told: RESUMED, ..SESSION },
    // 200 and 300 say that the rules allow it, 201 and 301 that they do not, 302 that the server behind the gateway was reached.
    Shape { ids: &[200, 300], told: REACHED, ..GATEWAY_SHAPE },
    Shape {
        ids: &[201, 301],
        told: Told::Always(AuthOutcome::Failure, AuthReason::NotAllowed),
        ..GATEWAY_SHAPE
    },
    Shape { ids: &[302], ..GATEWAY_SHAPE },
    Shape { ids: &[303], told: ENDED, ..GATEWAY_SHAPE },
    Shape { ids: &[203, 204, 304], told: Told::Failed(&["ErrorCode"]), ..GATEWAY_SHAPE },
];

const TERMINAL: Shape = Shape {
    protocol: Some(AuthProtocol::Rdp),
    account: &["AccountName"],
    domain: &["AccountDomain"],
    source: &["ClientAddress"],
    workstation: &["ClientName"],
    session: &["LogonID"],
    ..TARGET
};

const ADDRESS: Shape = Shape {
    protocol: Some(AuthProtocol::Rdp),
    account: &[],
    domain: &[],
    source: &["ClientIP", "IPString"],
    workstation: &[],
    session: &[],
    ..TARGET
};

/// What a record says of a logon; `None` for all records that say nothing of one.
pub fn auth(record: &LogRecord) -> Option<AuthEvent<'_>> {
    let id = record.event_id?;
    if record.channel == OPENSSH {
        return ssh(record);
    }
    let shape = SHAPES.iter().find(|shape| shape.ids.contains(&id) && shape.channel == record.channel)?;
    let logon_type = said(record, &["LogonType"]).and_then(|text| text.parse().ok());
    let (account, domain) = named(said(record, shape.account), said(record, shape.domain));
    let (outcome, reason) = outcome(record, shape.told);
    let address = said(record, shape.source);
    let protocol = match shape.protocol {
        // A session at the machine's own screen is told by the same events.
        Some(AuthProtocol::Rdp) if address == Some("LOCAL") => AuthProtocol::Console,
        Some(protocol) => protocol,
        None => by_type(record, logon_type),
    };
    let target = record.get("TargetHost").map(|(host, _)| host).filter(|host| !host.is_empty());
    let workstation = said(record, shape.workstation).map(|name| name.trim_start_matches('\\'));
    Some(AuthEvent {
        at: record.at,
        host: short(target.unwrap_or(&record.host)),
        protocol,
        outcome,
        reason,
        account,
        domain,
        source: address.and_then(parsed),
        workstation: if target.is_some() { Some(short(&record.host)) } else { workstation },
        logon_type,
        session: said(record, shape.session),
    })
}

/// The first of these fields that says something; Windows writes `-` for nothing.
fn said<'r>(record: &'r LogRecord, names: &[&str]) -> Option<&'r str> {
    names.iter().find_map(|name| {
        record.get(name).map(|(value, _)| value).filter(|value| !matches!(*value, "" | "-" | "N/A"))
    })
}

fn outcome(record: &LogRecord, told: Told) -> (AuthOutcome, AuthReason) {
    let code = |names: &[&str]| {
        let found = names.iter().filter_map(|name| record.get(name)).find_map(|(code, _)| reason::of(code));
        let is_there = names.iter().any(|name| record.get(name).is_some());
        (found, is_there)
    };
    match told {
        Told::Always(outcome, reason) => (outcome, reason),
        Told::Failed(names) => (AuthOutcome::Failure, code(names).0.unwrap_or(AuthReason::Unknown)),
        Told::Code(names) => match code(names) {
            (Some(reason), _) => (AuthOutcome::Failure, reason),
            (None, true) => (AuthOutcome::Success, AuthReason::None),
            // 4770, the renewal of a ticket, has no code: it is written on success only.
            (None, false) => (AuthOutcome::Success, AuthReason::None),
        },
    }
}

/// The account without its domain, and the domain: `OFFICE\sato` and `sato@office.example` are taken apart.
fn named<'r>(account: Option<&'r str>, domain: Option<&'r str>) -> (Option<&'r str>, Option<&'r str>) {
    let Some(written) = account else { return (None, domain) };
    if let Some((before, name)) = written.split_once('\\') {
        return (
            Some(name).filter(|name| !name.is_empty()),
            domain.or(Some(before).filter(|name| !name.is_empty())),
        );
    }
    match written.rsplit_once('@') {
        Some((name, realm)) if !name.is_empty() && !realm.is_empty() => (Some(name), domain.or(Some(realm))),
        _ => (Some(written), domain),
    }
}

/// How somebody came in, by the type of the logon and who asked for it.
fn by_type(record: &LogRecord, logon_type: Option<u8>) -> AuthProtocol {
    let has = |field: &str, part: &str| {
        record.get(field).is_some_and(|(value, _)| {
            value.len() >= part.len()
                && value
                    .as_bytes()
                    .windows(part.len())
                    .any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
        })
    };
    if has("ProcessName", "\\sshd") {
        return AuthProtocol::Ssh;
    }
    match logon_type {
        Some(10 | 12) => AuthProtocol::Rdp,
        Some(2 | 7 | 11 | 13) => AuthProtocol::Console,
        Some(4 | 5) => AuthProtocol::Service,
        Some(3 | 8) if has("ProcessName", "\\w3wp") => AuthProtocol::Web,
        Some(3) if has("LogonProcessName", "ntlm") => AuthProtocol::Ntlm,
        Some(3) if has("LogonProcessName", "kerberos") => AuthProtocol::Kerberos,
        Some(3) => AuthProtocol::Smb,
        _ => AuthProtocol::Other,
    }
}

/// A machine's name without its domain.
fn short(host: &str) -> &str {
    if host.parse::<IpAddr>().is_ok() {
        return host;
    }
    host.split('.').next().unwrap_or(host)
}

/// An address, with or without a port; `::ffff:192.0.2.7` is `192.0.2.7`.
fn parsed(text: &str) -> Option<IpAddr> {
    let text = endpoint(text).0;
    let text = text.split('%').next().unwrap_or(text);
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// OpenSSH on Windows writes sshd's own line into `payload`.
fn ssh(record: &LogRecord) -> Option<AuthEvent<'_>> {
    let event =
        crate::auth::sshd_message(record.at, short(&record.host), said(record, &["payload", "Payload"])?)?;
    let (account, domain) = named(event.account, event.domain);
    Some(AuthEvent { account, domain, ..event })
}
