//! The policy in the words of nftables. Texts go to the program, since its JSON differs more between versions than its language.
//!
//! Every chain and set carries the number of its generation, so that two of them can stand in one table: while the set `trial`
//! holds an entry the new one counts, and when the kernel lets that entry end, the one before it does, whoever is alive then.

use std::fmt::Write;
use std::time::Duration;

use ipnet::IpNet;

use super::hours::{DAY, Window};
use super::service::{Ports, listed};
use super::verdict::{Cause, Entry};
use super::{Action, Mode, OUTSIDE, Policy, SELF, Zone};

/// The table of the policy, of the family `inet`.
pub const TABLE: &str = "chartward_policy";

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Where neighbour discovery fails nothing of IPv6 works; multicast listeners are how a switch knows where to send it.
const DISCOVERY: &str = "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, \
                         nd-neighbor-advert, mld-listener-query, mld-listener-report, mld-listener-done, \
                         mld2-listener-report } accept";
/// A packet in the midst of a connection that the kernel does not know: it began before the first rules were loaded.
const UNDER_WAY: &str = "ct state new tcp flags & (syn | rst) == 0x0";

/// The whole table with `current` in force, for a time in front of `before`, or without an end. With `None` for both there is no
/// table afterwards. One transaction: nobody is let through or cut off in between.
pub fn render(current: Option<(&Policy, u64)>, trial: Option<(Option<(&Policy, u64)>, Duration)>) -> String {
    let mut text = format!("add table inet {TABLE}\ndelete table inet {TABLE}\n");
    let before = trial.and_then(|(before, _)| before);
    if current.is_none() && before.is_none() {
        return text;
    }
    let _ = writeln!(text, "table inet {TABLE} {{");
    if let Some((_, lasts)) = trial {
        // The kernel takes 0 for "no end".
        let ms = lasts.as_millis().max(1);
        let _ = writeln!(
            text,
            " set trial {{ type nf_proto; flags timeout; elements = {{ ipv4 timeout {ms}ms, ipv6 timeout {ms}ms }}; }}"
        );
    }
    for (policy, generation) in [before, current].into_iter().flatten() {
        Generation { policy, number: generation, text: &mut text }.write();
    }
    for hook in ["input", "forward"] {
        let _ = writeln!(text, " chain {hook} {{\n  type filter hook {hook} priority -5; policy accept;");
        match (current, trial) {
            (Some((_, number)), None) => {
                let _ = writeln!(text, "  goto g{number}_{hook}");
            }
            (Some((_, number)), Some(_)) => {
                let _ = writeln!(text, "  meta nfproto @trial goto g{number}_{hook}");
            }
            // A trial of having no policy at all.
            (None, _) => text.push_str("  meta nfproto @trial accept\n"),
        }
        if let Some((_, number)) = before {
            let _ = writeln!(text, "  goto g{number}_{hook}");
        }
        text.push_str(" }\n");
    }
    text.push_str("}\n");
    text
}

struct Generation<'p, 't> {
    policy: &'p Policy,
    number: u64,
    text: &'t mut String,
}

impl Generation<'_, '_> {
    fn write(&mut self) {
        let names: Vec<&str> = self.policy.zone_names().collect();
        for (from, from_name) in names.iter().enumerate() {
            self.limits(from, from_name);
            for (to, to_name) in names.iter().chain([&SELF]).enumerate() {
                self.pair((from, from_name), (to, to_name));
            }
            self.forwarded(from);
            let own = names.len();
            let lines = [self.jump_to_limits(from), format!("goto g{}_pair_{from}_{own}", self.number)];
            self.chain(&format!("in_{from}"), &lines);
        }
        for hook in ["input", "forward"] {
            self.hook(hook);
        }
    }

