//! The drill: restore a snapshot into a sandbox, read every record, compare with what was captured.
//!
//! A backup that lists, and a job that said success, prove nothing; this does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{Census, DatabaseCensus, Drill, ExceptionKind, Manifest, Shortfall, ShortfallKind};

use crate::charts;
use crate::error::Error;
use crate::examine::{Examination, examine};
use crate::manifest;
use crate::proof::Earlier;
use crate::vault::{Progress, RestoreReport, Snapshot, Vault};

mod sources;

use sources::SourcesFound;

/// Less than this is a full disk.
const SANDBOX_BYTES_FREE: u64 = 64 << 10;
/// So many broken records may be in any store.
const BROKEN_MIN: u64 = 3;
/// Of a larger store one in so many.
const BROKEN_SHARE: u64 = 100;

/// What to drill, and where.
pub struct DrillRequest<'r> {
    /// The snapshot to restore.
    pub snapshot: &'r Snapshot,
    /// An empty folder with room for all of it.
    pub sandbox: &'r Path,
    /// An empty folder with as much room, in which servers are started on restored databases; `None` where the snapshot
    /// holds none.
    pub engines: Option<&'r Path>,
    /// The last proven snapshot before this one: records do not become fewer by themselves. Without it nothing is
    /// compared with the past.
    pub previous: Option<&'r Earlier>,
    /// The hospital's time zone.
    pub zone: TimeZone,
    /// The clock.
    pub now: &'r dyn Fn() -> Timestamp,
}

/// Where a drill is, for a progress display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrillStep {
    /// The vault's engine is restoring.
    Restoring(Progress),
    /// Files are read.
    Reading {
        /// So far.
        files: u64,
        /// Of so many.
        total: u64,
    },
}

/// Restores, reads and compares. An error means that the drill could not be carried out; what it found wrong is in
/// the [`Drill`].
pub fn drill(
    vault: &Vault,
    request: &DrillRequest<'_>,
    progress: &(dyn Fn(DrillStep) + Sync),
) -> Result<Drill, Error> {
    let started_at = (request.now)();
    // Opening the vault belongs to what people wait for, and took place before.
    let since_start =
        || (request.now)().duration_since(started_at).as_secs_f64() + vault.opened_in().as_secs_f64();
    let manifest = manifest::read(vault, request.snapshot)?;
    // What keeps a chart from being read is found again below, by name.
    let first_chart = charts::first_chart(vault, request.snapshot).ok().flatten();
    let rto_first_chart_seconds = first_chart.map(|_| since_start());
    // Our own snapshots hold the manifest beside the roots; those of restic may lie elsewhere than their paths say, since
    // it stores what was named relatively at the top.
    let roots: Vec<PathBuf> = match manifest {
        Some(_) => request.snapshot.paths.iter().map(PathBuf::from).collect(),
        None => Vec::new(),
    };
    let restored = vault
        .restore(request.snapshot, request.sandbox, &roots, &|step| progress(DrillStep::Restoring(step)))?;
    refuse_full_sandbox(request.sandbox, &restored)?;
    let mut found = examine(request.sandbox, Path::new("/"), &request.zone, &|files, total| {
        progress(DrillStep::Reading { files, total });
    })?;
    let sources = SourcesFound::of(manifest.as_ref(), request.sandbox, request.engines)?;
    found.census = sources.complete(found.census, manifest.as_ref());
    let rto_full_seconds = since_start();
    let comparison = Comparison { manifest: manifest.as_ref(), previous: request.previous, found: &found };
    let (mut shortfalls, mut remarks) = comparison.run(&restored);
    // The cause before its effects: a server that did not start explains every count that is missing.
    shortfalls.splice(0..0, sources.shortfalls);
    remarks.extend(sources.remarks);
    let expected = manifest.map(|manifest| manifest.census).unwrap_or_default();
    Ok(Drill {
        snapshot: request.snapshot.id.clone(),
        captured_at: request.snapshot.time,
        started_at,
        finished_at: (request.now)(),
        rto_first_chart_seconds,
        rto_full_seconds,
        rpo_seconds: found
            .census
            .newest_record
            .map(|newest| started_at.duration_since(newest.min(started_at)).as_secs_f64()),
        census: found.census,
        records_decoded: found.records_decoded,
        expected,
        shortfalls,
        remarks,
        not_proven: sources.not_proven,
    })
}

