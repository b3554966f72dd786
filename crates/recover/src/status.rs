//! What would be lost if everything were encrypted now, and what makes that promise shaky.
//!
//! Nothing is believed that a job said of itself: the figures come from proofs, the alarms from looking at the
//! medium and comparing it with what the ledger remembers.

mod alarms;
mod locks;
mod opaque;
mod sampled;

use std::path::Path;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schema::{Alarm, Census, Proof, SnapshotId, Status};

use crate::vault::{Coverage, Generations, READ_WITHIN, Vault, WriteLock};
use crate::{Error, drill, manifest, proof};

/// What unsynchronised hosts may differ by before a date counts as the future. A wrong clock hides staleness.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_mins(10);

/// Less free than this of a medium, and the next backups may not fit.
const FREE_PERMILLE_MIN: u64 = 50;
/// Unless the vault fits once more into what is free, and this much at least: a twentieth of a large disk is a lot for a small vault.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// A store in which something is written every day, and how long it may be silent: holidays are shorter.
const USUAL_MAX: SignedDuration = SignedDuration::from_hours(24);
const SILENCE_MAX: SignedDuration = SignedDuration::from_hours(10 * 24);

/// When silence becomes an alarm.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Oldest age of the newest snapshot.
    pub snapshot_age_max: SignedDuration,
    /// Oldest age of the newest proof.
    pub proof_age_max: SignedDuration,
    /// How long before the write protection of a snapshot that is still needed ends it is told.
    pub lock_lead: SignedDuration,
    /// Daily generations of each job that are needed.
    pub generations: u32,
    /// Whose days they are.
    pub zone: TimeZone,
}

impl Default for Limits {
    /// A backup every day, with two hours for a long night; a drill every week; three days to do something about a lock.
    fn default() -> Limits {
        Limits {
            snapshot_age_max: SignedDuration::from_hours(26),
            proof_age_max: SignedDuration::from_hours(7 * 24),
            lock_lead: SignedDuration::from_hours(3 * 24),
            generations: Generations::default().keep,
            zone: TimeZone::system(),
        }
    }
}

/// What stands where the vault should be.
#[derive(Debug, Clone)]
pub enum Medium {
    /// The folder is not there: the disk is unplugged or not mounted.
    Absent,
    /// The folder is there and holds no repository.
    Empty,
    /// A repository whose config is gone: its data is there, and nobody can open it.
    ConfigLost,
    /// A repository, opened and listed.
    Present {
        /// What is backed up into it, each with its snapshots.
        jobs: Vec<Job>,
        /// Proofs found in it, oldest first.
        proofs: Vec<Proof>,
        /// Packs that the index needs and the medium lacks or holds cut short.
        packs_damaged: u64,
        /// Snapshot or index files that could not be read.
        files_unreadable: u64,
        /// How much of its bytes has been read lately, where a record of that is kept.
        coverage: Option<Coverage>,
        /// How much of it is free; `None` where the file system does not say.
        room: Option<Room>,
        /// What keeps snapshots from being taken away.
        lock: WriteLock,
    },
}

impl Medium {
    /// With what this machine's record in `folder` says of reading the vault's bytes within the last 31 days.
    pub fn with_coverage(mut self, vault: &Vault, folder: &Path, now: Timestamp) -> Medium {
        if let Medium::Present { coverage, .. } = &mut self {
            *coverage = vault.coverage(folder, now, READ_WITHIN);
        }
        self
    }
}

/// What is left of a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Of a thousand bytes.
    pub free_permille: u64,
    /// Of a thousand files that it can hold.
    pub files_permille: u64,
    /// Bytes that are free.
    pub free_bytes: u64,
    /// Bytes of the vault's packs.
    pub vault_bytes: u64,
}

impl Room {
    fn of(vault: &Vault) -> Option<Room> {
        let found = rustix::fs::statvfs(vault.dir()).ok()?;
        let permille = |free: u64, all: u64| free.saturating_mul(1000).checked_div(all);
        Some(Room {
            free_permille: permille(found.f_bavail, found.f_blocks)?,
            // Some file systems count no files.
            files_permille: permille(found.f_favail, found.f_files).unwrap_or(1000),
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
            vault_bytes: vault.pack_bytes(),
        })
    }

