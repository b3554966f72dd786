use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One OCSF line of a watcher as the lake keeps it: the columns that are asked for, and the line itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// OCSF `time`: when it happened, as the watcher says.
    pub time: Timestamp,
    /// OCSF `class_uid`: 2002 to 2005 findings, 3002 logins, 4001 flows, 4009 mail verdicts.
    pub class_uid: u32,
    /// OCSF `severity_id`, 0 when unknown.
    pub severity_id: u8,
    /// Name of the watcher.
    pub watcher: String,
    /// The detector's ENTRY id; empty when the line is no finding.
    pub detector: String,
    /// OCSF `finding_info.title` or `message`, at most 512 bytes.
    pub title: String,
    /// OCSF `src_endpoint.ip`.
    pub src_ip: Option<IpAddr>,
    /// OCSF `src_endpoint.port`.
    pub src_port: Option<u16>,
    /// OCSF `dst_endpoint.ip`.
    pub dst_ip: Option<IpAddr>,
    /// OCSF `dst_endpoint.port`.
    pub dst_port: Option<u16>,
    /// OCSF `device.hostname`.
    pub hostname: Option<String>,
    /// OCSF `user.name` or `actor.user.name`.
    pub user: Option<String>,
    /// OCSF `traffic.bytes`.
    pub bytes: Option<u64>,
    /// OCSF `status_id`: 1 success, 2 failure.
    pub status_id: Option<u8>,
    /// The line as JSON, at most 64 KiB.
    pub json: String,
}
