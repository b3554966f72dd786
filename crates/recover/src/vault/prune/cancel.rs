//! Taking back what a prune or a forget was to remove. Both go on beside backups and under a hold: nothing is removed by them.

use std::collections::HashSet;

use super::super::file_kind::FileKind;
use super::super::id::Id;
use super::super::index::IndexedPack;
use super::super::lock::Lock;
use super::super::pack;
use super::super::repository::Vault;
use super::super::snapshot::Snapshot;
use super::Packs;
use super::index_writer::IndexWriter;
use super::used::Blobs;
use crate::Error;

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CancelReport {
    /// Packs that the index lists again.
    pub packs: Packs,
    /// Packs that are damaged or gone.
    pub problems: Vec<String>,
}

impl Vault {
    /// Takes back every pack that is marked and not yet removed.
    pub fn cancel_prune(&self) -> Result<CancelReport, Error> {
        let _lock = Lock::take(&self.backend, &self.codecs)?;
        self.take_back_marked()
    }

    fn take_back_marked(&self) -> Result<CancelReport, Error> {
        let files: Vec<Id> = self.backend.list(FileKind::Index)?.into_iter().map(|(id, _)| id).collect();
        let mut listed = HashSet::new();
        self.each_indexed(&files, &mut |id, _| {
            listed.insert(id);
            Ok(())
        })?;
        let marks = self.marks()?;
        let mut report = CancelReport::default();
        let mut writer = IndexWriter::new(self);
        let codec = self.codecs.take()?;
        let packs: HashSet<Id> = marks.iter().flat_map(|(_, mark)| mark.packs.iter().copied()).collect();
        let unlisted: Vec<Id> = packs.into_iter().filter(|id| !listed.contains(id)).collect();
        self.backend.sync_packs(unlisted.iter().copied())?;
        for id in unlisted {
            let read = self
                .backend
                .open_pack(&id)
                .and_then(|file| pack::read_header(&codec, &id, &file).map(|entries| (file.size, entries)));
            match read {
                Ok((size, entries)) => {
                    report.packs.packs += 1;
                    report.packs.bytes += size;
                    writer.add(IndexedPack::new(id, &entries))?;
                }
                Err(error) => report.problems.push(error.chain()),
            }
        }
        self.codecs.give_back(codec);
        writer.finish()?;
        let names: Vec<Id> = marks.into_iter().map(|(id, _)| id).collect();
        self.remove_all(FileKind::Mark, &names)?;
        self.load_index()?;
        Ok(report)
    }

    /// Snapshots that were forgotten and can perhaps be taken back, oldest first.
    pub fn forgotten(&self) -> Result<Vec<Snapshot>, Error> {
        let ids = self.backend.list(FileKind::Forgotten)?;
        let mut snapshots: Vec<Snapshot> =
            ids.iter().filter_map(|(id, _)| self.load_snapshot_of(FileKind::Forgotten, id).ok()).collect();
        snapshots.sort_by_key(|snapshot| snapshot.time);
        Ok(snapshots)
    }

    /// Takes back a forgotten snapshot, with what a prune has marked since. Fails if something that it needs is gone.
    pub fn unforget(&self, wanted: &str) -> Result<Snapshot, Error> {
        let _lock = Lock::take(&self.backend, &self.codecs)?;
        let missing = || Error::SnapshotNotFound { wanted: wanted.to_owned() };
        let mut matching = self.forgotten()?;
        matching.retain(|snapshot| !wanted.is_empty() && snapshot.id.0.starts_with(wanted));
        let snapshot = matching.pop().ok_or_else(missing)?;
        if !matching.is_empty() {
            return Err(Error::SnapshotAmbiguous { wanted: wanted.to_owned() });
        }
        self.take_back_marked()?;
        self.ensure_restorable(snapshot.tree)?;
        let id = Id::from_hex(&snapshot.id.0).ok_or_else(missing)?;
        self.backend.move_to(FileKind::Forgotten, FileKind::Snapshot, &id)?;
        Ok(snapshot)
    }

    /// Whether all that a snapshot with this root needs is in packs that are there.
    pub(crate) fn ensure_restorable(&self, tree: Id) -> Result<(), Error> {
        let mut blobs = Blobs::new(Vec::new());
        let index = self.index();
        for (number, _) in (0u32..).zip(index.packs()).filter(|(_, pack)| pack.is_whole()) {
            blobs.extend(index.entries(number).iter().map(|entry| (entry.kind, entry.id)));
        }
        drop(index);
        blobs.order();
        let used = self.find_used_by(&blobs, tree)?;
        match used.missing.first() {
            Some(id) => Err(Error::Missing { what: "blob", id: id.to_string() }),
            None => Ok(()),
        }
    }
}
