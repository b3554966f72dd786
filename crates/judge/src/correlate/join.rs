//! Which incident a finding belongs to.

use std::collections::{BTreeMap, BTreeSet};

use schema::{Entity, Finding, IncidentId, IncidentStatus, Subject, SubjectRole};
use serde::{Deserialize, Serialize};

use super::case::deeds;
use super::seen::fnv;
use super::store::pairs;
use super::{Correlator, Sighting};

/// The newest so many incidents of a subject are looked at.
const LOOKED_AT: usize = 64;
const NOTED_MAX: usize = 4096;

/// How a finding hangs together with an incident, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bond {
    /// Something else was done to the same victim, or the victim acts now.
    Tactic,
    /// The same was done to the same victim, or by a subject that is common.
    Deed,
    /// The same acts, or the same store is harmed.
    Shared,
}

/// Where subjects stand, and what tells common ones from others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    /// The incidents of attacks that name it. Derived from them.
    #[serde(skip)]
    by: BTreeMap<Entity, BTreeSet<IncidentId>>,
    /// Hashes of the accounts that act from an address or a host, up to one more than it takes to be common.
    #[serde(with = "pairs")]
    accounts: BTreeMap<Entity, BTreeSet<u64>>,
    /// How often it made two incidents into one.
    #[serde(with = "pairs")]
    merges: BTreeMap<Entity, usize>,
}

impl Index {
    pub(super) fn add(&mut self, entity: &Entity, id: IncidentId) {
        match self.by.get_mut(entity) {
            Some(ids) => {
                ids.insert(id);
            }
            None => {
                self.by.insert(entity.clone(), BTreeSet::from([id]));
            }
        }
    }

    pub(super) fn take_out(&mut self, entity: &Entity, id: IncidentId) {
        if let Some(ids) = self.by.get_mut(entity) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by.remove(entity);
            }
        }
    }

    pub(super) fn of(&self, entity: &Entity) -> impl Iterator<Item = IncidentId> {
        self.by.get(entity).into_iter().flat_map(|ids| ids.iter().rev()).copied().take(LOOKED_AT)
    }

    /// Learns which accounts act from which machines.
    pub(super) fn learn(&mut self, subjects: &[Subject], common_after: usize) {
        let actors = || subjects.iter().filter(|subject| subject.role == SubjectRole::Actor);
        let names = actors().filter_map(|subject| match &subject.entity {
            Entity::Account { name } => Some(fnv(&[name])),
            _ => None,
        });
        let names: Vec<u64> = names.collect();
        if names.is_empty() {
            return;
        }
        for subject in actors() {
            if matches!(subject.entity, Entity::Address { .. } | Entity::Host { .. }) {
                make_room(&mut self.accounts, |accounts| accounts.len());
                let accounts = self.accounts.entry(subject.entity.clone()).or_default();
                let room = (common_after + 1).saturating_sub(accounts.len());
                accounts.extend(names.iter().take(room));
            }
        }
    }

    fn merged_by(&mut self, entity: &Entity) {
        make_room(&mut self.merges, |merges| *merges);
        *self.merges.entry(entity.clone()).or_default() += 1;
    }
}

/// Forgets what was seen once when the map is full, and everything when that is not enough.
fn make_room<V>(map: &mut BTreeMap<Entity, V>, weight: impl Fn(&V) -> usize) {
    if map.len() >= NOTED_MAX {
        map.retain(|_, value| weight(value) > 1);
    }
    if map.len() >= NOTED_MAX {
        map.clear();
    }
}

impl Correlator {
    /// Whether it says nothing that two findings name this.
    fn is_common(&self, entity: &Entity) -> bool {
        let after = self.settings.common_after;
        self.settings.common.contains(entity)
            || self.index.by.get(entity).is_some_and(|ids| ids.len() > after)
            || self.index.accounts.get(entity).is_some_and(|accounts| accounts.len() > after)
            || self.index.merges.get(entity).is_some_and(|merges| *merges >= after)
    }

