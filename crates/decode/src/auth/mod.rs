//! Text logs of logons: lines become [`AuthEvent`]s, and records for Sigma rules.
//!
//! A line has a header (RFC 3164, RFC 5424, a journal's JSON, or a time) and a message. The table of formats is asked by the program
//! that the header names, else by the shape of the message. Nothing is taken from the middle of a line that somebody outside can
//! have written: addresses are looked for from the fixed end. A line is one event's; names are cut at 256 bytes; bytes that are no
//! UTF-8 are replaced and the rest is read.

mod access;
mod clock;
mod envelope;
mod join;
mod json;
mod line;
mod pam;
mod record;
mod remote;
mod samba;
mod server;
mod sshd;
mod table;
#[cfg(test)]
mod tests;
mod vpn;

use jiff::tz::TimeZone;
use schema::{AuthEvent, LogRecord, Micros};

pub use clock::Clock;
use envelope::Envelope;
use join::Join;
use line::Line;
use table::{Format, Read};

/// Where events go.
pub(crate) type Out<'o> = &'o mut dyn FnMut(&AuthEvent<'_>);

/// A line is not looked at beyond this; who reads files cuts before.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// 2033-05-18.
const ANY_TIME: Micros = 2_000_000_000_000_000;

/// What a line was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// The format that knew it; `None`: none did.
    pub format: Option<&'static str>,
    /// When it was written; `None`: it does not say.
    pub at: Option<Micros>,
    /// Logons that it told of.
    pub events: u32,
    /// It was longer than a line may be, or not UTF-8.
    pub dirty: bool,
}

/// Reads lines of one source, in their order.
#[derive(Debug)]
pub struct Reader {
    clock: Clock,
    join: Join,
    /// What is written otherwise than it is read: names of machines in lower case, lines with bytes that are no UTF-8.
    host: String,
    lossy: String,
    /// Fields of a line that is JSON.
    fields: LogRecord,
}

/// A line without its header of syslog: where a collector has put a record of JSON or XML, it stands there.
pub(crate) fn body(line: &[u8]) -> &[u8] {
    // Headers are text; behind them may be bytes that are none.
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => {
            line.get(..error.valid_up_to()).and_then(|it| str::from_utf8(it).ok()).unwrap_or_default()
        }
    };
    // The time is not asked for, so that any clock does whose past has every day of a calendar.
    let rest = envelope::split(text.trim_start(), &mut Clock::new(ANY_TIME, TimeZone::UTC)).text;
    line.get(text.len() - rest.len()..).unwrap_or_default()
}

/// What sshd says in a message that came without the number of its process, so that no message is joined with another.
pub(crate) fn sshd_message<'a>(at: Micros, host: &'a str, text: &'a str) -> Option<AuthEvent<'a>> {
    sshd::read_alone(&Line { at, host, program: "sshd", pid: "", text })
}

/// The names of all formats, for documents and figures.
pub fn formats() -> impl Iterator<Item = &'static str> {
    table::FORMATS.iter().map(|format| format.name).chain(["pam", "samba-json", "cowrie", "journal"])
}

