//! Proofs in the vault: what drills found, stored beside the snapshots they speak of.
//!
//! Each is a snapshot of its own that a stock restic reads, so proofs survive the machine that made them.

mod method;

use std::collections::BTreeMap;
use std::path::Path;

use schema::{Activity, Census, Drill, Evidence, Lang, Proof, ShortfallKind, SnapshotId};

use crate::error::Error;
use crate::manifest;
use crate::vault::{Snapshot, Vault};

/// The proof inside a snapshot that holds one.
pub const PATH: &str = "/.chartward/proof.json";

/// What the ledger signed about it, beside it.
pub const LEDGER_ENTRY_PATH: &str = "/.chartward/ledger-entry.json";

/// Version of the proof that this program writes; 2 adds the evidence.
pub const VERSION: u32 = 2;

/// Where a drill restored to, which the times it measured depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoredTo {
    /// A file system in memory.
    Memory,
    /// A disk.
    Disk,
}

/// No proof is larger: it holds counts.
const BYTES_MAX: u64 = 1 << 20;

/// Snapshots of protected data, oldest first: those that are no proofs.
pub fn data_snapshots(vault: &Vault) -> Result<Vec<Snapshot>, Error> {
    let (mut snapshots, _) = vault.snapshots()?;
    snapshots.retain(|snapshot| !snapshot.is_proof());
    Ok(snapshots)
}

/// All proofs of this vault, oldest first, those of failed drills among them.
///
/// One that cannot be read counts as none: that can only make a snapshot seem unproven, and the damage is
/// named by `vault check` and by status. So does one that was copied here from another vault.
pub fn proofs(vault: &Vault) -> Result<Vec<Proof>, Error> {
    let (snapshots, _) = vault.snapshots()?;
    let held = snapshots.iter().filter(|snapshot| snapshot.is_proof());
    let mut proofs: Vec<Proof> = held.filter_map(|snapshot| read(vault, snapshot)).collect();
    proofs.sort_by_key(|proof| proof.proven_at);
    Ok(proofs)
}

/// The statement that a drill took place, with its counts and without any path.
pub fn of_drill(drill: &Drill, vault_id: &str, restored_to: RestoredTo) -> Proof {
    let mut counts: BTreeMap<ShortfallKind, u64> = BTreeMap::new();
    for shortfall in &drill.shortfalls {
        *counts.entry(shortfall.kind).or_default() += 1;
    }
    let unreadable = drill.remarks.iter().filter(|remark| remark.kind == ShortfallKind::Undecodable).count();
    let rows = drill.census.databases.iter().flat_map(|database| database.tables.values()).sum();
    Proof {
        version: VERSION,
        vault_id: vault_id.to_owned(),
        snapshot: drill.snapshot.clone(),
        captured_at: drill.captured_at,
        proven_at: drill.finished_at,
        passed: drill.passed(),
        newest_record: drill.census.newest_record,
        rpo_seconds: drill.rpo_seconds,
        rto_first_chart_seconds: drill.rto_first_chart_seconds,
        rto_full_seconds: drill.rto_full_seconds,
        patients: drill.census.patients(),
        records: drill.records_decoded,
        unreadable_records: unreadable as u64,
        files: drill.census.files,
        bytes: drill.census.bytes,
        database_rows: rows,
        shortfalls: counts.into_iter().collect(),
        method: method::method(drill, restored_to, Lang::En),
        not_proven: drill.not_proven.clone(),
        evidence: Evidence {
            method_ja: method::method(drill, restored_to, Lang::Ja),
            ..drill.evidence.clone()
        },
    }
}

/// Writes a proof into the vault, with what the ledger signed about it.
pub fn store(vault: &Vault, proof: &Proof, ledger_entry: &[u8]) -> Result<SnapshotId, Error> {
    let text = serde_json::to_vec_pretty(proof)
        .map_err(|cause| Error::Engine { op: "write the proof", source: cause.into() })?;
    let files = vec![(PATH.to_owned(), text), (LEDGER_ENTRY_PATH.to_owned(), ledger_entry.to_vec())];
    vault.store_proof(files, proof.proven_at)
}

fn read(vault: &Vault, snapshot: &Snapshot) -> Option<Proof> {
    let files = vault.files(snapshot);
    let bytes = files.read(&files.entry(Path::new(PATH)).ok()?, BYTES_MAX).ok()?;
    serde_json::from_slice(&bytes).ok().filter(|proof: &Proof| proof.vault_id == vault.id())
}

