//! A log record as Sigma rules look at it: names and values, in one buffer that the next record uses again.

use std::fmt;

use crate::Micros;

/// A record's flattened fields, with what decides which rules are for it.
#[derive(Clone, Default)]
pub struct LogRecord {
    /// When it was written, by the clock of its machine.
    pub at: Micros,
    /// Number of the record in its log, or of the line in its file.
    pub number: u64,
    /// Sigma `logsource.product` of the log, lower case: `windows`, `linux`, `fortios`, …; empty when unknown.
    pub product: &'static str,
    /// Windows channel, exactly as written; else Sigma's `service` or `category`, such as `sshd`.
    pub channel: String,
    /// Windows provider, exactly as written.
    pub provider: String,
    /// Windows event id.
    pub event_id: Option<u32>,
    /// The machine that wrote it, lower case.
    pub host: String,
    text: String,
    fields: Vec<Field>,
}

/// Where a field lies in the buffer.
#[derive(Debug, Clone, Copy)]
struct Field {
    name: (u32, u32),
    value: (u32, u32),
    kind: ValueKind,
}

/// What a value was before it became text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Text.
    Text,
    /// A whole number in decimal.
    Number,
    /// `true` or `false`.
    Bool,
    /// The field is there and empty.
    Null,
}

/// A buffer cannot hold more: 4 GiB would not fit its offsets, and no honest record comes near this.
const TEXT_MAX: usize = 64 << 20;

impl LogRecord {
    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.at = 0;
        self.number = 0;
        self.product = "";
        self.channel.clear();
        self.provider.clear();
        self.event_id = None;
        self.host.clear();
        self.text.clear();
        self.fields.clear();
    }

    /// Adds a field; `false` when there is no more room. A name may come several times.
    pub fn push(&mut self, name: &str, value: &str, kind: ValueKind) -> bool {
        if self.text.len() + name.len() + value.len() > TEXT_MAX {
            return false;
        }
        let name = self.place(name);
        let value = self.place(value);
        self.fields.push(Field { name, value, kind });
        true
    }

    fn place(&mut self, text: &str) -> (u32, u32) {
        let start = self.text.len();
        self.text.push_str(text);
        // TEXT_MAX keeps both below 4 GiB.
        (start as u32, self.text.len() as u32)
    }

    fn at_span(&self, span: (u32, u32)) -> &str {
        self.text.get(span.0 as usize..span.1 as usize).unwrap_or_default()
    }

    /// The first value of a field, by its exact name.
    pub fn get(&self, name: &str) -> Option<(&str, ValueKind)> {
        self.iter().find(|(other, _, _)| *other == name).map(|(_, value, kind)| (value, kind))
    }

    /// Name, value and kind of each field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, ValueKind)> {
        self.fields.iter().map(|field| (self.at_span(field.name), self.at_span(field.value), field.kind))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl fmt::Debug for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRecord")
            .field("at", &self.at)
            .field("channel", &self.channel)
            .field("event_id", &self.event_id)
            .field("host", &self.host)
            .field("fields", &self.iter().map(|(name, value, _)| (name, value)).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were_and_leave_with_the_record() {
        let mut record = LogRecord::default();
        assert!(record.push("EventID", "4625", ValueKind::Number));
        assert!(record.push("TargetUserName", "", ValueKind::Null));
        assert!(record.push("EventID", "4624", ValueKind::Number));
        assert_eq!(record.get("EventID"), Some(("4625", ValueKind::Number)));
        assert_eq!(record.get("eventid"), None);
        assert_eq!(record.len(), 3);
        record.clear();
        assert!(record.is_empty() && record.get("EventID").is_none());
    }
}
