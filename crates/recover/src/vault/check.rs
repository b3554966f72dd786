//! Whether a repository is whole, and what it costs whom where it is not.

mod files;
mod read;
mod report;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::file_kind::FileKind;
use super::id::{BlobKind, Id};
use super::lock;
use super::progress::Progress;
use super::reads::{Portion, Reads};
use super::repository::Vault;
use crate::Error;
pub use report::{CheckReport, Problem};
use walk::name_damage;

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckLevel {
    /// Index, packs' presence and length, snapshots and directories.
    Structure,
    /// All of it, and every byte of every pack.
    ReadData,
}

/// What a check looks at.
#[derive(Debug, Clone)]
pub struct CheckRequest {
    /// How much of the packs is read; `None` for the structure alone.
    pub data: Option<Portion>,
    /// A folder outside the vault with the record of what was read when. Without it a portion begins anew each time.
    pub reads: Option<PathBuf>,
    /// The moment to note there.
    pub now: Timestamp,
    /// How long a pack counts as read.
    pub within: SignedDuration,
}

impl CheckRequest {
    /// A check that reads this much, and leaves no record.
    pub fn new(data: Option<Portion>) -> CheckRequest {
        CheckRequest { data, reads: None, now: Timestamp::now(), within: READ_WITHIN }
    }
}

/// Every byte is to be read once in a month.
pub(crate) const READ_WITHIN: SignedDuration = SignedDuration::from_hours(31 * 24);

/// What is damaged: the blobs by pack, and the packs' own troubles.
#[derive(Default)]
struct Damage {
    packs: BTreeMap<Id, String>,
    blobs: HashMap<(BlobKind, Id), Vec<Id>>,
}

impl Vault {
    /// Checks the repository and names every problem and the files it costs.
    pub fn check(&self, level: CheckLevel, progress: &dyn Fn(Progress)) -> Result<CheckReport, Error> {
        let data = (level == CheckLevel::ReadData).then_some(Portion::All);
        self.check_as(&CheckRequest::new(data), progress)
    }

    /// As [`Vault::check`], of a portion, and with a record of what was read when.
    pub fn check_as(
        &self,
        request: &CheckRequest,
        progress: &dyn Fn(Progress),
    ) -> Result<CheckReport, Error> {
        let mut report = CheckReport::default();
        if let Some(owner) = lock::exclusive_owner(&self.backend, &self.codecs)? {
            report.notes.push(format!(
                "the vault is locked exclusively by {owner}: what is being changed may look wrong"
            ));
        }
        // Before the index: a backup that ends meanwhile writes its snapshot last, which would seem to lack its packs.
        let (snapshots, damaged) = self.snapshots()?;
        self.load_index()?;
        self.check_index_files(&mut report)?;
        self.check_small_files(&mut report)?;
        let mut damage = self.check_packs();
        report.packs = self.index().by_pack().len() as u64;
        report.blobs = self.index().blobs();
        self.read_portion(request, &mut damage, &mut report, progress)?;
        report.snapshots = snapshots.len() as u64;
        for error in damaged {
            report.problems.push(Problem::new(
                &error.chain(),
                "the other snapshots are not affected; fetch this file from another copy of the vault",
            ));
        }
        let walked = self.walk_snapshots(&snapshots, &damage, progress)?;
        name_damage(damage, walked, &mut report);
        report.notes.extend(self.notes());
        Ok(report)
    }

    fn read_portion(
        &self,
        request: &CheckRequest,
        damage: &mut Damage,
        report: &mut CheckReport,
        progress: &dyn Fn(Progress),
    ) -> Result<(), Error> {
        let there = self.packs_there();
        let mut reads = request.reads.as_deref().map(|folder| Reads::load(folder, self));
        if let Some(portion) = request.data {
            let nothing_known = Reads::default();
            let chosen = reads.as_ref().unwrap_or(&nothing_known).choose(&there, portion);
            let packs: Vec<Vec<u32>> = {
                let index = self.index();
                chosen.iter().map(|at| index.listings(&there[*at].0).collect()).collect()
            };
            report.packs_read = packs.len() as u64;
            report.bytes_read = self.read_packs(&packs, damage, progress)?;
            if let Some(reads) = &mut reads {
                reads.note(&there, &chosen, |id| damage.packs.contains_key(id), request.now);
                if let Err(error) = reads.save(self) {
                    // What was found still counts; the next check reads the same part again.
                    report.notes.push(format!("what was read cannot be noted: {}", error.chain()));
                }
            }
        }
        report.coverage = reads.map(|reads| reads.coverage(&there, request.now, request.within));
        Ok(())
    }

    fn check_index_files(&self, report: &mut CheckReport) -> Result<(), Error> {
        let next = "nothing is lost by it; `restic rebuild-index` (`repair index` in newer versions) writes a new one";
        let files = self.backend.list(FileKind::Index)?;
        for (id, _) in &files {
            if let Err(error) = self.load_file(FileKind::Index, "index", id) {
                report.problems.push(Problem::new(&error.chain(), next));
            }
        }
        // Without a snapshot, it is what a first backup left that was killed before it wrote one.
        let has_snapshots = !self.backend.list(FileKind::Snapshot)?.is_empty();
        if files.is_empty() && has_snapshots && !self.index().packs().is_empty() {
            report.problems.push(Problem::new("the index is lost", next));
        }
        Ok(())
    }

    /// Packs that are missing or have the wrong length, and blobs that only they hold.
    fn check_packs(&self) -> Damage {
        let mut damage = Damage::default();
        let index = self.index();
        for (number, pack) in index.packs().iter().enumerate() {
            let cause = match pack.size {
                None => "it is missing".to_owned(),
                Some(size) if size != pack.expected => {
                    format!("it has {size} bytes and should have {}", pack.expected)
                }
                Some(_) => continue,
            };
            damage.packs.insert(pack.id, cause);
            // Of a pack that is there, some blobs may be; reading tells.
            for entry in index.entries(number as u32) {
                let end = u64::from(entry.offset) + u64::from(entry.length);
                if pack.size.is_none_or(|size| end > size) {
                    damage.blobs.entry((entry.kind, entry.id)).or_default().push(pack.id);
                }
            }
        }
        damage
    }
}
