//! A second copy of the vault, on another medium: the same repository with the same keys, so every passphrase and every proof counts there.
//!
//! Packs are copied as they are, byte for byte. The order is packs → index → read back from the medium → snapshots: a snapshot that the copy
//! lists was read there from beginning to end. Whoever pulls the medium out in between leaves packs that the next copy takes over.

mod anchor;
mod read_back;
mod send;

use std::path::{Path, PathBuf};

use schema::SnapshotId;
use serde::{Deserialize, Serialize};

use self::anchor::Anchor;
pub use self::read_back::ReadBack;
use super::backend::Backend;
use super::file_kind::FileKind;
use super::lock::Lock;
use super::progress::Progress;
use super::repository::Vault;
use super::snapshot::Snapshot;
use crate::Error;

/// What is copied, and how well it is looked at.
#[derive(Debug, Clone, Default)]
pub struct CopyRequest {
    /// Snapshots that go before all others: should the medium run full, these are on it.
    pub first: Vec<SnapshotId>,
    /// Only so many of the newest snapshots of each job, and `first`; `None`: all of them.
    pub newest: Option<usize>,
    /// Whether everything on the medium is read back, not only what was written now.
    pub read_all: bool,
}

/// What a copy came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CopyReport {
    /// Snapshots that were copied now, those that hold proofs among them.
    pub snapshots_copied: u64,
    /// Snapshots of protected data on the medium now.
    pub snapshots: u64,
    /// Packs that were written now.
    pub packs_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// How what was read back came from the medium.
    pub read_back: ReadBack,
    /// What is wrong: with the vault, so that a snapshot could not be copied, or with the medium.
    pub problems: Vec<String>,
    /// Whether something of it is the medium's fault: what was written reads back differently, or not at all.
    pub medium_fails: bool,
    /// Bytes that there was no room for. What was copied before is whole.
    pub bytes_without_room: u64,
}

impl CopyReport {
    /// Whether everything that was asked for is on the medium and was read there.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty() && !self.medium_fails && self.bytes_without_room == 0
    }

    /// Notes a problem, as many as anybody reads.
    fn problem(&mut self, text: String) {
        if self.problems.len() < 200 && !self.problems.contains(&text) {
            self.problems.push(text);
        }
    }
}

impl Vault {
    /// Opens the copy of this vault in another folder. It needs no passphrase of its own.
    pub fn open_copy(&self, dir: &Path) -> Result<Vault, Error> {
        let copy = self.beside(Backend::new(&dir.into())?)?;
        copy.load_index()?;
        Ok(copy)
    }

    /// Makes the copy's repository in a folder that is missing or empty: folders, keys and configuration, no snapshot yet.
    pub fn begin_copy(&self, dir: &Path) -> Result<(), Error> {
        let backend = Backend::new(&dir.into())?;
        if backend.probe().is_ok() {
            return Err(Error::NotEmpty { dir: dir.to_owned() });
        }
        backend.create_layout()?;
        self.copy_keys(&backend)?;
        // Last: a folder with a config is a repository.
        backend.save_config(&self.backend.read_config()?)
    }

    /// Passphrases that were added since open the copy, too. Those that were removed still do: whoever has the medium had them.
    fn copy_keys(&self, to: &Backend) -> Result<(), Error> {
        for (id, _) in self.backend.list(FileKind::Key)? {
            if !to.path(FileKind::Key, &id).exists() {
                to.save(FileKind::Key, &self.backend.read(FileKind::Key, &id)?)?;
            }
        }
        Ok(())
    }

    /// Copies what the copy in `to` lacks and reads it back from there. Nothing on it is removed but what does not match its name.
    pub fn copy_to(
        &self,
        to: &Path,
        request: &CopyRequest,
        progress: &dyn Fn(Progress),
    ) -> Result<CopyReport, Error> {
        let _source = Lock::take(&self.backend, &self.codecs)?;
        let anchor = Anchor::hold(to)?;
        let copy = self.open_copy(to)?;
        let lock = Lock::take(&copy.backend, &copy.codecs)?;
        self.copy_keys(&copy.backend)?;
        if lock.alone {
            copy.backend.remove_temporary_files()?;
        }
        let mut report = CopyReport::default();
        let (first, rest) = self.wanted(&copy, request, &mut report)?;
        let mut sending = send::Sending::new(self, &copy, &anchor, progress);
        sending.take_over(&mut report)?;
        for part in [first, rest] {
            if !part.is_empty() && report.bytes_without_room == 0 {
                sending.send(&part, &mut report)?;
            }
        }
        if request.read_all {
            sending.read_everything(&mut report)?;
        }
        let (held, unreadable) = copy.snapshots()?;
        report.snapshots = held.iter().filter(|snapshot| !snapshot.is_proof()).count() as u64;
        for error in unreadable {
            report.medium_fails = true;
            report.problem(error.chain());
        }
        anchor.check()?;
        Ok(report)
    }

    /// Reads everything in this vault from its medium and compares it with its names. For a copy on a medium that comes back from the shelf.
    pub fn read_back(&self, progress: &dyn Fn(Progress)) -> Result<CopyReport, Error> {
        let anchor = Anchor::hold(self.dir())?;
        let mut report = CopyReport::default();
        let mut sending = send::Sending::new(self, self, &anchor, progress);
        sending.read_everything(&mut report)?;
        let check = self.check(super::CheckLevel::Structure, progress)?;
        for problem in check.problems {
            report.medium_fails = true;
            report.problem(problem.to_string());
        }
        let (held, _) = self.snapshots()?;
        report.snapshots = held.iter().filter(|snapshot| !snapshot.is_proof()).count() as u64;
        anchor.check()?;
        Ok(report)
    }

    /// What the copy lacks: what goes first, and the rest, newest first.
    fn wanted(
        &self,
        copy: &Vault,
        request: &CopyRequest,
        report: &mut CopyReport,
    ) -> Result<(Vec<Snapshot>, Vec<Snapshot>), Error> {
        let (mut all, unreadable) = self.snapshots()?;
        unreadable.iter().for_each(|error| report.problem(format!("not copied: {}", error.chain())));
        if let Some(newest) = request.newest {
            let jobs = crate::proof::jobs(self)?;
            let kept = |job: &crate::proof::Job| {
                job.snapshots.iter().rev().take(newest).map(|s| s.id.clone()).collect::<Vec<_>>()
            };
            let kept: Vec<SnapshotId> = jobs.iter().flat_map(kept).collect();
            // Proofs are small, and one of a snapshot that is not there counts for nothing.
            all.retain(|s| s.is_proof() || kept.contains(&s.id) || request.first.contains(&s.id));
        }
        let there = copy.backend.list(FileKind::Snapshot)?;
        let has =
            |s: &Snapshot| there.iter().any(|(id, size)| *size > 0 && id.to_string() == s.id.to_string());
        all.retain(|snapshot| !has(snapshot));
        all.reverse();
        Ok(all.into_iter().partition(|s| s.is_proof() || request.first.contains(&s.id)))
    }
}

/// Where the copy lies on a medium.
pub fn folder_on(medium: &Path) -> PathBuf {
    medium.join("vault")
}
