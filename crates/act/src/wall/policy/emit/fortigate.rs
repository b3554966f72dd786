//! FortiOS: objects first, then policies; the device follows connections itself.

use std::collections::BTreeMap;
use std::fmt::Write;

use ipnet::IpNet;
use schema::Lang;

use super::super::service::{Ports, listed};
use super::super::{Action, Hours, Policy};
use super::{Row, of_family, rows, untested};

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

pub(super) fn emit(policy: &Policy, lang: Lang) -> String {
    let rows = rows(policy, lang);
    let mut text = untested("#", "FortiGate (FortiOS)", policy, lang);
    addresses(&rows, true, &mut text);
    addresses(&rows, false, &mut text);
    services(&rows, &mut text);
    schedules(&rows, &mut text);
    text.push_str("config firewall policy\n");
    for row in &rows {
        for v4 in [true, false] {
            if let Some((sources, destinations)) = of_family(row, v4) {
                one(policy, row, v4, (&sources, &destinations), &mut text);
            }
        }
    }
    text.push_str("end\n");
    text
}

fn one(policy: &Policy, row: &Row, v4: bool, sides: (&[IpNet], &[IpNet]), text: &mut String) {
    let suffix = if v4 { "" } else { "6" };
    let list = |networks: &[IpNet]| match networks.is_empty() {
        true => "\"all\"".to_owned(),
        false => {
            networks.iter().map(|network| format!("\"{}\"", name(network))).collect::<Vec<_>>().join(" ")
        }
    };
    let interfaces = |zone: &str| {
        let zone = policy.zones.iter().find(|known| known.name == zone);
        let names = zone.map(|zone| zone.interfaces.as_slice()).unwrap_or_default();
        match names.is_empty() {
            true => "\"any\"".to_owned(),
            false => names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" "),
        }
    };
    let service = row.ports.as_ref().map_or("\"ALL\"".to_owned(), |ports| service_names(ports, v4));
    let schedule = row.hours.as_ref().map_or("always".to_owned(), schedule_name);
    let action = if row.action == Action::Refuse { "deny" } else { "accept" };
    let words = row.words.replace(['"', '\\'], "'");
    let words: String = words.chars().take(1000).collect();
    let _ = write!(
        text,
        "    edit 0\n        set name \"cw{}-{}\"\n        set srcintf {}\n        set dstintf {}\n        set srcaddr{suffix} {}\n        set \
         dstaddr{suffix} {}\n        set action {action}\n        set schedule \"{schedule}\"\n        set service {service}\n        set \
         logtraffic {}\n        set comments \"{words}\"\n    next\n",
        if v4 { 4 } else { 6 },
        row.name,
        interfaces(&row.from),
        interfaces(&row.to),
        list(sides.0),
        list(sides.1),
        if row.action == Action::Allow { "utm" } else { "all" },
    );
}

/// Of IPv6 every group is written out: `2001:db8::1:2` and `2001:db8:1::2` must not share a name.
fn name(network: &IpNet) -> String {
    let address = match network {
        IpNet::V4(v4) => v4.addr().to_string(),
        IpNet::V6(v6) => v6.addr().segments().map(|group| format!("{group:x}")).join("-"),
    };
    format!("cw-{address}-{}", network.prefix_len())
}

fn addresses(rows: &[Row], v4: bool, text: &mut String) {
    let mut all: BTreeMap<String, IpNet> = BTreeMap::new();
    for network in rows.iter().flat_map(|row| row.sources.iter().chain(&row.destinations)) {
        if network.addr().is_ipv4() == v4 {
            all.insert(name(network), *network);
        }
    }
    if all.is_empty() {
        return;
    }
    let _ = writeln!(text, "config firewall address{}", if v4 { "" } else { "6" });
    for (name, network) in all {
        let value = match network {
            IpNet::V4(v4) => format!("set subnet {} {}", v4.addr(), v4.netmask()),
            IpNet::V6(v6) => format!("set ip6 {v6}"),
        };
        let _ = write!(text, "    edit \"{name}\"\n        {value}\n    next\n");
    }
    text.push_str("end\n");
}

/// Ping is a service of the device's own, one for each family.
fn service_names(ports: &Ports, v4: bool) -> String {
    let mut names = Vec::new();
    if has_ports(ports) {
        names.push(format!("\"{}\"", service_name(ports)));
    }
    if ports.ping {
        names.push(if v4 { "\"PING\"" } else { "\"PING6\"" }.to_owned());
    }
    names.join(" ")
}

fn has_ports(ports: &Ports) -> bool {
    !ports.tcp.is_empty() || !ports.udp.is_empty()
}

fn service_name(ports: &Ports) -> String {
    format!("cw-t{}-u{}", listed(&ports.tcp, "_"), listed(&ports.udp, "_"))
}

fn services(rows: &[Row], text: &mut String) {
    let all = rows.iter().filter_map(|row| row.ports.as_ref()).filter(|ports| has_ports(ports));
    let all: BTreeMap<String, &Ports> = all.map(|ports| (service_name(ports), ports)).collect();
    if all.is_empty() {
        return;
    }
    text.push_str("config firewall service custom\n");
    for (name, ports) in all {
        let _ = writeln!(text, "    edit \"{name}\"");
        for (protocol, ranges) in [("tcp", &ports.tcp), ("udp", &ports.udp)] {
            if !ranges.is_empty() {
                let _ = writeln!(text, "        set {protocol}-portrange {}", listed(ranges, " "));
            }
        }
        text.push_str("    next\n");
    }
    text.push_str("end\n");
}

fn schedule_name(hours: &Hours) -> String {
    format!("cw-{hours}").replace([' ', ',', ':'], "")
}

/// The device counts in local time, and a recurring schedule has one span: hours of several spans are a group of them.
fn schedules(rows: &[Row], text: &mut String) {
    let all: BTreeMap<String, &Hours> =
        rows.iter().filter_map(|row| row.hours.as_ref()).map(|hours| (schedule_name(hours), hours)).collect();
    for (name, hours) in all {
        text.push_str("config firewall schedule recurring\n");
        let mut members = Vec::new();
        for (number, window) in hours.windows(0).iter().enumerate() {
            let clock = |second: u32| format!("{:02}:{:02}", second / 3600 % 24, second / 60 % 60);
            let day = DAYS.get(usize::from(window.day)).copied().unwrap_or_default();
            let (from, until) = (clock(window.from), clock(window.until));
            let _ = write!(
                text,
                "    edit \"{name}-{number}\"\n        set day {day}\n        set start {from}\n        set end {until}\n    next\n"
            );
            members.push(format!("\"{name}-{number}\""));
        }
        let members = members.join(" ");
        let _ = write!(
            text,
            "end\nconfig firewall schedule group\n    edit \"{name}\"\n        set member {members}\n    next\nend\n"
        );
    }
}
