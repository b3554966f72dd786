//! What the bytes of a file look like: their statistics and the format that they hold together as.
//!
//! Everything works on samples that the caller bounds, and none of it trusts a single byte. A format is recognised by
//! more than its first bytes wherever the rest can tell: a text whose middle is noise is no text.

mod fields;
mod format;
mod kind;
mod measure;
mod places;
mod statistics;
mod structure;
#[cfg(test)]
mod tests;
mod text;
mod written;

pub use kind::{Family, Kind};
pub use measure::{measure, measure_gone, measure_made};
pub use places::{WHOLE_MAX, places};
pub use statistics::{Comparison, Histogram, compare};
pub use structure::Structure;

/// One stretch of a file, with where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Offset in the file.
    pub offset: u64,
    /// The bytes there.
    pub bytes: Vec<u8>,
}

/// Stretches of a file in order of their offsets, with the file's length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Length of the whole file.
    pub len: u64,
    /// What was read of it; the first chunk begins at 0 unless the file is empty.
    pub chunks: Vec<Chunk>,
}

impl Sample {
    /// A whole small file.
    pub fn whole(bytes: &[u8]) -> Self {
        let chunks = if bytes.is_empty() { vec![] } else { vec![Chunk { offset: 0, bytes: bytes.to_vec() }] };
        Self { len: bytes.len() as u64, chunks }
    }

    /// The bytes from the start, as far as they were read.
    pub fn head(&self) -> &[u8] {
        self.chunks.first().filter(|chunk| chunk.offset == 0).map_or(&[], |chunk| &chunk.bytes)
    }

    /// The bytes up to the end, as far as they were read.
    pub fn tail(&self) -> &[u8] {
        self.chunks
            .last()
            .filter(|chunk| chunk.offset + chunk.bytes.len() as u64 == self.len)
            .map_or(&[], |chunk| &chunk.bytes)
    }

    /// The bytes from `offset` on, as far as they were read in one piece.
    pub fn at(&self, offset: u64) -> &[u8] {
        let after = self.chunks.partition_point(|chunk| chunk.offset <= offset);
        let chunk = after.checked_sub(1).and_then(|before| self.chunks.get(before));
        let start = chunk.and_then(|chunk| usize::try_from(offset - chunk.offset).ok());
        chunk.zip(start).and_then(|(chunk, start)| chunk.bytes.get(start..)).unwrap_or_default()
    }
}
