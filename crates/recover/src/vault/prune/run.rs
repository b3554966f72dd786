//! Carrying a plan out, step by step, each durable before the next.

use std::collections::HashSet;

use super::super::file_kind::FileKind;
use super::super::forget::ForgetNote;
use super::super::id::Id;
use super::super::index::IndexedPack;
use super::super::lock::Lock;
use super::super::pack::Entry;
use super::super::progress::{Phase, Progress};
use super::super::repository::Vault;
use super::super::write::INDEX_BLOBS;
use super::index_writer::IndexWriter;
use super::marks::{MarkFile, is_due};
use super::repack::Copies;
use super::survey::{Known, PackInfo, Survey, is_used};
use super::used::Bits;
use super::{Fate, Packs, Prepared, PruneReport, PruneRequest};
use crate::Error;

/// Index files that are left alone even if one would do.
const FEW_INDEX_FILES: usize = 16;
/// Packs that are removed between two looks at the lock.
const BATCH: usize = 64;

impl Vault {
    /// Prunes, with nobody else working on the repository.
    ///
    /// Damage does not end it: what is damaged stays and is named. It ends before it removes anything if it cannot tell what is needed.
    pub fn prune(&self, request: &PruneRequest, progress: &dyn Fn(Progress)) -> Result<PruneReport, Error> {
        let lock = Lock::take_exclusive(&self.backend, &self.codecs)?;
        self.backend.remove_temporary_files()?;
        let Prepared { plan, survey, fates } = self.prepare_prune(request)?;
        let problems = plan.problems.clone();
        let none = Packs::default();
        let report = PruneReport { plan, written: none, marked: none, removed: none, problems };
        let mut run = Run { vault: self, lock, request, survey, fates, report };
        run.carry_out(progress)?;
        self.load_index()?;
        Ok(run.report)
    }
}

struct Run<'v> {
    vault: &'v Vault,
    lock: Lock,
    request: &'v PruneRequest,
    survey: Survey,
    fates: Vec<Fate>,
    report: PruneReport,
}

/// Looks at a pack and its entries.
type See<'s> = dyn FnMut(&PackInfo, &[Entry]) -> Result<(), Error> + 's;
/// The same, and may change what becomes of it.
type Change<'s> = dyn FnMut(&mut Run<'_>, &PackInfo, &[Entry]) -> Result<(), Error> + 's;