    fn chain(&mut self, name: &str, lines: &[String]) {
        let _ = writeln!(self.text, " chain g{}_{name} {{", self.number);
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let _ = writeln!(self.text, "  {line}");
        }
        self.text.push_str(" }\n");
    }

    /// Every first packet of the hook comes here.
    fn hook(&mut self, hook: &str) {
        let mut lines = Vec::new();
        if hook == "input" {
            lines.push("iif lo accept".to_owned());
        }
        lines.push("ct state established,related accept".to_owned());
        lines.push(DISCOVERY.to_owned());
        if hook == "input" {
            lines.extend(
                [
                    "meta l4proto igmp accept",
                    "udp sport 67 udp dport 68 accept",
                    "ip6 saddr fe80::/10 udp dport 546 accept",
                ]
                .map(str::to_owned),
            );
        }
        if hook == "forward" && self.policy.mode == Mode::Bridge {
            // What one network needs to be one: not services of hosts, but names, routes and addresses of the link itself.
            lines.extend(
                [
                    "ip daddr { 224.0.0.0/24, 255.255.255.255 } accept",
                    "ip6 daddr ff02::/16 accept",
                    "udp dport { 67, 68, 546, 547 } accept",
                ]
                .map(str::to_owned),
            );
        }
        for it in addresses(&self.policy.spared, &[]).into_iter().filter(|it| !it.text.is_empty()) {
            lines.push(format!("{} counter accept comment \"spared\"", it.text));
        }
        for it in addresses(&self.policy.reach, &[]).into_iter().filter(|it| !it.text.is_empty()) {
            lines.push(format!("{} {UNDER_WAY} counter accept comment \"reach\"", it.text));
        }
        let chain = if hook == "input" { "in" } else { "from" };
        for (number, zone) in self.policy.zones.iter().enumerate() {
            for matches in zone_matches(zone, "iifname", "saddr") {
                lines.push(format!("{matches} goto g{}_{chain}_{number}", self.number));
            }
        }
        lines.push(format!("goto g{}_{chain}_{}", self.number, self.policy.zones.len()));
        self.chain(hook, &lines);
    }

    fn forwarded(&mut self, from: usize) {
        let mut lines = vec![self.jump_to_limits(from)];
        for (to, zone) in self.policy.zones.iter().enumerate() {
            for matches in zone_matches(zone, "oifname", "daddr") {
                lines.push(format!("{matches} goto g{}_pair_{from}_{to}", self.number));
            }
        }
        lines.push(format!("goto g{}_pair_{from}_{}", self.number, self.policy.zones.len()));
        self.chain(&format!("from_{from}"), &lines);
    }

    fn jump_to_limits(&self, from: usize) -> String {
        let name = self.policy.zone_names().nth(from).unwrap_or(OUTSIDE);
        let has_limits = self.policy.limits.iter().any(|limit| limit.from.iter().any(|zone| zone == name));
        if has_limits { format!("jump g{}_limits_{from}", self.number) } else { String::new() }
    }

    fn limits(&mut self, from: usize, name: &str) {
        let mut lines = Vec::new();
        let generation = self.number;
        for (number, limit) in (1..).zip(&self.policy.limits) {
            if !limit.from.iter().any(|zone| zone == name) {
                continue;
            }
            let ports = self.policy.ports_of(&limit.services);
            for (family, word, kind) in [(4, "ip", "ipv4_addr"), (6, "ip6", "ipv6_addr")] {
                let set = format!("g{generation}_limit_{number}_{from}_{family}");
                let _ = writeln!(
                    self.text,
                    " set {set} {{ type {kind}; flags dynamic,timeout; timeout {}s; size 65535; }}",
                    limit.rate.memory_seconds()
                );
                for transport in transports(ports.as_ref(), Some(family)) {
                    let (rate, burst) = (limit.rate, limit.burst.max(1));
                    lines.push(format!(
                        "ct state new {transport} update @{set} {{ {word} saddr limit rate over {rate} burst {burst} packets }} \
                         counter drop comment \"limit:{number}\""
                    ));
                }
            }
        }
        if !lines.is_empty() {
            self.chain(&format!("limits_{from}"), &lines);
        }
    }

    fn pair(&mut self, (from, from_name): (usize, &str), (to, to_name): (usize, &str)) {
        let mut lines = Vec::new();
        for entry in self.policy.entries(from_name, to_name) {
            self.allowed(&entry, &mut lines);
        }
        if to_name != SELF {
            // The other way of what is allowed, for connections that the kernel does not know yet.
            for entry in self.policy.entries(to_name, from_name) {
                under_way(&entry, &mut lines);
            }
        }
        let number = format!("default:{from}>{to}");
        let refused_loudly = from_name != OUTSIDE && self.policy.mode == Mode::Router;
        match self.policy.default_of(from_name, to_name) {
            Action::Allow => lines.push(format!("counter accept comment \"{number}\"")),
            Action::Watch => {
                lines.push(format!(
                    "ct state new limit rate 5/second burst 20 packets log prefix \"chartward watch {from}>{to}: \""
                ));
                lines.push(format!("counter accept comment \"{number}\""));
            }
            // Who is refused inside must not wait half a minute for it; who is outside needs no answer.
            Action::Refuse if refused_loudly => {
                lines.push(format!("meta l4proto tcp counter reject with tcp reset comment \"{number}\""));
                lines.push(format!("counter reject with icmpx admin-prohibited comment \"{number}\""));
            }
            Action::Refuse => lines.push(format!("counter drop comment \"{number}\"")),
        }
        self.chain(&format!("pair_{from}_{to}"), &lines);
    }

    fn allowed(&self, entry: &Entry, lines: &mut Vec<String>) {
        let name = match entry.cause {
            Cause::Allow(number) => format!("allow:{number}"),
            Cause::Reach => "reach".to_owned(),
            Cause::Spared | Cause::Default => return,
        };
        let hours = entry.hours.as_ref().map(|hours| hours.windows(self.policy.utc_offset_seconds));
        for it in addresses(&entry.sources, &entry.destinations) {
            for transport in transports(entry.ports.as_ref(), it.family) {
                for when in times(hours.as_deref()) {
                    let words = [it.text.as_str(), &transport, &when].join(" ");
                    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
                    lines.push(format!("{words} counter accept comment \"{name}\"").trim_start().to_owned());
                }
            }
        }
    }
}

