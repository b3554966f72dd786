//! Logs that are read once: the logons in them, in the order of their times.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use decode::auth::{Clock, Reader};
use decode::evtx::{self, Item, Text};
use jiff::tz::TimeZone;
use observe::logs::evtx::{Limits, Piece};
use observe::logs::{FileLines, Stopped, files};
use schema::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason, LogRecord, Micros};

/// Logons that are put in order; those beyond come as they are read.
const EVENTS_MAX: usize = 2_000_000;

/// An event that outlives its line.
struct Kept {
    at: Micros,
    protocol: AuthProtocol,
    outcome: AuthOutcome,
    reason: AuthReason,
    source: Option<IpAddr>,
    logon_type: Option<u8>,
    host: Box<str>,
    account: Option<Box<str>>,
    domain: Option<Box<str>>,
    workstation: Option<Box<str>>,
}

/// What reading came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) events: u64,
    /// Files, and those of them that were not read to their end, each with why.
    pub(crate) files: u64,
    pub(crate) failed: Vec<String>,
    /// Pieces of Windows logs that were damaged.
    pub(crate) damaged: u64,
}

/// Gives every logon below the paths to `take`, the earliest first. `zone` is that of lines that do not say it.
pub(crate) fn logons(
    paths: &[PathBuf],
    zone: &TimeZone,
    now: Micros,
    mut take: impl FnMut(&AuthEvent<'_>),
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut kept = Vec::new();
    let mut beyond = 0;
    let mut put = |event: &AuthEvent<'_>| {
        if kept.len() < EVENTS_MAX {
            kept.push(Kept::of(event));
        } else {
            beyond += 1;
        }
    };
    for path in paths {
        let all = files(path, &mut |path, error| outcome.failed.push(format!("{}: {error}", path.display())));
        for file in all {
            outcome.files += 1;
            if observe::logs::evtx::is_it(&file) {
                windows(&file, &mut outcome, &mut put);
            } else {
                lines(&file, zone, now, &mut outcome, &mut put);
            }
        }
    }
    if beyond > 0 {
        outcome.failed.push(format!("{beyond} logons were left out: there are more than {EVENTS_MAX}"));
    }
    outcome.events = kept.len() as u64;
    kept.sort_by_key(|event| event.at);
    kept.iter().for_each(|event| take(&event.event()));
    outcome
}

fn windows(file: &Path, outcome: &mut Outcome, put: &mut impl FnMut(&AuthEvent<'_>)) {
    let (mut reader, mut record) = (evtx::Reader::new(), LogRecord::default());
    let mut give = |piece: Piece| {
        match piece {
            Piece::Failed(error) => outcome.failed.push(format!("{}: {error}", file.display())),
            Piece::Block(block) => {
                // It is never told to stop.
                let _ = block.read(&mut reader, &mut record, |item| {
                    match item {
                        Item::Record(record) => evtx::auth(record).iter().for_each(&mut *put),
                        Item::Damage(_) => outcome.damaged += 1,
                    }
                    ControlFlow::Continue(())
                });
            }
        }
        true
    };
    observe::logs::evtx::read(file, &Limits::default(), &mut give);
}

fn lines(
    file: &Path,
    zone: &TimeZone,
    now: Micros,
    outcome: &mut Outcome,
    put: &mut impl FnMut(&AuthEvent<'_>),
) {
    let mut open = match FileLines::open(file) {
        Ok(open) => open,
        Err(error) => return outcome.failed.push(format!("{}: {error}", file.display())),
    };
    let written = if open.written > 0 { open.written } else { now };
    let mut text = Reader::new(Clock::new(written, zone.clone()));
    let (mut windows, mut record) = (evtx::Reader::new(), LogRecord::default());
    let mut line = |line: &[u8]| {
        let is_record = match evtx::text(line) {
            Some(Text::Json(body)) => {
                let is_record = windows.json(body, &mut record).is_ok();
                if is_record {
                    evtx::auth(&record).iter().for_each(&mut *put);
                }
                is_record
            }
            Some(Text::Xml(body)) => {
                let mut is_record = false;
                let _ = windows.xml(body, &mut record, |read| {
                    is_record |= read.is_ok();
                    read.ok().and_then(evtx::auth).iter().for_each(&mut *put);
                    ControlFlow::Continue(())
                });
                is_record
            }
            None => false,
        };
        if !is_record {
            text.read(line, None, put);
        }
    };
    loop {
        match open.some(&mut line) {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return,
            Ok(Err(Stopped::Bomb)) => {
                let why = "it unpacks to more than any log does";
                return outcome.failed.push(format!("{}: {why}", file.display()));
            }
            Err(error) => return outcome.failed.push(format!("{}: {error}", file.display())),
        }
    }
}

impl Kept {
    fn of(event: &AuthEvent<'_>) -> Self {
        Self {
            at: event.at,
            protocol: event.protocol,
            outcome: event.outcome,
            reason: event.reason,
            source: event.source,
            logon_type: event.logon_type,
            host: event.host.into(),
            account: event.account.map(Into::into),
            domain: event.domain.map(Into::into),
            workstation: event.workstation.map(Into::into),
        }
    }

    fn event(&self) -> AuthEvent<'_> {
        AuthEvent {
            at: self.at,
            host: &self.host,
            protocol: self.protocol,
            outcome: self.outcome,
            reason: self.reason,
            account: self.account.as_deref(),
            domain: self.domain.as_deref(),
            source: self.source,
            workstation: self.workstation.as_deref(),
            logon_type: self.logon_type,
            session: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Text and forwarded Windows events side by side, the later file first.
    #[test]
    fn logons_of_all_files_come_in_the_order_of_their_times() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write(
            "a.log",
            "2025-06-01T12:00:05+00:00 files01 sshd[7]: Accepted password for suzuki from 192.0.2.7 port 50000 ssh2\n",
        );
        let event = |id: u32, time: &str| {
            serde_json::json!({
                "@timestamp": time,
                "winlog": {
                    "channel": "Security", "event_id": id, "provider_name": "Microsoft-Windows-Security-Auditing",
                    "computer_name": "EMR01.hospital.example", "record_id": id,
                    "event_data": {
                        "TargetUserName": "tanaka", "IpAddress": "192.0.2.9", "LogonType": "10", "Status": "0xc000006d",
                        "SubStatus": "0xc000006a", "WorkstationName": "PC9",
                    },
                },
            })
        };
        let (first, last) =
            (event(4625, "2025-06-01T12:00:00.000Z"), event(4624, "2025-06-01T12:00:09.000Z"));
        // As NXLog and Logstash pass it on.
        let head = "<14>1 2026-11-23T10:00:00Z ad1 app 7 - [NXLOG@14506 Keywords=\"1\"]";
        write("b.json", &format!("{head} {first}\n{last}\nno log at all\n"));
        let mut told = Vec::new();
        let outcome = logons(&[dir.path().to_owned()], &TimeZone::UTC, 0, |event| {
            told.push((event.host.to_owned(), event.account.unwrap_or_default().to_owned(), event.outcome));
        });
        let expected = [
            ("emr01", "tanaka", AuthOutcome::Failure),
            ("files01", "suzuki", AuthOutcome::Success),
            ("emr01", "tanaka", AuthOutcome::Success),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(host, name, how)| ((*host).to_owned(), (*name).to_owned(), *how)).collect();
        assert_eq!(told, expected);
        assert_eq!((outcome.files, outcome.events, outcome.failed.len()), (2, 3, 0), "{outcome:?}");
    }
}
