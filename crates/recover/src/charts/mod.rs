//! Downtime charts: what a patient's records say, read from a snapshot or a folder while the EMR is down.
//!
//! A chart holds nothing that no record says, names the record behind every item, and names every record that
//! could not be read: what is missing from a chart must never look like "there is none".

mod banner;
mod care;
mod chart;
mod conditions;
mod html;
mod labs;
mod medication;
mod model;
mod notes;
mod record;
mod roster;
mod snapshot;
mod source;
mod storage;
#[cfg(test)]
mod tests;
pub mod words;

use std::path::PathBuf;

use jiff::civil::Date;
use schema::PatientId;

pub use html::{entrance_page, list_page, page};
pub use model::{
    Agent, Alert, AlertKind, Allergy, Answer, Banner, Bed, Chart, Course, Drug, Given, Infection, Item,
    LabFlag, LabResult, LabSeries, Meal, Medication, Note, Outcome, Problem, Provenance, Route, Sex, Stay,
    Trend, Unread, Visit,
};
pub use roster::{Roster, RosterLine};
pub use snapshot::{basis, first_chart};
pub use source::{Entry, Source};
pub use words::{Basis, Origin};

use crate::Error;

/// The record storages of one source, opened for reading charts.
pub struct Charts<'a> {
    source: Source<'a>,
    roots: Vec<PathBuf>,
    unread: Vec<Unread>,
    cut_short: Option<Unread>,
}

impl<'a> Charts<'a> {
    /// Looks for SS-MIX2 storages, standardized and extended ones alike, without opening a record. A source with more folders
    /// than can be searched is no error: what was found can be read, and [`Charts::unread`] says what was not looked at.
    pub fn open(source: Source<'a>) -> Result<Charts<'a>, Error> {
        let storage::Found { roots, unread, cut_short } = storage::find(&source)?;
        Ok(Charts { source, roots, unread, cut_short })
    }

    /// The storages found.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Where a storage may lie that was not found: folders that could not be listed, and that the search was cut short.
    pub fn unread(&self) -> impl Iterator<Item = &Unread> {
        self.cut_short.iter().chain(&self.unread)
    }

    /// All patients. Reads the demographics and movements of each.
    pub fn roster(&self) -> Roster {
        roster::roster(&self.source, &self.roots, self.unread().cloned().collect())
    }

    /// One patient's chart, from that patient's folders alone; `None` when no storage has any.
    ///
    /// `as_of` is the day of the data: ages and running medication are told for it. Without one it is the day
    /// of the patient's newest record.
    pub fn chart(&self, patient: &PatientId, as_of: Option<Date>) -> Option<Chart> {
        chart::chart(&self.source, &self.roots, self.cut_short.as_ref(), patient, as_of)
    }
}
