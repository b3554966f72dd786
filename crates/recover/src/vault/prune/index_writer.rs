use super::super::file_kind::FileKind;
use super::super::index::{IndexFile, IndexedPack};
use super::super::repository::Vault;
use super::super::write::INDEX_BLOBS;
use crate::Error;

/// Writes index files of bounded size.
pub(crate) struct IndexWriter<'v> {
    vault: &'v Vault,
    packs: Vec<IndexedPack>,
    blobs: usize,
}

impl<'v> IndexWriter<'v> {
    pub(crate) fn new(vault: &'v Vault) -> IndexWriter<'v> {
        IndexWriter { vault, packs: Vec::new(), blobs: 0 }
    }

    pub(crate) fn add(&mut self, pack: IndexedPack) -> Result<(), Error> {
        self.blobs += pack.blobs();
        self.packs.push(pack);
        if self.blobs >= INDEX_BLOBS { self.write() } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> Result<(), Error> {
        if self.packs.is_empty() { Ok(()) } else { self.write() }
    }

    /// Writes a file and reads it back: those that it replaces are removed next.
    fn write(&mut self) -> Result<(), Error> {
        self.blobs = 0;
        let file = IndexFile { packs: std::mem::take(&mut self.packs) };
        let (id, _) = self.vault.save_sealed(FileKind::Index, &file)?;
        self.vault.load_index_file(&id).map(|_| ())
    }
}
