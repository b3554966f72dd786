//! Copying what is needed out of packs that hold little of it. Sealed blobs are copied as they are, each after it was opened and its
//! hash compared: sealing it anew would cost time and prove nothing more.

use super::super::codec::Codec;
use super::super::file_kind::FileKind;
use super::super::id::{BlobKind, Id};
use super::super::index::IndexedPack;
use super::super::pack::{Builder, Entry};
use super::super::repository::Vault;
use super::Packs;
use crate::Error;

/// New packs as they come into being.
pub(crate) struct Copies<'v> {
    vault: &'v Vault,
    codec: Codec,
    filling: [Builder; 2],
    /// Those that are written. Their names are not durable yet.
    pub(crate) packs: Vec<IndexedPack>,
    pub(crate) written: Packs,
}

/// What became of one pack's needed blobs.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Those that are in new packs now.
    pub(crate) copied: Vec<(BlobKind, Id)>,
    /// Those that could not be had from here; some may have been had from elsewhere.
    pub(crate) damaged: Vec<(BlobKind, Id)>,
    /// What was wrong, if anything.
    pub(crate) cause: Option<String>,
}

impl<'v> Copies<'v> {
    pub(crate) fn new(vault: &'v Vault) -> Result<Copies<'v>, Error> {
        let codec = vault.codecs.take()?;
        Ok(Copies { vault, codec, filling: Default::default(), packs: Vec::new(), written: Packs::default() })
    }

    /// Copies these blobs of a pack. Damage is no error: it is told, also where it hit what nobody needs.
    pub(crate) fn copy(&mut self, pack: &Id, wanted: &[Entry]) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        let content = match self.vault.backend.read_pack(pack) {
            Ok(content) => content,
            Err(error) => {
                outcome.cause = Some(error.chain());
                outcome.damaged = wanted.iter().map(|entry| (entry.kind, entry.id)).collect();
                return Ok(outcome);
            }
        };
        let mut opened = Vec::new();
        for entry in wanted {
            let start = entry.offset as usize;
            let sealed = content.get(start..start + entry.length as usize).unwrap_or_default();
            match self.codec.open_blob(
                entry.kind,
                &entry.id,
                &mut sealed.to_vec(),
                entry.uncompressed,
                &mut opened,
            ) {
                Ok(_) => {
                    self.push(entry, sealed)?;
                    outcome.copied.push((entry.kind, entry.id));
                }
                Err(cause) => {
                    outcome.cause.get_or_insert_with(|| cause.to_owned());
                    outcome.damaged.push((entry.kind, entry.id));
                }
            }
        }
        Ok(outcome)
    }

    fn push(&mut self, entry: &Entry, sealed: &[u8]) -> Result<(), Error> {
        let filling = &mut self.filling[entry.kind as usize];
        filling.push(entry.kind, entry.id, sealed, entry.uncompressed);
        if filling.is_full() { self.write(entry.kind) } else { Ok(()) }
    }

    fn write(&mut self, kind: BlobKind) -> Result<(), Error> {
        let pack = std::mem::take(&mut self.filling[kind as usize]);
        if pack.entries.is_empty() {
            return Ok(());
        }
        let (bytes, entries) = pack.seal(&self.vault.key)?;
        let id = Id::of(&bytes);
        self.vault.backend.save_pack(&id, &bytes)?;
        self.written.packs += 1;
        self.written.bytes += bytes.len() as u64;
        self.packs.push(IndexedPack::new(id, &entries));
        Ok(())
    }

    /// Writes what is still in memory and makes all new packs durable.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.write(BlobKind::Tree)?;
        self.write(BlobKind::Data)?;
        self.vault.backend.sync_packs(self.packs.iter().map(|pack| pack.id))
    }
}

impl Vault {
    /// Whether a blob can be read from one of the packs that `stays` names.
    pub(crate) fn is_good_elsewhere(
        &self,
        kind: BlobKind,
        id: &Id,
        stays: &dyn Fn(&Id) -> bool,
    ) -> Result<bool, Error> {
        let mut codec = self.codecs.take()?;
        let (mut buffer, mut opened) = (Vec::new(), Vec::new());
        let mut is_good = false;
        for place in self.index().locations(kind, id) {
            let pack = self.index().pack(place.pack).id;
            is_good = is_good
                || stays(&pack)
                    && self.backend.open_pack(&pack).is_ok_and(|file| {
                        file.read_at(place.offset.into(), place.length as usize, &mut buffer).is_ok()
                            && codec.open_blob(kind, id, &mut buffer, place.uncompressed, &mut opened).is_ok()
                    });
        }
        self.codecs.give_back(codec);
        Ok(is_good)
    }

    /// Removes files of a kind that are named, and makes that durable.
    pub(crate) fn remove_all(&self, kind: FileKind, ids: &[Id]) -> Result<(), Error> {
        ids.iter().try_for_each(|id| self.backend.remove(kind, id))?;
        if ids.is_empty() { Ok(()) } else { self.backend.sync_folder(kind) }
    }
}
