//! The same steps as for nftables, one chain for each pair of zones.

use std::fmt::Write;

use ipnet::IpNet;

use super::super::hours::{DAY, Window};
use super::super::nft::shown;
use super::super::service::Ports;
use super::super::verdict::{Cause, Entry};
use super::super::{Action, Mode, OUTSIDE, Policy, SELF, Zone};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const UNDER_WAY: &str = "-m conntrack --ctstate NEW -p tcp -m tcp --tcp-flags SYN,RST NONE";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

pub(super) fn emit(policy: &Policy, family: Family) -> String {
    let mut text = Text { policy, family, chains: Vec::new(), rules: String::new() };
    text.write();
    let (program, list) = match family {
        Family::V4 => ("iptables-restore", "iptables"),
        Family::V6 => ("ip6tables-restore", "ip6tables"),
    };
    let mut out = format!(
        "# Made by Chartward. Load with `{program} --noflush`; `{list} -t filter -S` says what is loaded.\n*filter\n"
    );
    for chain in &text.chains {
        let _ = writeln!(out, ":{chain} - [0:0]");
    }
    out.push_str(&text.rules);
    out.push_str("-A INPUT -j CW_INPUT\n-A FORWARD -j CW_FORWARD\nCOMMIT\n");
    out
}

struct Text<'p> {
    policy: &'p Policy,
    family: Family,
    chains: Vec<String>,
    rules: String,
}

