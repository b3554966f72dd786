//! Logons of all sources as one log, so that a rule on guessing need not know which log they came from.

use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason, LogRecord, ValueKind};

use super::engine::Engine;
use super::hit::SigmaHit;

/// Sigma `logsource.category` of these records.
pub const AUTHENTICATION: &str = "authentication";

/// Fills a record of category `authentication`: `protocol`, `outcome`, `reason`, `account`, `domain`, `source`, `workstation`, `host`,
/// `logon_type`, `session`. What the event does not say is not there.
pub fn logon_record(event: &AuthEvent<'_>, number: u64, record: &mut LogRecord) {
    record.clear();
    record.at = event.at;
    record.number = number;
    record.channel.push_str(AUTHENTICATION);
    record.host.push_str(event.host);
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            record.push(name, value, ValueKind::Text);
        }
    };
    put("protocol", protocol(event.protocol));
    put("outcome", outcome(event.outcome));
    put("reason", reason(event.reason));
    put("host", event.host);
    put("account", event.account.unwrap_or_default());
    put("domain", event.domain.unwrap_or_default());
    put("workstation", event.workstation.unwrap_or_default());
    put("session", event.session.unwrap_or_default());
    if let Some(source) = event.source {
        put("source", &source.to_canonical().to_string());
    }
    if let Some(logon_type) = event.logon_type {
        record.push("logon_type", &logon_type.to_string(), ValueKind::Number);
    }
}

/// Which sorts of logons rules can hold for: it is found out once for each sort.
#[derive(Debug, Clone, Default)]
pub(super) struct Sorts(Vec<Option<bool>>);

impl Engine {
    /// One logon against the rules of category `authentication`. `record` is made anew where a rule can hold for a logon of that sort; the
    /// others, failures of guessing most of all, cost nothing.
    pub fn step_logon(&mut self, event: &AuthEvent<'_>, record: &mut LogRecord, out: &mut Vec<SigmaHit>) {
        let sort = (event.protocol as usize) << 8 | (event.outcome as usize) << 4 | event.reason as usize;
        if self.sorts.0.len() <= sort {
            self.sorts.0.resize(sort + 1, None);
        }
        let can_hold = self.sorts.0[sort].unwrap_or_else(|| {
            let fields = [
                ("protocol", protocol(event.protocol)),
                ("outcome", outcome(event.outcome)),
                ("reason", reason(event.reason)),
            ];
            self.can_hold(AUTHENTICATION, &fields)
        });
        self.sorts.0[sort] = Some(can_hold);
        if can_hold {
            logon_record(event, 0, record);
            self.step(record, 0, out);
        }
    }
}

fn protocol(protocol: AuthProtocol) -> &'static str {
    match protocol {
        AuthProtocol::Rdp => "rdp",
        AuthProtocol::RdGateway => "rd_gateway",
        AuthProtocol::Smb => "smb",
        AuthProtocol::Ssh => "ssh",
        AuthProtocol::Vpn => "vpn",
        AuthProtocol::Kerberos => "kerberos",
        AuthProtocol::Ntlm => "ntlm",
        AuthProtocol::Console => "console",
        AuthProtocol::Service => "service",
        AuthProtocol::Web => "web",
        AuthProtocol::Mail => "mail",
        AuthProtocol::Ftp => "ftp",
        AuthProtocol::Database => "database",
        AuthProtocol::Other => "other",
    }
}

fn outcome(outcome: AuthOutcome) -> &'static str {
    match outcome {
        AuthOutcome::Reached => "reached",
        AuthOutcome::Failure => "failure",
        AuthOutcome::Success => "success",
        AuthOutcome::Ended => "ended",
        AuthOutcome::Resumed => "resumed",
    }
}

fn reason(reason: AuthReason) -> &'static str {
    match reason {
        AuthReason::None => "",
        AuthReason::WrongSecret => "wrong_secret",
        AuthReason::NoSuchAccount => "no_such_account",
        AuthReason::Disabled => "disabled",
        AuthReason::Locked => "locked",
        AuthReason::Expired => "expired",
        AuthReason::NotAllowed => "not_allowed",
        AuthReason::TooMany => "too_many",
        AuthReason::Broken => "broken",
        AuthReason::Unknown => "unknown",
    }
}
