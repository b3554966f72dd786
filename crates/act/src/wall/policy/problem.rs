//! What is wrong with a policy, before anything is made of it.

use std::collections::BTreeSet;

use schema::Lang;

use super::service::well_known_names;
use super::{Action, Egress, Mode, OUTSIDE, Policy, SELF, Zone};

/// Pairs grow with the square.
const ZONES_MAX: usize = 40;
/// `IFNAMSIZ` without its end.
const INTERFACE_MAX: usize = 15;

/// Something about a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the policy cannot be used with it; else it is only hardly meant.
    pub is_error: bool,
    /// Where: `wall.allow[2].to`.
    pub place: String,
    en: String,
    ja: String,
}

impl Problem {
    /// What it is.
    pub fn words(&self, lang: Lang) -> &str {
        lang.pick(&self.en, &self.ja)
    }
}

struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, is_error: bool, place: String, en: String, ja: String) {
        self.0.push(Problem { is_error, place, en, ja });
    }

    fn error(&mut self, place: String, en: impl Into<String>, ja: impl Into<String>) {
        self.add(true, place, en.into(), ja.into());
    }

    fn warning(&mut self, place: String, en: impl Into<String>, ja: impl Into<String>) {
        self.add(false, place, en.into(), ja.into());
    }
}

impl Policy {
    /// Everything that is wrong, in the order of the policy.
    pub fn check(&self) -> Vec<Problem> {
        let mut found = Found(Vec::new());
        self.check_zones(&mut found);
        for (at, service) in self.services.iter().enumerate() {
            if service.ports.is_empty() {
                let (en, ja) = ("the service has no port", "ポートがありません");
                found.error(format!("wall.service[{at}]"), en, ja);
            }
        }
        self.check_rules(&mut found);
        for (at, pair) in self.pairs.iter().enumerate() {
            self.known_zone(&pair.from, false, format!("wall.pair[{at}].from"), &mut found);
            self.known_zone(&pair.to, true, format!("wall.pair[{at}].to"), &mut found);
            if pair.from == OUTSIDE && pair.action == Action::Allow {
                found.warning(
                    format!("wall.pair[{at}]"),
                    "everybody outside is let in",
                    "外部からの接続がすべて許可されます",
                );
            }
        }
        for (at, limit) in self.limits.iter().enumerate() {
            for zone in &limit.from {
                self.known_zone(zone, false, format!("wall.limit[{at}].from"), &mut found);
            }
            self.known_services(&limit.services, format!("wall.limit[{at}].services"), &mut found);
            if limit.services.is_empty() || limit.from.is_empty() {
                let (en, ja) = ("a limit needs zones and services", "ゾーンとサービスが必要です");
                found.error(format!("wall.limit[{at}]"), en, ja);
            }
        }
        found.0
    }

    fn check_zones(&self, found: &mut Found) {
        if self.zones.len() > ZONES_MAX {
            let (en, ja) = (format!("at most {ZONES_MAX} zones"), format!("ゾーンは {ZONES_MAX} 個までです"));
            found.error("wall.zone".to_owned(), en, ja);
        }
        let mut names = BTreeSet::new();
        for (at, zone) in self.zones.iter().enumerate() {
            let place = || format!("wall.zone[{at}]");
            let name = &zone.name;
            if [OUTSIDE, SELF].contains(&name.as_str()) {
                found.error(
                    place(),
                    format!("{name} is there already"),
                    format!("{name} は予約された名前です"),
                );
            }
            if !names.insert(name) {
                found.error(
                    place(),
                    format!("the name {name} is taken"),
                    format!("名前 {name} が重複しています"),
                );
            }
            if zone.networks.is_empty() && zone.interfaces.is_empty() {
                let (en, ja) = ("name networks or interfaces", "networks か interfaces を書いてください");
                found.error(place(), en, ja);
            }
            if self.mode == Mode::Bridge && !zone.interfaces.is_empty() {
                found.error(
                    place(),
                    "a bridge tells zones apart by their networks alone",
                    "ブリッジではゾーンを networks だけで区別します",
                );
            }
            for interface in zone.interfaces.iter().filter(|name| !is_interface(name)) {
                found.error(
                    place(),
                    format!("{interface:?} is no name of an interface"),
                    format!("{interface:?} はインターフェース名ではありません"),
                );
            }
            self.check_hidden(at, zone, found);
        }
    }

