//! Records as JSON lines of collectors: Winlogbeat and Elastic Agent, NXLog and the data sets made with it, `evtx_dump`.

use schema::{LogRecord, ValueKind};
use serde_json::{Map, Value};

use super::fields::{CHANNEL, COMPUTER, EVENT_ID, PROVIDER, RECORD_ID, TIME};
use super::flat::Flat;
use super::{EvtxFault, Reader, TEXT_MAX, imported, json, time};

type Object = Map<String, Value>;

/// Where Winlogbeat (7 and later, then 6) keeps what `System` says; a dot leads into an object.
const WINLOGBEAT: &[(usize, &[&str])] = &[
    (EVENT_ID, &["winlog.event_id", "event_id", "event.code"]),
    (PROVIDER, &["winlog.provider_name", "source_name", "event.provider"]),
    (CHANNEL, &["winlog.channel", "log_name"]),
    (COMPUTER, &["winlog.computer_name", "computer_name", "host.name"]),
    (RECORD_ID, &["winlog.record_id", "record_number"]),
    (TIME, &["winlog.time_created", "@timestamp"]),
    (6, &["winlog.opcode", "opcode"]),
    (5, &["winlog.task", "task"]),
    (8, &["winlog.version", "version"]),
    (10, &["winlog.user.identifier", "user.identifier"]),
    (12, &["winlog.process.pid", "process_id"]),
];

/// What `System` says, by the names of flat records; of several the first that is there counts. An instant without an offset is taken for
/// UTC, so the ones that say theirs come first.
const FLAT: &[(usize, &[&str])] = &[
    (EVENT_ID, &["EventID", "EventId", "event_id", "Event_ID"]),
    (PROVIDER, &["SourceName", "Provider_Name", "ProviderName", "Provider"]),
    (CHANNEL, &["Channel", "channel", "LogName"]),
    (COMPUTER, &["Hostname", "Computer", "ComputerName", "MachineName", "computer_name"]),
    (RECORD_ID, &["RecordNumber", "EventRecordID", "RecordId", "RecordID"]),
    (4, &["LevelValue", "Level"]),
    (5, &["Task"]),
    (6, &["OpcodeValue", "Opcode"]),
    (7, &["Keywords"]),
    (8, &["Version"]),
    (10, &["UserID"]),
    (12, &["ExecutionProcessID"]),
];
const FLAT_TIMES: &[&str] =
    &["EventTime", "TimeCreated", "UtcTime", "@timestamp", "SystemTime", "EventReceivedTime"];

/// What collectors write of themselves.
const NOT_DATA: &[&str] = &[
    "@timestamp",
    "@version",
    "EventTime",
    "EventReceivedTime",
    "TimeCreated",
    "SourceModuleName",
    "SourceModuleType",
    "Severity",
    "SeverityValue",
    "tags",
    "host",
    "port",
    "type",
    "ThreadID",
];

impl Reader {
    /// Reads a record out of a line of JSON, whichever of the known shapes it has.
    ///
    /// # Errors
    /// When it is longer than [`TEXT_MAX`], is no JSON or says nothing of a Windows event.
    pub fn json(&mut self, line: &[u8], record: &mut LogRecord) -> Result<(), EvtxFault> {
        if line.len() > TEXT_MAX {
            return Err(EvtxFault::TooLong { bytes: line.len(), limit: TEXT_MAX });
        }
        record.clear();
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        if line.starts_with(b"{\"Event\":") {
            return json::event(&mut self.flat, line, record);
        }
        let value: Value =
            serde_json::from_slice(line).map_err(|error| EvtxFault::NotJson { column: error.column() })?;
        let Value::Object(object) = &value else { return Err(EvtxFault::NotAnEvent) };
        self.flat.begin();
        self.object(object, &value, record)
    }

