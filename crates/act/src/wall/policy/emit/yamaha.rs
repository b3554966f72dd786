//! The RTX series: numbered filters, and dynamic ones that let answers back.

use std::fmt::Write;

use ipnet::IpNet;
use schema::Lang;

use super::super::nft::shown;
use super::super::{Action, Policy};
use super::{Row, of_family, rows, untested};

/// Numbers below belong to the administrator.
const FIRST: u32 = 10_000;

pub(super) fn emit(policy: &Policy, lang: Lang) -> String {
    let rows = rows(policy, lang);
    let mut text = untested("#", "Yamaha RTX", policy, lang);
    if rows.iter().any(|row| row.hours.is_some()) {
        text.push_str(lang.pick(
            "# Rules with hours hold at all times here; use `schedule at` to change the filters.\n",
            "# 時間帯のある規則も常に有効として出力しています。schedule at でフィルターを切り替えてください。\n",
        ));
    }
    for v4 in [true, false] {
        let word = if v4 { "ip" } else { "ipv6" };
        let mut number = FIRST;
        for (at, zone) in policy.zone_names().enumerate() {
            let _ = writeln!(text, "# {zone}");
            let (mut fixed, mut dynamic) = (Vec::new(), Vec::new());
            if !v4 {
                let _ = writeln!(text, "ipv6 filter {number} pass * * icmp6 * *");
                fixed.push(number);
                number += 1;
            }
            for row in rows.iter().filter(|row| row.from == zone || row.name == "spared") {
                let Some((sources, destinations)) = of_family(row, v4) else { continue };
                let _ = writeln!(text, "# {}", row.words.replace('\n', " "));
                let verb = match row.action {
                    Action::Allow => "pass-nolog",
                    Action::Refuse => "reject-log",
                    Action::Watch => "pass-log",
                };
                let (sources, destinations) = (list(&sources), list(&destinations));
                for ports in protocols(row, v4) {
                    let _ = writeln!(text, "{word} filter {number} {verb} {sources} {destinations} {ports}");
                    fixed.push(number);
                    number += 1;
                }
                if row.action != Action::Refuse {
                    for protocol in ["tcp", "udp"] {
                        let _ = writeln!(
                            text,
                            "{word} filter dynamic {number} {sources} {destinations} {protocol}"
                        );
                        dynamic.push(number);
                        number += 1;
                    }
                }
            }
            let numbers = |all: &[u32]| all.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
            let lan = at + 1;
            let _ = writeln!(
                text,
                "{word} lan{lan} secure filter in {} dynamic {}",
                numbers(&fixed),
                numbers(&dynamic)
            );
        }
    }
    text
}

fn list(networks: &[IpNet]) -> String {
    if networks.is_empty() {
        "*".to_owned()
    } else {
        networks.iter().map(shown).collect::<Vec<_>>().join(",")
    }
}

fn protocols(row: &Row, v4: bool) -> Vec<String> {
    let Some(ports) = &row.ports else { return vec!["* * *".to_owned()] };
    let mut all = Vec::new();
    for (protocol, ranges) in [("tcp", &ports.tcp), ("udp", &ports.udp)] {
        if !ranges.is_empty() {
            all.push(format!("{protocol} * {}", super::super::service::listed(ranges, ",")));
        }
    }
    if ports.ping {
        all.push(if v4 { "icmp * *" } else { "icmp6 * *" }.to_owned());
    }
    all
}