/// An entry seen from the side that answers.
fn under_way(entry: &Entry, lines: &mut Vec<String>) {
    let ports = match &entry.ports {
        // The hook has a rule for the hosts that everybody reaches.
        _ if entry.cause == Cause::Reach => return,
        Some(ports) if ports.tcp.is_empty() => return,
        Some(ports) => format!(" tcp sport {}", braced(&ports.tcp)),
        None => String::new(),
    };
    for it in addresses(&entry.destinations, &entry.sources) {
        let rule = format!("{} {UNDER_WAY}{ports} accept", it.text);
        lines.push(rule.trim_start().to_owned());
    }
}

/// Addresses of one family, as a match.
struct Addresses {
    family: Option<u8>,
    text: String,
}

fn addresses(sources: &[IpNet], destinations: &[IpNet]) -> Vec<Addresses> {
    if sources.is_empty() && destinations.is_empty() {
        return vec![Addresses { family: None, text: String::new() }];
    }
    let of_family = |family: u8, word: &str| {
        let mut parts = Vec::new();
        for (side, all) in [("saddr", sources), ("daddr", destinations)] {
            let own: Vec<IpNet> =
                all.iter().filter(|network| network.addr().is_ipv4() == (family == 4)).copied().collect();
            match (all.is_empty(), own.is_empty()) {
                (true, _) => {}
                (false, true) => return None,
                (false, false) => parts.push(format!("{word} {side} {}", networks(&own))),
            }
        }
        Some(Addresses { family: Some(family), text: parts.join(" ") })
    };
    [of_family(4, "ip"), of_family(6, "ip6")].into_iter().flatten().collect()
}

/// Overlapping networks in one set are refused.
fn networks(networks: &[IpNet]) -> String {
    let all: Vec<String> = IpNet::aggregate(&networks.to_vec()).iter().map(shown).collect();
    format!("{{ {} }}", all.join(", "))
}

/// One address without its length, as the packet filter lists it.
pub(super) fn shown(network: &IpNet) -> String {
    match network.prefix_len() == network.max_prefix_len() {
        true => network.addr().to_string(),
        false => network.trunc().to_string(),
    }
}

fn braced(ranges: &[(u16, u16)]) -> String {
    format!("{{ {} }}", listed(ranges, ", "))
}

/// Matches of ports; one empty one stands for everything.
fn transports(ports: Option<&Ports>, family: Option<u8>) -> Vec<String> {
    let Some(ports) = ports else { return vec![String::new()] };
    let mut all = Vec::new();
    for (word, ranges) in [("tcp", &ports.tcp), ("udp", &ports.udp)] {
        if !ranges.is_empty() {
            all.push(format!("{word} dport {}", braced(ranges)));
        }
    }
    if ports.ping {
        let echo = [(4, "icmp"), (6, "icmpv6")];
        let of_family = echo.into_iter().filter(|(known, _)| family.is_none_or(|family| family == *known));
        all.extend(of_family.map(|(_, word)| format!("{word} type echo-request")));
    }
    all
}

/// Matches of hours, UTC: the program must run with that time zone, since it converts what it reads. Days with the same hours are
/// one match.
fn times(windows: Option<&[Window]>) -> Vec<String> {
    let Some(windows) = windows else { return vec![String::new()] };
    let mut spans: Vec<(u32, u32)> = windows.iter().map(|window| (window.from, window.until)).collect();
    spans.sort_unstable();
    spans.dedup();
    let clock = |second: u32| format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    let of_span = |(from, until): (u32, u32)| {
        let same = windows.iter().filter(|window| (window.from, window.until) == (from, until));
        let days: Vec<String> =
            same.filter_map(|window| Some(format!("\"{}\"", DAYS.get(usize::from(window.day))?))).collect();
        let days = format!("meta day {{ {} }}", days.join(", "));
        match (from, until) {
            (0, DAY) => days,
            _ => format!("{days} meta hour \"{}\"-\"{}\"", clock(from), clock(until.saturating_sub(1))),
        }
    };
    spans.into_iter().map(of_span).collect()
}

fn zone_matches(zone: &Zone, interface_word: &str, address_word: &str) -> Vec<String> {
    let names: Vec<String> = zone.interfaces.iter().map(|name| format!("\"{name}\"")).collect();
    let interfaces = match names.is_empty() {
        true => String::new(),
        false => format!("{interface_word} {{ {} }} ", names.join(", ")),
    };
    if zone.networks.is_empty() {
        return vec![interfaces.trim_end().to_owned()];
    }
    let of_family = |v4: bool, word: &str| {
        let own: Vec<IpNet> =
            zone.networks.iter().filter(|network| network.addr().is_ipv4() == v4).copied().collect();
        (!own.is_empty()).then(|| format!("{interfaces}{word} {address_word} {}", networks(&own)))
    };
    [of_family(true, "ip"), of_family(false, "ip6")].into_iter().flatten().collect()
}
