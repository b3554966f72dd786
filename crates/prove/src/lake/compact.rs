use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::disk::Flushed;
use super::partition::{self, Stored};
use super::rows::{self, Rows, Unfinished};
use super::{CHUNK_BYTES, CompactReport, Lake};
use crate::Error;
use crate::durable::sync_dir;

/// A file that needs no company any more.
const BIG: u64 = 64 << 20;
/// Where a row group is closed, in rows.
const GROUP_ROWS: usize = 200_000;

/// Holding `_files` keeps a flush from adding to a folder meanwhile.
pub(super) fn compact(lake: &Lake, _files: &mut Flushed, now: Timestamp) -> Result<CompactReport, Error> {
    let mut report = CompactReport::default();
    let today = partition::day(now);
    for (dir, day) in partition::days(&lake.dir)? {
        if day < today {
            compact_day(&dir, &mut report)?;
        }
    }
    Ok(report)
}

fn compact_day(dir: &Path, report: &mut CompactReport) -> Result<(), Error> {
    let mut run = Vec::new();
    let mut bytes = 0;
    for file in partition::stored(dir)? {
        let size = file.path.metadata().map_err(Error::file("look at", &file.path))?.len();
        // A run has no gap, so that the range of the file it becomes covers its own files only.
        if bytes + size > BIG {
            merge(dir, std::mem::take(&mut run), report)?;
            bytes = 0;
        }
        if size < BIG {
            bytes += size;
            run.push(file);
        }
    }
    merge(dir, run, report)
}

/// Makes one file of several. They go once it has its name: whoever is killed between leaves files that lie within
/// its range, which the next open removes.
fn merge(dir: &Path, mut run: Vec<Stored>, report: &mut CompactReport) -> Result<(), Error> {
    while let [first, .., last] = run.as_slice() {
        let merged = Stored::new(dir, first.first, last.last);
        let unfinished = merged.path.with_extension("new");
        match write_merged(&run, &unfinished) {
            Ok(writer) => {
                let finished = writer.finish(&unfinished, &merged.path);
                report.rows += finished.map_err(Error::parquet("write", &merged.path))?;
                sync_dir(&merged.path)?;
                for file in &run {
                    partition::remove(&file.path)?;
                }
                report.replaced += run.len() as u64;
                report.made += 1;
                return sync_dir(&merged.path);
            }
            Err(Failed::Writing(error)) => {
                let _ = fs::remove_file(&unfinished);
                return Err(error);
            }
            Err(Failed::Reading(n)) => {
                let damaged = run.remove(n);
                report.set_aside.push(set_aside(&damaged)?);
            }
        }
    }
    Ok(())
}

enum Failed {
    /// The file at that place of the run is damaged.
    Reading(usize),
    Writing(Error),
}

fn write_merged(run: &[Stored], unfinished: &Path) -> Result<Unfinished, Failed> {
    let writing = |cause| Failed::Writing(Error::parquet("write", unfinished)(cause));
    let mut writer = Unfinished::begin(unfinished).map_err(writing)?;
    let mut rows = Rows::default();
    let mut bytes = 0;
    for (n, file) in run.iter().enumerate() {
        let mut failed = None;
        let read = rows::read_groups(&file.path, |group, size| {
            rows.append(group);
            bytes += size;
            if bytes >= CHUNK_BYTES || rows.len() >= GROUP_ROWS {
                bytes = 0;
                let full = std::mem::take(&mut rows);
                writer.add(&full).inspect_err(|cause| failed = Some(cause.to_string()))?;
            }
            Ok(())
        });
        match (read, failed) {
            (Ok(()), _) => {}
            (Err(cause), Some(_)) => return Err(writing(cause)),
            (Err(_), None) => return Err(Failed::Reading(n)),
        }
    }
    writer.add(&rows).map_err(writing)?;
    Ok(writer)
}

fn set_aside(file: &Stored) -> Result<PathBuf, Error> {
    let aside = file.path.with_extension("parquet.damaged");
    fs::rename(&file.path, &aside).map_err(Error::file("rename", &file.path))?;
    sync_dir(&aside)?;
    Ok(aside)
}