/// The same folders of the same host, captured again and again.
pub struct Job {
    /// The host.
    pub hostname: String,
    /// The folders.
    pub paths: Vec<String>,
    /// Its snapshots, oldest first; never empty.
    pub snapshots: Vec<Snapshot>,
}

impl Job {
    /// Host and folders, for people.
    pub fn label(&self) -> String {
        format!("{} ({})", self.paths.join(", "), self.hostname)
    }
}

/// All jobs of a vault, in the order of their first snapshots.
pub fn jobs(vault: &Vault) -> Result<Vec<Job>, Error> {
    let mut jobs: Vec<Job> = Vec::new();
    for snapshot in data_snapshots(vault)? {
        let same = |job: &&mut Job| job.hostname == snapshot.hostname && job.paths == snapshot.paths;
        match jobs.iter_mut().find(same) {
            Some(job) => job.snapshots.push(snapshot),
            None => jobs.push(Job {
                hostname: snapshot.hostname.clone(),
                paths: snapshot.paths.clone(),
                snapshots: vec![snapshot],
            }),
        }
    }
    Ok(jobs)
}

/// The proof of the newest snapshot with patients that a drill passed and that is still in the vault; where no
/// proven snapshot has patients, of the newest one.
///
/// A snapshot whose last drill failed is not proven, whatever an earlier one found.
pub fn newest_proven(vault: &Vault) -> Result<Option<Proof>, Error> {
    let found = newest_proven_of(vault, |_, proof| proof.patients > 0)?;
    Ok(match found {
        Some(found) => Some(found),
        None => newest_proven_of(vault, |_, _| true)?,
    }
    .map(|(_, proof)| proof))
}

/// What an earlier snapshot held, by its own manifest and by the drill that proved it.
pub struct Earlier {
    /// Which it was.
    pub snapshot: Snapshot,
    /// Counted at capture.
    pub census: Census,
    /// Measured by its drill.
    pub proof: Proof,
    /// What changed from one drill of the same job to the next, oldest first.
    pub activity: Vec<Activity>,
}

/// The newest proven snapshot of the same job before this one: records do not become fewer by themselves.
pub fn newest_proven_before(vault: &Vault, snapshot: &Snapshot) -> Result<Option<Earlier>, Error> {
    let before = newest_proven_of(vault, |other, _| {
        other.time < snapshot.time && other.paths == snapshot.paths && other.hostname == snapshot.hostname
    })?;
    let Some((earlier, proof)) = before else { return Ok(None) };
    let Some(manifest) = manifest::read(vault, &earlier)? else { return Ok(None) };
    let same_job = |other: &Snapshot| {
        other.time < snapshot.time && other.paths == snapshot.paths && other.hostname == snapshot.hostname
    };
    let held = data_snapshots(vault)?;
    let of_job = |proof: &&Proof| held.iter().any(|other| other.id == proof.snapshot && same_job(other));
    let proofs = proofs(vault)?;
    let passed = proofs.iter().filter(|proof| proof.passed).filter(of_job);
    let activity = passed.filter_map(|proof| proof.evidence.activity).collect();
    Ok(Some(Earlier { snapshot: earlier, census: manifest.census, proof, activity }))
}

fn newest_proven_of(
    vault: &Vault,
    wanted: impl Fn(&Snapshot, &Proof) -> bool,
) -> Result<Option<(Snapshot, Proof)>, Error> {
    let proofs = proofs(vault)?;
    let proven = data_snapshots(vault)?.into_iter().rev().find_map(|snapshot| {
        let proof = standing(&snapshot.id, &proofs).filter(|proof| wanted(&snapshot, proof))?.clone();
        Some((snapshot, proof))
    });
    Ok(proven)
}

/// The proof that stands for the whole of a snapshot: of the last full drill, if that and every later one passed. A sample can only
/// take a proof away, never give one.
pub fn standing<'p>(snapshot: &SnapshotId, proofs: &'p [Proof]) -> Option<&'p Proof> {
    let of_it = proofs.iter().rev().filter(|proof| proof.snapshot == *snapshot);
    of_it.take_while(|proof| proof.passed).find(|proof| proof.is_full())
}
