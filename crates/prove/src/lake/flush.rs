use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::disk::{Flushed, keep_aside};
use super::partition::{Partition, Stored};
use super::record::Record;
use super::rows::{Rows, Unfinished};
use super::{CHUNK_BYTES, FlushReport, Lake};
use crate::Error;
use crate::durable::sync_dir;

/// What one turn of a flush writes: as many records as fit, folder by folder.
#[derive(Default)]
struct Chunk {
    partitions: BTreeMap<Partition, Rows>,
    first: Option<u64>,
    last: u64,
    bytes: usize,
}

pub(super) fn flush(lake: &Lake, flushed: &mut Flushed) -> Result<FlushReport, Error> {
    let mut report = FlushReport::default();
    let mut set_aside = Vec::new();
    let mut chunk = Chunk::default();
    let after = flushed.position();
    let end = lake.journal.records(
        after,
        |record| {
            chunk.add(&record, lake.settings.retention_days);
            if chunk.bytes >= CHUNK_BYTES {
                std::mem::take(&mut chunk).write(lake, flushed, &mut report)?;
            }
            Ok(())
        },
        |aside, bytes| {
            set_aside.push(keep_aside(aside, bytes)?);
            Ok(())
        },
    )?;
    chunk.write(lake, flushed, &mut report)?;
    if end > flushed.position() {
        // What lies in between is damaged and was set aside.
        flushed.advance(end)?;
    }
    report.set_aside = set_aside;
    Ok(report)
}

impl Chunk {
    fn add(&mut self, record: &Record<'_>, retention_days: u16) {
        self.first.get_or_insert(record.first);
        self.last = record.last();
        for (position, event) in (record.first..).zip(record.events()) {
            let partition = Partition::of(&event, record.arrived, retention_days);
            let rows = self.partitions.entry(partition).or_default();
            self.bytes += rows.push(position, record.arrived, event);
        }
    }

    /// Writes the files first and the position after all of them: files above it are removed at open.
    fn write(self, lake: &Lake, flushed: &mut Flushed, report: &mut FlushReport) -> Result<(), Error> {
        let Some(first) = self.first else { return Ok(()) };
        for (partition, rows) in &self.partitions {
            let dir = partition.dir(&lake.dir, &lake.settings);
            make_durable(&lake.dir, &dir)?;
            let file = Stored::new(&dir, first, self.last);
            let unfinished = file.path.with_extension("new");
            let write = || {
                let mut writer = Unfinished::begin(&unfinished)?;
                writer.add(rows)?;
                writer.finish(&unfinished, &file.path)
            };
            report.events += write().map_err(Error::parquet("write", &file.path))?;
            report.files += 1;
            sync_dir(&file.path)?;
        }
        flushed.advance(self.last)
    }
}

/// Makes a folder and those above it, up to the lake's, so that they survive a power cut.
fn make_durable(lake: &Path, dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(Error::file("make", dir))?;
    for above in dir.ancestors().take_while(|above| *above != lake) {
        sync_dir(above)?;
    }
    Ok(())
}