    fn check_hidden(&self, at: usize, zone: &Zone, found: &mut Found) {
        let earlier = self.zones.iter().take(at).filter(|other| other.interfaces.is_empty());
        for other in earlier {
            let hides = |network: &ipnet::IpNet| other.networks.iter().any(|wider| wider.contains(network));
            for network in zone.networks.iter().filter(|network| hides(network)) {
                found.warning(
                    format!("wall.zone[{at}].networks"),
                    format!("{network} belongs to the zone {} above", other.name),
                    format!("{network} は上のゾーン {} に含まれます", other.name),
                );
            }
        }
    }

    fn check_rules(&self, found: &mut Found) {
        for (at, rule) in self.allow.iter().enumerate() {
            let place = |field: &str| format!("wall.allow[{at}].{field}");
            let ends = [("from", &rule.from, &rule.from_hosts), ("to", &rule.to, &rule.to_hosts)];
            for (field, zones, hosts) in ends {
                if zones.is_empty() && hosts.is_empty() {
                    let (en, ja) = ("name a zone or hosts", "ゾーンか機器を書いてください");
                    found.error(place(field), en, ja);
                }
                for zone in zones {
                    self.known_zone(zone, field == "to", place(field), found);
                    if self.zones.iter().any(|known| known.name == *zone && known.quarantine) {
                        found.warning(
                            place(field),
                            format!("{zone} is a quarantine: no rule lets anything into it or out of it"),
                            format!("{zone} は隔離区画のため、この規則は効きません"),
                        );
                    }
                }
            }
            self.known_services(&rule.services, place("services"), found);
            let is_listed = |zone: &&Zone| zone.egress == Egress::Listed && rule.from.contains(&zone.name);
            let goes_out = rule.to_hosts.is_empty() && rule.to.iter().any(|zone| zone == OUTSIDE);
            if let Some(zone) = self.zones.iter().find(is_listed).filter(|_| goes_out) {
                found.error(
                    place("to_hosts"),
                    format!("egress of {} is \"listed\": name the hosts outside", zone.name),
                    format!("{} の egress は listed です。外部の相手を to_hosts に書いてください", zone.name),
                );
            }
        }
    }

    fn known_zone(&self, name: &str, may_be_self: bool, place: String, found: &mut Found) {
        if name == OUTSIDE || (name == SELF && may_be_self) || self.zones.iter().any(|zone| zone.name == name)
        {
            return;
        }
        let names: Vec<&str> = self.zone_names().chain(may_be_self.then_some(SELF)).collect();
        let names = names.join(", ");
        let (en, ja) = (
            format!("there is no zone {name}; there are {names}"),
            format!("ゾーン {name} がありません。{names} があります"),
        );
        found.error(place, en, ja);
    }

    fn known_services(&self, names: &[String], place: String, found: &mut Found) {
        for name in names.iter().filter(|name| self.ports(name).is_none()) {
            let own = self.services.iter().map(|service| service.name.as_str());
            let known: Vec<&str> = own.chain(well_known_names().map(|name| -> &str { name })).collect();
            let known = known.join(", ");
            found.error(
                place.clone(),
                format!("there is no service {name}; add [[wall.service]], or write one of {known}"),
                format!(
                    "サービス {name} がありません。[[wall.service]] に書き足すか、{known} から選んでください"
                ),
            );
        }
    }
}

fn is_interface(name: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | '@');
    !name.is_empty() && name.len() <= INTERFACE_MAX && name.chars().all(fits)
}
