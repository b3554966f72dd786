//! Packs: sealed blobs one after the other, then a sealed header that lists them, then the header's length in four bytes
//! (restic design, "Pack Format").

use super::codec::{Codec, limit};
use super::crypto::{Key, OVERHEAD};
use super::id::{BlobKind, Id};
use super::pack_file::PackFile;
use crate::Error;

/// A pack is closed when it has reached this size; restic's default target.
pub(crate) const TARGET: usize = 16 << 20;
/// Keeps a header of tiny blobs far below the bound.
pub(crate) const MAX_BLOBS: usize = 60_000;
/// Largest header that is read, restic's own bound.
const MAX_HEADER: u64 = 16 << 20;

/// Where a blob lies in its pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: BlobKind,
    pub(crate) id: Id,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) uncompressed: Option<u32>,
}

/// Bytes that a blob takes in its pack, its line in the header among them.
pub(crate) fn cost(entry: &Entry) -> u64 {
    u64::from(entry.length) + if entry.uncompressed.is_some() { 41 } else { 37 }
}

/// Length of a pack that holds these blobs: the header's seal and its length follow them.
pub(crate) fn expected_size(entries: &[Entry]) -> u64 {
    entries.iter().map(cost).sum::<u64>() + OVERHEAD as u64 + 4
}

/// A pack that is being filled.
#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) bytes: Vec<u8>,
    pub(crate) entries: Vec<Entry>,
}

impl Builder {
    pub(crate) fn push(&mut self, kind: BlobKind, id: Id, sealed: &[u8], uncompressed: Option<u32>) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(TARGET + (TARGET >> 2));
        }
        // Packs are closed long before four gibibytes.
        let (offset, length) = (self.bytes.len() as u32, sealed.len() as u32);
        self.bytes.extend_from_slice(sealed);
        self.entries.push(Entry { kind, id, offset, length, uncompressed });
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= TARGET || self.entries.len() >= MAX_BLOBS
    }

    /// Appends the header; the pack is then complete.
    pub(crate) fn seal(mut self, key: &Key) -> Result<(Vec<u8>, Vec<Entry>), Error> {
        let header = write_header(&self.entries);
        let start = self.bytes.len();
        key.seal(&header, &mut self.bytes)?;
        let length = (self.bytes.len() - start) as u32;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        Ok((self.bytes, self.entries))
    }
}

pub(crate) fn write_header(entries: &[Entry]) -> Vec<u8> {
    let mut header = Vec::with_capacity(entries.len() * 41);
    for entry in entries {
        let kind = match (entry.kind, entry.uncompressed) {
            (BlobKind::Data, None) => 0,
            (BlobKind::Tree, None) => 1,
            (BlobKind::Data, Some(_)) => 2,
            (BlobKind::Tree, Some(_)) => 3,
        };
        header.push(kind);
        header.extend_from_slice(&entry.length.to_le_bytes());
        if let Some(length) = entry.uncompressed {
            header.extend_from_slice(&length.to_le_bytes());
        }
        header.extend_from_slice(&entry.id.0);
    }
    header
}

/// The blobs that an opened header lists. The lengths must add up to `size`, the bytes before the header.
pub(crate) fn parse_header(mut header: &[u8], size: u64) -> Result<Vec<Entry>, &'static str> {
    const SHORT: &str = "its header ends in the middle of an entry";
    fn number(header: &mut &[u8]) -> Result<u32, &'static str> {
        let (bytes, rest) = header.split_first_chunk::<4>().ok_or(SHORT)?;
        *header = rest;
        Ok(u32::from_le_bytes(*bytes))
    }
    let mut entries = Vec::new();
    let mut offset = 0u32;
    while let Some((kind, rest)) = header.split_first() {
        header = rest;
        let length = number(&mut header)?;
        let uncompressed = if *kind >= 2 { Some(number(&mut header)?) } else { None };
        let (id, rest) = header.split_first_chunk::<32>().ok_or(SHORT)?;
        header = rest;
        let kind = match kind {
            0 | 2 => BlobKind::Data,
            1 | 3 => BlobKind::Tree,
            _ => return Err("its header lists a blob of an unknown kind"),
        };
        if uncompressed.is_some_and(|length| length > limit(kind)) {
            return Err("its header lists a blob larger than any may be");
        }
        entries.push(Entry { kind, id: Id(*id), offset, length, uncompressed });
        offset = offset.checked_add(length).ok_or("its blobs are longer than any pack")?;
    }
    if u64::from(offset) != size {
        return Err("its blobs do not fill it");
    }
    Ok(entries)
}

/// Reads the header of a stored pack.
pub(crate) fn read_header(codec: &Codec, id: &Id, file: &PackFile) -> Result<Vec<Entry>, Error> {
    let damaged = |cause: &str| Error::Damaged { what: "pack", id: id.to_string(), cause: cause.to_owned() };
    let mut buffer = Vec::new();
    let end = file.size.checked_sub(4).ok_or_else(|| damaged("it is too short for a pack"))?;
    file.read_at(end, 4, &mut buffer)?;
    let length = buffer.first_chunk::<4>().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    if length > MAX_HEADER || length < OVERHEAD as u64 || length > end {
        return Err(damaged("its header has an impossible length"));
    }
    file.read_at(end - length, length as usize, &mut buffer)?;
    let header = codec.open_header(&mut buffer).ok_or_else(|| damaged("its header does not authenticate"))?;
    parse_header(header, end - length).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = (bool, [u8; 32], u32, Option<u32>)> {
        (any::<bool>(), any::<[u8; 32]>(), 0u32..1 << 20, proptest::option::of(0u32..1 << 25))
    }

    proptest! {
        #[test]
        fn a_header_reads_back_as_it_was_written(list in proptest::collection::vec(entry(), 0..50)) {
            let mut offset = 0;
            let entries: Vec<Entry> = list.into_iter().map(|(data, id, length, uncompressed)| {
                let kind = if data { BlobKind::Data } else { BlobKind::Tree };
                let entry = Entry { kind, id: Id(id), offset, length, uncompressed };
                offset += length;
                entry
            }).collect();
            prop_assert_eq!(parse_header(&write_header(&entries), u64::from(offset)), Ok(entries.clone()));
            prop_assert!(entries.is_empty() || parse_header(&write_header(&entries), u64::from(offset) + 1).is_err());
        }

        #[test]
        fn no_header_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), size in any::<u64>()) {
            let _ = parse_header(&bytes, size);
        }
    }
}