    fn is_nearly_full(&self) -> bool {
        let is_short = self.free_bytes < self.vault_bytes.max(FREE_BYTES_MIN);
        self.files_permille < FREE_PERMILLE_MIN || self.free_permille < FREE_PERMILLE_MIN && is_short
    }
}

/// The same folders of the same host, captured again and again: each job must be fresh and proven by itself, since
/// one that runs says nothing about another that stopped.
#[derive(Debug, Clone)]
pub struct Job {
    /// Host and folders, for people.
    pub label: String,
    /// Oldest first; never empty.
    pub snapshots: Vec<Held>,
}

/// A snapshot as far as status needs it.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its id.
    pub id: SnapshotId,
    /// When it was captured.
    pub time: Timestamp,
    /// Exceptions that its manifest names.
    pub exceptions: u64,
    /// What its manifest counts; `None` without a manifest, and for those between the newest proven and the newest.
    pub census: Option<Census>,
    /// What its manifest names that no drill can look into, source by source.
    pub opaque: Vec<Opaque>,
}

/// A source of a snapshot, or what of one, no drill can look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    /// The source's name.
    pub source: String,
    /// How many files of which kind, such as `2`, `SQL Server backup`.
    pub kinds: Vec<(u64, String)>,
}

/// What the ledger says should be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered {
    /// The newest snapshot that was sealed.
    pub snapshot: SnapshotId,
    /// When it was captured.
    pub time: Timestamp,
}

/// Looks at an open vault: its list, its proofs, its packs' presence and length. Reads no pack's content but manifests.
pub fn look(vault: &Vault) -> Result<Medium, Error> {
    let (_, unreadable) = vault.snapshots()?;
    let proofs = proof::proofs(vault)?;
    let jobs = proof::jobs(vault)?.into_iter().map(|job| {
        let mut held: Vec<Held> = job
            .snapshots
            .iter()
            .map(|snapshot| Held {
                id: snapshot.id.clone(),
                time: snapshot.time,
                exceptions: 0,
                census: None,
                opaque: Vec::new(),
            })
            .collect();
        let newest = held.len().checked_sub(1);
        let proven = newest_passed(&held, &proofs)
            .and_then(|proof| held.iter().position(|held| held.id == proof.snapshot));
        // Only these two decide about alarms; the others' manifests are not read for it.
        for number in [newest, proven].into_iter().flatten() {
            let manifest = match manifest::read(vault, &job.snapshots[number]) {
                // Damage is an alarm of its own, and no reason to keep silent about the rest.
                Err(Error::Damaged { .. } | Error::Missing { .. }) => None,
                read => read?,
            };
            if let Some(manifest) = manifest {
                held[number].opaque = opaque::of(&manifest);
                held[number].exceptions = manifest.exceptions.len() as u64;
                held[number].census = Some(manifest.census);
            }
        }
        Ok(Job { label: job.label(), snapshots: held })
    });
    let jobs = jobs.collect::<Result<_, Error>>()?;
    Ok(Medium::Present {
        jobs,
        proofs,
        packs_damaged: vault.damaged_packs(),
        files_unreadable: unreadable.len() as u64,
        coverage: None,
        room: Room::of(vault),
        lock: vault.write_lock()?,
    })
}

