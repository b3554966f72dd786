//! The drill: restore a snapshot into a sandbox, read every record, compare with what was captured.
//!
//! A backup that lists, and a job that said success, prove nothing; this does.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::{Census, Coverage, Drill, Evidence, GroupTimes, Manifest, Shortfall, ShortfallKind};

use crate::charts;
use crate::error::Error;
use crate::examine::{Examination, examine};
use crate::manifest;
use crate::proof::Earlier;
use crate::vault::{Progress, RestoreReport, Snapshot, Vault};

mod change;
#[path = "drill/charts.rs"]
mod charts_sample;
mod compare;
mod malware;
mod room;
mod sample;
mod sources;
mod verify;

use compare::Comparison;
pub(crate) use compare::against_previous;
pub use malware::Scanner;
pub use sample::{SampleRequest, SampleSize};
use sources::SourcesFound;
pub use verify::promised;

/// Less than this is a full disk.
const SANDBOX_BYTES_FREE: u64 = 64 << 10;

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
    /// Only a part of it, for stores that are too large to restore every day.
    pub sample: Option<&'r SampleRequest>,
    /// What looks for malware.
    pub scanner: &'r Scanner,
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
    match carry_out(vault, request, started_at, progress) {
        // What cannot be opened can be told like everything else that is wrong, and counts as a drill that failed.
        Err(error @ (Error::Damaged { .. } | Error::Missing { .. })) => {
            Ok(not_opened(request, started_at, &error))
        }
        outcome => outcome,
    }
}

fn carry_out(
    vault: &Vault,
    request: &DrillRequest<'_>,
    started_at: Timestamp,
    progress: &(dyn Fn(DrillStep) + Sync),
) -> Result<Drill, Error> {
    // Opening the vault belongs to what people wait for, and took place before.
    let since_start =
        || (request.now)().duration_since(started_at).as_secs_f64() + vault.opened_in().as_secs_f64();
    let manifest = manifest::read(vault, request.snapshot)?;
    // What keeps a chart from being read is found again below, by name.
    let first_chart = charts::first_chart(vault, request.snapshot).ok().flatten();
    let rto_first_chart_seconds = first_chart.map(|_| since_start());
    let part = Part::of(vault, request, manifest.is_some())?;
    let room = room::of(request.sandbox, manifest.as_ref(), part.coverage.as_ref())?;
    let restored = vault.restore_within(request.snapshot, request.sandbox, &part.paths, room, &|step| {
        progress(DrillStep::Restoring(step));
    })?;
    refuse_full_sandbox(request.sandbox, &restored)?;
    let mut found = examine(request.sandbox, Path::new("/"), &request.zone, &|files, total| {
        progress(DrillStep::Reading { files, total });
    })?;
    let files_seconds = since_start();
    let files_newest = found.census.newest_record;
    let sources = SourcesFound::of(manifest.as_ref(), request.sandbox, request.engines, &since_start)?;
    found.census = sources.complete(found.census, manifest.as_ref());
    let rto_full_seconds = since_start();
    let age = |newest: Timestamp| started_at.duration_since(newest.min(started_at)).as_secs_f64();
    let is_sample = part.coverage.is_some();
    let comparison =
        Comparison { manifest: manifest.as_ref(), previous: request.previous, found: &found, is_sample };
    let (mut shortfalls, mut remarks) = comparison.run(&restored);
    let mut evidence = Evidence {
        tree: request.snapshot.tree.to_string(),
        coverage: part.coverage.clone(),
        groups: groups(manifest.as_ref(), (files_newest.map(age), files_seconds), &sources, &age),
        sandbox: sources.sandbox,
        ..Evidence::default()
    };
    shortfalls.extend(sources.shortfalls);
    remarks.extend(sources.remarks);
    let said = (&mut shortfalls, &mut remarks);
    look_closer(vault, request, &part, &restored, &found, &mut evidence, said)?;
    // Causes before their effects: a server that did not start explains every count that is missing.
    shortfalls.sort_by_key(|shortfall| shortfall.kind.rank());
    evidence.first_cause = shortfalls.first().map(|shortfall| shortfall.kind);
    let expected = manifest.map(|manifest| manifest.census).unwrap_or_default();
    Ok(Drill {
        snapshot: request.snapshot.id.clone(),
        captured_at: request.snapshot.time,
        started_at,
        finished_at: (request.now)(),
        rto_first_chart_seconds,
        rto_full_seconds,
        rpo_seconds: found.census.newest_record.map(age),
        census: found.census,
        records_decoded: found.records_decoded,
        expected,
        shortfalls,
        remarks,
        not_proven: sources.not_proven,
        evidence,
    })
}

