//! Reading the lines of SS-MIX2 storages, by several threads where the source lets several read.
//!
//! Names tell nearly everything: of a patient's files only the newest demographics and the last movement are opened,
//! and of the folders of days only those from the newest back to the one with that movement.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;

use crossbeam_channel::{Sender, bounded};
use decode::ssmix2::{Flag, RecordName};
use schema::PatientId;

use crate::charts::banner;
use crate::charts::care;
use crate::charts::model::{Banner, Unread};
use crate::charts::record::Record;
use crate::charts::roster::RosterLine;
use crate::charts::source::Source;
use crate::charts::storage::{file_name, folders, list_or_name, patient_id};

const THREADS_MAX: usize = 8;
/// Second-level folders in one job: a hospital whose ids are spread has one patient in each.
const JOB: usize = 64;
const DEMOGRAPHICS: &str = "ADT-00";
const MOVEMENTS: [&str; 3] = ["ADT-22", "ADT-42", "ADT-52"];

/// Lines that were read together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// By id; what follows comes later in that order, as long as the source is one of SS-MIX2 storages.
    pub lines: Vec<RosterLine>,
    /// What could not be read on the way.
    pub unread: Vec<Unread>,
    /// How much of everything has been read, in thousandths.
    pub permille: u16,
}

/// Folders `ID[0:3]/ID[3:6]` of all storages that hold the same patients, in the order of ids.
struct Job {
    number: usize,
    folders: Vec<PathBuf>,
    permille: u16,
}

/// Reads all lines and gives them to `sink` in the order of ids.
pub(in crate::charts) fn scan(source: &Source<'_>, roots: &[PathBuf], sink: &mut dyn FnMut(Batch)) {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let Some(again) = source.again() else {
        return jobs(source, roots, &mut |job, mut unread| {
            let mut batch = read(source, &job);
            unread.append(&mut batch.unread);
            sink(Batch { unread, ..batch });
            true
        });
    };
    thread::scope(|scope| {
        let (jobs_in, jobs_out) = bounded::<(Job, Vec<Unread>)>(threads * 4);
        let (done_in, done_out) = bounded::<(usize, Batch)>(threads * 4);
        scope.spawn({
            let again = again.clone();
            move || jobs(&again(), roots, &mut |job, unread| jobs_in.send((job, unread)).is_ok())
        });
        for _ in 0..threads {
            let (again, jobs, done): (_, _, Sender<_>) = (again.clone(), jobs_out.clone(), done_in.clone());
            scope.spawn(move || {
                let source = again();
                for (job, mut unread) in jobs {
                    let mut batch = read(&source, &job);
                    unread.append(&mut batch.unread);
                    if done.send((job.number, Batch { unread, ..batch })).is_err() {
                        return;
                    }
                }
            });
        }
        drop((done_in, jobs_out));
        // Threads finish in any order; lines that come in the order of ids cost least.
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for (number, batch) in done_out {
            early.insert(number, batch);
            while let Some(batch) = early.remove(&next) {
                sink(batch);
                next += 1;
            }
        }
    });
}

/// Cuts the storages into jobs. `give` takes one with what could not be listed before it; `false` ends it.
fn jobs(source: &Source<'_>, roots: &[PathBuf], give: &mut dyn FnMut(Job, Vec<Unread>) -> bool) {
    let mut unread = Vec::new();
    let mut firsts: BTreeMap<Vec<u8>, Vec<PathBuf>> = BTreeMap::new();
    for root in roots {
        by_name(folders(list_or_name(source, root, &mut unread)), &mut firsts);
    }
    let (count, mut number) = (firsts.len().max(1), 0);
    for (at, first) in firsts.into_values().enumerate() {
        let mut seconds: BTreeMap<Vec<u8>, Vec<PathBuf>> = BTreeMap::new();
        for folder in first {
            by_name(folders(list_or_name(source, &folder, &mut unread)), &mut seconds);
        }
        let seconds: Vec<Vec<PathBuf>> = seconds.into_values().collect();
        let total = seconds.len().max(1);
        for (part, chunk) in seconds.chunks(JOB).enumerate() {
            let done = ((part + 1) * JOB).min(total);
            let permille = u16::try_from((at * total + done) * 1000 / (count * total)).unwrap_or(1000);
            let job = Job { number, folders: chunk.concat(), permille };
            number += 1;
            if !give(job, std::mem::take(&mut unread)) {
                return;
            }
        }
    }
    if !unread.is_empty() {
        give(Job { number, folders: Vec::new(), permille: 1000 }, unread);
    }
}