/// Puts the sentence's figures and the alarms together, worst alarm first.
pub fn assess(medium: &Medium, remembered: Option<&Remembered>, limits: &Limits, now: Timestamp) -> Status {
    let mut status = Status {
        at: now,
        rpo_seconds: None,
        snapshot_age_seconds: None,
        rto_first_chart_seconds: None,
        rto_full_seconds: None,
        proven_at: None,
        snapshot: None,
        alarms: Vec::new(),
        remarks: Vec::new(),
    };
    match medium {
        Medium::Absent => status.alarms.push(alarms::medium_absent(remembered)),
        Medium::Empty => status.alarms.push(alarms::medium_empty(remembered)),
        Medium::ConfigLost => status.alarms.push(alarms::config_lost()),
        Medium::Present { jobs, proofs, packs_damaged, files_unreadable, coverage, room, lock } => {
            // A proof from the future proves nothing yet: the clock was wrong then or is wrong now.
            let latest = now.saturating_add(CLOCK_SLACK).unwrap_or(now);
            let believed: Vec<Proof> =
                proofs.iter().filter(|proof| proof.captured_at <= latest).cloned().collect();
            promise(&mut status, jobs, &believed, now);
            status.alarms.extend(alarms::damaged(*packs_damaged, *files_unreadable));
            status.alarms.extend(coverage.as_ref().and_then(alarms::unread));
            let full = room.filter(Room::is_nearly_full);
            status.alarms.extend(full.map(|room| alarms::medium_full(room.free_bytes)));
            status.alarms.extend(missing(jobs, remembered));
            if jobs.is_empty() {
                status.alarms.push(alarms::no_snapshot());
            }
            status.remarks.extend(locks::remark(lock));
            status.remarks.extend(sampled::remark(jobs, &believed, now));
            for job in jobs {
                // With one job everybody knows what is meant.
                let label = if jobs.len() > 1 { job.label.as_str() } else { "" };
                let mut found = of_job(job, proofs, limits, now);
                found.extend(locks::expiring(job, proofs, lock, limits));
                status.alarms.extend(found.into_iter().map(|alarm| alarms::about(alarm, label)));
            }
        }
    }
    status.alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.severity_id));
    status
}

/// The newest snapshot's proof that passed and was not found wanting by a later drill.
fn newest_passed<'p>(snapshots: &[Held], proofs: &'p [Proof]) -> Option<&'p Proof> {
    let standing = snapshots.iter().filter_map(|held| proof::standing(&held.id, proofs));
    standing.max_by_key(|proof| (proof.captured_at, proof.proven_at))
}

/// The figures of the worst job. One job without a proof leaves everything without a promise: "everything" includes it.
fn promise(status: &mut Status, jobs: &[Job], proofs: &[Proof], now: Timestamp) {
    let proven: Option<Vec<&Proof>> = jobs.iter().map(|job| newest_passed(&job.snapshots, proofs)).collect();
    let Some(proven) = proven.filter(|proven| !proven.is_empty()) else { return };
    let oldest = |proof: &&&Proof| newest_record(proof);
    let Some(worst) = proven.iter().min_by_key(oldest) else { return };
    status.rpo_seconds = Some(seconds(now.duration_since(newest_record(worst))));
    status.snapshot_age_seconds = Some(seconds(now.duration_since(worst.captured_at)));
    status.snapshot = Some(worst.snapshot.clone());
    status.rto_first_chart_seconds =
        proven.iter().filter_map(|proof| proof.rto_first_chart_seconds).reduce(f64::max);
    status.rto_full_seconds = Some(proven.iter().map(|proof| proof.rto_full_seconds).sum());
    status.proven_at = proven.iter().map(|proof| proof.proven_at).min();
}

/// A record with a time stamp in the future must not promise that nothing would be lost.
fn newest_record(proof: &Proof) -> Timestamp {
    proof.newest_record.map_or(proof.captured_at, |record| record.min(proof.captured_at))
}

fn missing(jobs: &[Job], remembered: Option<&Remembered>) -> Option<Alarm> {
    let held = |id: &SnapshotId| jobs.iter().flat_map(|job| &job.snapshots).any(|held| held.id == *id);
    remembered.filter(|known| !held(&known.snapshot)).map(alarms::missing)
}

