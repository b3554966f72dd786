//! Sending packs to the copy, a part of the snapshots at a time.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::PoisonError;

use rustix::fs::statvfs;

use super::super::file_kind::FileKind;
use super::super::id::{BlobKind, Id};
use super::super::index::{IndexFile, IndexedPack};
use super::super::pack::Entry;
use super::super::progress::{Phase, Progress};
use super::super::repository::Vault;
use super::super::snapshot::Snapshot;
use super::super::tree::{Kind, MAX_DEPTH};
use super::anchor::Anchor;
use super::{CopyReport, read_back};
use crate::Error;

/// Packs after which an index is written on the medium, so that one that is pulled out has not been filled for nothing.
const INDEX_PACKS: usize = 64;
/// Room that is left for directories, index and snapshots.
const SLACK: u64 = 8 << 20;

type Blob = (BlobKind, Id);

pub(super) struct Sending<'s> {
    source: &'s Vault,
    copy: &'s Vault,
    anchor: &'s Anchor,
    progress: &'s dyn Fn(Progress),
    /// Packs that were read back now.
    read: HashSet<Id>,
}

impl<'s> Sending<'s> {
    pub(super) fn new(
        source: &'s Vault,
        copy: &'s Vault,
        anchor: &'s Anchor,
        progress: &'s dyn Fn(Progress),
    ) -> Self {
        Sending { source, copy, anchor, progress, read: HashSet::new() }
    }

    /// Takes over what a copy that was cut off has left: packs that are whole are made known, others are taken away.
    pub(super) fn take_over(&mut self, report: &mut CopyReport) -> Result<(), Error> {
        self.copy.read_headers()?;
        let left = std::mem::take(&mut *self.copy.unindexed.lock().unwrap_or_else(PoisonError::into_inner));
        if left.is_empty() {
            return Ok(());
        }
        let mut packs = Vec::new();
        for pack in left {
            // Torn ones are no fault of the medium: it was pulled out while they were written.
            let mut torn = CopyReport::default();
            if self.reads_back(&pack.id, &mut torn)? {
                packs.push(pack);
            }
            report.read_back.direct += torn.read_back.direct;
            report.read_back.dropped += torn.read_back.dropped;
        }
        self.write_index(packs, report)?;
        self.copy.load_index()
    }

    /// Copies the packs that the snapshots need, then each snapshot whose packs all read back.
    pub(super) fn send(&mut self, snapshots: &[Snapshot], report: &mut CopyReport) -> Result<(), Error> {
        let packs = self.missing_packs(snapshots, report)?;
        let needed: u64 = packs.values().sum();
        if let Some(short) = self.room_short_of(needed) {
            report.bytes_without_room = short;
            return Ok(());
        }
        match self.send_packs(&packs, report) {
            Err(Error::VaultFull { .. }) => {
                report.bytes_without_room = needed.max(1);
                return Ok(());
            }
            other => other?,
        }
        let mut whole = HashSet::new();
        for snapshot in snapshots {
            match self.lacks(snapshot, &mut whole)? {
                Some(cause) => {
                    report.problem(format!("snapshot {} is not copied: {cause}", snapshot.id.short()))
                }
                None => self.send_snapshot(snapshot, report)?,
            }
        }
        Ok(())
    }

    /// Packs with something that the snapshots need and the copy lacks, with their lengths.
    fn missing_packs(
        &self,
        snapshots: &[Snapshot],
        report: &mut CopyReport,
    ) -> Result<BTreeMap<Id, u64>, Error> {
        let mut packs = BTreeMap::new();
        let mut seen = HashSet::new();
        for snapshot in snapshots {
            let walked = self.walk(self.source, snapshot, &mut seen, &mut |blob| {
                if !self.copy.index().has_whole(blob.0, &blob.1) {
                    let index = self.source.index();
                    if let Some(place) = index.location(blob.0, &blob.1) {
                        let pack = index.pack(place.pack);
                        packs.insert(pack.id, pack.expected);
                    }
                }
                true
            })?;
            if let Some(cause) = walked {
                report.problem(format!("snapshot {}: {cause}", snapshot.id.short()));
            }
        }
        Ok(packs)
    }

