//! The policy in sentences, and what differs between two of them.

use std::collections::BTreeSet;

use ipnet::IpNet;
use schema::Lang;

use super::nft::shown;
use super::verdict::{Answer, Cause};
use super::{Action, Allow, Egress, Limit, Mode, OUTSIDE, Policy, SELF, Zone};

/// One sentence that is true of one policy and not of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whether it becomes true; else it ends to be.
    pub is_new: bool,
    /// The sentence.
    pub sentence: String,
}

/// Everything that a policy says, a sentence each.
pub fn sentences(policy: &Policy, lang: Lang) -> Vec<String> {
    let mut all = vec![
        match policy.mode {
            Mode::Router => {
                lang.pick("The wall forwards between networks (router).", "ルーターとして動作します。")
            }
            Mode::Bridge => {
                lang.pick("The wall stands within one network (bridge).", "ブリッジとして動作します。")
            }
        }
        .to_owned(),
    ];
    all.extend(policy.zones.iter().map(|zone| of_zone(zone, lang)));
    let list = |networks: &[IpNet]| hosts(networks);
    if !policy.spared.is_empty() {
        let who = list(&policy.spared);
        all.push(lang.pick(
            format!("Never refused, whatever they send: {who}."),
            format!("次の送信元は決して拒否しません: {who}"),
        ));
    }
    if !policy.reach.is_empty() {
        let who = list(&policy.reach);
        all.push(lang.pick(
            format!("Every host but those outside reaches: {who}."),
            format!("外部を除くすべての機器から届く相手: {who}"),
        ));
    }
    all.extend(policy.limits.iter().map(|limit| of_limit(limit, lang)));
    all.extend(policy.allow.iter().map(|rule| of_rule(policy, rule, lang)));
    let names: Vec<&str> = policy.zone_names().collect();
    for from in &names {
        for to in names.iter().chain([&SELF]) {
            all.push(of_default(from, to, policy.default_of(from, to), lang));
        }
    }
    all
}

/// What is said by one and not by the other, what ends first.
pub fn differences(before: Option<&Policy>, after: Option<&Policy>, lang: Lang) -> Vec<Difference> {
    let of = |policy: Option<&Policy>| policy.map(|policy| sentences(policy, lang)).unwrap_or_default();
    let (before, after) = (of(before), of(after));
    let known: BTreeSet<&String> = before.iter().collect();
    let kept: BTreeSet<&String> = after.iter().collect();
    let ended = before.iter().filter(|it| !kept.contains(it));
    let begun = after.iter().filter(|it| !known.contains(it));
    let difference = |is_new| move |sentence: &String| Difference { is_new, sentence: sentence.clone() };
    ended.map(difference(false)).chain(begun.map(difference(true))).collect()
}

/// Every rule of the policy that counts what it sees, by the name that it has in the packet filter.
pub fn rule_words(policy: &Policy, lang: Lang) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut add = |name: String, words: String| all.push((name, words));
    if !policy.spared.is_empty() {
        add(
            "spared".to_owned(),
            lang.pick("From the never-touch list.", "対象外リストからの通信").to_owned(),
        );
    }
    if !policy.reach.is_empty() {
        let words =
            lang.pick("To the vault, the console and named hosts.", "保管庫・コンソール・指定機器への通信");
        add("reach".to_owned(), words.to_owned());
    }
    for (number, limit) in (1..).zip(&policy.limits) {
        add(format!("limit:{number}"), of_limit(limit, lang));
    }
    for (number, rule) in (1..).zip(&policy.allow) {
        add(format!("allow:{number}"), of_rule(policy, rule, lang));
    }
    let names: Vec<&str> = policy.zone_names().collect();
    for (from, from_name) in names.iter().enumerate() {
        for (to, to_name) in names.iter().chain([&SELF]).enumerate() {
            let action = policy.default_of(from_name, to_name);
            add(format!("default:{from}>{to}"), of_default(from_name, to_name, action, lang));
        }
    }
    all
}

