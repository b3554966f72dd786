//! Findings of Hayabusa and Chainsaw as JSON lines: the record that they are about, with what the tool says of it in fields of its own.

use schema::{LogRecord, ValueKind};
use serde_json::{Map, Value};

use super::fields::{CHANNEL, COMPUTER, EVENT_ID, PROVIDER, RECORD_ID, TIME};
use super::flat::Flat;
use super::forwarded::{at, fields, text};
use super::json;

type Object = Map<String, Value>;

/// What Hayabusa calls channels when it abbreviates them (it does by default).
const CHANNELS: &[(&str, &str)] = &[
    ("Sec", "Security"),
    ("Sys", "System"),
    ("App", "Application"),
    ("Sysmon", "Microsoft-Windows-Sysmon/Operational"),
    ("PwSh", "Microsoft-Windows-PowerShell/Operational"),
    ("PwShClassic", "Windows PowerShell"),
    ("Defender", "Microsoft-Windows-Windows Defender/Operational"),
    ("TaskSch", "Microsoft-Windows-TaskScheduler/Operational"),
    ("RDS-LSM", "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"),
    ("RDS-RCM", "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational"),
    ("RDS-GTW", "Microsoft-Windows-TerminalServices-Gateway/Operational"),
    ("WMI", "Microsoft-Windows-WMI-Activity/Operational"),
    ("WinRM", "Microsoft-Windows-WinRM/Operational"),
    ("BitsCli", "Microsoft-Windows-Bits-Client/Operational"),
    ("Firewall", "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall"),
    ("OpenSSH", "OpenSSH/Operational"),
];

/// What Hayabusa calls fields, and what the records do.
const DETAILS: &[(&str, &str)] = &[
    ("Cmdline", "CommandLine"),
    ("ParentCmdline", "ParentCommandLine"),
    ("Proc", "Image"),
    ("ParentProc", "ParentImage"),
    ("TgtUser", "TargetUserName"),
    ("SrcUser", "SubjectUserName"),
    ("SrcIP", "IpAddress"),
    ("SrcComp", "WorkstationName"),
    ("TgtIP", "DestinationIp"),
    ("LID", "TargetLogonId"),
    ("Svc", "ServiceName"),
    ("Type", "LogonType"),
    ("SubStatus", "SubStatus"),
    ("TgtObj", "TargetObject"),
    ("ScriptBlock", "ScriptBlockText"),
];

/// What the tools say of the rule, and how it is kept.
const RULE: &[(&str, &[&str])] = &[
    ("RuleTitle", &["RuleTitle", "name"]),
    ("RuleLevel", &["Level", "level"]),
    ("RuleAuthor", &["RuleAuthor", "authors"]),
    ("RuleID", &["RuleID", "id"]),
    ("RuleFile", &["RuleFile"]),
    ("ImportedPath", &["EvtxFile", "document.path"]),
];

/// One line of Hayabusa's `json-timeline`.
pub(super) fn hayabusa(to: &mut Flat, object: &Object, record: &mut LogRecord) -> bool {
    let slots = [
        (EVENT_ID, "EventID"),
        (CHANNEL, "Channel"),
        (COMPUTER, "Computer"),
        (RECORD_ID, "RecordID"),
        (PROVIDER, "Provider"),
        (TIME, "Timestamp"),
    ];
    for (slot, name) in slots {
        let Some(value) = object.get(name) else { continue };
        text(value, &mut |value, _| {
            let whole = CHANNELS.iter().find(|(short, _)| slot == CHANNEL && *short == value);
            to.set(slot, whole.map_or(value, |(_, whole)| whole));
        });
    }
    for name in ["Details", "ExtraFieldInfo", "AllFieldInfo"] {
        match object.get(name) {
            Some(Value::Object(details)) => {
                fields(to, details, &[], record);
                for (name, value) in details {
                    text(value, &mut |value, kind| renamed(to, name, value, kind, record));
                }
            }
            // `Cmdline: x ¦ Proc: y`
            Some(Value::String(details)) => {
                for (name, value) in details.split(" ¦ ").filter_map(|part| part.split_once(": ")) {
                    to.data(record, name, value, ValueKind::Text);
                    renamed(to, name, value, ValueKind::Text, record);
                }
            }
            _ => {}
        }
    }
    rule(to, object, record);
    to.end(record)
}

fn renamed(to: &mut Flat, name: &str, value: &str, kind: ValueKind, record: &mut LogRecord) {
    let Some((_, whole)) = DETAILS.iter().find(|(short, whole)| *short == name && short != whole) else {
        return;
    };
    // `3 - NETWORK`
    let value = if *whole == "LogonType" { value.split(' ').next().unwrap_or(value) } else { value };
    to.data(record, whole, value, kind);
}

/// One line of Chainsaw's `hunt --jsonl`, which carries the whole record.
pub(super) fn chainsaw(to: &mut Flat, object: &Object, record: &mut LogRecord) -> bool {
    let Some(data) = at(object, "document.data") else { return false };
    json::value(to, data, record);
    rule(to, object, record);
    to.end(record)
}

fn rule(to: &mut Flat, object: &Object, record: &mut LogRecord) {
    for (field, paths) in RULE {
        if let Some(value) = paths.iter().find_map(|path| at(object, path)) {
            text(value, &mut |value, kind| to.data(record, field, value, kind));
        }
    }
}