impl Run<'_> {
    fn carry_out(&mut self, progress: &dyn Fn(Progress)) -> Result<(), Error> {
        // What is due goes first: on a full medium, nothing can be written before.
        self.verify_what_stays(&self.survey.blobs.bits(), &[Fate::Due])?;
        self.remove(&[Fate::Due], progress)?;
        let mut copies = Copies::new(self.vault)?;
        let copied = self.copy(&mut copies, progress)?;
        self.verify_what_stays(&copied, &[Fate::Remove, Fate::Repack])?;
        if self.needs_new_index() {
            self.write_index(copies.packs)?;
            self.mark()?;
            self.lock.ensure_held()?;
            self.vault.remove_all(FileKind::Index, &self.survey.index_files)?;
        }
        self.report.written = copies.written;
        if !self.request.delay.is_positive() {
            self.remove(&[Fate::Remove, Fate::Repack], progress)?;
        }
        self.tidy_marks()?;
        self.let_go_of_forgotten()
    }

    /// Copies what is needed out of the packs that go. Fails if the last copy of something would go.
    fn copy(&mut self, copies: &mut Copies<'_>, progress: &dyn Fn(Progress)) -> Result<Bits, Error> {
        let mut stays = self.survey.blobs.bits();
        let mut at_risk = self.survey.blobs.bits();
        let mut copied = self.survey.blobs.bits();
        self.each_pack(&mut |run, info, entries| {
            let kept = if info.is_whole { &mut stays } else { &mut at_risk };
            if run.fate(&info.id) == Fate::Keep {
                let positions = entries.iter().filter_map(|e| run.survey.blobs.position(e.kind, &e.id));
                positions.for_each(|position| {
                    kept.set(position);
                });
            }
            Ok(())
        })?;
        let total = self.report.plan.repack;
        let mut done = Packs::default();
        self.each_pack(&mut |run, info, entries| {
            if run.fate(&info.id) != Fate::Repack {
                return Ok(());
            }
            let blobs = &run.survey.blobs;
            let is_wanted = |entry: &&Entry| {
                blobs.position(entry.kind, &entry.id).is_some_and(|position| {
                    run.survey.used.bits.has(position) && !stays.has(position) && !copied.has(position)
                })
            };
            let wanted: Vec<Entry> = entries.iter().filter(is_wanted).copied().collect();
            run.lock.ensure_held()?;
            let outcome = copies.copy(&info.id, &wanted)?;
            let position = |(kind, id): &_| blobs.position(*kind, id);
            outcome.copied.iter().filter_map(position).for_each(|position| {
                copied.set(position);
            });
            outcome.damaged.iter().filter_map(position).for_each(|position| {
                at_risk.set(position);
            });
            if let Some(cause) = outcome.cause {
                run.keep(&info.id, format!("pack {} stays, since it is damaged: {cause}", info.id));
            }
            done.packs += 1;
            done.bytes += info.used;
            progress(Progress {
                phase: Phase::Repack,
                done: done.packs,
                total: Some(total.packs),
                bytes: done.bytes,
            });
            Ok(())
        })?;
        copies.finish()?;
        match self.survey.used.bits.count_outside(&[&stays, &at_risk, &copied]) {
            0 => Ok(copied),
            blobs => Err(Error::WouldLose { dir: self.vault.dir().to_owned(), blobs }),
        }
    }

    /// Reads what stays of each blob of which a copy goes. Where no good one stays, the copy does not go.
    fn verify_what_stays(&mut self, copied: &Bits, going: &[Fate]) -> Result<(), Error> {
        let mut verified = self.survey.blobs.bits();
        self.each_pack(&mut |run, info, entries| {
            if !going.contains(&run.fate(&info.id))
                || info.size.is_none()
                || !(info.has_copies || info.known == Known::Marked)
            {
                return Ok(());
            }
            for entry in entries.iter().filter(|entry| is_used(&run.survey, entry.kind, &entry.id)) {
                let Some(position) = run.survey.blobs.position(entry.kind, &entry.id) else { continue };
                if copied.has(position) || verified.has(position) {
                    continue;
                }
                let stays = |id: &Id| run.fate(id) == Fate::Keep;
                if run.vault.is_good_elsewhere(entry.kind, &entry.id, &stays)? {
                    verified.set(position);
                    continue;
                }
                let text = format!(
                    "pack {} stays, since it may hold the last good copy of {}: the other is damaged",
                    info.id,
                    entry.id.short()
                );
                run.keep(&info.id, text);
                return Ok(());
            }
            Ok(())
        })
    }

    fn needs_new_index(&self) -> bool {
        let changes = self.survey.packs.iter().zip(&self.fates).any(|(pack, fate)| match fate {
            Fate::Remove | Fate::Repack => true,
            Fate::Keep => pack.known != Known::Indexed,
            Fate::Wait | Fate::Due => false,
        });
        let needed = self.survey.blobs.len() / INDEX_BLOBS + 1;
        let files = self.survey.index_files.len();
        changes || (files > FEW_INDEX_FILES && files > 4 * needed) || self.survey.damaged_index
    }

    /// Writes an index of all that stays and of what was copied, and reads it back.
    fn write_index(&self, new: Vec<IndexedPack>) -> Result<(), Error> {
        let mut writer = IndexWriter::new(self.vault);
        self.each_pack_of(&mut |info, entries| {
            if self.fate(&info.id) == Fate::Keep {
                writer.add(IndexedPack::new(info.id, entries))?;
            }
            Ok(())
        })?;
        new.into_iter().try_for_each(|pack| writer.add(pack))?;
        writer.finish()
    }

    fn mark(&mut self) -> Result<(), Error> {
        let going = |run: &Run<'_>, at: usize| matches!(run.fates[at], Fate::Remove | Fate::Repack);
        let mut marked = Packs::default();
        let mut packs = Vec::new();
        for (at, pack) in self.survey.packs.iter().enumerate() {
            if going(self, at) && pack.size.is_some() {
                marked.add(pack);
                packs.push(pack.id);
            }
        }
        self.report.marked = marked;
        if packs.is_empty() {
            return Ok(());
        }
        self.vault.save_sealed(FileKind::Mark, &MarkFile::new(&self.request.now, packs)).map(|_| ())
    }

    /// The second phase; without a delay, also for what was just marked.
    fn remove(&mut self, fates: &[Fate], progress: &dyn Fn(Progress)) -> Result<(), Error> {
        let all = self.survey.packs.iter().zip(&self.fates);
        let goes = all.filter(|(pack, fate)| fates.contains(fate) && pack.size.is_some());
        let due: Vec<&PackInfo> = goes.map(|(pack, _)| pack).collect();
        let mut removed = self.report.removed;
        for batch in due.chunks(BATCH) {
            self.lock.ensure_held()?;
            for pack in batch {
                self.vault.backend.remove(FileKind::Pack, &pack.id)?;
                removed.add(pack);
            }
            self.vault.backend.sync_packs(batch.iter().map(|pack| pack.id))?;
            progress(Progress {
                phase: Phase::Remove,
                done: removed.packs,
                total: Some(due.len() as u64),
                bytes: removed.bytes,
            });
        }
        self.report.removed = removed;
        Ok(())
    }

    /// Leaves in the lists what still waits: not what is gone, nor what an index listed when this run began.
    fn tidy_marks(&self) -> Result<(), Error> {
        let present: HashSet<Id> =
            self.vault.backend.list(FileKind::Pack)?.into_iter().map(|(id, _)| id).collect();
        let begun_before = |id: &Id| self.survey.pack(id).is_some_and(|pack| pack.known == Known::Marked);
        for (id, mark) in self.vault.marks()? {
            let is_new = mark.at == self.request.now.at;
            let waits = |pack: &Id| {
                present.contains(pack) && self.fate(pack) != Fate::Keep && (is_new || begun_before(pack))
            };
            let left: Vec<Id> = mark.packs.iter().copied().filter(waits).collect();
            if left.len() == mark.packs.len() {
                continue;
            }
            if !left.is_empty() {
                self.vault.save_sealed(FileKind::Mark, &MarkFile { packs: left, ..mark })?;
            }
            self.vault.remove_all(FileKind::Mark, &[id])?;
        }
        // A list that cannot be read marks nothing, and its packs were judged anew.
        let readable: HashSet<Id> = self.vault.marks()?.into_iter().map(|(id, _)| id).collect();
        let mut left: Vec<Id> =
            self.vault.backend.list(FileKind::Mark)?.into_iter().map(|(id, _)| id).collect();
        left.retain(|id| !readable.contains(id));
        self.vault.remove_all(FileKind::Mark, &left)
    }

    /// Removes the files of snapshots whose content may be gone now.
    fn let_go_of_forgotten(&self) -> Result<(), Error> {
        // Of several notes the latest counts: in between, the snapshot was taken back.
        let (due, waiting): (Vec<_>, Vec<_>) =
            self.vault.forget_notes()?.into_iter().partition(|note| {
                is_due(note.at, note.uptime.as_ref(), self.request.delay, &self.request.now)
            });
        let named = |notes: Vec<ForgetNote>| -> HashSet<Id> {
            notes.into_iter().flat_map(|note| note.snapshots).filter_map(|id| Id::from_hex(&id.0)).collect()
        };
        let (due, waiting) = (named(due), named(waiting));
        let mut forgotten: Vec<Id> =
            self.vault.backend.list(FileKind::Forgotten)?.into_iter().map(|(id, _)| id).collect();
        forgotten.retain(|id| due.contains(id) && !waiting.contains(id));
        self.vault.remove_all(FileKind::Forgotten, &forgotten)
    }

    fn fate(&self, id: &Id) -> Fate {
        self.survey.number(id).map_or(Fate::Keep, |number| self.fates[number])
    }

    fn keep(&mut self, id: &Id, problem: String) {
        if let Some(number) = self.survey.number(id) {
            self.fates[number] = Fate::Keep;
            self.report.problems.push(problem);
        }
    }

    fn each_pack_of(&self, see: &mut See<'_>) -> Result<(), Error> {
        let mut seen = HashSet::new();
        self.vault.each_indexed(&self.survey.index_files, &mut |id, entries| match self
            .survey
            .pack(&id)
            .filter(|_| seen.insert(id))
        {
            Some(info) => see(info, entries),
            None => Ok(()),
        })?;
        for (id, entries) in &self.survey.unlisted {
            if let Some(info) = self.survey.pack(id).filter(|_| seen.insert(*id)) {
                see(info, entries)?;
            }
        }
        Ok(())
    }

    /// Shows each pack once, with the entries that it was judged by, to something that may change its fate.
    fn each_pack(&mut self, see: &mut Change<'_>) -> Result<(), Error> {
        let files = self.survey.index_files.clone();
        let unlisted = std::mem::take(&mut self.survey.unlisted);
        let mut seen = HashSet::new();
        let vault = self.vault;
        let mut show = |id: Id, entries: &[Entry]| match self.survey.pack(&id).cloned() {
            Some(info) if seen.insert(id) => see(self, &info, entries),
            _ => Ok(()),
        };
        let mut shown = vault.each_indexed(&files, &mut show).map(|_| ());
        for (id, entries) in &unlisted {
            shown = shown.and_then(|()| show(*id, entries));
        }
        self.survey.unlisted = unlisted;
        shown
    }
}
