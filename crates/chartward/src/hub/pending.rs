//! What is decided and not in the database yet. Usually that is nothing for longer than a moment; while the disk is full it waits here,
//! and the hub acts all the same.

use std::collections::{BTreeMap, VecDeque};

use jiff::SignedDuration;
use prove::state::{Asset, Writer};
use schema::{Countermeasure, CountermeasureId, Incident, IncidentId, Moment};

use super::clock::Clock;
use super::notices::Queued;

/// Of each sort, what waits for room on the disk at most; then the oldest is given up.
const WAITING_MAX: usize = 10_000;

/// Changes that go into the database together.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Incidents that left memory, as they stood.
    pub(super) incidents: BTreeMap<IncidentId, Incident>,
    pub(super) measures: BTreeMap<CountermeasureId, Countermeasure>,
    /// Notices with their channels.
    pub(super) notices: VecDeque<(String, Queued, Option<IncidentId>)>,
    pub(super) assets: BTreeMap<String, Asset>,
    pub(super) moments: VecDeque<(IncidentId, Moment)>,
    /// How the clocks stand, when that changed.
    pub(super) clock: Option<Clock>,
    /// By how much the times of notices that wait are to be moved.
    pub(super) notices_by: SignedDuration,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        let Pending { incidents, measures, notices, assets, moments, clock, notices_by } = self;
        incidents.is_empty()
            && measures.is_empty()
            && notices.is_empty()
            && assets.is_empty()
            && moments.is_empty()
            && clock.is_none()
            && notices_by.is_zero()
    }

    /// Gives the oldest up where too much waits.
    pub(super) fn bound(&mut self) {
        while self.incidents.len() > WAITING_MAX {
            self.incidents.pop_first();
        }
        while self.measures.len() > WAITING_MAX {
            self.measures.pop_first();
        }
        self.notices.drain(..self.notices.len().saturating_sub(WAITING_MAX));
        self.moments.drain(..self.moments.len().saturating_sub(WAITING_MAX));
    }

    /// Writes everything, with the incidents that grew. The database refuses what tells of an incident that it does not
    /// have, so that is left out: one such line must not keep all others from being written.
    pub(super) fn write(&self, tx: &Writer<'_>, grown: &[Incident]) -> rusqlite::Result<()> {
        for incident in self.incidents.values().chain(grown) {
            tx.put_incident(incident)?;
        }
        let is_known = |id: &IncidentId| -> rusqlite::Result<bool> {
            let mut known = tx.conn().prepare_cached("SELECT 1 FROM incidents WHERE id = ?1")?;
            known.exists([i64::try_from(id.0).unwrap_or(i64::MAX)])
        };
        for measure in self.measures.values() {
            match measure.incident {
                Some(id) if !is_known(&id)? => {
                    tx.put_countermeasure(&Countermeasure { incident: None, ..measure.clone() })?;
                }
                _ => tx.put_countermeasure(measure)?,
            }
        }
        for (channel, notice, incident) in &self.notices {
            tx.queue_notice(channel, *incident, notice, notice.at)?;
        }
        self.write_clock(tx)?;
        for asset in self.assets.values() {
            tx.put_asset(asset)?;
        }
        for (id, moment) in &self.moments {
            if is_known(id)? {
                tx.add_moment(*id, moment)?;
            }
        }
        Ok(())
    }
}