/// A sandbox that ran full says nothing about the vault.
fn refuse_full_sandbox(sandbox: &Path, restored: &RestoreReport) -> Result<(), Error> {
    if restored.not_restored.is_empty() {
        return Ok(());
    }
    let failed = |cause: rustix::io::Errno| Error::Io {
        op: "look at",
        path: sandbox.to_path_buf(),
        source: cause.into(),
    };
    let free = rustix::fs::statvfs(sandbox).map_err(failed)?;
    let full = free.f_bavail.saturating_mul(free.f_frsize) < SANDBOX_BYTES_FREE || free.f_favail == 0;
    if full { Err(Error::SandboxFull { dir: sandbox.to_path_buf() }) } else { Ok(()) }
}

struct Comparison<'c> {
    manifest: Option<&'c Manifest>,
    previous: Option<&'c Earlier>,
    found: &'c Examination,
}

impl Comparison<'_> {
    /// Shortfalls, and remarks on what was broken before it was captured.
    fn run(&self, restored: &RestoreReport) -> (Vec<Shortfall>, Vec<Shortfall>) {
        let mut shortfalls = Vec::new();
        let mut remarks = Vec::new();
        // Counts first: whoever reads only the beginning must see how much is wrong.
        if self.found.census.files == 0 {
            shortfalls.push(shortfall(ShortfallKind::Empty, "snapshot", "it holds no file"));
        }
        match self.manifest {
            Some(manifest) => against_manifest(&manifest.census, &self.found.census, &mut shortfalls),
            None => remarks.push(shortfall(
                ShortfallKind::Fewer,
                "manifest",
                "the snapshot has none (another program made it): restored files were compared with the snapshot alone",
            )),
        }
        if let Some(previous) = self.previous {
            shortfalls.extend(against_previous(&previous.census, &self.found.census));
            shortfalls.extend(fewer_decode(previous.proof.records, self.found.records_decoded));
        }
        shortfalls.extend(self.found.signs.shortfalls());
        for lost in &restored.not_restored {
            shortfalls.push(shortfall(ShortfallKind::NotRestored, lost.path.display(), &lost.cause));
        }
        self.contents(&mut shortfalls, &mut remarks);
        self.duplicates(&mut shortfalls, &mut remarks);
        (shortfalls, remarks)
    }

    fn contents(&self, shortfalls: &mut Vec<Shortfall>, remarks: &mut Vec<Shortfall>) {
        let broken_at_capture: BTreeMap<&str, ExceptionKind> = self
            .manifest
            .into_iter()
            .flat_map(|manifest| &manifest.exceptions)
            .map(|exception| (exception.path.as_str(), exception.kind))
            .collect();
        // A few broken records are as they were captured; many are no accident, whoever knew of them.
        let unreadable = self.found.undecodable.len() as u64;
        let too_many = unreadable > tolerated(self.found.census.records());
        for (path, cause) in &self.found.undecodable {
            let path = path.to_string_lossy();
            let known = matches!(
                broken_at_capture.get(path.as_ref()),
                Some(ExceptionKind::Malformed | ExceptionKind::Encrypted)
            );
            let found = shortfall(ShortfallKind::Undecodable, &path, cause);
            // Without a manifest nobody knows what the record was; its bytes are what was captured, so it is named.
            let as_captured = known || self.manifest.is_none();
            if as_captured && !too_many { remarks.push(found) } else { shortfalls.push(found) }
        }
        for (path, complaints) in &self.found.database_complaints {
            shortfalls.push(shortfall(ShortfallKind::DatabaseDamaged, path.display(), complaints.join("; ")));
        }
    }

    /// Two current files for one key are wrong; where the store was so when it was captured, it is not the vault's doing.
    fn duplicates(&self, shortfalls: &mut Vec<Shortfall>, remarks: &mut Vec<Shortfall>) {
        for storage in self.found.census.ssmix2.iter().filter(|storage| storage.duplicate_current > 0) {
            let detail = format!("{} keys have more than one current file", storage.duplicate_current);
            let found = shortfall(ShortfallKind::DuplicateCurrent, &storage.root, detail);
            let at_capture = self
                .manifest
                .and_then(|manifest| manifest.census.ssmix2.iter().find(|other| other.root == storage.root))
                .map_or(0, |storage| storage.duplicate_current);
            let known = storage.duplicate_current <= at_capture;
            if known { remarks.push(found) } else { shortfalls.push(found) }
        }
    }
}

/// How many of so many records may be broken in any store.
fn tolerated(records: u64) -> u64 {
    BROKEN_MIN.max(records / BROKEN_SHARE)
}

