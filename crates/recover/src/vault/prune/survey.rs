//! What lies in the repository and what of it is needed, pack by pack. Index files are read one after the other, twice; nothing but a
//! line for each pack and a bit for each blob stays in memory.

use std::collections::{HashMap, HashSet};

use super::super::file_kind::FileKind;
use super::super::id::{BlobKind, Id};
use super::super::pack::{self, Entry, cost};
use super::super::repository::Vault;
use super::used::{Bits, Blobs, Used};
use crate::Error;

/// How a pack is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// An index lists it.
    Indexed,
    /// Nobody lists it: what a backup that was killed, or one that runs beside without a lock, has left.
    Orphan,
    /// It is marked for removal and no index lists it.
    Marked,
}

/// A pack and what of it is needed.
#[derive(Debug, Clone)]
pub(crate) struct PackInfo {
    pub(crate) id: Id,
    pub(crate) known: Known,
    /// On the medium; `None` if it is missing.
    pub(crate) size: Option<u64>,
    /// As long as its entries say.
    pub(crate) is_whole: bool,
    /// Bytes of the blobs that are needed and counted here.
    pub(crate) used: u64,
    /// Bytes of all the others.
    pub(crate) unused: u64,
    /// Whether some of the others are needed, too, and counted for another pack.
    pub(crate) has_copies: bool,
}

pub(crate) struct Survey {
    pub(crate) packs: Vec<PackInfo>,
    pub(crate) blobs: Blobs,
    pub(crate) used: Used,
    /// Entries of the packs that no index lists.
    pub(crate) unlisted: HashMap<Id, Vec<Entry>>,
    pub(crate) index_files: Vec<Id>,
    pub(crate) problems: Vec<String>,
    /// Whether an index file cannot be read.
    pub(crate) damaged_index: bool,
    numbers: HashMap<Id, usize>,
}

/// Looks at a pack as an index lists it.
pub(crate) type SeeListed<'s> = dyn FnMut(Id, &[Entry]) -> Result<(), Error> + 's;

impl Survey {
    /// What is known of a pack.
    pub(crate) fn pack(&self, id: &Id) -> Option<&PackInfo> {
        self.number(id).map(|number| &self.packs[number])
    }

    /// Its place among the packs.
    pub(crate) fn number(&self, id: &Id) -> Option<usize> {
        self.numbers.get(id).copied()
    }
}

impl Vault {
    /// Looks at everything. [`Vault::load_index`] comes first, so that directories can be read.
    pub(crate) fn survey(&self) -> Result<Survey, Error> {
        let sizes = self.backend.list(FileKind::Pack)?;
        let index_files: Vec<Id> =
            self.backend.list(FileKind::Index)?.into_iter().map(|(id, _)| id).collect();
        let mut problems = Vec::new();
        let mut listed = HashSet::new();
        let mut blobs = Blobs::new(Vec::new());
        self.each_indexed(&index_files, &mut |id, entries| {
            listed.insert(id);
            blobs.extend(entries.iter().map(|entry| (entry.kind, entry.id)));
            Ok(())
        })
        .map(|damaged| problems.extend(damaged))?;
        let damaged_index = !problems.is_empty();
        let marked = self.marked_packs()?;
        let mut unlisted = HashMap::new();
        for (id, _) in sizes.iter().filter(|(id, _)| !listed.contains(id)) {
            let codec = self.codecs.take()?;
            match self.backend.open_pack(id).and_then(|file| pack::read_header(&codec, id, &file)) {
                Ok(entries) => {
                    blobs.extend(entries.iter().map(|entry| (entry.kind, entry.id)));
                    unlisted.insert(*id, entries);
                }
                Err(error) => {
                    problems.push(format!("a pack that no index lists cannot be read and stays: {error}"));
                }
            }
            self.codecs.give_back(codec);
        }
        blobs.order();
        let used = self.find_used(&blobs)?;
        if used.missing_total > 0 {
            let some: Vec<String> = used.missing.iter().map(Id::short).collect();
            let total = used.missing_total;
            problems.push(format!(
                "snapshots refer {total} times to content that is nowhere in the vault: {}",
                some.join(", ")
            ));
        }
        let mut survey = Survey {
            packs: Vec::new(),
            blobs,
            used,
            unlisted,
            index_files,
            problems,
            damaged_index,
            numbers: HashMap::new(),
        };
        self.count(&mut survey, &sizes, &marked)?;
        Ok(survey)
    }

    /// Counts each needed blob for one pack: whole ones come first, and among them those that an index lists.
    fn count(&self, survey: &mut Survey, sizes: &[(Id, u64)], marked: &HashSet<Id>) -> Result<(), Error> {
        let size_of = |id: &Id| sizes.binary_search_by_key(id, |(id, _)| *id).ok().map(|at| sizes[at].1);
        let mut counted = survey.blobs.bits();
        let files = survey.index_files.clone();
        let unlisted = std::mem::take(&mut survey.unlisted);
        for wants_whole in [true, false] {
            let mut count = |id: Id, entries: &[Entry], known: Known| {
                if survey.numbers.contains_key(&id) {
                    return;
                }
                let size = size_of(&id);
                if (size == Some(pack::expected_size(entries))) == wants_whole {
                    let info = weigh(id, known, size, wants_whole, entries, survey, &mut counted);
                    survey.numbers.insert(id, survey.packs.len());
                    survey.packs.push(info);
                }
            };
            self.each_indexed(&files, &mut |id, entries| {
                count(id, entries, Known::Indexed);
                Ok(())
            })?;
            for known in [Known::Orphan, Known::Marked] {
                for (id, entries) in &unlisted {
                    if marked.contains(id) == (known == Known::Marked) {
                        count(*id, entries, known);
                    }
                }
            }
        }
        survey.unlisted = unlisted;
        Ok(())
    }

    /// Reads index files one after the other and shows each pack, once for each time it is listed. Returns what is wrong with the files that
    /// cannot be read.
    pub(crate) fn each_indexed(&self, files: &[Id], see: &mut SeeListed<'_>) -> Result<Vec<String>, Error> {
        let mut damaged = Vec::new();
        for id in files {
            match self.load_index_file(id) {
                Ok(file) => {
                    file.packs.iter().try_for_each(|pack| see(pack.id, &pack.entries()))?;
                }
                Err(error @ (Error::Damaged { .. } | Error::TooLarge { .. })) => {
                    damaged.push(format!("{error}; the packs' headers are read instead"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(damaged)
    }
}

fn weigh(
    id: Id,
    known: Known,
    size: Option<u64>,
    is_whole: bool,
    entries: &[Entry],
    survey: &Survey,
    counted: &mut Bits,
) -> PackInfo {
    let mut info = PackInfo { id, known, size, is_whole, used: 0, unused: 0, has_copies: false };
    for entry in entries {
        let position = survey.blobs.position(entry.kind, &entry.id);
        match position.filter(|position| survey.used.bits.has(*position)) {
            Some(position) if counted.set(position) => info.used += cost(entry),
            Some(_) => {
                info.unused += cost(entry);
                info.has_copies = true;
            }
            None => info.unused += cost(entry),
        }
    }
    info
}

/// Whether an entry is needed by a snapshot.
pub(crate) fn is_used(survey: &Survey, kind: BlobKind, id: &Id) -> bool {
    survey.blobs.position(kind, id).is_some_and(|position| survey.used.bits.has(position))
}
