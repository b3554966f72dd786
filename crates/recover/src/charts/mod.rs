//! Downtime charts: what a patient's records say, read from a snapshot or a folder while the EMR is down.
//!
//! A chart holds nothing that no record says, names the record behind every item, and names every record that
//! could not be read: what is missing from a chart must never look like "there is none".

mod banner;
mod care;
mod chart;
mod conditions;
mod fhir;
mod html;
mod ids;
mod index;
mod kinds;
mod labs;
pub mod mapping;
mod medication;
mod merge;
mod model;
mod notes;
mod parts;
mod record;
mod roster;
mod snapshot;
mod source;
mod storage;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_input;
pub mod words;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schema::PatientId;

pub(crate) use html::lasting;
pub use html::{STYLE, article, page};
pub(crate) use index::folded;
pub use index::{Batch, Found, Index, Ward};
pub use model::{
    Agent, Alert, AlertKind, Allergy, Answer, Appointment, Banner, Bed, Chart, Course, Drug, Given,
    Infection, Item, LabFlag, LabResult, LabSeries, Meal, Medication, Note, Outcome, Problem, Provenance,
    Route, Sex, Stay, Trend, Unread, Visit,
};
pub use roster::{Roster, RosterLine};
pub use snapshot::{basis, first_chart};
pub use source::{Entry, Source};
pub use words::{Basis, Origin};

use crate::Error;

/// The records of one source, opened for reading charts: SS-MIX2 storages, FHIR resources, and a database where one was added.
///
/// A patient whom several of them know has one chart made of all.
pub struct Charts<'a> {
    source: Source<'a>,
    roots: Vec<PathBuf>,
    fhir: Arc<fhir::Store>,
    database: Option<Arc<mapping::Database>>,
    zone: TimeZone,
    today: Date,
    unread: Vec<Unread>,
    cut_short: Option<Unread>,
}

/// What was found of a source, without a handle of it.
#[derive(Clone)]
pub struct Shared {
    roots: Vec<PathBuf>,
    fhir: Arc<fhir::Store>,
    database: Option<Arc<mapping::Database>>,
    zone: TimeZone,
    today: Date,
    unread: Vec<Unread>,
    cut_short: Option<Unread>,
}

impl Shared {
    /// The charts, read through this handle of the same source.
    pub fn charts(self, source: Source<'_>) -> Charts<'_> {
        let Shared { roots, fhir, database, zone, today, unread, cut_short } = self;
        Charts { source, roots, fhir, database, zone, today, unread, cut_short }
    }
}

impl<'a> Charts<'a> {
    /// Looks for SS-MIX2 storages, standardized and extended ones alike, and for files with the names of FHIR exports, without
    /// opening a record. A source with more folders than can be searched is no error: what was found can be read, and
    /// [`Charts::unread`] says what was not looked at.
    pub fn open(source: Source<'a>) -> Result<Charts<'a>, Error> {
        let storage::Found { roots, exports, unread, cut_short } = storage::find(&source)?;
        let fhir = Arc::new(fhir::Store::new(exports));
        let (zone, today) = (TimeZone::system(), Zoned::now().date());
        Ok(Charts { source, roots, fhir, database: None, zone, today, unread, cut_short })
    }

    /// By another clock than this machine's: FHIR resources tell times with an offset, charts tell them as the hospital's clocks do.
    pub fn in_zone(mut self, zone: TimeZone) -> Charts<'a> {
        self.today = Zoned::now().with_time_zone(zone.clone()).date();
        self.zone = zone;
        self
    }

    /// The same charts for other threads: each makes its own handle of the same source, and what was found and opened once is shared.
    pub fn shared(&self) -> Shared {
        Shared {
            roots: self.roots.clone(),
            fhir: Arc::clone(&self.fhir),
            database: self.database.clone(),
            zone: self.zone.clone(),
            today: self.today,
            unread: self.unread.clone(),
            cut_short: self.cut_short.clone(),
        }
    }

    /// With an EMR's own database beside the files.
    pub fn with_database(self, database: mapping::Database) -> Charts<'a> {
        Charts { database: Some(Arc::new(database)), ..self }
    }

