//! An EMR's own database as a source of charts: a small file says, section by section, which query brings what ([`Mapping`]).
//!
//! The database comes from the vault: an SQLite file is taken out of the snapshot, a dump of PostgreSQL or MariaDB is loaded into
//! a server of its own, as a drill does it. Nothing is ever written into the live EMR.

mod engine;
mod file;
mod place;
mod row;
mod section;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::tz::TimeZone;
use schema::PatientId;

pub use file::{Engine, Mapping};
pub use place::{Origin, Rooms};

use self::engine::{Asked, Cells, Link};
use self::row::Row;
use self::section::{PATIENTS, Section};
use super::ids::key;
use super::model::{Bed, Unread};
use super::parts::Gathered;
use super::roster::RosterLine;
use crate::Error;

/// Rows of one section that one chart shows.
const ROWS_MAX: usize = 5_000;
/// Patients are read so many at a time.
const PAGE: usize = 20_000;
/// Patients of one database.
const PATIENTS_MAX: usize = 2_000_000;
/// Rows of one patient in the section of patients.
const KEYS_MAX: usize = 8;
/// Causes that are told of one section.
const CAUSES_MAX: usize = 3;

/// A section that can be asked.
struct Query {
    section: &'static Section,
    sql: String,
    columns: Vec<String>,
}

/// A patient as the database knows them.
struct Person {
    line: RosterLine,
    /// What the rows of other sections call the patient.
    keys: Vec<String>,
    /// The patient's rows, as they were read.
    rows: Vec<(usize, Vec<Option<String>>)>,
}

/// A database, opened for reading charts. It ends, and its server with it, when this is dropped.
pub struct Database {
    /// One thread asks at a time.
    link: Mutex<Link>,
    /// Where it lies in the snapshot.
    path: String,
    patients: Query,
    queries: Vec<Query>,
    people: Vec<Person>,
    /// By id without zeros in front.
    by_id: HashMap<String, usize>,
    /// What is wrong with the mapping or the database: said on every chart.
    unread: Vec<Unread>,
    zone: TimeZone,
}

