//! Taking a finding in, and making room.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schema::{Entity, FindingClass, IncidentId, Severity, Subject, SubjectRole};

use super::case::{Case, Kind};
use super::join::{Bond, is_scan};
use super::pool::{STANDING, lead_in};
use super::{Correlator, Sighting, Update};

/// The most subjects of a finding that count.
const SUBJECTS_MAX: usize = 64;

impl Correlator {
    /// Gives the incident in which the finding is counted.
    pub(super) fn take(
        &mut self,
        sighting: &Sighting<'_>,
        now: Timestamp,
        out: &mut Vec<Update>,
    ) -> IncidentId {
        let id = self.place(sighting, now, out);
        self.make_room(out);
        id
    }

    fn place(&mut self, sighting: &Sighting<'_>, now: Timestamp, out: &mut Vec<Update>) -> IncidentId {
        let finding = sighting.finding;
        let subjects = self.subjects(sighting);
        if finding.class != FindingClass::Detection {
            let id = self.add_to(Kind::Weak(finding.detector.clone()), sighting, &subjects, now, out);
            self.pools.remember_spot(finding, &subjects);
            let named = subjects.iter().flat_map(|subject| self.index.of(&subject.entity));
            self.dirty.extend(named.chain([id]));
            return id;
        }
        self.index.learn(&subjects, self.settings.common_after);
        let is_scan = is_scan(finding, &subjects);
        let is_sign = finding.severity_id < Severity::Medium;
        let mut bonds = self.bonds(sighting, &subjects);
        if is_scan || is_sign {
            // Everybody is scanned all the time: only the same actor makes it part of an attack.
            bonds.retain(|_, (bond, _)| *bond == Bond::Shared);
        }
        match self.choose(&bonds, out) {
            Some(id) => {
                self.join(id, sighting, &subjects, now);
                id
            }
            None if is_scan || is_sign => {
                let kind = if is_scan { Kind::Scans } else { Kind::Signs(finding.detector.clone()) };
                let id = self.add_to(kind, sighting, &subjects, now, out);
                self.pools.remember(finding, &subjects, id, is_scan);
                id
            }
            None => {
                let id = self.open(Kind::Attack, finding.time, now, out);
                self.join(id, sighting, &subjects, now);
                id
            }
        }
    }

    /// The finding's subjects with the names of known addresses; a finding that names nobody is about its watcher.
    fn subjects(&self, sighting: &Sighting<'_>) -> Vec<Subject> {
        let mut subjects: Vec<Subject> =
            sighting.finding.subjects.iter().take(SUBJECTS_MAX).cloned().collect();
        let known = subjects.iter().filter_map(|subject| {
            let Entity::Address { address } = &subject.entity else { return None };
            let name = self.settings.hosts.get(address)?.clone();
            Some(Subject { role: subject.role, entity: Entity::Host { name } })
        });
        let known: Vec<_> = known.collect();
        subjects.extend(known);
        if subjects.is_empty() {
            let name = format!("({})", sighting.watcher);
            subjects.push(Subject { role: SubjectRole::Target, entity: Entity::Host { name } });
        }
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }

    fn join(&mut self, id: IncidentId, sighting: &Sighting<'_>, subjects: &[Subject], now: Timestamp) {
        let Some(case) = self.cases.get_mut(&id) else { return };
        case.absorb(sighting, subjects, &self.settings, now);
        for subject in subjects {
            if case.parts.contains_key(&subject.entity) {
                self.index.add(&subject.entity, id);
            }
            if subject.role == SubjectRole::Actor
                && let Some(before) = self.pools.take_before(&subject.entity)
            {
                lead_in(case, before, &subject.entity);
            }
        }
        self.dirty.insert(id);
    }

    fn add_to(
        &mut self,
        mut kind: Kind,
        sighting: &Sighting<'_>,
        subjects: &[Subject],
        now: Timestamp,
        out: &mut Vec<Update>,
    ) -> IncidentId {
        let at = sighting.finding.time;
        let id = match self.pools.standing(&mut kind) {
            Some(id) => id,
            None => self.open(kind, at, now, out),
        };
        if let Some(case) = self.cases.get_mut(&id) {
            case.absorb(sighting, subjects, &self.settings, now);
        }
        self.dirty.insert(id);
        id
    }

