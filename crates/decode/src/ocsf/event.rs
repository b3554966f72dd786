//! The columns of an OCSF event as the lake keeps them.

use schema::Event;
use serde_json::Value;

use super::time::Time;
use super::{Raw, finding, subjects, text};

pub(super) fn ocsf(raw: &Raw<'_>, time: &Time) -> Event {
    let value = raw.value;
    let (src, dst) = (&value["src_endpoint"], &value["dst_endpoint"]);
    let info = &value["finding_info"];
    let said = [&info["title"], &value["message"], &value["class_name"], &value["type_name"]];
    let title = text::first(&said).map(text::shown).unwrap_or_default();
    Event {
        time: time.at,
        class_uid: value["class_uid"].as_u64().and_then(|uid| u32::try_from(uid).ok()).unwrap_or(0),
        severity_id: finding::severity(value).map_or(0, u8::from),
        watcher: raw.watcher.to_owned(),
        detector: String::new(),
        src_ip: subjects::address(&src["ip"]),
        src_port: port(&src["port"]),
        dst_ip: subjects::address(&dst["ip"]),
        dst_port: port(&dst["port"]),
        hostname: subjects::host(&value["device"]["hostname"]),
        user: subjects::account(&value["user"]).or_else(|| subjects::account(&value["actor"]["user"])),
        bytes: bytes(&value["traffic"]),
        status_id: value["status_id"].as_u64().and_then(|id| u8::try_from(id).ok()),
        json: text::kept(raw.line, &title, time.remark.as_ref().map(|(en, _)| en.as_str())),
        title,
    }
}

pub(super) fn port(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|port| u16::try_from(port).ok())
}

/// `traffic.bytes`, else the sum of both directions.
fn bytes(traffic: &Value) -> Option<u64> {
    let directions = || {
        let (out, back) = (traffic["bytes_out"].as_u64(), traffic["bytes_in"].as_u64());
        (out.is_some() || back.is_some()).then(|| out.unwrap_or(0).saturating_add(back.unwrap_or(0)))
    };
    traffic["bytes"].as_u64().or_else(directions)
}