/// Records that decoded in the last proven snapshot and do not now, beyond single accidents.
fn fewer_decode(before: u64, now: u64) -> Option<Shortfall> {
    let detail = format!("{now} in this snapshot, {before} in the last proven one");
    (now + tolerated(before) < before).then(|| shortfall(ShortfallKind::Fewer, "records that decode", detail))
}

/// Counts taken at capture are promises: nothing may be missing.
fn against_manifest(expected: &Census, found: &Census, shortfalls: &mut Vec<Shortfall>) {
    let mut fewer = |what: &str, expected: u64, found: u64| {
        if found < expected {
            shortfalls.push(shortfall(ShortfallKind::Fewer, what, format!("{found} of {expected} captured")));
        }
    };
    fewer("files", expected.files, found.files);
    fewer("patients", expected.patients(), found.patients());
    fewer("SS-MIX2 records", expected.records(), found.records());
    for database in &expected.databases {
        let restored = found.databases.iter().find(|other| other.path == database.path);
        rows(database, restored, &mut fewer);
    }
    for database in &expected.databases {
        let restored = found.databases.iter().find(|other| other.path == database.path);
        shortfalls.extend(contents_of(database, restored));
    }
}

/// What counts cannot see: sampled contents that are no longer the same, and a newest record that is gone.
fn contents_of(expected: &DatabaseCensus, found: Option<&DatabaseCensus>) -> Vec<Shortfall> {
    let Some(found) = found else { return Vec::new() };
    let wrong = expected.digests.iter().filter(|(name, digest)| found.digests.get(*name) != Some(digest));
    let mut shortfalls: Vec<Shortfall> = wrong
        .map(|(name, _)| {
            let what = format!("{name} in {}", expected.path);
            shortfall(ShortfallKind::DatabaseDamaged, what, "its content is not what was captured")
        })
        .collect();
    if found.newest_record < expected.newest_record {
        let shown = |time: Option<Timestamp>| time.map_or_else(|| "none".to_owned(), |time| time.to_string());
        let detail = format!("{}, captured {}", shown(found.newest_record), shown(expected.newest_record));
        shortfalls.push(shortfall(
            ShortfallKind::Fewer,
            format!("newest record of {}", expected.path),
            detail,
        ));
    }
    shortfalls
}

fn rows(expected: &DatabaseCensus, found: Option<&DatabaseCensus>, fewer: &mut impl FnMut(&str, u64, u64)) {
    for (table, rows) in &expected.tables {
        let restored = found.and_then(|census| census.tables.get(table)).copied().unwrap_or(0);
        fewer(&format!("rows of {table} in {}", expected.path), *rows, restored);
    }
}

/// SS-MIX2 storage only grows (deleting renames), so fewer patients or records than the last proven snapshot held
/// mean that something removed or renamed them before the capture. A database that is gone, or has lost most of its
/// rows, was removed, encrypted or replaced.
pub(crate) fn against_previous(previous: &Census, found: &Census) -> Vec<Shortfall> {
    let mut shortfalls = Vec::new();
    for (what, before, now) in [
        ("patients", previous.patients(), found.patients()),
        ("SS-MIX2 records", previous.records(), found.records()),
    ] {
        if now < before {
            let detail = format!("{now} in this snapshot, {before} in the last proven one");
            shortfalls.push(shortfall(ShortfallKind::Fewer, what, detail));
        }
    }
    let rows = |database: &DatabaseCensus| database.tables.values().sum::<u64>();
    for before in &previous.databases {
        let rows_before = rows(before);
        let rows_now = found.databases.iter().find(|other| other.path == before.path).map(rows);
        let what = format!("database {}", before.path);
        match rows_now {
            None => {
                let detail =
                    format!("it had {rows_before} rows in the last proven snapshot and is no database now");
                shortfalls.push(shortfall(ShortfallKind::DatabaseDamaged, what, detail));
            }
            // Rows are deleted in daily work, but not most of them.
            Some(rows_now) if rows_now < rows_before / 2 => {
                let detail =
                    format!("{rows_now} rows in this snapshot, {rows_before} in the last proven one");
                shortfalls.push(shortfall(ShortfallKind::Fewer, what, detail));
            }
            Some(_) => {}
        }
    }
    shortfalls
}

fn shortfall(kind: ShortfallKind, what: impl ToString, detail: impl ToString) -> Shortfall {
    Shortfall { kind, what: what.to_string(), detail: detail.to_string() }
}