    /// Why a snapshot cannot be restored from the copy as it is now, if it cannot. `whole`: folders that were looked at before.
    fn lacks(&self, snapshot: &Snapshot, whole: &mut HashSet<Id>) -> Result<Option<String>, Error> {
        let before = whole.clone();
        let found =
            self.walk(self.copy, snapshot, whole, &mut |blob| self.copy.index().has_whole(blob.0, &blob.1))?;
        if found.is_some() {
            *whole = before;
        }
        Ok(found)
    }

    /// Walks a snapshot's folders in one of the two; ends with a cause when `look` refuses something or a folder cannot be read.
    fn walk(
        &self,
        vault: &Vault,
        snapshot: &Snapshot,
        seen: &mut HashSet<Id>,
        look: &mut dyn FnMut(Blob) -> bool,
    ) -> Result<Option<String>, Error> {
        let mut codec = vault.codecs.take()?;
        let mut stack = vec![(snapshot.tree, 0)];
        let mut cause = None;
        while let Some((tree, depth)) = stack.pop() {
            if cause.is_some() || depth > MAX_DEPTH || !seen.insert(tree) {
                continue;
            }
            if !look((BlobKind::Tree, tree)) {
                cause = Some(format!("folder {} is missing", tree.short()));
                continue;
            }
            let nodes = match vault.load_tree(&mut codec, &tree) {
                Ok(nodes) => nodes,
                Err(error) => {
                    cause = Some(error.chain());
                    continue;
                }
            };
            for node in nodes {
                if node.kind == Kind::Dir {
                    stack.extend(node.subtree.map(|tree| (tree, depth + 1)));
                    continue;
                }
                let lost =
                    node.content.unwrap_or_default().into_iter().find(|id| !look((BlobKind::Data, *id)));
                if let Some(id) = lost {
                    cause = Some(format!("content {} is missing", id.short()));
                }
            }
        }
        vault.codecs.give_back(codec);
        Ok(cause)
    }

    /// How many bytes there is no room for. A file system that does not say is tried.
    fn room_short_of(&self, needed: u64) -> Option<u64> {
        let room = statvfs(self.copy.dir()).ok().map(|it| it.f_bavail.saturating_mul(it.f_frsize))?;
        if needed == 0 { None } else { (needed + SLACK).checked_sub(room).filter(|short| *short > 0) }
    }

    fn send_packs(&mut self, packs: &BTreeMap<Id, u64>, report: &mut CopyReport) -> Result<(), Error> {
        let contents: BTreeMap<Id, Vec<Entry>> = {
            let index = self.source.index();
            // Where index files list a pack differently, the listing that fits its length is believed.
            let best = |id: &Id| {
                let mut listings = index.listings(id);
                let first = listings.next()?;
                let fits = |number: &u32| index.pack(*number).is_whole();
                Some(std::iter::once(first).chain(listings).find(fits).unwrap_or(first))
            };
            packs.keys().filter_map(|id| Some((*id, index.entries(best(id)?)))).collect()
        };
        let (mut done, mut bytes) = (0, 0);
        let mut written: Vec<Id> = Vec::new();
        for id in packs.keys() {
            match self.send_pack(id) {
                Ok(size) => {
                    written.push(*id);
                    bytes += size;
                    report.packs_copied += 1;
                    report.bytes_copied += size;
                }
                Err(error @ (Error::Damaged { .. } | Error::Missing { .. } | Error::TooLarge { .. })) => {
                    report.problem(format!("in the vault itself: {}", error.chain()));
                }
                Err(error) => {
                    // What is there already is taken over by the next copy. The first cause is what counts.
                    let _ = self.index(&mut written, &contents, report);
                    return Err(error);
                }
            }
            done += 1;
            (self.progress)(Progress { phase: Phase::Copy, done, total: Some(packs.len() as u64), bytes });
            if written.len() >= INDEX_PACKS {
                self.index(&mut written, &contents, report)?;
            }
        }
        self.index(&mut written, &contents, report)?;
        // What counts from here on is what the medium says it holds.
        self.copy.load_index()
    }

