//! A synthetic hospital: SS-MIX2 storage and an EMR database that hold the same people, none of whom exists.
//!
//! The same number of patients, seed and present give the same bytes on every machine: each patient has a stream of
//! random numbers of their own, nothing is computed in floating point, and one thread writes the database in the
//! patients' order.

mod adt;
mod analytes;
mod catalogue;
mod chart;
mod course;
mod dice;
mod diseases;
mod emr;
mod files;
mod hl7;
mod labs;
mod names;
mod orders;
mod person;
pub(crate) mod protected;
mod stay;
mod store;
mod text;

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};
use jiff::ToSpan;
use jiff::civil::DateTime;
use serde::Serialize;

use chart::Chart;
use emr::Database;
use store::Written;
use text::Message;

/// The patients of Uda City Hospital in October 2018, of whom 1,133 lost their records.
pub(crate) const PATIENTS: u32 = 3_835;
/// The day it happened.
pub(crate) const SEED: u64 = 20_181_016;
/// More would not fit the ten digits' gaps or anybody's patience.
pub(crate) const PATIENTS_MAX: u32 = 1_000_000;

/// The disk, not the processor, is what more threads would wait for.
const THREADS_MAX: usize = 16;

/// Charts a thread may have ready before the database takes them.
const CHARTS_READY: usize = 64;

const README: &str = "\
EVERY PERSON IN THIS FOLDER IS SYNTHETIC. A program made them up; resemblance to living people is chance.
このフォルダーの患者・職員・病院はすべて架空です。実在の人物とは関係ありません。

ssmix2/      SS-MIX2 standardized storage, Ver. 1.2i: HL7 v2.5 in ISO-2022-JP
ssmix2-ext/  SS-MIX2 extended storage: progress notes and discharge summaries
emr/         the same charts in a SQLite database

Postal codes and phone numbers begin with 000, insurers' numbers consist of nines: none of them exists.
Drugs, diagnoses, meals and allergens carry local codes (99XYZ).
";

/// Which hospital to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hospital {
    /// How many patients.
    pub(crate) patients: u32,
    /// Which ones.
    pub(crate) seed: u64,
    /// The hospital's present, in its local time: the newest record is a minute older.
    pub(crate) until: DateTime,
}

/// What was made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Built {
    pub(crate) patients: u32,
    /// All files but the README: standardized and extended storage and the database.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    /// The transaction time of the newest record, in the hospital's local time.
    pub(crate) newest_record: DateTime,
}

/// Makes `hospital` in the folder `dir`, which must be empty or absent. `progress` is told how many patients are
/// done.
pub(crate) fn build(hospital: &Hospital, dir: &Path, progress: &dyn Fn(u64)) -> anyhow::Result<Built> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    build_on(threads, hospital, dir, progress)
}

fn build_on(
    threads: usize,
    hospital: &Hospital,
    dir: &Path,
    progress: &dyn Fn(u64),
) -> anyhow::Result<Built> {
    let started = Instant::now();
    ensure!((1..=PATIENTS_MAX).contains(&hospital.patients), "a hospital has 1 to {PATIENTS_MAX} patients");
    ensure!(
        (1970..=2199).contains(&hospital.until.year()),
        "the hospital's present lies between 1970 and 2199, not in {}",
        hospital.until.year()
    );
    prepare(dir)?;
    let now = hospital.until.saturating_sub(1.minute());
    let path = dir.join("emr/emr.sqlite");
    let mut database = Database::create(&path)?;
    let mut written = write_charts(threads, hospital, dir, now, &mut database, progress)?;
    database.close()?;
    let bytes = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?.len();
    written.add(Written { files: 1, bytes, newest: None });
    Ok(Built {
        patients: hospital.patients,
        files: written.files,
        bytes: written.bytes,
        seconds: started.elapsed().as_secs_f64(),
        newest_record: written.newest.unwrap_or(now),
    })
}

/// Makes the empty folders. A folder with anything in it is refused: it could be a real store.
fn prepare(dir: &Path) -> anyhow::Result<()> {
    let unusable = || format!("cannot use the folder {}", dir.display());
    fs::create_dir_all(dir).with_context(unusable)?;
    let is_empty = fs::read_dir(dir).with_context(unusable)?.next().is_none();
    ensure!(is_empty, "{} is not empty: the sample hospital is only made in an empty folder", dir.display());
    for folder in ["ssmix2", "ssmix2-ext", "emr"] {
        fs::create_dir(dir.join(folder)).with_context(unusable)?;
    }
    fs::write(dir.join("README.txt"), README).with_context(unusable)
}

/// Threads write the files, each every n-th patient; this one takes their charts in turn, hence in the patients'
/// order, and enters them into the database. The channels' bound holds back a thread that is far ahead.
fn write_charts(
    threads: usize,
    hospital: &Hospital,
    dir: &Path,
    now: DateTime,
    database: &mut Database,
    progress: &dyn Fn(u64),
) -> anyhow::Result<Written> {
    let mut total = Written::default();
    thread::scope(|scope| {
        let lines: Vec<Receiver<Entry>> = (0..threads)
            .map(|first| {
                let (sender, receiver) = sync_channel(CHARTS_READY);
                let indexes = (0..hospital.patients).skip(first).step_by(threads);
                scope.spawn(move || clerk(hospital.seed, indexes, dir, now, &sender));
                receiver
            })
            .collect();
        let mut done = 0;
        database.fill(catalogue::wards(hospital.patients), || {
            if done == hospital.patients {
                return Ok(None);
            }
            let line = &lines[done as usize % threads];
            let (chart, written) = line.recv().context("a writing thread stopped")??;
            total.add(written);
            done += 1;
            progress(u64::from(done));
            Ok(Some(chart))
        })
    })?;
    Ok(total)
}

type Entry = anyhow::Result<(Chart, Written)>;

/// Writes the files of some patients. Ends early when nobody listens any more, or after an error.
fn clerk(
    seed: u64,
    indexes: impl Iterator<Item = u32>,
    dir: &Path,
    now: DateTime,
    charts: &SyncSender<Entry>,
) {
    let mut message = Message::new();
    for index in indexes {
        let chart = course::chart(seed, index, now);
        let entry = files::write(dir, &chart, now, &mut message).map(|written| (chart, written));
        let failed = entry.is_err();
        if charts.send(entry).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
