//! IOS: one access list for each zone and family, to be bound inbound where the zone is.

use std::fmt::Write;

use ipnet::{IpNet, Ipv4Net};
use schema::Lang;

use super::super::{Action, Policy};
use super::{Row, of_family, rows, untested};

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub(super) fn emit(policy: &Policy, lang: Lang) -> String {
    let rows = rows(policy, lang);
    let mut text = untested("!", "Cisco IOS", policy, lang);
    text.push_str(lang.pick(
        "! Access lists follow no connections: `established` lets answers of TCP back, and UDP needs a reflexive list or zone-based \
         rules.\n",
        "! アクセスリストは接続の状態を追いません。TCP の応答は established で通し、UDP の応答には reflexive ACL などが必要です。\n",
    ));
    times(&rows, &mut text);
    for (number, zone) in policy.zone_names().enumerate() {
        for v4 in [true, false] {
            let head = if v4 { "ip access-list extended" } else { "ipv6 access-list" };
            let family = if v4 { 4 } else { 6 };
            let _ = writeln!(text, "! {zone}\n{head} CW{family}-{number}");
            let _ = writeln!(text, " permit tcp any any established");
            if !v4 {
                text.push_str(" permit icmp any any nd-na\n permit icmp any any nd-ns\n");
            }
            for row in rows.iter().filter(|row| row.from == zone || row.name == "spared") {
                if let Some((sources, destinations)) = of_family(row, v4) {
                    let words: String = row.words.chars().filter(char::is_ascii).take(90).collect();
                    let _ = writeln!(text, " remark {}", words.trim());
                    one(row, v4, &sources, &destinations, &mut text);
                }
            }
            text.push_str("!\n");
        }
    }
    text
}

fn one(row: &Row, v4: bool, sources: &[IpNet], destinations: &[IpNet], text: &mut String) {
    let any = [None];
    let side = |networks: &[IpNet]| -> Vec<Option<IpNet>> {
        if networks.is_empty() { any.to_vec() } else { networks.iter().copied().map(Some).collect() }
    };
    let verb = if row.action == Action::Refuse { "deny" } else { "permit" };
    let log = if row.action == Action::Allow { "" } else { " log" };
    let time = row.hours.as_ref().map(|_| format!(" time-range CW-{}", row.name)).unwrap_or_default();
    for source in side(sources) {
        for destination in side(destinations) {
            let (source, destination) = (shown(source), shown(destination));
            for (protocol, port) in protocols(row, v4) {
                let _ = writeln!(text, " {verb} {protocol} {source} {destination}{port}{time}{log}");
            }
        }
    }
}

fn protocols(row: &Row, v4: bool) -> Vec<(&'static str, String)> {
    let Some(ports) = &row.ports else { return vec![(if v4 { "ip" } else { "ipv6" }, String::new())] };
    let mut all = Vec::new();
    for (protocol, ranges) in [("tcp", &ports.tcp), ("udp", &ports.udp)] {
        all.extend(ranges.iter().map(|(first, last)| match first == last {
            true => (protocol, format!(" eq {first}")),
            false => (protocol, format!(" range {first} {last}")),
        }));
    }
    if ports.ping {
        all.push(("icmp", if v4 { " echo" } else { " echo-request" }.to_owned()));
    }
    all
}

fn shown(network: Option<IpNet>) -> String {
    match network {
        None => "any".to_owned(),
        Some(IpNet::V4(v4)) if v4.prefix_len() == 32 => format!("host {}", v4.addr()),
        Some(IpNet::V4(v4)) => format!("{} {}", v4.network(), wildcard(&v4)),
        Some(IpNet::V6(v6)) if v6.prefix_len() == 128 => format!("host {}", v6.addr()),
        Some(IpNet::V6(v6)) => v6.trunc().to_string(),
    }
}

/// Cisco writes the bits that do not count.
fn wildcard(network: &Ipv4Net) -> std::net::Ipv4Addr {
    network.hostmask()
}

fn times(rows: &[Row], text: &mut String) {
    for row in rows {
        let Some(hours) = &row.hours else { continue };
        let _ = writeln!(text, "time-range CW-{}", row.name);
        for window in hours.windows(0) {
            let day = DAYS.get(usize::from(window.day)).copied().unwrap_or_default();
            let last = window.until.saturating_sub(60);
            let clock = |second: u32| format!("{}:{:02}", second / 3600, second / 60 % 60);
            let _ = writeln!(text, " periodic {day} {} to {}", clock(window.from), clock(last));
        }
    }
}