    /// The incidents that this finding could belong to, each with its strongest bond and the subject that makes it.
    pub(super) fn bonds<'a>(
        &self,
        sighting: &Sighting<'_>,
        subjects: &'a [Subject],
    ) -> BTreeMap<IncidentId, (Bond, &'a Entity)> {
        let deeds = deeds(sighting.finding);
        let is_actor = |subject: &Subject| subject.role == SubjectRole::Actor;
        let names_somebody =
            subjects.iter().any(|subject| is_actor(subject) && !self.is_common(&subject.entity));
        let mut bonds = BTreeMap::<IncidentId, (Bond, &Entity)>::new();
        for subject in subjects {
            let common = self.is_common(&subject.entity);
            if common && is_actor(subject) && names_somebody {
                // Who stands behind a gateway says where it belongs; what else came through there does not.
                continue;
            }
            for id in self.index.of(&subject.entity) {
                let Some(bond) = self.bond(sighting, subject, common, &deeds, id) else { continue };
                let best = bonds.entry(id).or_insert((bond, &subject.entity));
                if bond > best.0 {
                    *best = (bond, &subject.entity);
                }
            }
        }
        bonds
    }

    fn bond(
        &self,
        sighting: &Sighting<'_>,
        subject: &Subject,
        common: bool,
        deeds: &BTreeSet<u64>,
        id: IncidentId,
    ) -> Option<Bond> {
        let (case, finding) = (self.cases.get(&id)?, sighting.finding);
        let part = case.parts.get(&subject.entity)?;
        let incident = &case.incident;
        let was_cleared = incident.status == IncidentStatus::FalseAlarm;
        let fits = part.is_near(finding.time, &self.settings)
            && (!was_cleared || incident.detectors.contains_key(&finding.detector))
            && (!is_local(&subject.entity) || incident.watchers.contains_key(sighting.watcher));
        if !fits {
            return None;
        }
        let same_deed = part.shares_deed(deeds);
        if common {
            return same_deed.then_some(Bond::Deed);
        }
        let acts_again = subject.role == SubjectRole::Actor && part.actor > 0;
        if acts_again || matches!(subject.entity, Entity::Store { .. }) {
            return Some(Bond::Shared);
        }
        let is_new = finding.attacks.iter().any(|attack| !case.tactics.contains_key(&attack.tactic));
        match subject.role {
            SubjectRole::Target if same_deed => Some(Bond::Deed),
            _ => is_new.then_some(Bond::Tactic),
        }
    }

    /// The incident to join, after those that the finding shows to be one have become one.
    pub(super) fn choose(
        &mut self,
        bonds: &BTreeMap<IncidentId, (Bond, &Entity)>,
        out: &mut Vec<super::Update>,
    ) -> Option<IncidentId> {
        let mut shared = bonds.iter().filter(|(_, (bond, _))| *bond == Bond::Shared);
        let Some((into, _)) = shared.next() else {
            // The strongest; of equals the first that was opened.
            return bonds
                .iter()
                .max_by_key(|(id, (bond, _))| (*bond, std::cmp::Reverse(**id)))
                .map(|(id, _)| *id);
        };
        for (from, (_, entity)) in shared {
            let cleared =
                |id| self.incident(id).is_none_or(|incident| incident.status == IncidentStatus::FalseAlarm);
            if !cleared(*into) && !cleared(*from) {
                self.index.merged_by(entity);
                self.merge(*into, *from, out);
            }
        }
        Some(*into)
    }
}

/// Whether the name means something on the watcher's machine only.
fn is_local(entity: &Entity) -> bool {
    match entity {
        Entity::Process { .. } | Entity::Cgroup { .. } => true,
        Entity::Store { name } => !name.starts_with("//"),
        Entity::Host { .. } | Entity::Address { .. } | Entity::Account { .. } => false,
    }
}

/// Whether the finding tells of looking around from outside and of nothing else.
pub(super) fn is_scan(finding: &Finding, subjects: &[Subject]) -> bool {
    use schema::Tactic::{Reconnaissance, ResourceDevelopment};
    let mut actors = subjects.iter().filter(|subject| subject.role == SubjectRole::Actor).peekable();
    !finding.attacks.is_empty()
        && finding.attacks.iter().all(|attack| matches!(attack.tactic, Reconnaissance | ResourceDevelopment))
        && actors.peek().is_some()
        && actors.all(|subject| matches!(&subject.entity, Entity::Address { address } if is_public(*address)))
}

/// Whether an address belongs to somebody outside.
pub(super) fn is_public(address: std::net::IpAddr) -> bool {
    match address.to_canonical() {
        std::net::IpAddr::V4(v4) => {
            !(v4.is_private() || v4.is_link_local() || v4.is_loopback() || v4.is_unspecified())
        }
        std::net::IpAddr::V6(v6) => {
            !(v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback() || v6.is_unspecified())
        }
    }
}
