//! Lines of each format, and what is to be read from them.

mod bounds;
mod forms;
mod truth;

use jiff::tz::TimeZone;
use schema::{AuthEvent, AuthOutcome, AuthReason};

use super::{Clock, Reader};

/// An event that outlives its line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    outcome: AuthOutcome,
    reason: AuthReason,
    at: i64,
    host: String,
    account: Option<String>,
    /// The address, else the name of the other side.
    from: Option<String>,
    debug: String,
}

fn owned(event: &AuthEvent<'_>) -> Read {
    Read {
        outcome: event.outcome,
        reason: event.reason,
        at: event.at,
        host: event.host.to_owned(),
        account: event.account.map(str::to_owned),
        from: event.source.map(|source| source.to_string()).or(event.workstation.map(str::to_owned)),
        debug: format!("{event:?}"),
    }
}

fn reader(now: &str, zone: &str) -> Reader {
    let now = now.parse::<jiff::Timestamp>().unwrap().as_microsecond();
    Reader::new(Clock::new(now, TimeZone::get(zone).unwrap()))
}

fn events(reader: &mut Reader, line: &[u8]) -> Vec<Read> {
    let mut found = Vec::new();
    reader.read(line, None, &mut |event| found.push(owned(event)));
    found
}
