//! After a start: judging again what the journal holds beyond the last checkpoint, and taking up what was not finished.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use judge::correlate::Update;
use prove::State;
use prove::state::CountermeasureFilter;
use schema::{ActKind, Countermeasure, CountermeasureState, Event, IncidentId, IncidentStatus, WatcherClass};

use super::core::Core;
use super::hands::Order;
use super::intake;

/// Events of the journal that are judged again at once.
const TOGETHER_MAX: usize = 4_096;
/// Countermeasures in force that are taken up again after a restart.
const IN_FORCE_MAX: u32 = 100_000;

/// What the database has of incidents while the journal is read again.
#[derive(Debug, Default)]
pub(super) struct Replay {
    stored: HashMap<IncidentId, Option<(u64, IncidentStatus)>>,
}

/// A number that no incident of the database has.
pub(super) fn next_incident(state: &State) -> Result<IncidentId, prove::Error> {
    state.read(|db| {
        let sql = "SELECT coalesce(max(id), 0) + 1 FROM incidents";
        db.query_row(sql, [], |row| row.get::<_, i64>(0)).map(|id| IncidentId(id.unsigned_abs()))
    })
}

impl Core {
    /// Judges again, batch by batch as they came: the same lines give the same incidents with the same numbers, and what they call
    /// for and is not planned yet is planned now.
    pub(super) fn catch_up(&mut self, changed: Vec<Update>) -> anyhow::Result<()> {
        self.replay = Some(Replay::default());
        let known: Vec<IncidentId> = self.correlator.incidents().map(|incident| incident.id).collect();
        self.mark_again(&known);
        let lake = Arc::clone(&self.lake);
        let mut batch: (Option<Timestamp>, Vec<Event>) = (None, Vec::new());
        let replayed = lake.replay(self.watermark, |_, arrived, event| {
            if batch.0 != Some(arrived) || batch.1.len() >= TOGETHER_MAX {
                self.judge_again(batch.0.unwrap_or(arrived), &std::mem::take(&mut batch.1));
                batch.0 = Some(arrived);
            }
            batch.1.push(event);
            Ok(())
        })?;
        self.judge_again(batch.0.unwrap_or_default(), &batch.1);
        self.watermark = replayed.last;
        for update in changed {
            if let Update::Grown(id) = update {
                self.dirty.insert(id);
            }
        }
        self.settle();
        self.correlator.number_from(next_incident(&self.state)?);
        self.replay = None;
        Ok(())
    }

    fn judge_again(&mut self, arrived: Timestamp, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let classes = self.rules.classes.clone();
        let class_of = |watcher: &str| classes.get(watcher).copied().unwrap_or(WatcherClass::External);
        intake::add(&mut self.daily, intake::daily(events));
        self.decide(&intake::again(events, arrived, class_of), arrived);
        let grown: Vec<IncidentId> = self.dirty.iter().copied().collect();
        self.mark_again(&grown);
    }

    /// What a person or a countermeasure said about where an incident stands is in the database and not in the journal: it
    /// holds from when the incident had as many findings as when it was said.
    fn mark_again(&mut self, ids: &[IncidentId]) {
        for id in ids {
            let Some((findings, status)) = self.stored(*id) else { continue };
            let differs = self
                .correlator
                .incident(*id)
                .is_some_and(|incident| incident.findings == findings && incident.status != status);
            if differs {
                self.correlator.mark(*id, status);
            }
        }
    }

    /// Whether the database has the incident with all its findings: then what they call for was planned, in the same
    /// transaction, and what a person said about that holds.
    pub(super) fn is_settled(&mut self, id: IncidentId) -> bool {
        let now = self.correlator.incident(id).map_or(0, |incident| incident.findings);
        self.replay.is_some() && self.stored(id).is_some_and(|(findings, _)| findings >= now)
    }

    fn stored(&mut self, id: IncidentId) -> Option<(u64, IncidentStatus)> {
        let state = &self.state;
        let replay = self.replay.as_mut()?;
        let look = || state.incident(id).ok().flatten().map(|incident| (incident.findings, incident.status));
        *replay.stored.entry(id).or_insert_with(look)
    }

    /// What was approved and not done when the hub died is done; what was in force and lives with the hub is put in force again.
    pub(super) fn take_up(&mut self) -> anyhow::Result<()> {
        let states = vec![CountermeasureState::Approved, CountermeasureState::Applied];
        let filter = CountermeasureFilter { incident: None, states };
        let mut measures = self.state.countermeasures(&filter, IN_FORCE_MAX, None)?;
        measures.sort_by_key(|measure| measure.id);
        let now = Timestamp::now();
        for measure in measures {
            let lives_with_the_hub = matches!(
                measure.act.kind(),
                ActKind::LockVault
                    | ActKind::StartViewer
                    | ActKind::BlockAddress
                    | ActKind::BlockEgress
                    | ActKind::IsolateHost
            );
            let is_new = measure.state == CountermeasureState::Approved;
            if is_new && measure.act.kind() == ActKind::Notify {
                // It stands in the outbox.
                continue;
            }
            if is_new && measure.deadline < now {
                let because = "its deadline passed while the hub was down".to_owned();
                let over = Countermeasure { state: CountermeasureState::Expired, detail: because, ..measure };
                self.note(&over, None);
            } else if is_new || lives_with_the_hub {
                self.ready.push(Order::Apply(measure));
            }
        }
        self.settle();
        Ok(())
    }
}
