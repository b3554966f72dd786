//! Every restored byte against the hashes that were sealed with the snapshot.
//!
//! A snapshot's id, which the ledger signed when it was sealed, is the SHA-256 of a file that names the root of a tree of hashes;
//! at its leaves stand the hashes of the pieces of every file. Files are read back from where they were restored to, so
//! what is found to be right is what a person would open.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use schema::{Shortfall, ShortfallKind};
use sha2::{Digest, Sha256};

use super::compare::shortfall;
use crate::error::Error;
use crate::vault::{Entry, Kind, SnapshotFiles};

/// Files whose entries are held at a time.
const BATCH: usize = 4096;
/// What is read at a time.
const BLOCK: usize = 1 << 20;

/// What reading everything back found.
#[derive(Default)]
pub(super) struct Verified {
    /// Over all files, in the order of the tree.
    pub(super) digest: String,
    pub(super) files: u64,
    pub(super) shortfalls: Vec<Shortfall>,
}

/// Reads back what lies at and below `roots`. What is in `named` is known to be missing.
pub(super) fn verify(
    files: &SnapshotFiles<'_>,
    roots: &[PathBuf],
    sandbox: &Path,
    named: &HashSet<&Path>,
) -> Verified {
    let mut all = Verified::default();
    let mut digest = Sha256::new();
    let mut batch = Vec::new();
    for root in roots {
        // What cannot be listed is in the report of the restore.
        let Ok(walk) = files.walk(root) else { continue };
        for entry in walk.flatten().filter(|entry| entry.kind() == Kind::File) {
            if named.contains(entry.path.as_path()) {
                continue;
            }
            batch.push(entry);
            if batch.len() == BATCH {
                all.read(files, &batch, sandbox, &mut digest);
                batch.clear();
            }
        }
    }
    all.read(files, &batch, sandbox, &mut digest);
    all.digest = hex::encode(digest.finalize());
    all
}

impl Verified {
    fn read(&mut self, files: &SnapshotFiles<'_>, batch: &[Entry], sandbox: &Path, digest: &mut Sha256) {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(8));
        let next = AtomicUsize::new(0);
        let work = || {
            let mut found: Vec<(usize, Result<[u8; 32], String>)> = Vec::new();
            while let Some((at, entry)) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                batch.get(at).map(|entry| (at, entry))
            } {
                found.push((at, one(files, entry, sandbox)));
            }
            found
        };
        let mut found: Vec<(usize, Result<[u8; 32], String>)> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        });
        found.sort_by_key(|(at, _)| *at);
        for (at, result) in found {
            match result {
                Ok(hash) => {
                    digest.update(hash);
                    self.files += 1;
                }
                Err(cause) => {
                    let path = batch[at].path.display();
                    self.shortfalls.push(shortfall(ShortfallKind::NotRestored, path, cause));
                }
            }
        }
    }
}

/// The hash of one file's path, size and pieces, each piece hashed from the restored bytes.
fn one(files: &SnapshotFiles<'_>, entry: &Entry, sandbox: &Path) -> Result<[u8; 32], String> {
    let lengths = files.piece_lengths(entry).ok_or("the vault's index does not know all of its pieces")?;
    let at = sandbox.join(entry.path.strip_prefix("/").unwrap_or(&entry.path));
    let read = |error: std::io::Error| format!("it cannot be read back: {error}");
    let mut file = File::open(at).map_err(read)?;
    let mut hash = Sha256::new();
    let path = entry.path.as_os_str().as_bytes();
    hash.update((path.len() as u64).to_be_bytes());
    hash.update(path);
    hash.update(entry.size().to_be_bytes());
    let mut block = vec![0_u8; BLOCK];
    for (id, length) in entry.pieces().iter().zip(lengths) {
        let mut piece = Sha256::new();
        let mut left = length;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            file.read_exact(&mut block[..part]).map_err(read)?;
            piece.update(&block[..part]);
            left -= part as u64;
        }
        let piece: [u8; 32] = piece.finalize().into();
        if piece != id.0 {
            return Err("its bytes are not those that were sealed".to_owned());
        }
        hash.update(piece);
    }
    match file.read(&mut block[..1]) {
        Ok(0) => Ok(hash.finalize().into()),
        Ok(_) => Err("it is longer than what was sealed".to_owned()),
        Err(error) => Err(read(error)),
    }
}

/// The same digest from the snapshot's own list, without any file: what the restored bytes have to come to.
pub fn promised(files: &SnapshotFiles<'_>, roots: &[PathBuf]) -> Result<String, Error> {
    let mut digest = Sha256::new();
    for root in roots {
        for entry in files.walk(root)? {
            let entry = entry?;
            if entry.kind() != Kind::File {
                continue;
            }
            let mut hash = Sha256::new();
            let path = entry.path.as_os_str().as_bytes();
            hash.update((path.len() as u64).to_be_bytes());
            hash.update(path);
            hash.update(entry.size().to_be_bytes());
            entry.pieces().iter().for_each(|id| hash.update(id.0));
            digest.update(hash.finalize());
        }
    }
    Ok(hex::encode(digest.finalize()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::vault::{BackupRequest, KeyCost, Password, Vault};

    #[test]
    fn one_byte_that_is_not_what_was_sealed_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let vault =
            Vault::init_with_cost(&dir.path().join("vault"), &Password::new("x"), KeyCost::TEST).unwrap();
        let source = dir.path().join("source");
        fs::create_dir(&source).unwrap();
        for (name, content) in [("large", vec![7; 3 << 20]), ("small", vec![1, 2, 3]), ("empty", Vec::new())]
        {
            fs::write(source.join(name), content).unwrap();
        }
        vault.backup(BackupRequest::new(vec![source.clone()]), &|_| ()).unwrap();
        let snapshot = vault.find("latest").unwrap();
        let target = dir.path().join("target");
        vault.restore(&snapshot, &target, &[], &|_| ()).unwrap();
        let files = vault.files(&snapshot);
        let roots = [source.clone()];
        let look = || verify(&files, &roots, &target, &HashSet::new());
        let sound = look();
        assert_eq!((sound.files, sound.shortfalls.as_slice()), (3, &[][..]));
        assert_eq!(sound.digest, promised(&files, &roots).unwrap());
        let restored = target.join(source.strip_prefix("/").unwrap());
        for (name, content, cause) in [
            ("small", &[1, 2, 4][..], "not those that were sealed"),
            ("small", &[1, 2, 3, 4], "longer than what was sealed"),
            ("small", &[1, 2], "cannot be read back"),
            ("empty", &[1], "longer than what was sealed"),
        ] {
            let was = fs::read(restored.join(name)).unwrap();
            fs::write(restored.join(name), content).unwrap();
            let found = look();
            assert_eq!((found.files, found.shortfalls.len()), (2, 1), "{content:?}");
            assert!(found.shortfalls[0].detail.contains(cause), "{:?}", found.shortfalls);
            assert_ne!(found.digest, sound.digest);
            fs::write(restored.join(name), was).unwrap();
        }
    }
}
