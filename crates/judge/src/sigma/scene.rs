//! Records as fixtures hold them.

use std::collections::BTreeMap;

use schema::{LogRecord, ValueKind};

/// A fixture's line: one flattened record.
#[derive(serde::Deserialize)]
pub(crate) struct Line {
    #[serde(default)]
    product: String,
    channel: String,
    #[serde(default)]
    provider: String,
    event_id: Option<u32>,
    host: String,
    at: jiff::Timestamp,
    fields: BTreeMap<String, String>,
}

impl Line {
    pub(crate) fn record(&self, number: u64) -> LogRecord {
        let mut record = LogRecord::default();
        (record.at, record.number) = (self.at.as_microsecond(), number);
        record.product = if self.product == "windows" { "windows" } else { "" };
        record.channel.push_str(&self.channel);
        record.provider.push_str(&self.provider);
        record.event_id = self.event_id;
        record.host.push_str(&self.host);
        for (name, value) in &self.fields {
            record.push(name, value, ValueKind::Text);
        }
        record
    }
}