    fn open(&mut self, kind: Kind, at: Timestamp, now: Timestamp, out: &mut Vec<Update>) -> IncidentId {
        // One that collects stays where it is: pushed out, it would be opened anew by the next sign, and push out another.
        let attacks = |case: &Case| case.kind == Kind::Attack;
        if kind == Kind::Attack {
            while self.cases.values().filter(|case| attacks(case)).count() >= self.settings.open_max.max(1)
                && self.push_out(attacks, out)
            {}
        }
        let id = self.next;
        self.next = IncidentId(id.0.saturating_add(1));
        self.pools.open(&kind, id);
        self.cases.insert(id, Case::new(id, kind, at, now));
        self.opened.insert(id);
        id
    }

    pub(super) fn merge(&mut self, into: IncidentId, from: IncidentId, out: &mut Vec<Update>) {
        let Some(case) = self.remove(from) else { return };
        let Some(stays) = self.cases.get_mut(&into) else { return };
        self.merged.insert(from, into);
        stays.merge(case, &self.settings);
        stays.parts.keys().for_each(|entity| self.index.add(entity, into));
        self.dirty.insert(into);
        self.dirty.remove(&from);
        // One that nobody was told of needs no farewell.
        if !self.opened.remove(&from) {
            out.push(Update::Merged { into, from });
        }
    }

    pub(super) fn remove(&mut self, id: IncidentId) -> Option<Case> {
        let case = self.cases.remove(&id)?;
        case.parts.keys().for_each(|entity| self.index.take_out(entity, id));
        self.pools.close(id);
        Some(case)
    }

    /// Hands out the incidents into which nothing came for a window, by the hub's clock and by their own.
    pub(super) fn forget_idle(&mut self, now: Timestamp, out: &mut Vec<Update>) {
        let is_idle = |case: &Case| {
            let keep = if case.kind == Kind::Attack { self.settings.window() } else { STANDING };
            now.duration_since(case.touched) > keep && now.duration_since(case.incident.last_at) > keep
        };
        let idle: Vec<_> =
            self.cases.values().filter(|case| is_idle(case)).map(|case| case.incident.id).collect();
        idle.into_iter().for_each(|id| self.leave(id, out));
        self.pools.sweep(now);
    }

    fn make_room(&mut self, out: &mut Vec<Update>) {
        let subjects =
            |cases: &BTreeMap<IncidentId, Case>| cases.values().map(|case| case.parts.len()).sum::<usize>();
        while subjects(&self.cases) > self.settings.subjects_max
            && self.cases.len() > 1
            && self.push_out(|_| true, out)
        {}
    }

    /// Hands out the least severe `of` the incidents, of equals the one that was idle longest: a flood of small ones does not push
    /// out the one that matters. `false` when there is none.
    fn push_out(&mut self, of: impl Fn(&Case) -> bool, out: &mut Vec<Update>) -> bool {
        let cases = self.cases.values().filter(|case| of(case));
        let least = cases.min_by_key(|case| (case.severity(), case.touched, case.incident.id));
        let Some(id) = least.map(|case| case.incident.id) else { return false };
        self.leave(id, out);
        true
    }

    fn leave(&mut self, id: IncidentId, out: &mut Vec<Update>) {
        self.retell(id);
        self.dirty.remove(&id);
        self.opened.remove(&id);
        if let Some(case) = self.remove(id) {
            out.push(Update::Left(Box::new(case.incident)));
        }
    }

    pub(super) fn tell(&mut self, out: &mut Vec<Update>) {
        for id in std::mem::take(&mut self.dirty) {
            self.retell(id);
            if self.cases.contains_key(&id) {
                let is_new = self.opened.contains(&id);
                out.push(if is_new { Update::Opened(id) } else { Update::Grown(id) });
            }
        }
        self.opened.clear();
    }

    /// Puts together what is told from what is remembered.
    fn retell(&mut self, id: IncidentId) {
        let Some(case) = self.cases.get_mut(&id) else { return };
        let (title, title_ja) = super::words::title(case);
        (case.incident.title, case.incident.title_ja) = (title, title_ja);
        case.incident.severity_id = case.severity();
        case.incident.subjects = case.subjects();
        (case.incident.story, case.incident.samples) = case.story(self.pools.spots(case));
        case.incident.unknowns = super::unknowns::of(case, &self.settings);
    }
}
