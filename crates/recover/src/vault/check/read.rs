//! Reading packs from beginning to end.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::backend::MAX_PACK;
use super::super::codec::Codec;
use super::super::id::{BlobKind, Id};
use super::super::pack::{self, Entry};
use super::super::progress::{Phase, Progress};
use super::super::repository::Vault;
use super::Damage;
use crate::Error;

/// What a thread that reads packs keeps between them.
struct PackReader {
    codec: Codec,
    pack: Vec<u8>,
    opened: Vec<u8>,
}

impl Vault {
    pub(super) fn read_packs(
        &self,
        packs: &[Vec<u32>],
        damage: &mut Damage,
        progress: &dyn Fn(Progress),
    ) -> Result<u64, Error> {
        let (next, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
        let found = Mutex::new(std::mem::take(damage));
        let work = || -> Result<(), Error> {
            let mut reader = PackReader { codec: self.codecs.take()?, pack: Vec::new(), opened: Vec::new() };
            while let Some(numbers) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (id, listings) = self.listings(numbers);
                if listings.is_empty() {
                    continue;
                }
                let (cause, lost) = self.read_pack(&mut reader, &id, &listings, &bytes);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(cause) = cause {
                    found.packs.entry(id).or_insert(cause);
                }
                for key in lost {
                    let packs = found.blobs.entry(key).or_default();
                    if !packs.contains(&id) {
                        packs.push(id);
                    }
                }
            }
            self.codecs.give_back(reader.codec);
            Ok(())
        };
        let total = Some(packs.len() as u64);
        std::thread::scope(|scope| {
            let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            while running.iter().any(|thread| !thread.is_finished()) {
                let done = next.load(Ordering::Relaxed).min(packs.len()) as u64;
                progress(Progress {
                    phase: Phase::ReadData,
                    done,
                    total,
                    bytes: bytes.load(Ordering::Relaxed),
                });
                std::thread::sleep(Duration::from_millis(10));
            }
            let stopped =
                || Error::Engine { op: "read packs", source: std::io::Error::other("a thread ended early") };
            running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(stopped())))
        })?;
        *damage = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(bytes.into_inner())
    }

    /// A pack that is there, with what index files list in it.
    fn listings(&self, numbers: &[u32]) -> (Id, Vec<Vec<Entry>>) {
        let index = self.index();
        let there = numbers.iter().filter(|number| index.pack(**number).size.is_some());
        let id = numbers.first().map_or(Id([0; 32]), |number| index.pack(*number).id);
        (id, there.map(|number| index.entries(*number)).collect())
    }

    /// What is wrong with a pack as a whole, and which of its blobs are lost.
    fn read_pack(
        &self,
        reader: &mut PackReader,
        id: &Id,
        listings: &[Vec<Entry>],
        bytes: &AtomicU64,
    ) -> (Option<String>, Vec<(BlobKind, Id)>) {
        let entries = || listings.iter().flatten();
        let all = || entries().map(|entry| (entry.kind, entry.id)).collect();
        let PackReader { codec, pack: content, opened } = reader;
        let file = match self.backend.open_pack(id) {
            Ok(file) => file,
            Err(error) => return (Some(error.to_string()), all()),
        };
        if file.size > MAX_PACK {
            return (Some("it is larger than any pack may be".to_owned()), all());
        }
        if let Err(error) = file.read_at(0, file.size as usize, content) {
            return (Some(error.chain()), all());
        }
        bytes.fetch_add(file.size, Ordering::Relaxed);
        let mut cause = None;
        if Id::of(content) != *id {
            cause = Some("its content does not match its name".to_owned());
        } else {
            match pack::read_header(codec, id, &file) {
                Ok(header) if listings.iter().any(|listed| *listed != header) => {
                    cause = Some("the index lists other blobs in it than its own header".to_owned());
                }
                Ok(_) => {}
                Err(error) => cause = Some(error.to_string()),
            }
        }
        let mut lost = Vec::new();
        let mut whole = HashSet::new();
        let mut copy = Vec::new();
        for entry in entries() {
            let range = entry.offset as usize..(entry.offset as usize).saturating_add(entry.length as usize);
            let sealed = content.get_mut(range).map(|sealed| {
                if listings.len() == 1 {
                    return sealed;
                }
                // Opening overwrites, and another listing may need the same bytes.
                copy.clear();
                copy.extend_from_slice(sealed);
                copy.as_mut_slice()
            });
            let is_whole = sealed.is_some_and(|sealed| {
                codec.open_blob(entry.kind, &entry.id, sealed, entry.uncompressed, opened).is_ok()
            });
            if !is_whole {
                lost.push((entry.kind, entry.id));
            } else if listings.len() > 1 {
                whole.insert((entry.kind, entry.id));
            }
        }
        lost.retain(|key| !whole.contains(key));
        if cause.is_none() && !lost.is_empty() {
            cause = Some(format!("{} of its {} blobs are damaged", lost.len(), entries().count()));
        }
        (cause, lost)
    }
}