fn of_job(job: &Job, proofs: &[Proof], limits: &Limits, now: Timestamp) -> Vec<Alarm> {
    let mut found = Vec::new();
    let proven = newest_passed(&job.snapshots, proofs);
    if let Some(newest) = job.snapshots.last() {
        found.extend(age_of(newest, limits, now));
        found.extend(incomplete(newest));
        found.extend(opaque::alarm(newest));
        let before = proven.and_then(|proof| job.snapshots.iter().find(|held| held.id == proof.snapshot));
        found
            .extend(before.and_then(|before| shrunk(before, newest).or_else(|| implausible(before, newest))));
    }
    let of_this_job = |proof: &&Proof| job.snapshots.iter().any(|held| held.id == proof.snapshot);
    found.extend(proofs.iter().rfind(of_this_job).filter(|proof| !proof.passed).map(alarms::drill_failed));
    let Some(proof) = proven else {
        found.push(alarms::unproven());
        return found;
    };
    found.extend(record_from_the_future(proof));
    let age = now.duration_since(proof.proven_at);
    if age > limits.proof_age_max {
        found.push(alarms::proof_stale(Words(age), Words(limits.proof_age_max)));
    }
    found
}

fn age_of(newest: &Held, limits: &Limits, now: Timestamp) -> Option<Alarm> {
    let age = now.duration_since(newest.time);
    if age > limits.snapshot_age_max {
        return Some(alarms::stale(Words(age), Words(limits.snapshot_age_max)));
    }
    (age < -CLOCK_SLACK).then(|| alarms::clock_is_wrong(Words(-age)))
}

fn incomplete(newest: &Held) -> Option<Alarm> {
    if newest.census.as_ref().is_some_and(|census| census.files == 0) {
        return Some(alarms::empty(&newest.id));
    }
    (newest.exceptions > 0).then(|| alarms::incomplete(&newest.id, newest.exceptions))
}

/// Patients and records do not become fewer by themselves, and databases do not vanish.
fn shrunk(before: &Held, newest: &Held) -> Option<Alarm> {
    let (before, now) = (before.census.as_ref()?, newest.census.as_ref()?);
    let lost = drill::against_previous(before, now);
    (!lost.is_empty()).then(|| alarms::shrunk(&newest.id, &lost))
}

/// A job that says success about a store that has become a fraction of itself, or has stopped growing.
fn implausible(before: &Held, newest: &Held) -> Option<Alarm> {
    let (was, is) = (before.census.as_ref()?, newest.census.as_ref()?);
    let has_dumps = was.databases.iter().chain(&is.databases).any(|database| database.engine != "sqlite");
    if is.files.saturating_mul(2) < was.files {
        return Some(alarms::fraction(&newest.id, was.files, is.files, ("files", "個のファイル")));
    }
    // The files of a server come and go with its log.
    if !has_dumps && is.bytes.saturating_mul(2) < was.bytes {
        return Some(alarms::fraction(&newest.id, was.bytes, is.bytes, ("bytes", "バイト")));
    }
    let (then, now) = (was.newest_record?, is.newest_record?);
    if now < then {
        return Some(alarms::went_back(&newest.id, Words(then.duration_since(now))));
    }
    let gap = |at: Timestamp, record| at.duration_since(record);
    let (usual, silence) = (gap(before.time, then), gap(newest.time, now));
    (usual < USUAL_MAX && silence > SILENCE_MAX).then(|| alarms::silent(&newest.id, Words(silence)))
}

fn record_from_the_future(proof: &Proof) -> Option<Alarm> {
    let ahead = proof.newest_record?.duration_since(proof.captured_at);
    (ahead > CLOCK_SLACK).then(|| alarms::record_from_the_future(Words(ahead)))
}

fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64().max(0.0)
}

/// A duration said in the largest unit that leaves at least two of it.
#[derive(Clone, Copy)]
struct Words(SignedDuration);

impl Words {
    fn en(self) -> String {
        let (count, unit, _) = self.parts();
        format!("{count} {unit}")
    }

    fn ja(self) -> String {
        let (count, _, unit) = self.parts();
        format!("{count}{unit}")
    }

    fn parts(self) -> (i64, &'static str, &'static str) {
        let seconds = self.0.as_secs();
        match seconds {
            ..120 => (seconds, "seconds", "秒"),
            120..7_200 => (seconds / 60, "minutes", "分"),
            7_200..172_800 => (seconds / 3_600, "hours", "時間"),
            _ => (seconds / 86_400, "days", "日"),
        }
    }
}

#[cfg(test)]
mod tests;