/// What a person need not wait for: hashes, charts, what changed, malware.
fn look_closer(
    vault: &Vault,
    request: &DrillRequest<'_>,
    part: &Part,
    restored: &RestoreReport,
    found: &Examination,
    evidence: &mut Evidence,
    (shortfalls, remarks): (&mut Vec<Shortfall>, &mut Vec<Shortfall>),
) -> Result<(), Error> {
    let files = vault.files(request.snapshot);
    let named: HashSet<&Path> = restored.not_restored.iter().map(|lost| lost.path.as_path()).collect();
    let verified = verify::verify(&files, part.roots(), request.sandbox, &named);
    evidence.files_digest = verified.digest;
    evidence.files_verified = verified.files;
    shortfalls.extend(verified.shortfalls);
    let charts =
        charts_sample::read(request.sandbox, &found.patients, &request.snapshot.id.0, &found.undecodable)?;
    evidence.charts_read = charts.good;
    shortfalls.extend(charts.unread);
    remarks.extend(charts.misnamed);
    if let Some(previous) = request.previous {
        let old = vault.files(&previous.snapshot);
        let roots: Vec<PathBuf> = request.snapshot.paths.iter().map(PathBuf::from).collect();
        let before = previous.census.files;
        let (activity, found) =
            change::compare(&old, &files, &roots, before, request.sandbox, &previous.activity)?;
        evidence.activity = Some(activity);
        shortfalls.extend(found);
    }
    let (said, found) = request.scanner.scan(request.sandbox, request.engines);
    evidence.malware_scan = said;
    shortfalls.extend(found);
    Ok(())
}

/// What is restored of a snapshot.
struct Part {
    /// Empty: all of it.
    paths: Vec<PathBuf>,
    coverage: Option<Coverage>,
}

impl Part {
    fn of(vault: &Vault, request: &DrillRequest<'_>, is_ours: bool) -> Result<Part, Error> {
        // Our own snapshots hold the manifest beside the roots; those of restic may lie elsewhere than their paths say, since
        // it stores what was named relatively at the top.
        let roots: Vec<PathBuf> =
            if is_ours { request.snapshot.paths.iter().map(PathBuf::from).collect() } else { Vec::new() };
        let Some(sample) = request.sample else { return Ok(Part { paths: roots, coverage: None }) };
        let whole = Part { paths: roots, coverage: None };
        let chosen = sample::choose(&vault.files(request.snapshot), whole.roots(), sample)?;
        Ok(Part { paths: chosen.paths, coverage: Some(chosen.coverage) })
    }

    fn roots(&self) -> &[PathBuf] {
        static TOP: LazyLock<[PathBuf; 1]> = LazyLock::new(|| [PathBuf::from("/")]);
        if self.paths.is_empty() { &*TOP } else { &self.paths }
    }
}

/// Age and time of the files, where there are any beside the sources, and of each source.
fn groups(
    manifest: Option<&Manifest>,
    (files_rpo, files_seconds): (Option<f64>, f64),
    sources: &SourcesFound,
    age: &dyn Fn(Timestamp) -> f64,
) -> Vec<GroupTimes> {
    let has_files = manifest.is_none_or(|manifest| {
        manifest.roots.iter().any(|root| !Path::new(root).starts_with(crate::adapter::FOLDER))
    });
    let files = GroupTimes { name: "files".to_owned(), rpo_seconds: files_rpo, rto_seconds: files_seconds };
    let of_sources = sources.times.iter().map(|(name, newest, seconds)| GroupTimes {
        name: name.clone(),
        rpo_seconds: newest.map(age),
        rto_seconds: *seconds,
    });
    has_files.then_some(files).into_iter().chain(of_sources).collect()
}

/// The outcome of a drill that found nothing to restore.
fn not_opened(request: &DrillRequest<'_>, started_at: Timestamp, error: &Error) -> Drill {
    let kind = ShortfallKind::NotOpened;
    let what = format!("snapshot {}", request.snapshot.id.short());
    let finished_at = (request.now)();
    Drill {
        snapshot: request.snapshot.id.clone(),
        captured_at: request.snapshot.time,
        started_at,
        finished_at,
        rto_first_chart_seconds: None,
        rto_full_seconds: finished_at.duration_since(started_at).as_secs_f64(),
        rpo_seconds: None,
        census: Census::default(),
        records_decoded: 0,
        expected: Census::default(),
        shortfalls: vec![compare::shortfall(kind, what, error.chain())],
        remarks: Vec::new(),
        not_proven: Vec::new(),
        evidence: Evidence { first_cause: Some(kind), ..Evidence::default() },
    }
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
    // File systems that make inodes as they need them (btrfs) count none.
    let no_inodes = free.f_files > 0 && free.f_favail == 0;
    let full = no_inodes || free.f_bavail.saturating_mul(free.f_frsize) < SANDBOX_BYTES_FREE;
    if full { Err(Error::SandboxFull { dir: sandbox.to_path_buf() }) } else { Ok(()) }
}
