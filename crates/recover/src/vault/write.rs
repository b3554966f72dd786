//! Storing blobs: each once, in packs that several threads fill and two write.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::codec::{Codec, limit};
use super::file_kind::FileKind;
use super::id::{BlobKind, Id};
use super::index::{IndexFile, IndexedPack};
use super::pack::Builder;
use super::repository::Vault;
use crate::Error;

/// Threads that write packs: one computes while the other waits for the disk.
pub(crate) const PACK_WRITERS: usize = 2;
/// Blobs after which an index is written, so that a killed backup has not worked for nothing.
pub(crate) const INDEX_BLOBS: usize = 50_000;
/// Packs after which one is written all the same: 4 GiB.
const INDEX_PACKS: usize = 256;
const SHARDS: usize = 16;

/// Where a backup's blobs go.
pub(crate) struct Writer<'v> {
    vault: &'v Vault,
    /// Blobs that are on their way into a pack and not in the index yet.
    fresh: [Mutex<HashSet<(BlobKind, Id)>>; SHARDS],
    filling: [Mutex<Builder>; 2],
    full: Sender<Builder>,
    queue: Receiver<Builder>,
    in_flight: Mutex<usize>,
    settled: Condvar,
    unindexed: Mutex<Vec<IndexedPack>>,
    failure: Mutex<Option<Error>>,
    failed: AtomicBool,
    added: AtomicU64,
}

