//! Suricata's eve.json (Suricata 5 to 8, "EVE JSON Format").

use schema::{Event, Finding, FindingClass, Severity};
use serde_json::Value;

use super::time::{self, Time};
use super::{ATTACKS_MAX, Line, Raw, event, finding, subjects, techniques, text};

const DETECTOR: &str = "external.suricata";

pub(super) fn line(raw: &Raw<'_>) -> Line {
    let kind = raw.value["event_type"].as_str().unwrap_or_default();
    if matches!(kind, "stats" | "engine") {
        return Line::Ignored;
    }
    let time = time::eve(raw.value, raw.arrived);
    let event = event(raw, kind, &time);
    if kind != "alert" {
        return Line::Event(Box::new(event));
    }
    let finding = alert(raw.value, &time);
    let event = Event {
        detector: finding.detector.clone(),
        severity_id: finding.severity_id.into(),
        title: finding.title.clone(),
        ..event
    };
    Line::Finding(Box::new(event), Box::new(finding))
}

/// OCSF class of what Suricata logs.
fn class_uid(kind: &str) -> u32 {
    match kind {
        "alert" => 2004,
        "krb5" => 3002,
        "http" | "http2" => 4002,
        "dns" | "mdns" => 4003,
        "dhcp" => 4004,
        "rdp" | "rfb" => 4005,
        "smb" | "dcerpc" => 4006,
        "ssh" => 4007,
        "ftp" | "ftp_data" | "tftp" => 4008,
        "smtp" => 4009,
        "fileinfo" | "nfs" => 4010,
        _ => 4001,
    }
}

fn event(raw: &Raw<'_>, kind: &str, time: &Time) -> Event {
    let value = raw.value;
    let flow = &value["flow"];
    let directions = [flow["bytes_toserver"].as_u64(), flow["bytes_toclient"].as_u64()];
    let bytes = directions.into_iter().flatten().reduce(u64::saturating_add);
    let title = title(value, kind);
    Event {
        time: time.at,
        class_uid: class_uid(kind),
        severity_id: if kind == "alert" { 0 } else { 1 },
        watcher: raw.watcher.to_owned(),
        detector: String::new(),
        src_ip: subjects::address(&value["src_ip"]),
        src_port: event::port(&value["src_port"]),
        dst_ip: subjects::address(&value["dest_ip"]),
        dst_port: event::port(&value["dest_port"]),
        hostname: None,
        user: None,
        bytes,
        status_id: None,
        json: text::kept(raw.line, &title, time.remark.as_ref().map(|(en, _)| en.as_str())),
        title,
    }
}

/// What it was about, without paths and queries: in a hospital these hold patients' numbers.
fn title(value: &Value, kind: &str) -> String {
    let about = [
        &value["http"]["hostname"],
        &value["tls"]["sni"],
        &value["dns"]["rrname"],
        &value["dns"]["queries"][0]["rrname"],
        &value["dns"]["query"][0]["rrname"],
        &value["ssh"]["client"]["software_version"],
        &value["smb"]["command"],
        &value["app_proto"],
    ];
    match text::first(&about) {
        Some(about) => text::shown(&format!("{kind} {about}")),
        None => text::shown(kind),
    }
}

fn alert(value: &Value, time: &Time) -> Finding {
    let alert = &value["alert"];
    let signature = text::first(&[&alert["signature"]]).unwrap_or("an alert without a signature");
    // A rule with `target` says who attacks whom; without it the packet that matched came from the attacker.
    let ends = |side: &str, packet: &str| {
        let said = &alert[side]["ip"];
        if said.is_string() { said.clone() } else { value[packet].clone() }
    };
    let (actor, target) = (ends("source", "src_ip"), ends("target", "dest_ip"));
    let mut finding = Finding {
        time: time.at,
        class: FindingClass::Detection,
        detector: DETECTOR.to_owned(),
        title: text::shown(signature),
        title_ja: text::shown(signature),
        severity_id: severity(alert),
        attacks: attacks(&alert["metadata"]),
        actor: text::of(&actor),
        reasons: Vec::new(),
        reasons_ja: Vec::new(),
        uid: uid(value, alert),
        subjects: subjects::ends(&actor, &target),
    };
    let category = text::of(&alert["category"]);
    if !category.is_empty() {
        finding.reasons.push(category.clone());
        finding.reasons_ja.push(category);
    }
    finding::remark(&mut finding, time);
    finding
}

/// Suricata counts the other way round; 1 is the worst of its four.
fn severity(alert: &Value) -> Severity {
    match alert["severity"].as_u64() {
        Some(1) => Severity::High,
        Some(3) => Severity::Low,
        Some(4..) => Severity::Informational,
        _ => Severity::Medium,
    }
}

/// Rules carry no uid: the flow, the rule and the instant are what makes an alert that one.
fn uid(value: &Value, alert: &Value) -> String {
    let (flow, rule) = (&value["flow_id"], &alert["signature_id"]);
    match (flow.as_u64(), rule.as_u64(), value["timestamp"].as_str()) {
        (Some(flow), Some(rule), Some(at)) => text::cut(&format!("{flow}-{rule}-{at}"), 128),
        _ => String::new(),
    }
}

/// `metadata` of the ET rules: parallel arrays of ids and names, underscores for spaces.
fn attacks(metadata: &Value) -> Vec<schema::Attack> {
    let mut attacks = Vec::new();
    for n in 0..ATTACKS_MAX {
        let Some(uid) = metadata["mitre_technique_id"][n].as_str() else { break };
        let name = text::of(&metadata["mitre_technique_name"][n]).replace('_', " ");
        // One tactic for several techniques is what most rules have.
        let at = |list: &Value, n: usize| if list[n].is_null() { list[0].clone() } else { list[n].clone() };
        let tactic =
            techniques::tactic(&at(&metadata["mitre_tactic_id"], n), &at(&metadata["mitre_tactic_name"], n));
        techniques::add(&mut attacks, uid, &name, tactic.into_iter().collect());
    }
    attacks
}
