//! Lines as Sigma rules look at them.

use schema::{LogRecord, ValueKind};

use super::access;
use super::line::{Line, pairs};
use super::table::Format;

/// Fields of key=value lines.
const PAIRS_MAX: usize = 256;

/// Fills a record: `message` and what the header says always, the fields of formats that have such by their own names.
pub(super) fn fill(record: &mut LogRecord, line: &Line<'_>, format: Option<&Format>, json: &LogRecord) {
    record.clear();
    record.at = line.at;
    record.host.push_str(line.host);
    record.product = format.map_or("linux", |format| format.product);
    record.channel.push_str(format.map_or_else(|| service(line.program), |format| format.service));
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            record.push(name, value, ValueKind::Text);
        }
    };
    put("message", line.text);
    put("program", line.program);
    put("pid", line.pid);
    put("hostname", line.host);
    match format.map(|format| format.name) {
        Some("fortigate") => pairs(line.text).take(PAIRS_MAX).for_each(|(name, value)| put(name, value)),
        Some("access") => {
            if let Some(access) = access::parse(line.text) {
                let (stem, query) = access.target.split_once('?').unwrap_or((access.target, ""));
                // Names of Sigma's taxonomy for category `webserver` (W3C extended log).
                put("c-ip", access.client);
                put("cs-username", access.user);
                put("cs-method", access.method);
                put("cs-uri", access.target);
                put("cs-uri-stem", stem);
                put("cs-uri-query", query);
                put("sc-status", access.status);
                put("cs-referer", access.referer);
                put("cs-user-agent", access.agent);
            }
            record.channel.push_str("webserver");
        }
        _ => {
            for (name, value, kind) in json.iter() {
                record.push(name, value, kind);
            }
        }
    }
}

/// Sigma's services of product `linux`.
fn service(program: &str) -> &'static str {
    match program {
        "cron" | "crond" | "CRON" => "cron",
        "audispd" | "auditd" | "audit" => "auditd",
        "clamd" | "clamav" | "freshclam" => "clamav",
        "useradd" | "usermod" | "groupadd" | "passwd" | "polkitd" | "systemd-logind" | "chage" => "auth",
        _ => "syslog",
    }
}