impl Text<'_> {
    fn write(&mut self) {
        let policy = self.policy;
        let names: Vec<&str> = policy.zone_names().collect();
        for hook in ["INPUT", "FORWARD"] {
            self.hook(hook);
        }
        for (from, from_name) in names.iter().enumerate() {
            self.limits(from, from_name);
            let chain = self.chain(format!("CW_F{from}"));
            self.add(&chain, &format!("-j CW_L{from}"));
            for (to, zone) in policy.zones.iter().enumerate() {
                for matches in self.zone_matches(zone, "-o", "-d") {
                    self.add(&chain, &format!("{matches} -g CW_P{from}_{to}"));
                }
            }
            self.add(&chain, &format!("-g CW_P{from}_{}", policy.zones.len()));
            let chain = self.chain(format!("CW_I{from}"));
            self.add(&chain, &format!("-j CW_L{from}"));
            self.add(&chain, &format!("-g CW_P{from}_{}", names.len()));
            for (to, to_name) in names.iter().chain([&SELF]).enumerate() {
                self.pair((from, from_name), (to, to_name));
            }
        }
    }

    fn chain(&mut self, name: String) -> String {
        self.chains.push(name.clone());
        name
    }

    fn add(&mut self, chain: &str, rule: &str) {
        let rule = rule.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(self.rules, "-A {chain} {rule}");
    }

    fn hook(&mut self, hook: &str) {
        let chain = self.chain(format!("CW_{hook}"));
        if hook == "INPUT" {
            self.add(&chain, "-i lo -j ACCEPT");
        }
        self.add(&chain, "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
        let needed: &[&str] = match self.family {
            Family::V4 if hook == "INPUT" => &["-p igmp -j ACCEPT", "-p udp --sport 67 --dport 68 -j ACCEPT"],
            Family::V6 if hook == "INPUT" => &["-s fe80::/10 -p udp --dport 546 -j ACCEPT"],
            _ => &[],
        };
        for rule in needed {
            self.add(&chain, rule);
        }
        if self.family == Family::V6 {
            for kind in [130, 131, 132, 133, 134, 135, 136, 143] {
                self.add(&chain, &format!("-p ipv6-icmp -m icmp6 --icmpv6-type {kind} -j ACCEPT"));
            }
        }
        if hook == "FORWARD" && self.policy.mode == Mode::Bridge {
            let link: &[&str] = match self.family {
                Family::V4 => &["-d 224.0.0.0/24,255.255.255.255", "-p udp -m multiport --dports 67,68"],
                Family::V6 => &["-d ff02::/16", "-p udp -m multiport --dports 546,547"],
            };
            for rule in link {
                self.add(&chain, &format!("{rule} -j ACCEPT"));
            }
        }
        if let Some(from) = self.side("-s", &self.policy.spared).filter(|from| !from.is_empty()) {
            self.add(&chain, &format!("{from} -j ACCEPT"));
        }
        if let Some(from) = self.side("-s", &self.policy.reach).filter(|from| !from.is_empty()) {
            self.add(&chain, &format!("{from} {UNDER_WAY} -j ACCEPT"));
        }
        let to = if hook == "INPUT" { "CW_I" } else { "CW_F" };
        for (number, zone) in self.policy.zones.iter().enumerate() {
            for matches in self.zone_matches(zone, "-i", "-s") {
                self.add(&chain, &format!("{matches} -g {to}{number}"));
            }
        }
        self.add(&chain, &format!("-g {to}{}", self.policy.zones.len()));
    }

    fn limits(&mut self, from: usize, name: &str) {
        let chain = self.chain(format!("CW_L{from}"));
        for (number, limit) in (1..).zip(&self.policy.limits) {
            if !limit.from.iter().any(|zone| zone == name) {
                continue;
            }
            for ports in self.transports(self.policy.ports_of(&limit.services).as_ref()) {
                let (rate, burst) = (limit.rate, limit.burst.max(1));
                let rule = format!(
                    "{ports} -m conntrack --ctstate NEW -m hashlimit --hashlimit-above {rate} --hashlimit-burst {burst} \
                     --hashlimit-mode srcip --hashlimit-name cw{number}_{from} -j DROP"
                );
                self.add(&chain, &rule);
            }
        }
    }

    fn pair(&mut self, (from, from_name): (usize, &str), (to, to_name): (usize, &str)) {
        let chain = self.chain(format!("CW_P{from}_{to}"));
        for entry in self.policy.entries(from_name, to_name) {
            let hours = entry.hours.as_ref().map(|hours| hours.windows(self.policy.utc_offset_seconds));
            let Some(sides) = self.sides(&entry.sources, &entry.destinations) else { continue };
            for ports in self.transports(entry.ports.as_ref()) {
                for when in times(hours.as_deref()) {
                    self.add(&chain, &format!("{sides} {ports} {when} -j ACCEPT"));
                }
            }
        }
        if to_name != SELF {
            for entry in self.policy.entries(to_name, from_name) {
                self.under_way(&chain, &entry);
            }
        }
        let is_loud = from_name != OUTSIDE && self.policy.mode == Mode::Router;
        let prohibited = match self.family {
            Family::V4 => "icmp-admin-prohibited",
            Family::V6 => "icmp6-adm-prohibited",
        };
        match self.policy.default_of(from_name, to_name) {
            Action::Allow => self.add(&chain, "-j ACCEPT"),
            Action::Watch => {
                let log = format!(
                    "-m limit --limit 5/sec --limit-burst 20 -j LOG --log-prefix \"CW watch {from}-{to}: \""
                );
                let _ = writeln!(self.rules, "-A {chain} -m conntrack --ctstate NEW {log}");
                self.add(&chain, "-j ACCEPT");
            }
            Action::Refuse if is_loud => {
                self.add(&chain, "-p tcp -j REJECT --reject-with tcp-reset");
                self.add(&chain, &format!("-j REJECT --reject-with {prohibited}"));
            }
            Action::Refuse => self.add(&chain, "-j DROP"),
        }
    }

    fn under_way(&mut self, chain: &str, entry: &Entry) {
        let ranges = match &entry.ports {
            _ if entry.cause == Cause::Reach => return,
            Some(ports) => ports.tcp.clone(),
            None => vec![(1, u16::MAX)],
        };
        let Some(sides) = self.sides(&entry.destinations, &entry.sources) else { return };
        for (first, last) in ranges {
            self.add(chain, &format!("{sides} {UNDER_WAY} --sport {first}:{last} -j ACCEPT"));
        }
    }

    /// Empty for everything, `None` where there is nothing of this family.
    fn side(&self, flag: &str, networks: &[IpNet]) -> Option<String> {
        let is_own = |network: &&IpNet| network.addr().is_ipv4() == (self.family == Family::V4);
        let own: Vec<String> = networks.iter().filter(is_own).map(shown).collect();
        match (networks.is_empty(), own.is_empty()) {
            (true, _) => Some(String::new()),
            (false, true) => None,
            (false, false) => Some(format!("{flag} {}", own.join(","))),
        }
    }

    fn sides(&self, sources: &[IpNet], destinations: &[IpNet]) -> Option<String> {
        Some(format!("{} {}", self.side("-s", sources)?, self.side("-d", destinations)?))
    }

    fn transports(&self, ports: Option<&Ports>) -> Vec<String> {
        let Some(ports) = ports else { return vec![String::new()] };
        let mut all = Vec::new();
        for (protocol, ranges) in [("tcp", &ports.tcp), ("udp", &ports.udp)] {
            all.extend(ranges.iter().map(|(first, last)| format!("-p {protocol} --dport {first}:{last}")));
        }
        if ports.ping {
            all.push(match self.family {
                Family::V4 => "-p icmp -m icmp --icmp-type 8".to_owned(),
                Family::V6 => "-p ipv6-icmp -m icmp6 --icmpv6-type 128".to_owned(),
            });
        }
        all
    }

    fn zone_matches(&self, zone: &Zone, interface_flag: &str, address_flag: &str) -> Vec<String> {
        let Some(addresses) = self.side(address_flag, &zone.networks) else { return vec![] };
        if zone.interfaces.is_empty() {
            return vec![addresses];
        }
        zone.interfaces.iter().map(|name| format!("{interface_flag} {name} {addresses}")).collect()
    }
}

fn times(windows: Option<&[Window]>) -> Vec<String> {
    let Some(windows) = windows else { return vec![String::new()] };
    let clock = |second: u32| format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    let of_window = |window: &Window| {
        let day = DAYS.get(usize::from(window.day)).copied().unwrap_or("Mon");
        let until = if window.until == DAY { DAY - 1 } else { window.until.saturating_sub(1) };
        format!("-m time --timestart {} --timestop {} --weekdays {day}", clock(window.from), clock(until))
    };
    windows.iter().map(of_window).collect()
}
