//! A chart as files: which exist, with which flag.
//!
//! A changed record keeps its old file under flag 2 beside the new one; a deleted one has all its files, and the
//! message that deletes it, under flag 0 (SS-MIX2 1.2i).

use std::fmt;
use std::path::Path;

use anyhow::Context;
use jiff::civil::DateTime;

use super::adt::{self, Movement};
use super::chart::{Body, Care, Chart, Order, Stay};
use super::hl7::Sent;
use super::orders::{self, Word};
use super::store::{Flag, Key, NO_ORDER, Shelf, Written, typed_in};
use super::text::Message;

/// Writes every file of `chart` below `root`.
pub(super) fn write(
    root: &Path,
    chart: &Chart,
    now: DateTime,
    message: &mut Message,
) -> anyhow::Result<Written> {
    let mut files = Files { shelf: Shelf::new(root, chart), chart, now, message };
    files.demographics()?;
    files.allergies()?;
    files.problems()?;
    for visit in &chart.visits {
        files.movement(visit.care, &Movement::Visit { at: visit.at }, None)?;
    }
    for stay in &chart.stays {
        files.stay(stay)?;
    }
    for order in &chart.orders {
        files.order(order)?;
    }
    for note in &chart.notes {
        files.shelf.put_note(note)?;
    }
    Ok(files.shelf.written())
}

struct Files<'a> {
    shelf: Shelf<'a>,
    chart: &'a Chart,
    now: DateTime,
    message: &'a mut Message,
}

