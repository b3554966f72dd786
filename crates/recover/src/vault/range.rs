//! Parts of a large file of a snapshot, without the rest of it.

use super::files::{Entry, SnapshotFiles};
use super::id::{BlobKind, Id};
use super::repository::Vault;
use super::tree::Kind;
use crate::Error;

/// Reads a file of a snapshot at any offset. It holds one piece of the file at a time (at most 8 MiB), and 8 bytes for each piece.
pub struct RangeReader<'v> {
    vault: &'v Vault,
    pieces: Vec<Id>,
    /// Where each piece ends in the file.
    ends: Vec<u64>,
    last: Option<(usize, Vec<u8>)>,
}

impl<'v> SnapshotFiles<'v> {
    /// A reader of parts of a regular file. It fails where the vault's index does not know a piece of it.
    pub fn ranges(&self, file: &Entry) -> Result<RangeReader<'v>, Error> {
        if file.kind() != Kind::File {
            return Err(Error::UnusablePath { path: file.path.clone(), reason: "it is not a regular file" });
        }
        let lengths = self
            .piece_lengths(file)
            .ok_or_else(|| Error::Missing { what: "blob", id: format!("of {}", file.path.display()) })?;
        let ends = lengths.iter().scan(0_u64, |end, length| {
            *end = end.saturating_add(*length);
            Some(*end)
        });
        Ok(RangeReader {
            vault: self.vault(),
            pieces: file.pieces().to_vec(),
            ends: ends.collect(),
            last: None,
        })
    }
}

impl RangeReader<'_> {
    /// At most `length` bytes from `offset` on; fewer where the file ends.
    pub fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        let mut piece = self.ends.partition_point(|end| *end <= offset);
        let mut at = offset;
        while content.len() < length && piece < self.pieces.len() {
            let begin = piece.checked_sub(1).map_or(0, |before| self.ends[before]);
            let blob = self.piece(piece)?;
            let skip = usize::try_from(at.saturating_sub(begin)).unwrap_or(usize::MAX);
            let part = blob.get(skip..).unwrap_or_default();
            let part = &part[..part.len().min(length - content.len())];
            content.extend_from_slice(part);
            at = self.ends[piece];
            piece += 1;
        }
        Ok(content)
    }

    fn piece(&mut self, piece: usize) -> Result<&[u8], Error> {
        if self.last.as_ref().is_none_or(|(number, _)| *number != piece) {
            let mut codec = self.vault.codecs.take()?;
            let blob = self.vault.load_blob(&mut codec, BlobKind::Data, &self.pieces[piece])?;
            self.vault.codecs.give_back(codec);
            self.last = Some((piece, blob));
        }
        Ok(self.last.as_ref().map_or(&[], |(_, blob)| blob))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::vault::{BackupRequest, KeyCost, Password, Vault};

    #[test]
    fn every_part_of_a_file_is_what_the_file_holds_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("store/large");
        fs::create_dir(dir.path().join("store")).unwrap();
        // Longer than the longest piece there can be (8 MiB): wherever this vault's own seed cuts, there are several.
        let content = testkit::noise(7, 9 << 20);
        fs::write(&file, &content).unwrap();
        fs::write(dir.path().join("store/empty"), "").unwrap();
        let vault =
            Vault::init_with_cost(&dir.path().join("vault"), &Password::new("x"), KeyCost::TEST).unwrap();
        vault.backup(BackupRequest::new(vec![dir.path().join("store")]), &|_| {}).unwrap();
        let snapshot = vault.find("latest").unwrap();
        let files = vault.files(&snapshot);
        let mut reader = files.ranges(&files.entry(&file).unwrap()).unwrap();
        let pieces = reader.ends.clone();
        assert!(pieces.len() > 1, "{pieces:?}");
        let first = pieces[0] as usize;
        let ranges =
            [(0, 10), (first - 1, 3), (first, 5), (0, content.len()), (content.len() - 4, 100), (1, 0)];
        for (offset, length) in ranges.into_iter().chain((0..200).map(|n| (n * 47_189, 40_000))) {
            let end = content.len().min(offset + length);
            assert!(reader.read(offset as u64, length).unwrap() == content[offset.min(end)..end], "{offset}");
        }
        assert!(reader.read(u64::MAX, 7).unwrap().is_empty());
        let empty = files.entry(&dir.path().join("store/empty")).unwrap();
        assert!(files.ranges(&empty).unwrap().read(0, 7).unwrap().is_empty());
        assert!(files.ranges(&files.entry(dir.path()).unwrap()).is_err());
    }
}