fn by_name(paths: impl Iterator<Item = PathBuf>, into: &mut BTreeMap<Vec<u8>, Vec<PathBuf>>) {
    for path in paths {
        into.entry(file_name(&path).as_encoded_bytes().to_vec()).or_default().push(path);
    }
}

fn read(source: &Source<'_>, job: &Job) -> Batch {
    let mut batch = Batch { permille: job.permille, ..Batch::default() };
    let mut lines: BTreeMap<PatientId, RosterLine> = BTreeMap::new();
    for second in &job.folders {
        for folder in folders(list_or_name(source, second, &mut batch.unread)) {
            let Some(patient) = patient_id(&folder) else { continue };
            let line = line(source, patient, &folder, &mut batch.unread);
            match lines.get_mut(&line.patient) {
                Some(known) => known.complete(line),
                None => _ = lines.insert(line.patient.clone(), line),
            }
        }
    }
    batch.lines = lines.into_values().collect();
    batch
}

fn line(source: &Source<'_>, patient: PatientId, folder: &Path, unread: &mut Vec<Unread>) -> RosterLine {
    // By name: `-` first, then the days.
    let days: Vec<PathBuf> = folders(list_or_name(source, folder, unread)).collect();
    let mut records = Vec::new();
    let (mut has_moved, mut is_known) = (false, false);
    for day in days.iter().rev() {
        let is_undated = file_name(day) == "-";
        if has_moved && !is_undated {
            continue;
        }
        for kind in folders(list_or_name(source, day, unread)) {
            if kind.ends_with(DEMOGRAPHICS) {
                is_known |= open_newest(source, &patient, &kind, &mut records, unread);
            } else if !has_moved && MOVEMENTS.iter().any(|wanted| kind.ends_with(wanted)) {
                open_current(source, &patient, &kind, &mut records, unread);
            }
        }
        has_moved |= records.iter().any(|record| record.name.kind != DEMOGRAPHICS);
    }
    if !is_known && has_moved {
        // Demographics belong below `-`; where they are not, a day that was skipped may hold them.
        for day in &days {
            open_newest(source, &patient, &day.join(DEMOGRAPHICS), &mut records, &mut Vec::new());
        }
    }
    let Banner { name, kana, birth_date, sex, .. } = banner::banner(&records, None);
    let bed = care::ward(&records).map(|item| item.value);
    RosterLine { patient, other_ids: Vec::new(), name, kana, birth_date, sex, bed }
}

/// The newest current record that can be read; `false` when there is none.
fn open_newest(
    source: &Source<'_>,
    patient: &PatientId,
    kind: &Path,
    records: &mut Vec<Record>,
    unread: &mut Vec<Unread>,
) -> bool {
    let mut found = current(source, patient, kind, unread);
    found.sort_by(|(_, a), (_, b)| b.stamp.cmp(&a.stamp));
    for (path, name) in found {
        match Record::open(source, &path, name) {
            Ok(record) => {
                records.push(record);
                return true;
            }
            Err(damaged) => unread.push(damaged),
        }
    }
    false
}

fn open_current(
    source: &Source<'_>,
    patient: &PatientId,
    kind: &Path,
    records: &mut Vec<Record>,
    unread: &mut Vec<Unread>,
) {
    for (path, name) in current(source, patient, kind, unread) {
        match Record::open(source, &path, name) {
            Ok(record) => records.push(record),
            Err(damaged) => unread.push(damaged),
        }
    }
}

fn current(
    source: &Source<'_>,
    patient: &PatientId,
    kind: &Path,
    unread: &mut Vec<Unread>,
) -> Vec<(PathBuf, RecordName)> {
    let files = list_or_name(source, kind, unread).into_iter().filter(|entry| !entry.is_folder);
    let named = files.filter_map(|entry| {
        let name = RecordName::parse(file_name(&entry.path).as_encoded_bytes())?;
        Some((entry.path, name))
    });
    named.filter(|(_, name)| name.flag == Flag::Current && name.patient == *patient).collect()
}
