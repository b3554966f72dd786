//! The policy in the words of other firewalls, for their administrators: Chartward loads none of it.
//!
//! nftables and iptables are tried out with the real programs in the tests. What is made for devices is written after their
//! vendors' manuals and says so at its top.

mod cisco;
mod fortigate;
mod iptables;
mod yamaha;

use std::str::FromStr;

use ipnet::IpNet;
use schema::Lang;

use super::service::Ports;
use super::verdict::Cause;
use super::words::{of_default, of_rule, sentences};
use super::{Action, Hours, OUTSIDE, Policy, SELF};

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// What Chartward itself loads.
    Nft,
    /// `iptables-restore --noflush`.
    Iptables,
    /// `ip6tables-restore --noflush`.
    Ip6tables,
    /// The command line of FortiOS.
    Fortigate,
    /// Access lists of IOS.
    Cisco,
    /// The command line of the RTX series.
    YamahaRtx,
    /// Sentences.
    Text,
}

const DEVICES: [(&str, Device); 7] = [
    ("nft", Device::Nft),
    ("iptables", Device::Iptables),
    ("ip6tables", Device::Ip6tables),
    ("fortigate", Device::Fortigate),
    ("cisco", Device::Cisco),
    ("yamaha-rtx", Device::YamahaRtx),
    ("text", Device::Text),
];

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || DEVICES.map(|(name, _)| name).join(", ");
        let found = DEVICES.into_iter().find(|(name, _)| *name == text).map(|(_, device)| device);
        found.ok_or_else(|| format!("{text:?} is none of {}", known()))
    }
}

/// The whole policy.
pub fn emit(policy: &Policy, device: Device, lang: Lang) -> String {
    match device {
        Device::Nft => super::render(Some((policy, 1)), None),
        Device::Iptables => iptables::emit(policy, iptables::Family::V4),
        Device::Ip6tables => iptables::emit(policy, iptables::Family::V6),
        Device::Fortigate => fortigate::emit(policy, lang),
        Device::Cisco => cisco::emit(policy, lang),
        Device::YamahaRtx => yamaha::emit(policy, lang),
        Device::Text => sentences(policy, lang).join("\n"),
    }
}

/// What a device's rules begin with: nobody should load them as they are.
fn untested(mark: &str, device: &str, policy: &Policy, lang: Lang) -> String {
    let mut lines = vec![
        lang.pick(
            format!("Made by Chartward for {device}. Not tested on that device: read it before you load it."),
            format!("Chartward が {device} 向けに作成しました。実機では試験していません。内容を確かめてから投入してください。"),
        ),
    ];
    if !policy.limits.is_empty() {
        lines.push(
            lang.pick(
                "Rate limits are left out; set them by the device's own means.",
                "接続数の制限は含みません。機器の機能で設定してください。",
            )
            .to_owned(),
        );
    }
    lines.iter().fold(String::new(), |text, line| text + mark + " " + line + "\n")
}

/// One row of a list that most devices have: the first that fits decides.
struct Row {
    /// A word without spaces, for names of objects.
    name: String,
    from: String,
    to: String,
    sources: Vec<IpNet>,
    destinations: Vec<IpNet>,
    /// `None`: everything.
    ports: Option<Ports>,
    hours: Option<Hours>,
    action: Action,
    /// A sentence.
    words: String,
}

/// The policy as one list. What is sent to the machine itself is left out: another device is meant.
fn rows(policy: &Policy, lang: Lang) -> Vec<Row> {
    let names: Vec<String> = policy.zone_names().map(str::to_owned).collect();
    let networks = |name: &str| {
        let zone = policy.zones.iter().find(|zone| zone.name == name);
        zone.map(|zone| zone.networks.clone()).unwrap_or_default()
    };
    let or_zone = |own: &[IpNet], zone: &str| if own.is_empty() { networks(zone) } else { own.to_vec() };
    let mut rows = Vec::new();
    if !policy.spared.is_empty() {
        rows.push(Row {
            name: "spared".to_owned(),
            from: OUTSIDE.to_owned(),
            to: OUTSIDE.to_owned(),
            sources: policy.spared.clone(),
            destinations: vec![],
            ports: None,
            hours: None,
            action: Action::Allow,
            words: lang.pick("Never refused.", "決して拒否しません。").to_owned(),
        });
    }
    for (from_number, from) in names.iter().enumerate() {
        for (to_number, to) in names.iter().enumerate().filter(|(_, to)| *to != SELF) {
            for (number, entry) in policy.entries(from, to).iter().enumerate() {
                let words = match entry.cause {
                    Cause::Allow(at) => {
                        let rule = policy.allow.get(at.saturating_sub(1));
                        rule.map(|rule| of_rule(policy, rule, lang)).unwrap_or_default()
                    }
                    _ => lang
                        .pick("Reached by everybody inside.", "内部のすべての機器から届きます。")
                        .to_owned(),
                };
                rows.push(Row {
                    name: format!("{from_number}-{to_number}-{number}"),
                    from: from.clone(),
                    to: to.clone(),
                    sources: or_zone(&entry.sources, from),
                    destinations: or_zone(&entry.destinations, to),
                    ports: entry.ports.clone(),
                    hours: entry.hours.clone(),
                    action: Action::Allow,
                    words,
                });
            }
            let action = policy.default_of(from, to);
            rows.push(Row {
                name: format!("{from_number}-{to_number}-rest"),
                from: from.clone(),
                to: to.clone(),
                sources: networks(from),
                destinations: networks(to),
                ports: None,
                hours: None,
                action,
                words: of_default(from, to, action, lang),
            });
        }
    }
    rows
}

/// Both sides in one family; `None` where one of them has only the other one. An empty list is everything.
fn of_family(row: &Row, v4: bool) -> Option<(Vec<IpNet>, Vec<IpNet>)> {
    let side = |all: &[IpNet]| -> Option<Vec<IpNet>> {
        let own: Vec<IpNet> = all.iter().filter(|network| network.addr().is_ipv4() == v4).copied().collect();
        (all.is_empty() || !own.is_empty()).then_some(own)
    };
    Some((side(&row.sources)?, side(&row.destinations)?))
}