impl Reader {
    /// A reader with the clock of whoever reads.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            join: Join::default(),
            host: String::new(),
            lossy: String::new(),
            fields: LogRecord::default(),
        }
    }

    /// The clock, to set it.
    pub fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// Reads a line without its end. `out` gets what it says of logons: mostly nothing or one event; what PAM refused earlier comes
    /// with the line that settles it. `record` is filled where somebody wants one; its fields stand in docs/logs.md.
    pub fn read(&mut self, line: &[u8], record: Option<&mut LogRecord>, out: Out<'_>) -> Seen {
        let Self { clock, join, host, lossy, fields } = self;
        let (text, dirty) = text(line, lossy);
        let text = text.trim_matches(|letter: char| {
            letter.is_ascii_whitespace() || letter == '\0' || letter == '\u{feff}'
        });
        let mut seen = Seen { dirty, ..Seen::default() };
        if text.is_empty() {
            return seen;
        }
        let mut envelope = if text.starts_with('{') {
            Envelope { text, ..Envelope::default() }
        } else {
            envelope::split(text, clock)
        };
        fields.clear();
        let mut kind = json::Kind::Unknown;
        if envelope.text.starts_with('{') && json::flatten(envelope.text, fields) {
            kind = json::kind(fields);
            if let json::Kind::Journal = kind {
                envelope = journal(fields);
            } else if envelope.at.is_none() {
                envelope.at = envelope::split(json::when(fields), clock).at;
            }
        }
        if let Some(at) = envelope.at {
            clock.remember(at);
        }
        seen.at = envelope.at;
        let line = Line {
            at: envelope.at.unwrap_or_else(|| clock.last()),
            host: lowered(envelope.host, host),
            program: envelope.program,
            pid: envelope.pid,
            text: envelope.text,
        };
        let mut count = 0;
        let mut said_at = None;
        let mut counted = |event: &AuthEvent<'_>| {
            count += 1;
            // Some say the time in the message alone.
            said_at = Some(event.at);
            out(event);
        };
        let format = match kind {
            json::Kind::Samba => {
                json::samba(&line, fields).iter().for_each(&mut counted);
                Some("samba-json")
            }
            json::Kind::Cowrie => {
                json::cowrie(&line, fields).iter().for_each(&mut counted);
                Some("cowrie")
            }
            json::Kind::Journal | json::Kind::Unknown => None,
        };
        let is_json = format.is_some();
        let found = if is_json { None } else { find(&line) };
        seen.format = format.or_else(|| found.map(|format| format.name));
        if let Some(format) = found {
            tell(format, &line, join, &mut counted);
        }
        seen.events = count;
        seen.at = seen.at.or(said_at);
        if let Some(record) = record {
            record::fill(record, &line, found, fields);
        }
        seen
    }
}

/// The format of a line; PAM's own messages are PAM's whoever is in the tag.
fn find(line: &Line<'_>) -> Option<&'static Format> {
    let program = line.program.split('(').next().unwrap_or_default();
    match table::by_program(program) {
        Some(format) => Some(format),
        None if is_pam(line) => Some(&table::PAM),
        // A program that nobody knows may still speak in a known form, such as that of a device behind a relay.
        None => table::by_shape(line.text),
    }
}

fn is_pam(line: &Line<'_>) -> bool {
    pam::is_pam(line.text) || line.program.contains("(pam_")
}

fn tell(format: &Format, line: &Line<'_>, join: &mut Join, out: Out<'_>) {
    match format.read {
        Read::Joined(read) => {
            if line.text.starts_with("pam_") {
                sshd::pam(line, join, out);
            } else if is_pam(line) {
                // PAM before 0.99 spoke to another log than the server did.
                pam::read(line).iter().for_each(out);
            } else {
                read(line, join, out);
            }
        }
        Read::Alone(_) if is_pam(line) => pam::read(line).iter().for_each(out),
        Read::Alone(read) => read(line).iter().for_each(out),
    }
}

/// The text of a line; what is no UTF-8 is replaced in a copy, what is too long is cut.
fn text<'a>(line: &'a [u8], lossy: &'a mut String) -> (&'a str, bool) {
    let cut = line.get(..LINE_BYTES_MAX).unwrap_or(line);
    match std::str::from_utf8(cut) {
        Ok(text) => (text, cut.len() < line.len()),
        Err(_) => {
            lossy.clear();
            lossy.push_str(&String::from_utf8_lossy(cut));
            (lossy, true)
        }
    }
}

/// A machine's name in lower case, without its domain.
fn lowered<'a>(name: &'a str, buffer: &'a mut String) -> &'a str {
    let name = if line::address(name).is_some() { name } else { name.split('.').next().unwrap_or_default() };
    let name = line::cut(name);
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return name;
    }
    buffer.clear();
    buffer.extend(name.chars().map(|letter| letter.to_ascii_lowercase()));
    buffer
}

/// A line of `journalctl -o json` (systemd.journal-fields(7)).
fn journal(fields: &LogRecord) -> Envelope<'_> {
    let of = |name: &str| json::text(fields, name);
    let first = |names: [&'static str; 2]| {
        names.into_iter().map(of).find(|text| !text.is_empty()).unwrap_or_default()
    };
    let time = first(["_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"]);
    Envelope {
        at: time.parse().ok(),
        host: of("_HOSTNAME"),
        program: first(["SYSLOG_IDENTIFIER", "_COMM"]),
        pid: first(["SYSLOG_PID", "_PID"]),
        text: of(json::MESSAGE),
    }
}