/// Why a connection passes or does not.
pub fn verdict_words(policy: &Policy, answer: &Answer, lang: Lang) -> String {
    let because = match answer.cause {
        Cause::Allow(number) => {
            let rule = policy.allow.get(number.saturating_sub(1));
            let words = rule.map(|rule| of_rule(policy, rule, lang)).unwrap_or_default();
            lang.pick(format!("rule {number}: {words}"), format!("規則 {number}: {words}"))
        }
        Cause::Default => of_default(&answer.from, &answer.to, answer.action, lang),
        Cause::Spared => {
            lang.pick("the sender is on the never-touch list", "送信元が対象外リストにあります").to_owned()
        }
        Cause::Reach => lang
            .pick(
                "the vault, the console and named hosts are reached by everybody inside",
                "保管庫・コンソール・指定機器へは内部のどこからでも届きます",
            )
            .to_owned(),
    };
    let limits = answer.limits.iter().filter_map(|number| policy.limits.get(number.saturating_sub(1)));
    limits.fold(because, |text, limit| format!("{text} {}", of_limit(limit, lang)))
}

/// A zone's name for people.
pub(super) fn zone_name(name: &str, lang: Lang) -> &str {
    match name {
        OUTSIDE => lang.pick("outside", "外部"),
        SELF => lang.pick("this machine", "この機器"),
        name => name,
    }
}

fn hosts(networks: &[IpNet]) -> String {
    networks.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn of_zone(zone: &Zone, lang: Lang) -> String {
    let mut parts = Vec::new();
    if !zone.networks.is_empty() {
        parts.push(hosts(&zone.networks));
    }
    if !zone.interfaces.is_empty() {
        let interfaces = zone.interfaces.join(", ");
        parts.push(lang.pick(format!("behind {interfaces}"), format!("インターフェース {interfaces}")));
    }
    if zone.egress == Egress::Listed {
        parts.push(lang.pick("outside only what is listed", "外部へは許可した相手のみ").to_owned());
    }
    if zone.quarantine {
        parts.push(lang.pick("quarantine", "隔離区画").to_owned());
    }
    let (name, parts) = (&zone.name, parts.join(lang.pick("; ", "、")));
    lang.pick(format!("Zone {name}: {parts}."), format!("ゾーン {name}: {parts}"))
}

fn of_limit(limit: &Limit, lang: Lang) -> String {
    let from: Vec<&str> = limit.from.iter().map(|name| zone_name(name, lang)).collect();
    let services = limit.services.join(", ");
    let (from, rate, burst) = (from.join(", "), limit.rate, limit.burst);
    lang.pick(
        format!("Each source of {from} begins at most {rate} connections to {services} (at once: {burst})."),
        format!("{from} の各送信元が {services} へ新しく接続できるのは {rate} まで(同時 {burst})です。"),
    )
}

/// One end of a rule: `emr`, `emr (192.0.2.7)`, `192.0.2.7`.
fn end(zones: &[String], own: &[IpNet], lang: Lang) -> String {
    let zones: Vec<&str> = zones.iter().map(|name| zone_name(name, lang)).collect();
    match (zones.is_empty(), own.is_empty()) {
        (true, _) => hosts(own),
        (false, true) => zones.join(", "),
        (false, false) => format!("{} ({})", zones.join(", "), hosts(own)),
    }
}

pub(super) fn of_rule(policy: &Policy, rule: &Allow, lang: Lang) -> String {
    let (from, to) = (end(&rule.from, &rule.from_hosts, lang), end(&rule.to, &rule.to_hosts, lang));
    let services: Vec<String> = rule
        .services
        .iter()
        .map(|name| policy.ports(name).map_or_else(|| name.clone(), |ports| format!("{name} ({ports})")))
        .collect();
    let what = match services.is_empty() {
        true => lang.pick("everything", "すべて").to_owned(),
        false => services.join(", "),
    };
    let when = rule.hours.as_ref().map(|hours| lang.pick(format!(", {hours}"), format!("、{hours}")));
    let because = match rule.because.is_empty() {
        true => String::new(),
        false => lang.pick(format!(" ({})", rule.because), format!("({})", rule.because)),
    };
    let when = when.unwrap_or_default();
    lang.pick(
        format!("Allowed: {from} → {to}: {what}{when}{because}."),
        format!("許可: {from} → {to}: {what}{when}{because}"),
    )
}

pub(super) fn of_default(from: &str, to: &str, action: Action, lang: Lang) -> String {
    let (from, to) = (zone_name(from, lang), zone_name(to, lang));
    let action = match action {
        Action::Allow => lang.pick("let through", "通します"),
        Action::Refuse => lang.pick("refused", "拒否します"),
        Action::Watch => lang.pick("let through and counted", "通して記録します"),
    };
    lang.pick(
        format!("All the rest {from} → {to} is {action}."),
        format!("その他の {from} → {to} は{action}。"),
    )
}