impl Database {
    /// Takes the database out of `origin`, starts it, and reads who its patients are. What is taken out and what servers write lies
    /// in `rooms`. `zone` is the hospital's.
    ///
    /// A section whose query fails is named in every chart; an error means that not even the patients can be read.
    pub fn open(
        mapping: &Mapping,
        origin: &Origin<'_>,
        rooms: &Rooms<'_>,
        zone: TimeZone,
    ) -> Result<Database, Error> {
        let (link, path) = place::open(mapping, origin, rooms, &zone)?;
        let mut unread = Vec::new();
        let mut queries = Vec::new();
        for (section, sql) in mapping.sections() {
            match prepared(&link, section, sql) {
                Ok((query, unknown)) => {
                    queries.push(query);
                    unread.extend(unknown.map(|cause| named(&path, section, cause)));
                }
                Err(cause) if section.name == PATIENTS => {
                    return Err(Error::Mapping { what: PATIENTS.to_owned(), reason: cause });
                }
                Err(cause) => unread.push(named(&path, section, cause)),
            }
        }
        // Sections come with the patients first, and there is no mapping without them.
        let patients = queries.remove(0);
        let (people, by_id) = (Vec::new(), HashMap::new());
        let link = Mutex::new(link);
        let mut database = Database { link, path, patients, queries, people, by_id, unread, zone };
        database.read_people()?;
        Ok(database)
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong with the mapping or the database.
    pub(super) fn unread(&self) -> impl Iterator<Item = &Unread> {
        self.unread.iter()
    }

    /// Everybody.
    pub(super) fn roster(&self) -> Vec<RosterLine> {
        self.people.iter().map(|person| person.line.clone()).collect()
    }

    fn row<'r>(
        &'r self,
        query: &'r Query,
        number: usize,
        values: &'r [Option<String>],
        wrong: &'r RefCell<Vec<String>>,
    ) -> Row<'r> {
        let Query { section, columns, .. } = query;
        Row { section, columns, values, number, path: &self.path, zone: &self.zone, wrong }
    }

    fn read_people(&mut self) -> Result<(), Error> {
        let mut number = 0;
        let mut nameless = 0;
        for page in 0.. {
            let asked = Asked::rows(&self.patients, Vec::new(), PAGE, page * PAGE);
            let rows = self.link().ask(vec![asked]).pop().unwrap_or_else(|| Ok(Vec::new()))?;
            let read = rows.len();
            for values in rows {
                number += 1;
                let wrong = RefCell::default();
                let row = self.row(&self.patients, number, &values, &wrong);
                let id = row.patient();
                if id.0.is_empty() {
                    nameless += 1;
                    continue;
                }
                let key =
                    Some(row.text("patient_key")).filter(|key| !key.is_empty()).unwrap_or(&id.0).to_owned();
                let line = line(&row);
                self.take_in(line, key, number, values);
            }
            if read < PAGE {
                break;
            }
            if self.people.len() >= PATIENTS_MAX {
                let cause = format!("more than {PATIENTS_MAX} patients: the others are not listed");
                self.unread.push(named(&self.path, self.patients.section, cause));
                break;
            }
        }
        if nameless > 0 {
            let cause = format!("{nameless} rows have nothing in patient");
            self.unread.push(named(&self.path, self.patients.section, cause));
        }
        Ok(())
    }

    fn take_in(&mut self, line: RosterLine, row_key: String, number: usize, values: Vec<Option<String>>) {
        let id = key(&line.patient.0).to_owned();
        match self.by_id.get(&id).and_then(|place| self.people.get_mut(*place)) {
            Some(known) => {
                known.line.complete(line);
                if known.rows.len() < KEYS_MAX {
                    known.rows.push((number, values));
                    if !known.keys.contains(&row_key) {
                        known.keys.push(row_key);
                    }
                }
            }
            None => {
                self.by_id.insert(id, self.people.len());
                self.people.push(Person { line, keys: vec![row_key], rows: vec![(number, values)] });
            }
        }
    }

    /// Everything of one patient; `None` when the database does not know the id.
    pub(super) fn gather(&self, id: &PatientId) -> Option<(PatientId, Gathered)> {
        let place = self.by_id.get(key(&id.0)).copied();
        let by_other_id = || self.people.iter().position(|person| person.line.other_ids.contains(&id.0));
        let person = self.people.get(place.or_else(by_other_id)?)?;
        let mut gathered = Gathered { unread: self.unread.clone(), ..Gathered::default() };
        let rows = person.rows.iter().map(|(number, values)| (*number, values.clone())).collect();
        self.add(&self.patients, rows, &mut gathered);
        // One more than is shown tells that there are more.
        let asked = self.queries.iter().map(|query| Asked::rows(query, person.keys.clone(), ROWS_MAX + 1, 0));
        let answers = self.link().ask(asked.collect());
        for (query, answer) in self.queries.iter().zip(answers) {
            match answer {
                Ok(rows) => {
                    if rows.len() > ROWS_MAX {
                        let cause = format!("more than {ROWS_MAX} rows: the others are not shown");
                        gathered.unread.push(named(&self.path, query.section, cause));
                    }
                    let rows = rows.into_iter().take(ROWS_MAX).enumerate();
                    let place = query.columns.iter().position(|column| column == "patient");
                    // To a database, `abc` and `ABC` may be one: here they are two people.
                    let own = |(_, values): &(usize, Vec<Option<String>>)| {
                        let patient =
                            place.and_then(|place| values.get(place)?.as_deref()).unwrap_or_default();
                        person.keys.iter().any(|key| key == patient.trim())
                    };
                    self.add(
                        query,
                        rows.map(|(at, values)| (at + 1, values)).filter(own).collect(),
                        &mut gathered,
                    );
                }
                Err(error) => {
                    gathered.unread.push(named(
                        &self.path,
                        query.section,
                        format!("its query fails: {}", error.chain()),
                    ));
                }
            }
        }
        Some((person.line.patient.clone(), gathered))
    }

    fn add(&self, query: &Query, rows: Vec<(usize, Vec<Option<String>>)>, gathered: &mut Gathered) {
        let wrong = RefCell::default();
        let mut causes = Vec::new();
        for (number, values) in rows {
            let row = self.row(query, number, &values, &wrong);
            if let Err(unread) = row.parts(&mut gathered.parts) {
                causes.push(unread.cause);
            }
            let made_at = ["recorded_at", "at", "date", "start"].into_iter().find_map(|column| {
                let is_there = query.section.name != "appointments" && !row.text(column).is_empty();
                is_there.then(|| row.time(column))?
            });
            gathered.newest_record = gathered.newest_record.max(made_at);
        }
        causes.extend(wrong.into_inner());
        causes.dedup();
        let more = causes.len().saturating_sub(CAUSES_MAX);
        causes.truncate(CAUSES_MAX);
        if more > 0 {
            causes.push(format!("and {more} more"));
        }
        if !causes.is_empty() {
            gathered.unread.push(named(&self.path, query.section, causes.join("; ")));
        }
    }
}

fn named(path: &str, section: &Section, cause: String) -> Unread {
    Unread { path: path.to_owned(), kind: section.name.to_owned(), cause }
}

fn line(row: &Row<'_>) -> RosterLine {
    let some = |column| Some(row.text(column).to_owned()).filter(|text| !text.is_empty());
    RosterLine {
        patient: row.patient(),
        other_ids: some("other_id").into_iter().collect(),
        name: some("name"),
        kana: some("kana"),
        birth_date: row.day("birth_date"),
        sex: row.sex(),
        bed: Some(row.bed()).filter(|bed| *bed != Bed::default()),
    }
}

/// Which columns a query brings, and what of them nobody knows. An error says why it cannot be used.
fn prepared(link: &Link, section: &'static Section, sql: &str) -> Result<(Query, Option<String>), String> {
    let answer = link.ask(vec![Asked::Columns { sql: sql.to_owned() }]).pop();
    let columns: Cells = match answer {
        Some(Ok(columns)) => columns,
        Some(Err(error)) => return Err(format!("its query fails: {}", error.chain())),
        None => return Err("its query was not answered".to_owned()),
    };
    let columns: Vec<String> = columns.into_iter().flatten().flatten().collect();
    let missing: Vec<&str> =
        section.needs.iter().copied().filter(|name| !columns.iter().any(|column| column == name)).collect();
    if !missing.is_empty() {
        return Err(format!("its query has no column {}", missing.join(", ")));
    }
    let (known, unknown): (Vec<String>, Vec<String>) =
        columns.into_iter().partition(|column| section.knows(column));
    let unknown = (!unknown.is_empty())
        .then(|| format!("columns that nobody knows are not shown: {}", unknown.join(", ")));
    Ok((Query { section, sql: sql.to_owned(), columns: known }, unknown))
}