    /// SS-MIX2 alone.
    pub(crate) fn without_exports(mut self) -> Charts<'a> {
        self.fhir = Arc::new(fhir::Store::new(Vec::new()));
        self
    }

    /// The SS-MIX2 storages found.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Whether there is anything to read charts from. Where there is no SS-MIX2 storage, files are opened to find out.
    pub fn has_records(&self) -> bool {
        !self.roots.is_empty() || self.database.is_some() || self.fhir.files(&self.source).next().is_some()
    }

    /// Where a storage may lie that was not found: folders that could not be listed, and that the search was cut short; and what could
    /// not be read of FHIR files, nobody knows whose.
    pub fn unread(&self) -> impl Iterator<Item = &Unread> {
        let of_database = self.database.iter().flat_map(|database| database.unread());
        self.cut_short.iter().chain(&self.unread).chain(self.fhir.unread(&self.source)).chain(of_database)
    }

    /// All patients. Reads the demographics and movements of each.
    pub fn roster(&self) -> Roster {
        let mut roster = roster::roster(&self.source, &self.roots, self.unread().cloned().collect());
        roster.add(self.fhir.roster(&self.source, &self.zone));
        roster.add(self.database.as_ref().map(|database| database.roster()).unwrap_or_default());
        roster
    }

    /// Gives the lines of all patients to `sink` as they are read, with what could not be read on the way.
    pub fn lines(&self, sink: &mut dyn FnMut(Batch)) {
        sink(Batch { unread: self.unread().cloned().collect(), ..Batch::default() });
        index::scan(&self.source, &self.roots, sink);
        let of_database = self.database.as_ref().map(|database| database.roster());
        for lines in [Some(self.fhir.roster(&self.source, &self.zone)), of_database].into_iter().flatten() {
            sink(Batch { lines, ..Batch::default() });
        }
    }

    /// One patient's chart, from that patient's records alone; `None` when no source has any. FHIR files are indexed when the first
    /// chart is asked for.
    ///
    /// `as_of` is the day of the data: ages and running medication are told for it. Without one it is the day
    /// of the patient's newest record, and not later than today: a clock that ran ahead ends nobody's medication.
    pub fn chart(&self, patient: &PatientId, as_of: Option<Date>) -> Option<Chart> {
        let (chart, sources) = self.chart_on(patient, as_of)?;
        let day = chart.newest_record.map(|newest| newest.date());
        if as_of.is_some() || sources == 1 && day.is_none_or(|day| day <= self.today) {
            return Some(chart);
        }
        self.chart_on(patient, day.map(|day| day.min(self.today))).map(|(chart, _)| chart)
    }

    /// The chart, and of how many sources it is.
    fn chart_on(&self, patient: &PatientId, as_of: Option<Date>) -> Option<(Chart, usize)> {
        let mut charts: Vec<Chart> = self.of_storages(patient, as_of).into_iter().collect();
        let resources = self.fhir.gather(&self.source, &self.zone, patient, !charts.is_empty());
        if let Some((shown, gathered)) = resources {
            // Found by the id of a resource: the storages know the hospital's.
            if charts.is_empty() && shown != *patient {
                charts.extend(self.of_storages(&shown, as_of));
            }
            let day = as_of.or(gathered.newest_record.map(|newest| newest.date()));
            charts.push(gathered.into_chart(&shown, day));
        }
        let known = charts.first().map_or_else(|| patient.clone(), |chart| chart.patient.clone());
        if let Some((shown, gathered)) = self.database.as_ref().and_then(|database| database.gather(&known)) {
            if charts.is_empty() && shown != *patient {
                charts.extend(self.of_storages(&shown, as_of));
            }
            let day = as_of.or(gathered.newest_record.map(|newest| newest.date()));
            charts.push(gathered.into_chart(&shown, day));
        }
        let sources = charts.len();
        let mut charts = charts.into_iter();
        let first = charts.next()?;
        Some((charts.fold(first, |one, other| merge::merged(one, other, as_of)), sources))
    }

    /// What SS-MIX2 storages have, under the spelling of the id that they use: some systems put zeros in front.
    fn of_storages(&self, patient: &PatientId, as_of: Option<Date>) -> Option<Chart> {
        let chart =
            |id: &PatientId| chart::chart(&self.source, &self.roots, self.cut_short.as_ref(), id, as_of);
        chart(patient).or_else(|| ids::spellings(patient).find_map(|id| chart(&id)))
    }
}