    /// Writes one pack and returns its length.
    fn send_pack(&self, id: &Id) -> Result<u64, Error> {
        let content = self.source.backend.read_pack(id)?;
        self.anchor.check()?;
        let path = self.copy.backend.path(FileKind::Pack, id);
        if path.exists() {
            // Whole, it would be in the copy's index: a medium that was pulled out kept the name and lost the content.
            self.copy.backend.remove(FileKind::Pack, id)?;
        }
        self.copy.backend.save_pack(id, &content)?;
        Ok(content.len() as u64)
    }

    /// Reads packs back, and makes those that are as they should be known to the copy.
    fn index(
        &mut self,
        written: &mut Vec<Id>,
        contents: &BTreeMap<Id, Vec<Entry>>,
        report: &mut CopyReport,
    ) -> Result<(), Error> {
        self.copy.backend.sync_packs(written.iter().copied())?;
        let mut packs = Vec::new();
        for id in written.drain(..) {
            let Some(entries) = contents.get(&id).filter(|entries| !entries.is_empty()) else { continue };
            if self.reads_back(&id, report)? {
                packs.push(IndexedPack::new(id, entries));
            }
        }
        self.write_index(packs, report)
    }

    fn write_index(&self, packs: Vec<IndexedPack>, report: &mut CopyReport) -> Result<(), Error> {
        if packs.is_empty() {
            return Ok(());
        }
        self.anchor.check()?;
        let (id, _) = self.copy.save_sealed(FileKind::Index, &IndexFile { packs })?;
        self.file_reads_back(FileKind::Index, &id, report)?;
        Ok(())
    }

    /// Whether a pack lies on the medium as it was written. One that does not is taken away again, so that it is written anew.
    fn reads_back(&mut self, id: &Id, report: &mut CopyReport) -> Result<bool, Error> {
        let is_whole = self.file_reads_back(FileKind::Pack, id, report)?;
        if is_whole {
            self.read.insert(*id);
        } else {
            self.copy.backend.remove(FileKind::Pack, id)?;
        }
        Ok(is_whole)
    }

    fn file_reads_back(&self, kind: FileKind, id: &Id, report: &mut CopyReport) -> Result<bool, Error> {
        let path = self.copy.backend.path(kind, id);
        let cause = match read_back::hash(&path, &mut report.read_back) {
            Ok(found) if found == *id => return Ok(true),
            Ok(_) => "it reads back differently from what was written".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.anchor.check()?;
                "it is missing".to_owned()
            }
            Err(error) => error.to_string(),
        };
        self.anchor.check()?;
        report.medium_fails = true;
        let name = path.strip_prefix(self.copy.dir()).unwrap_or(&path).display();
        report.problem(format!("on the medium, {name}: {cause}"));
        Ok(false)
    }

    fn send_snapshot(&self, snapshot: &Snapshot, report: &mut CopyReport) -> Result<(), Error> {
        let Some(id) = Id::from_hex(&snapshot.id.to_string()) else { return Ok(()) };
        let bytes = self.source.backend.read(FileKind::Snapshot, &id)?;
        self.anchor.check()?;
        self.copy.backend.save(FileKind::Snapshot, &bytes)?;
        if self.file_reads_back(FileKind::Snapshot, &id, report)? {
            report.snapshots_copied += 1;
        } else {
            self.copy.backend.remove(FileKind::Snapshot, &id)?;
        }
        Ok(())
    }

    /// Reads every file of the copy that was not read yet.
    pub(super) fn read_everything(&mut self, report: &mut CopyReport) -> Result<(), Error> {
        for kind in [FileKind::Key, FileKind::Index, FileKind::Snapshot] {
            for (id, _) in self.copy.backend.list(kind)? {
                self.file_reads_back(kind, &id, report)?;
            }
        }
        let packs = self.copy.backend.list(FileKind::Pack)?;
        let total = Some(packs.len() as u64);
        for (done, (id, _)) in packs.iter().enumerate() {
            if !self.read.contains(id) {
                self.file_reads_back(FileKind::Pack, id, report)?;
            }
            let bytes = report.read_back.bytes();
            (self.progress)(Progress { phase: Phase::ReadData, done: done as u64 + 1, total, bytes });
        }
        let missing = self.copy.index().packs().iter().filter(|pack| !pack.is_whole()).count();
        if missing > 0 {
            report.medium_fails = true;
            report.problem(format!("on the medium: {missing} packs are missing or cut short"));
        }
        Ok(())
    }
}