impl Files<'_> {
    /// One file: its message by `fill`, its name by the rest.
    fn file(
        &mut self,
        key: Key,
        at: DateTime,
        flag: Flag,
        fill: impl FnOnce(&mut Message, Sent) -> fmt::Result,
    ) -> anyhow::Result<()> {
        let sent = self.shelf.next(at);
        fill(self.message, sent)
            .with_context(|| format!("a {} message has a character outside JIS X 0208", key.kind))?;
        self.shelf.put(key, sent, flag, self.message)
    }

    fn demographics(&mut self) -> anyhow::Result<()> {
        let chart = self.chart;
        let key = Key { date: None, kind: "ADT-00", number: NO_ORDER, care: None };
        let person = &chart.person;
        if let Some((address, until)) = &person.former {
            self.file(key, chart.registered, Flag::History, |message, sent| {
                adt::demographics(message, sent, chart, address)
            })?;
            return self.file(key, *until, Flag::Current, |message, sent| {
                adt::demographics(message, sent, chart, &person.address)
            });
        }
        self.file(key, chart.registered, Flag::Current, |message, sent| {
            adt::demographics(message, sent, chart, &person.address)
        })
    }

    fn allergies(&mut self) -> anyhow::Result<()> {
        let known = &self.chart.allergies;
        let Some(newest) = known.iter().map(|allergy| allergy.recorded).max() else { return Ok(()) };
        let key = Key { date: None, kind: "ADT-61", number: NO_ORDER, care: None };
        let person = &self.chart.person;
        self.file(key, newest, Flag::Current, |message, sent| adt::allergies(message, sent, person, known))
    }

    /// The whole list is sent again whenever a problem is added.
    fn problems(&mut self) -> anyhow::Result<()> {
        let mut moments: Vec<DateTime> =
            self.chart.problems.iter().map(|problem| typed_in(problem.recorded, self.now)).collect();
        moments.sort_unstable();
        moments.dedup();
        let person = &self.chart.person;
        let key = Key { date: None, kind: "PPR-01", number: NO_ORDER, care: Some(self.chart.care) };
        for (rank, at) in moments.iter().enumerate() {
            let flag = if rank + 1 == moments.len() { Flag::Current } else { Flag::History };
            let known = self.chart.problems.iter().filter(|problem| problem.recorded <= *at);
            self.file(key, *at, flag, |message, sent| adt::problems(message, sent, person, known))?;
        }
        Ok(())
    }

    fn stay(&mut self, stay: &Stay) -> anyhow::Result<()> {
        let admission = Movement::Admission { at: stay.admitted };
        self.movement(stay.care, &admission, stay.cancelled)?;
        if let Some((at, _)) = stay.moved {
            let from = stay.care.bed;
            self.movement(stay.last_care(), &Movement::Transfer { at, from }, None)?;
        }
        if let Some((at, taken_back)) = stay.withdrawn_discharge {
            self.movement(stay.last_care(), &Movement::Discharge { at }, Some(taken_back))?;
        }
        if let Some(at) = stay.discharged {
            self.movement(stay.last_care(), &Movement::Discharge { at }, None)?;
        }
        Ok(())
    }

    fn movement(
        &mut self,
        care: Care,
        movement: &Movement,
        taken_back: Option<DateTime>,
    ) -> anyhow::Result<()> {
        let (kind, at) = match *movement {
            Movement::Visit { at } => ("ADT-12", at),
            Movement::Admission { at } => ("ADT-22", at),
            Movement::Transfer { at, .. } => ("ADT-42", at),
            Movement::Discharge { at } => ("ADT-52", at),
        };
        let key = Key { date: Some(at.date()), kind, number: NO_ORDER, care: Some(care) };
        let person = &self.chart.person;
        let flag = if taken_back.is_some() { Flag::Deleted } else { Flag::Current };
        self.file(key, typed_in(at, self.now), flag, |message, sent| {
            adt::movement(message, sent, person, care, movement, false)
        })?;
        let Some(at) = taken_back else { return Ok(()) };
        self.file(key, at, Flag::Deleted, |message, sent| {
            adt::movement(message, sent, person, care, movement, true)
        })
    }

    fn order(&mut self, order: &Order) -> anyhow::Result<()> {
        let kind = match order.body {
            Body::Prescription { .. } => "OMP-01",
            Body::Injection { .. } => "OMP-02",
            Body::Meal { .. } => "OMD",
            Body::Lab { .. } => "OML-01",
        };
        let key =
            Key { date: Some(order.ordered.date()), kind, number: order.number, care: Some(order.care) };
        for (at, word, flag) in versions(order) {
            let person = &self.chart.person;
            self.file(key, at, flag, |message, sent| orders::order(message, sent, person, order, word))?;
        }
        match &order.body {
            Body::Injection { start, end, given: true, .. } => {
                let key = Key { date: Some(start.date()), kind: "OMP-12", ..key };
                let person = &self.chart.person;
                self.file(key, typed_in(*end, self.now), Flag::Current, |message, sent| {
                    orders::given(message, sent, person, order)
                })
            }
            Body::Lab { collected, reports, .. } => {
                let key = Key { date: Some(collected.date()), kind: "OML-11", ..key };
                self.reports(key, order, reports)
            }
            _ => Ok(()),
        }
    }

    fn reports(&mut self, key: Key, order: &Order, reports: &[super::chart::Report]) -> anyhow::Result<()> {
        let person = &self.chart.person;
        for (rank, report) in reports.iter().enumerate() {
            let flag = if rank + 1 == reports.len() { Flag::Current } else { Flag::History };
            self.file(key, report.at, flag, |message, sent| {
                orders::result(message, sent, person, order, *report)
            })?;
        }
        Ok(())
    }
}

/// The files of an order, oldest first.
fn versions(order: &Order) -> Vec<(DateTime, Word, Flag)> {
    let (past, present) = match order.cancelled {
        Some(_) => (Flag::Deleted, Flag::Deleted),
        None => (Flag::History, Flag::Current),
    };
    let mut versions = Vec::with_capacity(3);
    match order.amended {
        Some(at) => {
            versions.push((order.ordered, Word::First, past));
            versions.push((at, Word::Standing, present));
        }
        None => versions.push((order.ordered, Word::Standing, present)),
    }
    if let Some(at) = order.cancelled {
        versions.push((at, Word::Cancelled, Flag::Deleted));
    }
    versions
}
