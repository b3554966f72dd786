//! Who and what a line names.

use std::collections::BTreeSet;
use std::net::IpAddr;

use schema::{Entity, Subject, SubjectRole};
use serde_json::Value;

use super::text::{self, NAME_MAX};
use super::{STRING_MAX, SUBJECTS_MAX, Trust};

/// The subjects of an OCSF event, each once, sorted, the first [`SUBJECTS_MAX`] that it names.
pub(super) fn ocsf(value: &Value, trust: Trust) -> Vec<Subject> {
    let mut found = Found { set: BTreeSet::new(), trust };
    found.artifact(value);
    let array = |value: &'static str, from: &Value| -> Vec<Value> {
        from[value].as_array().into_iter().flatten().take(SUBJECTS_MAX).cloned().collect()
    };
    for resource in array("resources", value).iter().chain([&value["resource"]]) {
        found.resource(resource);
    }
    for evidence in &array("evidences", value) {
        found.artifact(evidence);
    }
    found.set.into_iter().collect()
}

/// The two ends of a Suricata alert.
pub(super) fn ends(actor: &Value, target: &Value) -> Vec<Subject> {
    let mut found = Found { set: BTreeSet::new(), trust: Trust::External };
    found.address(actor, SubjectRole::Actor);
    found.address(target, SubjectRole::Target);
    found.set.into_iter().collect()
}

/// The address there; an IPv4-mapped one as IPv4.
pub(super) fn address(value: &Value) -> Option<IpAddr> {
    Some(value.as_str()?.trim().parse::<IpAddr>().ok()?.to_canonical())
}

/// `domain\name` or `name` in lower case.
pub(super) fn account(user: &Value) -> Option<String> {
    let name = named(text::first(&[&user["name"], &user["email_addr"], &user["uid"]])?)?;
    let domain = user["domain"].as_str().and_then(named);
    let name = domain.map_or_else(|| name.clone(), |domain| format!("{domain}\\{name}"));
    Some(text::cut(&name, STRING_MAX))
}

/// A host's name in lower case without the dot at its end; none for an address or for what names this machine anywhere.
pub(super) fn host(value: &Value) -> Option<String> {
    let name = named(value.as_str()?.trim().trim_end_matches('.'))?;
    (name != "localhost" && !name.starts_with("localhost.") && name.parse::<IpAddr>().is_err())
        .then_some(name)
}

fn named(name: &str) -> Option<String> {
    let name = text::cut(&name.trim().to_lowercase(), NAME_MAX);
    (!name.is_empty() && name != "-" && name != "?" && name != "n/a").then_some(name)
}

struct Found {
    set: BTreeSet<Subject>,
    trust: Trust,
}

impl Found {
    fn add(&mut self, role: SubjectRole, entity: Entity) {
        if self.set.len() < SUBJECTS_MAX {
            self.set.insert(Subject { role, entity });
        }
    }

    /// An event, or one of its `evidences`.
    fn artifact(&mut self, value: &Value) {
        use SubjectRole::{Actor, Target};
        self.endpoint(&value["src_endpoint"], Actor);
        self.account(&value["actor"]["user"], Actor);
        self.process(&value["actor"]["process"], Actor);
        self.endpoint(&value["dst_endpoint"], Target);
        self.endpoint(&value["device"], Target);
        self.account(&value["user"], Target);
        self.process(&value["process"], Target);
    }

    /// An address that somebody only claimed (`"ip_trust": "claimed"`: it stood in what the other side wrote) is nobody's: no two
    /// findings are joined by it and nobody is blocked for it. It stays in the line's words.
    fn endpoint(&mut self, value: &Value, role: SubjectRole) {
        let is_claimed = value["ip_trust"] == "claimed";
        if !is_claimed {
            self.address(&value["ip"], role);
        }
        for name in [&value["hostname"], &value["name"]] {
            if !is_claimed {
                self.address(name, role);
            }
            if let Some(name) = host(name) {
                self.add(role, Entity::Host { name });
                break;
            }
        }
    }

    fn address(&mut self, value: &Value, role: SubjectRole) {
        if let Some(address) = address(value).filter(is_somebody) {
            self.add(role, Entity::Address { address });
        }
    }

    fn account(&mut self, value: &Value, role: SubjectRole) {
        if let Some(name) = account(value) {
            self.add(role, Entity::Account { name });
        }
    }

    fn process(&mut self, value: &Value, role: SubjectRole) {
        if self.trust == Trust::External {
            return;
        }
        let Some(pid) = value["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0)
        else {
            return;
        };
        let ticks = value["uid"].as_str().and_then(|uid| uid.strip_prefix(&format!("{pid}-")));
        let start_ticks = ticks.and_then(|ticks| ticks.parse().ok()).unwrap_or(0);
        self.add(role, Entity::Process { pid, start_ticks });
    }

    fn resource(&mut self, value: &Value) {
        let acts = value["role_id"] == 2 || value["role"] == "Actor";
        let role = if acts { SubjectRole::Actor } else { SubjectRole::Target };
        let kind = value["type"].as_str().unwrap_or_default().to_lowercase();
        let name = || {
            value["name"]
                .as_str()
                .map(|name| text::cut(name.trim(), STRING_MAX))
                .filter(|name| !name.is_empty())
        };
        match kind.as_str() {
            "store" | "share" | "file share" | "folder" => {
                if let Some(name) = name() {
                    let name = if name.starts_with("\\\\") { name.replace('\\', "/") } else { name };
                    self.add(role, Entity::Store { name });
                }
            }
            "cgroup" if self.trust == Trust::Own => {
                if let Some(path) = name() {
                    self.add(role, Entity::Cgroup { path });
                }
            }
            "host" | "server" | "device" | "computer" | "virtual machine" => self.endpoint(value, role),
            _ => {
                self.address(&value["ip"], role);
                if let Some(name) = host(&value["hostname"]) {
                    self.add(role, Entity::Host { name });
                }
            }
        }
    }
}

/// Loopback, unspecified, multicast and broadcast addresses stand for nobody in particular.
fn is_somebody(address: &IpAddr) -> bool {
    let nobody = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !nobody
}
