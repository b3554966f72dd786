//! Putting a record together from its names and values, whatever they were read from.

use schema::{LogRecord, ValueKind};

use super::fields::{
    self, ALIASES, Alias, CHANNEL, COMPUTER, EVENT_ID, INTEGRITY, PROVIDER, RECORD_ID, ROOTS, SLOTS, SYSTEM,
    TIME, Turn,
};
use super::time;

/// Fields of one record. Honest ones have some dozens; hostile ones must not make rules look at a million.
const FIELDS_MAX: usize = 4096;

/// What is known of the record that is being put together, with memory that the next one uses again.
#[derive(Default)]
pub(super) struct Flat {
    /// What `System` said, by slot.
    system: [String; SLOTS],
    /// Slots whose field the event's data hides, as bits.
    hidden: u32,
    /// A name without its spaces, a value that is being turned.
    scratch: String,
}

impl Flat {
    /// Begins a record.
    pub(super) fn begin(&mut self) {
        self.system.iter_mut().for_each(String::clear);
        self.hidden = 0;
    }

    /// The text of an element of `System`, or of an attribute of it.
    pub(super) fn system(&mut self, element: &str, attribute: &str, value: &str) {
        if let Some(slot) = fields::slot(element, attribute) {
            self.set(slot, value);
        }
    }

    /// Fills a slot.
    pub(super) fn set(&mut self, slot: usize, value: &str) {
        let value = value.trim();
        if let Some(held) = self.system.get_mut(slot).filter(|held| held.is_empty()) {
            held.push_str(value);
        }
    }

    /// Whether a slot was filled.
    pub(super) fn has(&self, slot: usize) -> bool {
        self.system.get(slot).is_some_and(|held| !held.is_empty())
    }

    /// A field of the event's data.
    pub(super) fn data(&mut self, record: &mut LogRecord, name: &str, value: &str, kind: ValueKind) {
        if record.len() >= FIELDS_MAX {
            return;
        }
        let value = trimmed(value);
        if let Some(slot) = fields::hidden(name) {
            self.hidden |= 1 << slot;
        }
        if name.contains(' ') {
            self.scratch.clear();
            self.scratch.extend(name.chars().filter(|char| *char != ' '));
            record.push(&self.scratch, value, kind);
        } else {
            record.push(name, value, kind);
        }
        if let Some(first) = repeated(name).filter(|first| record.get(first).is_some()) {
            record.push(first, value, kind);
        }
    }

    /// Ends the record: what decides which rules are for it, the fields of `System`, Sigma's names. `false` when nothing in it says that it
    /// is an event.
    pub(super) fn end(&mut self, record: &mut LogRecord) -> bool {
        record.product = "windows";
        record.event_id = number(&self.system[EVENT_ID]);
        record.channel.push_str(&self.system[CHANNEL]);
        record.provider.push_str(&self.system[PROVIDER]);
        lower(&mut record.host, &self.system[COMPUTER]);
        if let Some(at) = time::instant(&self.system[TIME]) {
            record.at = at;
        }
        if let Ok(number) = self.system[RECORD_ID].parse() {
            record.number = number;
        }
        for (slot, name) in SYSTEM.iter().enumerate() {
            let value = &self.system[slot];
            if !value.is_empty() && self.hidden & 1 << slot == 0 {
                let is_number = value.len() < 20 && value.bytes().all(|byte| byte.is_ascii_digit());
                record.push(name, value, if is_number { ValueKind::Number } else { ValueKind::Text });
            }
        }
        if let Some(id) = record.event_id {
            let found =
                ALIASES.iter().find(|(channel, ids, _)| ids.contains(&id) && record.channel == *channel);
            for alias in found.map(|(_, _, aliases)| *aliases).unwrap_or_default() {
                self.alias(record, alias);
            }
        }
        record.event_id.is_some() || !record.channel.is_empty()
    }