/// The writer has failed; [`Writer::failure`] says why.
#[derive(Debug)]
pub(crate) struct Stopped;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'v> Writer<'v> {
    pub(crate) fn new(vault: &'v Vault) -> Writer<'v> {
        let (full, queue) = bounded(PACK_WRITERS);
        Writer {
            vault,
            fresh: Default::default(),
            filling: Default::default(),
            full,
            queue,
            in_flight: Mutex::new(0),
            settled: Condvar::new(),
            unindexed: Mutex::new(std::mem::take(&mut *lock(&vault.unindexed))),
            failure: Mutex::default(),
            failed: AtomicBool::new(false),
            added: AtomicU64::new(0),
        }
    }

    /// Bytes that the repository has grown by.
    pub(crate) fn added(&self) -> u64 {
        self.added.load(Ordering::Relaxed)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn fail(&self, error: Error) -> Stopped {
        lock(&self.failure).get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
        Stopped
    }

    /// Why it stopped, once.
    pub(crate) fn failure(&self) -> Error {
        let unknown = || std::io::Error::other("a thread ended early");
        let failure = lock(&self.failure).take();
        failure.unwrap_or_else(|| Error::Engine { op: "store blobs", source: unknown() })
    }

    /// Stores a blob unless it is stored already, and returns its name.
    pub(crate) fn save(&self, codec: &mut Codec, kind: BlobKind, content: &[u8]) -> Result<Id, Stopped> {
        if self.has_failed() {
            return Err(Stopped);
        }
        let id = Id::of(content);
        if !lock(self.shard(&id)).insert((kind, id)) {
            return Ok(id);
        }
        // Only now: a blob leaves the fresh ones when it is in the index, so it is always in one of both.
        if self.vault.index().has_whole(kind, &id) {
            lock(self.shard(&id)).remove(&(kind, id));
            return Ok(id);
        }
        if content.len() as u64 > u64::from(limit(kind)) {
            let what = format!("a {}", kind.name());
            return Err(self.fail(Error::TooLarge {
                what,
                size: content.len() as u64,
                limit: limit(kind).into(),
            }));
        }
        let sealed = codec.seal_blob(content, self.vault.compresses()).map_err(|e| self.fail(e))?;
        let full = {
            let mut filling = lock(&self.filling[kind as usize]);
            filling.push(kind, id, &sealed.bytes, sealed.uncompressed);
            filling.is_full().then(|| std::mem::take(&mut *filling))
        };
        full.map_or(Ok(()), |pack| self.send(pack))?;
        Ok(id)
    }

    fn shard(&self, id: &Id) -> &Mutex<HashSet<(BlobKind, Id)>> {
        &self.fresh[usize::from(id.0[31]) % SHARDS]
    }

    fn send(&self, pack: Builder) -> Result<(), Stopped> {
        *lock(&self.in_flight) += 1;
        // The receiver lives as long as the sender: both belong to this writer.
        self.full.send(pack).map_err(|_| Stopped)
    }

    /// Takes the packs that are full until [`Writer::close`]; run by [`PACK_WRITERS`] threads.
    pub(crate) fn write_packs(&self) {
        while let Ok(pack) = self.queue.recv() {
            let _settle = Settle(self);
            if pack.entries.is_empty() {
                return;
            }
            if self.has_failed() {
                continue;
            }
            if let Err(error) = self.write_pack(pack) {
                self.fail(error);
            }
        }
    }

    /// Lets the threads of [`Writer::write_packs`] end.
    pub(crate) fn close(&self) {
        for _ in 0..PACK_WRITERS {
            let _ = self.send(Builder::default());
        }
    }

    fn write_pack(&self, pack: Builder) -> Result<(), Error> {
        let (bytes, entries) = pack.seal(&self.vault.key)?;
        let id = Id::of(&bytes);
        self.vault.backend.save_pack(&id, &bytes)?;
        self.added.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let mut index = self.vault.index.write().unwrap_or_else(PoisonError::into_inner);
        index.add(id, &entries, Some(bytes.len() as u64));
        drop(index);
        for entry in &entries {
            lock(self.shard(&entry.id)).remove(&(entry.kind, entry.id));
        }
        let mut unindexed = lock(&self.unindexed);
        unindexed.push(IndexedPack::new(id, &entries));
        let blobs: usize = unindexed.iter().map(IndexedPack::blobs).sum();
        if blobs >= INDEX_BLOBS || unindexed.len() >= INDEX_PACKS {
            let packs = std::mem::take(&mut *unindexed);
            drop(unindexed);
            self.write_index(packs)?;
        }
        Ok(())
    }

    /// Writes what is still being filled and waits until every pack is written. Their names are not durable yet.
    pub(crate) fn flush(&self) -> Result<(), Stopped> {
        for filling in &self.filling {
            let pack = std::mem::take(&mut *lock(filling));
            if !pack.entries.is_empty() {
                self.send(pack)?;
            }
        }
        let mut in_flight = lock(&self.in_flight);
        while *in_flight > 0 {
            in_flight = self.settled.wait(in_flight).unwrap_or_else(PoisonError::into_inner);
        }
        if self.has_failed() { Err(Stopped) } else { Ok(()) }
    }

    /// Flushes and makes everything durable, index last.
    pub(crate) fn seal(&self) -> Result<(), Stopped> {
        self.flush()?;
        let packs = std::mem::take(&mut *lock(&self.unindexed));
        if packs.is_empty() {
            // What was found instead of stored may be in an index that somebody wrote and has not flushed yet.
            return self.vault.backend.sync_folder(FileKind::Index).map_err(|e| self.fail(e));
        }
        self.write_index(packs).map_err(|e| self.fail(e))
    }

    fn write_index(&self, packs: Vec<IndexedPack>) -> Result<(), Error> {
        self.vault.backend.sync_packs(packs.iter().map(|pack| pack.id))?;
        let mut file = IndexFile { packs: Vec::new() };
        let mut blobs = 0;
        for pack in packs {
            blobs += pack.blobs();
            file.packs.push(pack);
            if blobs >= INDEX_BLOBS {
                self.write_index_file(&file)?;
                file.packs.clear();
                blobs = 0;
            }
        }
        if file.packs.is_empty() { Ok(()) } else { self.write_index_file(&file) }
    }

    fn write_index_file(&self, file: &IndexFile) -> Result<(), Error> {
        let (_, bytes) = self.vault.save_sealed(FileKind::Index, file)?;
        self.added.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// Counts a pack as settled, also when writing it panicked: nobody must wait for it for ever.
struct Settle<'a>(&'a Writer<'a>);

impl Drop for Settle<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
        *lock(&self.0.in_flight) -= 1;
        self.0.settled.notify_all();
    }
}
