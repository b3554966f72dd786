//! The countermeasures that matter now, in memory, so that planning asks the database once an incident and not once a batch.

use std::collections::HashMap;

use prove::State;
use prove::state::CountermeasureFilter;
use schema::{
    Act, ActKind, Countermeasure, CountermeasureId, CountermeasureState, Entity, Finding, IncidentId,
};

/// Countermeasures of one incident that are looked at before another one is planned.
const EXISTING_MAX: u32 = 1_000;
/// Incidents whose countermeasures are kept in memory.
const INCIDENTS_MAX: usize = 1_024;
/// Countermeasures in force that are taken up again after a restart.
const IN_FORCE_MAX: u32 = 100_000;

/// What is known of countermeasures without asking the database.
#[derive(Debug, Default)]
pub(super) struct Book {
    next: u64,
    /// All of an incident, once it was asked for.
    of: HashMap<IncidentId, Vec<Countermeasure>>,
    /// What was approved or is in force and holds somebody or something, whatever incident it belongs to.
    holding: HashMap<Act, Countermeasure>,
}

impl Book {
    pub(super) fn open(state: &State) -> Result<Self, prove::Error> {
        let next = state.write(|tx| tx.next_countermeasure_id())?.0;
        let states = vec![CountermeasureState::Approved, CountermeasureState::Applied];
        let filter = CountermeasureFilter { incident: None, states };
        let mut book = Self { next, ..Self::default() };
        for measure in state.countermeasures(&filter, IN_FORCE_MAX, None)? {
            book.keep(&measure);
        }
        Ok(book)
    }

    /// A number that no other countermeasure has, also when the last ones could not be written down.
    pub(super) fn number(&mut self) -> CountermeasureId {
        self.next += 1;
        CountermeasureId(self.next - 1)
    }

    /// Those that stand in the way of planning the same again: all of the incident, and what holds those that the findings name.
    pub(super) fn existing<'f>(
        &mut self,
        state: &State,
        incident: IncidentId,
        findings: impl Iterator<Item = &'f Finding>,
    ) -> Vec<Countermeasure> {
        if !self.of.contains_key(&incident) {
            if self.of.len() >= INCIDENTS_MAX {
                self.of.clear();
            }
            let filter = CountermeasureFilter { incident: Some(incident), states: Vec::new() };
            let known = state.countermeasures(&filter, EXISTING_MAX, None).unwrap_or_default();
            self.of.insert(incident, known);
        }
        let mut existing = self.of.get(&incident).cloned().unwrap_or_default();
        let named =
            findings.flat_map(|finding| &finding.subjects).flat_map(|subject| acts_on(&subject.entity));
        for act in named.chain([Act::LockVault, Act::StartViewer]) {
            let holds = self.holding.get(&act).filter(|measure| measure.incident != Some(incident));
            existing.extend(holds.cloned());
        }
        existing
    }

    /// Takes note of a countermeasure as it stands now.
    pub(super) fn keep(&mut self, measure: &Countermeasure) {
        use CountermeasureState::{Applied, Approved};
        match measure.state {
            Approved | Applied if holds(measure.act.kind()) => {
                self.holding.insert(measure.act.clone(), measure.clone());
            }
            _ => {
                if self.holding.get(&measure.act).is_some_and(|known| known.id == measure.id) {
                    self.holding.remove(&measure.act);
                }
            }
        }
        let Some(of) = measure.incident.and_then(|id| self.of.get_mut(&id)) else { return };
        match of.iter_mut().find(|known| known.id == measure.id) {
            Some(known) => known.clone_from(measure),
            None => of.push(measure.clone()),
        }
    }

    /// What was approved or is in force and does the same.
    pub(super) fn in_force(&self, act: &Act) -> Option<&Countermeasure> {
        self.holding.get(act)
    }

    /// Forgets what it has of an incident; it is asked for again when it is needed.
    pub(super) fn forget(&mut self, incident: IncidentId) {
        self.of.remove(&incident);
    }
}

/// Whether an act goes on until it is taken back, other than a notice or a snapshot, which are done once and for all.
pub(super) fn holds(kind: ActKind) -> bool {
    !matches!(kind, ActKind::Notify | ActKind::SnapshotNow)
}

/// The acts that may be in force against somebody.
fn acts_on(entity: &Entity) -> Vec<Act> {
    match entity {
        Entity::Address { address } => {
            let address = address.to_canonical();
            vec![Act::BlockAddress { address }, Act::BlockEgress { address }, Act::IsolateHost { address }]
        }
        Entity::Process { pid, start_ticks } => vec![Act::Freeze { pid: *pid, start_ticks: *start_ticks }],
        Entity::Cgroup { path } => vec![Act::FreezeCgroup { path: path.clone() }],
        _ => Vec::new(),
    }
}
