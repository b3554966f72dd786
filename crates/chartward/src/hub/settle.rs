//! Writing down, then doing, then telling: the order that everything the hub decides goes through.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prove::Fact;
use schema::{Countermeasure, Incident, IncidentId, Moment, Stage};

use super::core::Core;
use super::handle::Live;
use super::scribe::Kept;

/// How often what only grew is written down. What is new, or leads to an act, is written at once.
const WRITE_EVERY: Duration = Duration::from_millis(250);
/// Incidents that only grew are written so many at a time: an act never waits for hundreds of them.
const GROWN_TOGETHER: usize = 32;
/// How soon the next of them follow.
const NEXT_AFTER: Duration = Duration::from_millis(50);

/// What takes nothing at the moment, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Lake,
    State,
    Ledger,
}

impl Core {
    /// Writes what was decided in one transaction, hands over what is to be done, and tells whoever looks; the disk and the ledger are the
    /// scribe's.
    ///
    /// A full disk must not keep the wall from going up: what cannot be written now waits, is said, and is acted on. Gives
    /// whether all is written.
    pub(super) fn settle(&mut self) -> bool {
        self.written = Instant::now();
        self.settle_with(self.dirty.clone())
    }

    /// Settles what was decided with the incidents that it belongs to. Those that only grew wait for [`Core::settle_if_due`]: in a
    /// flood, writing each of them with every act would be most of what is written.
    pub(super) fn settle_acts(&mut self) -> bool {
        self.settle_with(self.named())
    }

    /// The incidents that grew and that acts or sentences belong to which wait to be written.
    fn named(&self) -> BTreeSet<IncidentId> {
        let named = self.pending.measures.values().filter_map(|measure| measure.incident);
        let named = named.chain(self.pending.moments.iter().map(|(id, _)| *id));
        named.filter(|id| self.dirty.contains(id)).collect()
    }

    /// Settles what was decided, and the next of those that only grew, round and round.
    fn settle_grown(&mut self) -> bool {
        self.written = Instant::now();
        let after = self.written_to.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut ids: BTreeSet<IncidentId> =
            self.dirty.range((after, Bound::Unbounded)).take(GROWN_TOGETHER).copied().collect();
        // Past the last one, the round begins anew with the next turn.
        self.written_to = ids.last().copied().filter(|_| ids.len() == GROWN_TOGETHER);
        ids.append(&mut self.named());
        self.settle_with(ids)
    }

    /// Whether it is time to write what only grew.
    pub(super) fn is_write_due(&self) -> bool {
        self.written.elapsed() >= if self.written_to.is_some() { NEXT_AFTER } else { WRITE_EVERY }
    }

    fn settle_with(&mut self, ids: BTreeSet<IncidentId>) -> bool {
        let grown: Vec<Incident> =
            ids.iter().filter_map(|id| self.correlator.incident(*id)).cloned().collect();
        let has_news = !grown.is_empty() || !self.pending.is_empty();
        let written = match has_news {
            true => self.state.write_soon(|tx| self.pending.write(tx, &grown)),
            false => Ok(()),
        };
        let is_written = written.is_ok();
        self.to_keep.state |= has_news && is_written;
        if let Err(error) = written {
            self.note_trouble(Part::State, Err(error));
        }
        for order in std::mem::take(&mut self.ready) {
            // After a start everything that was approved is taken up together.
            if self.replay.is_none() {
                let _ = self.orders.send(order);
            }
        }
        self.announce(&grown);
        if is_written {
            self.dirty.retain(|id| !ids.contains(id));
            self.pending = super::pending::Pending::default();
        } else {
            self.pending.bound();
        }
        self.keep();
        is_written
    }

    /// Settles everything and waits until it is on the disk; whether it is.
    pub(super) fn settle_durably(&mut self) -> bool {
        let is_written = self.settle();
        self.wait();
        is_written && !self.trouble.contains_key(&Part::State)
    }

