//! Lines of watchers: OCSF findings and events, Suricata's eve.json, and what our own watchers say of themselves.
//!
//! A line comes from a program that may be broken, lying or taken over. Nothing in it can make a value grow past
//! the bounds below, hide characters from a reader, claim a detector of ours ([`Trust`]), or date itself to where
//! nobody looks. Of a key that stands twice in one object the last one counts.

mod eve;
mod event;
mod finding;
mod own;
mod subjects;
mod techniques;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod write;

use jiff::Timestamp;
use schema::{Event, Finding};
use serde_json::Value;

use crate::DecodeError;
pub use own::{MailExpired, Policy, Ready, Restored, Said};
pub use techniques::technique;
pub use text::{STRING_MAX, shown};
pub use write::{Written, write};

/// The longest line that is taken, in bytes, without its end of line.
pub const LINE_MAX: usize = 64 << 10;
/// The deepest nesting of objects and arrays.
pub const DEPTH_MAX: usize = 32;
/// The most ATT&CK entries of a finding.
pub const ATTACKS_MAX: usize = 16;
/// The most subjects of a finding.
pub const SUBJECTS_MAX: usize = 32;
/// The most reasons of a finding, and the most entries of any other list of sentences.
pub const REASONS_MAX: usize = 32;

/// Whose words a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// A watcher of this binary: it names its detectors, its processes and what it did.
    Own,
    /// Any other program: its detectors are `external.…`, and process ids that it names are no subjects, since nobody
    /// knows on which machine they count.
    External,
}

/// What one line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// The watcher protects from now on.
    Ready(Box<Ready>),
    /// A finding, as the lake keeps it and as it is judged.
    Finding(Box<Event>, Box<Finding>),
    /// Any other OCSF event: flows (4001), logins (3002), mail (4009), findings that were closed or suppressed.
    Event(Box<Event>),
    /// What a watcher of ours did by itself.
    Act(Box<Said>),
    /// A line with a `type` that has no values of its own here.
    Note {
        /// The `type`.
        kind: String,
        /// `message` or `text`, else the line's beginning.
        text: String,
    },
    /// Counters that nobody asks for.
    Ignored,
}

/// Reads one line of the watcher with that name, which arrived at that instant.
///
/// Times before 2000 or more than a day after `arrived` are replaced by `arrived`; the event's `json` says so in
/// `chartward_remark`, and a finding in its last reason.
pub fn parse(line: &[u8], watcher: &str, trust: Trust, arrived: Timestamp) -> Result<Line, DecodeError> {
    let line = line.trim_ascii();
    if line.len() > LINE_MAX {
        return Err(DecodeError::LineTooLong { bytes: line.len(), limit: LINE_MAX });
    }
    let text = std::str::from_utf8(line).map_err(|e| DecodeError::NotJson { offset: e.valid_up_to() })?;
    check_depth(line)?;
    let value: Value = serde_json::from_str(text).map_err(|e| DecodeError::NotJson { offset: e.column() })?;
    let raw = Raw { line: text, value: &value, watcher, trust, arrived };
    if value["class_uid"].is_u64() {
        return Ok(raw.ocsf());
    }
    if value["event_type"].is_string() {
        return Ok(eve::line(&raw));
    }
    match value["type"].as_str() {
        Some(kind) => Ok(own::line(&raw, kind)),
        None if value.is_object() => Err(DecodeError::UnknownLine),
        None => Err(DecodeError::NotJson { offset: 0 }),
    }
}

/// A line with where it came from.
struct Raw<'a> {
    line: &'a str,
    value: &'a Value,
    watcher: &'a str,
    trust: Trust,
    arrived: Timestamp,
}

impl Raw<'_> {
    fn ocsf(&self) -> Line {
        let time = time::ocsf(self.value, self.arrived);
        let event = event::ocsf(self, &time);
        match finding::class(self.value) {
            Some(class) => {
                let finding = finding::ocsf(self, class, &time);
                let event =
                    Event { detector: finding.detector.clone(), title: finding.title.clone(), ..event };
                Line::Finding(Box::new(event), Box::new(finding))
            }
            None => Line::Event(Box::new(event)),
        }
    }
}

/// serde_json stops at 128 levels; fewer are enough for every OCSF class, and cost less to walk and to drop.
fn check_depth(line: &[u8]) -> Result<(), DecodeError> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (offset, byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(DecodeError::LineTooDeep { offset, limit: DEPTH_MAX });
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}