    fn object(&mut self, object: &Object, value: &Value, record: &mut LogRecord) -> Result<(), EvtxFault> {
        let is_there = if object.get("Event").is_some_and(Value::is_object) {
            json::value(&mut self.flat, value, record);
            self.flat.end(record)
        } else if object.contains_key("document") {
            imported::chainsaw(&mut self.flat, object, record)
        } else if object.contains_key("RuleTitle") {
            imported::hayabusa(&mut self.flat, object, record)
        } else if object.contains_key("winlog")
            || object.contains_key("winlog.event_id")
            || object.contains_key("log_name")
        {
            winlogbeat(&mut self.flat, object, record)
        } else {
            flat(&mut self.flat, object, record)
        };
        if is_there { Ok(()) } else { Err(EvtxFault::NotAnEvent) }
    }
}

fn winlogbeat(to: &mut Flat, object: &Object, record: &mut LogRecord) -> bool {
    for (slot, paths) in WINLOGBEAT {
        if let Some(value) = paths.iter().find_map(|path| at(object, path)) {
            text(value, &mut |value, _| to.set(*slot, value));
        }
    }
    for path in ["winlog.event_data", "event_data", "winlog.user_data", "user_data"] {
        if let Some(Value::Object(data)) = at(object, path) {
            fields(to, data, &[], record);
        }
    }
    // Flattened by something in between.
    for (name, value) in object {
        let inner =
            name.strip_prefix("winlog.event_data.").or_else(|| name.strip_prefix("winlog.user_data."));
        if let Some(name) = inner {
            leaves(to, name, value, record);
        }
    }
    if let Some(Value::String(message)) = at(object, "message") {
        to.data(record, "Message", message, ValueKind::Text);
    }
    to.end(record)
}

fn flat(to: &mut Flat, object: &Object, record: &mut LogRecord) -> bool {
    let mut taken = Vec::new();
    for (slot, names) in FLAT {
        if let Some((name, value)) = names.iter().find_map(|name| Some((*name, object.get(*name)?))) {
            taken.push(name);
            text(value, &mut |value, _| to.set(*slot, &hexed(*slot, value)));
        }
    }
    if !(to.has(EVENT_ID) && (to.has(CHANNEL) || to.has(PROVIDER))) {
        return false;
    }
    let times: Vec<&str> = FLAT_TIMES.iter().filter_map(|name| object.get(*name)?.as_str()).collect();
    let says = |time: &&&str| time::says_offset(time) && time::instant(time).is_some();
    if let Some(time) = times.iter().find(says).or_else(|| times.first()) {
        to.set(TIME, time);
    }
    taken.extend_from_slice(NOT_DATA);
    fields(to, object, &taken, record);
    to.end(record)
}

/// Keywords are a mask; NXLog writes it as a number with a sign.
fn hexed(slot: usize, value: &str) -> String {
    match value.parse::<i64>() {
        Ok(number) if slot == 7 => format!("{number:#x}"),
        _ => value.to_owned(),
    }
}

/// All fields of an object but some.
pub(super) fn fields(to: &mut Flat, object: &Object, but: &[&str], record: &mut LogRecord) {
    for (name, value) in object {
        if !but.contains(&name.as_str()) {
            leaves(to, name, value, record);
        }
    }
}

/// A value under its name; of an object, its values under theirs. The parser has bounded the depth.
fn leaves(to: &mut Flat, name: &str, value: &Value, record: &mut LogRecord) {
    match value {
        Value::Object(object) => fields(to, object, &[], record),
        Value::Array(items) => items.iter().for_each(|item| leaves(to, name, item, record)),
        _ => text(value, &mut |value, kind| to.data(record, name, value, kind)),
    }
}

/// A scalar as text, the items of an array one by one; objects are none.
pub(super) fn text(value: &Value, with: &mut dyn FnMut(&str, ValueKind)) {
    match value {
        Value::Null => with("", ValueKind::Null),
        Value::Bool(value) => with(if *value { "true" } else { "false" }, ValueKind::Bool),
        Value::Number(number) => with(&number.to_string(), ValueKind::Number),
        Value::String(value) => with(value, ValueKind::Text),
        Value::Array(items) => items.iter().for_each(|item| text(item, with)),
        Value::Object(_) => {}
    }
}

/// A value by its path: `a.b` is `b` in `a`, or a key that is written with the dot.
pub(super) fn at<'v>(object: &'v Object, path: &str) -> Option<&'v Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at(object.get(first)?.as_object()?, rest)
}