    /// Hands over to the scribe what was written and what the ledger is to tell.
    pub(super) fn keep(&mut self) {
        self.to_keep.facts.append(&mut self.facts);
        self.scribe.keep(std::mem::take(&mut self.to_keep));
    }

    /// Waits until everything that was handed over is on the disk, or could not be.
    pub(super) fn wait(&mut self) {
        self.scribe.wait();
        while let Ok(kept) = self.scribe.kept.try_recv() {
            self.kept(kept);
        }
    }

    /// Takes note of what became durable. What the journal lost is written again.
    pub(super) fn kept(&mut self, kept: Kept) {
        match kept.lake {
            Some(Ok(position)) => {
                while self.unsynced.front().is_some_and(|(written, _)| written.position() <= position) {
                    self.unsynced.pop_front();
                }
                self.note_trouble(Part::Lake, Ok(()));
            }
            Some(Err((failed, error))) => {
                while self.unsynced.front().is_some_and(|(written, _)| written.is_lost_with(failed)) {
                    self.unjournaled
                        .extend(self.unsynced.pop_front().into_iter().flat_map(|(_, events)| events));
                }
                self.note_trouble(Part::Lake, Err(error));
            }
            None => {}
        }
        for (part, result) in [(Part::State, kept.state), (Part::Ledger, kept.ledger)] {
            if let Some(result) = result {
                self.note_trouble(part, result);
            }
        }
    }

    /// Settles what leads to an act or tells something new at once, and what only grew after a while.
    pub(super) fn settle_if_due(&mut self, is_due: bool) {
        let has_news = !self.pending.is_empty() || !self.ready.is_empty() || !self.facts.is_empty();
        // While the disk takes nothing, trying with every batch would only cost time.
        let is_urgent = has_news && (self.trouble.is_empty() || !self.ready.is_empty());
        if is_due && (has_news || !self.dirty.is_empty()) {
            self.settle_grown();
        } else if is_urgent {
            self.settle_acts();
        }
    }

    fn announce(&self, grown: &[Incident]) {
        for id in self.pending.measures.keys() {
            self.hub.tell(Live::Countermeasure { id: *id });
        }
        let told = self.pending.incidents.keys().chain(self.pending.moments.iter().map(|(id, _)| id));
        for id in told.copied().chain(grown.iter().map(|incident| incident.id)) {
            self.hub.tell(Live::Incident { id });
        }
    }

    /// Takes note of a countermeasure as it stands now, for the next [`Core::settle`].
    pub(super) fn note(&mut self, measure: &Countermeasure, moment: Option<Moment>) {
        self.book.keep(measure);
        self.pending.measures.insert(measure.id, measure.clone());
        self.pending.moments.extend(measure.incident.zip(moment));
        self.facts.push(Fact::CountermeasureChanged { countermeasure: measure.clone() });
    }

    /// The countermeasure with that number as it stands now, written down or not.
    pub(super) fn measure(
        &self,
        id: schema::CountermeasureId,
    ) -> Result<Option<Countermeasure>, prove::Error> {
        match self.pending.measures.get(&id) {
            Some(measure) => Ok(Some(measure.clone())),
            None => self.state.countermeasure(id),
        }
    }

    /// A sentence of a person or the hub for an incident's timeline.
    pub(super) fn moment(&mut self, id: IncidentId, stage: Stage, en: String, ja: String) {
        self.pending.moments.push_back((id, Moment { at: Timestamp::now(), stage, en, ja }));
    }

    /// Shows at once that a part takes nothing, and at once that it does again.
    pub(super) fn note_trouble(&mut self, part: Part, result: Result<(), prove::Error>) {
        let was = self.trouble.clone();
        match result {
            Ok(()) => self.trouble.remove(&part),
            Err(error) => self.trouble.insert(part, format!("{:#}", anyhow::Error::from(error))),
        };
        if self.trouble != was {
            let words: Vec<&str> = self.trouble.values().map(String::as_str).collect();
            let words = (!words.is_empty()).then(|| words.join("; "));
            self.hub.show(|shown| shown.trouble = words, Live::Promise);
        }
    }
}