    /// Adds a field under Sigma's name.
    fn alias(&mut self, record: &mut LogRecord, alias: &Alias) {
        let Some((value, _)) = record.get(alias.from) else { return };
        let with = record.get(alias.with).map(|(value, _)| value).unwrap_or_default();
        let is_there = record.get(alias.to).is_some();
        if is_there {
            return;
        }
        self.scratch.clear();
        let mut kind = ValueKind::Text;
        match alias.turn {
            Turn::Same => self.scratch.push_str(value),
            Turn::Integrity => {
                self.scratch.push_str(value);
                if let Some((_, name)) = INTEGRITY.iter().find(|(label, _)| *label == value) {
                    record.push(alias.to, name, ValueKind::Text);
                }
            }
            Turn::Decimal => {
                let number = value.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
                match number {
                    Some(number) => {
                        self.scratch.push_str(&number.to_string());
                        kind = ValueKind::Number;
                    }
                    None => self.scratch.push_str(value),
                }
            }
            Turn::Registry => registry(&mut self.scratch, value, with),
            Turn::Account => {
                if !with.is_empty() && with != "-" {
                    self.scratch.push_str(with);
                    self.scratch.push('\\');
                }
                self.scratch.push_str(value);
            }
            Turn::Initiated => self.scratch.push_str(if value == "%%14593" { "true" } else { "false" }),
            Turn::Host if value.eq_ignore_ascii_case("localhost") => {}
            Turn::Host => lower(&mut self.scratch, value),
            Turn::Address => self.scratch.push_str(endpoint(value).0),
            Turn::Port => {
                kind = ValueKind::Number;
                self.scratch.push_str(endpoint(value).1);
            }
        }
        let may_be_empty = !matches!(alias.turn, Turn::Port | Turn::Host);
        if may_be_empty || !self.scratch.is_empty() {
            record.push(alias.to, &self.scratch, kind);
        }
    }
}

/// Adds a machine's name in lower case, to what is empty.
fn lower(out: &mut String, name: &str) {
    if name.is_ascii() {
        out.push_str(name);
        out.make_ascii_lowercase();
    } else {
        out.extend(name.chars().flat_map(char::to_lowercase));
    }
}

fn registry(out: &mut String, key: &str, name: &str) {
    let root = ROOTS
        .iter()
        .find(|(kernel, _)| key.get(..kernel.len()).is_some_and(|start| start.eq_ignore_ascii_case(kernel)));
    match root {
        Some((kernel, short)) => {
            out.push_str(short);
            out.push_str(&key[kernel.len()..]);
        }
        None => out.push_str(key),
    }
    if !name.is_empty() && name != "-" {
        out.push('\\');
        out.push_str(name);
    }
}

/// An address and its port, which is empty when there is none: `203.0.113.7:50011`, `[2001:db8::7]:50011`, `[203.0.113.7]:50011`,
/// `2001:db8::7`.
pub(super) fn endpoint(text: &str) -> (&str, &str) {
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((address, port)) => (address, port.trim_start_matches(':')),
            None => (rest, ""),
        };
    }
    match text.rsplit_once(':') {
        Some((address, port)) if !address.contains(':') => (address, port),
        _ => (text, ""),
    }
}

/// The name that the format's reader has numbered, as it comes a second time: `LogonGuid_1` of a second `LogonGuid`.
fn repeated(name: &str) -> Option<&str> {
    let digits = name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count();
    (digits < name.len()).then(|| name[..digits].strip_suffix('_')).flatten()
}

fn trimmed(value: &str) -> &str {
    let is_bare = |byte: Option<&u8>| byte.is_none_or(|byte| (b'!'..0x7f).contains(byte));
    if is_bare(value.as_bytes().first()) && is_bare(value.as_bytes().last()) {
        return value;
    }
    // A line that ends a value is Windows' own; a NUL is left over from a C string.
    value.trim_matches(|char: char| char.is_whitespace() || char == '\0')
}

/// An event's number, with or without the qualifiers that old programs keep in its upper half.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    Some(if number > 0xffff { number & 0xffff } else { number })
}
